"""Every layout is recognised, loaded whole and gives its authors' features; anything less is refused by name."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from written_checkpoints import (
    State,
    clip_tower,
    quick_gelu,
    random,
    see_clip,
    see_timm_like,
    text_tower,
    timm_like,
)

import longderm
from longderm.errors import LongdermError, UsageError, WeightsError
from longderm.models.layouts import LAYOUTS

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PANDERM = (0.485, 0.456, 0.406), (0.228, 0.224, 0.225)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(11)


def dermlip_panderm(depth=2) -> State:
    state = timm_like(panderm=True, depth=depth) | {"head.weight": random(48, 64), "head.bias": random(48)}
    return {f"visual.{name}": value for name, value in state.items()}


WRITTEN = {
    "timm": timm_like,
    "panderm": lambda depth=2: timm_like(panderm=True, depth=depth),
    "dermlip_panderm": dermlip_panderm,
    "open_clip": clip_tower,
}


def load(tmp_path, state, file="weights.pth", **options):
    if file.endswith(".safetensors"):
        save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / file)
    else:
        torch.save(state, tmp_path / file)
    return longderm.load_encoder(tmp_path / file, device="cpu", **options)


def normalised(images, mean_and_std):
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in mean_and_std)
    return (images - mean) / std


def same(ours, reference):
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width,heads", [(64, 1), (128, 2)])
@pytest.mark.parametrize("file", ["panderm.pth", "panderm.safetensors"])
def test_panderm_gives_its_class_token_after_the_final_norm(tmp_path, width, heads, file):
    state, images = timm_like(width=width, panderm=True), torch.rand(3, 3, 32, 32)
    encoder = load(tmp_path, state, file)
    reference = see_timm_like(state, normalised(images, PANDERM), heads)
    assert encoder.layout == "panderm"
    assert encoder.vectors == ("pre_projection",)
    same(encoder.embed(images), reference[:, 0])
    tokens = encoder.tokens(images)
    same(tokens.values, reference[:, 1:])
    assert tokens.grid == (4, 4)


@pytest.mark.parametrize("scaled", [False, True])
def test_timm_and_dino_with_and_without_layer_scale(tmp_path, scaled):
    state, images = timm_like(width=128, scaled=scaled), torch.rand(2, 3, 32, 32)
    encoder = load(tmp_path, state, "dino.pt")
    assert encoder.layout == "timm"
    same(encoder.embed(images), see_timm_like(state, normalised(images, IMAGENET), 2)[:, 0])


@pytest.mark.parametrize("name", ["reg_token", "register_tokens"])
def test_register_tokens_take_part_but_are_no_patches(tmp_path, name):
    state, images = timm_like() | {name: random(1, 3, 64)}, torch.rand(2, 3, 32, 32)
    if name == "reg_token":
        state["pos_embed"] = random(1, 16, 64)  # as timm writes it: no position for the class token
    encoder = load(tmp_path, state)
    reference = see_timm_like(state, normalised(images, IMAGENET), 1)
    same(encoder.embed(images), reference[:, 0])
    same(encoder.tokens(images).values, reference[:, 4:])


@pytest.mark.parametrize("panderm", [False, True])
def test_a_norm_behind_the_pooling_means_the_mean_of_the_patches(tmp_path, panderm):
    state, images = timm_like(panderm=panderm, final="fc_norm"), torch.rand(2, 3, 32, 32)
    before = see_timm_like(state, normalised(images, PANDERM if panderm else IMAGENET), 1, final="fc_norm")
    mean = before[:, 1:].mean(1)
    pooled = torch.nn.functional.layer_norm(mean, (64,), state["fc_norm.weight"], state["fc_norm.bias"], 1e-6)
    same(load(tmp_path, state).embed(images), pooled)


@pytest.mark.parametrize("text", [False, True])
def test_clip_offers_the_vector_before_and_behind_its_projection(tmp_path, text):
    state, images = clip_tower(width=128), torch.rand(2, 3, 32, 32)
    encoder = load(tmp_path, state | (text_tower() if text else {}), "clip.safetensors")
    reference = see_clip(state, normalised(images, CLIP), 2)
    assert encoder.layout == "open_clip"
    same(encoder.embed(images, "pre_projection"), reference[:, 0])
    same(encoder.embed(images, "post_projection"), reference[:, 0] @ state["visual.proj"])
    same(encoder.embed(images), encoder.embed(images, "post_projection"))
    same(encoder.tokens(images).values, reference[:, 1:])
    with pytest.raises(UsageError, match="no vector 'cls'"):
        encoder.embed(images, "cls")


def test_clip_takes_its_activation_heads_and_normalisation_from_the_config_beside_it(tmp_path):
    state, images = clip_tower(width=96), torch.rand(2, 3, 32, 32)
    half = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    config = {
        "model_cfg": {"quick_gelu": True, "vision_cfg": {"width": 96, "head_width": 32}},
        "preprocess_cfg": {"mean": half[0], "std": half[1], "interpolation": "bilinear"},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    encoder = load(tmp_path, state)
    same(encoder.embed(images, "pre_projection"), see_clip(state, normalised(images, half), 3, quick_gelu)[:, 0])
    assert encoder.preprocessing.interpolation == "bilinear"
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": 3}')
    with pytest.raises(WeightsError, match="open_clip_config"):
        load(tmp_path, state)


def test_quick_gelu_can_be_asked_for_where_no_config_tells(tmp_path):
    state, images = clip_tower(), torch.rand(2, 3, 32, 32)
    vector = load(tmp_path, state, quick_gelu=True).embed(images, "pre_projection")
    same(vector, see_clip(state, normalised(images, CLIP), 1, quick_gelu)[:, 0])
    assert not torch.allclose(vector, see_clip(state, normalised(images, CLIP), 1)[:, 0], rtol=1e-3)


def test_dermlip_on_panderm_is_normalised_as_clip_and_its_head_is_the_projection(tmp_path):
    state, images = dermlip_panderm(), torch.rand(2, 3, 32, 32)
    encoder = load(tmp_path, state | {"text.proj.weight": random(48, 32), "logit_scale": torch.tensor(4.6)})
    plain = {name.removeprefix("visual."): value for name, value in state.items()}
    before = see_timm_like(plain, normalised(images, CLIP), 1)[:, 0]
    assert encoder.layout == "dermlip_panderm"
    same(encoder.embed(images, "pre_projection"), before)
    same(encoder.embed(images), before @ plain["head.weight"].T + plain["head.bias"])


def test_heads_that_the_width_does_not_tell_must_be_named(tmp_path):
    state, images = timm_like(width=48), torch.rand(1, 3, 32, 32)
    with pytest.raises(UsageError, match="heads="):
        load(tmp_path, state)
    with pytest.raises(UsageError, match="5 heads"):
        load(tmp_path, state, heads=5)
    same(load(tmp_path, state, heads=3).embed(images), see_timm_like(state, normalised(images, IMAGENET), 3)[:, 0])


@pytest.mark.parametrize("box", [(), ("model",), ("state_dict",), ("teacher",), ("state_dict", "model")])
@pytest.mark.parametrize("prefix", ["", "module.", "encoder.", "module.encoder.", "backbone."])
def test_boxes_and_wrappers_of_trainings_are_taken_off(tmp_path, box, prefix):
    state, images = timm_like(panderm=True), torch.rand(1, 3, 32, 32)
    held = OrderedDict((prefix + name, value) for name, value in state.items())
    for name in box:
        held = {name: held, "epoch": 499, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    encoder = load(tmp_path, held)
    assert encoder.layout == "panderm"
    same(encoder.embed(images), see_timm_like(state, normalised(images, PANDERM), 1)[:, 0])


@pytest.mark.parametrize("name", WRITTEN)
def test_a_layout_can_be_named_and_a_wrong_one_is_refused(tmp_path, name):
    state = WRITTEN[name]()
    assert load(tmp_path, state, layout=name).layout == load(tmp_path, state).layout == name
    for other in set(LAYOUTS) - {name}:
        with pytest.raises(WeightsError):
            load(tmp_path, state, layout=other)
    with pytest.raises(UsageError, match="no layout 'resnet'"):
        load(tmp_path, state, layout="resnet")


def test_pretraining_networks_beside_panderm_are_left_out_and_nothing_else_is(tmp_path):
    state, images = timm_like(panderm=True), torch.rand(1, 3, 32, 32)
    held = {f"encoder.{name}": value for name, value in state.items()}
    others = ("alignment_encoder", "teacher", "decoder")
    held |= {f"{other}.blocks.0.norm1.weight": random(64) for other in others}
    held |= {"regresser.regressor_blocks.0.norm1.weight": random(64), "mask_token": random(1, 1, 64)}
    held |= {"rd_pos_embed": random(1, 17, 64), "encoder.head.weight": random(7, 64)}
    same(load(tmp_path, held).embed(images), see_timm_like(state, normalised(images, PANDERM), 1)[:, 0])
    with pytest.raises(WeightsError, match=r"unexpected encoder\.rel_pos_bias\.table, mystery\.weight$") as refused:
        load(tmp_path, held | {"mystery.weight": random(3), "encoder.rel_pos_bias.table": random(3)})
    assert refused.value.unexpected == ("encoder.rel_pos_bias.table", "mystery.weight")


def reshaped(value: torch.Tensor) -> list[torch.Tensor]:
    """Other shapes of a tensor: one longer, flattened or with another axis, transposed."""
    others = [torch.cat([value, value]), value[None], value.reshape(-1) if value.dim() > 1 else value.reshape(2, -1)]
    if value.dim() == 2 and value.shape[0] != value.shape[1]:
        others.append(value.T.contiguous())
    return others


@pytest.mark.parametrize("name", WRITTEN)
def test_any_tensor_that_is_dropped_or_reshaped_is_named_alone(tmp_path, name):
    whole = timm_like(scaled=True, depth=1) if name == "timm" else WRITTEN[name](depth=1)
    backbone = list(whole)
    # The text tower tells how long the projection's vector must be, where one tensor against another cannot.
    whole |= {"open_clip": text_tower(), "dermlip_panderm": {"text.proj.weight": random(48, 32)}}.get(name, {})
    assert load(tmp_path, whole).layout == name
    for tensor in backbone:
        with pytest.raises(WeightsError) as dropped:
            load(tmp_path, {other: value for other, value in whole.items() if other != tensor})
        assert (dropped.value.missing, dropped.value.unexpected, dropped.value.misshapen) == ((tensor,), (), {})
        assert tensor in str(dropped.value)
        for other in reshaped(whole[tensor]):
            with pytest.raises(WeightsError) as misshapen:
                load(tmp_path, whole | {tensor: other})
            assert list(misshapen.value.misshapen) == [tensor], tensor
            assert tensor in str(misshapen.value)
            assert "\n" not in str(misshapen.value)


def test_a_tensor_cut_by_one_is_named_wherever_the_file_tells_its_size(tmp_path):
    whole = {name: make() for name, make in WRITTEN.items()}
    whole["open_clip"] |= text_tower()
    for name, state in whole.items():
        for tensor, value in state.items():
            if not LAYOUTS[name].skipped.fullmatch(tensor):
                with pytest.raises(WeightsError) as refused:
                    load(tmp_path, state | {tensor: value[..., :-1].clone()})
                assert tensor in refused.value.misshapen


def test_register_tokens_that_were_lost_are_missed(tmp_path):
    with pytest.raises(WeightsError, match="reg_token"):
        load(tmp_path, timm_like() | {"pos_embed": random(1, 16, 64)})


def test_a_missing_block_lists_what_it_would_hold(tmp_path):
    state = {name: value for name, value in timm_like(depth=3).items() if not name.startswith("blocks.1.")}
    with pytest.raises(WeightsError) as refused:
        load(tmp_path, state)
    assert len(refused.value.missing) == 12
    assert "blocks.1.attn.qkv.bias" in str(refused.value)
    with pytest.raises(WeightsError, match="blocks"):
        load(tmp_path, state | {"blocks.999999.norm1.weight": random(64)})


@pytest.mark.parametrize(
    "spoilt",
    [
        torch.full((64,), float("nan")),
        torch.ones(64, dtype=torch.int64),
        torch.zeros(1).expand(64),
        torch.ones(64).to_sparse(),
    ],
    ids=["not finite", "integers", "one number repeated", "sparse"],
)
def test_a_tensor_of_other_content_is_named(tmp_path, spoilt):
    with pytest.raises(WeightsError, match=r"wrong norm\.weight"):
        load(tmp_path, timm_like() | {"norm.weight": spoilt})


def test_half_precision_is_read_as_single(tmp_path):
    state = {name: value.half() for name, value in timm_like().items()}
    images = torch.rand(2, 3, 32, 32)
    single = {name: value.float() for name, value in state.items()}
    same(load(tmp_path, state).embed(images), see_timm_like(single, normalised(images, IMAGENET), 1)[:, 0])


class Planted:
    """What a hostile file would hold: it would run code when unpickled."""

    def __reduce__(self):
        return (open, ("planted", "w"))


@pytest.mark.parametrize("planted", [Planted(), argparse.Namespace(lr=1)], ids=["code", "object"])
def test_pickled_objects_are_refused_and_not_run(tmp_path, monkeypatch, planted):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": timm_like(), "args": planted}, tmp_path / "hostile.pth")
    with pytest.raises(WeightsError, match=r"hostile\.pth holds other objects than tensors"):
        longderm.load_encoder("hostile.pth")
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("file", ["weights.pth", "weights.safetensors"])
def test_damaged_files_are_refused_in_one_line(tmp_path, file):
    load(tmp_path, timm_like(), file)
    path = tmp_path / file
    whole = path.read_bytes()
    for damaged in (b"", b"\x00" * 40, b"no weights", whole[:100], whole[: len(whole) // 2], whole[:-10], whole[200:]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError) as refused:
            longderm.load_encoder(path)
        assert file in str(refused.value)
        assert "\n" not in str(refused.value)


def test_foreign_files_are_refused_in_one_line(tmp_path):
    for foreign in ({"conv1.weight": random(8, 3, 7, 7)}, {"vision_model.encoder.layers.0.x": random(2)}, [1, 2], {}):
        torch.save(foreign, tmp_path / "foreign.pt")
        with pytest.raises(WeightsError, match="foreign"):
            longderm.load_encoder(tmp_path / "foreign.pt")
    with pytest.raises(WeightsError, match=r"'epoch' are no tensors"):
        load(tmp_path, timm_like() | {"epoch": 3})
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"\.safetensors"):
        longderm.load_encoder(tmp_path / "weights.onnx")
    with pytest.raises(LongdermError, match="neither a file nor a release"):
        longderm.load_encoder(tmp_path / "absent.pth")
