"""Scale from rulers: drawn ones of a known size, textures that are none, and where at hand real photos.

A ruler of each maker's style (`longderm.simulate.rulers`) is drawn over simulated photos, at any angle, partly hidden,
blurred, noisy and compressed. Intervals are Wilson's 95%, of photos.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.statistics import wilson
from longderm.errors import SourceNotFoundError
from longderm.imaging.ruler import read_ruler
from longderm.photo import Photo

#: A scale within this share of the true one is right.
RIGHT_WITHIN = 0.05
#: Width of the longer side in mm that rulers are drawn for.
FIELD_MM = {"dermoscopic": (10.0, 28.0), "clinical": (60.0, 160.0)}
#: Distinct simulated photos that rulers are drawn over.
_SCENES = 20


def run(
    out: Path,
    each: int = 20,
    seed: int = 1,
    artefacts: str = "",
    photos: str = "",
) -> dict[str, Any]:
    """Read `each` rulers of every style, and textures; prints a table.

    artefacts: a folder of photos with labels.csv (columns image_id, artefact), read with and without rulers; photos: an
    ISIC-layout folder whose "val" photos are squashed to squares, so that none has one scale. `out` is the folder of
    the report.
    """
    del out
    scenes = list(_scenes(seed))
    styles = dict(_drawn(scenes, each, seed))
    claimed = sum(row["claimed"] for row in styles.values())
    right = sum(row["right"] for row in styles.values())
    drawn = sum(row["photos"] for row in styles.values())
    result: dict[str, Any] = {
        "styles": styles,
        "drawn": drawn,
        "claimed_share": round(claimed / drawn, 4),
        "claimed_share_interval": wilson(claimed, drawn),
        "right_of_claimed": round(right / max(1, claimed), 4),
        "right_of_claimed_interval": wilson(right, claimed),
        "claimed_on_textures": {
            name: [sum(_claims(pixels) for pixels in pictures), len(pictures)]
            for name, pictures in textures(scenes, seed).items()
        },
        "cpu_seconds_median_1024x768": _time(scenes),
    }
    if artefacts:
        result["artefacts"] = _real(Path(artefacts))
    if photos:
        names = _val(Path(photos))
        count = sum(_claims(_read(path)) for path in names)
        result["squashed_photos"] = {"photos": len(names), "claimed": count, "interval": wilson(count, len(names))}
    _print(result)
    return result


def _scenes(seed: int) -> Iterator[NDArray[np.uint8]]:
    from longderm.simulate.close_up import draw_close_up

    for number in range(_SCENES):
        yield draw_close_up(seed, number).pixels


def _drawn(scenes: list[NDArray[np.uint8]], each: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    from longderm.simulate.rulers import CLINICAL_STYLES, STYLES, draw_ruler_photo

    kinds = [("dermoscopic", style) for style in STYLES.values()]
    kinds += [("clinical", style) for style in CLINICAL_STYLES.values()]
    for number, (modality, style) in enumerate(kinds):
        errors: list[float] = []
        for i in range(each):
            generator = np.random.default_rng([seed, number, i, 81])
            field = float(generator.uniform(*FIELD_MM[modality]))
            scene = scenes[(7 * i + number) % len(scenes)]
            if modality == "clinical":
                scene = _enlarged(scene, 2)
            pixels, truth = draw_ruler_photo(generator, scene, style, field)
            scale = read_ruler(Photo.from_array(pixels, modality=modality)).scale
            if scale is not None:
                errors.append(abs(scale.px_per_mm / truth.px_per_mm - 1))
        yield (
            f"{modality}: {style.name}",
            {
                "photos": each,
                "claimed": len(errors),
                "right": sum(error <= RIGHT_WITHIN for error in errors),
                "error_median": round(float(np.median(errors)), 5) if errors else None,
                "error_worst": round(max(errors), 4) if errors else None,
            },
        )


def textures(scenes: list[NDArray[np.uint8]], seed: int) -> dict[str, list[NDArray[np.uint8]]]:
    """Photos without a ruler: as they are, with combed hair, with a pigment network, with rows of dots, with ridges."""
    import cv2

    made: dict[str, list[NDArray[np.uint8]]] = {"no ruler": [], "hair": [], "network": [], "dots": [], "ridges": []}
    for number, scene in enumerate(scenes):
        generator = np.random.default_rng([seed, number, 82])
        height, width = scene.shape[:2]
        made["no ruler"].append(scene)
        drawn = scene.copy()
        angle = generator.uniform(0, np.pi)
        for _ in range(60):
            start = generator.uniform(0, (width, height))
            turn = angle + generator.normal(0, 0.08)
            end = start + generator.uniform(20, 160) * np.array([np.cos(turn), np.sin(turn)])
            cv2.line(drawn, start.astype(int).tolist(), end.astype(int).tolist(), (45, 32, 28), 2, cv2.LINE_AA)
        made["hair"].append(drawn)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        cell = float(generator.uniform(9, 26))
        warped = x + generator.uniform(0, 3) * np.sin(y / 40), y + generator.uniform(0, 3) * np.sin(x / 37)
        waves = [np.cos(2 * np.pi * (np.cos(a) * warped[0] + np.sin(a) * warped[1]) / cell) for a in (0, 1.047, 2.094)]
        net = np.clip(0.5 - sum(waves) / 3, 0, 1)[..., None]
        made["network"].append((scene * (1 - 0.45 * net)).astype(np.uint8))
        spots = np.clip(waves[0] + waves[2] - 0.9, 0, 1)[..., None]
        made["dots"].append((scene * (1 - 0.6 * spots)).astype(np.uint8))
        ridge = (np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + 6 * np.sin(y / 60)) / cell) > 0.5)[
            ..., None
        ]
        made["ridges"].append((scene * (1 - 0.25 * ridge)).astype(np.uint8))
    return made


def _enlarged(scene: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    import cv2

    size = (scene.shape[1] * factor, scene.shape[0] * factor)
    return np.asarray(cv2.resize(scene, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _claims(pixels: NDArray[np.uint8]) -> bool:
    return read_ruler(Photo.from_array(pixels)).scale is not None


def _time(scenes: list[NDArray[np.uint8]]) -> float:
    import cv2

    spent = []
    for scene in scenes:
        photo = Photo.from_array(np.asarray(cv2.resize(scene, (1024, 768), interpolation=cv2.INTER_CUBIC), np.uint8))
        started = time.process_time()
        read_ruler(photo)
        spent.append(time.process_time() - started)
    return round(float(np.median(spent)), 4)


def _real(folder: Path) -> dict[str, Any]:
    """What is read on photos labelled with a ruler, and how many others a scale is claimed on."""
    table = folder / "labels.csv"
    if not table.is_file():
        raise SourceNotFoundError("--artefacts must name a folder with labels.csv and the photos in it")
    header, *lines = [line.split(",") for line in table.read_text().splitlines()]
    name, kind = header.index("image_id"), header.index("artefact")
    read: dict[str, Any] = {}
    elsewhere = []
    for line in sorted(lines):
        reading = read_ruler(Photo.from_array(_read(folder / f"{line[name]}.jpg")))
        if line[kind].startswith("ruler"):
            read[line[name]] = reading.scale.px_per_mm if reading.scale is not None else reading.reason
        elif reading.scale is not None:
            elsewhere.append(line[name])
    return {"rulers": read, "others": len(lines) - len(read), "claimed_on_others": elsewhere}


def _val(folder: Path) -> list[Path]:
    index = folder / "index.csv"
    if not index.is_file():
        raise SourceNotFoundError("--photos must name a folder with index.csv and images/ in it")
    rows = [line.split(",")[:2] for line in index.read_text().splitlines()[1:]]
    return [next(iter(sorted((folder / "images").glob(f"{name}.*")))) for name, split in sorted(rows) if split == "val"]


def _read(path: Path) -> NDArray[np.uint8]:
    from longderm.archive import read_photo

    return read_photo(path).pixels


def _print(result: dict[str, Any]) -> None:
    print(f"{'':<32}{'photos':>8}{'claimed':>9}{'right':>7}{'median':>10}{'worst':>9}")
    for name, row in result["styles"].items():
        cells = f"{row['photos']:>8}{row['claimed']:>9}{row['right']:>7}"
        print(f"{name:<32}{cells}{row['error_median'] or 0:>10}{row['error_worst'] or 0:>9}")
    for key, value in result.items():
        if key != "styles":
            print(f"{key:<32}{value}")
