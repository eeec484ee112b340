"""What is to be done: the stages, their fingerprints, and the keys that have no row for their present fingerprint.

A fingerprint hashes the stage's code version, the release it uses, the columns it reads of entity tables, and the
fingerprints of the results it stands on. So it is known before anything is computed: a corrected date or another mask
model makes exactly what hangs on it pending, however far down.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from longderm.archive import live_photos
from longderm.models import Release
from longderm.models.in_use import InUse, releases_in_use
from longderm.schema import TABLES
from longderm.settings import Settings
from longderm.store import Store, current_rows

#: Raise a stage's number whenever its code gives other results.
CODE_VERSIONS = {
    "previews": 2,
    "scales": 1,
    "masks": 5,
    "quality": 4,
    "structures": 2,
    "measures": 3,
    "alignments": 6,
    "changes": 5,
    "decisions": 3,
    "trajectories": 3,
}

#: The release each stage computes with.
RELEASE_OF = {
    "masks": "segmentation",
    "quality": "quality",
    "structures": "segmentation",
    "changes": "change",
    "decisions": "change",
    "trajectories": "change",
}

#: The stages that work on one photo, in the order in which they are committed.
PHOTO_STAGES = ("previews", "scales", "masks", "quality", "structures", "measures")
PAIR_STAGES = ("alignments", "changes")
LESION_STAGES = ("decisions", "trajectories")
STAGES = PHOTO_STAGES + PAIR_STAGES + LESION_STAGES

#: Classical stages compute on the processor alone; a stage that may use a GPU names its kind here.
DEVICE_CLASS = "cpu"

#: The scale of a photo: what its metadata state in `photos`, what it is measured by in `scales`.
SCALE_COLUMNS = ("px_per_mm", "px_per_mm_source", "px_per_mm_error")
#: What decisions read of a photo's row.
_OF_PHOTO = ("modality", "polarised", "contact", "caveats", "content_hash", "laterality", "width_px", "height_px")

#: What a decision records of its grounds: long, and nothing is computed from it.
_RECORDS = ("facts", "thresholds")

Row = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two photos of one lesion that are to be compared, and why."""

    pair_id: str
    lesion_id: str
    modality: str
    baseline: Row
    followup: Row
    policy: str  # previous, first, previous_and_first, or repeat

    @property
    def interval_days(self) -> int | None:
        """Days between the visits; None for undated repeats."""
        if self.policy == "repeat":
            return None
        return int(self.followup["acquisition_day"]) - int(self.baseline["acquisition_day"])


@dataclass(frozen=True)
class Work:
    """The plan over a store: what should be there (`expected`: stage -> key -> fingerprint), and what is missing.

    in_use: kind -> the release that the stages use, and whether it is approved.
    """

    photos: dict[str, Row]
    lesions: dict[str, Row]
    events: dict[str, tuple[Row, ...]]
    pairs: dict[str, Pair]
    series: dict[str, tuple[Row, ...]]
    expected: dict[str, dict[str, str]]
    pending: dict[str, tuple[str, ...]]
    rows: dict[str, dict[str, Row]] = field(repr=False)
    in_use: dict[str, InUse] = field(repr=False)

    @property
    def nothing(self) -> bool:
        """No stage has anything to do."""
        return not any(self.pending.values())

    def result(self, stage: str, key: str) -> Row | None:
        """The present row of a stage for an entity, or None while it is pending."""
        return self.rows[stage].get(key)

    def scale(self, photo: Row) -> Row:
        """The scale that a photo is measured by, with its caveats; the stated one where none could be sought."""
        row = self.result("scales", photo["photo_id"])
        return photo | {"caveats": []} if row is None or row["failure"] else row


