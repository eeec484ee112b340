"""What a lesion adds to the skin: melanin, blood, deep (blue) and missing (white) pigment, on a photo's pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from longderm.simulate.fields import F32, Lattice, cell_edges, draw_discs, octaves
from longderm.simulate.history import LesionHistory, LesionState

#: Colours (linear RGB) that deep pigment and horn tend to.
BLUE_GREY = np.array([0.105, 0.122, 0.152], np.float32)
KERATIN = np.array([0.62, 0.50, 0.33], np.float32)

#: Logit of the share of pigment missing at the true border: a quarter is left there.
BORDER_LOGIT = 1.1

#: A reader's line does not follow what is finer than this (standard deviation, mm).
READER_MM = 0.1

#: Lattice of a lesion's inner structures, nodes per mm.
STRUCTURE_PER_MM = 30.0


@dataclass(frozen=True)
class Looks:
    """How a kind of lesion looks: ranges its individuals are drawn from."""

    melanin: tuple[float, float]
    blood: tuple[float, float] = (0.0, 0.3)
    edge_mm: tuple[float, float] = (0.2, 0.5)
    network: tuple[float, float] = (0.0, 0.0)
    globules_per_mm2: tuple[float, float] = (0.0, 0.0)
    rim: tuple[float, float] = (0.0, 0.0)
    blotch: tuple[float, float] = (0.1, 0.3)  # uneven pigment
    centre: tuple[float, float] = (-0.2, 0.4)  # darker (positive) or lighter middle
    cysts: float = 0.0
    lacunae: float = 0.0
    colours: tuple[float, float] = (0.0, 0.0)  # blue-grey, white and red areas present from the start


LOOKS = {
    "common_nevus": Looks((0.9, 2.6), network=(0.0, 0.5), globules_per_mm2=(0, 3), blotch=(0.05, 0.2)),
    "dysplastic_nevus": Looks(
        (0.9, 2.6), (0.0, 0.5), (0.3, 0.7), (0.1, 0.6), (0, 3), blotch=(0.2, 0.45), centre=(-0.3, 0.7)
    ),
    "dermal_nevus": Looks((0.15, 0.9), (0.1, 0.4), (0.3, 0.6), globules_per_mm2=(0, 2), blotch=(0.1, 0.3)),
    "solar_lentigo": Looks((0.5, 1.2), edge_mm=(0.1, 0.25), network=(0.2, 0.5), blotch=(0.1, 0.25), centre=(-0.1, 0.1)),
    "seborrhoeic_keratosis": Looks(
        (0.7, 2.2), (0.0, 0.2), (0.06, 0.15), globules_per_mm2=(0, 2), blotch=(0.25, 0.5), cysts=1.2
    ),
    "angioma": Looks((0.25, 0.7), (0.9, 1.6), (0.1, 0.2), blotch=(0.1, 0.2), lacunae=1.0),
    "growing_nevus": Looks((1.0, 2.2), edge_mm=(0.2, 0.4), network=(0.1, 0.4), rim=(0.3, 0.7), blotch=(0.05, 0.15)),
    "changing_nevus": Looks((0.9, 2.3), network=(0.2, 0.6), globules_per_mm2=(0, 3), blotch=(0.1, 0.35)),
    "irritated_nevus": Looks((0.8, 2.2), (0.1, 0.4), network=(0.0, 0.4), globules_per_mm2=(0, 3), blotch=(0.1, 0.3)),
    "melanoma_in_situ": Looks(
        (1.0, 2.8),
        (0.0, 0.4),
        (0.3, 0.8),
        (0.3, 0.7),
        (0, 3),
        blotch=(0.3, 0.6),
        centre=(-0.3, 0.5),
        colours=(0.0, 0.3),
    ),
    "melanoma_invasive": Looks(
        (1.4, 3.4),
        (0.1, 0.6),
        (0.25, 0.8),
        (0.2, 0.6),
        (0, 4),
        blotch=(0.4, 0.8),
        centre=(-0.2, 0.6),
        colours=(0.1, 0.6),
    ),
}


@dataclass(frozen=True)
class LesionLooks:
    """One lesion's fixed looks: drawn strengths, a lattice (blotch, grain, network) and its marks in mm."""

    melanin: float
    blood: float
    edge_mm: float
    network: float
    rim: float
    blotch: float
    centre: float
    colours: float
    structures: Lattice
    globules: NDArray[np.float64]  # (N, 3) x, y, radius in mm
    dots: NDArray[np.float64]
    cysts: NDArray[np.float64]
    lacunae: NDArray[np.float64]
    rim_angles: NDArray[np.float64]  # (N, 3) angle, radius in mm, order of appearance 0 to 1
    patches: NDArray[np.float64]  # (4, 3) centre x, y and radius (mm): blue, white, red, black
    dark_skin: float


