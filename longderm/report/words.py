"""The words and numbers that people read: days, measures, sites, verdicts and the sentence of a change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Mean length of a month in days, as everywhere in longderm.
MONTH_DAYS = 30.4375

#: Below this many days a time is told in days, from here on in months (two months: "month 0.9" says little).
DAYS_UNTIL_MONTHS = 61

#: Measure -> (what people call it, verb when it rises, verb when it falls).
_MEASURES = {
    "area_mm2": ("area", "grew", "shrank"),
    "area_px": ("area", "grew", "shrank"),
    "area_change_percent": ("area", "grew", "shrank"),
    "area_percent": ("area", "grew", "shrank"),
    "perimeter_mm": ("border length", "grew", "shrank"),
    "clin_size_long_diam_mm": ("longest diameter", "grew", "shrank"),
    "long_diam_px": ("longest diameter", "grew", "shrank"),
    "short_diam_mm": ("short diameter", "grew", "shrank"),
    "eccentricity": ("elongation", "rose", "fell"),
    "border_irregularity": ("border irregularity", "rose", "fell"),
    "asymmetry_shape": ("asymmetry of shape", "rose", "fell"),
    "asymmetry_colour": ("asymmetry of colour", "rose", "fell"),
    "colour_count": ("number of colours", "rose", "fell"),
    "colour_variegation": ("variety of colour", "rose", "fell"),
    "delta_lightness": ("lightness against the surrounding skin", "rose", "fell"),
    "delta_a": ("redness against the surrounding skin", "rose", "fell"),
    "delta_b": ("yellowness against the surrounding skin", "rose", "fell"),
    "dark_fraction": ("dark share of the lesion", "rose", "fell"),
}

_UNITS = {"mm2": "mm²", "percent": "%", "1": "", "": "", "fraction": "", "ratio": "", "count": "", "px2": "px²"}

_LATERALITY = {"L": "left", "R": "right", "B": "both sides"}

_POLICIES = {
    "previous": "against the previous visit",
    "first": "against the first visit",
    "previous_and_first": "against the previous visit, which is also the first",
    "repeat": "undated repeats of one lesion",
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
    return _MEASURES[measure][0] if measure in _MEASURES else measure.replace("_", " ")


def decimals_for(*values: float | None) -> int:
    """How many decimals tell the smallest of `values` with about two digits, 0 to 3."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value) and value != 0]
    smallest = min(known, default=1.0)
    return 0 if smallest >= 100 else 1 if smallest >= 1 else 2 if smallest >= 0.1 else 3


def number(value: float | None, decimals: int | None = None, *, signed: bool = False) -> str:
    """A number for people, with a true minus sign; None is "not known"."""
    if value is None or not math.isfinite(value):
        return "not known"
    places = decimals_for(value) if decimals is None else decimals
    text = f"{value:{'+' if signed else ''}.{places}f}"
    if float(text) == 0:
        text = text.lstrip("+-")  # no "-0.0": a rounded nothing has no direction
    return _minus(text)


def with_unit(text: str, unit: str | None) -> str:
    """Append the unit: "5.1 mm²", "12%", "0.3"."""
    label = unit_label(unit)
    if not label:
        return text
    return f"{text}%" if label == "%" else f"{text} {label}"


def delta_decimals(delta: float, mdc: float | None) -> int:
    """Decimals at which a difference and its MDC can be told apart (at most 4)."""
    places = decimals_for(delta, mdc)
    while mdc is not None and places < 4 and round(abs(delta), places) == round(mdc, places) and abs(delta) != mdc:
        places += 1
    return places


def delta_sentence(row: Mapping[str, Any]) -> str:
    """One measured difference as a sentence that names measure, delta, unit and MDC."""
    measure, unit, delta, mdc = row["measure"], row["unit"], row["delta"], row["mdc"]
    label = measure_label(measure)
    if delta is None:
        return f"{label.capitalize()}: no difference measured."
    places = delta_decimals(delta, mdc)
    _, up, down = _MEASURES.get(measure, ("", "rose", "fell"))
    amount = with_unit(number(abs(delta), places), unit)
    ends = ""
    if row["baseline"] is not None and row["followup"] is not None:
        ends = f" (from {number(row['baseline'], places)} to {with_unit(number(row['followup'], places), unit)})"
    verb = up if delta > 0 else down
    head = f"{label[0].upper()}{label[1:]} {verb} by {amount}{ends}"
    if round(delta, places) == 0:
        head = f"{label[0].upper()}{label[1:]} did not move{ends}"
    if mdc is None:
        return f"{head}; its measuring noise is not known."
    noise = with_unit(number(mdc, places), unit)
    relation = "above" if row["exceeds_mdc"] else "within"
    return f"{head}: {relation} the minimal detectable change (MDC) of {noise}."


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


def plain(text: str | None) -> str:
    """A code with its underscores as spaces."""
    return (text or "").replace("_", " ")


def _minus(text: str) -> str:
    return text.replace("-", "−")
