"""Released models, a folder per kind and version. Installs as `longderm.registry`; read-only once packaged."""
