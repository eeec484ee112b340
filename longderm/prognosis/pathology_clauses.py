"""A report cut into clauses: where each stands, of which specimen it speaks, and whether it speaks of this tumour.

Sentences end at a full stop (not that of an abbreviation), a semicolon or a line that does not run on; clauses at
commas too, except decimal ones. What is told under a heading of clinical history or of the gross specimen, and a
sentence that tells of an earlier tumour, is left aside.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from longderm.prognosis.pathology_terms import Terms

#: A longer line is one that an editor wrapped: what follows belongs to it, unless it ends a sentence.
_WRAPPED_LINE = 60

_LABEL = r"(?:\(?([A-H]|[1-9]|I{1,3})[.):](?=\s|$))"

#: `B.` or `B)` after a sentence's end, as specimens that follow each other on one line; no initial behind a title.
_NEXT_ON_LINE = re.compile(r"(?<!\bDr)(?<!\bProf)[.;][ \t]{1,3}([B-H])[.)][ \t]{1,3}(?=\S)")


@dataclass(frozen=True)
class Clause:
    """A piece of text from `start` to `end` within the sentence from `sentence_start` to `sentence_end`."""

    start: int
    end: int
    sentence_start: int
    sentence_end: int
    specimen: str | None


def clauses_of(text: str, terms: Terms) -> list[Clause]:
    """The clauses that speak of this tumour, in the order of the text."""
    labels = _specimens(text, terms)
    label_starts = [start for start, _ in labels]
    history = terms.pattern("history")
    found: list[Clause] = []
    pieces = (
        piece
        for start, end in _told_of_this_tumour(text, terms)
        for piece in _without_earlier(text, start, end, history)
    )
    for start, end in pieces:
        at = bisect_right(label_starts, start + _leading(text, start, end))
        specimen = labels[at - 1][1] if at else None
        cuts = [start, *(m.end() for m in re.compile(r",(?!\d)|(?<!\d),").finditer(text, start, end)), end]
        found += [Clause(a, b, start, end, specimen) for a, b in pairwise(cuts) if a < b]
    return found


def _without_earlier(text: str, start: int, end: int, history: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The sentence without what it tells of an earlier tumour: brackets around that, or else all of it."""
    while (earlier := history.search(text, start, end)) is not None:
        left = text.rfind("(", start, earlier.start())
        right = text.find(")", earlier.end(), end)
        if left < 0 or right < 0 or text.find(")", left, earlier.start()) >= 0:
            return
        yield start, left
        start = right + 1
    if start < end:
        yield start, end


def _leading(text: str, start: int, end: int) -> int:
    part = text[start:end]
    return len(part) - len(part.lstrip())


def _specimens(text: str, terms: Terms) -> list[tuple[int, str]]:
    """Where the report on each specimen begins, and its label: `A)`, `2.`, `Specimen B:` at the start of a line; after
    that, a sentence on the same line that begins with the next letter."""
    word = terms.pattern("specimen").pattern
    named = rf"(?i:{word})\s{{0,3}}(?:nr\.?|no\.?|#)?\s{{0,3}}([A-H]|[1-9]|I{{1,3}})(?=[\s.:),])"
    heading = re.compile(rf"^[ \t]{{0,20}}(?:{_LABEL}|{named})", re.MULTILINE)
    labels = [(_first(text, m.start()), m[1] or m[2]) for m in heading.finditer(text)]
    for further in _NEXT_ON_LINE.finditer(text):
        before = [label for start, label in labels if start < further.start(1)]
        if before and len(before[-1]) == 1 and ord(further[1]) == ord(before[-1]) + 1:
            labels = sorted([*labels, (further.start(1), further[1])])
    return labels


def _first(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t":
        start += 1
    return start


def _told_of_this_tumour(text: str, terms: Terms) -> Iterator[tuple[int, int]]:
    """Sentences outside the sections of history and of the gross specimen."""
    skip = terms.pattern("history_heading", "macroscopic_heading").pattern
    tell = terms.pattern("other_heading").pattern
    headings = re.compile(
        rf"^[ \t]{{0,20}}(?:[A-H1-9][.)]\s{{0,3}})?(?:(?P<skip>{skip})|(?P<tell>{tell}))[ \t]{{0,5}}(?::|$)",
        re.MULTILINE | re.IGNORECASE,
    )
    marks = list(headings.finditer(text))
    starts = [m.start() for m in marks]
    blank = [m.start() for m in re.finditer(r"\n[ \t]{0,20}\n", text)]
    for start, end in _sentences(text, terms):
        first = start + _leading(text, start, end)
        at = bisect_right(starts, first)
        if at and marks[at - 1]["skip"] and first < _section_end(text, marks[at - 1], blank, terms):
            continue
        yield start, end


def _section_end(text: str, heading: re.Match[str], blank: list[int], terms: Terms) -> int:
    """A section that begins on its heading's line ends with the line; one below its heading at a blank line."""
    line_end = text.find("\n", heading.end())
    line_end = len(text) if line_end < 0 else line_end
    if text[heading.end() : min(line_end, heading.end() + 500)].strip():
        while line_end < len(text) and _runs_on(text, line_end, terms):
            following = text.find("\n", line_end + 1)
            line_end = len(text) if following < 0 else following
        return line_end
    at = bisect_right(blank, line_end)
    return blank[at] if at < len(blank) else len(text)


def _sentences(text: str, terms: Terms) -> Iterator[tuple[int, int]]:
    abbreviations = re.compile(terms.pattern("abbreviation").pattern + r"\.", re.IGNORECASE)
    kept = {at for m in abbreviations.finditer(text) for at in range(m.start(), m.end()) if text[at] == "."}
    start = 0
    for m in re.finditer(r"[.!?](?=\s|$)|;|\n", text):
        at = m.start()
        if text[at] == "." and (at in kept or text[max(at - 2, 0) : at] == ".."):
            continue
        if text[at] == "\n" and _runs_on(text, at, terms):
            continue
        if text[start : at + 1].strip():
            yield start, at + 1
        start = at + 1
    if text[start:].strip():
        yield start, len(text)


def _runs_on(text: str, newline: int, terms: Terms) -> bool:
    """Whether the line that ends here goes on in the next.

    It does after a colon or a word that nothing ends with, before a small letter, or where the line was wrapped.
    """
    before = text[max(newline - 3 * _WRAPPED_LINE, 0) : newline].rpartition("\n")[2].rstrip()
    after = text[newline + 1 : newline + 40].lstrip(" \t")
    if not before or not after or after[0] == "\n":
        return False
    _, colon, entry = before.rpartition(":")
    if colon and terms.pattern("no", "yes", "unsure", "unstated", "absent", "present").fullmatch(entry.strip()):
        return False  # a line of a form: "ulceration: absent"
    last = before.rpartition(" ")[2]
    if before.endswith(":") or terms.pattern("common", "negation", "conjunction", "of").fullmatch(last):
        return True
    return after[0].islower() or (len(before) >= _WRAPPED_LINE and before[-1] not in ".;!?")
