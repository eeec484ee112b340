"""The words and numbers that people read: days, measures, sites, verdicts and the sentence of a change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from longderm.change.evidence import DISTANCES, SPECS

#: Mean length of a month in days, as everywhere in longderm.
MONTH_DAYS = 30.4375

#: Below this many days a time is told in days, from here on in months (two months: "month 0.9" says little).
DAYS_UNTIL_MONTHS = 61

#: Measures in millimetres, which the change room derives from its relative ones: what they are called.
_IN_MILLIMETRES = {"area_mm2": "area", "clin_size_long_diam_mm": "longest diameter"}

#: A measure with a scale -> the relative one that says the same; only one of them is told in a headline.
RELATIVE_TWIN = {"area_mm2": "area", "clin_size_long_diam_mm": "long_diam"}

#: Said before all others where they are above their noise: what a clinician asks for first.
SIZE_MEASURES = ("area_mm2", "area", "clin_size_long_diam_mm", "long_diam")

#: An area that may be off by a factor of two is told without numbers: they would look as if something were known.
HARDLY_TOLD = 1.0

_UNITS = {"mm2": "mm²", "percent": "%", "Lab": "Lab units", "1": "", "count": ""}

_LATERALITY = {"L": "left", "R": "right", "B": "both sides"}

_POLICIES = {
    "previous": "against the previous visit",
    "first": "against the first visit",
    "previous_and_first": "against the previous visit, which is also the first",
    "repeat": "undated repeats of one lesion",
}

#: Caveat code of a photo -> what it means to who reads the page; a code that is not listed is shown as it is.
_CAVEATS = {
    "burned_in_not_excluded": "text burnt into the pixels is not excluded",
    "date_not_of_acquisition": "dated by another date than that of the photo",
    "exif_unreadable": "orientation not certain (EXIF unreadable)",
    "icc_profile_unusable": "colours not certain (colour profile unusable)",
    "modality_assumed": "taken for dermoscopy, the file does not say",
    "scale_contradicts_ruler": "the stated scale and a ruler in the photo contradict each other",
}

#: Where a photo's scale comes from, in words.
_SCALE_SOURCES = {
    "dicom_pixel_spacing": "of the device",
    "metadata": "as stated",
    "ruler": "of a ruler in the photo",
}

#: Structures less probable than this are not told one by one: they are told weakly, and a reader wants the likely ones.
_UNLIKELY = 0.5

#: Columns of `structures`, in words.
_STRUCTURES = {
    "pigment_network": "pigment network",
    "globules": "globules",
    "streaks": "streaks",
    "negative_network": "negative network",
    "milia_like_cyst": "milia-like cysts",
}

MODALITY_WORDS = {
    "dermoscopic": "dermoscopy",
    "clinical": "clinical close-up",
    "total_body": "total body",
    "tbp_tile": "total-body tile",
}


def day_label(day: int | None) -> str:
    """A day of the patient's own scale as "day 12" or "month 3.2"; None is "undated"."""
    if day is None:
        return "undated"
    if abs(day) < DAYS_UNTIL_MONTHS:
        return f"day {_minus(str(day))}"
    return f"month {_minus(f'{day / MONTH_DAYS:.1f}')}"


def span_label(days: int | None) -> str:
    """A length of time as "12 days" or "6.1 months"; None is "unknown time"."""
    if days is None:
        return "an unknown time"
    if abs(days) < DAYS_UNTIL_MONTHS:
        return f"{days} day" if days == 1 else f"{days} days"
    return f"{days / MONTH_DAYS:.1f} months"


def months_label(months: float) -> str:
    """ "12 months", "1 month", "1.5 months"."""
    return f"{months:g} {'month' if months == 1 else 'months'}"


def count_label(count: int, singular: str, plural: str | None = None) -> str:
    """ "1 lesion", "3 lesions", "no lesion"."""
    if count == 0:
        return f"no {singular}"
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def unit_label(unit: str | None) -> str:
    """A unit as people write it ("mm2" is mm²); a pure number has none."""
    return _UNITS.get(unit or "", unit or "")


def measure_label(measure: str) -> str:
    """What people call a measure; one that is not known here keeps its own name."""
    if measure in _IN_MILLIMETRES:
        return _IN_MILLIMETRES[measure]
    return SPECS[measure].label if measure in SPECS else measure.replace("_", " ")


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """A number for people, with a true minus sign; None is "not known"."""
    if value is None or not math.isfinite(value):
        return "not known"
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")  # no "-0.0": a rounded nothing has no direction
    return _minus(text)


def with_unit(text: str, unit: str | None) -> str:
    """Append the unit: "5.1 mm²", "12%", "0.3"."""
    label = unit_label(unit)
    if not label:
        return text
    return f"{text}%" if label == "%" else f"{text} {label}"


def delta_decimals(delta: float | None, mdc: float | None, unit: str | None) -> int:
    """Decimals for a difference with about two digits, one more where that tells it apart from its MDC; 0 to 4."""
    known = [abs(value) for value in (delta, mdc) if value is not None and math.isfinite(value) and value != 0]
    smallest = min(known, default=1.0)
    whole = unit == "count" or (unit_label(unit) == "%" and smallest >= 10) or smallest >= 100
    places = 0 if whole else 1 if smallest >= 1 else 2 if smallest >= 0.1 else 3
    if unit == "count" and mdc is not None and not float(mdc).is_integer():
        places = 1
    alike = delta is not None and mdc is not None and _look_alike(delta, mdc, places)
    if alike and not _look_alike(delta or 0.0, mdc or 0.0, places + 1):
        return places + 1
    return places  # closer than that, more digits would only look exact


