"""Pairs of the change benchmark: a real photo taken twice in software, with or without a change in between.

A pair is named by its `ChangeSpec` and made from that, the seed and the folder alone, so that any process makes the
same one. Everything here serves for measuring only: the training's generator (`longderm.simulate.photo_pairs`) has
changes, warps and photometry of its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.bench.change_camera import ALONE, Conditions, draw_camera, draw_conditions, photograph, with_one
from longderm.bench.change_symmetry import asymmetry_moved
from longderm.bench.change_tissue import (
    Changed,
    Lesion,
    add_blotch,
    expand,
    grow,
    lose_structure,
    shift_colour,
    structure_contrast,
    tightened,
)
from longderm.bench.photos import names_of
from longderm.bench.registration_pairs import PHOTO_SIZE, load
from longderm.bench.rephotography import bent, draw_bend, renew_skin, warp, widen
from longderm.errors import SourceNotFoundError
from longderm.imaging.colour import srgb_to_lab
from longderm.registration.similarity import Matrix, from_parts, inverse

#: What only a new photo brings.
STABLE = "re-photographed"
#: The fixed mix of changes, in equal shares; and the weak tier.
STRONG = ("growth 10%", "growth 20%", "growth 40%", "blotch 3-8%", "colour 6-12", "lost structure")
WEAK = ("growth 5-10%", "blotch 1-3%", "colour 3-6")
#: Reported apart: no growth of a lesion looks like it, and photos without a scale cannot tell it from a nearer camera.
EXPANSION = "uniform expansion"
#: Prefix of pairs with one nuisance alone, and the same pairs without any.
ALONE_PREFIX, CALM = "alone: ", "nothing"

#: Prefix of pairs that the training's own generator made, of the same mix.
OWN_PREFIX = "own: "

#: For each pair of the fixed mix, so many more of the weak tier, of expansion, and of each nuisance alone.
_WEAK_SHARE, _EXPANSION_SHARE, _ALONE_SHARE = 0.15, 0.05, 0.05
#: ... and so many made by the training's own generator.
_OWN_SHARE = 0.2
#: Strata in that generator's words: kind, and the range of its size.
_IN_OWN_WORDS = {
    "growth 10%": ("growth", 0.1, 0.1),
    "growth 20%": ("growth", 0.2, 0.2),
    "growth 40%": ("growth", 0.4, 0.4),
    "blotch 3-8%": ("blotch", 0.03, 0.08),
    "colour 6-12": ("colour", 6.0, 12.0),
    "lost structure": ("structure", 0.5, 0.8),
    "growth 5-10%": ("growth", 0.05, 0.1),
    "blotch 1-3%": ("blotch", 0.01, 0.03),
    "colour 3-6": ("colour", 3.0, 6.0),
}

#: Photos taken part of: the lesion is whole (the rules withhold cut ones), neither a speck nor the whole field.
_LESION_SHARE = (0.01, 0.35)
#: The second pose: turn (degrees), zoom (factor up or down), shift (share of each side).
_TURN_DEG, _ZOOM, _SHIFT = 45.0, 1.2, 0.08
#: A contact plate bends skin: displacement at most this share of the lesion's diameter. The simulator's stretch (SD
#: 0.4%, at most 1%) is of that size.
_BEND = 0.01
#: A hand-held plate tilts: perspective moves the frame's rim by at most this share of its width.
_TILT = 0.006
#: Skin's fine texture that both photos share; the rest is renewed (folds, flakes, hairs too thin to be seen).
_PERSISTENCE = 0.9
#: Structure is lost only where there is some: its contrast is this many times the skin's.
_STRUCTURE_MIN = 1.7
#: A change that differs by less than this in the mean (CIE 1976) is none that anybody sees (just noticeable: 2.3, Mahy
#: et al. 1994, doi 10.1002/col.5080190207): it is made on another photo instead, tried so many times.
_VISIBLE_DELTA_E, _TRIES = 2.3, 5
#: Donors tried for a pair; the one with the nearest skin is taken.
_DONORS = 6
#: Uniform expansion of the area.
_EXPANDED = 0.2


@dataclass(frozen=True)
class ChangeSpec:
    """Which pair: its stratum (of STABLE, STRONG, WEAK, EXPANSION, or ALONE_PREFIX and a nuisance), number, seed."""

    stratum: str
    number: int
    seed: int

    @property
    def name(self) -> str:
        """For rows and file names."""
        plain = "".join(c if c.isalnum() else "_" for c in self.stratum)
        return f"{plain}-{self.number:04d}"

    @property
    def changed(self) -> bool:
        """Whether the lesion changes."""
        return self.stratum.removeprefix(OWN_PREFIX) in (*STRONG, *WEAK, EXPANSION)

    def generator(self, part: int) -> np.random.Generator:
        """Random numbers of this pair; pairs of one nuisance alone share those of their calm twin."""
        name = ALONE_PREFIX if self.stratum.startswith(ALONE_PREFIX) else self.stratum
        return np.random.default_rng([self.seed, zlib.crc32(name.encode()), self.number, part])


@dataclass(frozen=True, eq=False)
class ChangePair:
    """Two photos uint8 (H, W, 3) with the lesion's true masks, the true baseline-to-follow-up matrix, and the change.

    photo: name of the photo; where: bool (H, W) on the baseline's grid, what changed; size: see `Changed`, 0 of none;
    asymmetry_moved: see `longderm.bench.change_symmetry`, None where the training's generator changed it.
    """

    photo: str
    baseline: NDArray[np.uint8]
    followup: NDArray[np.uint8]
    baseline_mask: NDArray[np.bool_]
    followup_mask: NDArray[np.bool_]
    matrix: Matrix
    where: NDArray[np.bool_]
    size: float
    asymmetry_moved: tuple[float, float] | None = (0.0, 0.0)


def plan(pairs: int, seed: int, rephotographed: int = 0) -> list[ChangeSpec]:
    """All specs of a run in an order in which every beginning holds about the same mix.

    pairs: of the fixed mix: half only re-photographed, the rest in equal shares; weak, expanded and single-nuisance
    pairs come on top; rephotographed: so many pairs that did not change in all, the further ones at the end.
    """
    counts = {STABLE: pairs // 2}
    counts |= {name: _share(pairs - pairs // 2, index, len(STRONG)) for index, name in enumerate(STRONG)}
    weak = round(_WEAK_SHARE * pairs)
    counts |= {name: _share(weak, index, len(WEAK)) for index, name in enumerate(WEAK)}
    counts[EXPANSION] = round(_EXPANSION_SHARE * pairs)
    counts |= {ALONE_PREFIX + name: round(_ALONE_SHARE * pairs) for name in (CALM, *ALONE)}
    own = round(_OWN_SHARE * pairs)
    counts |= {OWN_PREFIX + STABLE: own // 2}
    counts |= {OWN_PREFIX + name: _share(own - own // 2, index, len(STRONG)) for index, name in enumerate(STRONG)}
    # The middle of each pair's share of its stratum: strata run in step.
    placed = [((number + 0.5) / count, name, number) for name, count in counts.items() for number in range(count)]
    further = [ChangeSpec(STABLE, number, seed) for number in range(counts[STABLE], rephotographed)]
    return [ChangeSpec(name, number, seed) for _, name, number in sorted(placed)] + further


def _share(total: int, index: int, parts: int) -> int:
    return total // parts + (index < total % parts)


@lru_cache(maxsize=4)
def usable_photos(folder: Path, split: str) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, int]]:
    """Names of the split's photos with a whole lesion, those with structure to lose, and why others are left out."""
    left_out = {"lesion cut by the edge": 0, "lesion below 1% of the photo": 0, "lesion above 35% of the photo": 0}
    usable, structured = [], []
    for name in names_of(folder, split):
        pixels, mask = load(folder, name)
        share = float(mask.mean())
        if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
            left_out["lesion cut by the edge"] += 1
        elif share < _LESION_SHARE[0]:
            left_out["lesion below 1% of the photo"] += 1
        elif share > _LESION_SHARE[1]:
            left_out["lesion above 35% of the photo"] += 1
        else:
            usable.append(name)
            if structure_contrast(Lesion(pixels, mask)) >= _STRUCTURE_MIN:
                structured.append(name)
    if len(usable) < 2 or not structured:
        raise SourceNotFoundError(f"split {split!r} of --photos has too few photos of whole lesions with structure")
    return tuple(usable), tuple(structured), left_out