class Fingerprinter:
    """Makes the fingerprints of one set of settings and of the releases that a store uses under them."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        # No other kind: what no stage computes with changes no result and no decision.
        self.in_use: dict[str, InUse] = releases_in_use(settings, store, set(RELEASE_OF.values()))
        self.releases: dict[str, Release] = {kind: used.release for kind, used in self.in_use.items()}

    def __call__(self, stage: str, *upstream: Any) -> str:
        """First 32 hex characters of SHA-256 over the stage and what it stands on."""
        release = self.releases[RELEASE_OF[stage]].digest if stage in RELEASE_OF else None
        parts = [stage, CODE_VERSIONS[stage], release, DEVICE_CLASS, *upstream]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def find_work(store: Store, settings: Settings) -> Work:
    """Compare what the settings and inputs ask for with what the store holds."""
    fingerprint = Fingerprinter(settings, store)
    photos = _by_key(live_photos(store.current("photos"), store.current("files")), "photo_id")
    lesions = _by_key(store.current("lesions"), "lesion_id")
    events = _group(store.current("events").to_pylist(), "lesion_id")
    expected: dict[str, dict[str, str]] = {stage: {} for stage in STAGES}
    rows: dict[str, dict[str, Row]] = {}

    def settle(stage: str) -> None:
        (key,) = TABLES[stage].key
        current = current_rows(stage, store.table(stage), expected[stage])
        rows[stage] = _by_key(current.drop_columns([name for name in _RECORDS if name in current.column_names]), key)

    for photo_id, photo in photos.items():
        image = photo["content_hash"]
        expected["previews"][photo_id] = fingerprint("previews", image)
        if photo["modality"] == "total_body":
            continue  # taken in and shown; its lesions are not judged yet
        expected["scales"][photo_id] = scale = fingerprint(
            "scales", image, photo["modality"], _pick(photo, SCALE_COLUMNS)
        )
        expected["masks"][photo_id] = masks = fingerprint("masks", image, photo["modality"])
        expected["quality"][photo_id] = fingerprint("quality", image, photo["modality"], masks)
        expected["structures"][photo_id] = fingerprint("structures", image, photo["modality"])
        expected["measures"][photo_id] = fingerprint("measures", masks, scale)
    for stage in PHOTO_STAGES:
        settle(stage)

    # Which photo of a visit is compared depends on quality, so pairs are planned from photos that have been judged.
    judged = [photo for photo_id, photo in photos.items() if photo_id in rows["quality"] and photo["lesion_id"]]
    series = best_series(judged, rows["quality"])
    pairs = {pair.pair_id: pair for visits in series.values() for pair in plan_pairs(visits)}
    approved = [[kind, used.release.digest, used.approved_digest] for kind, used in fingerprint.in_use.items()]
    of_lesion: dict[str, list[str]] = defaultdict(list)
    for pair_id, pair in sorted(pairs.items()):
        both = (pair.baseline, pair.followup)
        ids = [photo["photo_id"] for photo in both]
        facts = [_pick(photo, _OF_PHOTO) for photo in both]
        scales = [expected["scales"][i] for i in ids]
        align = fingerprint("alignments", [expected["masks"][i] for i in ids], scales, pair.policy, pair.interval_days)
        change = fingerprint("changes", align, [[expected["measures"][i], expected["previews"][i]] for i in ids])
        lesion = lesions[pair.lesion_id]
        decide = fingerprint(
            "decisions",
            change,
            [expected["quality"][i] for i in ids],
            scales,
            facts,
            lesion["special_site"],
            [_pick(event, ("event_id", "event_day", "event_kind")) for event in events.get(pair.lesion_id, ())],
            [photo["acquisition_day"] for photo in both],
            same_patient(pair, lesion),
            approved,
        )
        expected["alignments"][pair_id], expected["changes"][pair_id] = align, change
        expected["decisions"][pair_id] = decide
        of_lesion[pair.lesion_id].append(decide)
    for lesion_id, visits in sorted(_trajectory_series(series).items()):
        expected["trajectories"][lesion_id] = fingerprint(
            "trajectories",
            of_lesion[lesion_id],
            lesions[lesion_id]["special_site"],
            [[expected[s][v["photo_id"]] for s in ("measures", "quality")] + [v["acquisition_day"]] for v in visits],
        )
    for stage in PAIR_STAGES + LESION_STAGES:
        settle(stage)
    pending = {stage: tuple(sorted(set(expected[stage]) - set(rows[stage]))) for stage in STAGES}
    in_use = fingerprint.in_use
    return Work(photos, lesions, events, pairs, _trajectory_series(series), expected, pending, rows, in_use)


def same_patient(pair: Pair, lesion: Row) -> bool:
    """Both photos and the lesion are of one patient."""
    return len({pair.baseline["patient_id"], pair.followup["patient_id"], lesion["patient_id"]}) == 1


def plan_pairs(visits: Sequence[Row]) -> list[Pair]:
    """The pairs of one lesion and modality: every visit against the previous *and* against the first.

    `visits` are photo rows, one per visit, in order of time. Undated repeats are all compared with the first.
    """
    pairs = []
    for i in range(1, len(visits)):
        if visits[i]["undated_repeat"]:
            pairs.append(_pair(visits[0], visits[i], "repeat"))
        elif i == 1:
            pairs.append(_pair(visits[0], visits[1], "previous_and_first"))
        else:
            pairs.append(_pair(visits[i - 1], visits[i], "previous"))
            pairs.append(_pair(visits[0], visits[i], "first"))
    return pairs


def current_tables(store: Store, settings: Settings) -> dict[str, pa.Table]:
    """The current view of every table of a store, as reports and exports read it."""
    work = find_work(store, settings)
    tables = {name: store.current(name) for name in ("patients", "lesions", "photos", "events", "quarantine", "files")}
    tables["photos"] = live_photos(tables["photos"], tables["files"])
    files = tables["files"]
    held = {
        ref
        for ref, status in zip(files["file_ref"].to_pylist(), files["status"].to_pylist(), strict=True)
        if status == "quarantine"
    }
    mask = [ref in held for ref in tables["quarantine"]["file_ref"].to_pylist()]
    tables["quarantine"] = tables["quarantine"].filter(pa.array(mask, pa.bool_()))
    for stage in STAGES:
        tables[stage] = store.current(stage, work.expected[stage])
    return tables


def best_series(photos: Iterable[Row], quality: Mapping[str, Row]) -> dict[tuple[str, str, bool], tuple[Row, ...]]:
    """(lesion, modality, undated) -> one photo per visit in order of time: the best of the day."""
    grouped: dict[tuple[str, str, bool], dict[Any, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for photo in photos:
        undated = bool(photo["undated_repeat"])
        visit = photo["photo_id"] if undated else photo["acquisition_day"]
        grouped[photo["lesion_id"], photo["modality"], undated][visit].append(photo)

    def rank(photo: Row) -> tuple[float, float, str, str]:
        judged = quality[photo["photo_id"]]
        score, error = judged["score"], judged["expected_error"]
        # Equally good photos are told apart by their pixels: their ids differ from store to store.
        of_pixels = (photo["content_hash"], photo["photo_id"])
        return (-(score if score is not None else -1.0), error if error is not None else 1.0, *of_pixels)

    return {
        key: tuple(min(candidates, key=rank) for _, candidates in sorted(visits.items()))
        for key, visits in sorted(grouped.items())
    }


def _trajectory_series(series: Mapping[tuple[str, str, bool], tuple[Row, ...]]) -> dict[str, tuple[Row, ...]]:
    """Lesion -> its dated dermoscopic visits: what a trajectory is drawn over."""
    return {
        lesion: visits
        for (lesion, modality, undated), visits in series.items()
        if modality == "dermoscopic" and not undated
    }


def _pair(baseline: Row, followup: Row, policy: str) -> Pair:
    joined = f"{baseline['photo_id']}>{followup['photo_id']}"
    pair_id = hashlib.sha256(joined.encode()).hexdigest()[:32]
    return Pair(pair_id, baseline["lesion_id"], baseline["modality"], baseline, followup, policy)


def _pick(row: Row, columns: Iterable[str]) -> list[Any]:
    return [row[column] for column in columns]


def _by_key(table: pa.Table, key: str) -> dict[str, Row]:
    return {row[key]: row for row in table.to_pylist()}


def _group(rows: Iterable[Row], key: str) -> dict[str, tuple[Row, ...]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return {name: tuple(members) for name, members in groups.items()}
