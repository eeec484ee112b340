"""`longderm train change --store --labels`: from a site's labelled pairs to a release with its own weights, or none."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from longderm.change.evidence import NoiseModel
from longderm.errors import UsageError
from longderm.models.release_folder import require_new
from longderm.settings import Settings
from longderm.site.labelled import read_labelled
from longderm.site.pairs import usable
from longderm.site.release import SiteRelease, require_version, site_version, write_site_release
from longderm.site.weights import train_weights
from longderm.stages.work import find_work
from longderm.store import Store

#: What a version gets that weights were fitted for.
WEIGHTS_SUFFIX = ".weights"


def train_site(
    store: str | Path, settings: Settings, out: Path, labels: Path, version: str | None = None
) -> dict[str, Any]:
    """Fit the weights of the change release in use to a store's labelled pairs; writes a release into `out` where
    held-out patients gain.

    version: of the new release, by default that of the shipped one with "+site.", the day and ".weights". Returns what
    was found: `accepted`, `reasons`, `figures`, `release` and `out` where one was written. Raises UsageError,
    OutcomesError for the labels.
    """
    require_new(out)
    work = find_work(Store(store), settings)
    base, as_of = work.in_use["change"].release, settings.as_of or date.today()
    wanted = require_version(version or site_version(base, as_of) + WEIGHTS_SUFFIX)
    if wanted == base.version:
        raise UsageError(f"{base.name} is in use already; give the new release another version with --release")
    table, all_pairs = read_labelled(work, labels)
    pairs = usable(all_pairs)
    spreads = (base.config.get("in_distribution") or {}).get("levels")
    found = train_weights(NoiseModel.from_config(base.config), pairs, spreads)
    summary: dict[str, Any] = {
        "base": base.name,
        "accepted": found.fitted is not None,
        "reasons": list(found.reasons),
        "figures": dict(found.figures),
        "release": None,
        "out": None,
    }
    if found.fitted is None:
        return summary
    told = [
        f"The site's labels: {len(pairs)} pairs; {len(all_pairs) - len(pairs)} more are withheld by a rule, "
        f"{table.unlabelled} rows have no label.",
        f"Two thirds of the patients gave the weights, {found.fitted.calibration_patients} others the scores of the "
        "calibration; the noise and the network, if any, are those of the base.",
        *(f"{reason[0].upper()}{reason[1:]}." for reason in found.reasons),
    ]
    counts = {
        "stable_pairs": "labelled",
        "fitted": "weights and scores",
        "calibration_patients": found.fitted.calibration_patients,
    }
    command = "longderm train change --store STORE --labels LABELS"
    figures = {name: value for name, value in found.figures.items() if value is not None}
    release = SiteRelease(base, wanted, command, as_of, told, counts, figures)
    digest = write_site_release(out, release, found.fitted.model, found.fitted.in_distribution)
    return summary | {"release": release.name, "digest": digest, "out": str(out)}
