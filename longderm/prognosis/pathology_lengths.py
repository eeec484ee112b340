"""What a length in a report is of: the tumour's thickness, the distance to a margin, or something else.

Each length belongs to the nearest anchor before it that has no length yet, else to the first one behind it, else to one
that the clause before left open ("Breslow thickness, from the granular layer, is 1.2 mm").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from longderm.prognosis.pathology_clauses import Clause
from longderm.prognosis.pathology_numbers import NUMBER, Measured, lengths_in, qualifier_of
from longderm.prognosis.pathology_states import is_advice
from longderm.prognosis.pathology_terms import Terms
from longderm.prognosis.pathology_values import Length, Span

_KINDS = ("thickness", "generic_thickness", "margin", "deep", "lateral", "other_length")

#: Characters around a general word for thickness in which a word for the specimen makes it the specimen's.
_BESIDE = 60

#: Characters between a length and a word for thickness that explains it: "to a depth of 3.0 mm (Breslow)".
_DIRECTLY = 3

#: Characters between "Breslow" and a number without a unit that is its entry in a form.
_ENTRY = re.compile(rf"[\s:=|._(-]{{1,12}}(?P<value>{NUMBER})(?![\d.,]*\d|\s?(?:[a-zA-Zµμ%/²x×:-]|\.\d))")


@dataclass(frozen=True)
class _Anchor:
    kind: str
    start: int
    end: int


def tumour_lengths(text: str, clauses: list[Clause], terms: Terms) -> tuple[list[Length], list[Length]]:
    """Breslow thicknesses and distances to margins, in the order of the text."""
    thickness: list[Length] = []
    margins: list[Length] = []
    pending: _Anchor | None = None
    sentence = -1
    for clause in clauses:
        if clause.sentence_start != sentence:
            pending, sentence = None, clause.sentence_start
        anchors = _anchors(text, clause, terms)
        lengths = list(lengths_in(text, clause.start, clause.end, terms))
        bound, free = _bind(anchors, lengths, pending)
        before = clause.start  # the end of the length before this one
        for length, anchor in bound:
            found = Length(
                length.value_mm,
                length.qualifier,
                Span(length.start, length.end),
                clause.specimen,
                length.lower_mm,
            )
            if anchor.kind == "thickness":
                left = max(clause.start, anchor.start - 30)
                if found.qualifier == "=" and anchor.start < length.start:
                    # "at least Breslow 1.2 mm", "mindestens eine Tumordicke von 1,2 mm"
                    found = replace(found, qualifier=qualifier_of(text, max(left, before), anchor.start, terms))
                thickness.append(found)
            elif anchor.kind == "margin" and not is_advice(text, clause, terms):
                margins.append(replace(found, direction=_direction(text, clause, anchor, length, terms)))
            before = length.end
        used = {anchor for _, anchor in bound}
        open_anchor = next((anchor for anchor in reversed(free) if anchor not in used), None)
        if open_anchor is not None and open_anchor.kind == "thickness" and not lengths:
            unitless = _entry(text, clause, open_anchor, terms)
            if unitless is not None:
                thickness.append(unitless)
                open_anchor = None
        if lengths or (open_anchor is not None and open_anchor.kind != "other_length"):
            pending = open_anchor
    return _stated_once(thickness), margins


def _anchors(text: str, clause: Clause, terms: Terms) -> list[_Anchor]:
    """The anchors of a clause in order; of two that overlap the first and longest. Margins' directions count as one."""
    found = sorted(
        (
            _Anchor(kind, match.start(), match.end())
            for kind in _KINDS
            for match in terms.pattern(kind).finditer(text, clause.start, clause.end)
        ),
        key=lambda a: (a.start, -a.end),
    )
    kept: list[_Anchor] = []
    margin_near = any(anchor.kind == "margin" for anchor in found)
    margin_near = margin_near or terms.pattern("clear").search(text, clause.start, clause.end) is not None
    macroscopic = terms.pattern("macroscopic")
    for anchor in found:
        if kept and anchor.start < kept[-1].end:
            continue
        kind = anchor.kind
        if kind == "generic_thickness":
            left, right = max(clause.sentence_start, anchor.start - _BESIDE), min(clause.end, anchor.end + _BESIDE)
            beside = macroscopic.search(text, left, right)
            kind = "other_length" if beside else "thickness"
        elif kind in ("deep", "lateral"):
            kind = (
                "margin" if margin_near or kind == "lateral" or clause.start > clause.sentence_start else "other_length"
            )
        kept.append(replace(anchor, kind=kind))
    return kept


def _bind(
    anchors: list[_Anchor], lengths: list[Measured], pending: _Anchor | None
) -> tuple[list[tuple[Measured, _Anchor]], list[_Anchor]]:
    """Lengths with their anchors, and the anchors before or behind which no length stands."""
    bound: list[tuple[Measured, _Anchor]] = []
    taken = -1  # index of the last anchor that has a length
    at = 0  # index of the first anchor behind the length at hand
    for index, length in enumerate(lengths):
        while at < len(anchors) and anchors[at].end <= length.start:
            at += 1
        following = lengths[index + 1].start if index + 1 < len(lengths) else None
        beside = at < len(anchors) and anchors[at].kind == "thickness" and anchors[at].start - length.end <= _DIRECTLY
        if at - 1 > taken and not (beside and anchors[at - 1].kind != "thickness"):
            taken = at - 1
            bound.append((length, anchors[taken]))
        elif at < len(anchors) and max(at, taken + 1) == at and (following is None or anchors[at].start < following):
            taken = at
            bound.append((length, anchors[at]))
        elif not index and pending is not None and not anchors:
            bound.append((length, pending))
    return bound, anchors[taken + 1 :]


def _direction(text: str, clause: Clause, anchor: _Anchor, length: Measured, terms: Terms) -> str | None:
    for name in ("deep", "lateral"):
        if terms.pattern(name).fullmatch(text, anchor.start, anchor.end):
            return name
    left, right = min(anchor.start, length.start), max(anchor.end, length.end)
    left, right = max(clause.start, left - 25), min(clause.end, right + 25)
    near = [
        (min(abs(m.start() - length.end), abs(length.start - m.end())), name)
        for name in ("deep", "lateral")
        for m in terms.pattern(name).finditer(text, left, right)
    ]
    return min(near)[1] if near else None


def _entry(text: str, clause: Clause, anchor: _Anchor, terms: Terms) -> Length | None:
    """A number right behind the anchor that has no unit: kept, but it is no length."""
    match = _ENTRY.match(text, anchor.end, clause.end)
    if match is None:
        return None
    qualifier = qualifier_of(text, anchor.end, match.start("value"), terms)
    span = Span(match.start("value"), match.end("value"))
    return Length(None, qualifier, span, clause.specimen, reason="no unit is given")


def _stated_once(thickness: list[Length]) -> list[Length]:
    """A thickness that a report repeats (in its text and in its summary) for one specimen is one."""
    kept: dict[tuple[object, ...], Length] = {}
    for length in thickness:
        kept.setdefault((length.value_mm, length.lower_mm, length.qualifier, length.specimen), length)
    return list(kept.values())
