"""Pairwise alignment: prepare a photo, find the similarity of a pair, verify it or refuse; series of three and more."""

from longderm.registration.alignment import Alignment, align
from longderm.registration.preparation import Prepared, prepare
from longderm.registration.residual import residual_field
from longderm.registration.series import Series, align_series
from longderm.registration.warp import warp_to_baseline

__all__ = [
    "Alignment",
    "Prepared",
    "Series",
    "align",
    "align_series",
    "prepare",
    "residual_field",
    "warp_to_baseline",
]
