"""Benchmarks: each a module with `run(out, **options) -> dict`, run by `longderm bench NAME`."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from longderm.errors import UsageError

#: Name -> what it measures.
BENCHMARKS = {
    "imaging": "masks against experts' masks, side by side with Otsu",
    "quality": "the error that a photo's quality lets expect against that which nine distortions cause",
    "rulers": "scale read from drawn rulers of several makers, from textures that are none, and from real photos",
    "registration": "alignment on pairs with a known transform, growth and impostors, side by side with four peers",
    "repeats": "alignment on real repeats, by how experts' masks meet, side by side with the peers",
    "confidence": "fit the confidence of an alignment on real photos taken twice, check it on synthetic pairs",
    "encoder": "embedding speed against the bare network's; lesions found again by their vectors, beside simpler ones",
    "looks": "skin tone, area and asymmetry of simulated lesions against the simulator's truth; time of each part",
    "tones": "what the releases in use do by skin tone: photos by their tone, simulated lesions by Fitzpatrick type",
    "change": "change score on real photos taken twice, half of them changed in between, beside simpler comparisons",
    "pair": "a scored pair against the sum of its parts timed alone: two photos measured, one alignment, two looks",
    "evolution": "melanoma-like evolution on simulated 3-month pairs, against growing benign naevi, beside size alone",
    "trajectory": "simulated series of visits: growth with its interval, first flagged visit, months won over size",
    "noise": "minimal detectable change and false alarms on stable pairs; writes a change release",
    "card": "take results of other benchmarks into the figures and cards of a registry's releases",
    "prognosis": "optimism bootstraps of a Cox model beside a loop over lifelines; concordance by size; landmark risks",
    "pipeline": "the monitoring flow on simulated photos: wall time against the CPU time inside the stages, memory",
    "crash": "kill the flow at random moments and compare the store with that of an undisturbed run",
}


def list_benchmarks() -> dict[str, str]:
    """The benchmarks and what each measures."""
    return dict(BENCHMARKS)


def run_benchmark(name: str, out: Path | None, options: Mapping[str, str], quiet: bool = False) -> dict[str, Any]:
    """Run a benchmark and write its result as `NAME.json` to `out`; options are given as text.

    Raises UsageError for an unknown benchmark or option, and for one that is missing.
    """
    if name not in BENCHMARKS:
        raise UsageError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    module = import_module(f"longderm.bench.{name}")
    parsed = {key.replace("-", "_"): _parse(value) for key, value in options.items()}
    unknown = sorted(set(parsed) - set(module.run.__annotations__))
    if unknown:
        raise UsageError(f"bench {name} has no option --{unknown[0].replace('_', '-')}")
    _, *asked = signature(module.run).parameters.values()
    missing = [one.name for one in asked if one.default is one.empty and one.name not in parsed]
    if missing:
        raise UsageError(f"bench {name} needs --{missing[0].replace('_', '-')}")
    folder = out if out is not None else Path(tempfile.mkdtemp(prefix=f"longderm-bench-{name}-"))
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = module.run(folder, **parsed)
    result |= {"benchmark": name, "date": datetime.now(UTC).date().isoformat(), "machine": machine_class()}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
    if not quiet:
        print(f"Result: {path}")
    return result


def machine_class() -> str:
    """What kind of machine a figure was measured on; no name of one machine."""
    import os

    cores, system = len(os.sched_getaffinity(0)), f"{platform.machine()}, {platform.system()}"
    return f"{cores} cores, {system}, Python {platform.python_version()}"


def _parse(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
