"""Labels of a site's pairs: which pair is meant, and everything that is wrong at once."""

from __future__ import annotations

import pytest

from longderm.prognosis.problems import OutcomesError
from longderm.site.labels import KnownPair, Label, read_labels

KNOWN = [
    KnownPair("aa", "patient-1", "lesion-1", 0, 92),
    KnownPair("bb", "patient-1", "lesion-1", 0, 400),
    KnownPair("cc", "patient-2", "lesion-2", 0, 120),
    KnownPair("dd", "patient-3", "lesion-3", None, None),
    KnownPair("ee", "patient-4", "lesion-4", 0, 50),
    KnownPair("ff", "patient-4", "lesion-4", 0, 50),
]


def read(text, **options):
    return read_labels(text.encode(), KNOWN, **options)


def rules(text):
    with pytest.raises(OutcomesError) as caught:
        read(text)
    assert str(caught.value).startswith("the labels table has")
    for secret in ("patient-", "lesion-1", "lesion-9"):
        assert secret not in str(caught.value)
    return [(problem.row, problem.rule) for problem in caught.value.problems]


def test_a_pair_is_named_by_its_id_or_by_its_lesion_and_days():
    by_id = read("pair_id,changed,melanoma\naa,1,yes\ncc,0,\ndd,0,no\n")
    assert by_id.of_pair == {"aa": Label(True, True), "cc": Label(False, None), "dd": Label(False, False)}
    by_days = read(
        "patient_id;lesion_id;baseline_day;followup_day;changed\npatient-1;lesion-1;0;92;1\n;lesion-2;0;120;0"
    )
    assert by_days.of_pair == {"aa": Label(True, None), "cc": Label(False, None)}


def test_a_row_without_a_label_is_counted_and_labels_nothing():
    labels = read("pair_id,changed\naa,1\nbb,\ncc,0\n")
    assert set(labels.of_pair) == {"aa", "cc"} and labels.unlabelled == 1


def test_every_problem_is_told_at_once_and_no_identifier_with_it():
    found = rules(
        "pair_id,patient_id,lesion_id,baseline_day,followup_day,changed,melanoma\n"
        "aa,,,,,1,\n"
        "zz,,,,,1,\n"
        "aa,,,,,0,\n"
        "cc,patient-1,,,,0,\n"
        "cc,,,,121,0,\n"
        ",,lesion-9,0,1,0,\n"
        ",,lesion-1,0,93,0,\n"
        ",,lesion-1,0,,0,\n"
        ",,lesion-4,0,50,0,\n"
        ",,,,,0,\n"
        "bb,,,,,perhaps,\n"
        "bb,,,1.5,,0,\n"
        "bb,,,,,,1\n"
    )
    assert found == [
        (3, "unknown_pair"),
        (4, "pair_twice"),
        (5, "contradiction"),
        (6, "contradiction"),
        (7, "unknown_lesion"),
        (8, "no_such_days"),
        (9, "no_day"),
        (10, "several_pairs"),
        (11, "no_pair"),
        (12, "not_yes_or_no"),
        (13, "not_a_day"),
        (14, "melanoma_without_changed"),
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("pair_id,verdict\naa,1\n", "column_missing"),
        ("lesion_id,changed\nlesion-1,1\n", "column_missing"),
        ("pair_id,changed\naa,1\ncc,1\n", "all_changed"),
        ("pair_id,changed\naa,0\ncc,0\n", "nothing_changed"),
        ("pair_id,changed\naa,\ncc,\n", "no_labels"),
        ("", "empty_file"),
    ],
)
def test_a_table_that_cannot_serve_says_why(text, rule):
    assert rule in {name for _, name in rules(text)}


def test_stable_pairs_alone_do_where_only_noise_is_asked_for():
    assert len(read("pair_id,changed\naa,0\ncc,0\n", both_kinds=False).of_pair) == 2
