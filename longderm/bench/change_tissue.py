"""Changes of a real lesion for the change benchmark: tissue of other real lesions blended in, borders pushed outward.

The benchmark's own code, which no training shares (`longderm.simulate.photo_changes` paints for the training). Tissue
is blended in Laplacian pyramids (Burt and Adelson 1983, doi 10.1145/245.247), borders move by a smooth displacement,
and colour changes as pigment does: in the optical density of linear light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longderm.bench.laplacian import blend, collapse, pyramid, to_bytes
from longderm.imaging.colour import linear_to_srgb, srgb_to_lab, srgb_to_linear
from longderm.registration.similarity import from_parts, inverse

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: A change is solved for to this relative precision of its size.
_PRECISION = 0.01
#: Optical density per unit of chromophore in red, green, blue: melanin absorbs more towards blue, blood in green (shape
#: of the published spectra, Jacques 2013, doi 10.1088/0031-9155/58/11/R37), and dermal pigment under scattering skin
#: looks blue-grey: least density in blue.
_CHROMOPHORES = {"melanin": (0.45, 0.7, 1.0), "blood": (0.12, 1.0, 0.75), "dermal": (1.0, 0.75, 0.5)}
#: Experts' outlines leave a margin of skin: the lesion is where its colour differs from the skin by this share of what
#: its upper quartile differs, unless less than that share of the outline would be left.
_VISIBLE_CONTRAST, _VISIBLE_SHARE = 0.35, 0.3
#: The rim whose own fading into skin moves outward, as a share of the radius.
_RIM = 0.2
#: A new blotch differs from the tissue around it by this much, CIE 1976 units.
_BLOTCH_DELTA_E = (12.0, 22.0)
#: Pyramid levels of structure that is lost (each twice as coarse as the one before), and what is left of it. The finest
#: level is the camera's grain and stays.
_LOST_LEVELS, _LEFT = (1, 2, 3), 0.12
#: The levels by which a lesion is seen to have structure: coarser ones hold the shape of a small lesion as well.
_SEEN_LEVELS = (1, 2)
#: Lightness in those bands that varies by no more than this (grey levels) shows no structure.
_NO_STRUCTURE = 1.2
#: Share of the lesion that loses its structure.
_LOST_SHARE = (0.5, 0.8)


@dataclass(frozen=True, eq=False)
class Lesion:
    """A photo, uint8 (H, W, 3), with the mask of its lesion, bool (H, W)."""

    pixels: U8
    mask: Mask

    @property
    def radius_px(self) -> float:
        """Radius of the disc with the lesion's area."""
        return float(np.sqrt(max(1, int(self.mask.sum())) / np.pi))

    @property
    def centre(self) -> complex:
        """Centroid, x + iy."""
        y, x = np.nonzero(self.mask)
        return complex(x.mean(), y.mean())


@dataclass(frozen=True, eq=False)
class Changed:
    """The lesion after the change; `where` bool (H, W): what changed; size: what it amounts to.

    size: relative growth of the area, share of the lesion, or mean colour difference (CIE 1976), by the kind.
    """

    lesion: Lesion
    where: Mask
    size: float


def tightened(lesion: Lesion) -> Lesion:
    """The lesion with the part of its outline that anybody can see: a border of plain skin would grow unseen."""
    import cv2

    away = _difference_from_skin(lesion)
    seen = lesion.mask & (away > _VISIBLE_CONTRAST * float(np.quantile(away[lesion.mask], 0.75)))
    side = max(3, round(0.08 * lesion.radius_px)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    joined = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc)
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return lesion
    filled = np.zeros(lesion.mask.shape, np.uint8)
    cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], -1, 1, -1)
    kept = np.asarray((filled > 0) & lesion.mask)
    return Lesion(lesion.pixels, kept) if kept.sum() >= _VISIBLE_SHARE * lesion.mask.sum() else lesion


