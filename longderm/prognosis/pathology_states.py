"""Whether a report says that something is there, is not, or cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from longderm.prognosis.pathology_clauses import Clause
from longderm.prognosis.pathology_terms import Terms
from longderm.prognosis.pathology_values import Mention, Span, State

#: Characters before and behind a term in which its state is looked for: a long clause, and a bound on the time.
_BEFORE, _BEHIND = 160, 100

#: Characters between a negation and its term that leave no room for another statement.
_NEAR = 32

#: What stands between a form's label and its entry: colon, dots, bars, blanks.
_FILLING = re.compile(r"[\s:=|._(\[–-]{1,40}")

_SIGNS: dict[str, State] = {"+": "present", "-": "absent", "–": "absent"}
_SIGN = re.compile(r"\s{0,20}:\s{0,20}([+–-])(?=\s|$|[.,;)])|\s{0,20}\(([+–-])\)|\s{1,20}([+–-])(?=$|[.,;\n])")


def mentions_of(text: str, clauses: list[Clause], pattern: re.Pattern[str], terms: Terms) -> Iterator[Mention]:
    """Every mention of a term with its state; the span holds the words that decide it."""
    for clause in clauses:
        for match in pattern.finditer(text, clause.start, clause.end):
            state, start, end = state_of(text, clause, match.start(), match.end(), terms)
            if state != "not_stated":
                yield Mention(state, Span(start, end), clause.specimen)


def is_advice(text: str, clause: Clause, terms: Terms) -> bool:
    """Whether a clause, or its sentence before it, says what should be done: that is no finding."""
    start = max(clause.sentence_start, clause.start - _BEFORE)
    return terms.pattern("advice").search(text, start, clause.end) is not None


def state_of(text: str, clause: Clause, start: int, end: int, terms: Terms) -> tuple[State, int, int]:
    """The state of the term from `start` to `end`, and the span of the words that say so.

    Nearest first: the entry of a form behind a colon; a negation or doubt right before; an entry without a colon; a
    statement behind; a negation further before, up to a word that ends its reach; one before a comma, if the term
    stands in its list.
    """
    entry = _entry(text, clause, end, terms)
    if entry is not None and entry[2]:
        return entry[0], start, entry[1]
    if re.match(r"non|un|nicht", text[start:end], re.IGNORECASE):
        return "absent", start, end
    left = max(clause.start, start - _BEFORE)
    broken = [m.end() for m in terms.pattern("breaker").finditer(text, left, start)]
    left = broken[-1] if broken else left
    before = _before(text, left, start, terms)
    if before is not None and start - before[2] <= _NEAR:
        behind = _behind(text, clause, end, terms)
        doubt = behind is not None and behind[0] == "uncertain"
        return ("uncertain", before[1], behind[1]) if doubt and behind is not None else (before[0], before[1], end)
    if entry is not None:
        return entry[0], start, entry[1]
    behind = _behind(text, clause, end, terms)
    if behind is not None:
        return behind[0], start, behind[1]
    if before is not None:
        return before[0], before[1], end
    listed = None if broken else _listed(text, clause, start, end, terms)
    return listed or ("present", start, end)


def _entry(text: str, clause: Clause, end: int, terms: Terms) -> tuple[State, int, bool] | None:
    """State and end of the entry, and whether more than a blank sets it apart from its label."""
    sign = _SIGN.match(text, end, min(clause.end, end + _BEHIND))
    if sign:
        return _SIGNS[sign[1] or sign[2] or sign[3]], sign.end(), True
    filling = _FILLING.match(text, end, min(clause.end, end + _BEHIND))
    comma = filling is None and text[end : clause.end].strip() == ","
    if comma:  # "ulceration, absent; mitoses, ...": the entry is a clause of its own
        filling = re.compile(r",\s{1,5}").match(text, end, clause.sentence_end)
    if filling is None:
        return None
    limit = clause.sentence_end if comma else clause.end
    names: tuple[tuple[str, State], ...] = (
        ("unstated", "not_stated"),
        ("unsure", "uncertain"),
        ("no", "absent"),
        ("yes", "present"),
    )
    for name, state in names:
        word = terms.pattern(name).match(text, filling.end(), limit)
        if word and (not comma or text[word.end() : word.end() + 1] in ("", ",", ";", ".", "\n", ")")):
            return state, word.end(), filling.group() != " "
    return None


def _before(text: str, left: int, start: int, terms: Terms) -> tuple[State, int, int] | None:
    """State, start and end of the doubt or the last negation between `left` and `start`."""
    doubts = list(terms.pattern("doubt").finditer(text, left, start))
    if doubts:
        return "uncertain", doubts[-1].start(), doubts[-1].end()
    negations = list(terms.pattern("negation").finditer(text, left, start))
    return ("absent", negations[-1].start(), negations[-1].end()) if negations else None


def _behind(text: str, clause: Clause, end: int, terms: Terms) -> tuple[State, int] | None:
    right = min(clause.end, end + _BEHIND)
    doubtful = terms.pattern("doubtful").search(text, end, right)
    if doubtful:
        return "uncertain", doubtful.end()
    absent, present = (terms.pattern(name).search(text, end, right) for name in ("absent", "present"))
    if absent and (present is None or absent.start() <= present.start()):
        return "absent", absent.end()
    return ("present", present.end()) if present else None


def _listed(text: str, clause: Clause, start: int, end: int, terms: Terms) -> tuple[State, int, int] | None:
    """A term in a list after a negation: "no regression, satellites or ulceration".

    Without a conjunction in sight ("no regression, ulceration") the list may have ended: uncertain.
    """
    if clause.start == clause.sentence_start:
        return None
    left = max(clause.sentence_start, clause.start - _BEFORE)
    negation = terms.pattern("negation").search(text, left, clause.start)
    bare = re.sub(
        r"[\W_]+", "", terms.pattern("conjunction").sub("", text[clause.start : start] + " " + text[end : clause.end])
    )
    conjunction = terms.pattern("conjunction").search(text, clause.start, min(clause.sentence_end, end + _BEHIND))
    if (
        negation is None
        or (len(bare) > 0 and conjunction is None)
        or _ends_reach(text, negation.end(), clause.start, terms)
    ):
        return None
    if conjunction is not None:
        return "absent", negation.start(), end
    adjective = re.match(r"ulcerat(?:ed|ing)|(?:ex)?ul[zc]erier|regress(?:ed|ive)", text[start:end], re.IGNORECASE)
    return ("present", start, end) if adjective else ("uncertain", negation.start(), end)


def _ends_reach(text: str, start: int, end: int, terms: Terms) -> bool:
    return terms.pattern("breaker", "yes").search(text, start, end) is not None
