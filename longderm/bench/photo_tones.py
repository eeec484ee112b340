"""Skin tone of an ISIC-layout folder's photos, by which benchmarks report: in the ring around the expert's mask.

One photo without a chart shows light times skin (`longderm.imaging.skin_tone`): a group holds photos that look alike in
tone, and no more is known of the patients.
"""

from __future__ import annotations

from longderm.bench.photos import Example
from longderm.errors import SourceNotFoundError
from longderm.imaging import Segmentation
from longderm.imaging.lesion_looks import describe

#: Classes of individual typology angle (`longderm.imaging.skin_tone.ITA_BINS`), the darker ones together: public
#: dermoscopy holds few of them.
TONE_GROUPS = {
    "very light": "very light",
    "light": "light",
    "intermediate": "intermediate",
    "tan": "tan or darker",
    "brown": "tan or darker",
    "dark": "tan or darker",
}
#: A photo whose skin's tone cannot be read.
UNKNOWN = "not known"


def tone_class(example: Example) -> str:
    """The class of a photo's skin around the expert's outline, or UNKNOWN where too little of it is seen.

    Raises SourceNotFoundError where the mask is not of the photo's size.
    """
    if example.mask.shape != example.photo.shape:
        raise SourceNotFoundError(
            f"{example.name}: its mask is of another size than the photo; give the one drawn on it"
        )
    tone = describe(example.photo, Segmentation(example.mask, 1.0, True, None, False, "true mask")).tone
    return tone.ita_class if tone is not None else UNKNOWN


def tone_group(example: Example) -> str:
    """The photo's group of TONE_GROUPS, or UNKNOWN. Raises as `tone_class`."""
    return TONE_GROUPS.get(tone_class(example), UNKNOWN)
