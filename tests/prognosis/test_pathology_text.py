"""Pathology reports: what is stated, denied and left open, and from which words."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longderm.errors import UsageError
from longderm.prognosis.pathology_text import LONGEST_CHARACTERS, read_pathology
from longderm.prognosis.pathology_values import PathologyFindings, Span
from pathology_reports import ENGLISH, GERMAN


def told(findings: PathologyFindings, several: bool) -> dict:
    """The findings in the words of `pathology_reports`; what is not stated is left out."""
    plain = {
        "mm": [(t.value_mm, t.qualifier, t.specimen) if several else (t.value_mm, t.qualifier) for t in findings.thickness],
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
