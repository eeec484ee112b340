"""What the rules ask about a pair, gathered from what the pipeline says of both photos, without a store."""

from __future__ import annotations

from dataclasses import dataclass

from longderm.governance import Facts, PhotoFacts
from longderm.imaging import Segmentation, assess_quality, segment
from longderm.imaging.artefacts import Artefacts, find_artefacts
from longderm.photo import Photo
from longderm.registration import Alignment, align, prepare


def photo_facts(photo: Photo, mask: Segmentation, artefacts: Artefacts | None = None) -> PhotoFacts:
    """What the rules ask about a photo and the mask drawn in it; artefacts are found where they are not given."""
    return PhotoFacts(
        modality=photo.meta.modality,
        quality_score=assess_quality(photo, artefacts).score,
        polarised=photo.meta.polarised,
        contact=photo.meta.contact,
        px_per_mm=photo.meta.px_per_mm,
        px_per_mm_error=photo.meta.px_per_mm_error,
        mask_found=mask.found,
        mask_touches_border=mask.touches_border,
        mask_confidence=mask.confidence,
        mask_share=float(mask.mask.mean()),
    )


@dataclass(frozen=True, eq=False)
class SeenPair:
    """What the pipeline makes of two photos before it compares them, and what the rules ask about each."""

    artefacts: tuple[Artefacts, Artefacts]
    masks: tuple[Segmentation, Segmentation]
    alignment: Alignment
    facts: tuple[PhotoFacts, PhotoFacts]


def see_pair(photos: tuple[Photo, Photo]) -> SeenPair:
    """Find artefacts and lesions of two photos and align them, as `score_change` does."""
    first, second = photos
    hidden = find_artefacts(first.pixels), find_artefacts(second.pixels)
    masks = segment(first, artefacts=hidden[0]), segment(second, artefacts=hidden[1])
    alignment = align(prepare(first, masks[0], hidden[0]), prepare(second, masks[1], hidden[1]))
    facts = photo_facts(first, masks[0], hidden[0]), photo_facts(second, masks[1], hidden[1])
    return SeenPair(hidden, masks, alignment, facts)


def pair_facts(
    baseline: PhotoFacts, followup: PhotoFacts, alignment: Alignment, interval_days: int | None, alpha: float
) -> Facts:
    """What the rules ask about a pair of one patient's lesion; interval_days: None for an undated repeat."""
    return Facts(
        baseline=baseline,
        followup=followup,
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
