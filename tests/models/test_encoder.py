"""An encoder prepares photos as its authors did and gives each its vector, whatever its neighbours; it is released."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import longderm
from longderm.errors import RefusedError, SourceNotFoundError, UsageError, WeightsError
from longderm.models.encoder import Encoder
from longderm.models.encoder_weights import write_encoder
from longderm.models.preprocessing import Preprocessing, crop_photo
from longderm.models.releases import write_hashes
from longderm.models.vision_transformer import VisionArchitecture, VisionTransformer

SMALL = VisionArchitecture(width=32, depth=2, heads=2, mlp_width=64, patch_px=16, grid=14)


def release(folder, architecture=SMALL, preprocessing=None, half=False):
    """A release's folder `encoder/0.1.0`, and its network."""
    torch.manual_seed(5)
    network = VisionTransformer(architecture).eval()
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.3)
    folder = folder / "encoder" / "0.1.0"
    folder.mkdir(parents=True)
    config = {"encoder": write_encoder(network, preprocessing or Preprocessing(), folder, half)}
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    return folder, network


@pytest.fixture
def encoder(tmp_path) -> Encoder:
    return longderm.load_encoder(release(tmp_path)[0], device="cpu")


def photo(height, width, seed=1):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return longderm.Photo.from_array(pixels)


def resized_then_cropped(pixels, resize_px, way):
    """torchvision's Resize and CenterCrop of a PIL image, as their documentation says."""
    height, width = pixels.shape[:2]
    if height <= width:
        rows, columns = resize_px, int(resize_px * width / height)
    else:
        rows, columns = int(resize_px * height / width), resize_px
    whole = np.asarray(Image.fromarray(pixels).resize((columns, rows), way))
    top, left = round((rows - 224) / 2.0), round((columns - 224) / 2.0)
    return whole[top : top + 224, left : left + 224]


@pytest.mark.parametrize("height,width", [(600, 800), (801, 533), (300, 300), (100, 140), (224, 1500)])
@pytest.mark.parametrize("resize_px,name,way", [(256, "bilinear", 2), (224, "bicubic", 3), (256, "area", 4)])
def test_a_photo_is_resized_and_cropped_as_torchvision_does(height, width, resize_px, name, way):
    taken = photo(height, width)
    crop = crop_photo(taken, Preprocessing(resize_px=resize_px, interpolation=name))
    assert crop.shape == (3, 224, 224)
    assert crop.dtype == torch.float32
    assert 0 <= crop.min() <= crop.max() <= 1
    enlarged = name == "area" and min(height, width) < resize_px
    reference = resized_then_cropped(taken.pixels, resize_px, Image.Resampling(3 if enlarged else way))
    off = np.abs(crop.permute(1, 2, 0).numpy() * 255 - reference)
    # Pillow resizes in two passes and rounds between them: cropping first moves few values, by one or two grey levels.
    assert off.max() <= 2.01
    assert (off > 0.01).mean() < 0.02


def test_a_very_long_photo_costs_no_more_than_its_middle():
    assert crop_photo(photo(8, 40_000), Preprocessing()).shape == (3, 224, 224)


def test_a_photo_goes_all_the_way_to_a_vector(encoder):
    crop = encoder.preprocess(photo(600, 800))
    vector = encoder.embed(crop[None])
    assert vector.shape == (1, 32)
    assert vector.dtype == torch.float32
    tokens = encoder.tokens(crop[None])
    assert tokens.values.shape == (1, 196, 32)
    assert tokens.grid == (14, 14)


def test_a_vector_does_not_hang_on_its_neighbours(encoder):
    images = torch.rand(5, 3, 64, 64)
    together = encoder.embed(images)
    assert all(torch.equal(together[i], encoder.embed(images[i : i + 1])[0]) for i in range(5))
    assert torch.equal(encoder.embed(images.flip(0)), together.flip(0))


def test_a_head_can_be_trained_on_the_vectors_and_the_encoder_stays_frozen(encoder):
    head = torch.nn.Linear(32, 1)
    head(encoder.embed(torch.rand(2, 3, 32, 32))).sum().backward()
    assert head.weight.grad is not None
    assert not any(value.requires_grad for value in encoder.network.parameters())


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(3, 224, 224),
        torch.rand(1, 4, 32, 32),
        torch.rand(0, 3, 32, 32),
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8),
        torch.rand(1, 3, 32, 32) * 255,
        torch.rand(1, 3, 32, 32) - 0.5,
        torch.full((1, 3, 32, 32), float("nan")),
    ],
    ids=["no batch", "four channels", "empty", "integers", "up to 255", "normalised", "not finite"],
)
def test_what_is_no_image_in_0_to_1_is_refused(encoder, images):
    with pytest.raises(UsageError, match="images must"):
        encoder.embed(images)


