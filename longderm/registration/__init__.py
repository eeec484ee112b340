"""Pairwise alignment: prepare a photo, find the similarity of a pair, verify it or refuse."""

from longderm.registration.alignment import Alignment, align
from longderm.registration.preparation import Prepared, prepare
from longderm.registration.warp import warp_to_baseline

__all__ = ["Alignment", "Prepared", "align", "prepare", "warp_to_baseline"]
