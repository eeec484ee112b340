"""Tables made by hand in the schema, with drawn pictures, for the tests of the pages."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import settings
from PIL import Image, ImageDraw, ImageFilter

from longderm.report import ReportContext
from longderm.schema import TABLES

#: Every run draws the same examples, and none fails for taking long on a busy machine.
steady = settings(deadline=None, derandomize=True, max_examples=60)

RECORDED_AT = datetime(2024, 5, 1, tzinfo=UTC)
WIDTH, HEIGHT = 640, 480


def identifier(text: str) -> str:
    """A pseudonym as the store makes them: 32 hexadecimal characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def context(**changes: Any) -> ReportContext:
    """A report context with today's day unknown, unless told."""
    given = {
        "as_of": date(2024, 5, 1),
        "as_of_days": None,
        "followup_months": 12.0,
        "longderm_version": "0.1.0",
        "models": {"segmentation": "0.1.0", "change": "0.1.0"},
        "simulated": False,
    }
    return ReportContext(**(given | changes))


@dataclass
class Archive:
    """Rows and pictures that grow by calls; `tables` makes them Arrow."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in TABLES})
    objects: dict[str, bytes] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> dict[str, Any]:
        spec = TABLES[table]
        extra: dict[str, Any] = {"recorded_at": RECORDED_AT}
        extra |= {"revision": 1} if spec.kind == "entity" else {"fingerprint": "f"} if spec.kind == "result" else {}
        assert set(row) <= set(spec.schema.names), set(row) - set(spec.schema.names)
        self.rows[table].append(extra | row)
        return self.rows[table][-1]

    def put(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.objects[name] = data
        return name

    def read_object(self, name: str) -> bytes:
        return self.objects[name]

    def tables(self) -> dict[str, pa.Table]:
        return {name: pa.Table.from_pylist(rows, schema=TABLES[name].schema) for name, rows in self.rows.items()}

    def patient(self, name: str, **row: Any) -> str:
        patient_id = identifier(name)
        self.add("patients", patient_id=patient_id, **row)
        return patient_id

    def lesion(self, patient_id: str, name: str, **row: Any) -> str:
        lesion_id = identifier(patient_id + name)
        self.add("lesions", lesion_id=lesion_id, patient_id=patient_id, **row)
        return lesion_id

    def photo(
        self,
        patient_id: str,
        lesion_id: str | None,
        day: int | None,
        *,
        radius_px: float | None = None,
        structures: dict[str, float] | None = None,
        skin: tuple[str, float] | None = None,
        area_error: float | None = 0.25,
        **row: Any,
    ) -> str:
        """A photo with its file, preview, scale, quality, mask, structures and measures.

        `radius_px` draws a lesion of that size, its area right within a factor of 1 + `area_error`; `structures` are
        seen in it, `skin` (class, ITA) around it.
        """
        number = len(self.rows["photos"])
        photo_id = identifier(f"photo {number}")
        given = {
            "modality": "dermoscopic" if lesion_id else "total_body",
            "width_px": WIDTH,
            "height_px": HEIGHT,
            "px_per_mm": 40.0,
            "px_per_mm_source": "metadata",
            "undated_repeat": day is None,
            "file_ref": identifier(f"file {number}"),
            "format": "jpeg",
            "caveats": [],
        }
        self.add(
            "photos",
            photo_id=photo_id,
            patient_id=patient_id,
            lesion_id=lesion_id,
            acquisition_day=day,
            **(given | row),
        )
        self.add("files", file_ref=identifier(f"file {number}"), status="photo", photo_id=photo_id)
        preview = None if radius_px is None else self.put(draw(radius_px, seed=number))
        self.add("previews", photo_id=photo_id, preview_object=preview, preview_scale=0.5)
        self.add("quality", photo_id=photo_id, score=0.9 - 0.001 * number, reasons=[])
        if lesion_id is not None:
            mask = None if radius_px is None else self.put(draw_mask(radius_px))
            drawn = {"found": True, "confidence": 0.9, "touches_border": False, "area_error": area_error}
            self.add("masks", photo_id=photo_id, mask_object=mask, **drawn)
            area = None if radius_px is None else math.pi * (radius_px / 40.0) ** 2
            scaled = (given | row)["px_per_mm"] is not None
            scale = {name: (given | row).get(name) for name in ("px_per_mm", "px_per_mm_source", "px_per_mm_error")}
            self.add("scales", photo_id=photo_id, caveats=[], **scale)
            self.add("structures", photo_id=photo_id, **(structures or {}))
            tone = {} if skin is None else {"ita_class": skin[0], "ita_deg": skin[1]}
            self.add(
                "measures", photo_id=photo_id, area_px=area and area * 1600, area_mm2=area if scaled else None, **tone
            )
        return photo_id

    def pair(
        self,
        lesion_id: str,
        baseline: str,
        followup: str,
        *,
        policy: str = "previous_and_first",
        verdict: str = "issued",
        rule: str = "issued",
        reasons: tuple[str, ...] = (),
        flagged: bool = False,
        score: float | None = 0.2,
        deltas: tuple[dict[str, Any], ...] = (),
        findings: tuple[str, ...] = (),
        radius_px: float | None = None,
        accepted: bool = True,
        **change: Any,
    ) -> str:
        pair_id = identifier(baseline + followup)
        days = {row["photo_id"]: row["acquisition_day"] for row in self.rows["photos"]}
        modalities = {row["photo_id"]: row["modality"] for row in self.rows["photos"]}
        dated = days[baseline] is not None and days[followup] is not None
        self.add(
            "alignments",
            pair_id=pair_id,
            lesion_id=lesion_id,
            modality=modalities[baseline],
            baseline_photo_id=baseline,
            followup_photo_id=followup,
            policy=policy,
            interval_days=days[followup] - days[baseline] if dated else None,
            matrix=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0] if accepted else None,
            accepted=accepted,
            confidence=0.9,
            reason=None if accepted else "no match was found",
        )
        seed = len(self.rows["changes"]) + 100
        self.add(
            "changes",
            pair_id=pair_id,
            lesion_id=lesion_id,
            score=score,
            p_value=None if score is None else round(1 - score, 3),
            reasons=list(findings),
            deltas=list(deltas),
            aligned_object=self.put(draw(radius_px, seed=seed)) if radius_px and accepted else None,
            heatmap_object=self.put(draw(radius_px, seed=seed, heat=True)) if radius_px and accepted else None,
            model="change/0.1.0",
            **change,
        )
        self.add(
            "decisions",
            pair_id=pair_id,
            lesion_id=lesion_id,
            verdict=verdict,
            rule=rule,
            reasons=list(reasons),
            flagged=flagged,
        )
        return pair_id


def delta(
    measure: str,
    unit: str,
    baseline: float | None,
    followup: float | None,
    mdc: float | None,
    value: float | None = None,
) -> dict[str, Any]:
    """One measured difference as the change stage writes it."""
    change = value if value is not None else (followup or 0.0) - (baseline or 0.0)
    exceeds = None if mdc is None else abs(change) > mdc
    return {
        "measure": measure,
        "unit": unit,
        "baseline": baseline,
        "followup": followup,
        "delta": change,
        "mdc": mdc,
        "exceeds_mdc": exceeds,
    }


def draw(radius_px: float, seed: int, heat: bool = False) -> bytes:
    """A JPEG of a brown spot on skin, at half the native size."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH // 2, HEIGHT // 2), (226, 180, 160))
    pen = ImageDraw.Draw(image)
    for index in range(40):
        angle, away = rng.uniform(0, 2 * math.pi), radius_px / 2 * rng.uniform(0, 0.75)
        x, y, r = 160 + away * math.cos(angle), 120 + away * math.sin(angle), radius_px / 2 * rng.uniform(0.15, 0.4)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(120 - index, 76 - index // 2, 52))
    if heat:
        pen.ellipse((160 + radius_px / 3, 100, 175 + radius_px / 2, 150), fill=(230, 0, 170))
    image = image.filter(ImageFilter.GaussianBlur(2))
    noisy = np.clip(np.asarray(image, np.float64) + rng.normal(0, 4, (HEIGHT // 2, WIDTH // 2, 1)), 0, 255)
    out = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def draw_mask(radius_px: float) -> bytes:
    """A 1-bit PNG of a disc in the middle of the native grid."""
    image = Image.new("1", (WIDTH, HEIGHT), 0)
    middle = (WIDTH / 2, HEIGHT / 2)
    box = (middle[0] - radius_px, middle[1] - radius_px, middle[0] + radius_px, middle[1] + radius_px)
    ImageDraw.Draw(image).ellipse(box, fill=1)
    return png(image)


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def clinic() -> Archive:
    """Two patients with every kind of lesion that a page tells apart."""
    made = Archive()
    one = made.patient("one", sex="female", fitzpatrick_skin_type="II")
    _growing(made, one)
    _stable(made, one)
    _blurred(made, one)
    single = made.lesion(one, "single", anatom_site_general="upper extremity", laterality="L")
    made.photo(one, single, 0, radius_px=90)
    face = made.lesion(one, "face", anatom_site_general="head/neck", special_site="face")
    pair = [made.photo(one, face, day, radius_px=80) for day in (0, 190)]
    made.pair(face, *pair, verdict="out_of_scope", rule="special_site", reasons=("face site: not judged",), score=0.77)
    gone = made.lesion(one, "gone", anatom_site_general="posterior torso")
    first, second = (made.photo(one, gone, day, radius_px=100) for day in (0, 95))
    made.pair(gone, first, second, reasons=("change not above the noise",), deltas=(delta("area", "%", 100, 102, 17),))
    made.add(
        "events",
        event_id=identifier("e1"),
        patient_id=one,
        lesion_id=gone,
        event_day=120,
        event_kind="excision",
        diagnosis="dysplastic nevus",
    )
    made.photo(one, None, 0, radius_px=40)
    made.add("events", event_id=identifier("e2"), patient_id=one, event_day=30, event_kind="pregnancy")
    two = made.patient("two", sex="male")
    undated = made.lesion(two, "undated")
    repeats = [made.photo(two, undated, None, radius_px=70, px_per_mm=None) for _ in range(2)]
    made.pair(
        undated,
        *repeats,
        policy="repeat",
        verdict="issued_with_caveat",
        rule="undated_repeat",
        reasons=("repeats without dates",),
    )
    reasons = ("truncated", "no_date", "burned_in_annotation")
    for number, reason in enumerate(reasons):
        ref = identifier(f"bad {number}")
        made.add("files", file_ref=ref, status="quarantine", reason=reason)
        made.add("quarantine", file_ref=ref, reason=reason, detail=f"detail {number}")
    made.add("files", file_ref=identifier("dup"), status="duplicate")
    made.add("files", file_ref=identifier("ign"), status="ignored", reason="text")
    return made


def _growing(made: Archive, patient_id: str) -> None:
    lesion = made.lesion(
        patient_id, "growing", anatom_site_general="posterior torso", anatom_site_1="upper back", laterality="R"
    )
    radii = {0: 88, 97: 96, 190: 104, 281: 116}
    photos = {
        day: made.photo(patient_id, lesion, day, radius_px=radius, age_approx=45) for day, radius in radii.items()
    }
    made.photo(patient_id, lesion, 190, radius_px=103)
    days = list(photos)
    for index, day in enumerate(days[1:], start=1):
        for policy, start in {"first": 0, "previous": days[index - 1]}.items():
            if index == 1 and policy == "previous":
                continue
            ratio = (radii[day] / radii[start]) ** 2
            area = math.pi * (radii[start] / 40) ** 2
            rows = (
                delta("area", "%", 100.0, 100 * ratio, 17.0),
                delta("area_mm2", "mm2", area, area * ratio, 0.17 * area),
                delta("colour_count", "count", 2.0, 4.0 if policy == "first" and index > 1 else 2.0, 1.6),
                delta("delta_lightness", "Lab", -14.0, -15.2, 3.1),
                delta("structure_pattern", "1", None, None, 0.31, 0.28),
            )
            flagged = policy == "first" and index > 1
            made.pair(
                lesion, photos[start], photos[day],
                policy="previous_and_first" if index == 1 else policy,
                flagged=flagged, score=0.55 + 0.1 * index if flagged else 0.3, deltas=rows, radius_px=radii[day],
                area_change_percent=100 * ratio - 100,
                reasons=(f"change {'above' if flagged else 'not above'} the noise (p = 0.012)",),
                findings=("area +38% (MDC 17%)",) if flagged else (),
            )  # fmt: skip
    made.add(
        "trajectories", lesion_id=lesion, visits=4, first_day=0, last_day=281, growth_mm2_per_month=1.19,
        growth_mm2_per_month_low=0.35, growth_mm2_per_month_high=1.92, growth_percent_per_month=8.0,
        first_flagged_day=190,         verdict="issued", rule="issued", reasons=[],
    )  # fmt: skip


def _stable(made: Archive, patient_id: str) -> None:
    lesion = made.lesion(patient_id, "stable", anatom_site_general="lower extremity", laterality="L")
    photos = [
        made.photo(patient_id, lesion, day, radius_px=radius, px_per_mm=None)
        for day, radius in ((0, 80), (190, 81), (281, 82))
    ]
    rows = (delta("area", "%", 100.0, 104.0, 17.0), delta("dark_fraction", "1", 0.20, 0.21, 0.08))
    common = {"deltas": rows, "area_change_percent": 4.0, "reasons": ("change not above the noise (p = 0.8)",)}
    made.pair(lesion, photos[0], photos[1], radius_px=81, **common)
    made.pair(lesion, photos[0], photos[2], policy="first", radius_px=82, **common)
    made.pair(lesion, photos[1], photos[2], policy="previous", radius_px=82, **common)
    made.add(
        "trajectories", lesion_id=lesion, visits=3, first_day=0, last_day=281, growth_percent_per_month=0.4,
        growth_percent_per_month_low=-1.1, growth_percent_per_month_high=1.9, verdict="issued_with_caveat",
        rule="no_scale", reasons=["relative growth only: no scale"],
    )  # fmt: skip


def _blurred(made: Archive, patient_id: str) -> None:
    lesion = made.lesion(patient_id, "blurred", anatom_site_general="anterior torso")
    photos = [made.photo(patient_id, lesion, day, radius_px=80) for day in (0, 281)]
    quality = next(row for row in made.rows["quality"] if row["photo_id"] == photos[1])
    quality |= {"score": 0.11, "reasons": ["blurred: no sharp edge", "glare over 12%"]}
    made.pair(
        lesion, *photos, verdict="abstained", rule="quality", score=0.99, findings=("area +99% (MDC 17%)",),
        reasons=("the follow-up photo is not good enough (0.11, least 0.25): blurred",),
        deltas=(delta("area", "%", 100, 199, 17),), radius_px=80,
    )  # fmt: skip
