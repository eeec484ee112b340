"""Pairs with a known transform: one real photo, photographed twice in software."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longderm.errors import SourceNotFoundError
from longderm.registration.similarity import Matrix, from_parts, inverse


@dataclass(frozen=True)
class Tier:
    """How far apart the poses of a pair are and how hard the photos are to see.

    rotation_deg: +-; log_scale: +- natural logarithm; shift: +- share of each side; blur_px: largest sigma; noise:
    largest standard deviation (grey levels); hairs: largest number; fresh_texture: skin texture that the other photo
    does not have, relative to the texture that both share; bend: smooth deformation, share of the photo's width;
    colour_response: standard deviation of what a camera mixes of one colour channel into another.
    """

    name: str
    rotation_deg: float
    log_scale: float
    shift: float
    blur_px: float
    noise: float
    hairs: int
    fresh_texture: float = 0.0
    bend: float = 0.0
    colour_response: float = 0.0


TIERS = {
    tier.name: tier
    for tier in (
        Tier("easy", 30.0, float(np.log(1.1)), 0.08, 0.8, 2.0, 4, 0.3),
        Tier("medium", 90.0, float(np.log(1.15)), 0.15, 1.2, 3.0, 10, 0.6),
        Tier("hard", 180.0, float(np.log(1.25)), 0.25, 1.6, 4.0, 18, 0.6),
        Tier("zoomed", 180.0, float(np.log(2.0)), 0.15, 1.2, 3.0, 10, 0.6),
        Tier("stress", 180.0, float(np.log(1.25)), 0.20, 3.2, 5.0, 18, 1.5, 0.01),
    )
}

#: Size of the rendered photos, (height, width).
RENDERED = (480, 640)


@dataclass(frozen=True, eq=False)
class TruePair:
    """Two photos uint8 (H, W, 3), the lesion's masks, the true baseline-to-follow-up matrix (None: impostor)."""

    name: str
    tier: str
    baseline: NDArray[np.uint8]
    followup: NDArray[np.uint8]
    baseline_mask: NDArray[np.bool_]
    followup_mask: NDArray[np.bool_]
    matrix: Matrix | None
    px_per_mm: tuple[float | None, float | None] = (None, None)


def checked_folder(folder: Path) -> Path:
    """The folder, if it is laid out as ISIC's are. Raises SourceNotFoundError."""
    if not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise SourceNotFoundError("--photos must name a folder with images/ and masks/ in it")
    return folder