def _difference_from_skin(lesion: Lesion) -> NDArray[np.floating]:
    """Distance of each place's smoothed colour from the skin's around the lesion, CIE 1976, (H, W)."""
    import cv2

    smooth = cv2.GaussianBlur(lesion.pixels, (0, 0), max(1.0, 0.05 * lesion.radius_px))
    lab = srgb_to_lab(np.asarray(smooth, np.uint8))
    around = _ring(lesion.mask, 0.4 * lesion.radius_px)
    skin = np.median(lab[around if around.any() else ~lesion.mask], axis=0)
    return np.asarray(np.linalg.norm(lab - skin, axis=2))


def grow(host: Lesion, donor: Lesion, growth: float, rng: np.random.Generator) -> Changed:
    """New tissue at the border, more on some sides: the area grows by `growth`, the middle and the skin stay.

    The border with its own fading is pushed outward; the room behind it is filled with fine detail cut from `donor`.
    """
    depth = _signed_distance(host.mask)
    reach = np.exp(0.7 * _smooth_field(host.mask.shape, 4, rng))
    deepest = 0.8 * float(-depth.min())

    def pushed(step: float) -> tuple[F32, F32]:
        room = step * reach
        skin = 2.0 * room + 3.0
        # What is stretched to make room is the rim, about as wide as the room: further inside nothing moves.
        hold = np.minimum(deepest, np.maximum(_RIM * host.radius_px, 1.2 * room))
        stretched = -hold + (depth + hold) * hold / (hold + room)
        pressed = (depth - room) * (room + skin) / skin
        source = np.where(depth < -hold, depth, np.where(depth < room, stretched, pressed))
        return _along_normals(depth, np.where(depth < room + skin, source, depth), host.radius_px)

    target = (1.0 + growth) * float(host.mask.sum())
    step = _solve(lambda value: float((_remap_soft(host.mask, pushed(value)) > 127).sum()), target, host.radius_px)
    field = pushed(step)
    grown = _remap_soft(host.mask, field) > 127
    moved = _remap(host.pixels, field)
    where = grown & ~host.mask
    detailed = _with_detail(Lesion(moved, grown), donor, where, rng)
    return Changed(Lesion(detailed, grown), where, float(grown.sum()) / float(host.mask.sum()) - 1.0)


def expand(host: Lesion, growth: float) -> Changed:
    """The lesion with all its texture larger about its centroid; the skin around gives way."""
    zoom = float(np.sqrt(1.0 + growth))
    height, width = host.mask.shape
    centre, radius = host.centre, host.radius_px
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    outside = np.maximum(_signed_distance(host.mask) - (zoom - 1.0) * radius, 0.0)
    share = np.exp(-((outside / (0.8 * radius)) ** 2)) * (1.0 - 1.0 / zoom)
    field = (
        np.asarray(x - share * (x - centre.real), np.float32),
        np.asarray(y - share * (y - centre.imag), np.float32),
    )
    grown = _remap_soft(host.mask, field) > 127
    lesion = Lesion(_remap(host.pixels, field), grown)
    return Changed(lesion, grown ^ host.mask, float(grown.sum()) / float(host.mask.sum()) - 1.0)