def draw_looks(history: LesionHistory, final_radius_mm: float, skin_melanin: float) -> LesionLooks:
    """Draw the looks of a lesion whose largest radius ever seen is `final_radius_mm`."""
    rng = np.random.default_rng([*history.seed, 31])
    looks = LOOKS[history.kind]
    reach = final_radius_mm * 1.15 + 0.5
    size = int(2 * reach * STRUCTURE_PER_MM)
    blotch = octaves(rng, size, STRUCTURE_PER_MM, {final_radius_mm * 0.7: 0.75, 1.1: 0.45, 0.5: 0.3})
    grain = octaves(rng, size, STRUCTURE_PER_MM, {0.35: 0.5, 0.16: 0.55})
    cell = float(rng.uniform(0.24, 0.42))
    uneven = 0.9 if history.kind.startswith("melanoma") else 0.5
    distance = cell_edges(rng, size, cell * STRUCTURE_PER_MM, uneven)
    width = (0.045 + 0.02 * np.clip(grain, -1, 2)) * STRUCTURE_PER_MM * (1.3 if uneven > 0.6 else 1.0)
    network = cv2.GaussianBlur(np.exp(-np.square(distance / np.clip(width, 0.8, None))), (0, 0), 0.7) - 0.4
    values = np.ascontiguousarray(np.stack([blotch, grain, network], axis=2).astype(np.float32))

    area = history.area_mm2
    radius = float(np.sqrt(area / np.pi))

    def marks(per_mm2: float, low: float, high: float, spread: float = 0.75) -> NDArray[np.float64]:
        count = int(rng.poisson(per_mm2 * area))
        angle, distance_mm = rng.uniform(0, 2 * np.pi, count), spread * final_radius_mm * np.sqrt(rng.random(count))
        return np.stack([distance_mm * np.cos(angle), distance_mm * np.sin(angle), rng.uniform(low, high, count)], 1)

    count = int(2 * np.pi * radius / 0.34)
    angles = (np.arange(count) + rng.normal(0, 0.2, count)) * (2 * np.pi / max(1, count))
    patches = np.stack(
        [rng.normal(0, 0.38 * radius, 4), rng.normal(0, 0.38 * radius, 4), rng.uniform(0.3, 0.6, 4) * radius], axis=1
    )
    return LesionLooks(
        melanin=float(rng.uniform(*looks.melanin)) * (1 + 0.25 * skin_melanin),
        blood=float(rng.uniform(*looks.blood)),
        edge_mm=float(rng.uniform(*looks.edge_mm)),
        network=float(rng.uniform(*looks.network)),
        rim=float(rng.uniform(*looks.rim)),
        blotch=float(rng.uniform(*looks.blotch)),
        centre=float(rng.uniform(*looks.centre)),
        colours=float(rng.uniform(*looks.colours)),
        structures=Lattice(values, STRUCTURE_PER_MM),
        globules=marks(float(rng.uniform(*looks.globules_per_mm2)), 0.05, 0.13),
        dots=marks(0.8 if history.kind.startswith("melanoma") else 0.1, 0.03, 0.06, 0.9),
        cysts=marks(looks.cysts, 0.05, 0.16),
        lacunae=marks(looks.lacunae * 3, 0.2, 0.5, 0.85),
        rim_angles=np.stack([angles, rng.uniform(0.07, 0.13, count), rng.random(count)], axis=1),
        patches=patches,
        dark_skin=skin_melanin,
    )


