"""`longderm recalibrate`, and `longderm train change` on a store: a release fitted to the clinic that uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from longderm.command_options import AsJson, AsOf, StoreUri, print_summary, read_settings
from longderm.errors import RefusedError, UsageError

Labels = Annotated[
    Path | None,
    Parameter(
        name="--labels",
        help="CSV of pairs: pair_id (or lesion_id, baseline_day, followup_day, as in the store) and changed, 0 or 1.",
    ),
]
NewFolder = Annotated[Path, Parameter(name="--out", help="New or empty folder for the release.")]
NewVersion = Annotated[
    str | None,
    Parameter(name="--release", help="Version of the new release; of one fitted to a site +site.DATE unless given."),
]


def labels(
    *,
    store: StoreUri,
    out: Annotated[Path, Parameter(name="--out", help="New CSV to be filled in.")],
    json_: AsJson = False,
) -> None:
    """Write a table of a store's pairs to be labelled: 1 or 0 in column changed, and melanoma where it is known.

    `bench change`, `train change` and `recalibrate change` take it with --labels; empty rows are left out.
    """
    from longderm.site.labelled import write_blank_labels
    from longderm.stages.work import find_work
    from longderm.store import Store

    count = write_blank_labels(find_work(Store(store), read_settings(None)), out)
    print_summary({"pairs": count, "out": str(out)}, json_, f"{count} pairs to be labelled: {out}")


def recalibrate(
    kind: Literal["change"],
    *,
    store: StoreUri,
    out: NewFolder,
    labels: Labels = None,
    release: NewVersion = None,
    alpha: float | None = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Calibrate the release in use on a store's own stable pairs; refused (3) where held-out patients gain nothing.

    Parameters
    ----------
    kind
        Kind of release: change.
    alpha
        p-values at or below it are flagged, 0.05 (20 patients with a stable pair) or 0.01 (100); default: as before.
    """
    from longderm.site.recalibrating import recalibrate_change

    summary = recalibrate_change(store, read_settings(as_of), out, labels, release, alpha)
    print_release(summary, json_)


def train_on_site(
    folder: Path | None, store: str | None, labels: Path | None, out: Path, release: str | None, as_json: bool
) -> None:
    """`longderm train change` with a store: the weights of the score for its labelled pairs."""
    if folder is not None or store is None or labels is None:
        raise UsageError("train change takes a FOLDER of photos, or --store URI with --labels CSV")
    from longderm.site.training import train_site

    print_release(train_site(store, read_settings(None), out, labels, release), as_json)


def print_release(summary: dict[str, Any], as_json: bool) -> None:
    """Print what was fitted to a site and why, or raise RefusedError with why not."""
    lines = list(summary["reasons"])
    if summary["release"]:
        lines += [
            f"Release {summary['release']}: {summary['out']}",
            f"Use it: longderm registry add {summary['out']} --store ..., then longderm registry promote "
            f"{summary['release']}; longderm registry rollback change takes it back",
        ]
    print_summary(summary, as_json, "\n".join(lines))
    if not summary["release"]:
        raise RefusedError(f"no release was written; {summary['base']} stays as it is: {summary['reasons'][0]}")
