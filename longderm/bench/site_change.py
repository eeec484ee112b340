"""The change score on a site's own labelled series: the published table, for the photos of a store.

AUROC in five folds of patients with an interval over patients, sensitivity at a fixed specificity by time point, beside
the size alone. Published for other sites' photos, which nobody may pass on: 0.596 without and 0.706 with all steps of
preprocessing, 0.683 and 0.767 (PanDerm, Yan et al. 2025, doi 10.1038/s41591-025-03747-y): the data differ, so do the
figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longderm.settings import Settings
from longderm.site.figures import auroc_gain, figures_of, withheld_counts
from longderm.site.labelled import read_labelled
from longderm.site.pairs import SitePair, usable
from longderm.stages.work import find_work
from longderm.store import Store

#: The score as released, and what it is held against.
SCORE, SIZE = "longderm", "size alone"


def run(store: str, labels: str, release: str = "") -> dict[str, Any]:
    """Judge the change score on the labelled pairs of a store and print a table; nothing is written to the store.

    release: version of the change release that scored them, if it is not the one in use. Raises UsageError for pairs
    that the stages have still to work on, OutcomesError for what is wrong with the labels.
    """
    settings = Settings(change_version=release) if release else Settings()
    work = find_work(Store(store), settings)
    told, all_pairs = read_labelled(work, Path(labels))
    judged = [pair for pair in usable(all_pairs) if pair.score is not None]
    methods = {SCORE: {p.pair_id: p.score for p in judged}, SIZE: {p.pair_id: _size(p) for p in judged}}
    figures: dict[str, Any] = {
        "release": work.in_use["change"].release.name,
        "labelled": len(all_pairs),
        "unlabelled_rows": told.unlabelled,
        "withheld": withheld_counts(all_pairs),
        "methods": {name: figures_of(judged, values) for name, values in methods.items()},
        "gain_over_size": auroc_gain(judged, methods[SCORE], methods[SIZE]),
    }
    print_table(figures)
    return figures


def print_table(figures: dict[str, Any]) -> None:
    """Methods in rows: AUROC over all pairs, mean over folds; then time points."""
    withheld = sum(sum(rules.values()) for rules in figures["withheld"].values())
    print(f"{figures['labelled']} labelled pairs, {withheld} withheld by a rule; release {figures['release']}")
    print(f"{'':<32}{'AUROC [95%]':>26}{'five folds':>18}")
    for name, method in figures["methods"].items():
        folds = method["folds"]
        spread = "-" if folds["mean"] is None else f"{folds['mean']:.3f} (SD {folds['sd'] or 0:.3f})"
        print(f"{name:<32}{shown(method['auroc']):>26}{spread:>18}")
        for point, told in method["time_points"].items():
            at = ", ".join(
                f"sensitivity {shown(value)} at {float(specificity):.0%} specificity"
                for specificity, value in told["sensitivity_at_specificity"].items()
            )
            print(f"  {point} ({told['changed']} of {told['pairs']} changed): AUROC {shown(told['auroc'])}; {at}")


def shown(figure: list[float] | None) -> str:
    """A figure with its interval, or a dash."""
    if figure is None:
        return "-"
    ends = f" [{figure[1]:.3f}, {figure[2]:.3f}]" if len(figure) == 3 else ""
    return f"{figure[0]:.3f}{ends}"


def _size(pair: SitePair) -> float | None:
    """|log ratio| of the areas in the frame of the alignment."""
    return next((abs(one.value) for one in pair.observations if one.measure == "area"), None)