def add_blotch(host: Lesion, donor: Lesion, share: float, rng: np.random.Generator) -> Changed:
    """A blotch over `share` of the lesion, cut from where `donor` is darkest and blended in, of irregular outline."""
    spot_radius = host.radius_px * float(np.sqrt(share))
    room = -_signed_distance(host.mask)
    # Blotches that lie wholly inside, anywhere between the middle and the border.
    candidates = np.argwhere(room > min(1.1 * spot_radius, 0.8 * float(room.max())))
    y, x = candidates[int(rng.integers(len(candidates)))]
    where = _blob(host.mask, complex(x, y), share * float(host.mask.sum()), rng)
    tissue = _placed(donor, _darkest(donor, rng), complex(x, y), rng.uniform(0.8, 1.4), rng.uniform(0, 360), host)
    around = _ring(where, 0.5 * spot_radius) & host.mask
    here = srgb_to_lab(host.pixels)[around if around.any() else where].mean(axis=0)
    there = srgb_to_lab(tissue)[where].mean(axis=0)
    away = there - here
    if away[0] > -4.0 and rng.random() < 0.8:  # most new blotches are darker than what lies around them
        away = np.array([-8.0, *(0.6 * away[1:])])
    wanted = float(rng.uniform(*_BLOTCH_DELTA_E))
    goal = here + away * (wanted / max(1.0, float(np.linalg.norm(away))))
    goal[0] = max(goal[0], 6.0)
    own = _shifted_in_lab(tissue, goal - there)
    mixed = blend(host.pixels, own, where, levels=max(2, round(np.log2(max(4.0, 0.35 * spot_radius)))))
    return Changed(Lesion(mixed, host.mask), where, float(where.sum()) / float(host.mask.sum()))


def shift_colour(host: Lesion, delta_e: float, rng: np.random.Generator) -> Changed:
    """A third of the lesion with more or less of one pigment, by `delta_e` (CIE 1976) in the mean."""
    part = _part(host, 1.0 / 3.0, rng)
    # Where the lesion fades into skin there is little pigment that could change.
    soft = (_feathered(part, 0.06 * host.radius_px) * _pigmentation(host))[..., None]
    where = part & (soft[..., 0] > 0.4)
    where = where if where.any() else part
    light = np.maximum(srgb_to_linear(host.pixels), np.float32(0.002))
    before = srgb_to_lab(host.pixels)[where].mean(axis=0)
    names = sorted(_CHROMOPHORES)
    density = np.array(_CHROMOPHORES[names[int(rng.integers(len(names)))]], np.float32)
    sign = -1.0 if rng.random() < 0.4 else 1.0

    def after(amount: float) -> U8:
        return linear_to_srgb(light * np.exp(-np.float32(sign * amount) * density * soft))

    def difference(amount: float) -> float:
        return float(np.linalg.norm(srgb_to_lab(after(amount)[where]).mean(axis=0) - before))

    if difference(3.0) < delta_e:  # so dark that more pigment shows no more: less of it does
        sign = -sign
    pixels = after(_solve(difference, delta_e, 3.0))
    realised = float(np.linalg.norm(srgb_to_lab(pixels)[where].mean(axis=0) - before))
    return Changed(Lesion(np.where(soft > 0, pixels, host.pixels), host.mask), where, realised)


def lose_structure(host: Lesion, rng: np.random.Generator) -> Changed:
    """Network, globules and streaks fade in half of the lesion or more; colour, border and grain stay."""
    where = _part(host, float(rng.uniform(*_LOST_SHARE)), rng)
    depth = -_signed_distance(host.mask)
    where &= depth > 0.08 * host.radius_px  # the border's own fading is no structure
    soft = _feathered(where, 0.08 * host.radius_px)[..., None]
    bands = pyramid(_continued(host.pixels, depth > 0.04 * host.radius_px).astype(np.float32), 5)
    faded = [band * np.float32(_LEFT) if level in _LOST_LEVELS else band for level, band in enumerate(bands)]
    mixed = host.pixels + soft * (collapse(faded) - host.pixels)
    return Changed(Lesion(to_bytes(mixed), host.mask), where, float(where.sum()) / float(host.mask.sum()))


