"""Pairs with a known transform from two generators, and impostors.

Real: a photo of an ISIC-layout folder, photographed twice in software (`rephotography`). Synthetic: a lesion of the
simulator (`longderm.simulate`), rendered twice. A pair is named by its `PairSpec` and made from that alone, so that any
process makes the same one and a reader can look at a single pair.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.bench.rephotography import (
    Nuisance,
    add_texture,
    bent,
    draw_bend,
    grow_by_accretion,
    grow_evenly,
    renew_skin,
    take,
    through_jpeg,
    warp,
    widen,
)
from longderm.errors import SourceNotFoundError
from longderm.registration.similarity import Matrix, apply, from_parts, inverse

if TYPE_CHECKING:
    from longderm.simulate.skin import SkinField

REAL, SYNTHETIC = "real", "synthetic"

#: How much a lesion's area grows in the tiers of growth.
GROWTH = 1.4

#: Size of every photo, (height, width).
PHOTO_SIZE = (576, 768)

_CALM = Nuisance((0.0, 1.2), 2.5, 6, persistence=0.9, fresh_texture=0.4)
_USUAL = Nuisance((0.0, 2.0), 4.0, 18, persistence=0.7, fresh_texture=0.8)
_STRESS = Nuisance((1.5, 4.0), 5.0, 18, persistence=0.25, fresh_texture=1.2)


@dataclass(frozen=True)
class Tier:
    """How far apart the poses of a pair are, and what else differs.

    rotation_deg: +-; zoom: follow-up scale at most this factor up or down; shift: +- share of each side; bend: smooth
    deformation, at most this share of the lesion's diameter; growth: "", "accretion" or "expansion", of area by
    GROWTH.
    """

    name: str
    rotation_deg: float
    zoom: float
    shift: float
    nuisance: Nuisance
    bend: float = 0.0
    growth: str = ""


TIERS = {
    tier.name: tier
    for tier in (
        Tier("easy", 30.0, 1.1, 0.08, _CALM),
        Tier("hard", 180.0, 1.25, 0.25, _USUAL),
        Tier("zoomed", 180.0, 2.0, 0.15, _USUAL),
        Tier("stress", 180.0, 1.25, 0.20, _STRESS),
        Tier("deformed", 180.0, 1.15, 0.15, _USUAL, bend=0.04),
        Tier("accretion", 90.0, 1.15, 0.10, _CALM, growth="accretion"),
        Tier("expansion", 90.0, 1.15, 0.10, _CALM, growth="expansion"),
    )
}

#: Pairs that must be refused: another lesion, or the same photo mirrored. Their poses are those of the tier "hard".
IMPOSTORS = ("other lesion", "mirrored")


@dataclass(frozen=True)
class PairSpec:
    """Which pair: generator (REAL or SYNTHETIC), tier (of TIERS or IMPOSTORS), number, seed of the run."""

    source: str
    tier: str
    number: int
    seed: int

    @property
    def name(self) -> str:
        """For tables and file names."""
        return f"{self.source}-{self.tier}-{self.number:04d}".replace(" ", "_")

    def generator(self, part: int = 0) -> np.random.Generator:
        """Random numbers of this pair alone."""
        return np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), part])


@dataclass(frozen=True, eq=False)
class TruePair:
    """Two photos uint8 (H, W, 3), the lesion's masks, the true baseline-to-follow-up matrix (None: impostor).

    bend: float32 (2, H, W) or None: the follow-up's pixel (x, y) shows what the matrix puts at (x, y) + bend.
    """

    baseline: NDArray[np.uint8]
    followup: NDArray[np.uint8]
    baseline_mask: NDArray[np.bool_]
    followup_mask: NDArray[np.bool_]
    matrix: Matrix | None
    bend: NDArray[np.float32] | None = None

    def true_points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where baseline points (N, 2) truly lie in the follow-up."""
        if self.matrix is None:
            raise ValueError("an impostor has no true transform")
        straight = apply(self.matrix, points)
        if self.bend is None:
            return straight
        height, width = self.bend.shape[1:]
        found = straight
        for _ in range(3):  # x + bend(x) = straight: the bend is smooth and small, so this settles at once
            at = np.clip(np.round(found).astype(int), 0, [width - 1, height - 1])
            found = straight - self.bend[:, at[:, 1], at[:, 0]].T
        return found


