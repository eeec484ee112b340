"""PanDerm Base and Large (Yan et al., Nature Medicine 2025), and the DermLIP tower that grew from PanDerm Base.

Queries and values have a bias, keys have none; blocks are scaled (`gamma_1`, `gamma_2`); positions are sin-cos, stored.
The published Base file holds the backbone alone; Large's names carry `encoder.` and stand beside the parts of its
pretraining (CAE v2: Zhang et al. 2022): regressor, decoder, mask token.
"""

from __future__ import annotations

from longderm.models.layouts.layout import skipping
from longderm.models.layouts.timm_style import TimmStyle
from longderm.models.preprocessing import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, Preprocessing

#: The authors' evaluation: torchvision's Resize(256) (bilinear), CenterCrop(224); 0.228 where ImageNet has 0.229.
_PREPROCESSING = Preprocessing(IMAGENET_MEAN, (0.228, 0.224, 0.225), 256, 224, "bilinear")
_BIASES, _SCALES = ("attn.q_bias", "attn.v_bias"), ("gamma_1", "gamma_2")

PANDERM = TimmStyle(
    name="panderm",
    preprocessing=_PREPROCESSING,
    skipped=skipping(
        r"head\..*",  # a classifier
        r"(alignment_encoder|teacher|regresser|decoder)\..*",  # pretraining's other networks
        r"encoder_to_regresser(_norm)?\..*",
        "rd_pos_embed",
        "mask_token",
    ),
    biases=_BIASES,
    scales=_SCALES,
    always_scaled=True,
)

#: The head of 512 is the projection into the space that images and texts share.
DERMLIP_PANDERM = TimmStyle(
    name="dermlip_panderm",
    preprocessing=Preprocessing(CLIP_MEAN, CLIP_STD, 224, 224, "bicubic"),
    skipped=skipping(r"text\..*", r"logit_(scale|bias)"),
    biases=_BIASES,
    scales=_SCALES,
    always_scaled=True,
    head="head",
    before=("visual.",),
)