def photo_names(folder: Path) -> list[str]:
    """Names of the photos in `folder`/images that have a mask in `folder`/masks (train split where one is listed)."""
    index = folder / "index.csv"
    names = sorted(
        path.stem for path in (folder / "images").iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if index.is_file():
        rows = [line.split(",")[:2] for line in index.read_text().splitlines()[1:]]
        train = {name for name, split in rows if split == "train"}
        names = [name for name in names if name in train]
    masked = {path.stem.replace("_segmentation", "") for path in (folder / "masks").iterdir()}
    return [name for name in names if name in masked]


def load(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A photo brought back to 4:3 (800 x 600; ISIC 2018's copies are squashed to squares) and its lesion mask."""
    import cv2

    image_path = next(path for path in sorted((folder / "images").glob(f"{name}.*")))
    mask_path = next(path for path in sorted((folder / "masks").glob(f"{name}*")))
    image = _read(image_path, cv2.IMREAD_COLOR)[..., ::-1]
    soft = _read(mask_path, cv2.IMREAD_GRAYSCALE)
    height, width = image.shape[:2]
    if height == width:
        height, width = 600, 800
    pixels = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(pixels, np.uint8), np.asarray(mask > 0.5 * max(1, int(soft.max())))


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    import cv2

    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        raise SourceNotFoundError(f"{path.name} cannot be read as an image")
    return np.asarray(pixels, np.uint8)


def warped_pairs(folder: Path, tier: str, count: int, seed: int) -> Iterator[TruePair]:
    """`count` pairs of distinct photos of `folder`, two renderings each with independent light and artefacts."""
    names = photo_names(folder)
    generator = np.random.default_rng([seed, sorted(TIERS).index(tier)])
    for name in generator.permutation(names)[:count]:
        image, mask = load(folder, str(name))
        yield render_pair(image, mask, str(name), TIERS[tier], generator)


def impostor_pairs(folder: Path, count: int, seed: int) -> Iterator[TruePair]:
    """Pairs that must be refused: two lesions, and every third a photo with its own mirror image."""
    names = photo_names(folder)
    generator = np.random.default_rng([seed, 99])
    order = generator.permutation(names)
    for index in range(count):
        tier = ("easy", "medium", "hard")[index % 3]
        image, mask = load(folder, str(order[2 * index % len(order)]))
        one = render_pair(image, mask, str(order[2 * index % len(order)]), TIERS[tier], generator)
        if index % 3 == 2:
            yield TruePair(
                one.name,
                "mirrored",
                one.baseline,
                np.ascontiguousarray(one.followup[:, ::-1]),
                one.baseline_mask,
                np.ascontiguousarray(one.followup_mask[:, ::-1]),
                None,
            )
            continue
        image, mask = load(folder, str(order[(2 * index + 1) % len(order)]))
        other = render_pair(image, mask, str(order[(2 * index + 1) % len(order)]), TIERS[tier], generator)
        yield TruePair(
            f"{one.name}+{other.name}",
            "other",
            one.baseline,
            other.followup,
            one.baseline_mask,
            other.followup_mask,
            None,
        )


def render_pair(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], name: str, tier: Tier, generator: np.random.Generator
) -> TruePair:
    """Two renderings of a photo: the first nearly centred on the lesion, the second posed as the tier says."""
    height, width = RENDERED
    y, x = np.nonzero(mask)
    centre = complex(x.mean(), y.mean()) if len(x) else complex(image.shape[1] / 2, image.shape[0] / 2)
    # Whole field to whole frame, a bit nearer the lesion.
    fit = max(height / image.shape[0], width / image.shape[1])
    middle = complex(image.shape[1] / 2, image.shape[0] / 2)
    poses = []
    for part in range(2):
        share = 0.25 if part == 0 else 1.0
        angle = generator.uniform(-tier.rotation_deg, tier.rotation_deg) if part else generator.uniform(-8, 8)
        size = fit * float(np.exp(generator.uniform(-tier.log_scale, tier.log_scale) * (1.0 if part else 0.2)))
        dx, dy = generator.uniform(-tier.shift * share, tier.shift * share, 2)
        aim = complex((width - 1) / 2 + dx * width, (height - 1) / 2 + dy * height)
        poses.append(from_parts(size, angle, 0.5 * (centre + middle), aim))
    scene = _widen(image, generator)
    to_image = from_parts(1.0, 0.0, complex(image.shape[1], image.shape[0]), 0j)
    photos = [_render(scene, pose @ to_image, tier, generator) for pose in poses]
    masks = [_warp(mask.astype(np.uint8) * 255, pose) > 127 for pose in poses]
    return TruePair(name, tier.name, photos[0], photos[1], masks[0], masks[1], poses[1] @ inverse(poses[0]))


def _widen(image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """The photo in the middle of a plane three times its size, continued by its smoothed rim and plain skin texture.

    A reflected rim would put a mirrored copy of the lesion's surroundings into the pair.
    """
    import cv2

    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    plane = cv2.copyMakeBorder(small, rows, rows, columns, columns, cv2.BORDER_REPLICATE)
    plane = cv2.resize(cv2.GaussianBlur(plane, (0, 0), 6.0), (3 * width, 3 * height), interpolation=cv2.INTER_LINEAR)
    plane = plane.astype(np.float32) + 2.0 * _texture((3 * height, 3 * width), generator)[..., None]
    plane = np.clip(np.round(plane), 0, 255).astype(np.uint8)
    plane[height : 2 * height, width : 2 * width] = image
    return np.asarray(plane)


def _texture(shape: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float32]:
    """Blotches of three sizes, standard deviation about 1, float32."""
    import cv2

    total = np.zeros(shape, np.float32)
    for size in (1.5, 4.0, 10.0):
        small = (max(2, int(shape[0] / size)), max(2, int(shape[1] / size)))
        noise = generator.standard_normal(small, dtype=np.float32)
        total += cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC) / np.float32(np.sqrt(3.0))
    return total


def _warp(image: NDArray[np.uint8], pose: Matrix) -> NDArray[np.uint8]:
    """An image on the rendered frame under `pose`, averaged before it is shrunk."""
    import cv2

    height, width = RENDERED
    scale = abs(pose[0, 0] + 1j * pose[1, 0])
    if scale < 0.9:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * float(np.sqrt(1 / scale**2 - 1)) + 1e-3))
    return np.asarray(cv2.warpAffine(image, pose[:2], (width, height), flags=cv2.INTER_CUBIC))


