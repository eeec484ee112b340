"""What the pages show, as small frozen values; no table and no picture inside, pictures are named by content hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from longderm.change.evidence import APPEARANCE
from longderm.change.result import LAB, PROBABILITY
from longderm.report.chart import AreaSeries
from longderm.report.words import RELATIVE_TWIN, SIZE_MEASURES, count_label, day_label

#: The one state a lesion is listed under, in the order in which a page shows them.
STATUSES = ("flagged", "growing", "not_judged", "no_change", "single_visit", "out_of_scope")
Status = Literal["flagged", "growing", "not_judged", "no_change", "single_visit", "out_of_scope"]

#: So many differences are told in a sentence; all of them stand in the table of the comparison.
TOLD_MEASURES = 4

#: Whether a lesion's next visit is overdue; "unknown" where today's day on the patient's scale is not at hand.
Overdue = Literal["overdue", "in_time", "excised", "undated", "unknown"]


@dataclass(frozen=True)
class ReportContext:
    """What a report needs besides the tables.

    as_of: the day that counts as today; as_of_days: the same day on each patient's own scale, or None where the link
    table is not at hand (nothing is then said to be overdue); followup_months: a lesion not seen for longer is overdue;
    models: kind -> version of the releases in use; simulated: the photos are not of real people.
    """

    as_of: date
    as_of_days: dict[str, int] | None
    followup_months: float
    longderm_version: str
    models: dict[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True)
class ReportPaths:
    """Where the pages were written."""

    worklist: Path
    patients: tuple[Path, ...]


@dataclass(frozen=True)
class PhotoView:
    """One photo: how it was taken, how good it is, and the names of its pictures (None: there is none).

    scale: where its scale comes from, in words, None without one; skin: the skin's typology class and angle, likewise;
    structures: "pigment network 92%" ..., the likeliest first; empty where none were looked for.
    """

    photo_id: str
    day: int | None
    when: str
    modality: str
    width_px: int
    height_px: int
    device: str | None
    caveats: tuple[str, ...]
    quality: float | None
    quality_reasons: tuple[str, ...]
    failures: tuple[str, ...]
    preview_object: str | None
    mask_object: str | None
    area_mm2: float | None
    area_doubt: str | None
    long_diam_mm: float | None
    scale: str | None
    skin: str | None
    structures: tuple[str, ...]


@dataclass(frozen=True)
class VisitView:
    """One visit of a lesion in one modality: the photo that is compared, and how many others there are."""

    photo: PhotoView
    others: int
    judged: bool


@dataclass(frozen=True)
class DeltaView:
    """One measured difference, as text: `sentence` says all of it, `short` the same in a few words."""

    measure: str
    label: str
    baseline: str
    followup: str
    delta: str
    mdc: str
    exceeds: bool
    short: str
    sentence: str


@dataclass(frozen=True)
class PairView:
    """One comparison; numbers and the heat map are there only where a rule issued them."""

    pair_id: str
    policy: str
    baseline: PhotoView
    followup: PhotoView
    interval: str
    verdict: str
    rule: str
    reasons: tuple[str, ...]
    flagged: bool
    score: float | None
    p_value: float | None
    strength: tuple[float, float]
    remarks: tuple[str, ...]
    deltas: tuple[DeltaView, ...]
    area_change_percent: float | None
    area_noise: float | None
    matrix: tuple[float, ...] | None
    aligned_object: str | None
    heatmap_object: str | None
    alignment_confidence: float | None
    model: str | None

    @property
    def heat_unit(self) -> str:
        """Unit of the heat map: where a network compared the photos, it is the network's."""
        return PROBABILITY if any(delta.measure == APPEARANCE for delta in self.deltas) else LAB

    @property
    def issued(self) -> bool:
        """A rule let this result out."""
        return self.verdict in ("issued", "issued_with_caveat")

    @property
    def label(self) -> str:
        """ "day 0 → month 3.2"."""
        return f"{self.baseline.when} → {self.followup.when}"

    @property
    def above_noise(self) -> tuple[DeltaView, ...]:
        """The differences above their MDC: size, then the clearest; a relative one yields to its absolute twin."""
        above = [delta for delta in self.deltas if delta.exceeds]
        told_in_mm = {RELATIVE_TWIN[delta.measure] for delta in above if delta.measure in RELATIVE_TWIN}
        told = [delta for delta in above if delta.measure not in told_in_mm]
        return tuple(sorted(told, key=lambda delta: delta.measure not in SIZE_MEASURES))

    @property
    def headline(self) -> tuple[str, ...]:
        """What a flagged comparison says first: its foremost differences, else the rule's reasons."""
        told = [delta.sentence for delta in self.above_noise[:TOLD_MEASURES]]
        more = len(self.above_noise) - len(told)
        return (*told, *([f"And {count_label(more, 'further measure')} above noise."] if more else [])) or self.reasons

    @property
    def summary(self) -> str:
        """The foremost differences above noise in a few words: "area +38% (MDC 17%); ... and 2 more"; may be empty."""
        told = "; ".join(delta.short for delta in self.above_noise[:TOLD_MEASURES])
        more = len(self.above_noise) - TOLD_MEASURES
        return f"{told} and {more} more" if more > 0 else told

    @property
    def difference(self) -> str:
        """The sentence under the heat map: measures with delta, unit and MDC."""
        if self.flagged:
            return f"Above noise: {self.summary}." if self.summary else "Above noise as a whole, no single measure is."
        if self.summary:
            return f"Taken together not above noise. Single measures above their own MDC: {self.summary}."
        nearest = f" Nearest: {self.deltas[0].short}." if self.deltas else ""
        return f"No measure above its MDC.{nearest}"


