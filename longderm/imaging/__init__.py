"""One photo: colour, quality, artefacts, segmentation, measures."""

from longderm.imaging.artefacts import field_of_view, glare_mask, hair_mask
from longderm.imaging.colour import linear_to_lab, linear_to_srgb, srgb_to_lab, srgb_to_linear
from longderm.imaging.coverage import Coverage, assess_coverage
from longderm.imaging.grid import preview
from longderm.imaging.lesion_looks import LesionLooks, describe
from longderm.imaging.measures import Measures, measure
from longderm.imaging.quality import Quality, assess_quality
from longderm.imaging.ruler import RulerReading, RulerScale, read_ruler
from longderm.imaging.scale import Scale, find_scale, with_scale
from longderm.imaging.segmentation import Segmentation, segment
from longderm.imaging.sight import Sight, see
from longderm.imaging.structures import Structures, find_structures

__all__ = [
    "Coverage",
    "LesionLooks",
    "Measures",
    "Quality",
    "RulerReading",
    "RulerScale",
    "Scale",
    "Segmentation",
    "Sight",
    "Structures",
    "assess_coverage",
    "assess_quality",
    "describe",
    "field_of_view",
    "find_scale",
    "find_structures",
    "glare_mask",
    "hair_mask",
    "linear_to_lab",
    "linear_to_srgb",
    "measure",
    "preview",
    "read_ruler",
    "see",
    "segment",
    "srgb_to_lab",
    "srgb_to_linear",
    "with_scale",
]
