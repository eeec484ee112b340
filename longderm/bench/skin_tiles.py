"""Tiles beside the outlined lesion, on which nothing should be drawn, and what readers see on them.

Experts outlined one lesion of each photo; beside it, there may be another. Two readers therefore looked at every tile
of ISIC 2018's val photos (`skin_tiles.csv`), each alone and without knowing what is drawn on it: "lesion" for one of
its own or more of the outlined one, "bare" for none, whatever else lies on the skin, or "unsure". The readers are
general vision-language models, no people and no dermatologists; they read 147 of 161 tiles alike. Readings are of the
tiles that seed 1 draws from all val photos at 512 x 512 pixels; of other tiles nothing is known.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.photos import Example
from longderm.bench.statistics import wilson
from longderm.imaging.fit import lesion_free_places

LESION, BARE, UNSURE = "lesion", "bare", "unsure"
#: A tile: its photo, left and upper edge, width and height in pixels.
Key = tuple[str, int, int, int, int]


@dataclass(frozen=True, eq=False)
class SkinTile:
    """A crop uint8 (H, W, 3) beside the outlined lesion, and what each reader saw on it; none for a tile never read."""

    pixels: NDArray[np.uint8]
    readings: tuple[str, ...] = ()


def skin_tiles(example: Example, rng: np.random.Generator) -> list[SkinTile]:
    """A tile of a photo's skin, or none where the lesion leaves no room."""
    pixels = example.photo.pixels
    return [
        SkinTile(np.ascontiguousarray(pixels[rows, columns]), _readings().get(_key(example.name, rows, columns), ()))
        for rows, columns in lesion_free_places(example.mask, rng, tiles=1)
    ]


def summarise_tiles(tiles: Sequence[SkinTile], found: Sequence[bool]) -> dict[str, Any]:
    """On how many tiles a method found a lesion: of all, and, where every tile was read, of those read alike."""
    figures = _share("bare_skin_tiles", "found_on_bare_skin", list(found))
    groups: dict[str, Callable[[tuple[str, ...]], bool]] = {
        "bare": lambda readings: set(readings) == {BARE},
        "no_lesion": lambda readings: LESION not in readings,
        "lesion": lambda readings: set(readings) == {LESION},
    }
    if not tiles or not all(tile.readings for tile in tiles):
        return figures
    for name, belongs in groups.items():
        seen = [one for tile, one in zip(tiles, found, strict=True) if belongs(tile.readings)]
        figures |= _share(f"tiles_read_as_{name}", f"found_on_tiles_read_as_{name}", seen)
    return figures


def _share(tiles: str, share: str, found: list[bool]) -> dict[str, Any]:
    return {
        tiles: len(found),
        share: round(float(np.mean(found)), 4) if found else None,
        f"{share}_interval": wilson(sum(found), len(found)),
    }


def _key(name: str, rows: slice, columns: slice) -> Key:
    return name, columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


@lru_cache(maxsize=1)
def _readings() -> dict[Key, tuple[str, str]]:
    text = (files("longderm.bench") / "skin_tiles.csv").read_text()
    _, *rows = csv.reader(text.splitlines())
    return {
        (photo, int(x), int(y), int(width), int(height)): (first, second)
        for photo, x, y, width, height, first, second in rows
    }
