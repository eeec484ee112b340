"""A change release that was fitted to a site, as a folder that `longderm registry add` takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from longderm.change.evidence import SPECS, NoiseModel
from longderm.models.release_folder import new_release
from longderm.models.releases import Release, digest_of, split_name

KIND = "change"


@dataclass(frozen=True)
class SiteRelease:
    """What is written beside the numbers.

    base: the release that was fitted to the site; version: of the new one; command: that made it; as_of: the day;
    told: sentences of the card on the data and on what was accepted and why; source: counts for config.json;
    figures: on held-out patients.
    """

    base: Release
    version: str
    command: str
    as_of: date
    told: Sequence[str]
    source: Mapping[str, Any]
    figures: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`change/VERSION`."""
        return f"{KIND}/{self.version}"


def site_version(base: Release, as_of: date) -> str:
    """The version of a release fitted to a site: that of the shipped release it comes from, "+site." and the day."""
    return f"{base.version.partition('+')[0]}+site.{as_of:%Y%m%d}"


def require_version(version: str) -> str:
    """The version, if a release can be called so. Raises UsageError."""
    split_name(f"{KIND}/{version}")
    return version


def write_site_release(
    folder: Path, release: SiteRelease, model: NoiseModel, in_distribution: Mapping[str, Any] | None
) -> str:
    """Write config, card, figures, hashes and the base's weights into a new or empty folder, whole or not at all.

    Returns the digest. Raises UsageError for a folder that is not empty, AccessError.
    """
    with new_release(folder) as part:
        for weights in sorted(release.base.folder.glob("*.safetensors")):
            shutil.copyfile(weights, part / weights.name)
        config = site_config(release, model, in_distribution)
        (part / "config.json").write_text(_json(config))
        (part / "figures.json").write_text(_json(release.figures))
        (part / "card.md").write_text(site_card(release, config))
    return digest_of(folder)


def site_config(release: SiteRelease, model: NoiseModel, in_distribution: Mapping[str, Any] | None) -> dict[str, Any]:
    """The base's config with the site's numbers; the range of photos is the site's, or none is stated."""
    config = {key: value for key, value in release.base.config.items() if key != "in_distribution"}
    units = {name: one["unit"] for name, one in release.base.config["noise"].items()}
    config |= {
        "alpha": model.alpha,
        "bias": model.bias,
        "calibration_scores": list(model.calibration),
        "noise": {
            name: {"centre": one.centre, "mdc": one.mdc, "spread": one.spread, "unit": units[name]}
            for name, one in sorted(model.noise.items())
        },
        "weights": dict(sorted(model.weights.items())),
        "source": {
            "kind": "site",
            "base": release.base.name,
            "base_digest": release.base.digest,
            "base_source": release.base.config.get("source"),
            "as_of": release.as_of.isoformat(),
            **release.source,
        },
    }
    if in_distribution is not None:
        config["in_distribution"] = dict(in_distribution)
    return config


def site_card(release: SiteRelease, config: Mapping[str, Any]) -> str:
    """The card: what it is fitted on, why it was accepted, its numbers, its limits, its licence."""
    noise = [
        f"| {SPECS[name].label if name in SPECS else name} | {one['unit']} | {one['mdc']:.3f} | "
        f"{config['weights'].get(name, 0.0):.2f} |"
        for name, one in config["noise"].items()
    ]
    within = config.get("in_distribution")
    stated = (
        "It states no range of photos that it was calibrated on: results carry a caveat that says so."
        if within is None
        else f"`in_distribution`: the range of {within['pairs']} pairs of this site that it was calibrated on."
    )
    lines = [
        f"# {release.name}",
        "",
        f"**For one site.** Release {release.base.name} fitted to the site's own pairs on {release.as_of}. Its",
        "p-values hold for photos taken as this site took them, with its devices and patients, and for no other's. It",
        "advises a clinician and is no diagnosis.",
        "",
        "## What it was fitted on, and why it was accepted",
        "",
        *(f"- {sentence}" for sentence in release.told),
        "",
        f"`config.json` holds {len(config['calibration_scores'])} scores of stable pairs, one of each patient, sorted,",
        "and no identifier. Where a patient withdraws consent, fit it anew.",
        "",
        stated,
        "",
        "| difference | unit | MDC (95%) | weight |",
        "|---|---|---|---|",
        *noise,
        "",
        "## Figures on held-out patients of the site",
        "",
        *(f"- {name}: {value}" for name, value in release.figures.items()),
        "",
        f"Made by `{release.command}`.",
        "",
        f"Licence: what comes from {release.base.name} stays under that release's licence (see its card); the site's",
        "own numbers are the site's, which decides on passing them on.",
    ]
    return "\n".join(lines) + "\n"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), indent=2, sort_keys=True) + "\n"
