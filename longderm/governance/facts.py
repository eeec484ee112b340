"""Everything that the rules for a pair may look at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PhotoFacts:
    """What the rules know of one photo of the pair; None where a value is not known.

    px_per_mm: the scale that the photo is measured by; px_per_mm_source: "dicom_pixel_spacing", "metadata" or "ruler";
    px_per_mm_error: its relative standard error. mask_found is None where segmentation did not run; mask_share: share
    of the photo that the mask covers; laterality: the side (L, R, B) that was stated with this photo; distance: how far
    out the photo lies among those that the change release was calibrated on, in robust SDs of its `farthest` level.
    """

    modality: str
    quality_score: float | None
    quality_reasons: tuple[str, ...] = ()
    polarised: bool | None = None
    contact: bool | None = None
    px_per_mm: float | None = None
    px_per_mm_source: str | None = None
    px_per_mm_error: float | None = None
    caveats: tuple[str, ...] = ()
    mask_found: bool | None
    mask_touches_border: bool | None
    mask_confidence: float | None
    mask_reason: str | None = None
    mask_share: float | None = None
    laterality: str | None = None
    distance: float | None = None
    farthest: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventFact:
    """An event on the lesion: kind (`longderm.schema.EVENT_KINDS`) and its day minus that of each visit; None where
    either is undated."""

    kind: str
    days_after_baseline: int | None
    days_after_followup: int | None


@dataclass(frozen=True, kw_only=True)
class ReleaseFact:
    """A release behind the result: name, digest of its files, and the digest that was approved.

    approved_digest: that of a release of the registry, or the one under which it stands promoted in the store; None
    where it was never approved.
    """

    name: str
    digest: str
    approved_digest: str | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the rules may look at for one pair.

    interval_days: follow-up minus baseline, None for undated repeats; special_site: face, acral, nail or mucosal, else
    None; same_pixels: both photos decode to the same pixels; alignment_scale: follow-up pixels per baseline pixel;
    alignment_cautions: why that scale, and so a change of size, is not certain;
    failures: stages that could not work on this pair or its photos, in words; same_patient: photos and lesion are of
    one patient; releases: those that the result rests on.

    Of the change release: alpha; calibration_pairs: stable pairs behind its p-values; unusual_distance, far_distance,
    calibrated_interval_days: the range of photos and times between visits that it was calibrated on, None where it
    states none.
    """

    baseline: PhotoFacts
    followup: PhotoFacts
    interval_days: int | None
    undated_repeat: bool
    special_site: str | None
    same_pixels: bool
    events: tuple[EventFact, ...]
    alignment_accepted: bool | None
    alignment_confidence: float | None
    alignment_reason: str | None
    alignment_scale: float | None = None
    alignment_cautions: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    alpha: float
    same_patient: bool | None = None
    releases: tuple[ReleaseFact, ...] = ()
    calibration_pairs: int | None = None
    unusual_distance: float | None = None
    far_distance: float | None = None
    calibrated_interval_days: tuple[int, int] | None = None

    @property
    def range_stated(self) -> bool:
        """The change release says what photos it was calibrated on."""
        return self.unusual_distance is not None and self.far_distance is not None

    @property
    def photos(self) -> tuple[tuple[str, PhotoFacts], tuple[str, PhotoFacts]]:
        """Both photos with what they are called."""
        return ("baseline", self.baseline), ("follow-up", self.followup)
