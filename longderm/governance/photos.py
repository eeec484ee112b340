"""Rules of a pair that ask whether each photo, its mask and its scale are good enough, and whether two photos agree."""

from __future__ import annotations

import math

from longderm.change import Change
from longderm.governance.facts import Facts

#: Modalities whose change scores are calibrated; the others are taken in and shown.
JUDGED_MODALITIES = ("dermoscopic",)

#: Below this quality score (0 to 1) a photo is not analysed.
QUALITY_MIN = 0.25
#: Below this one a result carries a caveat.
QUALITY_GOOD = 0.5
#: Below this confidence (0 to 1) a lesion's mask is doubtful.
MASK_CONFIDENCE_GOOD = 0.5
#: Share of the photo below which a mask is none of a lesion that was photographed: the smallest of 500 experts' masks
#: (ISIC 2018, every fourth photo) covers 0.0045.
MASK_SHARE_MIN = 0.003
#: The outlines may differ in size by this factor more than the images confirm. Of 360 stable pairs of real photos taken
#: twice in software 95% lie below 1.21 and the worst at 6.9; of 100 simulated pairs that changed all lie below 1.3. So
#: whatever lies beyond has an outline that is wrong.
OUTLINE_TOLERANCE = 1.5
#: Pixels per millimetre of both photos and the alignment may contradict each other by this factor in scale.
SCALE_TOLERANCE = 1.15

#: Measures that compare the lesion's colour with that of the skin around it.
_RING_RELATIVE = ("delta_a", "delta_b", "delta_lightness")

#: Caveat codes of a photo, in words; a code that is not listed is shown as it is.
CAVEAT_TEXTS = {
    "burned_in_not_excluded": "text burnt into the pixels is not excluded",
    "date_not_of_acquisition": "dated by another date than that of the photo",
    "derived_image": "not the camera's own image, but one derived from it",
    "exif_unreadable": "orientation not certain (EXIF unreadable)",
    "icc_profile_unusable": "colours not certain (colour profile unusable)",
    "modality_assumed": "taken for dermoscopy, the file does not say",
    "scale_contradicts_ruler": "the stated scale and a ruler in the photo contradict each other",
    "same_pixels_as_other_day": "the same pixels are also filed under another day",
    "transparent_pixels": "transparent pixels were filled",
}


def mixed_modality(_: Change | None, facts: Facts) -> str | None:
    """Photos of two kinds are not compared."""
    first, second = facts.baseline.modality, facts.followup.modality
    return None if first == second else f"photos of two kinds ({first}, {second}) cannot be compared"


def modality_not_judged(_: Change | None, facts: Facts) -> str | None:
    """Clinical and total-body photos are not yet judged."""
    other = sorted({photo.modality for _, photo in facts.photos} - set(JUDGED_MODALITIES))
    return f"not yet judged for this modality ({', '.join(other)})" if other else None


def same_pixels(_: Change | None, facts: Facts) -> str | None:
    """One photo filed twice shows nothing, least of all that a lesion is stable."""
    return (
        "the same pixels are filed as two photos: one photo cannot show that a lesion is stable"
        if (facts.same_pixels)
        else None
    )


def quality(_: Change | None, facts: Facts) -> str | None:
    """Both photos must be good enough to be analysed."""
    for which, photo in facts.photos:
        if photo.quality_score is None:
            return f"the quality of the {which} photo is not known"
        if round(photo.quality_score, 6) < QUALITY_MIN:
            why = f": {', '.join(photo.quality_reasons)}" if photo.quality_reasons else ""
            return f"the {which} photo is not good enough ({photo.quality_score:.2f}, least {QUALITY_MIN}){why}"
    return None


def lesion_not_found(_: Change | None, facts: Facts) -> str | None:
    """A lesion must be found in both photos."""
    for which, photo in facts.photos:
        if not photo.mask_found:
            why = f": {photo.mask_reason}" if photo.mask_reason else ""
            return f"no lesion found in the {which} photo{why}"
    return None


def lesion_cut(_: Change | None, facts: Facts) -> str | None:
    """The lesion must lie inside of both photos."""
    cut = [which for which, photo in facts.photos if photo.mask_found and photo.mask_touches_border is not False]
    return f"the lesion reaches beyond the {' and the '.join(cut)} photo" if cut else None


def mixed_polarisation(_: Change | None, facts: Facts) -> str | None:
    """Polarised and non-polarised light show different structures: together they mimic change."""
    first, second = facts.baseline.polarised, facts.followup.polarised
    if first is None or second is None or first == second:
        return None
    return "one photo is polarised, the other is not: their difference mimics change"


