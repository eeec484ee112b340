"""Tiles of skin: readings are of the tiles that the benchmark draws, and figures count what was read alike."""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np

from longderm.bench.photos import load_example, names_of
from longderm.bench.skin_tiles import BARE, LESION, UNSURE, SkinTile, skin_tiles, summarise_tiles

PIXELS = np.zeros((8, 8, 3), np.uint8)


def tile(*readings: str) -> SkinTile:
    return SkinTile(PIXELS, readings)


def test_tiles_that_nobody_read_are_counted_as_they_come():
    figures = summarise_tiles([tile()] * 4, [True, False, False, False])
    assert figures["bare_skin_tiles"] == 4 and figures["found_on_bare_skin"] == 0.25
    assert not [name for name in figures if "read_as" in name]


def test_a_lesion_that_both_readers_saw_is_no_false_one():
    tiles = [tile(LESION, LESION), tile(BARE, BARE), tile(BARE, BARE), tile(BARE, UNSURE), tile(LESION, UNSURE)]
    figures = summarise_tiles(tiles, [True, True, False, False, True])
    assert figures["found_on_bare_skin"] == 0.6
    assert (figures["tiles_read_as_bare"], figures["found_on_tiles_read_as_bare"]) == (2, 0.5)
    assert (figures["tiles_read_as_no_lesion"], figures["found_on_tiles_read_as_no_lesion"]) == (3, 0.3333)
    assert (figures["tiles_read_as_lesion"], figures["found_on_tiles_read_as_lesion"]) == (1, 1.0)


def test_readings_are_two_words_of_three_for_each_tile_once():
    rows = list(csv.DictReader((files("longderm.bench") / "skin_tiles.csv").read_text().splitlines()))
    assert len({row["photo"] for row in rows}) == len(rows)
    assert {row[name] for row in rows for name in ("first_reading", "second_reading")} == {BARE, LESION, UNSURE}


def test_every_tile_of_the_val_photos_was_read(shared_data):
    folder = shared_data / "isic2018_task12"
    drawn = [
        one
        for index, name in enumerate(names_of(folder, "val"))
        for one in skin_tiles(load_example(folder, name), np.random.default_rng([1, index]))
    ]
    assert len(drawn) == 161 and all(len(one.readings) == 2 for one in drawn)
