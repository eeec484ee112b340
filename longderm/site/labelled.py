"""A store's pairs with the labels of a table: what every command on a site's own series begins with."""

from __future__ import annotations

import csv
from pathlib import Path

from longderm.archive.clinical_file import read_clinical_file
from longderm.errors import AccessError, UsageError
from longderm.prognosis.problems import OutcomesError, Problem
from longderm.site.labels import (
    BASELINE_DAY,
    CHANGED,
    FOLLOWUP_DAY,
    LESION,
    MELANOMA,
    PAIR,
    PATIENT,
    TABLE,
    Labels,
    read_labels,
)
from longderm.site.pairs import SitePair, known_pairs, labelled, read_pairs
from longderm.stages.work import Work

#: Problems of a label whose pair the store may come to know.
_UNKNOWN = ("unknown_pair", "unknown_lesion", "no_such_days")


def read_labelled(work: Work, table: Path, both_kinds: bool = True) -> tuple[Labels, list[SitePair]]:
    """The labels of a table and the labelled pairs of a store's plan, sorted by id.

    Raises OutcomesError with every problem of the table, UsageError where labelled pairs are still to be worked on.
    """
    try:
        told = read_labels(read_clinical_file(table, "--labels: the table"), known_pairs(work), both_kinds)
    except OutcomesError as error:
        unknown = any(problem.rule in _UNKNOWN for problem in error.problems)
        if unknown and (waiting := len(work.pending["quality"])):
            mend = f"{waiting} photos of the store are still to be worked on, so not all pairs are known; "
            more = Problem("work_pending", mend + "run `longderm monitor --store` first")
            raise OutcomesError((more, *error.problems), TABLE) from None
        raise
    pairs = read_pairs(work)
    waiting = len(set(told.of_pair) & set(pairs.pending))
    if waiting:
        raise UsageError(
            f"{waiting} of {len(told.of_pair)} labelled pairs are still to be worked on with the release in use; "
            "run `longderm monitor --store` first"
        )
    return told, labelled(pairs, told)


def write_blank_labels(work: Work, table: Path) -> int:
    """Write a new CSV with a row for every pair of a store's plan, `changed` and `melanoma` empty; gives how many.

    Sorted by patient, lesion and days, and without a word of what the score or the rules say of a pair: who labels is
    not to know. Raises UsageError for a file that is there and for a store without pairs, AccessError.
    """
    pairs = sorted(
        known_pairs(work),
        key=lambda pair: (
            pair.patient_id,
            pair.lesion_id,
            pair.baseline_day or 0,
            pair.followup_day or 0,
            pair.pair_id,
        ),
    )
    if not pairs:
        waiting = len(work.pending["quality"])
        why = f"{waiting} photos are still to be worked on; run `longderm monitor --store` first" if waiting else ""
        raise UsageError("the store knows no pairs to be labelled: " + (why or "no lesion in it has two visits"))
    rows = [(p.patient_id, p.lesion_id, p.baseline_day, p.followup_day, p.pair_id) for p in pairs]
    try:
        with table.open("x", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([PATIENT, LESION, BASELINE_DAY, FOLLOWUP_DAY, PAIR, CHANGED, MELANOMA])
            writer.writerows([*row, "", ""] for row in rows)
    except FileExistsError:
        raise UsageError(f"--out {table.name} exists; name a new file") from None
    except OSError:
        raise AccessError("no such folder, or no permission to write to it; choose another with --out") from None
    return len(rows)
