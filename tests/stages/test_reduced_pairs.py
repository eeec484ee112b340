"""A pair of large photos is worked on at reduced size, and nothing of what is written about it is lost."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from large_pairs import Desk, again, outline, write_jpeg
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from longderm.errors import RefusedError
from longderm.imaging import Measures
from longderm.models.change_network import CHANGE_WEIGHTS_FILE
from longderm.models.releases import packaged_registry, write_hashes
from longderm.photo import Photo, PhotoMeta
from longderm.registration import align, prepare
from longderm.registration.similarity import Matrix, from_parts
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.simulate.close_up import draw_close_up
from longderm.stages import Place
from longderm.stages.pair import PairWork, run_pair_batch
from longderm.stages.place import UnavailableError
from longderm.stages.reduced import ReducedGrid, lower_matrix
from longderm.stages.work import Row

#: What the two paths may differ by: an alignment at the lesion's border, in shares of its diameter, ...
LARGEST_SHIFT = 0.001
#: ... and a difference, in shares of what can be detected at all.
LARGEST_SHARE_OF_MDC = 0.1


@dataclass(frozen=True)
class Both:
    """What either path wrote of one pair: rows of `alignments` and `changes`; and the truth."""

    reduced: tuple[Row, Row]
    full: tuple[Row, Row]
    pose: Matrix
    mask: NDArray[np.bool_]
    reads: Counter[str]


def large(seed: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A simulated close-up as a large photo of (width, height) with a camera's noise, and its lesion."""
    drawn = draw_close_up(seed, 4)
    pixels = cv2.resize(drawn.pixels, size, interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(seed).standard_normal((size[1], size[0], 1), dtype=np.float32) * np.float32(3)
    mask = cv2.resize(drawn.mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) > 127
    return np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8), np.asarray(mask)


def both_ways(
    folder: Path, seed: int, size: tuple[int, int], scale: float, turn_deg: float, painted: bool = False
) -> Both:
    desk = Desk.set_up(folder)
    pixels, mask = large(seed, size)
    followup, seen, pose = again(pixels, mask, scale, turn_deg, seed)
    if painted:
        followup, seen = with_dark_half(followup, seen)
    rows = desk.take_in(write_jpeg(folder / "a.jpg", pixels)), desk.take_in(write_jpeg(folder / "b.jpg", followup))
    work = desk.work_on(rows, (outline(mask), outline(seen)))
    with pytest.MonkeyPatch.context() as patch:
        reads = count_reads(patch)
        reduced = desk.run(work)
        patch.setattr(Place, "read_reduced", lambda *_: None)
        full = desk.run(work)
    return Both(reduced, full, pose, mask, reads)


