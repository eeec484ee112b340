"""ViTs as timm, DINO, DINOv2 and MAE write them: one bias for queries, keys and values, layer scale where there is one.

Register tokens are read: timm's `reg_token` and DINOv2's `register_tokens`. Not read, and refused by the names that
are missing or unexpected: SwiGLU perceptrons (DINOv2 giant), rotary positions (DINOv3), attention without bias or with
normalised queries, positions without a class token and without registers (DeiT III).
"""

from __future__ import annotations

from longderm.models.layouts.layout import skipping
from longderm.models.layouts.timm_style import TimmStyle
from longderm.models.preprocessing import Preprocessing

#: ImageNet's mean and deviation, as DINO and DeiT use them. timm's AugReg weights take 0.5 for both: give them.
TIMM = TimmStyle(
    name="timm",
    preprocessing=Preprocessing(),
    skipped=skipping(
        r"(head|dino_head|ibot_head)\..*",
        r"(student|teacher)\..*",  # the other half of self-distillation
        r"decoder_(embed|blocks|norm|pred)\..*",  # of a masked autoencoder
        "decoder_pos_embed",
        "mask_token",
    ),
    biases=("attn.qkv.bias",),
    scales=("ls1.gamma", "ls2.gamma"),
    always_scaled=False,
    registers=("reg_token", "register_tokens"),
)