@dataclass(frozen=True)
class TrajectoryView:
    """All visits together; `growth` is None where no rule issued it; `trends`: of colour and structure, as texts."""

    verdict: str
    rule: str
    reasons: tuple[str, ...]
    growth: str | None
    first_flagged: str | None
    trends: tuple[str, ...] = ()


@dataclass(frozen=True)
class EventView:
    """One dated event, as text."""

    when: str
    day: int | None
    kind: str
    diagnosis: str | None

    @property
    def text(self) -> str:
        """ "month 4.1: excision (melanoma in situ)"."""
        return f"{self.when}: {self.kind}" + (f" ({self.diagnosis})" if self.diagnosis else "")


@dataclass(frozen=True)
class SeriesView:
    """A lesion's visits in one modality, oldest first, and the comparisons between them."""

    modality: str
    visits: tuple[VisitView, ...]
    pairs: tuple[PairView, ...]

    @property
    def first(self) -> PhotoView:
        """The photo of the first visit: the frame in which the others are shown."""
        return self.visits[0].photo

    def with_first(self, photo: PhotoView) -> PairView | None:
        """The comparison of `photo` with the first visit, or None."""
        ids = (self.first.photo_id, photo.photo_id)
        return next((pair for pair in self.pairs if (pair.baseline.photo_id, pair.followup.photo_id) == ids), None)

    @property
    def shown_apart(self) -> tuple[PairView, ...]:
        """Comparisons with another visit than the first whose pictures are shown too: those that are flagged, or that
        stand alone since the comparison with the first visit was not issued."""
        apart = []
        for pair in self.pairs:
            if pair.baseline.photo_id == self.first.photo_id or pair.heatmap_object is None:
                continue
            other = self.with_first(pair.followup)
            if pair.flagged or other is None or not other.issued:
                apart.append(pair)
        return tuple(apart)


@dataclass(frozen=True)
class LesionView:
    """One lesion with everything that its page section says."""

    lesion_id: str
    patient_id: str
    site: str
    special_site: str | None
    status: Status
    status_reasons: tuple[str, ...]
    notes: tuple[str, ...]
    visit_count: int
    last_day: int | None
    series: tuple[SeriesView, ...]
    trajectory: TrajectoryView | None
    events: tuple[EventView, ...]
    area: AreaSeries | None
    area_missing: str | None
    excised: str | None
    overdue: Overdue
    overdue_periods: int
    missing: bool

    @property
    def shared_caveats(self) -> tuple[str, ...]:
        """Caveats that every photo shown of this lesion carries: said once."""
        shown = [visit.photo.caveats for series in self.series for visit in series.visits]
        return tuple(code for code in (shown[0] if shown else ()) if all(code in caveats for caveats in shown))

    @property
    def unjudged_count(self) -> int:
        """How many comparisons were not issued."""
        return sum(not pair.issued for pair in self.pairs)

    @property
    def latest_label(self) -> str:
        """When the lesion was last photographed."""
        return day_label(self.last_day)

    @property
    def pairs(self) -> tuple[PairView, ...]:
        """The comparisons of every modality."""
        return tuple(pair for series in self.series for pair in series.pairs)

    @property
    def since_then(self) -> str | None:
        """How the latest visit compares where the strongest change was an earlier one's, else None."""
        strongest = self.strongest
        if strongest is None or strongest.followup.day == self.last_day:
            return None
        latest = [pair for pair in self.pairs if pair.followup.day == self.last_day]
        if any(pair.flagged for pair in latest):
            told = "flagged too"
        elif latest and all(pair.issued for pair in latest):
            told = "no change above noise"
        else:
            told = "not judged"
        return f"Latest visit, {self.latest_label}: {told}."

    @property
    def strongest(self) -> PairView | None:
        """The flagged comparison with the highest score, or None."""
        flagged = [pair for pair in self.pairs if pair.flagged]
        return min(flagged, key=lambda pair: (tuple(-part for part in pair.strength), pair.pair_id), default=None)


@dataclass(frozen=True)
class PatientView:
    """One patient's page."""

    patient_id: str
    about: tuple[str, ...]
    lesions: tuple[LesionView, ...]
    total_body: tuple[PhotoView, ...]
    events: tuple[EventView, ...]

    @property
    def heat_units(self) -> tuple[str, ...]:
        """Units of the difference pictures on the page, each once."""
        pairs = [pair for lesion in self.lesions for series in lesion.series for pair in series.pairs]
        return tuple(sorted({pair.heat_unit for pair in pairs if pair.heatmap_object}))

    def with_status(self, status: str) -> tuple[LesionView, ...]:
        """The lesions listed under `status`."""
        return tuple(lesion for lesion in self.lesions if lesion.status == status)


@dataclass(frozen=True)
class QuarantineRow:
    """One file that could not be used."""

    file_ref: str
    reason: str
    text: str
    detail: str


@dataclass(frozen=True)
class Balance:
    """What became of every file: files = photos + duplicates + quarantine + ignored."""

    files: int
    photos: int
    duplicates: int
    quarantine: int
    ignored: int
    ignored_kinds: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class WorklistView:
    """The worklist page: every lesion under its status, and what else wants attention."""

    patients: tuple[str, ...]
    lesions: dict[str, tuple[LesionView, ...]]
    overdue: tuple[LesionView, ...]
    overdue_unknown: int
    missing: tuple[LesionView, ...]
    excised: tuple[LesionView, ...]
    total_body: tuple[tuple[str, tuple[PhotoView, ...]], ...]
    quarantine: tuple[QuarantineRow, ...]
    balance: Balance
