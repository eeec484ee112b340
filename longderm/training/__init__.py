"""Fits the networks that `registry/` releases. No stage depends on it."""
