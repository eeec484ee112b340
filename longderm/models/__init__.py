"""Released models: read from the registry, verified by hash."""

from longderm.models.releases import Release, load_release

__all__ = ["Release", "load_release"]