def delta_texts(row: Mapping[str, Any]) -> dict[str, str]:
    """One measured difference as text: its values, `short` ("area +38% (MDC 17%)") and the whole `sentence`."""
    measure, unit, delta, mdc = row["measure"], row["unit"], row["delta"], row["mdc"]
    places = delta_decimals(delta, mdc, unit)
    label, kind = measure_label(measure), SPECS[measure].kind if measure in SPECS else "ratio"
    of_values = 0 if unit == "count" else places

    def text(value: float | None, *, signed: bool = False, decimals: int = places) -> str:
        return "not known" if value is None else with_unit(number(value, decimals, signed=signed), unit)

    noise = "MDC not known" if mdc is None else f"MDC {text(mdc)}"
    difference = text(delta, signed=kind not in DISTANCES, decimals=of_values)
    told = {
        "label": label,
        "baseline": text(row["baseline"], decimals=of_values) if row["baseline"] is not None else "",
        "followup": text(row["followup"], decimals=of_values) if row["followup"] is not None else "",
        "delta": difference,
        "mdc": text(mdc),
        "short": f"{label} {difference} ({noise})",
    }
    ends = ""
    # The baseline of a relative measure is 100% by definition: its two values say no more than the difference.
    if row["baseline"] is not None and row["followup"] is not None and unit_label(unit) != "%":
        ends = f" (from {number(row['baseline'], of_values)} to {told['followup']})"
    head = label[0].upper() + label[1:]
    if delta is None:
        head += " was not measured"
    elif kind in DISTANCES:
        head += f" of {difference}"
    elif round(delta, of_values) == 0:
        head += f" did not move{ends}"
    else:
        up, down = ("grew", "shrank") if kind == "ratio" else ("rose", "fell")
        head += f" {up if delta > 0 else down} by {text(abs(delta), decimals=of_values)}{ends}"
    if mdc is None:
        told["sentence"] = f"{head}; its minimal detectable change (MDC) is not known."
    else:
        relation = "above" if row["exceeds_mdc"] else "within"
        told["sentence"] = f"{head}: {relation} the minimal detectable change (MDC) of {told['mdc']}."
    return told


def policy_label(policy: str | None) -> str:
    """What a pair compares, in words."""
    return _POLICIES.get(policy or "", policy or "comparison")


def site_label(row: Mapping[str, Any] | None) -> str:
    """Where a lesion is: the finest site known, with its side."""
    if row is None:
        return "site not recorded"
    names: list[str] = []
    for column in ("anatom_site_general", "anatom_site_1", "anatom_site_2"):
        name = (row.get(column) or "").strip()
        if name and name.lower() not in (known.lower() for known in names):
            names.append(name)
    site = " · ".join(names[-2:])  # the last two levels say enough
    if not site and row.get("site_code"):
        site = f"site code {row['site_code']}"
    if not site:
        site = "site not recorded"
    side = _LATERALITY.get(row.get("laterality") or "")
    if side and side not in site.lower():
        site += f", {side}"
    return site[0].upper() + site[1:]


def short_id(identifier: str) -> str:
    """The first eight characters of a pseudonym: enough to tell lesions apart on a page."""
    return identifier[:8]


def failure_text(stage: str, failure: str) -> str:
    """A stage's failure in words: its code without the prefix that marks it."""
    return f"the {stage} stage failed ({plain(failure.removeprefix('failed:'))})"


def caveat_label(code: str) -> str:
    """A photo's caveat in words."""
    return _CAVEATS.get(code, plain(code))


def scale_label(row: Mapping[str, Any]) -> str | None:
    """Where a photo's scale comes from, with its 95% interval where it is known; None without a scale."""
    if row["px_per_mm"] is None:
        return None
    source, error = row["px_per_mm_source"], row["px_per_mm_error"]
    told = _SCALE_SOURCES.get(source or "", plain(source) or "source not known")
    return told if error is None else f"{told} (95%: ±{number(196 * error, 1)}%)"


def area_doubt(area_mm2: float | None, area_error: float | None) -> str | None:
    """What an area's error means: between which areas its border may lie (scale aside), or that it is hardly seen."""
    if area_mm2 is None or area_error is None:
        return None
    if area_error >= HARDLY_TOLD:
        return "its border can hardly be told"
    low, high = (number(area, 1) for area in (area_mm2 / (1 + area_error), area_mm2 * (1 + area_error)))
    return f"as the border may lie: {low} to {high}"


def skin_label(ita_class: str | None, ita_deg: float | None) -> str | None:
    """The skin's typology class with its angle: "intermediate (ITA 34°)"; None where it is not known."""
    if ita_class is None or ita_deg is None:
        return None
    return f"{ita_class} (ITA {number(ita_deg, 0)}°)"


def structure_labels(row: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Dermoscopic structures with their probability, the likeliest first, the unlikely in one; none if none looked."""
    known = {name: round(row[name], 2) for name in _STRUCTURES if row[name] is not None} if row else {}
    told = sorted((name for name in known if known[name] >= _UNLIKELY), key=lambda name: (-known[name], name))
    labels = [f"{_STRUCTURES[name]} {'>99' if known[name] > 0.99 else f'{100 * known[name]:.0f}'}%" for name in told]
    if len(told) < len(known):
        labels.append(f"{'others' if told else 'each'} <{100 * _UNLIKELY:.0f}%")
    return tuple(labels)


def plain(text: str | None) -> str:
    """A code with its underscores as spaces."""
    return (text or "").replace("_", " ")


def _look_alike(delta: float, mdc: float, places: int) -> bool:
    return round(abs(delta), places) == round(mdc, places) and abs(delta) != mdc


def _minus(text: str) -> str:
    return text.replace("-", "−")
