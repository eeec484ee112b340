"""Fitting the segmenter's parameters to photos with experts' outlines. Used once per release, never by a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.candidates import Candidate, find_candidates
from longderm.imaging.colour_outline import Segmenter, choose, map_probability
from longderm.imaging.features import Scene, context_features, contrast_map, look_at, skin_features
from longderm.imaging.quadratic import QuadraticScore, fit_linear, fit_logistic

#: Reads one example: pixels uint8 (H, W, 3) and the expert's mask bool (H, W).
Example = Callable[[], tuple[NDArray[np.uint8], NDArray[np.bool_]]]

#: Longer side of the copies that are looked at.
SIDE_PX = 256
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88)
#: Pixels drawn of each photo: neighbours say the same, so more of them teach nothing.
_PIXELS_PER_PHOTO = 400
#: Crops that show hardly any of the lesion, or nothing but it, teach nothing about presence.
_MIN_SHOWN, _MAX_SHOWN = 0.004, 0.95
#: A lesion-free tile is at least this share of the photo's shorter side.
_TILE_MIN_SHARE = 0.25


def fit_segmenter(
    examples: Sequence[Example],
    seed: int = 0,
    variants: int = 2,
    progress: Callable[[str], None] = lambda _: None,
    side_px: int = SIDE_PX,
) -> dict[str, Any]:
    """The fitted part of a segmentation release's config; each example is seen as it is and in further variants.

    In turn: pixels against the skin, pixels in context, which candidate of a photo is best, how well it matches the
    expert's mask, and presence (best candidates of whole photos against those of lesion-free tiles of the same photos).
    """
    views = [
        _view(example, seed, index, variant, side_px)
        for index, example in enumerate(examples)
        for variant in range(variants)
    ]
    progress(f"{len(views)} views of {len(examples)} photos")
    skin_weights = _fit_pixels(views, skin_features, seed)
    skin = QuadraticScore.from_weights(skin_weights)
    progress("pixels against the skin")
    context_weights = _fit_pixels(views, lambda scene: context_features(scene, skin(skin_features(scene))), seed)
    context = QuadraticScore.from_weights(context_weights)
    progress("pixels in context")

    none = QuadraticScore(np.zeros((1, 1), dtype=np.float32))
    segmenter = Segmenter(side_px, skin, context, none, none, none, LEVELS, 0, 0, 0, 0, 0, 1)
    groups = [_candidates(view.scene, segmenter) for view in views]
    features = np.stack([candidate.features for group in groups for candidate in group])
    overlaps = [
        dice(candidate.mask, view.mask) for view, group in zip(views, groups, strict=True) for candidate in group
    ]
    members = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    choice_weights = _rounded(fit_linear(features, np.asarray(overlaps), members))
    overlap_weights = _rounded(fit_linear(features, np.asarray(overlaps)))
    choice, overlap = (QuadraticScore.from_weights(weights) for weights in (choice_weights, overlap_weights))
    segmenter = replace(segmenter, choice=choice, overlap=overlap)
    progress("candidates")

    whole = [
        _best_features(group, segmenter)
        for view, group in zip(views, groups, strict=True)
        if group and _MIN_SHOWN < view.mask.mean() < _MAX_SHOWN
    ]
    bare = []
    for index, example in enumerate(examples):
        for tile in lesion_free_tiles(*example(), rng=np.random.default_rng([seed, index, 2])):
            group = _candidates(look_at(tile, side_px, find_artefacts(tile)), segmenter)
            if group:
                bare.append(_best_features(group, segmenter))
    labels = np.arange(len(whole) + len(bare)) < len(whole)
    weight = np.where(labels, 0.5 / len(whole), 0.5 / max(1, len(bare)))
    presence_weights = _rounded(fit_logistic(np.stack([*whole, *bare]), labels, weight, penalty=1e-3))
    progress("presence")
    return {
        "side_px": side_px,
        "levels": list(LEVELS),
        "skin_weights": skin_weights,
        "context_weights": context_weights,
        "choice_weights": choice_weights,
        "overlap_weights": overlap_weights,
        "presence_weights": presence_weights,
    }


@dataclass(frozen=True, eq=False)
class _View:
    """A scene with the expert's mask on its grid; colours in half precision, since all views are held at once."""

    half: NDArray[np.float16]
    inside: NDArray[np.bool_]
    clear: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    draw: tuple[int, int]

    @property
    def scene(self) -> Scene:
        return Scene(self.half.astype(np.float32), self.inside, self.clear)