def test_bfloat16_stays_close_and_is_used_only_where_the_machine_has_it(tmp_path):
    from longderm.models.precision import helps_bf16

    folder = release(tmp_path)[0]
    images = torch.rand(4, 3, 64, 64)
    coarse, fine = longderm.load_encoder(folder, bf16=True, device="cpu"), longderm.load_encoder(folder, device="cpu")
    assert coarse.bf16 == helps_bf16(torch.device("cpu"))
    forced = replace(fine, bf16=True).embed(images)
    assert forced.dtype == torch.float32
    assert torch.cosine_similarity(forced, fine.embed(images)).min() > 0.999
    assert not torch.equal(forced, fine.embed(images))


@pytest.mark.parametrize("name", ["encoder/0.1.0", "0.1.0"])
def test_a_release_is_loaded_by_name(tmp_path, name):
    folder, network = release(tmp_path, replace(SMALL, projection=8, registers=2, layer_scale=True))
    encoder = longderm.load_encoder(name, registry=tmp_path)
    assert (encoder.name, encoder.layout) == ("encoder/0.1.0", "longderm")
    assert encoder.digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    images = torch.rand(2, 3, 224, 224)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        seen = network((images - mean) / std)
    torch.testing.assert_close(encoder.embed(images).cpu(), seen.projected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.embed(images, "pre_projection").cpu(), seen.vector, rtol=1e-4, atol=1e-5)


def test_folder_weights_and_name_mean_the_same_release(tmp_path):
    folder, _ = release(tmp_path, preprocessing=Preprocessing((0.1,) * 3, (0.2,) * 3, 240, 224, "area"))
    images = torch.rand(1, 3, 32, 32)
    for named in (folder, str(folder), folder / "model.safetensors"):
        encoder = longderm.load_encoder(named, device="cpu")
        assert encoder.name == "encoder/0.1.0"
        assert encoder.preprocessing == Preprocessing((0.1,) * 3, (0.2,) * 3, 240, 224, "area")
        assert torch.equal(encoder.embed(images), longderm.load_encoder(folder, device="cpu").embed(images))


def test_what_a_training_leaves_loads_without_hashes(tmp_path):
    folder, _ = release(tmp_path)
    (folder / "hashes.json").unlink()
    assert longderm.load_encoder(folder).name == "0.1.0"


def test_half_precision_halves_the_file_and_hardly_moves_a_vector(tmp_path):
    (full, _), (half, _) = release(tmp_path / "full"), release(tmp_path / "half", half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, full)]
    assert sizes[0] < 0.52 * sizes[1]
    images = torch.rand(3, 3, 32, 32)
    vectors = [longderm.load_encoder(folder, device="cpu").embed(images) for folder in (half, full)]
    assert torch.cosine_similarity(*vectors).min() > 0.9999


def test_a_release_that_is_not_there_says_so():
    with pytest.raises(SourceNotFoundError, match=r"encoder/7\.7\.7 is not in the registry"):
        longderm.load_encoder("encoder/7.7.7")


def test_a_tampered_release_is_refused(tmp_path):
    folder, _ = release(tmp_path)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(RefusedError, match="differs from its recorded hash"):
        longderm.load_encoder(folder)


def test_own_weights_that_do_not_fit_their_config_are_refused_by_name(tmp_path):
    folder, _ = release(tmp_path)
    (folder / "hashes.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    own = config["encoder"]["architecture"]
    for field, value, message in (
        ("depth", 3, r"missing blocks\.2\.attention\.out\.bias"),
        ("depth", 1, r"unexpected blocks\.1\.attention\.out\.bias"),
        ("mlp_width", 65, r"wrong blocks\.0\.down\.weight"),
        ("heads", 5, "no architecture that can be"),
        ("mystery", 5, "describes no encoder"),
    ):
        config["encoder"]["architecture"] = own | {field: value}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(WeightsError, match=message):
            longderm.load_encoder(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="describes no encoder"):
        longderm.load_encoder(folder)


def test_options_that_cannot_be_are_refused(tmp_path):
    folder, _ = release(tmp_path)
    with pytest.raises(UsageError, match="device must be"):
        longderm.load_encoder(folder, device="tpu")
    with pytest.raises(UsageError, match="of our own"):
        longderm.load_encoder(folder, layout="panderm")
    with pytest.raises(SourceNotFoundError, match="a folder without config"):
        longderm.load_encoder(tmp_path)