def _continued(pixels: U8, inside: Mask) -> U8:
    """The photo with the nearest colour of `inside` everywhere outside of it, so that no skin bleeds into a lesion."""
    import cv2

    zero = (~inside).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(zero, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    colours = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colours[labels[inside]] = pixels[inside]
    return np.asarray(colours[labels], np.uint8)


def structure_contrast(lesion: Lesion) -> float:
    """How much more structure the lesion shows than the skin around it: ratio of robust standard deviations of
    lightness in bands that `lose_structure` takes."""
    grey = lesion.pixels.mean(axis=2, dtype=np.float32)[..., None]
    bands = pyramid(grey, 5)
    kept = [band if level in _SEEN_LEVELS else np.zeros_like(band) for level, band in enumerate(bands)]
    detail = collapse(kept)[..., 0]
    depth = -_signed_distance(lesion.mask)
    inside, outside = depth > 0.15 * lesion.radius_px, depth < -0.15 * lesion.radius_px
    if not inside.any() or not outside.any():
        return 0.0
    return _spread(detail[inside]) / max(_NO_STRUCTURE, _spread(detail[outside]))


def _spread(values: F32) -> float:
    """Robust standard deviation about 0, which hairs do not raise."""
    return 1.4826 * float(np.median(np.abs(values)))


def _signed_distance(mask: Mask) -> F32:
    """Pixels from the border, negative inside."""
    import cv2

    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5), np.float32)


