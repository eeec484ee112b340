"""Numbers in a report: decimal point or comma, what stands before and behind them, and lengths in mm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from longderm.prognosis.pathology_terms import Terms
from longderm.prognosis.pathology_values import Qualifier

#: A number as it is written in a report; more digits are no measurement.
NUMBER = r"(?<![\d.,])(?:\d{1,5}(?:[.,]\d{1,4})?|[.,]\d{1,3})"

#: Characters before a number in which words such as "at least" are looked for.
_REACH = 60

_SIGNS: dict[str, Qualifier] = {
    "<": "<",
    "≤": "<=",
    "<=": "<=",
    "=<": "<=",
    ">": ">",
    "≥": ">=",
    ">=": ">=",
    "=>": ">=",
    "~": "~",
    "≈": "~",
    "±": "~",
}
_SIGN = re.compile(r"(<=|>=|=<|=>|[<>≤≥~≈±])\s{0,3}$")
_WORDS: tuple[tuple[str, Qualifier], ...] = (
    ("at_least", ">="),
    ("at_most", "<="),
    ("less", "<"),
    ("more", ">"),
    ("about", "~"),
)


@dataclass(frozen=True)
class Measured:
    """A length of a text in mm from `start` to `end`; `value_mm` is None where it has no unit."""

    value_mm: float | None
    lower_mm: float | None
    qualifier: Qualifier
    start: int
    end: int


def number_of(text: str) -> float:
    """The number, whose decimal sign is a point or a comma."""
    return float(text.replace(",", "."))


def qualifier_of(text: str, left: int, start: int, terms: Terms) -> Qualifier:
    """How the number at `start` is meant; words before it count from `left` on."""
    left = max(left, start - _REACH)
    sign = _SIGN.search(text[left:start])
    if sign:
        return _SIGNS[sign[1]]
    found = [
        (match.end(), match.start(), qualifier)
        for name, qualifier in _WORDS
        for match in terms.pattern(name).finditer(text, left, start)
    ]
    # the word nearest to the number, of two that end together the longer: "not less than"
    return max(found, key=lambda item: (item[0], -item[1]))[2] if found else "="


def lengths_in(text: str, start: int, end: int, terms: Terms) -> Iterator[Measured]:
    """The lengths of a stretch of text; products of lengths (12 x 8 mm) and areas (mm2) are none."""
    pattern = _length(terms.unit_mm + terms.unit_um + terms.unit_cm, terms.to)
    micro, centi = terms.pattern("unit_um"), terms.pattern("unit_cm")
    left = start
    for match in pattern.finditer(text, start, end):
        if match["times"] is None:
            unit = match["unit"]
            factor = 0.001 if micro.fullmatch(unit) else 10.0 if centi.fullmatch(unit) else 1.0
            value = _in_mm(match["value"], factor)
            lower = None if match["lower"] is None else _in_mm(match["lower"], factor)
            qualifier: Qualifier = qualifier_of(text, left, match.start(), terms)
            if lower is not None:
                qualifier = "<="
            elif qualifier == "=" and terms.pattern("at_least").match(text, _skip(text, match.end()), end):
                qualifier = ">="
            yield Measured(value, lower, qualifier, match.start(), match.end())
        left = match.end()


def _in_mm(number: str, factor: float) -> float:
    return round(number_of(number) * factor, 6)


def _skip(text: str, at: int) -> int:
    return at + 1 if text[at : at + 1] == " " else at


@cache
def _length(unit_words: tuple[str, ...], to_words: tuple[str, ...]) -> re.Pattern[str]:
    units, to = (f"(?:{'|'.join(sorted(words, key=lambda w: (-len(w), w)))})" for words in (unit_words, to_words))
    times = rf"(?P<times>(?:{NUMBER}\s{{0,2}}{units}?\s{{0,2}}[x×*]\s{{0,2}}){{1,3}})?"
    lower = rf"(?:(?P<lower>{NUMBER})\s{{0,2}}{units}?\s{{0,2}}(?:-|–|{to})\s{{0,2}})?"
    value = rf"(?P<value>{NUMBER})\s{{0,2}}-?(?P<unit>{units})(?!\w|\s?[²^*]|\s?2\b|/)"
    return re.compile(times + lower + value, re.IGNORECASE)
