"""Pathology reports: what is stated, denied and left open, and from which words."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathology_reports import ENGLISH, GERMAN

from longderm.errors import UsageError
from longderm.prognosis.pathology_numbers import lengths_in, number_of
from longderm.prognosis.pathology_terms import terms_of
from longderm.prognosis.pathology_text import LONGEST_CHARACTERS, read_pathology
from longderm.prognosis.pathology_values import SUBTYPES, Mention, PathologyFindings, Span


def told(findings: PathologyFindings, several: bool) -> dict:
    """The findings in the words of `pathology_reports`; what is not stated is left out."""
    plain = {
        "mm": [
            (t.value_mm, t.qualifier, t.specimen) if several else (t.value_mm, t.qualifier) for t in findings.thickness
        ],
        "nodes": [(n.positive, n.examined, n.state) for n in findings.nodes],
        "dist": [(d.value_mm, d.direction) for d in findings.margin_distances],
        "sub": [m.name for m in findings.subtype.mentions if m.state == "present"],
    }
    rate = findings.mitotic_rate
    if rate is not None:
        plain["mit"] = (rate.per_mm2, rate.qualifier)
    states = {"ulc": findings.ulceration, "reg": findings.regression, "situ": findings.in_situ, "mar": findings.margins}
    plain |= {name: finding.state for name, finding in states.items() if finding.state != "not_stated"}
    if findings.subtype.state == "uncertain":
        plain["sub_state"] = "uncertain"
    return {name: value for name, value in plain.items() if value != []}


@pytest.mark.parametrize("language", ["its own", None])
@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [(code, *case) for code, cases in (("en", ENGLISH), ("de", GERMAN)) for case in cases],
)
def test_a_report_is_read_as_a_pathologist_means_it(code, text, expected, language):
    findings = read_pathology(text, code if language else None)
    several = any(len(item) == 3 for item in expected.get("mm", []))
    assert told(findings, several) == {name: value for name, value in expected.items() if value != []}


REPORTS = [text for text, _ in ENGLISH + GERMAN]


def spans_of(findings: PathologyFindings) -> list[Span]:
    stated = [
        *findings.thickness,
        *findings.margin_distances,
        *findings.mitoses,
        *findings.nodes,
        *mentions_in(findings),
    ]
    wholes = [findings.ulceration, findings.regression, findings.in_situ, findings.margins, findings.subtype]
    return [item.span for item in stated] + [whole.span for whole in wholes if whole.span is not None]


def mentions_in(findings: PathologyFindings) -> list[Mention]:
    wholes = [findings.ulceration, findings.regression, findings.in_situ, findings.margins, findings.subtype]
    return [mention for whole in wholes for mention in whole.mentions]


def check_spans(text: str, findings: PathologyFindings) -> None:
    """Every span lies in the text, and its words alone say the value again."""
    assert all(0 <= span.start < span.end <= len(text) for span in spans_of(findings))
    terms = terms_of(None)
    for length in findings.thickness + findings.margin_distances:
        words = length.span.of(text)
        if length.value_mm is None:
            assert number_of(words) > 0 or set(words) <= set("0.,")
        else:
            again = [(m.value_mm, m.lower_mm) for m in lengths_in(words, 0, len(words), terms)]
            assert again == [(length.value_mm, length.lower_mm)]
    for rate in findings.mitoses:
        if rate.per_mm2:
            again = read_pathology("Mitoses " + rate.span.of(text)).mitoses
            assert [r.per_mm2 for r in again] == [rate.per_mm2]
    for nodes in findings.nodes:
        if nodes.positive:
            again = read_pathology("Nodes " + nodes.span.of(text)).nodes
            assert [(n.positive, n.examined) for n in again] == [(nodes.positive, nodes.examined)]
    for name in ("ulceration", "regression", "in_situ", "subtype"):
        for mention in getattr(findings, name).mentions:
            again = [m.state for m in getattr(read_pathology(mention.span.of(text)), name).mentions]
            assert mention.state in again


@pytest.mark.parametrize("text", REPORTS)
def test_the_words_of_a_span_alone_say_its_value_again(text):
    check_spans(text, read_pathology(text))


PIECES = [piece for text in REPORTS for piece in text.replace(",", ",|").replace(". ", ". |").split("|")]
PIECES += ["\n", "\n\n", " ", ":", "0", "<", "mm", "9" * 30, "İ", "ſ", "\u2028", "A)", "µm", "١"]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=14))
def test_whatever_a_text_holds_it_is_read_and_its_spans_lie_in_it(pieces):
    text = "".join(pieces)
    findings = read_pathology(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans_of(findings))
    assert {mention.name for mention in findings.subtype.mentions} <= set(SUBTYPES)
    for length in findings.thickness + findings.margin_distances:
        words = length.span.of(text)
        again = [m.value_mm for m in lengths_in(words, 0, len(words), terms_of(None))]
        assert again == ([length.value_mm] if length.value_mm is not None else [])


TERMS = {"en": ("ulceration", "regression"), "de": ("Ulzeration", "Regression")}
FRAMES = {
    "absent": ["No {}.", "{}: absent", "{} is not identified.", "Without {}.", "Keine {}.", "{}: nein", "Ohne {}."],
    "present": ["{} present.", "{}: yes", "With {}.", "{} vorhanden.", "{}: ja", "Mit {}."],
    "uncertain": [
        "{} cannot be excluded.",
        "Possible {}.",
        "{}: fraglich",
        "Verdacht auf {}.",
        "{} nicht beurteilbar.",
    ],
}


@pytest.mark.parametrize(("first", "second"), list(product(FRAMES, FRAMES)))
def test_the_state_of_one_finding_does_not_spill_over_to_the_next(first, second):
    for one, other in product(FRAMES[first], FRAMES[second]):
        for terms in TERMS.values():
            findings = read_pathology(one.format(terms[0]) + "\n" + other.format(terms[1]))
            assert (findings.ulceration.state, findings.regression.state) == (first, second), (one, other)


def test_the_thickest_of_several_specimens_is_told_apart_and_each_is_kept():
    text = "A) Breslow 0,6 mm, no ulceration.\nB) Breslow 3,2 mm, ulcerated.\nC) Breslow: 9\n"
    findings = read_pathology(text)
    assert findings.thickest is not None
    assert (findings.thickest.value_mm, findings.thickest.specimen) == (3.2, "B")
    assert [(t.value_mm, t.specimen) for t in findings.thickness] == [(0.6, "A"), (3.2, "B"), (None, "C")]
    assert findings.thickness[2].reason == "no unit is given"
    assert [(m.state, m.specimen) for m in findings.ulceration.mentions] == [("absent", "A"), ("present", "B")]


def test_specimens_on_one_line_are_told_apart_and_a_doctors_initial_is_none():
    findings = read_pathology("A. Back: melanoma, Breslow 0,8 mm. B. Arm: melanoma, Breslow 3.1 mm. C) Leg: naevus.")
    assert [(t.value_mm, t.specimen) for t in findings.thickness] == [(0.8, "A"), (3.1, "B")]
    findings = read_pathology("A. Back: melanoma, seen by Dr. B. Meyer. Breslow 0.8 mm.")
    assert [(t.value_mm, t.specimen) for t in findings.thickness] == [(0.8, "A")]


def test_a_contradiction_about_one_specimen_is_uncertain():
    assert read_pathology("Ulceration present. Summary: no ulceration.").ulceration.state == "uncertain"


def test_mitoses_per_field_are_kept_as_not_convertible_with_the_reason():
    rate = read_pathology("Mitoses: 5/10 HPF").mitotic_rate
    assert rate is not None and rate.per_mm2 is None
    assert rate.reason == "counted per high-power field, whose area is not stated"


def test_the_language_that_prevails_is_said():
    assert read_pathology("Superfiziell spreitendes Melanom mit Regression und ohne Ulzeration.").language == "de"
    assert read_pathology("Melanoma of the skin with regression and no ulceration.").language == "en"


def test_only_english_and_german_and_no_endless_text():
    with pytest.raises(UsageError):
        read_pathology("Mélanome", "fr")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        read_pathology("a" * (LONGEST_CHARACTERS + 1))


@pytest.mark.parametrize(
    "unit",
    [
        "(",
        " ",
        "\n",
        "9",
        "1,",
        "1.",
        "1 x ",
        "no ",
        "ulceration ",
        "no ulceration, ",
        "Breslow 1 mm ",
        "0/2 node ",
        "=:",
        "z. n. ",
    ],
)
def test_a_text_made_to_be_slow_is_read(unit):
    text = unit * (20_000 // len(unit))
    findings = read_pathology(text)
    assert all(span.end <= len(text) for span in spans_of(findings))
