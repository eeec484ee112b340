"""Fitting the segmenter's parameters to photos with experts' outlines. Used once per release, never by a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.candidates import Candidate, find_candidates
from longderm.imaging.features import Scene, context_features, look_at, skin_features
from longderm.imaging.quadratic import QuadraticScore, fit_linear, fit_logistic
from longderm.imaging.segmentation import Segmenter, choose, map_probability

#: Reads one example: pixels uint8 (H, W, 3) and the expert's mask bool (H, W).
Example = Callable[[], tuple[NDArray[np.uint8], NDArray[np.bool_]]]

SIDE_PX = 256
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88)
#: Pixels drawn of each photo: neighbours say the same, so more of them teach nothing.
_PIXELS_PER_PHOTO = 400
#: A lesion-free tile is at least this share of the photo's shorter side.
_TILE_MIN_SHARE = 0.25


def fit_segmenter(examples: Sequence[Example], seed: int = 0, variants: int = 2) -> dict[str, Any]:
    """The config of a segmentation release, fitted to `examples`; each is seen as it is and in further variants.

    Stages: pixels against the skin, pixels in context, overlap of candidates with the expert's mask, and presence
    (best candidates of whole photos against those of lesion-free tiles of the same photos).
    """
    scenes = [(index, variant) for index in range(len(examples)) for variant in range(variants)]

    def view(index: int, variant: int) -> tuple[Scene, NDArray[np.bool_]]:
        pixels, mask = examples[index]()
        if variant:
            pixels, mask = vary(pixels, mask, np.random.default_rng([seed, index, variant]))
        scene = look_at(pixels, SIDE_PX)
        return scene, shrink_mask(mask, scene.inside.shape)

    def sample(features_of: Callable[[Scene], NDArray[np.float32]]) -> NDArray[np.float64]:
        rows, labels, weights = [], [], []
        for index, variant in scenes:
            scene, mask = view(index, variant)
            picked = np.random.default_rng([seed, index, variant, 1]).choice(mask.size, _PIXELS_PER_PHOTO)
            features = features_of(scene)
            rows.append(features.reshape(-1, features.shape[-1])[picked])
            labels.append(mask.reshape(-1)[picked])
            weights.append(_pixel_weight(mask, scene.inside).reshape(-1)[picked])
        return fit_logistic(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights))

    skin_weights = _rounded(sample(skin_features))
    skin = QuadraticScore.from_weights(skin_weights)
    context_weights = _rounded(sample(lambda scene: context_features(scene, skin(skin_features(scene)))))
    config: dict[str, Any] = {
        "side_px": SIDE_PX,
        "levels": list(LEVELS),
        "skin_weights": skin_weights,
        "context_weights": context_weights,
    }
    context = QuadraticScore.from_weights(context_weights)
    none = QuadraticScore(np.zeros((1, 1), dtype=np.float32))
    partial = Segmenter(SIDE_PX, skin, context, none, none, LEVELS, 0, 0, 0, 0)
    groups: list[list[Candidate]] = []
    rows, values = [], []
    for index, variant in scenes:
        scene, mask = view(index, variant)
        candidates = find_candidates(scene, map_probability(scene, partial), LEVELS)
        groups.append(candidates if variant == 0 or 0.02 < mask.mean() < 0.95 else [])
        for candidate in candidates:
            rows.append(candidate.features)
            values.append(dice(candidate.mask, mask))
    config["overlap_weights"] = _rounded(fit_linear(np.stack(rows), np.asarray(values)))
    overlap = QuadraticScore.from_weights(config["overlap_weights"])
    partial = Segmenter(SIDE_PX, skin, context, overlap, none, LEVELS, 0, 0, 0, 0)

    best = [choose(candidates, partial)[0] for candidates in groups if candidates]
    empty: list[Candidate] = []
    for index in range(len(examples)):
        for tile in lesion_free_tiles(*examples[index](), rng=np.random.default_rng([seed, index, 2])):
            scene = look_at(tile, SIDE_PX)
            candidates = find_candidates(scene, map_probability(scene, partial), LEVELS)
            if candidates:
                empty.append(choose(candidates, partial)[0])
    described = np.stack([candidate.features for candidate in [*best, *empty]])
    labels = np.arange(len(described)) < len(best)
    weight = np.where(labels, 0.5 / len(best), 0.5 / max(1, len(empty)))
    config["presence_weights"] = _rounded(fit_logistic(described, labels, weight, penalty=3e-4))
    return config


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
    """Up to `tiles` crops, 4% of the shorter side away from the mask; fewer where the lesion leaves no room."""
    import cv2

    side = min(mask.shape)
    gap = 2 * round(0.04 * side) + 1
    blocked = cv2.dilate(mask.astype(np.uint8), np.ones((gap, gap), np.uint8))
    covered = np.pad(blocked, ((1, 0), (1, 0))).cumsum(0, dtype=np.int64).cumsum(1)
    found: list[NDArray[np.uint8]] = []
    for _ in range(40):
        if len(found) == tiles:
            break
        h = round(side * rng.uniform(_TILE_MIN_SHARE, 0.6))
        w = min(mask.shape[1], round(h * rng.choice([1.0, 4 / 3])))
        y, x = int(rng.integers(0, mask.shape[0] - h + 1)), int(rng.integers(0, mask.shape[1] - w + 1))
        if covered[y + h, x + w] - covered[y, x + w] - covered[y + h, x] + covered[y, x] == 0:
            found.append(np.ascontiguousarray(pixels[y : y + h, x : x + w]))
    return found


def _pixel_weight(mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Half the weight as pixels come, half balanced between lesion and skin, so that small lesions count as well."""
    share = float(np.clip(mask.mean(), 0.01, 0.99))
    return np.asarray((0.5 + 0.5 * np.where(mask, 0.5 / share, 0.5 / (1 - share))) * inside)


def _rounded(weights: NDArray[np.float64]) -> list[float]:
    return [float(f"{weight:.5g}") for weight in weights]
