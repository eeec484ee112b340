"""`longderm recalibrate change`: from a store to a release that is calibrated on its own stable pairs, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from longderm.change.evidence import NoiseModel
from longderm.errors import UsageError
from longderm.models.release_folder import require_new
from longderm.settings import Settings
from longderm.site.labelled import read_labelled
from longderm.site.pairs import SitePair, read_pairs, usable
from longderm.site.recalibration import Recalibration, recalibrate
from longderm.site.release import SiteRelease, require_version, site_version, write_site_release
from longderm.stages.work import Work, find_work
from longderm.store import Store

#: Levels that p-values are claimed at.
ALPHAS = (0.05, 0.01)

PRESUMED = (
    "Stable pairs are presumed: every pair that no rule withholds, of lesions without biopsy, excision or histology. "
    "Those that did change among them make the p-values larger than they need be: fewer false alarms, less sensitivity."
)


def recalibrate_change(
    store: str | Path,
    settings: Settings,
    out: Path,
    labels: Path | None = None,
    version: str | None = None,
    alpha: float | None = None,
) -> dict[str, Any]:
    """Recalibrate the change release that a store uses; writes a release into `out` where held-out patients gain.

    labels: table that says which pairs changed; without one, stability is presumed. version: of the new release, by
    default that of the shipped one with "+site." and the day. alpha: the level that is claimed, by default the
    release's. Returns what was found: `accepted`, `reasons`, `tried` with figures, `release` and `out` where one was
    written. Raises UsageError, OutcomesError for the labels.
    """
    if alpha is not None and alpha not in ALPHAS:
        raise UsageError(f"--alpha {alpha:g}: p-values are claimed at {' or '.join(f'{one:g}' for one in ALPHAS)}")
    require_new(out)
    work = find_work(Store(store), settings)
    base, as_of = work.in_use["change"].release, settings.as_of or date.today()
    wanted = require_version(version or site_version(base, as_of))
    if wanted == base.version:
        raise UsageError(f"{base.name} is in use already; give the new release another version with --release")
    stable, changed, told = site_pairs(work, labels)
    model = NoiseModel.from_config(base.config)
    model = model if alpha is None else replace(model, alpha=alpha)
    spreads = (base.config.get("in_distribution") or {}).get("levels")
    found = recalibrate(model, stable, changed, spreads)
    summary: dict[str, Any] = {
        "base": base.name,
        "alpha": model.alpha,
        "accepted": found.what,
        "reasons": list(found.reasons),
        "stable_patients": len({pair.patient_id for pair in stable}),
        "changed_pairs": len(changed),
        "tried": {one.what: dict(one.figures) | {"gains": one.gains} for one in found.tried},
        "release": None,
        "out": None,
    }
    if found.fitted is None:
        return summary
    command = "longderm recalibrate change --store STORE" + (" --labels LABELS" if labels else "")
    counts = {
        "stable_pairs": "labelled" if labels else "presumed",
        "fitted": found.what,
        "noise_patients": found.fitted.noise_patients,
        "calibration_patients": found.fitted.calibration_patients,
    }
    release = SiteRelease(base, wanted, command, as_of, _told(found, told), counts, _figures(found))
    digest = write_site_release(out, release, found.fitted.model, found.fitted.in_distribution)
    return summary | {"release": release.name, "digest": digest, "out": str(out)}


def site_pairs(work: Work, labels: Path | None) -> tuple[list[SitePair], list[SitePair], list[str]]:
    """Stable and changed pairs that no rule withholds, and sentences on where the words come from."""
    if labels is None:
        done = read_pairs(work)
        if not done.done and (done.pending or work.pending["quality"]):
            raise UsageError("no pair of the store has been worked on yet; run `longderm monitor --store` first")
        calm = [replace(pair, changed=False) for pair in usable(done.done.values()) if not pair.had_event]
        waiting = [f"{len(done.pending)} pairs were still to be worked on."] if done.pending else []
        return calm, [], [PRESUMED, *waiting]
    table, pairs = read_labelled(work, labels, both_kinds=False)
    judged = usable(pairs)
    stable, changed = ([pair for pair in judged if pair.changed is label] for label in (False, True))
    said = (
        f"The site's labels: {len(stable)} stable and {len(changed)} changed pairs; {len(pairs) - len(judged)} more "
        f"are withheld by a rule, {table.unlabelled} rows have no label."
    )
    return stable, changed, [said]


def _told(found: Recalibration, told: list[str]) -> list[str]:
    assert found.fitted is not None
    fitted = found.fitted
    parts = (
        f"{fitted.noise_patients} patients gave the noise, {fitted.calibration_patients} others the scores."
        if fitted.noise_patients
        else f"{fitted.calibration_patients} patients gave the scores; noise and weights are those of the base."
    )
    return [*told, parts, *(f"{reason[0].upper()}{reason[1:]}." for reason in found.reasons)]


def _figures(found: Recalibration) -> dict[str, Any]:
    accepted = next(one for one in found.tried if one.gains)
    return {name: value for name, value in accepted.figures.items() if value is not None}
