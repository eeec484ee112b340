"""Mitoses per mm2 and lymph nodes, counted as reports count them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from longderm.prognosis.pathology_clauses import Clause
from longderm.prognosis.pathology_numbers import NUMBER, number_of, qualifier_of
from longderm.prognosis.pathology_states import state_of
from longderm.prognosis.pathology_terms import Terms
from longderm.prognosis.pathology_values import MitoticRate, Nodes, Qualifier, Span, State

_NUMBER_WORDS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "null": 0,
    "ein": 1,
    "eine": 1,
    "einer": 1,
    "einen": 1,
    "zwei": 2,
    "drei": 3,
    "vier": 4,
    "fünf": 5,
    "sechs": 6,
    "sieben": 7,
    "acht": 8,
    "neun": 9,
    "zehn": 10,
    "a single": 1,
}
_COUNT = r"(?:\d{1,3}|" + "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True)) + ")"
_ANY_NUMBER = rf"(?:{NUMBER}|(?<!\w)(?:" + "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True)) + r")(?!\w))"

#: Nobody examines more lymph nodes of one patient; a larger second number is a date or an identifier.
_MOST_NODES = 150

_NO_AREA = "counted without an area"
_PER_FIELD = "counted per high-power field, whose area is not stated"
_BY_WORD = "described by a word"

#: Characters behind a comma in which the entry of "mitoses," stands.
_BEHIND_COMMA = 40

#: Characters around a word for lymph nodes in which their count and state stand.
_AROUND = 150


def mitotic_rates(text: str, clauses: list[Clause], terms: Terms) -> list[MitoticRate]:
    """Every statement on mitoses, in the order of the text."""
    rates = []
    for clause in clauses:
        match = terms.pattern("mitosis").search(text, clause.start, clause.end)
        if match is not None:
            rates.append(_rate(text, clause, match, terms))
    return [rate for rate in rates if rate is not None]


def _rate(text: str, clause: Clause, mitosis: re.Match[str], terms: Terms) -> MitoticRate | None:
    per_area, per_field, plain = _rate_patterns(terms)
    found = per_area.search(text, clause.start, clause.end) or _area_first(terms).search(text, clause.start, clause.end)
    if found is None and text[mitosis.end() : clause.end].strip() == ",":  # "mitoses, 1 per mm2"
        found = per_area.match(text, clause.end + 1, min(clause.sentence_end, clause.end + _BEHIND_COMMA))
    if found is not None:
        groups = found.groupdict()
        qualifier = qualifier_of(text, clause.start, found.start("value"), terms)
        area = number_of(groups["area"]) if groups.get("area") else 1.0
        if area > 0:
            value = round(_number(found["value"]) / area, 6)
            if groups.get("lower"):
                qualifier = "<="
            return _counted(value, qualifier, Span(found.start(), found.end()), clause)
    found = per_field.search(text, clause.start, clause.end)
    if found is not None:
        state: State = "absent" if _number(found["value"]) == 0 else "present"
        return MitoticRate(state, None, "=", Span(found.start("value"), found.end()), clause.specimen, _PER_FIELD)
    state, start, end = state_of(text, clause, mitosis.start(), mitosis.end(), terms)
    if state == "absent":
        return MitoticRate("absent", 0.0, "=", Span(start, end), clause.specimen)
    if state == "uncertain":
        return MitoticRate("uncertain", None, "=", Span(start, end), clause.specimen, _BY_WORD)
    found = plain.match(text, mitosis.end(), clause.end)
    if found is not None:
        qualifier = qualifier_of(text, mitosis.end(), found.start("value"), terms)
        return MitoticRate("present", None, qualifier, Span(mitosis.start(), found.end()), clause.specimen, _NO_AREA)
    some = terms.pattern("some").search(text, clause.start, clause.end)
    if some is not None or end > mitosis.end():
        return MitoticRate("present", None, "=", Span(start, end), clause.specimen, _BY_WORD)
    before = re.compile(rf"({_ANY_NUMBER})\s{{1,3}}(?:dermal\w{{0,2}}\s)?$").search(
        text[clause.start : mitosis.start()][-40:]
    )
    if before is not None:
        return MitoticRate("present", None, "=", Span(mitosis.start(), mitosis.end()), clause.specimen, _NO_AREA)
    return None


def _counted(value: float, qualifier: Qualifier, span: Span, clause: Clause) -> MitoticRate:
    state: State = "absent" if value == 0 and qualifier == "=" else "present"
    if qualifier in ("<", "<="):
        state = "uncertain" if value <= 1 else "present"  # "<1/mm2" holds none as well as a few
    return MitoticRate(state, value, qualifier, span, clause.specimen)


@cache
def _area_first(terms: Terms) -> re.Pattern[str]:
    """ "Per mm2 there are 2 mitoses"."""
    per, square, mitosis = (terms.pattern(name).pattern for name in ("per", "square_mm", "mitosis"))
    area = rf"{per}\s{{1,3}}(?:mm\s?(?:²|2|\^2)|{square})"
    return re.compile(
        rf"{area}\s{{1,3}}(?:\w{{1,15}}\s){{0,4}}?(?P<value>{_ANY_NUMBER})\s{{1,3}}{mitosis}", re.IGNORECASE
    )


@cache
def _rate_patterns(terms: Terms) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Value per area, value per high-power field, and a bare value behind the word."""
    mitosis, per, hpf = (terms.pattern(name).pattern for name in ("mitosis", "per", "high_power_field"))
    square = rf"(?:mm\s?(?:²|2|\^2|\*\*2)(?!\d)|{terms.pattern('square_mm').pattern})"
    lower = rf"(?:(?P<lower>{_ANY_NUMBER})\s{{0,2}}(?:-|–|{terms.pattern('to').pattern})\s{{0,2}})?"
    value = rf"{lower}(?P<value>{_ANY_NUMBER})\s{{0,3}}(?:(?:dermal\w{{0,2}}\s)?{mitosis}\s{{0,3}})?"
    slash = rf"(?:/|{per})\s{{0,3}}"
    per_area = rf"{value}{slash}(?P<area>{NUMBER})?\s{{0,3}}{square}"
    bare_area = rf"{value}{slash}(?:\d{{1,3}}|{_ANY_NUMBER})?\s{{0,3}}{hpf}"
    plain = rf"[\s:=|._(-]{{0,12}}[<>≤≥~]?\s?(?P<value>{_ANY_NUMBER})"
    ignore = re.IGNORECASE
    return re.compile(per_area, ignore), re.compile(bare_area, ignore), re.compile(plain, ignore)