def _smooth_field(shape: tuple[int, ...], knots: int, rng: np.random.Generator) -> F32:
    """A smooth random field, about standard normal."""
    import cv2

    coarse = rng.standard_normal((knots + 1, knots + 2), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _along_normals(depth: F32, source_depth: NDArray[np.floating], radius: float) -> tuple[F32, F32]:
    """Where each pixel is taken from, if along the border's normal it moves from `depth` to `source_depth`."""
    import cv2

    smooth = cv2.GaussianBlur(depth, (0, 0), max(1.5, 0.12 * radius))
    down, across = np.gradient(smooth)
    length = np.maximum(np.hypot(across, down), 1e-3)
    step = (source_depth - depth) / length * np.minimum(1.0, length / 0.3)  # no normal on the medial axis
    x, y = np.meshgrid(np.arange(depth.shape[1]), np.arange(depth.shape[0]))
    return np.asarray(x + across * step, np.float32), np.asarray(y + down * step, np.float32)


def _remap(pixels: U8, field: tuple[F32, F32]) -> U8:
    import cv2

    return np.asarray(cv2.remap(pixels, *field, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _remap_soft(mask: Mask, field: tuple[F32, F32]) -> U8:
    import cv2

    return np.asarray(cv2.remap(mask.astype(np.uint8) * 255, *field, cv2.INTER_LINEAR), np.uint8)


def _solve(measure: object, target: float, most: float) -> float:
    """The argument in [0, most] at which the increasing `measure` reaches `target`, by bisection."""
    assert callable(measure)
    low, high = 0.0, most
    for _ in range(24):
        middle = 0.5 * (low + high)
        value = float(measure(middle))
        if abs(value - target) <= _PRECISION * 0.1 * target:
            return middle
        low, high = (middle, high) if value < target else (low, middle)
    return 0.5 * (low + high)


def _placed(donor: Lesion, point: complex, at: complex, scale: float, turn_deg: float, host: Lesion) -> U8:
    """The donor's photo turned and scaled so that `point` of it lies at `at` of the host's frame."""
    import cv2

    step = inverse(from_parts(scale, turn_deg, point, at))[:2]
    size = (host.mask.shape[1], host.mask.shape[0])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(donor.pixels, step, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _darkest(donor: Lesion, rng: np.random.Generator) -> complex:
    """A point of the donor's darkest tissue, well inside."""
    import cv2

    grey = cv2.GaussianBlur(donor.pixels.mean(axis=2, dtype=np.float32), (0, 0), 0.15 * donor.radius_px)
    depth = -_signed_distance(donor.mask)
    inside = depth > 0.35 * float(depth.max())
    dark = np.argwhere(inside & (grey <= np.quantile(grey[inside], 0.15)))
    y, x = dark[int(rng.integers(len(dark)))]
    return complex(x, y)


def _with_detail(grown: Lesion, donor: Lesion, where: Mask, rng: np.random.Generator) -> U8:
    """Fine detail of the donor's tissue in place of what stretching left in `where`."""
    scale = 1.25 * grown.radius_px / donor.radius_px
    tissue = _placed(donor, donor.centre, grown.centre, scale, rng.uniform(0, 360), grown).astype(np.float32)
    levels = 4
    soft = _feathered(where, 0.05 * grown.radius_px)[..., None]
    own, other = pyramid(grown.pixels.astype(np.float32), levels), pyramid(tissue, levels)
    rim = _ring(where, 0.15 * grown.radius_px) & grown.mask
    rim = rim if rim.any() else where
    # As strong as the tissue next to it: detail of 2 px in one photo is no sharper than in the other.
    strength = [float(band.std()) for band in (_collapse_detail(own)[rim], _collapse_detail(other)[where])]
    gain = float(np.clip(strength[0] / max(1e-3, strength[1]), 0.3, 2.0))
    detail = _collapse_detail(other) * np.float32(gain)
    kept = grown.pixels.astype(np.float32) - np.float32(0.7) * _collapse_detail(own)
    return to_bytes(grown.pixels + soft * (kept + detail - grown.pixels))


def _collapse_detail(bands: list[F32]) -> F32:
    return collapse([*bands[:-1], np.zeros_like(bands[-1])])


def _blob(mask: Mask, centre: complex, area: float, rng: np.random.Generator) -> Mask:
    """An irregular patch of `area` pixels inside the mask about a point."""
    x, y = np.meshgrid(np.arange(mask.shape[1]), np.arange(mask.shape[0]))
    radius = float(np.sqrt(area / np.pi))
    dx, dy = (x - centre.real) / radius, (y - centre.imag) / radius
    angle = np.arctan2(dy, dx)
    wavy = 1.0 + sum(
        rng.uniform(0.05, 0.28) / (k - 1) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 6)
    )
    distance = np.where(mask, np.hypot(dx, dy) / wavy, np.inf)
    count = min(max(9, round(area)), int(mask.sum()))
    return np.asarray(distance <= np.partition(distance.ravel(), count - 1)[count - 1])


def _part(host: Lesion, share: float, rng: np.random.Generator) -> Mask:
    """One side of the lesion with a wavy line as its border, `share` of its area."""
    x, y = np.meshgrid(np.arange(host.mask.shape[1]), np.arange(host.mask.shape[0]))
    angle = rng.uniform(0, 2 * np.pi)
    along = (np.cos(angle) * (x - host.centre.real) + np.sin(angle) * (y - host.centre.imag)) / host.radius_px
    value = along + 0.35 * _smooth_field(host.mask.shape, 8, rng)
    return np.asarray(host.mask & (value >= np.quantile(value[host.mask], 1.0 - share)))


def _pigmentation(host: Lesion) -> F32:
    """How much of the lesion's own colour each place has: 0 on skin, 1 from two thirds of the upper quartile on."""
    away = _difference_from_skin(host)
    usual = max(4.0, float(np.quantile(away[host.mask], 0.75)))
    return np.asarray(np.clip(2.0 * away / usual - 0.3, 0.0, 1.0), np.float32)


def _ring(mask: Mask, width: float) -> Mask:
    """What lies within `width` pixels outside of a mask."""
    distance = _signed_distance(mask)
    return np.asarray((distance > 0) & (distance <= max(2.0, width)))


def _feathered(mask: Mask, sigma: float) -> F32:
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(1.0, sigma)), np.float32)


def _shifted_in_lab(pixels: U8, shift: NDArray[np.floating]) -> U8:
    """The pixels moved in CIE Lab, by OpenCV's conversion there and back."""
    import cv2

    lab = cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    moved = np.asarray(lab + shift.astype(np.float32), np.float32)
    moved[..., 0] = np.clip(moved[..., 0], 0, 100)
    return to_bytes(np.asarray(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB)) * 255.0)
