"""A small simulated clinic archive with its truth. Installs as `longderm.sample_data`."""
