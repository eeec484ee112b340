"""`longderm embed`: a row a photo in a fixed order, with the encoder that made it; bad files are counted."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from longderm.archive import read_photo
from longderm.cli import main
from longderm.models.convolutional_encoder import ConvolutionalArchitecture, ConvolutionalEncoder, fold_encoder
from longderm.models.encoder import load_encoder
from longderm.models.encoder_weights import write_encoder
from longderm.models.preprocessing import Preprocessing

SMALL = ConvolutionalArchitecture(widths=(4, 6, 8, 10, 12), blocks=(0, 0, 0, 0))


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(1)
    folder = tmp_path / "tiny"
    folder.mkdir()
    written = write_encoder(fold_encoder(ConvolutionalEncoder(SMALL).eval()), Preprocessing(), folder)
    (folder / "config.json").write_text(json.dumps({"encoder": written}))
    return folder


@pytest.fixture
def longderm(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_a_folder_of_photos_becomes_a_table_of_vectors(longderm, encoder, tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.png", "a.png", "deeper/c.jpg"):
        cv2.imwrite(str(folder / name), np.random.default_rng(len(name)).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    out = tmp_path / "vectors.parquet"
    status, printed, _ = longderm("embed", folder, "--out", out, "--weights", encoder, "--device", "cpu", "--json")
    summary = json.loads(printed)
    assert (status, summary["photos"], summary["values"]) == (0, 3, SMALL.width)
    assert sum(summary["left_out"].values()) == 1
    table = pq.read_table(out)
    assert table["photo"].to_pylist() == ["a.png", "b.png", "deeper/c.jpg"]
    loaded = load_encoder(encoder, device="cpu")
    assert set(table["encoder"].to_pylist()) == {loaded.name}
    assert set(table["encoder_sha256"].to_pylist()) == {loaded.digest}
    expected = loaded.embed(loaded.preprocess(read_photo(folder / "b.png"))[None])[0]
    assert [table[f"e{number}"][1].as_py() for number in range(SMALL.width)] == expected.tolist()


def test_what_cannot_be_is_told_in_one_line(longderm, encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, out, message in (
        (tmp_path / "empty", tmp_path / "x.parquet", "no close-up photo"),
        (tmp_path / "empty", tmp_path / "x.csv", "must name a .parquet"),
        (tmp_path / "nowhere", tmp_path / "x.parquet", "does not exist"),
    ):
        status, _, complaint = longderm("embed", source, "--out", out, "--weights", encoder, "--json")
        assert status == 2 and message in complaint and len(complaint.splitlines()) == 1
