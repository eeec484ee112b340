"""Fitting and benching: parameters can be fitted anew from photos with masks, and figures come from what was drawn."""

import json

import cv2
import numpy as np
import pytest
from painted_lesions import draw_dark_corners, paint

from longderm.bench.imaging import Row, otsu, run, summarise, write_release
from longderm.errors import SourceNotFoundError, UsageError
from longderm.imaging.fit import dice, lesion_free_tiles
from longderm.imaging.quadratic import QuadraticScore, fit_linear, fit_logistic
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.photo import Photo


@pytest.fixture
def folder(tmp_path):
    """An ISIC-layout folder of eight painted lesions, half of them for fitting."""
    photos = tmp_path / "photos"
    (photos / "images").mkdir(parents=True)
    (photos / "masks").mkdir()
    lines = ["isic_id,split"]
    for index in range(8):
        pixels, mask = paint(
            (240, 320), (150 + 4 * index, 120), 40 + 3 * index, 40.0 * index, seed=index, lobes=0.05 * (index % 4)
        )
        if index % 2:
            pixels = draw_dark_corners(pixels, 0.42)[0]
        cv2.imwrite(str(photos / "images" / f"L{index}.png"), pixels[..., ::-1])
        cv2.imwrite(str(photos / "masks" / f"L{index}.png"), mask.astype(np.uint8) * 255)
        lines.append(f"L{index},{'train' if index < 4 else 'val'}")
    (photos / "index.csv").write_text("\n".join(lines) + "\n")
    return photos


def test_the_bench_reports_both_methods_and_ours_sees_past_dark_corners(folder, tmp_path, capsys):
    result = run(tmp_path, photos=str(folder), split="val")
    assert result["photos"] == 4
    ours, peer = (result["methods"][name] for name in (f"segmentation/{DEFAULT_VERSION}", "otsu"))
    assert ours["dice_mean"] > 0.85
    assert ours["dice_mean"] > peer["dice_mean"] + 0.05
    assert ours["dice_mean_interval"][0] <= ours["dice_mean"] <= ours["dice_mean_interval"][1]
    assert (tmp_path / "worst.png").stat().st_size > 1000
    assert "dice_mean" in capsys.readouterr().out
    json.dumps(result)


def test_a_release_fitted_to_four_photos_draws_the_others(folder, tmp_path, capsys):
    write_release(tmp_path, folder, seed=1, limit=0, patients=0)
    result = run(tmp_path, photos=str(folder), split="val", release=str(tmp_path / "segmentation"))
    assert result["methods"]["segmentation/fitted"]["dice_mean"] > 0.7


def test_wrong_folders_are_told(tmp_path):
    with pytest.raises(SourceNotFoundError, match="images/ and masks/"):
        run(tmp_path, photos=str(tmp_path))
    with pytest.raises(UsageError, match="--photos"):
        run(tmp_path, fit=1)


def test_stated_errors_are_held_against_the_realised_ones_by_their_ratio():
    stated = [Row(0.9, True, off, 0.1, 1.0, 0.25) for off in (0.24, -0.19, 0.26, -0.21)]
    figures = summarise([*stated, Row(0.0, False, -1.0, 0.1, 0.0)])
    assert figures["area_error_covered"] == 0.5 and figures["area_error_stated_median"] == 0.25
    assert figures["area_error_covered_by_thirds"] == [0.5, 1.0, 0.0]
    assert "area_error_covered" not in summarise([Row(0.9, True, 0.1, 0.1, 1.0)])


def test_missed_lesions_count_as_no_overlap():
    hit, missed = Row(0.9, True, 0.1, 0.1, 1), Row(0.0, False, -1.0, 0.1, 0)
    figures = summarise([hit, missed])
    assert figures["dice_mean"] == 0.45
    assert figures["dice_below_half"] == 0.5
    assert figures["found"] == 0.5
    assert figures["area_error_median"] == 0.1


def test_otsu_draws_a_plain_lesion():
    pixels, mask = paint()
    assert dice(otsu(Photo.from_array(pixels))[0], mask) > 0.9


def test_lesion_free_tiles_hold_no_lesion():
    pixels, mask = paint()
    coded = pixels.copy()
    coded[mask] = (1, 2, 3)
    tiles = lesion_free_tiles(coded, mask, np.random.default_rng(0), tiles=4)
    assert tiles
    assert not any((tile == (1, 2, 3)).all(axis=2).any() for tile in tiles)


def test_a_quadratic_is_fitted_back():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 2)).astype(np.float32)
    truth = 0.5 * features[:, 0] ** 2 - features[:, 0] * features[:, 1] + 0.3 * features[:, 1] - 0.2
    linear = QuadraticScore.from_weights(fit_linear(features, truth.astype(float), penalty=1e-9))
    np.testing.assert_allclose(linear(features), truth, atol=1e-2)
    labels = rng.random(4000) < 1 / (1 + np.exp(-3 * truth))
    logistic = QuadraticScore.from_weights(fit_logistic(features, labels, np.ones(4000)))
    assert np.corrcoef(logistic(features), truth)[0, 1] > 0.99


def test_with_groups_only_differences_within_a_group_are_fitted():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    features = rng.normal(size=(1000, 1)).astype(np.float32)
    values = features[:, 0] + 50.0 * rng.normal(size=200)[groups]
    score = QuadraticScore.from_weights(fit_linear(features, values, groups))
    slope = score(np.array([[1.0], [0.0]], np.float32))
    assert slope[0] - slope[1] == pytest.approx(1.0, abs=0.1)


def test_a_wrong_number_of_weights_is_refused():
    with pytest.raises(ValueError, match="triangle"):
        QuadraticScore.from_weights([1.0, 2.0])