def node_statements(text: str, clauses: list[Clause], terms: Terms) -> list[Nodes]:
    """Every statement on lymph nodes, in the order of the text."""
    found: dict[tuple[int, int], Nodes] = {}
    for clause in clauses:
        for match in terms.pattern("node").finditer(text, clause.start, clause.end):
            left, right = max(clause.start, match.start() - _AROUND), min(clause.end, match.end() + _AROUND)
            if not _tells(text, left, right, terms):
                right = min(clause.sentence_end, match.end() + _AROUND)  # "2 lymph nodes, both free"
                earlier = max(clause.sentence_start, match.start() - _AROUND)
                free = terms.pattern("tumour_free").search(text, earlier, right)
                if free is None and terms.pattern("metastasis").search(text, earlier, right):
                    left = earlier  # "a metastasis, 12 mm wide, in a lymph node"
            nodes = _nodes(text, clause, match, left, right, terms)
            if nodes is not None:
                found.setdefault((nodes.span.start, nodes.span.end), nodes)
    return _without_repeats(list(found.values()))


def _tells(text: str, left: int, right: int, terms: Terms) -> bool:
    fraction = _fraction(terms).search(text, left, right)
    return fraction is not None or terms.pattern("tumour_free", "metastasis").search(text, left, right) is not None


def _nodes(text: str, clause: Clause, node: re.Match[str], left: int, right: int, terms: Terms) -> Nodes | None:
    sentinel = terms.pattern("sentinel").search(text, left, right) is not None
    for fraction in _fraction(terms).finditer(text, left, right):
        positive, examined = int(_number(fraction["positive"])), int(_number(fraction["examined"]))
        if positive <= examined and 0 < examined <= _MOST_NODES:
            state: State = "present" if positive else "absent"
            span = Span(fraction.start(), fraction.end())
            return Nodes(state, positive, examined, sentinel, span, clause.specimen)
    span = Span(node.start(), node.end())
    if terms.pattern("doubt", "doubtful").search(text, left, right):
        return Nodes("uncertain", None, None, sentinel, span, clause.specimen)
    free = terms.pattern("tumour_free").search(text, left, right)
    tumour = terms.pattern("metastasis").search(text, left, right)
    if free is None and tumour is None:
        return None
    count = re.search(
        rf"(?<![\w./,])({_COUNT})\s{{1,3}}(?:\w{{1,20}}\s){{0,2}}$", text[left : node.start()], re.IGNORECASE
    )
    counted = int(_number(count[1])) if count else 0
    start = min(m.start() for m in (free, tumour, node) if m is not None)
    end = max(m.end() for m in (free, tumour, node) if m is not None)
    if count:
        start = min(start, left + count.start())
    if free is not None:
        span = Span(start, end)
        return Nodes("absent", 0 if counted else None, counted or None, sentinel, span, clause.specimen)
    return Nodes("present", None, None, sentinel, Span(start, end), clause.specimen)


@cache
def _fraction(terms: Terms) -> re.Pattern[str]:
    """0/2, 1 of 3, one out of three; not a date, a rate or a larger fraction."""
    of = terms.pattern("of").pattern
    return re.compile(
        rf"(?<![\w./,])(?P<positive>{_COUNT})\s{{0,2}}(?:/|{of})\s{{0,2}}(?:the\s)?(?P<examined>{_COUNT})(?![\w/]|[.,]\d)"
        rf"(?!\s?(?:hpf|mm|hgf))",
        re.IGNORECASE,
    )


def _without_repeats(statements: list[Nodes]) -> list[Nodes]:
    """A statement without numbers says nothing new beside one with numbers of the same state and specimen."""
    counted = {(n.state, n.specimen) for n in statements if n.examined is not None}
    kept = [n for n in statements if n.examined is not None or (n.state, n.specimen) not in counted]
    return list(_first_of_each(kept))


def _first_of_each(statements: list[Nodes]) -> Iterator[Nodes]:
    """Each once: a statement that overlaps the one before, or has no number of its own, is a repetition."""
    seen, last = set(), 0
    for nodes in statements:
        key = (nodes.state, nodes.positive, nodes.examined, nodes.specimen)
        if key not in seen or (nodes.examined is not None and nodes.span.start >= last):
            seen.add(key)
            yield nodes
        last = max(last, nodes.span.end)


def _number(text: str) -> float:
    word = text.lower()
    return float(_NUMBER_WORDS[word]) if word in _NUMBER_WORDS else number_of(text)