@dataclass(frozen=True)
class Pigment:
    """What a lesion adds on a window of the photo: `window` (rows, columns), planes (h, w), `inside` the true mask."""

    window: tuple[slice, slice]
    melanin: F32
    blood: F32
    blue: F32
    white: F32
    keratin: F32
    inside: NDArray[np.bool_]


def render_pigment(
    looks: LesionLooks,
    history: LesionHistory,
    state: LesionState,
    radii: NDArray[np.float64],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    tan: float,
) -> Pigment:
    """Evaluate the lesion in `state` with border `radii` (mm) on the pixels of a photo with pose `matrix` (3, 3)."""
    px_per_mm = float(np.sqrt(np.linalg.det(matrix[:2, :2])))
    reach = (float(radii.max()) + 4 * looks.edge_mm + 0.3) * px_per_mm * 1.05
    cx, cy = matrix[0, 2], matrix[1, 2]
    x0, x1 = int(np.clip(cx - reach, 0, size[1] - 2)), int(np.clip(cx + reach + 1, 2, size[1]))
    y0, y1 = int(np.clip(cy - reach, 0, size[0] - 2)), int(np.clip(cy + reach + 1, 2, size[0]))
    x0, y0 = min(x0, x1 - 2), min(y0, y1 - 2)
    window, shape = (slice(y0, y1), slice(x0, x1)), (y1 - y0, x1 - x0)
    local = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]]) @ matrix
    back = np.linalg.inv(local)
    column, row = np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32)[:, None]
    x = (back[0, 0] * column + back[0, 1] * row + back[0, 2]).astype(np.float32)
    y = (back[1, 0] * column + back[1, 1] * row + back[1, 2]).astype(np.float32)
    rho, theta = cv2.cartToPolar(x, y)
    table = np.append(radii, radii[0]).astype(np.float32)
    position = theta * np.float32(len(radii) / (2 * np.pi))
    index = np.clip(position.astype(np.int32), 0, len(radii) - 1)
    part = position - index
    border = table[index] * (1 - part) + table[index + 1] * part
    structures = looks.structures.sample(local, shape)
    blotch, grain, network = structures[..., 0], structures[..., 1], structures[..., 2]

    depth = border - rho
    edge = looks.edge_mm * (1 + 0.25 * np.clip(blotch, -2, 2))
    # The true border is where a reader draws it: where a quarter of the pigment is left. The edge frays, and with its
    # broad waves that border runs out and in of the star-shaped one, whose area it keeps.
    frayed = depth + (0.04 + 0.2 * looks.edge_mm) * (0.5 * blotch + 0.8 * grain)
    inside = _within_reach(frayed, int((depth >= 0).sum()), px_per_mm)
    body = 1 / (1 + np.exp(np.clip(BORDER_LOGIT - 3.0 * frayed / edge, -30, 30)))
    q = np.clip(rho / border, 0, 2)

    profile = 1 + looks.centre * (0.5 - q)
    uneven = 1 + looks.blotch * blotch
    fade = np.clip(1.4 - q, 0, 1)
    meshes = looks.network * (1 - np.clip(state.get("network_loss"), 0, 1))
    texture = 1 + 1.5 * meshes * network * np.clip(0.7 + 0.5 * blotch, 0, 1.3) * fade + 0.10 * grain
    strength = looks.melanin * (1 + state.get("darkening")) * (1 + 0.25 * tan)
    melanin = strength * body * np.clip(profile, 0.3, None) * np.clip(uneven, 0.2, None) * np.clip(texture, 0.15, None)

    def discs(marks: NDArray[np.float64], soft_mm: float = 0.03) -> F32:
        if not len(marks):
            return np.zeros(shape, np.float32)
        centres = marks[:, :2] @ local[:2, :2].T + local[:2, 2]
        plane = draw_discs(shape, centres, marks[:, 2] * px_per_mm)
        soft = cv2.GaussianBlur(plane, (0, 0), max(0.6, soft_mm * px_per_mm))
        return np.asarray(soft * (body > 0.35), np.float32)

    melanin += 0.9 * discs(looks.globules) * body * (0.5 + 0.5 * looks.melanin)
    melanin += 2.4 * discs(looks.dots, 0.015) * body
    rim = np.clip(looks.rim + state.get("rim_globules"), 0, 1)
    if rim > 0:
        shown = looks.rim_angles[looks.rim_angles[:, 2] <= rim]
        at = np.interp(
            shown[:, 0] % (2 * np.pi), np.arange(len(radii)) * (2 * np.pi / len(radii)), radii, period=2 * np.pi
        )
        at = at - shown[:, 1] * 0.6
        marks = np.stack([at * np.cos(shown[:, 0]), at * np.sin(shown[:, 0]), shown[:, 1]], axis=1)
        melanin += (0.5 + 0.8 * looks.melanin) * 0.8 * discs(marks)

    blue_patch, white_patch, red_patch, black_patch = (_patch(x, y, patch, blotch, grain) for patch in looks.patches)
    new = np.clip(0.6 * looks.colours + state.get("new_colour"), 0, 1)
    melanin += body * black_patch * 3.2 * new
    blue = np.clip(body * blue_patch * new, 0, 0.75)
    white = np.clip(body * white_patch * np.clip(state.get("regression") + 0.3 * looks.colours, 0, 1), 0, 0.65)
    redness = state.get("redness")
    # Inflammation reaches beyond the border.
    halo = 1 / (1 + np.exp(np.clip(-3 * (depth + 0.8), -30, 30)))
    blood = body * (looks.blood * (1 + 0.3 * blotch) + 0.9 * red_patch * looks.colours) + 0.55 * redness * halo
    lacunae = discs(looks.lacunae, 0.08)
    blood = blood + 0.9 * lacunae
    melanin = melanin * (1 - 0.75 * white)
    keratin = np.clip(0.75 * discs(looks.cysts, 0.03), 0, 1)
    f32 = np.float32
    return Pigment(window, melanin.astype(f32), blood.astype(f32), blue.astype(f32), white.astype(f32), keratin, inside)