def make_pair(spec: ChangeSpec, folder: Path, split: str) -> ChangePair:
    """The pair of a spec. Raises SourceNotFoundError for a folder without usable photos."""
    usable, structured, _ = usable_photos(folder, split)
    names = structured if spec.stratum.endswith("lost structure") else usable
    # Each stratum goes through all photos before one comes again.
    stream = zlib.crc32(spec.stratum.split(":")[0].encode())
    order = np.random.default_rng([spec.seed, 5, stream]).permutation(len(names))
    for attempt in range(_TRIES):
        name = names[int(order[(spec.number + attempt * (len(names) // 2 + 1)) % len(names)])]
        host = tightened(Lesion(*load(folder, name)))
        if spec.stratum.startswith(OWN_PREFIX):
            return _of_training(spec, name, host)
        if not spec.changed:
            break
        rng = spec.generator(1)
        changed = _change(spec.stratum, host, _donor(host, [n for n in usable if n != name], folder, rng), rng)
        if _contrast(host, changed) >= _VISIBLE_DELTA_E:
            return _taken_twice(spec, name, host, changed)
    return _taken_twice(spec, name, host, changed if spec.changed else None)


def pair_of_photo(spec: ChangeSpec, name: str, folder: Path) -> ChangePair:
    """The photo `name` taken twice as its spec says: STABLE, or changed by the training's own generator."""
    host = tightened(Lesion(*load(folder, name)))
    if spec.stratum.startswith(OWN_PREFIX):
        return _of_training(spec, name, host)
    return _taken_twice(spec, name, host, None)


def _contrast(host: Lesion, changed: Changed) -> float:
    """Mean colour difference (CIE 1976) that the change makes where it is."""
    if not changed.where.any():
        return 0.0
    before, after = (srgb_to_lab(lesion.pixels[changed.where]) for lesion in (host, changed.lesion))
    return float(np.linalg.norm(after - before, axis=1).mean())


def _of_training(spec: ChangeSpec, name: str, host: Lesion) -> ChangePair:
    """The pair as the training's generator makes it, at the size of a photo."""
    from longderm.simulate.photo_pairs import draw_photo_pair

    rng = spec.generator(1)
    kind, low, high = _IN_OWN_WORDS.get(spec.stratum.removeprefix(OWN_PREFIX), ("", 0.0, 0.0))
    pair = draw_photo_pair(host.pixels, host.mask, rng, kind, float(rng.uniform(low, high)), PHOTO_SIZE)
    return ChangePair(
        name,
        pair.baseline,
        pair.followup,
        pair.baseline_mask,
        pair.followup_mask,
        pair.matrix,
        pair.where,
        pair.size,
        None if pair.changed else (0.0, 0.0),
    )


def _change(stratum: str, host: Lesion, donor: Lesion, rng: np.random.Generator) -> Changed:
    if stratum == EXPANSION:
        return expand(host, _EXPANDED)
    if stratum == "lost structure":
        return lose_structure(host, rng)
    low, high = _range_of(stratum)
    amount = float(rng.uniform(low, high))
    if stratum.startswith("growth"):
        return grow(host, donor, amount / 100, rng)
    if stratum.startswith("blotch"):
        return add_blotch(host, donor, amount / 100, rng)
    return shift_colour(host, amount, rng)


def _range_of(stratum: str) -> tuple[float, float]:
    ends = [float(part) for part in stratum.split()[1].rstrip("%").split("-")]
    return ends[0], ends[-1]


def _donor(host: Lesion, names: list[str], folder: Path, rng: np.random.Generator) -> Lesion:
    """Of a few other photos the one whose skin is nearest in colour."""
    best: tuple[float, Lesion] | None = None
    skin = np.median(srgb_to_lab(host.pixels[::8, ::8])[~host.mask[::8, ::8]], axis=0)
    for index in rng.choice(len(names), min(_DONORS, len(names)), replace=False):
        donor = Lesion(*load(folder, names[int(index)]))
        away = np.median(srgb_to_lab(donor.pixels[::8, ::8])[~donor.mask[::8, ::8]], axis=0) - skin
        if best is None or float(np.linalg.norm(away)) < best[0]:
            best = float(np.linalg.norm(away)), donor
    assert best is not None
    return tightened(best[1])


def _conditions(spec: ChangeSpec) -> tuple[Conditions, Conditions]:
    rng = spec.generator(2)
    if spec.stratum.startswith(ALONE_PREFIX):
        alone = spec.stratum.removeprefix(ALONE_PREFIX)
        calm = Conditions(quality=int(rng.integers(85, 97)))
        return calm, calm if alone == CALM else with_one(calm, alone, rng)
    camera = draw_camera(rng)
    # Half of the follow-ups come from the same device.
    other = camera if rng.random() < 0.5 else draw_camera(rng)
    return draw_conditions(camera, rng), draw_conditions(other, rng)


def _taken_twice(spec: ChangeSpec, name: str, host: Lesion, changed: Changed | None) -> ChangePair:
    height, width = PHOTO_SIZE
    rng = spec.generator(3)
    fit = max(height / host.mask.shape[0], width / host.mask.shape[1])
    middle = complex(host.mask.shape[1] / 2, host.mask.shape[0] / 2)
    later = changed.lesion if changed is not None else host
    poses = [_pose(part, fit, host.centre, middle, rng) for part in range(2)]
    diameter = 2.0 * host.radius_px
    bends = [_bend(_BEND * diameter * abs(complex(p[0, 0], p[1, 0])), rng) for p in poses]
    to_image = from_parts(1.0, 0.0, complex(host.mask.shape[1], host.mask.shape[0]), 0j)
    rim = int(rng.integers(2**31))
    photos = []
    for part, (lesion, conditions) in enumerate(zip((host, later), _conditions(spec), strict=True)):
        texture, shot = spec.generator(10 + part), spec.generator(20 + part)
        scene = renew_skin(lesion.pixels, later.mask | host.mask, _PERSISTENCE, texture)
        plane = widen(scene, np.random.default_rng(rim))
        photos.append(photograph(plane, poses[part] @ to_image, PHOTO_SIZE, conditions, bends[part], shot))

    def seen(mask: NDArray[np.bool_], part: int) -> NDArray[np.bool_]:
        return np.asarray(bent(warp(mask.astype(np.uint8) * 255, poses[part], PHOTO_SIZE), bends[part]) > 127)

    where = changed.where if changed is not None else np.zeros_like(host.mask)
    return ChangePair(
        name,
        photos[0],
        photos[1],
        seen(host.mask, 0),
        seen(later.mask, 1),
        poses[1] @ inverse(poses[0]),
        seen(where, 0),
        0.0 if changed is None else changed.size,
        (0.0, 0.0) if changed is None else asymmetry_moved(host, changed.lesion),
    )


def _pose(part: int, fit: float, lesion: complex, middle: complex, rng: np.random.Generator) -> Matrix:
    """Scene to photo: the baseline nearly upright, the follow-up turned, zoomed and shifted."""
    height, width = PHOTO_SIZE
    turn = float(rng.uniform(-1, 1)) * (_TURN_DEG if part else 6.0)
    zoom = float(np.exp(rng.uniform(-1, 1) * np.log(_ZOOM) * (1.0 if part else 0.3)))
    dx, dy = rng.uniform(-_SHIFT, _SHIFT, 2) * (1.0 if part else 0.3)
    aim = complex((width - 1) / 2 + dx * width, (height - 1) / 2 + dy * height)
    return from_parts(fit * zoom, turn, 0.5 * (lesion + middle), aim)


def _bend(most_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Bent skin and a tilted plate as one displacement, float32 (2, height, width)."""
    height, width = PHOTO_SIZE
    elastic = draw_bend(PHOTO_SIZE, float(rng.uniform(0.3, 1.0)) * most_px, rng)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    u, v = x / width - np.float32(0.5), y / width - np.float32(0.5 * height / width)
    # Perspective to first order: points move along the line to the middle, in proportion to where they lie.
    tilt_x, tilt_y = (np.float32(value) for value in rng.uniform(-_TILT, _TILT, 2) * 4.0 * width)
    nearer = tilt_x * u + tilt_y * v
    return np.asarray(elastic + np.stack([u * nearer, v * nearer]), np.float32)


def strata() -> Iterator[str]:
    """All strata in the order of the table."""
    yield from (STABLE, *STRONG, *WEAK, EXPANSION)
    yield from (ALONE_PREFIX + name for name in (CALM, *ALONE))
    yield from (OWN_PREFIX + name for name in (STABLE, *STRONG))
