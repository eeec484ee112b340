"""What the rules ask of a pair that a benchmark made: as the pipeline would find it out, without a store."""

from __future__ import annotations

from longderm.governance import Facts, PhotoFacts
from longderm.imaging import Segmentation, assess_quality
from longderm.photo import Photo
from longderm.registration import Alignment


def pair_facts(
    photos: tuple[Photo, Photo],
    masks: tuple[Segmentation, Segmentation],
    alignment: Alignment,
    interval_days: int | None,
    alpha: float,
) -> Facts:
    """The facts of two photos of one lesion; an interval that is not known is that of an undated repeat."""
    told = [
        PhotoFacts(
            modality=photo.meta.modality,
            quality_score=assess_quality(photo).score,
            polarised=photo.meta.polarised,
            contact=photo.meta.contact,
            px_per_mm=photo.meta.px_per_mm,
            mask_found=mask.found,
            mask_touches_border=mask.touches_border,
            mask_confidence=mask.confidence,
            mask_share=float(mask.mask.mean()),
        )
        for photo, mask in zip(photos, masks, strict=True)
    ]
    return Facts(
        baseline=told[0],
        followup=told[1],
        interval_days=interval_days,
        undated_repeat=interval_days is None,
        special_site=None,
        same_pixels=False,
        events=(),
        alignment_accepted=alignment.accepted,
        alignment_confidence=alignment.confidence,
        alignment_reason=alignment.reason,
        alpha=alpha,
        same_patient=True,
    )