def _within_reach(frayed: F32, area_px: int, px_per_mm: float) -> NDArray[np.bool_]:
    """The `area_px` pixels deepest within a frayed border (depth in mm), in one piece without holes, bool (h, w)."""
    whole = np.zeros(frayed.shape, np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(frayed, (0, 0), max(0.6, READER_MM * px_per_mm)), np.float32)
    if not 0 < area_px < frayed.size:
        return np.full(frayed.shape, area_px > 0)
    above = smooth >= np.partition(smooth.ravel(), -area_px)[-area_px]
    contours, _ = cv2.findContours(above.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(whole, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    # Once more for the area: of the specks left out and the holes filled.
    beyond = np.float32(np.ptp(smooth))
    smooth += np.where(whole > 0, np.where(above, np.float32(0), beyond), np.where(above, -beyond, np.float32(0)))
    return np.asarray(smooth >= np.partition(smooth.ravel(), -area_px)[-area_px])


def _patch(x: F32, y: F32, patch: NDArray[np.float64], blotch: F32, grain: F32) -> F32:
    """A soft irregular area, 0 to 1, about a centre."""
    px, py, radius = (np.float32(v) for v in patch)
    distance = np.sqrt(np.square(x - px) + np.square(y - py)) / radius
    return np.asarray(np.clip(1.05 - 0.9 * distance + 0.5 * blotch + 0.22 * grain, 0, 1), np.float32)
