"""The realised error: none for the same photo, more for what is moved more; and the benchmark that counts it."""

import json

import cv2
import numpy as np
import pytest
from painted_lesions import paint

from longderm.bench.quality import run
from longderm.bench.realised_error import examine, realised_error
from longderm.errors import UsageError
from longderm.imaging.segmentation import DEFAULT_VERSION
from longderm.models import load_release
from longderm.simulate.distortions import CUT, Distorted, distort

WHOLE = (slice(None), slice(None))


@pytest.fixture(scope="module")
def release():
    return load_release("segmentation", DEFAULT_VERSION)


@pytest.fixture(scope="module")
def first(release):
    return examine(paint((240, 320), (160, 120), 55)[0], release)


def error_of(first, copy, release):
    return realised_error(first, examine(copy.pixels, release), copy)


def test_the_same_photo_has_no_error(first, release):
    assert error_of(first, Distorted(first.photo.pixels, WHOLE), release) == 0


def test_a_smaller_copy_is_compared_on_the_first_photos_grid(first, release):
    half = cv2.resize(first.photo.pixels, (160, 120), interpolation=cv2.INTER_AREA)
    assert 0 < error_of(first, Distorted(np.asarray(half), WHOLE), release) < 0.15


def test_the_more_of_a_lesion_is_cut_off_the_greater_the_error(first, release):
    copies = [
        distort(CUT, level, first.photo.pixels, first.outline.mask, np.random.default_rng(2)) for level in (1, 3, 5)
    ]
    few, some, most = (error_of(first, copy, release) for copy in copies)
    assert 0 < few < some < most < 1


def test_a_lesion_that_is_gone_is_as_wrong_as_can_be(first, release):
    skin = np.full_like(first.photo.pixels, (214, 170, 148))
    assert error_of(first, Distorted(skin, WHOLE), release) > 0.9


def test_without_photos_the_benchmark_says_what_it_needs(tmp_path):
    with pytest.raises(UsageError, match="--photos"):
        run(tmp_path)


def test_the_benchmark_leaves_cut_lesions_out_and_resumes(tmp_path, capsys):
    photos = tmp_path / "photos"
    for part in ("images", "masks"):
        (photos / part).mkdir(parents=True)
    lines = ["isic_id,split"]
    for index, x in enumerate((150, 170, 0)):
        pixels, mask = paint((192, 256), (x, 100), 45, seed=index)
        cv2.imwrite(str(photos / "images" / f"L{index}.png"), pixels[..., ::-1])
        cv2.imwrite(str(photos / "masks" / f"L{index}.png"), mask.astype(np.uint8) * 255)
        lines.append(f"L{index},val")
    (photos / "index.csv").write_text("\n".join(lines) + "\n")
    result = run(tmp_path, str(photos))
    assert result["photos"] == 2, "the third lesion lies half beyond the edge"
    assert result["spearman"] > 0.4
    assert set(result["distortions"]) >= {"blur", "cut"}
    assert "left_out" not in result, "nothing was fitted"
    json.dumps(result)
    capsys.readouterr()
    for image in (photos / "images").iterdir():
        image.unlink()
    assert run(tmp_path, str(photos), resume=1) == result, "what was measured is kept"