def photo_caveats(_: Change | None, facts: Facts) -> str | None:
    """A photo brings caveats from intake, such as text burnt into it that is not excluded."""
    codes = sorted({code for _, photo in facts.photos for code in photo.caveats})
    return "; ".join(CAVEAT_TEXTS.get(code, code.replace("_", " ")) for code in codes) if codes else None


def no_scale(_: Change | None, facts: Facts) -> str | None:
    """Without a scale in both photos sizes are relative."""
    missing = [which for which, photo in facts.photos if photo.px_per_mm is None]
    return f"no scale in the {' and the '.join(missing)} photo: sizes are relative" if missing else None


def scale_from_ruler(_: Change | None, facts: Facts) -> str | None:
    """Sizes in mm rest on a scale that is not stated, but read from a ruler in the photo."""
    if any(photo.px_per_mm is None for _, photo in facts.photos):
        return None  # sizes are relative, which `no_scale` says
    read = [(which, photo) for which, photo in facts.photos if photo.px_per_mm_source == "ruler"]
    if not read:
        return None
    errors = [photo.px_per_mm_error for _, photo in read if photo.px_per_mm_error is not None]
    error = f" (standard error {100 * max(errors):.2g}%)" if errors else ""
    return f"scale read from a ruler in the {' and the '.join(which for which, _ in read)} photo{error}"


def scale_disagrees(_: Change | None, facts: Facts) -> str | None:
    """The stated scales and the alignment contradict each other."""
    first, second, aligned = facts.baseline.px_per_mm, facts.followup.px_per_mm, facts.alignment_scale
    if first is None or second is None or aligned is None:
        return None
    factor = round(aligned / (second / first), 6)
    if 1.0 / SCALE_TOLERANCE <= factor <= SCALE_TOLERANCE:
        return None
    return f"the scales of the photos and their alignment differ by a factor of {max(factor, 1.0 / factor):.2f}"


def polarisation_unknown(_: Change | None, facts: Facts) -> str | None:
    """Polarisation is not known of both photos, so a mixed pair is not excluded."""
    unknown = any(photo.polarised is None for _, photo in facts.photos)
    return "polarised or not is not known of both photos" if unknown else None


def mixed_contact(_: Change | None, facts: Facts) -> str | None:
    """Contact and non-contact optics are mixed."""
    first, second = facts.baseline.contact, facts.followup.contact
    if first is None or second is None or first == second:
        return None
    return "one photo was taken in contact with the skin, the other not: pressure pales it"


def modest_quality(_: Change | None, facts: Facts) -> str | None:
    """A photo is good enough, but not good."""
    for which, photo in facts.photos:
        if photo.quality_score is not None and round(photo.quality_score, 6) < QUALITY_GOOD:
            why = f": {', '.join(photo.quality_reasons)}" if photo.quality_reasons else ""
            return f"modest quality of the {which} photo ({photo.quality_score:.2f}){why}"
    return None


def doubtful_mask(_: Change | None, facts: Facts) -> str | None:
    """The lesion's border is doubtful in a photo."""
    for which, photo in facts.photos:
        if photo.mask_confidence is None or round(photo.mask_confidence, 6) < MASK_CONFIDENCE_GOOD:
            shown = "not known" if photo.mask_confidence is None else f"{photo.mask_confidence:.2f}"
            return f"the lesion's border in the {which} photo is doubtful (confidence {shown})"
    return None


def mask_implausible(_: Change | None, facts: Facts) -> str | None:
    """The outlines must be large enough to be a lesion's."""
    for which, photo in facts.photos:
        if not photo.mask_found:
            continue  # said by the rule for it
        if photo.mask_share is None:
            return f"the size of the outline in the {which} photo is not known"
        if round(photo.mask_share, 6) < MASK_SHARE_MIN:
            return (
                f"the outline in the {which} photo covers {100 * photo.mask_share:.2g}% of it: too small for a lesion"
            )
    return None


def outlines_contradict(change: Change | None, _: Facts) -> str | None:
    """The outlines may differ in size as far as the images confirm; where these tell nothing, the outlines stand."""
    ratios = {d.measure: 1.0 + d.delta / 100.0 for d in (change.deltas if change is not None else ())}
    drawn, confirmed = ratios.get("area"), ratios.get("area_confirmed")
    if drawn is None or confirmed is None or drawn <= 0 or confirmed <= 0:
        return None
    apart = math.exp(abs(math.log(drawn / confirmed)))
    if round(apart, 6) <= OUTLINE_TOLERANCE:
        return None
    return f"the outlines differ in size {apart:.1f} times more than the images confirm: one of them is wrong"


def colour_not_compared(change: Change | None, _: Facts) -> str | None:
    """A colour is compared against the skin around the lesion only, which both photos must show."""
    if change is None or change.score is None or any(d.measure in _RING_RELATIVE for d in change.deltas):
        return None
    return "too little skin around the lesion is seen in both photos: its colour is not compared"
