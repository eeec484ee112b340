"""Random weights as each layout names and shapes them, and a plain reference for what a network with them sees.

Nothing here is of the package: names, shapes and formulas are written out from the layouts' own descriptions.
"""

from __future__ import annotations

import math

import torch

State = dict[str, torch.Tensor]


def random(*shape: int, spread: float = 0.2, about: float = 0.0) -> torch.Tensor:
    return about + spread * torch.randn(*shape)


def linear(state: State, name: str, out: int, inner: int) -> None:
    state[f"{name}.weight"], state[f"{name}.bias"] = random(out, inner, spread=inner**-0.5), random(out)


def norm(state: State, name: str, width: int) -> None:
    state[f"{name}.weight"], state[f"{name}.bias"] = random(width, about=1.0), random(width)


def timm_like(width=64, depth=2, hidden=160, patch=8, grid=4, panderm=False, scaled=False, final="norm") -> State:
    state: State = {"cls_token": random(1, 1, width), "pos_embed": random(1, 1 + grid**2, width)}
    state["patch_embed.proj.weight"] = random(width, 3, patch, patch, spread=0.1)
    state["patch_embed.proj.bias"] = random(width)
    for block in (f"blocks.{index}" for index in range(depth)):
        norm(state, f"{block}.norm1", width)
        state[f"{block}.attn.qkv.weight"] = random(3 * width, width, spread=2 * width**-0.5)
        if panderm:
            state |= {f"{block}.attn.q_bias": random(width), f"{block}.attn.v_bias": random(width)}
            state |= {f"{block}.gamma_1": random(width, about=0.4), f"{block}.gamma_2": random(width, about=0.4)}
        else:
            state[f"{block}.attn.qkv.bias"] = random(3 * width)
        if scaled:
            state |= {f"{block}.ls{half}.gamma": random(width, about=0.4) for half in (1, 2)}
        linear(state, f"{block}.attn.proj", width, width)
        norm(state, f"{block}.norm2", width)
        linear(state, f"{block}.mlp.fc1", hidden, width)
        linear(state, f"{block}.mlp.fc2", width, hidden)
    norm(state, final, width)
    return state


def clip_tower(width=64, depth=2, hidden=160, patch=8, grid=4, length=48) -> State:
    state: State = {"class_embedding": random(width), "positional_embedding": random(1 + grid**2, width)}
    state["conv1.weight"] = random(width, 3, patch, patch, spread=0.1)
    norm(state, "ln_pre", width)
    norm(state, "ln_post", width)
    for block in (f"transformer.resblocks.{index}" for index in range(depth)):
        norm(state, f"{block}.ln_1", width)
        state[f"{block}.attn.in_proj_weight"] = random(3 * width, width, spread=2 * width**-0.5)
        state[f"{block}.attn.in_proj_bias"] = random(3 * width)
        linear(state, f"{block}.attn.out_proj", width, width)
        norm(state, f"{block}.ln_2", width)
        linear(state, f"{block}.mlp.c_fc", hidden, width)
        linear(state, f"{block}.mlp.c_proj", width, hidden)
    state["proj"] = random(width, length)
    return {f"visual.{name}": value for name, value in state.items()}


def text_tower(length=48) -> State:
    return {
        "positional_embedding": random(77, 32),
        "token_embedding.weight": random(20, 32),
        "transformer.resblocks.0.attn.in_proj_weight": random(96, 32),
        "ln_final.weight": random(32),
        "text_projection": random(32, length),
        "logit_scale": torch.tensor(4.6),
    }


def gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-1.702 * x))


def layer_norm(x: torch.Tensor, state: State, name: str, eps: float) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * state[f"{name}.weight"]
        + state[f"{name}.bias"]
    )


