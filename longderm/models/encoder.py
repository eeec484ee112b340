"""Encoders: a photo in, a vector or a grid of tokens out, whoever trained the weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from longderm.errors import SourceNotFoundError, UsageError
from longderm.models.convolutional_encoder import ConvolutionalEncoder
from longderm.models.encoder_weights import ENCODER_WEIGHTS_FILE, OwnNetwork, read_encoder
from longderm.models.layouts import build_network, read_checkpoint, recognise
from longderm.models.layouts.sidecar import read_sidecar
from longderm.models.precision import best_device, helps_bf16
from longderm.models.preprocessing import Preprocessing, crop_photo
from longderm.models.releases import Release, hash_file, load_release
from longderm.models.vision_transformer import Seen
from longderm.photo import Photo

if TYPE_CHECKING:
    from longderm.store import Store

#: Names of the vectors: the final norm's, and the one behind a CLIP tower's projection.
PRE_PROJECTION, POST_PROJECTION = "pre_projection", "post_projection"
#: Kind of our own releases, and the layout they have.
KIND, OWN_LAYOUT = "encoder", "longderm"
#: Images that go through the network at once. The number changes low bits, so it is fixed and the last batch is padded:
#: a photo's vector does not hang on its neighbours. On one core a ViT-Tiny does 88% of its best throughput one by one,
#: 94% two by two, 98% in fours (`longderm bench encoder`); two are a pair, and a lone photo costs as much.
_BATCH = {"cpu": 2, "cuda": 32}
#: The same for convolutions on the CPU, which are six times as quick: one core does 80% of its best throughput two by
#: two, 91% in fours, all of it in eights; a lone photo costs as much as eight, some 50 ms.
_CONVOLUTIONAL_BATCH = 8
#: Layouts beside whose weights open_clip_config.json may lie.
_CLIP_LAYOUTS = ("open_clip", "dermlip_panderm")
#: Values this much outside [0, 1] are rounding, beyond it another scale (0 to 255, or already normalised).
_RANGE_SLACK = 1e-3
_RELEASE_NAME = re.compile(rf"(?:{KIND}/)?(\d+\.\d+\.\d+)")


class Tokens(NamedTuple):
    """Tokens of the patches, float32 (B, rows x columns, width), row by row, and the grid (rows, columns)."""

    values: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Frozen weights and how to feed them.

    name: of the release or file; digest: SHA-256 of the weights' file; layout: how the file was laid out;
    bf16: whether it computes in bfloat16.
    """

    network: OwnNetwork
    preprocessing: Preprocessing
    name: str
    digest: str
    layout: str
    device: torch.device
    bf16: bool = False

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the vectors that `embed` can give."""
        return (PRE_PROJECTION,) if self.network.projection is None else (PRE_PROJECTION, POST_PROJECTION)

    def preprocess(self, photo: Photo) -> Tensor:
        """The photo as `embed` takes it: float32 (3, 224, 224) in [0, 1] (see `crop_photo`)."""
        return crop_photo(photo, self.preprocessing)

    def embed(self, images: Tensor, vector: str | None = None) -> Tensor:
        """One vector an image, float32 (B, D), where `images` lies (CPU or GPU).

        images: floating point (B, 3, 224, 224), or any other size, sRGB in [0, 1]; it is normalised here. vector: one
        of `vectors`; by default the last, which is what a CLIP model's own encode_image gives (not divided by its
        length), and otherwise the class token after the final norm. Raises UsageError for anything else.
        """
        wanted = vector or self.vectors[-1]
        if wanted not in self.vectors:
            raise UsageError(f"{self.name} has no vector {wanted!r}; there are {', '.join(self.vectors)}")
        parts = [seen.vector if wanted == PRE_PROJECTION else seen.projected for seen in self._see(images)]
        found = [part for part in parts if part is not None]
        return torch.cat(found).to(images.device, torch.float32)

    def tokens(self, images: Tensor) -> Tokens:
        """Tokens of the patches after the final norm (before it where the vector is the mean of patches).

        images as for `embed`. Where a side is no multiple of the patch, the last row or column reaches over the edge.
        """
        parts = self._see(images)
        values = torch.cat([seen.patches for seen in parts]).to(images.device, torch.float32)
        return Tokens(values, parts[0].grid)

    def _see(self, images: Tensor) -> list[Seen]:
        """What the network says of each batch, padding taken off again."""
        _require_images(images)
        size = _BATCH.get(self.device.type, 1)
        if self.device.type == "cpu" and isinstance(self.network, ConvolutionalEncoder):
            size = _CONVOLUTIONAL_BATCH
        mean, std = (
            torch.tensor(values, device=self.device).reshape(1, 3, 1, 1)
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        batches = []
        # What is joined from these outside inference mode is an ordinary tensor, which a head can be trained on.
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            for start in range(0, len(images), size):
                batch = images[start : start + size].to(self.device, torch.float32)
                count = len(batch)
                if count < size:
                    batch = torch.cat([batch, batch.new_zeros(size - count, *batch.shape[1:])])
                seen = self.network((batch - mean) / std)
                projected = None if seen.projected is None else seen.projected[:count]
                batches.append(Seen(seen.vector[:count], projected, seen.patches[:count], seen.grid))
        return batches


def cosine_distance(encoder: Encoder, images: Tensor) -> float:
    """1 - cosine of the vectors of two prepared images, float (2, 3, H, W) in [0, 1]: 0 to 2."""
    first, second = encoder.embed(images).double()
    return 1.0 - float(first @ second) / max(float(first.norm() * second.norm()), 1e-12)


def load_encoder(
    name_or_path: str | Path | None = None,
    layout: str | None = None,
    *,
    heads: int | None = None,
    quick_gelu: bool | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    device: str | None = None,
    bf16: bool = False,
    registry: Path | None = None,
    store: Store | None = None,
) -> Encoder:
    """Load weights that lie on this machine; nothing is fetched.

    name_or_path: by default the encoder in use (the one that the setting `encoder_version` names, else the one promoted
    in `store`, else the packaged one); a release ("encoder/0.1.0" or "0.1.0") of the packaged registry or of
    `registry`; a release's folder; or a file (.pth, .pt, .bin, .safetensors) of one of
    `longderm.models.layouts.LAYOUTS`, which is recognised by its tensors' names unless `layout` says which.
    heads, quick_gelu, mean, std: what a file's tensors do not tell, where it is not as usual: 64 wide heads, the
    activation that `open_clip_config.json` beside the file names (else GELU), the layout's mean and standard deviation.
    device: "cpu" or "cuda"; by default a GPU where there is one.
    bf16: compute in bfloat16 where the device does so natively (`Encoder.bf16` says whether): twice as quick, but what
    two photos of a lesion differ by may be as small as its rounding; `longderm bench encoder --weights` shows the
    cosine between both for your weights. Float32 by default.

    Raises SourceNotFoundError, AccessError, UsageError; RefusedError for a release that differs from its hashes;
    WeightsError where a file is damaged, foreign, or its backbone not complete: the message names the tensors.
    """
    where = _device(device)
    if name_or_path is None:
        release = _release_in_use(registry, store)
        own: tuple[str, Path] | None = (release.name, release.folder)
        path = release.folder
    else:
        path = Path(name_or_path)
        own = _own_release(path, registry)
    if own is not None:
        name, path, layout_name = own[0], own[1] / ENCODER_WEIGHTS_FILE, OWN_LAYOUT
        if layout not in (None, OWN_LAYOUT) or heads is not None or quick_gelu is not None:
            raise UsageError(f"{name} is an encoder of our own; its config.json says layout, heads and activation")
        network, preprocessing = read_encoder(own[1])
    else:
        if not path.is_file():
            what = "a folder without config.json" if path.is_dir() else "neither a file nor a release"
            raise SourceNotFoundError(f"{path} is {what}; give a file of weights or a name as {KIND}/0.1.0")
        state, name = read_checkpoint(path), path.name
        found, prefix = recognise(state, name, layout)
        layout_name, preprocessing = found.name, found.preprocessing
        if layout_name in _CLIP_LAYOUTS:
            told = read_sidecar(path.parent, preprocessing)
            preprocessing, heads = told.preprocessing, heads or told.heads
            quick_gelu = told.quick_gelu if quick_gelu is None else quick_gelu
        network = build_network(state, found, prefix, name, heads, bool(quick_gelu))
    preprocessing = replace(preprocessing, mean=mean or preprocessing.mean, std=std or preprocessing.std)
    network = network.to(where).requires_grad_(False)
    return Encoder(network, preprocessing, name, hash_file(path), layout_name, where, bf16 and helps_bf16(where))


def _release_in_use(registry: Path | None, store: Store | None) -> Release:
    from longderm.models.in_use import releases_in_use
    from longderm.settings import Settings

    settings = Settings() if registry is None else Settings(registry_dir=registry)
    return releases_in_use(settings, store, (KIND,))[KIND].release


def _own_release(path: Path, registry: Path | None) -> tuple[str, Path] | None:
    """Name and folder of an encoder of our own: a folder, the weights in it, or a release's name; None of others.

    Hashes are checked; a folder without hashes.json, as a training leaves it, goes by its own name.
    """
    folder = (path.parent if path.name == ENCODER_WEIGHTS_FILE and path.is_file() else path).absolute()
    if (folder / "hashes.json").is_file():
        release = load_release(folder.parent.name, folder.name, folder.parent.parent)
        return release.name, release.folder
    if (folder / "config.json").is_file():
        return folder.name, folder
    named = _RELEASE_NAME.fullmatch(path.as_posix())
    if named is None or path.exists():
        return None
    release = load_release(KIND, named[1], registry)
    return release.name, release.folder


def _device(name: str | None) -> torch.device:
    if name is None:
        return best_device()
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be cpu or cuda, not {name}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: there is no such device here")
    return torch.device(name)


def _require_images(images: Tensor) -> None:
    if images.dim() != 4 or images.shape[1] != 3 or 0 in images.shape or not images.is_floating_point():
        raise UsageError(f"images must be floating point (B, 3, H, W), not {images.dtype} {tuple(images.shape)}")
    low, high = (float(value) for value in torch.aminmax(images))
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # so that NaN is refused, too
        raise UsageError(f"images must lie in [0, 1], not in [{low:g}, {high:g}]; they are normalised here")
