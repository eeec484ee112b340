"""The words that rules look for in a report, a table per language, and their patterns.

Every entry is a regular expression without capturing groups or unbounded repeats (a report is read in linear time).
Matching ignores case except for `abbreviations`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache

from longderm.prognosis.pathology_values import Language

Words = tuple[str, ...]


@dataclass(frozen=True, eq=False)  # one object per language, known by its identity: patterns are cached by it
class Terms:
    """The words of one language (or of several together).

    Anchors, which say what a length is of: `thickness`, `generic_thickness` (unless macroscopic words stand beside it),
    `margin`, `deep`, `lateral`, `other_length`. Findings: `ulceration`, `regression`, `in_situ`, `mitosis`, `node`,
    `sentinel`, and the subtypes. States: `negation` and `doubt` stand before, `no`/`yes`/`unsure`/`unstated` right
    behind (as in a form), `absent`/`present`/`doubtful` anywhere behind; `breaker` ends the reach of a negation.
    """

    thickness: Words = ()
    generic_thickness: Words = ()
    macroscopic: Words = ()
    margin: Words = ()
    deep: Words = ()
    lateral: Words = ()
    other_length: Words = ()
    ulceration: Words = ()
    regression: Words = ()
    in_situ: Words = ()
    mitosis: Words = ()
    high_power_field: Words = ()
    per: Words = ()
    square_mm: Words = ()
    some: Words = ()
    node: Words = ()
    sentinel: Words = ()
    of: Words = ()
    metastasis: Words = ()
    tumour_free: Words = ()
    clear: Words = ()
    involved: Words = ()
    superficial_spreading: Words = ()
    nodular: Words = ()
    lentigo_maligna_melanoma: Words = ()
    lentigo_maligna: Words = ()
    acral_lentiginous: Words = ()
    desmoplastic: Words = ()
    negation: Words = ()
    doubt: Words = ()
    no: Words = ()
    yes: Words = ()
    unsure: Words = ()
    unstated: Words = ()
    advice: Words = ()
    absent: Words = ()
    present: Words = ()
    doubtful: Words = ()
    breaker: Words = ()
    conjunction: Words = ()
    history: Words = ()
    history_heading: Words = ()
    macroscopic_heading: Words = ()
    other_heading: Words = ()
    specimen: Words = ()
    abbreviation: Words = ()
    less: Words = ()
    at_most: Words = ()
    more: Words = ()
    at_least: Words = ()
    about: Words = ()
    to: Words = ()
    unit_mm: Words = ()
    unit_um: Words = ()
    unit_cm: Words = ()
    common: Words = ()

    def pattern(self, *names: str) -> re.Pattern[str]:
        """A pattern of whole words of the fields named; it matches nothing where they are empty."""
        return _pattern(self, names)


@cache
def _pattern(terms: Terms, names: tuple[str, ...]) -> re.Pattern[str]:
    words: list[str] = [word for name in names for word in getattr(terms, name)]
    if not words:
        return re.compile(r"(?!)")
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(r"(?<!\w)(?:" + "|".join(longest_first) + r")(?!\w)", re.IGNORECASE)


@cache
def terms_of(language: Language | None) -> Terms:
    """The table of a language; of both where it is None (clinics mix them)."""
    from longderm.prognosis.pathology_terms_de import GERMAN
    from longderm.prognosis.pathology_terms_en import ENGLISH

    if language is not None:
        return {"en": ENGLISH, "de": GERMAN}[language]
    return Terms(**{f.name: getattr(ENGLISH, f.name) + getattr(GERMAN, f.name) for f in fields(Terms)})
