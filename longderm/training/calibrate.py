"""What a release says of its own outlines and structures, fitted to photos that the network was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.errors import StageError
from longderm.imaging.fit import dice, lesion_free_tiles, shrink_mask, vary
from longderm.imaging.network_outline import Area, find_area
from longderm.imaging.quadratic import fit_linear
from longderm.imaging.sight import Sight, look, read_texture, squash
from longderm.imaging.structures import texture_log_odds, unusual
from longderm.models.lesion_network import LesionNetwork
from longderm.training.examples import COARSE_PX, STRUCTURES, Example

#: Levels of the outline that are tried, and of the structures' marks.
_OUTLINE_LEVELS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
_MARK_LEVELS = tuple(round(0.05 * step, 2) for step in range(2, 17))
#: Crops of each photo, and tiles of its bare skin, beside the photo as it is.
_CROPS, _TILES = 4, 3
#: Crops that show hardly any of the lesion, or nothing but it, teach nothing about presence.
_MIN_SHOWN, _MAX_SHOWN = 0.004, 0.95
#: Calibration moves away from what the network says only as far as the photos ask for: some structures are rare.
_CALIBRATION_PENALTY = 2.0
#: Of 3, 10, 30 and 100, the penalty with the best ranks on photos held out; a sign that never varies gets this spread.
_TEXTURE_PENALTY, _LEAST_SPREAD = 30.0, 1e-6
_NEWTON_STEPS = 15
#: Settings that are chosen, not fitted. An outline expected to overlap less than a fifth helps nobody; below 0.6, a
#: reader should look twice; in clinical photos, shadows and folds at the edge are no lesions.
_CHOSEN = {"min_overlap": 0.2, "doubtful_overlap": 0.6, "clinical_max_cut_share": 0.1}


@dataclass(frozen=True, eq=False)
class Seen:
    """What the networks saw of a view, with its true mask bool on the outline's grid."""

    sight: Sight
    mask: NDArray[np.bool_]


def calibrate(
    networks: Sequence[LesionNetwork], photos: list[Example], held: list[Example], side_px: int, seed: int
) -> dict[str, Any]:
    """The fitted parts of a network release's config, "drawing" and "structures", from held-out photos.

    What texture says of structures is learned from `photos`, the networks' own: they saw them, this did not.
    """
    whole = [_see(networks, example.fine, example.mask > 127, side_px) for example in held]
    views, bare = list(whole), []
    for index, example in enumerate(held):
        for crop in range(_CROPS):
            varied = vary(example.fine, example.mask > 127, np.random.default_rng([seed, index, crop]))
            views.append(_see(networks, *varied, side_px))
        rng = np.random.default_rng([seed, index, _CROPS])
        for tile in lesion_free_tiles(example.fine, example.mask > 127, rng, _TILES):
            bare.append(_see(networks, tile, np.zeros(tile.shape[:2], dtype=np.bool_), side_px))
    texture = fit_texture(photos, [_see(networks, example.fine, example.mask > 127, side_px) for example in photos])
    return {"drawing": _fit_drawing(whole, views, bare), "structures": fit_structures(held, whole, texture)}


def _fit_drawing(whole: list[Seen], views: list[Seen], bare: list[Seen]) -> dict[str, Any]:
    level = max(_OUTLINE_LEVELS, key=lambda candidate: round(_mean_overlap(whole, candidate), 5))
    areas = [(find_area(seen.sight, level), seen.mask) for seen in views]
    drawn = [(area, mask) for area, mask in areas if area is not None]
    if not drawn:
        raise StageError("the networks draw nothing on the photos held out; train them for more passes")
    overlaps = np.array([dice(area.mask, mask) for area, mask in drawn])
    overlap_weights = _rounded(fit_linear(_features([area for area, _ in drawn]), overlaps, penalty=1e-2))

    lesions = np.array([seen.sight.presence for seen in views if _MIN_SHOWN < seen.mask.mean() < _MAX_SHOWN])
    skin = np.array([seen.sight.presence for seen in bare])
    slope, offset = fit_calibration(np.concatenate([lesions, skin]), np.arange(len(lesions) + len(skin)) < len(lesions))
    # No photo held out may be passed over: of so few, even one would be too many, and to pass over a lesion is worse
    # than to draw a spot of skin.
    lowest = min(seen.sight.presence for seen in whole)
    return {
        "level": level,
        "overlap_weights": overlap_weights,
        "presence_slope": round(slope, 4),
        "presence_offset": round(offset, 4),
        "min_presence": float(np.floor(1e4 / (1 + np.exp(-(slope * lowest + offset)))) / 1e4),
        **_CHOSEN,
    }