def _bend(frame: NDArray[np.uint8], share: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A smooth deformation of at most about `share` of the width."""
    import cv2

    height, width = frame.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    field = generator.standard_normal((2, 4, 5), dtype=np.float32) * np.float32(share * width / 2.0)
    dx, dy = (cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in field)
    return np.asarray(cv2.remap(frame, x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))


def _render(scene: NDArray[np.uint8], pose: Matrix, tier: Tier, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One photo: pose, blur, light gradient, white balance, exposure, hair, dark corners, noise, JPEG."""
    import cv2

    height, width = RENDERED
    warped = _warp(scene, pose)
    if tier.bend > 0:
        warped = _bend(warped, tier.bend, generator)
    # Fine texture of the skin (folds, gel) in units of the photo's own, which it does not share with the other one.
    grey = warped.mean(axis=2, dtype=np.float32)
    own = float(np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 4.0)))) * 1.48
    fresh = np.float32(generator.uniform(0.3, 1.0) * tier.fresh_texture * own) * _texture((height, width), generator)
    frame = (np.clip(warped + fresh[..., None], 0.0, 255.0).astype(np.float32) / 255.0) ** np.float32(2.2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width - 0.5, y / height - 0.5
    slope_x, slope_y = generator.uniform(-0.35, 0.35, 2)
    light = (1.0 + slope_x * u + slope_y * v - generator.uniform(0.0, 0.6) * (u * u + v * v)).astype(np.float32)
    balance = generator.uniform(0.85, 1.15, 3).astype(np.float32) * np.float32(generator.uniform(0.8, 1.15))
    frame = frame * light[..., None] * balance
    if tier.colour_response > 0:
        frame = frame @ _camera(tier.colour_response, generator)
    frame = np.clip(frame, 0.0, 1.0) ** np.float32(1.0 / generator.uniform(2.0, 2.4))
    pixels = np.round(frame * 255.0).astype(np.uint8)
    for _ in range(int(generator.integers(0, tier.hairs + 1))):
        _draw_hair(pixels, generator)
    sigma = generator.uniform(0.0, tier.blur_px)
    if sigma > 0.2:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))
    if generator.random() < 0.3:
        radius = generator.uniform(0.52, 0.6) * width
        corner = np.clip((radius - np.hypot(x - width / 2, y - height / 2)) / 8.0 + 0.5, 0.0, 1.0)
        pixels = np.round(pixels * corner[..., None]).astype(np.uint8)
    noise = generator.normal(0.0, generator.uniform(0.5, tier.noise), pixels.shape)
    pixels = np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)
    quality = int(generator.integers(70, 96))
    _, code = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])


def _camera(spread: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """A camera's response to linear RGB, (3, 3): channels mixed at random; grey stays grey."""
    mixed = generator.normal(0.0, spread, (3, 3))
    np.fill_diagonal(mixed, 0.0)
    np.fill_diagonal(mixed, 1.0 - mixed.sum(axis=0))
    return np.asarray(mixed, np.float32)


def _draw_hair(pixels: NDArray[np.uint8], generator: np.random.Generator) -> None:
    import cv2

    height, width = RENDERED
    start = generator.uniform([0, 0], [width, height])
    angle = generator.uniform(0, 2 * np.pi)
    length = generator.uniform(0.2, 0.7) * width
    bend = generator.uniform(-0.3, 0.3) * length
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    t = np.linspace(0.0, 1.0, 40)[:, None]
    points = start + along * length * t + across * bend * 4.0 * t * (1.0 - t)
    colour = [float(c) for c in generator.uniform(10, 60) * np.array([1.0, 0.8, 0.7])]
    line = np.round(points * 8).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(pixels, [line], False, colour, int(generator.integers(1, 4)), cv2.LINE_AA, 3)


def simulated_pairs(folder: Path, patients: int, count: int, seed: int, impostors: bool) -> Iterator[TruePair]:
    """Dermoscopic visits of a simulated archive, written to `folder` unless it is there, in a seeded order.

    impostors: the follow-up is then of another lesion of the same archive.
    """
    import cv2
    import pandas as pd

    from longderm.archive import read_photo
    from longderm.simulate import simulate_archive

    if not (folder / "truth" / "pairs.parquet").is_file():
        simulate_archive(folder, patients, seed, masks=True)
    photos = pd.read_parquet(folder / "truth" / "photos.parquet").set_index("path")
    rows = pd.read_parquet(folder / "truth" / "pairs.parquet")
    rows = rows[rows["modality"] == "dermoscopic"].sort_values(["baseline_path", "followup_path"])
    rows = rows.iloc[np.random.default_rng([seed, 5]).permutation(len(rows))]

    def mask_of(path: str) -> NDArray[np.bool_]:
        return np.asarray(_read(folder / str(photos.at[path, "mask_path"]), cv2.IMREAD_GRAYSCALE) > 0)

    given = 0
    for index in range(len(rows)):
        if given == count:
            return
        row, other = rows.iloc[index], rows.iloc[(index + 1) % len(rows)]
        if impostors and (row["patient_id"], row["lesion_id"]) == (other["patient_id"], other["lesion_id"]):
            continue
        first, second = str(row["baseline_path"]), str((other if impostors else row)["followup_path"])
        baseline, followup = read_photo(folder / first), read_photo(folder / second)
        yield TruePair(
            f"{Path(first).stem}+{Path(second).stem}",
            "simulated",
            baseline.pixels,
            followup.pixels,
            mask_of(first),
            mask_of(second),
            None if impostors else np.array(row["matrix"], dtype=np.float64).reshape(3, 3),
            (baseline.meta.px_per_mm, followup.meta.px_per_mm),
        )
        given += 1
