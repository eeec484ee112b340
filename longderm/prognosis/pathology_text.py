"""Read a pathology report of a melanoma by rules: what it states, what it denies, what it leaves open, and where.

Nothing is inferred from silence: a finding that the report does not name is "not_stated". What a report tells of an
earlier tumour, of the gross specimen or under a heading of clinical history is not read. English and German.
"""

from __future__ import annotations

import re

from longderm.errors import UsageError
from longderm.prognosis.pathology_clauses import Clause, clauses_of
from longderm.prognosis.pathology_counts import mitotic_rates, node_statements
from longderm.prognosis.pathology_lengths import tumour_lengths
from longderm.prognosis.pathology_states import is_advice, mentions_of, state_of
from longderm.prognosis.pathology_terms import Terms, terms_of
from longderm.prognosis.pathology_values import (
    SUBTYPES,
    Finding,
    Language,
    Length,
    Mention,
    PathologyFindings,
    Span,
    summarise,
)

#: A longer text is no report of one patient.
LONGEST_CHARACTERS = 1_000_000


def read_pathology(text: str, language: Language | None = None) -> PathologyFindings:
    """What a report says.

    `language`: "en" or "de"; None reads both (clinics mix them) and says in the result which prevails. Time is linear
    in the length of the text. Raises UsageError for another language and for a text of more than
    `LONGEST_CHARACTERS` characters; never for what a text holds.
    """
    if language not in ("en", "de", None):
        raise UsageError("the language of a report is en or de; leave it out to read both")
    if len(text) > LONGEST_CHARACTERS:
        raise UsageError("this text is too long for a report; give one report at a time")
    terms = terms_of(language)
    clauses = clauses_of(text, terms)
    thickness, distances = tumour_lengths(text, clauses, terms)
    return PathologyFindings(
        language=language or _prevailing(text),
        thickness=tuple(thickness),
        ulceration=summarise(list(mentions_of(text, clauses, terms.pattern("ulceration"), terms))),
        mitoses=tuple(mitotic_rates(text, clauses, terms)),
        nodes=tuple(node_statements(text, clauses, terms)),
        margins=summarise(_margins(text, clauses, distances, terms), strongest=True),
        margin_distances=tuple(distances),
        subtype=_subtype(text, clauses, terms),
        in_situ=summarise(list(mentions_of(text, clauses, terms.pattern("in_situ"), terms))),
        regression=summarise(list(mentions_of(text, clauses, terms.pattern("regression"), terms))),
    )


def _margins(text: str, clauses: list[Clause], distances: list[Length], terms: Terms) -> list[Mention]:
    """Present: tumour at a margin. A distance above zero is a clear margin, of zero an involved one."""
    mentions: list[Mention] = []
    for clause in clauses:
        start, end = clause.start, clause.end
        margin = terms.pattern("margin").search(text, start, end)
        clear = terms.pattern("clear").search(text, start, end)
        involved = terms.pattern("involved").search(text, start, end)
        excised = [m for m in (clear, involved) if m is not None and _names_excision(m.group())]
        told = [m for m in (clear, involved) if m is not None]
        if not told or (margin is None and not excised) or is_advice(text, clause, terms):
            continue
        if terms.pattern("node", "sentinel").search(text, start, end) and margin is None:
            continue
        # "not clear" holds "clear", "nicht befallen" holds "befallen": the longer phrase is what is meant
        decisive = max(told, key=lambda m: (m.end() - m.start(), -m.start()))
        if clear is not None and involved is not None and not _overlap(clear.span(), involved.span()):
            decisive = involved
        state = "present" if decisive is involved else "absent"
        first = min(m.start() for m in (margin, decisive) if m is not None)
        last = max(m.end() for m in (margin, decisive) if m is not None)
        if terms.pattern("doubt", "doubtful").search(text, start, end):
            mentions.append(Mention("uncertain", Span(first, last), clause.specimen))
        elif state == "present" and _denied(text, clause, decisive.start(), terms):
            mentions.append(Mention("absent", Span(first, last), clause.specimen))
        else:
            mentions.append(Mention("present" if state == "present" else "absent", Span(first, last), clause.specimen))
    if not mentions:
        mentions = [
            Mention("absent" if d.value_mm > 0 else "present", d.span, d.specimen)
            for d in distances
            if d.value_mm is not None and (d.value_mm > 0 or d.qualifier == "=")
        ]
    return mentions


#: Parts of the phrases of an excision as a whole.
_EXCISION = (
    "exci",
    "exzid",
    "sano",
    "gesunden",
    "resec",
    "resez",
    "entfernt",
    "r0",
    "r1",
    "randbildend",
    "randständig",
)


def _names_excision(words: str) -> bool:
    """Whether a phrase speaks of the excision by itself, without a word for a margin."""
    lowered = words.lower()
    return any(part in lowered for part in _EXCISION)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _denied(text: str, clause: Clause, start: int, terms: Terms) -> bool:
    left = max(clause.start, start - 60)
    return terms.pattern("negation").search(text, left, start) is not None


#: Pathologists' abbreviations of the subtypes; capitals only (nm is a length, lm a light microscope).
_ABBREVIATIONS = {
    "SSM": "superficial_spreading",
    "NMM": "nodular",
    "LMM": "lentigo_maligna_melanoma",
    "ALM": "acral_lentiginous",
}

_ABBREVIATION = re.compile(r"(?<!\w)(?:" + "|".join(_ABBREVIATIONS) + r")(?!\w)")


def _subtype(text: str, clauses: list[Clause], terms: Terms) -> Finding:
    mentions = [
        Mention(mention.state, mention.span, mention.specimen, name)
        for name in SUBTYPES
        for mention in mentions_of(text, clauses, terms.pattern(name), terms)
    ]
    for clause in clauses:
        for match in _ABBREVIATION.finditer(text, clause.start, clause.end):
            state, start, end = state_of(text, clause, match.start(), match.end(), terms)
            mentions.append(Mention(state, Span(start, end), clause.specimen, _ABBREVIATIONS[match.group()]))
    mentions.sort(key=lambda m: (m.span.start, m.span.end))
    # a subtype that is denied does not contradict another one
    by_name = [summarise([m for m in mentions if m.name == name]) for name in SUBTYPES]
    decisive = next((f for s in ("present", "uncertain", "absent") for f in by_name if f.state == s), Finding())
    return Finding(decisive.state, decisive.span, tuple(mentions))


def _prevailing(text: str) -> Language:
    counts = {name: len(terms_of(name).pattern("common").findall(text[:20_000])) for name in _LANGUAGES}
    return "de" if counts["de"] > counts["en"] else "en"


_LANGUAGES: tuple[Language, ...] = ("en", "de")