def fit_texture(photos: list[Example], seen: list[Seen]) -> dict[str, Any] | None:
    """Linear log-odds of each structure from texture signs: see `texture_log_odds`; None where no photo is marked."""
    marked = [(example, example.marks, one.sight) for example, one in zip(photos, seen, strict=True)]
    known = [(example, marks, sight) for example, marks, sight in marked if marks is not None]
    if not known:
        return None
    signs = np.stack([read_texture(example.fine, sight.outline) for example, _, sight in known])
    bits = np.arange(len(STRUCTURES))[:, None, None]
    shown = np.stack([((marks[None] >> bits) & 1).any(axis=(1, 2)) for _, marks, _ in known])
    middle, spread = signs.mean(axis=0), signs.std(axis=0) + _LEAST_SPREAD
    fitted: dict[str, Any] = {"middle": _rounded(middle), "spread": _rounded(spread)}
    inputs = unusual(signs, middle, spread).astype(np.float64)
    weights = [fit_ridge(inputs, labels) for labels in shown.T]
    return fitted | {
        "weights": [_rounded(row[:-1]) for row in weights],
        "offset": _rounded(np.array([row[-1] for row in weights])),
    }


def fit_ridge(inputs: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights (n + 1,), the offset last, of the penalised logistic regression of labels (N,) on inputs (N, n)."""
    padded = np.column_stack([inputs, np.ones(len(inputs))])
    penalty = _TEXTURE_PENALTY * np.diag([1.0] * inputs.shape[1] + [1e-3])
    weights = np.zeros(padded.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(padded @ weights, -30, 30)))
        curvature = (padded * (probability * (1 - probability))[:, None]).T @ padded + penalty
        weights -= np.linalg.solve(curvature, padded.T @ (probability - labels) + penalty @ weights)
    return weights


def fit_structures(held: list[Example], whole: list[Seen], texture: dict[str, Any] | None) -> dict[str, Any]:
    """Calibration of each structure's log-odds (Platt 1999), and the level of its marks with the best Jaccard."""
    marked = [
        (example.marks, seen.sight) for example, seen in zip(held, whole, strict=True) if example.marks is not None
    ]
    said = np.stack([seen.sight.structures for seen in whole]).astype(np.float64)
    if texture is not None:
        signs = [read_texture(example.fine, seen.sight.outline) for example, seen in zip(held, whole, strict=True)]
        said = texture_log_odds(np.stack(signs), texture).astype(np.float64)
    said = said[[example.marks is not None for example in held]]
    slopes, offsets, levels = [], [], []
    for bit in range(len(STRUCTURES)):
        planes = [((marks >> bit) & 1).astype(bool) for marks, _ in marked]
        slope, offset = fit_calibration(said[:, bit], np.array([plane.any() for plane in planes]))
        maps = [enlarge(sight.structure_map[bit]) for _, sight in marked]
        best = max(_MARK_LEVELS, key=lambda level: round(_jaccard(maps, planes, level), 5))
        slopes.append(round(slope, 4))
        offsets.append(round(offset, 4))
        levels.append(best)
    fitted = {"names": list(STRUCTURES), "slope": slopes, "offset": offsets, "levels": levels}
    return fitted if texture is None else fitted | {"texture": texture}


def fit_calibration(log_odds: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset with which log-odds (N,) fit labels (N,) best, drawn towards 1 and 0; Newton's method."""
    inputs = np.column_stack([log_odds, np.ones(len(log_odds))])
    prior, penalty = np.array([1.0, 0.0]), np.array([_CALIBRATION_PENALTY, 0.1])
    fitted = prior.copy()
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(inputs @ fitted, -30, 30)))
        gradient = inputs.T @ (probability - labels) + penalty * (fitted - prior)
        hessian = (inputs * (probability * (1 - probability))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        # Far from its goal, Newton's method overshoots; steps of at most 1 get there as well.
        step *= min(1.0, 1.0 / max(float(np.linalg.norm(step)), 1e-12))
        fitted -= step
        if np.abs(step).max() < 1e-8:
            break
    # A structure that the network cannot tell must not become likelier the less it sees of it.
    return max(float(fitted[0]), 0.0), float(fitted[1])


def enlarge(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """A structure's map as probabilities on the grid of the marks, float32 (256, 256)."""
    import cv2

    probability = (1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))).astype(np.float32)
    return np.asarray(cv2.resize(probability, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _see(networks: Sequence[LesionNetwork], pixels: NDArray[np.uint8], mask: NDArray[np.bool_], side_px: int) -> Seen:
    sight = look(networks, squash(pixels, side_px), (pixels.shape[0], pixels.shape[1]), "fitted")
    return Seen(sight, shrink_mask(mask, (sight.outline.shape[0], sight.outline.shape[1])))


def _mean_overlap(whole: list[Seen], level: float) -> float:
    areas = [(find_area(seen.sight, level), seen.mask) for seen in whole]
    return float(np.mean([dice(area.mask, mask) if area is not None else 0.0 for area, mask in areas]))


def _jaccard(maps: list[NDArray[np.float32]], planes: list[NDArray[np.bool_]], level: float) -> float:
    both = sum(int(((drawn > level) & plane).sum()) for drawn, plane in zip(maps, planes, strict=True))
    either = sum(int(((drawn > level) | plane).sum()) for drawn, plane in zip(maps, planes, strict=True))
    return both / either if either else 0.0


def _features(areas: list[Area]) -> NDArray[np.float32]:
    return np.stack([area.features for area in areas])


def _rounded(weights: NDArray[np.float64]) -> list[float]:
    return [float(f"{weight:.5g}") for weight in weights]
