"""The convolutional encoder: folded it says the same, it takes any size, and it comes back from disk as it was."""

from __future__ import annotations

import json
from datetime import date

import pytest
import torch

import longderm
from longderm.errors import RefusedError, WeightsError
from longderm.models.convolutional_encoder import ConvolutionalArchitecture, ConvolutionalEncoder, fold_encoder
from longderm.models.encoder_weights import write_encoder
from longderm.models.kinds import check_release
from longderm.models.preprocessing import Preprocessing
from longderm.models.registry import Who, add_release, promote_release, roll_back
from longderm.models.releases import write_hashes
from longderm.settings import Settings
from longderm.store import Store

SMALL = ConvolutionalArchitecture(widths=(4, 6, 8, 10, 12), blocks=(1, 1, 0, 1))


def settled(architecture=SMALL):
    """A network whose normalisation has seen something."""
    torch.manual_seed(3)
    network = ConvolutionalEncoder(architecture)
    for _ in range(3):
        network(2 * torch.randn(4, 3, 64, 64) + 0.5)
    return network.eval()


def release(root, card="# encoder/0.1.0\n\nMade in a test. Licence: Apache-2.0.\n"):
    folder = root / "encoder" / "0.1.0"
    folder.mkdir(parents=True)
    network = settled()
    preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, 224, 224, "area")
    config = {"encoder": write_encoder(fold_encoder(network), preprocessing, folder)}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "card.md").write_text(card)
    (folder / "figures.json").write_text(json.dumps({"photos": 1}))
    write_hashes(folder)
    return folder, network


def test_folded_it_says_the_same():
    network, images = settled(), torch.randn(3, 3, 64, 96)
    seen, folded = network(images), fold_encoder(network)(images)
    torch.testing.assert_close(folded.vector, seen.vector, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(folded.patches, seen.patches, rtol=1e-4, atol=1e-5)
    assert seen.vector.shape == (3, SMALL.width) and SMALL.width == 30
    assert seen.grid == (4, 6) and seen.patches.shape == (3, 24, 10)


def test_an_image_of_any_size_is_continued_by_its_rim():
    network, images = settled(), torch.randn(2, 3, 50, 70)
    whole = torch.nn.functional.pad(images, (0, 26, 0, 14), mode="replicate")
    torch.testing.assert_close(network(images).vector, network(whole).vector)


def test_each_value_is_in_units_of_what_it_was_in_training():
    torch.manual_seed(0)
    network = ConvolutionalEncoder(SMALL).train()
    vectors = network(torch.randn(16, 3, 64, 64)).vector
    # A channel that its rectifier has closed has nothing to say.
    alive = vectors.std(dim=0) > 0.1
    assert alive.sum() > 20
    torch.testing.assert_close(vectors.mean(dim=0), torch.zeros(30), atol=1e-4, rtol=0)


def test_a_release_is_complete_loads_and_gives_the_vectors_that_were_trained(tmp_path):
    folder, network = release(tmp_path)
    assert check_release(folder) == "encoder/0.1.0"
    encoder = longderm.load_encoder("encoder/0.1.0", registry=tmp_path, device="cpu")
    images = torch.rand(3, 3, 224, 224)
    with torch.no_grad():
        expected = network((images - 0.5) / 0.25).vector
    assert torch.cosine_similarity(encoder.embed(images), expected).min() > 0.9995
    assert encoder.tokens(images).values.shape == (3, 100, 10)
    alone = encoder.embed(images[1:2])
    assert torch.equal(alone[0], encoder.embed(images)[1])


def test_the_encoder_in_use_is_the_one_that_the_setting_names(tmp_path, monkeypatch):
    folder, _ = release(tmp_path)
    assert longderm.load_encoder(registry=tmp_path, device="cpu").name == "encoder/0.1.0"
    folder.rename(folder.with_name("0.2.0"))
    monkeypatch.setenv("LONGDERM_REGISTRY_DIR", str(tmp_path))
    monkeypatch.setenv("LONGDERM_ENCODER_VERSION", "0.2.0")
    assert longderm.load_encoder(device="cpu").name == "encoder/0.2.0"


def test_a_promoted_encoder_wins_until_it_is_rolled_back(tmp_path):
    who = Who("A. Clinician", "tried on our own photos", date(2026, 3, 1))
    release(tmp_path / "registry")
    made, _ = release(tmp_path / "made", "# encoder/9.0.0\n\nMade elsewhere. Licence: Apache-2.0.\n")
    settings = Settings(registry_dir=tmp_path / "registry")
    store = Store.create(tmp_path / "store", "key-1")

    def in_use():
        return longderm.load_encoder(registry=settings.registry_dir, store=store, device="cpu").name

    add_release(made, settings, store, who)
    assert in_use() == "encoder/0.1.0"
    promote_release("encoder/9.0.0", settings, store, who)
    assert in_use() == "encoder/9.0.0"
    roll_back("encoder", settings, store, who)
    assert in_use() == "encoder/0.1.0"


def test_weights_that_were_changed_or_do_not_fit_are_refused(tmp_path):
    folder, _ = release(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["encoder"]["architecture"]["widths"][4] = 14
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RefusedError, match=r"config\.json differs"):
        longderm.load_encoder(folder)
    write_hashes(folder)
    with pytest.raises(RefusedError, match="stages"):
        check_release(folder)
    with pytest.raises(WeightsError, match="stages"):
        longderm.load_encoder(folder)
    config["encoder"]["family"] = "recurrent"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "hashes.json").unlink()
    with pytest.raises(WeightsError, match="describes no encoder"):
        longderm.load_encoder(folder)
