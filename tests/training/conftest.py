"""A folder of painted lesions, laid out as ISIC's are, small enough to train on in a test."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "imaging"))
from painted_lesions import paint

from longderm.threads import one_thread
from longderm.training.examples import STRUCTURES, make_example


@pytest.fixture(scope="session")
def painted():
    """Examples with a lesion each; on every second one, globules are marked where the lesion is."""
    made = []
    for index in range(12):
        pixels, mask = paint((192, 256), (110 + 4 * index, 90 + 2 * index), 34 + 2 * index, 30.0 * index, seed=index)
        marks = (mask.astype(np.uint8) * 2) if index % 2 else np.zeros(mask.shape, np.uint8)
        made.append(make_example(f"P{index:02}", pixels, mask, marks, 4 / 3))
    return made


@pytest.fixture(scope="session")
def isic_folder(painted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("isic")
    for part in ("images", "masks", "structures"):
        (folder / part).mkdir()
    lines = ["isic_id,split," + ",".join(STRUCTURES)]
    for index, example in enumerate(painted):
        cv2.imwrite(str(folder / "images" / f"{example.name}.jpg"), example.coarse[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{example.name}.png"), cv2.resize(example.mask, (256, 256)))
        cv2.imwrite(str(folder / "structures" / f"{example.name}.png"), cv2.resize(example.marks, (256, 192)))
        lines.append(f"{example.name},{'val' if index == 11 else 'train'},0,{index % 2},0,0,0")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def on_one_thread():
    """Networks this small are quicker so."""
    with one_thread():
        yield
