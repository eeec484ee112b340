"""What `longderm bench registration` reports: figures per tier and method, over all tiers, and on impostors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longderm.bench.registration_pairs import IMPOSTORS, SYNTHETIC, TIERS
from longderm.bench.registration_peers import METHODS
from longderm.bench.statistics import auroc, wilson

#: Errors (share of the lesion's diameter) below these are a success, and accepted ones above that a wrong match.
SUCCESS_BELOW, SUCCESS_BELOW_DEFORMED, WRONG_ABOVE = 0.02, 0.03, 0.05

#: A candidate with an error below this counts as right when confidences are judged.
_RIGHT_BELOW = 0.03

Row = dict[str, Any]


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures, as JSON takes them."""
    figures: dict[str, Any] = {"tiers": {}, "impostors": {}, "overall": {}}
    for source in sorted({row["source"] for row in rows}):
        for tier in (*TIERS, *IMPOSTORS):
            part = [row for row in rows if row["source"] == source and row["tier"] == tier]
            group = figures["impostors" if tier in IMPOSTORS else "tiers"]
            for method in METHODS:
                answers = [row["methods"][method] for row in part if method in row["methods"]]
                if answers:
                    group.setdefault(f"{source} {tier}", {})[method] = (
                        _of_impostors(answers) if tier in IMPOSTORS else _of_tier(answers, tier)
                    )
    for method in METHODS:
        answers = [row["methods"][method] | {"tier": row["tier"]} for row in rows if method in row["methods"]]
        figures["overall"][method] = _overall(answers)
    unseen = [
        row["methods"]["longderm"] | {"tier": row["tier"]}
        for row in rows
        if row["source"] == SYNTHETIC and TIERS.get(row["tier"], TIERS["easy"]).growth == ""
    ]
    figures["confidence_auroc_synthetic"] = _confidence_auroc(unseen)
    return figures


def _of_tier(answers: Sequence[Row], tier: str) -> Row:
    limit = SUCCESS_BELOW_DEFORMED if TIERS[tier].bend > 0 else SUCCESS_BELOW
    good = sum(a["accepted"] and a["error"] is not None and a["error"] < limit for a in answers)
    wrong = sum(a["accepted"] and a["error"] is not None and a["error"] > WRONG_ABOVE for a in answers)
    errors = [a["error"] for a in answers if a["accepted"] and a["error"] is not None]
    figures: Row = {
        "pairs": len(answers),
        "success": round(good / len(answers), 4),
        "success_interval": wilson(good, len(answers)),
        "accepted": round(sum(a["accepted"] for a in answers) / len(answers), 4),
        "wrong_accepted": wrong,
        "error_median": round(float(np.median(errors)), 5) if errors else None,
    } | _seconds(answers)
    if TIERS[tier].growth:
        figures |= _of_growth(answers)
    return figures


def _of_growth(answers: Sequence[Row]) -> Row:
    accepted = [a for a in answers if a["accepted"]]
    told = [a for a in accepted if a.get("skin_scale") is not None or "skin_scale" not in a]
    untold = [a for a in accepted if a.get("skin_scale", 1.0) is None]

    def bias(part: Sequence[Row]) -> list[float] | None:
        size = [abs(a["scale_bias"]) for a in part]
        return [round(float(np.median(size)), 5), round(float(np.quantile(size, 0.95)), 5)] if size else None

    return {
        "scale_bias_median_p95": bias(accepted),
        "skin_tells_scale": len(told),
        "scale_bias_where_skin_tells": bias(told),
        "cautious": round(sum(bool(a.get("cautious")) for a in accepted) / max(1, len(accepted)), 4),
        "cautious_where_skin_does_not_tell": (
            round(sum(bool(a.get("cautious")) for a in untold) / len(untold), 4) if untold else None
        ),
    }


def _of_impostors(answers: Sequence[Row]) -> Row:
    accepted = sum(a["accepted"] for a in answers)
    return {
        "pairs": len(answers),
        "accepted": round(accepted / len(answers), 4),
        "accepted_interval": wilson(accepted, len(answers)),
    } | _seconds(answers)


