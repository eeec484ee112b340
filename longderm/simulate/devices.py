"""The cameras of two invented makers: what each does to a photo and says about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A camera: frame in pixels, field of view in mm (width), optics, response.

    `saturation`, `gamma`, `warmth`: colour response relative to sRGB; `noise`: SD in grey levels; `blur_px`: of the
    lens in focus; `corners`: how far the round field of view reaches into the frame (0 none, 1 inscribed circle);
    `calibrated`: share of its photos that carry a scale.
    """

    maker: str
    manufacturer: str
    model: str
    size: tuple[int, int]  # height, width
    field_mm: float
    polarised: bool
    contact: bool
    saturation: float
    gamma: float
    warmth: float
    noise: float
    blur_px: float
    corners: float
    calibrated: float
    magnification: float


#: Dermatoscopes of maker A (DICOM) and maker B (photo folders). Names are invented.
DERMATOSCOPES = (
    Device(
        "a", "Aldermere Optics", "DermaView 200", (480, 640), 17.0, False, True, 0.95, 1.0, -0.1, 1.6, 0.7, 0.0, 0.9, 10
    ),
    Device(
        "a",
        "Aldermere Optics",
        "DermaView 300",
        (600, 800),
        18.5,
        True,
        True,
        1.06,
        0.98,
        0.03,
        1.2,
        0.7,
        0.35,
        0.9,
        20,
    ),
    Device("b", "Brightfell", "SkinScope P", (576, 768), 18.0, True, True, 1.04, 1.05, -0.05, 1.5, 0.8, 0.55, 0.35, 10),
    Device("b", "Brightfell", "SkinScope N", (480, 640), 15.0, True, False, 0.92, 0.96, 0.05, 2.0, 0.8, 0.0, 0.15, 10),
    Device("b", "Brightfell", "SkinScope Pro", (768, 1024), 19.0, True, True, 1.0, 1.0, 0.03, 1.0, 0.9, 0.25, 0.5, 20),
)

#: Cameras for close-ups and overviews.
CAMERAS = {
    "a": Device(
        "a", "Aldermere Optics", "DermaCam C", (600, 800), 62.0, False, False, 1.05, 1.0, 0.02, 1.8, 0.8, 0.0, 0.4, 1
    ),
    "b": Device(
        "b", "Brightfell", "Phone Adapter", (576, 768), 70.0, False, False, 1.1, 1.0, 0.05, 2.4, 0.9, 0.0, 0.0, 1
    ),
}


#: The tower of cameras of maker B, which cuts a small tile of every spot out of its overviews.
TILE_CAMERA = Device("b", "Brightfell", "Tower T", (144, 144), 15.0, True, False, 1.0, 1.0, 0.0, 2.0, 0.6, 0.0, 1.0, 1)

#: At most this many of a patient's lesions have tiles in an archive.
TILES = 2


def dermatoscopes(maker: str) -> tuple[Device, ...]:
    """The dermatoscopes of a maker ("a" or "b")."""
    return tuple(device for device in DERMATOSCOPES if device.maker == maker)


#: Makers that exist in simulated archives only, by which a report tells that its photos show no real skin.
INVENTED_MAKERS = frozenset(("Aldermere Optics", "Brightfell"))
