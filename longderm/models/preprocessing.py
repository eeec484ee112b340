"""How a photo becomes what an encoder was trained on: resized, cut to a square, and the numbers it is normalised by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from longderm.photo import Photo

if TYPE_CHECKING:
    import torch

#: Channel means and standard deviations of ImageNet, sRGB in [0, 1], as DINO, DeiT and most of timm use them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Of OpenAI's CLIP training photos, as every open_clip tower uses unless its config says otherwise.
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """The shorter side becomes `resize_px`, the middle square of `crop_px` is kept, values become (x - mean) / std.

    mean, std: per channel, of sRGB in [0, 1]; interpolation: how the photo is resized, always with antialiasing
    ("area" is the plain mean of what a new pixel covers, bicubic where the photo is enlarged). Raises ValueError for
    sizes below 1, a crop beyond the resized photo, numbers that cannot be, another way.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize_px: int = 256
    crop_px: int = 224
    interpolation: Literal["bilinear", "bicubic", "area"] = "bicubic"

    def __post_init__(self) -> None:
        sizes = self.resize_px, self.crop_px
        if not all(isinstance(size, int) and size >= 1 for size in sizes) or self.crop_px > self.resize_px:
            raise ValueError(f"no crop of {self.crop_px!r} px of a photo resized to {self.resize_px!r} px")
        channels = [*zip(self.mean, self.std, strict=True)] if len(self.mean) == len(self.std) == 3 else []
        if not channels or not all(math.isfinite(mean) and std > 0 for mean, std in channels):
            raise ValueError(f"photos cannot be normalised by mean {self.mean} and standard deviation {self.std}")
        if self.interpolation not in ("bilinear", "bicubic", "area"):
            raise ValueError(f"no way to resize a photo: {self.interpolation!r}")


def crop_photo(photo: Photo, preprocessing: Preprocessing) -> torch.Tensor:
    """The photo's middle square, float32 (3, crop_px, crop_px) sRGB in [0, 1], not normalised.

    Sizes and offsets are rounded as torchvision's Resize and CenterCrop do and the resizing is Pillow's, so that a
    published encoder sees what its authors showed it.
    """
    import torch
    from PIL import Image

    height, width = photo.shape
    shorter, side = min(height, width), preprocessing.crop_px
    rows, columns = (int(preprocessing.resize_px * long / shorter) for long in (height, width))
    ways = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    ways["area"] = Image.Resampling.BOX if shorter >= preprocessing.resize_px else Image.Resampling.BICUBIC
    top, left = round((rows - side) / 2), round((columns - side) / 2)
    # Only what the crop keeps is resized, so that a long panorama costs no more than a square.
    scale_y, scale_x = height / rows, width / columns
    box = (left * scale_x, top * scale_y, (left + side) * scale_x, (top + side) * scale_y)
    resized = Image.fromarray(photo.pixels).resize((side, side), ways[preprocessing.interpolation], box=box)
    return torch.from_numpy(np.array(resized, np.float32) / np.float32(255)).permute(2, 0, 1).contiguous()