def with_dark_half(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The lesion darker in one half, and grown to that side."""
    right = np.arange(mask.shape[1])[None, :] > np.nonzero(mask)[1].mean()
    reach = round(0.12 * np.sqrt(mask.sum()))
    grown = mask | ((cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0) & right)
    soft = cv2.GaussianBlur((grown & right).astype(np.float32), (0, 0), 6)[..., None]
    return np.round(pixels * (1 - 0.45 * soft)).astype(np.uint8), np.asarray(grown)


def count_reads(patch: pytest.MonkeyPatch) -> Counter[str]:
    reads: Counter[str] = Counter()
    read = Place.read

    def counted(place: Place, photo: Row) -> Photo:
        reads[photo["file_ref"]] += 1
        return read(place, photo)

    patch.setattr(Place, "read", counted)
    return reads


def apart(one: Row, other: Row | Matrix, mask: NDArray[np.bool_]) -> float:
    """How far two transforms take the lesion's border to different places, as a share of its diameter."""
    first, second = (np.reshape(m["matrix"] if isinstance(m, dict) else m, (3, 3)) for m in (one, other))
    diameter = 2 * np.sqrt(mask.sum() / np.pi)
    centre = np.array([indices.mean() for indices in np.nonzero(mask)[::-1]])
    turn = np.linspace(0, 2 * np.pi, 24)
    border = np.column_stack([centre + diameter / 2 * np.column_stack([np.cos(turn), np.sin(turn)]), np.ones(24)])
    return float(np.linalg.norm((border @ (first - second).T)[:, :2], axis=1).max() / diameter)


@pytest.fixture(scope="module", params=["quarter", "half, odd sides", "half, changed"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("pair")
    if request.param == "quarter":
        return both_ways(folder, 4, (4096, 3072), 1.08, 12.0)
    if request.param == "half, odd sides":
        return both_ways(folder, 5, (2401, 1801), 0.9, -25.0)
    return both_ways(folder, 6, (2400, 1800), 1.0, 5.0, painted=True)


def test_the_alignment_is_the_same_within_a_thousandth_of_the_lesions_diameter(pair: Both) -> None:
    reduced, full = pair.reduced[0], pair.full[0]
    assert reduced["accepted"] and full["accepted"]
    assert apart(reduced, full, pair.mask) <= LARGEST_SHIFT
    assert reduced["scale"] == pytest.approx(full["scale"], rel=LARGEST_SHIFT), "on the native grid"
    assert reduced["overlap"] == pytest.approx(full["overlap"], abs=0.005)
    assert reduced["cautions"] == full["cautions"]


def test_differences_are_the_same_within_a_share_of_what_can_be_detected(pair: Both) -> None:
    reduced, full = ({delta["measure"]: delta for delta in row[1]["deltas"]} for row in (pair.reduced, pair.full))
    assert set(reduced) == set(full) and {"area", "colour_local", "structure_pattern"} <= set(full)
    for name, delta in full.items():
        if delta["mdc"] is not None:
            assert abs(reduced[name]["delta"] - delta["delta"]) <= LARGEST_SHARE_OF_MDC * delta["mdc"], name
    assert pair.reduced[1]["score"] == pytest.approx(pair.full[1]["score"], abs=0.01)
    above = ({name for name, delta in deltas.items() if delta["exceeds_mdc"]} for deltas in (reduced, full))
    assert len({frozenset(names) for names in above}) == 1, "the same is told to have changed"


def test_neither_photo_is_decoded_at_full_size(pair: Both) -> None:
    assert set(pair.reads.values()) == {1}, "by the full path alone"


def test_a_followup_that_shows_more_of_the_skin_is_compared_at_full_size(tmp_path: Path) -> None:
    """Zoomed out so far that the comparison grid is finer than half of its reduced decode."""
    found = both_ways(tmp_path, 4, (2400, 1800), 0.45, 0.0)
    assert found.reduced[0]["accepted"]
    assert sorted(found.reads.values()) == [1, 2]


@pytest.fixture
def on_desk(tmp_path: Path) -> tuple[Desk, PairWork, Path]:
    desk = Desk.set_up(tmp_path)
    pixels, mask = large(4, (2080, 1560))
    followup, seen, _ = again(pixels, mask, 1.0, 3.0, 1)
    first, second = write_jpeg(tmp_path / "a.jpg", pixels), write_jpeg(tmp_path / "b.jpg", followup)
    return desk, desk.work_on((desk.take_in(first), desk.take_in(second)), (outline(mask), outline(seen))), second


def test_a_file_that_changed_since_intake_is_not_taken_for_the_photo(on_desk: tuple[Desk, PairWork, Path]) -> None:
    desk, work, path = on_desk
    status = path.stat()
    with Image.open(path) as image:
        darker = np.asarray(image) // 2
    write_jpeg(path, darker)
    path.write_bytes(path.read_bytes()[: status.st_size].ljust(status.st_size, b"\0"))
    assert path.stat().st_size == status.st_size
    assert desk.place.read_reduced(work.pair.followup, 1024) is None
    with pytest.raises(UnavailableError):
        desk.place.read(work.pair.followup)
    result = run_pair_batch([[work]], desk.place)
    assert result.unavailable == [work.pair.followup["file_ref"]] and not result.rows


def test_a_release_that_does_not_load_is_said_and_no_photo_is_taken_to_be_missing(
    on_desk: tuple[Desk, PairWork, Path], tmp_path: Path
) -> None:
    desk, work, _ = on_desk
    shutil.copytree(packaged_registry(), tmp_path / "registry")
    folder = tmp_path / "registry" / "change" / PACKAGED_VERSIONS["change"]
    tensors = load_file(folder / CHANGE_WEIGHTS_FILE)
    save_file(dict(sorted(tensors.items())[1:]), folder / CHANGE_WEIGHTS_FILE)
    write_hashes(folder)
    place = Place(desk.place.store, desk.place.link_dir, Settings(registry_dir=tmp_path / "registry"))
    with pytest.raises(RefusedError, match="does not fit its config"):
        run_pair_batch([[work]], place)


def test_a_file_of_which_only_metadata_changed_is_read_in_full(
    on_desk: tuple[Desk, PairWork, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, work, path = on_desk
    data = path.read_bytes()
    comment = b"\xff\xfe\x00\x07later"
    path.write_bytes(data[:2] + comment + data[2:])
    reads = count_reads(monkeypatch)
    alignment, _ = desk.run(work)
    assert alignment["accepted"] and reads == {work.pair.followup["file_ref"]: 1}


@given(st.integers(1, 8000), st.integers(1, 6000), st.sampled_from([2, 4, 8]))
def test_the_corners_of_a_photo_lie_at_the_corners_of_its_reduced_grid(height: int, width: int, divisor: int) -> None:
    shape = max(1, round(height / divisor)), max(1, round(width / divisor))
    grid = ReducedGrid((height, width), shape)
    corners = np.array([[-0.5, -0.5, 1.0], [width - 0.5, height - 0.5, 1.0]])
    expected = [[-0.5, -0.5], [shape[1] - 0.5, shape[0] - 0.5]]
    np.testing.assert_allclose((corners @ grid.from_native.T)[:, :2], expected, atol=1e-6)


@given(st.floats(0.4, 2.5), st.floats(-180, 180), st.floats(-900, 900))
def test_a_transform_between_reduced_grids_takes_a_place_to_the_same_place(scale: float, turn: float, x: float) -> None:
    matrix = from_parts(scale, turn, 100 + 50j, complex(x, 70))
    baseline, followup = ReducedGrid((3000, 4000), (1500, 2000)), ReducedGrid((4439, 6688), (1110, 1672))
    place = np.array([x, 33.0, 1.0])
    there = lower_matrix(matrix, baseline, followup) @ (baseline.from_native @ place)
    np.testing.assert_allclose(there, followup.from_native @ (matrix @ place), atol=1e-6)


def test_masks_keep_their_area_and_measures_their_size() -> None:
    grid = ReducedGrid((600, 800), (150, 200))
    y, x = np.mgrid[:600, :800]
    mask = np.hypot(x - 390.3, y - 280.7) < 150
    lowered = grid.lower_mask(mask)
    assert lowered.sum() * 16 == pytest.approx(mask.sum(), rel=0.005)
    centre = (np.array([part.mean() for part in np.nonzero(lowered)]) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(centre, [280.7, 390.3], atol=0.3)
    measures = grid.lower_measures(Measures(area_px=1600.0, long_diam_px=80.0, area_mm2=4.0))
    assert (measures.area_px, measures.long_diam_px, measures.area_mm2) == (100.0, 20.0, 4.0)
    assert grid.lower_meta(PhotoMeta(px_per_mm=20.0)).px_per_mm == 5.0
    with pytest.raises(ValueError, match="segment the same photo"):
        grid.lower_mask(mask[:-1])


def test_a_photo_prepared_at_reduced_size_is_aligned_in_native_pixels_by_its_native_scale() -> None:
    drawn = draw_close_up(4, 2)
    pixels, mask = drawn.pixels, np.asarray(drawn.mask)
    moved, seen, pose = again(pixels, mask, 1.0, 8.0, 2)
    native = pixels.shape[0] * 3, pixels.shape[1] * 3
    meta = PhotoMeta(px_per_mm=60.0)
    small = [prepare(Photo.from_array(p), outline(m)) for p, m in ((pixels, mask), (moved, seen))]
    plain, lifted = align(*small), align(*(one.lifted(native, meta) for one in small))
    grid = ReducedGrid(native, (pixels.shape[0], pixels.shape[1]))
    assert plain.accepted and lifted.accepted and lifted.matrix is not None
    assert apart({"matrix": lower_matrix(lifted.matrix, grid, grid)}, pose, mask) < 0.005
    assert lifted.scale == pytest.approx(1.0, abs=0.03), "bound by the scale that both state"