def attend(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention head by head, with its softmax written out."""
    width = x.shape[-1]
    query, key, value = (x @ weight.T + bias).split(width, dim=-1)
    seen = []
    for head in range(heads):
        own = slice(head * width // heads, (head + 1) * width // heads)
        scores = query[..., own] @ key[..., own].transpose(1, 2) / math.sqrt(width // heads)
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        seen.append(weights / weights.sum(-1, keepdim=True) @ value[..., own])
    return torch.cat(seen, -1)


def cut(images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    patches = torch.nn.functional.conv2d(images, weight, bias, stride=weight.shape[-1])
    return patches.flatten(2).transpose(1, 2)


def see_timm_like(state: State, images: torch.Tensor, heads: int, final="norm") -> torch.Tensor:
    """All tokens after the final norm (B, 1 + registers + patches, width), or before it for `fc_norm`; eps 1e-6."""
    width = state["cls_token"].shape[-1]
    patches = cut(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"])
    first = state["cls_token"].expand(len(images), -1, -1)
    if "reg_token" in state:
        registers = state["reg_token"].expand(len(images), -1, -1)
        x = torch.cat([first, registers, patches + state["pos_embed"]], 1)
    else:
        x = torch.cat([first, patches], 1) + state["pos_embed"]
        if "register_tokens" in state:
            registers = state["register_tokens"].expand(len(images), -1, -1)
            x = torch.cat([x[:, :1], registers, x[:, 1:]], 1)
    depth = sum(name.endswith("attn.qkv.weight") for name in state)
    for block in (f"blocks.{index}" for index in range(depth)):
        if f"{block}.attn.q_bias" in state:
            bias = torch.cat([state[f"{block}.attn.q_bias"], torch.zeros(width), state[f"{block}.attn.v_bias"]])
        else:
            bias = state[f"{block}.attn.qkv.bias"]
        one = torch.ones(width)
        first_scale = state.get(f"{block}.gamma_1", state.get(f"{block}.ls1.gamma", one))
        second_scale = state.get(f"{block}.gamma_2", state.get(f"{block}.ls2.gamma", one))
        seen = attend(layer_norm(x, state, f"{block}.norm1", 1e-6), state[f"{block}.attn.qkv.weight"], bias, heads)
        x = x + first_scale * (seen @ state[f"{block}.attn.proj.weight"].T + state[f"{block}.attn.proj.bias"])
        up = layer_norm(x, state, f"{block}.norm2", 1e-6) @ state[f"{block}.mlp.fc1.weight"].T
        up = gelu(up + state[f"{block}.mlp.fc1.bias"])
        x = x + second_scale * (up @ state[f"{block}.mlp.fc2.weight"].T + state[f"{block}.mlp.fc2.bias"])
    return layer_norm(x, state, "norm", 1e-6) if final == "norm" else x


def see_clip(state: State, images: torch.Tensor, heads: int, activation=gelu) -> torch.Tensor:
    """All tokens of a CLIP tower after ln_post, eps 1e-5; attention is torch's own module."""
    tower = {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}
    width = tower["class_embedding"].shape[0]
    patches = cut(images, tower["conv1.weight"], None)
    x = torch.cat([tower["class_embedding"].expand(len(images), 1, -1), patches], 1) + tower["positional_embedding"]
    x = layer_norm(x, tower, "ln_pre", 1e-5)
    depth = sum(name.endswith("in_proj_weight") for name in tower)
    for block in (f"transformer.resblocks.{index}" for index in range(depth)):
        attention = torch.nn.MultiheadAttention(width, heads, batch_first=True)
        own = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        attention.load_state_dict({name: tower[f"{block}.attn.{name}"] for name in own})
        normed = layer_norm(x, tower, f"{block}.ln_1", 1e-5)
        x = x + attention(normed, normed, normed, need_weights=False)[0]
        up = layer_norm(x, tower, f"{block}.ln_2", 1e-5) @ tower[f"{block}.mlp.c_fc.weight"].T
        up = activation(up + tower[f"{block}.mlp.c_fc.bias"])
        x = x + up @ tower[f"{block}.mlp.c_proj.weight"].T + tower[f"{block}.mlp.c_proj.bias"]
    return layer_norm(x, tower, "ln_post", 1e-5)
