"""A photo: pixels on the native grid and what is known of how they were taken.

The native grid is the file's full size with EXIF orientation applied and square pixels. Coordinates are (x right,
y down), pixel centres at integers, origin at the centre of the top-left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The closed set of modalities; histology and confocal images are refused at intake.
MODALITIES = ("dermoscopic", "clinical", "total_body", "tbp_tile")


@dataclass(frozen=True)
class PhotoMeta:
    """What is known of a photo besides its pixels; None means not known, never a default.

    px_per_mm: pixels per millimetre on the skin; px_per_mm_source: where that comes from ("dicom_pixel_spacing",
    "metadata", "ruler"); px_per_mm_error: its relative standard error; polarised, contact: the optics;
    magnification: as the device states it; caveats: short codes that travel to every result of this photo.
    """

    modality: str = "dermoscopic"
    px_per_mm: float | None = None
    px_per_mm_source: str | None = None
    px_per_mm_error: float | None = None
    polarised: bool | None = None
    contact: bool | None = None
    magnification: float | None = None
    device: str | None = None
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Photo:
    """One image: `pixels` uint8 (H, W, 3) sRGB on the native grid, and its `meta`."""

    pixels: NDArray[np.uint8]
    meta: PhotoMeta = field(default_factory=PhotoMeta)

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"pixels must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
        if self.meta.modality not in MODALITIES:
            raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, not {self.meta.modality!r}")

    @classmethod
    def from_array(
        cls, pixels: NDArray[np.uint8], modality: str = "dermoscopic", px_per_mm: float | None = None, **meta: Any
    ) -> Photo:
        """Make a photo of an uint8 (H, W, 3) sRGB array; `meta` are further fields of `PhotoMeta`.

        Raises ValueError for another dtype or shape, an unknown modality or a scale that is not positive and finite.
        """
        if px_per_mm is not None and not 0 < px_per_mm < float("inf"):
            raise ValueError(f"px_per_mm must be positive and finite, not {px_per_mm}")
        return cls(np.ascontiguousarray(pixels), PhotoMeta(modality=modality, px_per_mm=px_per_mm, **meta))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]
