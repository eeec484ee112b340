"""Labels of a site's pairs: a table that says which of the store's pairs changed, checked as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longderm.prognosis.cells import BAD, Bad, Column, is_missing, read_numbers, read_truths
from longderm.prognosis.problems import OutcomesError, Problem, sorted_problems
from longderm.prognosis.spreadsheet import Spreadsheet, read_spreadsheet

#: What messages call the table.
TABLE = "labels table"
#: Columns of the table, as the store calls them.
PAIR, PATIENT, LESION, BASELINE_DAY, FOLLOWUP_DAY = "pair_id", "patient_id", "lesion_id", "baseline_day", "followup_day"
CHANGED, MELANOMA = "changed", "melanoma"
_DAYS = (BASELINE_DAY, FOLLOWUP_DAY)


@dataclass(frozen=True)
class KnownPair:
    """A pair that the store compares: whose it is, and the `acquisition_day` of both photos (None: undated)."""

    pair_id: str
    patient_id: str
    lesion_id: str
    baseline_day: int | None
    followup_day: int | None


@dataclass(frozen=True)
class Label:
    """What the table says of a pair: `changed`, and whether what it became is a melanoma (None: not told)."""

    changed: bool
    melanoma: bool | None


@dataclass(frozen=True)
class Labels:
    """The labels by pair, sorted; `unlabelled`: rows whose `changed` is empty; `notices`: how the file was read."""

    of_pair: Mapping[str, Label]
    unlabelled: int = 0
    notices: tuple[str, ...] = ()


def read_labels(data: bytes, known: Iterable[KnownPair], both_kinds: bool = True) -> Labels:
    """Read a table (CSV or Parquet) of labels of the `known` pairs from its bytes.

    A pair is named by `pair_id`, or by `lesion_id`, `baseline_day` and `followup_day` (days as in the store's photos:
    `acquisition_day`); what else of these is given must agree. `changed` says 1 or 0, `melanoma` may say so too; a row
    with an empty `changed` is not labelled. Raises OutcomesError with every problem of the table, none of which repeats
    an identifier.
    """
    try:
        sheet, problems = read_spreadsheet(data)
    except OutcomesError as error:
        raise OutcomesError(error.problems, TABLE) from None
    columns = _columns(sheet)
    pairs = {pair.pair_id: pair for pair in known}
    problems += _missing_columns(columns)
    if _missing_columns(columns):
        raise OutcomesError(sorted_problems(problems), TABLE)
    found, more = _find_pairs(columns, pairs)
    problems += more
    changed, more = read_truths(columns[CHANGED])
    problems += more
    melanoma: list[bool | Bad | None] = [None] * len(changed)
    if MELANOMA in columns:
        melanoma, more = read_truths(columns[MELANOMA])
        problems += more
    labels: dict[str, Label] = {}
    first_row: dict[str, int] = {}
    unlabelled = 0
    for row, pair_id, says, malignant in zip(columns[CHANGED].rows, found, changed, melanoma, strict=True):
        if says is None:
            unlabelled += 1
            if malignant is True:
                mend = "a melanoma without a word on change; fill in changed, or empty melanoma"
                problems.append(Problem("melanoma_without_changed", mend, row, CHANGED))
        if pair_id is None or says is None or isinstance(says, Bad) or isinstance(malignant, Bad):
            continue
        label = Label(says, malignant)
        if pair_id in labels:
            same = labels[pair_id] == label
            mend = f"row {first_row[pair_id]} labels the same pair{'' if same else ' otherwise'}; keep one"
            problems.append(Problem("pair_twice", mend, row))
        else:
            labels[pair_id], first_row[pair_id] = label, row
    if not problems:
        problems += _one_class(labels, both_kinds)
    if problems:
        raise OutcomesError(sorted_problems(problems), TABLE)
    return Labels(dict(sorted(labels.items())), unlabelled, sheet.facts)


def _columns(sheet: Spreadsheet) -> dict[str, Column]:
    """The known columns of the sheet by name, however it is spelt."""
    rows = tuple(number for number, _ in sheet.rows)
    places = {name.strip().lower(): index for index, name in enumerate(sheet.names)}
    wanted = (PAIR, PATIENT, LESION, *_DAYS, CHANGED, MELANOMA)
    return {
        name: Column(sheet.names[places[name]], rows, tuple(cells[places[name]] for _, cells in sheet.rows))
        for name in wanted
        if name in places
    }


def _missing_columns(columns: Mapping[str, Column]) -> list[Problem]:
    problems = []
    if CHANGED not in columns:
        problems.append(Problem("column_missing", "add the column; 1: the lesion changed, 0: it did not", 1, CHANGED))
    if PAIR not in columns:
        for name in (LESION, *_DAYS):
            if name not in columns:
                mend = "add the column, or name each pair by pair_id; both as they stand in the store"
                problems.append(Problem("column_missing", mend, 1, name))
    return problems


def _find_pairs(
    columns: Mapping[str, Column], pairs: Mapping[str, KnownPair]
) -> tuple[list[str | None], list[Problem]]:
    """The pair of each row, None where it is not known which (a problem says why)."""
    problems: list[Problem] = []
    count = len(columns[CHANGED].cells)
    days: dict[str, list[float | Bad | None]] = {}
    for name in _DAYS:
        days[name] = [None] * count
        if name in columns:
            days[name], more = read_numbers(columns[name], "d")
            problems += more
            days[name] = [_whole(value, columns[name], at, problems) for at, value in enumerate(days[name])]
    by_days: dict[tuple[str, int | None, int | None], list[str]] = defaultdict(list)
    for pair in sorted(pairs.values(), key=lambda pair: pair.pair_id):
        by_days[pair.lesion_id, pair.baseline_day, pair.followup_day].append(pair.pair_id)
    lesions = {pair.lesion_id for pair in pairs.values()}
    found: list[str | None] = []
    for at, row in enumerate(columns[CHANGED].rows):
        told = {name: _text(columns, name, at) for name in (PAIR, PATIENT, LESION)}
        on = [days[name][at] for name in _DAYS]
        chosen, problem = _choose(told, on, pairs, by_days, lesions)
        if chosen is not None:
            problem = _disagreement(told, on, pairs[chosen])
        if problem is not None:
            problems.append(Problem(problem[0], problem[1], row, problem[2]))
        found.append(chosen if problem is None else None)
    return found, problems


def _choose(
    told: Mapping[str, str | None],
    on: Sequence[float | Bad | None],
    pairs: Mapping[str, KnownPair],
    by_days: Mapping[tuple[str, int | None, int | None], Sequence[str]],
    lesions: set[str],
) -> tuple[str | None, tuple[str, str, str] | None]:
    pair_id, lesion = told[PAIR], told[LESION]
    if pair_id is not None:
        if pair_id in pairs:
            return pair_id, None
        return None, ("unknown_pair", "the store compares no such pair (the ids of an export are other ones)", PAIR)
    if lesion is None:
        return None, ("no_pair", "name the pair: pair_id, or lesion_id with both days", PAIR)
    if lesion not in lesions:
        return None, (
            "unknown_lesion",
            "the store compares no photos of such a lesion",
            LESION,
        )
    if any(value is BAD for value in on):
        return None, None  # told already
    if None in on:
        return None, ("no_day", "give both days (acquisition_day of the photos), or pair_id", _DAYS[on.index(None)])
    (before, after) = (None if value is None or isinstance(value, Bad) else int(value) for value in on)
    candidates = by_days.get((lesion, before, after), ())
    if len(candidates) == 1:
        return candidates[0], None
    if candidates:
        return None, ("several_pairs", "several kinds of photos were taken on these days; name the pair_id", LESION)
    mend = "the store does not compare these days of the lesion: each visit meets the one before, and the first"
    return None, ("no_such_days", mend, FOLLOWUP_DAY)


def _disagreement(
    told: Mapping[str, str | None], on: Sequence[float | Bad | None], pair: KnownPair
) -> tuple[str, str, str] | None:
    """What a row says beside the pair's name, and the store says otherwise."""
    for name, value in ((PATIENT, pair.patient_id), (LESION, pair.lesion_id)):
        if told[name] is not None and told[name] != value:
            return "contradiction", f"the pair is of another {name.removesuffix('_id')}; correct one", name
    for name, at, day in zip(_DAYS, on, (pair.baseline_day, pair.followup_day), strict=True):
        if at is not None and not isinstance(at, Bad) and day is not None and int(at) != day:
            return "contradiction", "the pair's photo is of another day; correct one", name
    return None


def _one_class(labels: Mapping[str, Label], both_kinds: bool) -> list[Problem]:
    """Without pairs of both kinds, nothing can be told apart; without stable ones, nothing is known of noise."""
    count = sum(label.changed for label in labels.values())
    if not labels:
        return [Problem("no_labels", "no row is labelled; fill in 1 or 0", column=CHANGED)]
    if count == 0 and both_kinds:
        return [Problem("nothing_changed", "no pair is labelled as changed; is it the right column?", column=CHANGED)]
    if count == len(labels):
        return [Problem("all_changed", "every pair is labelled as changed; add stable ones", column=CHANGED)]
    return []


def _whole(value: float | Bad | None, column: Column, at: int, problems: list[Problem]) -> float | Bad | None:
    if value is None or isinstance(value, Bad) or value == int(value):
        return value
    problems.append(column.problem(at, "not_a_day", "write the day as a whole number, as in the store"))
    return BAD


def _text(columns: Mapping[str, Column], name: str, at: int) -> str | None:
    if name not in columns or is_missing(columns[name].cells[at]):
        return None
    return str(columns[name].cells[at]).strip()