def _view(example: Example, seed: int, index: int, variant: int, side_px: int) -> _View:
    pixels, mask = example()
    if variant:
        pixels, mask = vary(pixels, mask, np.random.default_rng([seed, index, variant]))
    scene = look_at(pixels, side_px, find_artefacts(pixels))
    small = shrink_mask(mask, (scene.inside.shape[0], scene.inside.shape[1]))
    return _View(scene.lab.astype(np.float16), scene.inside, scene.clear, small, (index, variant))


def _fit_pixels(views: Sequence[_View], features_of: Callable[[Scene], NDArray[np.float32]], seed: int) -> list[float]:
    rows, labels, weights = [], [], []
    for view in views:
        picked = np.random.default_rng([seed, *view.draw, 1]).choice(view.mask.size, _PIXELS_PER_PHOTO)
        features = features_of(view.scene)
        rows.append(features.reshape(-1, features.shape[-1])[picked])
        labels.append(view.mask.reshape(-1)[picked])
        weights.append(_pixel_weight(view.mask, view.inside).reshape(-1)[picked])
    return _rounded(fit_logistic(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights)))


def _candidates(scene: Scene, segmenter: Segmenter) -> list[Candidate]:
    return find_candidates(scene, map_probability(scene, segmenter), contrast_map(scene), segmenter.levels)


def _best_features(group: list[Candidate], segmenter: Segmenter) -> NDArray[np.float32]:
    return choose(group, segmenter)[0].features


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Overlap 2 |A and B| / (|A| + |B|) in [0, 1]; 1 where both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def shrink_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask at a smaller size, by majority."""
    import cv2

    share = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0.5)


def vary(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A crop of 55-100% of each side, sides 1:1 or 4:3, other exposure (20%) and white balance (8%), maybe mirrored."""
    import cv2

    height, width = mask.shape
    share = rng.uniform(0.55, 1.0)
    h, w = round(height * share), round(width * share)
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    part, part_mask = pixels[y : y + h, x : x + w], mask[y : y + h, x : x + w]
    stretched = (round(w * (4 / 3 if rng.random() < 0.6 else 1)), h)
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, size=3)
    part = np.clip(part * gain, 0, 255).astype(np.uint8)
    part = np.asarray(cv2.resize(part, stretched, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    part_mask = cv2.resize(part_mask.astype(np.uint8), stretched, interpolation=cv2.INTER_NEAREST) > 0
    if rng.random() < 0.5:
        part, part_mask = part[:, ::-1], part_mask[:, ::-1]
    return np.ascontiguousarray(part), np.ascontiguousarray(part_mask)


def lesion_free_tiles(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator, tiles: int = 2
) -> list[NDArray[np.uint8]]:
    """The photo's pixels at `lesion_free_places`."""
    return [np.ascontiguousarray(pixels[place]) for place in lesion_free_places(mask, rng, tiles)]


def lesion_free_places(mask: NDArray[np.bool_], rng: np.random.Generator, tiles: int = 2) -> list[tuple[slice, slice]]:
    """Up to `tiles` crops (rows, columns), 4% of the shorter side away from the mask; fewer where the lesion leaves no
    room. Another lesion may lie there: masks hold one."""
    import cv2

    side = min(mask.shape)
    gap = 2 * round(0.04 * side) + 1
    blocked = cv2.dilate(mask.astype(np.uint8), np.ones((gap, gap), np.uint8))
    covered = np.pad(blocked, ((1, 0), (1, 0))).cumsum(0, dtype=np.int64).cumsum(1)
    found: list[tuple[slice, slice]] = []
    for _ in range(40):
        if len(found) == tiles:
            break
        h = round(side * rng.uniform(_TILE_MIN_SHARE, 0.6))
        w = min(mask.shape[1], round(h * rng.choice([1.0, 4 / 3])))
        y, x = int(rng.integers(0, mask.shape[0] - h + 1)), int(rng.integers(0, mask.shape[1] - w + 1))
        if covered[y + h, x + w] - covered[y, x + w] - covered[y + h, x] + covered[y, x] == 0:
            found.append((slice(y, y + h), slice(x, x + w)))
    return found


def _pixel_weight(mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Half the weight as pixels come, half balanced between lesion and skin, so that small lesions count as well."""
    share = float(np.clip(mask.mean(), 0.01, 0.99))
    return np.asarray((0.5 + 0.5 * np.where(mask, 0.5 / share, 0.5 / (1 - share))) * inside)


def _rounded(weights: NDArray[np.float64]) -> list[float]:
    return [float(f"{weight:.5g}") for weight in weights]
