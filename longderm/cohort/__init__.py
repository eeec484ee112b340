"""What researchers take away: the current tables as Parquet, with their dictionary and origin."""

from longderm.cohort.export import export_cohort

__all__ = ["export_cohort"]