def make_pair(spec: PairSpec, photos: Path | None = None) -> TruePair:
    """The pair of a spec. photos: the ISIC-layout folder of real pairs. Raises SourceNotFoundError without it."""
    scene = _Synthetic(spec) if spec.source == SYNTHETIC else _Real(spec, checked_folder(photos))
    conditions = TIERS["hard" if spec.tier in IMPOSTORS else spec.tier]
    one = scene.pair(conditions)
    if spec.tier not in IMPOSTORS:
        return one
    if spec.tier == "mirrored":
        flipped = np.ascontiguousarray(one.followup[:, ::-1]), np.ascontiguousarray(one.followup_mask[:, ::-1])
        return TruePair(one.baseline, flipped[0], one.baseline_mask, flipped[1], None)
    other = scene.another().pair(conditions)
    return TruePair(one.baseline, other.followup, one.baseline_mask, other.followup_mask, None)


def checked_folder(folder: Path | None) -> Path:
    """The folder, if it is laid out as ISIC's are. Raises SourceNotFoundError."""
    if folder is None or not (folder / "images").is_dir() or not (folder / "masks").is_dir():
        raise SourceNotFoundError("--photos must name a folder with images/ and masks/ in it")
    return folder


@lru_cache(maxsize=1)
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


def render_pair(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], tier: Tier, generator: np.random.Generator
) -> TruePair:
    """Two renderings of a photo: the first nearly centred on the lesion, the second posed as the tier says."""
    height, width = PHOTO_SIZE
    y, x = np.nonzero(mask)
    middle = complex(image.shape[1] / 2, image.shape[0] / 2)
    centre = complex(x.mean(), y.mean()) if len(x) else middle
    # Whole field to whole frame, a bit nearer the lesion.
    fit = max(height / image.shape[0], width / image.shape[1])
    poses = []
    for part in range(2):
        angle = generator.uniform(-tier.rotation_deg, tier.rotation_deg) if part else generator.uniform(-8, 8)
        zoom = float(np.exp(generator.uniform(-1, 1) * np.log(tier.zoom) * (1.0 if part else 0.2)))
        dx, dy = generator.uniform(-tier.shift, tier.shift, 2) * (1.0 if part else 0.25)
        aim = complex((width - 1) / 2 + dx * width, (height - 1) / 2 + dy * height)
        poses.append(from_parts(fit * zoom, angle, 0.5 * (centre + middle), aim))
    later, later_mask = image, mask
    if tier.growth and len(x):
        later, later_mask = (grow_evenly if tier.growth == "expansion" else grow_by_accretion)(image, mask, GROWTH)
    bend = None
    if tier.bend > 0:
        diameter = 2.0 * float(np.sqrt(max(1, len(x)) / np.pi)) * abs(poses[1][0, 0] + 1j * poses[1][1, 0])
        bend = draw_bend(PHOTO_SIZE, tier.bend * diameter, generator)
    to_image = from_parts(1.0, 0.0, complex(image.shape[1], image.shape[0]), 0j)
    rim = int(generator.integers(2**31))
    photos = []
    for part, scene in enumerate((image, later)):
        scene = renew_skin(scene, later_mask, tier.nuisance.persistence, generator)
        plane = widen(scene, np.random.default_rng(rim))
        seed = int(generator.integers(2**31))
        photos.append(take(plane, poses[part] @ to_image, PHOTO_SIZE, tier.nuisance, bend if part else None, seed))
    masks = [
        warp(m.astype(np.uint8) * 255, p, PHOTO_SIZE) > 127 for m, p in zip((mask, later_mask), poses, strict=True)
    ]
    return TruePair(photos[0], photos[1], masks[0], masks[1], poses[1] @ inverse(poses[0]), bend)


