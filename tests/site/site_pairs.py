"""A site's pairs without any photo: measured differences drawn from distributions that the tests state."""

from __future__ import annotations

import numpy as np

from longderm.change.evidence import MEASURES, NoiseModel, Observation
from longderm.change.familiar import LEVELS
from longderm.site.pairs import SitePair, rescored


def drawn_observations(rng, spread=1.0, shift=0.0, network=False) -> tuple[Observation, ...]:
    """Differences of one pair: noise of `spread`, and a change of `shift` on top of every measure.

    network: a network answers as well, with log odds that vary like the packaged one's.
    """
    found = []
    for spec in MEASURES:
        if spec.kind == "log odds":
            if network:
                found.append(
                    Observation(spec.name, float(np.clip(5.0 + 1.3 * spread * rng.normal() + 3 * shift, 0, 16)))
                )
            continue
        value = spread * rng.normal() + shift
        found.append(Observation(spec.name, abs(value) if spec.kind == "distance" else 0.1 * value))
    return tuple(found)


def drawn_pairs(patients, seed, spread=1.0, changed_share=0.0, shift=2.0, lesions=1, model: NoiseModel | None = None):
    """Pairs of so many patients; the last lesion of a share of them changed."""
    rng, made = np.random.default_rng(seed), []
    for patient in range(patients):
        changes = rng.random() < changed_share
        for lesion in range(lesions):
            changed = bool(changes and lesion == lesions - 1)
            pair = SitePair(
                pair_id=f"{seed}-{patient}-{lesion}",
                patient_id=f"patient {seed}-{patient:05d}",
                lesion_id=f"lesion {seed}-{patient}-{lesion}",
                modality="dermoscopic",
                interval_days=int(rng.integers(60, 500)),
                withheld=None,
                observations=drawn_observations(rng, spread, shift if changed else 0.0),
                score=None,
                p_value=None,
                levels=tuple({name: float(rng.normal(60, 5)) for name in LEVELS} for _ in range(2)),
                had_event=False,
                changed=changed,
            )
            made.append(pair if model is None else rescored(pair, model))
    return made
