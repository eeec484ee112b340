"""What a release says of dermoscopic structures, fitted to texture: a score of cells, one of photos, calibrated.

A cell's score is learned from the experts' marks in it, a photo's from the mean of its cells' signs and from how high
their scores are: structures are local, and a few cells decide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.imaging.bands import pool
from longderm.imaging.sight import Sight, look, read_texture, squash
from longderm.imaging.structures import cell_scores, summarise, texture_log_odds, unusual
from longderm.imaging.texture import Texture, overlapping
from longderm.models.lesion_network import LesionNetwork
from longderm.training.examples import COARSE_PX, STRUCTURES, Example, hold_out, read_examples, read_train_rows
from longderm.training.logistic import fit_calibration, fit_ridge

#: Levels of the marks that are tried.
_MARK_LEVELS = tuple(round(0.05 * step, 2) for step in range(2, 17))
#: Of the cells' score: hundreds of thousands of cells need little.
_CELL_PENALTY = 300.0
#: Of the photos' score: of 3, 10 and 30, the one with the best ranks in five-fold cross-validation on train photos.
_PHOTO_PENALTY = 10.0
#: Texture is learned from photos as they are and as if taken from nearer, from further away, and squashed otherwise:
#: lengths across and down are so many times as long. How far a photo was zoomed or squashed says nothing of structures.
_COPIES = ((1.0, 1.0), (1.2, 1.2), (0.82, 0.82), (1.15, 0.87), (0.87, 1.15))
#: A sign that never varies gets this spread.
_LEAST_SPREAD = 1e-3


def refit_structures(release: Path, folder: Path) -> dict[str, Any]:
    """Fit "structures" of a release folder's config.json anew, from the ISIC-layout folder of its training.

    The photos that were held out of the networks' training calibrate, the others are fitted to, as the config's own
    "training" parts them. Cards, figures and hashes are not touched. Raises SourceNotFoundError for a folder of another
    layout, RefusedError where the weights do not fit the config.
    """
    from longderm.models.weights import read_networks

    path = release / "config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    names, held = hold_out(read_train_rows(folder), config["training"]["held_share"], config["training"]["seed"])
    networks = read_networks(release)
    config["structures"] = calibrate_structures(
        networks, read_examples(folder, names), read_examples(folder, held), config["network"]["side_px"]
    )
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    fitted: dict[str, Any] = config["structures"]
    return fitted


def calibrate_structures(
    networks: Sequence[LesionNetwork], photos: list[Example], held: list[Example], side_px: int
) -> dict[str, Any]:
    """The config's "structures": texture's scores, calibrated on photos `held` out of their fit.

    The scores that are written are then fitted to all photos: the networks saw `photos` alone, texture needs no network
    but for the outline.
    """

    def see(example: Example) -> Sight:
        return look(networks, squash(example.fine, side_px), (example.fine.shape[0], example.fine.shape[1]), "fitted")

    # Only what is kept of each photo is held in memory.
    marked = [(example, example.marks) for example in photos if example.marks is not None]
    copies = [
        copy for example, of_photo in marked for copy in read_copies(example.fine, see(example).outline, of_photo)
    ]
    fitted = fit_texture(copies)
    seen = [(example, example.marks) for example in held if example.marks is not None]
    sights = [see(example) for example, _ in seen]
    known = [of_photo for _, of_photo in seen]
    if fitted is None:
        return fit_structures(sights, known, None)
    others = [
        read_copies(example.fine, sight.outline, of_photo)
        for (example, of_photo), sight in zip(seen, sights, strict=True)
    ]
    calibrated = fit_structures(sights, known, fitted, [as_it_is for (as_it_is, _), *_ in others])
    return calibrated | {"texture": fit_texture([*copies, *chain.from_iterable(others)])}


def read_copies(
    pixels: NDArray[np.uint8], outline: NDArray[np.float32], marks: NDArray[np.uint8]
) -> list[tuple[Texture, NDArray[np.uint8]]]:
    """Textures of a square photo uint8 (S, S, 3) with their marks uint8 (256, 256): as it is, and of its copies."""
    import cv2

    def stretch(image: NDArray[Any], across: float, down: float, interpolation: int) -> NDArray[Any]:
        """About the middle; beyond its edge, the image is mirrored."""
        if across == down == 1:
            return image
        middle = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
        matrix = np.array([[across, 0, (1 - across) * middle[0]], [0, down, (1 - down) * middle[1]]])
        size = (image.shape[1], image.shape[0])
        return cv2.warpAffine(image, matrix, size, flags=interpolation, borderMode=cv2.BORDER_REFLECT_101)

    return [
        (
            read_texture(stretch(pixels, *copy, cv2.INTER_LINEAR), stretch(outline, *copy, cv2.INTER_LINEAR)),
            stretch(marks, *copy, cv2.INTER_NEAREST),
        )
        for copy in _COPIES
    ]


def fit_texture(marked: Sequence[tuple[Texture, NDArray[np.uint8]]]) -> dict[str, Any] | None:
    """Scores of cells and of photos (see `texture_log_odds`) from marks uint8 (256, 256); None without photos."""
    if not marked:
        return None
    cells = _fit_cells(marked)
    said = np.stack([summarise(texture, cell_scores(texture, cells)) for texture, _ in marked])
    middle, spread = _rounded(said.mean(axis=0)), _rounded(said.std(axis=0) + _LEAST_SPREAD)
    inputs = unusual(said, np.array(middle, np.float32), np.array(spread, np.float32)).astype(np.float64)
    shown = np.stack([_planes(of_photo).any(axis=(1, 2)) for _, of_photo in marked])
    weights = np.stack([fit_ridge(inputs, labels, _PHOTO_PENALTY) for labels in shown.T])
    return {"cells": cells, "photo": _linear(middle, spread, weights)}


def _fit_cells(marked: Sequence[tuple[Texture, NDArray[np.uint8]]]) -> dict[str, Any]:
    """Least squares of the share of each cell that is marked on its signs, a little penalised."""
    textures = [texture for texture, _ in marked]
    count = sum(len(texture.signs) for texture in textures)
    middle = np.sum([texture.signs.sum(axis=0, dtype=np.float64) for texture in textures], axis=0) / count
    squares = np.sum([((texture.signs - middle) ** 2).sum(axis=0) for texture in textures], axis=0)
    scale = _rounded(middle), _rounded(np.sqrt(squares / count) + _LEAST_SPREAD)
    size = len(scale[0]) + 1
    gram, product = _CELL_PENALTY * np.eye(size), np.zeros((size, len(STRUCTURES)))
    gram[-1, -1] = 1e-6
    for texture, of_photo in marked:
        inputs = unusual(texture.signs, *(np.array(part, np.float32) for part in scale)).astype(np.float64)
        padded = np.column_stack([inputs, np.ones(len(inputs))])
        shares = np.stack([overlapping(pool(plane.astype(np.float32)))[texture.where] for plane in _planes(of_photo)])
        gram += padded.T @ padded
        product += padded.T @ shares.T
    return _linear(*scale, np.linalg.solve(gram, product).T)


def fit_structures(
    sights: Sequence[Sight],
    marks: Sequence[NDArray[np.uint8]],
    texture: dict[str, Any] | None,
    textures: Sequence[Texture] = (),
) -> dict[str, Any]:
    """Calibration of each structure's log-odds (Platt 1999), and the level of its marks with the best Jaccard.

    sights, marks, textures: of the photos held out; the log-odds are those of `texture`, or, without, the networks'.
    """
    said = [texture_log_odds(one, texture) for one in textures] if texture else [sight.structures for sight in sights]
    planes = [_planes(of_photo) for of_photo in marks]
    slopes, offsets, levels = [], [], []
    for bit in range(len(STRUCTURES)):
        log_odds = np.array([float(one[bit]) for one in said])
        shown = np.array([bool(plane[bit].any()) for plane in planes], dtype=np.bool_)
        slope, offset = fit_calibration(log_odds, shown)
        maps = [enlarge(sight.structure_map[bit]) for sight in sights]
        own = [plane[bit] for plane in planes]
        slopes.append(round(slope, 4))
        offsets.append(round(offset, 4))
        levels.append(_best_level(maps, own))
    fitted = {"names": list(STRUCTURES), "slope": slopes, "offset": offsets, "levels": levels}
    return fitted if texture is None else fitted | {"texture": texture}


def _planes(marks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.stack([((marks >> bit) & 1).astype(bool) for bit in range(len(STRUCTURES))])


def _linear(middle: list[float], spread: list[float], weights: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """A linear score for a config: weights (K, n + 1), the offset last."""
    return {
        "middle": middle,
        "spread": spread,
        "weights": [_rounded(row[:-1]) for row in weights],
        "offset": _rounded(weights[:, -1]),
    }


def _rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def _best_level(maps: list[NDArray[np.float32]], planes: list[NDArray[np.bool_]]) -> float:
    return max(_MARK_LEVELS, key=lambda level: round(_jaccard(maps, planes, level), 5))


def enlarge(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """A structure's map as probabilities on the grid of the marks, float32 (256, 256)."""
    import cv2

    probability = (1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))).astype(np.float32)
    return np.asarray(cv2.resize(probability, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _jaccard(maps: list[NDArray[np.float32]], planes: list[NDArray[np.bool_]], level: float) -> float:
    both = sum(int(((drawn > level) & plane).sum()) for drawn, plane in zip(maps, planes, strict=True))
    either = sum(int(((drawn > level) | plane).sum()) for drawn, plane in zip(maps, planes, strict=True))
    return both / either if either else 0.0