@dataclass(frozen=True)
class _Real:
    spec: PairSpec
    folder: Path
    further: int = 0

    def another(self) -> _Real:
        return replace(self, further=1)

    def pair(self, tier: Tier) -> TruePair:
        names = photo_names(self.folder)
        # Every pair of a tier shows another lesion while there are enough.
        order = np.random.default_rng([self.spec.seed, 3]).permutation(names)
        name = str(order[(self.spec.number + self.further * (len(names) // 2)) % len(names)])
        return render_pair(*load(self.folder, name), tier, self.spec.generator(self.further))


@dataclass(frozen=True)
class _Synthetic:
    """A lesion of the simulator. Of impostors every second is another lesion on the same patient's skin type."""

    spec: PairSpec
    further: int = 0

    def another(self) -> _Synthetic:
        return replace(self, further=1)

    def pair(self, tier: Tier) -> TruePair:
        from longderm.simulate.devices import DERMATOSCOPES
        from longderm.simulate.exposure import draw_shot
        from longderm.simulate.history import LesionState, draw_lesion
        from longderm.simulate.pigment import draw_looks
        from longderm.simulate.render import SKIN_EXTENT_MM, SKIN_PER_MM, render
        from longderm.simulate.skin import build_skin

        generator = self.spec.generator(self.further)
        seed = (self.spec.seed, zlib.crc32(self.spec.name.encode()), self.further)
        population = "suspicious" if generator.random() < 0.5 else "ordinary"
        history = draw_lesion(generator, seed, population, 3.0)
        skin_type = (
            int(self.spec.generator(2).integers(1, 6)) if self.spec.number % 2 else int(generator.integers(1, 6))
        )
        skin = build_skin(seed, skin_type, SKIN_EXTENT_MM, SKIN_PER_MM)
        skins = [
            _renewed(skin, build_skin((*seed, 9, part), skin_type, SKIN_EXTENT_MM, SKIN_PER_MM), tier)
            for part in range(2)
        ]
        first = history.state_at(0.0)
        radius = float(np.sqrt(first.area_mm2 * (GROWTH if tier.growth else 1.0) / np.pi))
        looks = draw_looks(history, radius, skin.melanin)
        later = LesionState(first.area_mm2 * GROWTH, first.course) if tier.growth == "accretion" else first
        shots = []
        for part in range(2):
            device = replace(DERMATOSCOPES[int(generator.integers(len(DERMATOSCOPES)))], size=PHOTO_SIZE)
            shots.append(draw_shot(generator, (*seed, part), device, float(generator.uniform(0, 0.6)), radius))
        matrix = _pose(shots[0].matrix, tier, generator)
        blur = generator.uniform(*tier.nuisance.blur_px)
        shots[1] = replace(shots[1], matrix=matrix @ shots[0].matrix, blur_px=max(blur, 0.05))
        pictures = [
            render(skins[0], looks, history, first, shots[0], 0.0),
            render(
                skins[1], looks, history, later, shots[1], 0.0, zoom=GROWTH**0.5 if tier.growth == "expansion" else 1.0
            ),
        ]
        bend = None
        if tier.bend > 0:
            diameter = 2.0 * float(np.sqrt(max(1, pictures[1].area_px) / np.pi))
            bend = draw_bend(PHOTO_SIZE, tier.bend * diameter, generator)
        photos = []
        for part, (picture, shot) in enumerate(zip(pictures, shots, strict=True)):
            pixels = bent(picture.pixels, bend) if part and bend is not None else picture.pixels
            # Half of the texture that does not persist is in the simulator's own skin.
            pixels = add_texture(pixels, 0.5 * tier.nuisance.fresh_texture, generator)
            photos.append(through_jpeg(pixels, shot.jpeg_quality))
        return TruePair(photos[0], photos[1], pictures[0].mask, pictures[1].mask, matrix, bend)


def _renewed(shared: SkinField, own: SkinField, tier: Tier) -> SkinField:
    """Skin that shares the tier's persistence with `shared`, the rest being its own."""
    share = np.float32(tier.nuisance.persistence)
    values = share * shared.lattice.values + np.float32(np.sqrt(1.0 - share**2)) * own.lattice.values
    return replace(shared, lattice=replace(shared.lattice, values=np.asarray(values, np.float32)))


def _pose(baseline: Matrix, tier: Tier, generator: np.random.Generator) -> Matrix:
    """The similarity of a synthetic pair: it takes the lesion's centre to about the middle of the follow-up."""
    height, width = PHOTO_SIZE
    zoom = float(np.exp(generator.uniform(-1, 1) * np.log(tier.zoom)))
    angle = float(generator.uniform(-tier.rotation_deg, tier.rotation_deg))
    dx, dy = generator.uniform(-tier.shift, tier.shift, 2)
    aim = complex((width - 1) / 2 + dx * width, (height - 1) / 2 + dy * height)
    middle = complex((width - 1) / 2, (height - 1) / 2)
    lesion = complex(baseline[0, 2], baseline[1, 2])
    return from_parts(zoom, angle, 0.5 * (lesion + middle), aim)
