"""A photo shows what the truth says: where, how large, and what persists between visits."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from longderm.simulate.devices import DERMATOSCOPES
from longderm.simulate.exposure import Shot, draw_shot
from longderm.simulate.history import make_lesion
from longderm.simulate.outline import area_mm2
from longderm.simulate.pigment import LOOKS, draw_looks, render_pigment
from longderm.simulate.render import SKIN_EXTENT_MM, SKIN_PER_MM, Rendering, render
from longderm.simulate.skin import build_skin
from longderm.simulate.truth import closest_similarity


class Scene:
    """One lesion on its skin, photographed at will."""

    def __init__(self, kind: str, seed: int, skin_type: int = 2) -> None:
        self.history = make_lesion(np.random.default_rng(seed), (seed,), kind, "suspicious", 3.0)
        self.skin = build_skin((seed,), skin_type, SKIN_EXTENT_MM, SKIN_PER_MM)
        reach = float(self.history.outline_at(self.history.state_at(24)).max())
        self.looks, self.reach = draw_looks(self.history, reach, self.skin.melanin), reach

    def shot(self, number: int, **changes: object) -> Shot:
        shot = draw_shot(np.random.default_rng(number), (number,), DERMATOSCOPES[0], 0.0, self.reach)
        return replace(shot, **{"artefacts": {}, "blur_px": 0.0, "motion_px": 0.0, **changes})

    def photo(self, shot: Shot, month: float = 0.0, tan: float = 0.0) -> Rendering:
        return render(self.skin, self.looks, self.history, self.history.state_at(month), shot, tan)


def grey(pixels: np.ndarray) -> np.ndarray:
    """Detail without light: grey levels less their broad mean."""
    plane = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(plane, (0, 0), 1.5) - cv2.GaussianBlur(plane, (0, 0), 15)


def pair_matrix(first: Shot, second: Shot) -> np.ndarray:
    return closest_similarity(second.matrix @ np.linalg.inv(first.matrix), first.matrix[:2, 2])


@pytest.mark.parametrize("kind", ["common_nevus", "melanoma_invasive", "dermal_nevus"])
def test_the_true_transform_brings_two_photos_of_a_lesion_onto_each_other(kind):
    scene = Scene(kind, 3)
    first, second = scene.shot(1), scene.shot(2)
    a, b = scene.photo(first), scene.photo(second)
    matrix = pair_matrix(first, second)

    def agreement(shift: float) -> float:
        moved = matrix.copy()
        moved[0, 2] += shift
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(grey(b.pixels), moved[:2], a.pixels.shape[1::-1], flags=flags, borderValue=np.nan)
        seen = np.isfinite(back)
        return float(np.corrcoef(grey(a.pixels)[seen], back[seen])[0, 1])

    best = agreement(0.0)
    assert best > 0.6
    assert best > agreement(2.5) + 0.02
    assert best > agreement(-2.5) + 0.02


def test_the_true_mask_has_the_true_area_in_every_photo():
    scene = Scene("dysplastic_nevus", 4)
    state = scene.history.state_at(6)
    for number in range(4):
        shot = scene.shot(number)
        picture = scene.photo(shot, month=6)
        assert picture.area_px == pytest.approx(state.area_mm2 * shot.px_per_mm**2, rel=0.01)
    assert area_mm2(scene.history.outline_at(state)) == pytest.approx(state.area_mm2, rel=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_true_mask_ends_where_the_pigment_does(seed):
    scene = Scene("dysplastic_nevus", seed)
    shot = scene.shot(1)
    state = scene.history.state_at(0)
    pigment = render_pigment(
        scene.looks, scene.history, state, scene.history.outline_at(state), shot.matrix, shot.size, 0
    )
    inside = pigment.inside.astype(np.uint8)
    # Just inside of the border there is pigment all round, just outside there is little: the quarter lies between.
    reach = max(3, round(0.25 * shot.px_per_mm))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    rim, beyond = inside - cv2.erode(inside, disc) > 0, cv2.dilate(inside, disc) - inside > 0
    share = cv2.GaussianBlur(pigment.melanin, (0, 0), 0.1 * shot.px_per_mm) / scene.looks.melanin
    assert np.median(share[rim]) > 0.3
    assert np.median(share[beyond]) < 0.2
    count, _ = cv2.connectedComponents(inside)
    assert count == 2


@pytest.mark.parametrize("kind", sorted(LOOKS))
@pytest.mark.parametrize("skin_type", [1, 6])
def test_every_kind_of_lesion_stands_out_from_every_skin(kind, skin_type):
    picture = Scene(kind, 5, skin_type).photo(Scene(kind, 5, skin_type).shot(3))
    mask = picture.mask.astype(np.uint8)
    ring = cv2.dilate(mask, np.ones((41, 41))) - cv2.dilate(mask, np.ones((21, 21))) > 0
    lab = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2LAB).astype(float)
    inside, outside = lab[picture.mask].mean(axis=0), lab[ring].mean(axis=0)
    assert np.linalg.norm((inside - outside) * (100 / 255, 1, 1)) > 4


def test_dark_skin_is_darker_than_fair_skin():
    levels = []
    for skin_type in (1, 3, 6):
        scene = Scene("common_nevus", 6, skin_type)
        levels.append(np.median(scene.photo(scene.shot(3, exposure=1.0)).pixels))
    assert levels[0] > levels[1] > levels[2]
    assert levels[2] < 150


def test_tan_darkens_the_skin_and_changes_no_border():
    scene = Scene("common_nevus", 7)
    shot = scene.shot(3)
    pale, tanned = scene.photo(shot), scene.photo(shot, tan=1.0)
    assert np.median(tanned.pixels) < np.median(pale.pixels) - 3
    assert np.array_equal(pale.mask, tanned.mask)


@pytest.mark.parametrize("name", ["hair", "bubbles", "ruler", "glare", "ink", "dark_corners"])
def test_each_artefact_shows(name):
    scene = Scene("common_nevus", 8)
    amount = {"hair": 12.0, "bubbles": 20.0, "glare": 0.9, "dark_corners": 0.5}.get(name, 1.0)
    plain, covered = scene.photo(scene.shot(3)), scene.photo(scene.shot(3, artefacts={name: amount}))
    changed = np.abs(plain.pixels.astype(int) - covered.pixels).max(axis=2) > 25
    assert 0.0003 < changed.mean() < 0.3


def test_blur_takes_the_detail():
    scene = Scene("melanoma_in_situ", 9)
    sharp, blurred = scene.photo(scene.shot(3)), scene.photo(scene.shot(3, blur_px=6.0))
    assert grey(blurred.pixels).std() < 0.8 * grey(sharp.pixels).std()


def test_melanoma_changes_more_than_a_resting_nevus_under_one_light():
    def difference(kind):
        scene = Scene(kind, 10)
        shot = scene.shot(3)
        before, after = scene.photo(shot, 0.0), scene.photo(shot, 12.0)
        union = before.mask | after.mask
        return np.abs(before.pixels.astype(float) - after.pixels)[union].mean()

    assert difference("melanoma_invasive") > 2 * difference("common_nevus")


def test_the_same_shot_gives_the_same_pixels():
    first, second = (Scene("growing_nevus", 12).photo(Scene("growing_nevus", 12).shot(5)) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
