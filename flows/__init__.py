"""Prefect flows: when things run and in what batches. Installs as `longderm.flows`."""