def _seconds(answers: Sequence[Row]) -> Row:
    seconds = [a["seconds"] for a in answers]
    return {
        "seconds_median": round(float(np.median(seconds)), 3),
        "seconds_p95": round(float(np.quantile(seconds, 0.95)), 3),
    }


def _overall(answers: Sequence[Row]) -> Row:
    """Over all tiers together: wrong ones accepted, right ones refused; impostors accepted; time."""
    posed = [a for a in answers if a["tier"] in TIERS]
    false = [a for a in answers if a["tier"] not in TIERS]
    accepted = sum(a["accepted"] for a in posed)
    wrong = [a for a in posed if a["accepted"] and a["error"] is not None and a["error"] > WRONG_ABOVE]
    # A lesion that expands evenly and fills the view is a zoomed one: only a caution can tell.
    unexpanded = [a for a in wrong if a["tier"] != "expansion"]
    uncautioned = [a for a in wrong if not a.get("cautious")]
    right = [a for a in posed if a["error"] is not None and a["error"] < SUCCESS_BELOW]
    refused = sum(not a["accepted"] for a in right)
    taken = sum(a["accepted"] for a in false)
    return {
        "pairs": len(posed),
        "accepted": accepted,
        "wrong_among_accepted": _share(len(wrong), accepted),
        "wrong_without_caution_among_accepted": _share(len(uncautioned), accepted),
        "wrong_besides_expansion_among_accepted": _share(
            len(unexpanded), sum(a["accepted"] and a["tier"] != "expansion" for a in posed)
        ),
        "refused_among_right": _share(refused, len(right)),
        "impostors": len(false),
        "impostors_accepted": _share(taken, len(false)),
    } | (_seconds(posed) if posed else {})


def _share(count: int, total: int) -> list[float] | None:
    """[share, Wilson's low, high]; None of nothing."""
    interval = wilson(count, total)
    return None if interval is None else [round(count / total, 5), *interval]


def _confidence_auroc(answers: Sequence[Row]) -> float | None:
    """How well our confidence tells right candidates from wrong ones and impostors, on the generator not fitted on."""
    judged = [
        a
        for a in answers
        if a["tier"] not in TIERS or a["error"] is None or not _RIGHT_BELOW <= a["error"] <= WRONG_ABOVE
    ]
    right = np.array([a["tier"] in TIERS and a["error"] is not None and a["error"] < _RIGHT_BELOW for a in judged])
    if not right.any() or right.all():
        return None
    return round(auroc(np.array([a["confidence"] for a in judged]), right), 5)


def print_table(figures: Row) -> None:
    """The figures as a table."""
    print(
        f"{'pairs':<24} {'method':<11} {'n':>5} {'success':>8} {'accepted':>8} {'wrong':>5} {'error':>8} {'CPU s':>6}"
    )
    for group in ("tiers", "impostors"):
        for name, methods in figures[group].items():
            for method, row in methods.items():
                success = f"{row['success']:.1%}" if "success" in row else "-"
                error = f"{row['error_median']:.3%}" if row.get("error_median") is not None else "-"
                print(
                    f"{name:<24} {method:<11} {row['pairs']:>5} {success:>8} {row['accepted']:>8.1%} "
                    f"{row.get('wrong_accepted', '-'):>5} {error:>8} {row['seconds_median']:>6.2f}"
                )
                if row.get("scale_bias_median_p95"):
                    where = f"scale bias {row['scale_bias_median_p95']}"
                    if method == "longderm":
                        where += (
                            f", where skin tells {row['scale_bias_where_skin_tells']}, cautious {row['cautious']:.1%}"
                        )
                    print(f"{'':<24} {where}")
    for method, row in figures["overall"].items():
        print(f"overall {method}: {row}")
    print(f"AUROC of longderm's confidence, synthetic pairs: {figures['confidence_auroc_synthetic']}")
