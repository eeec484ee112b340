"""Decode a DICOM photo to sRGB pixels on the native grid.

The encapsulated frame goes to Pillow's decoders, and the colour is handled here, by one rule: what the decoder hands
out is known (libjpeg's own conversion is switched off or on on purpose, OpenJPEG undoes its own transform), and what
Photometric Interpretation still asks for is done once.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longderm.archive.colour import scale_to_8_bits, strips_to_srgb
from longderm.archive.dicom_file import TRANSFER_SYNTAXES, items, number, text, value
from longderm.archive.images import Decoded, check_scans, check_size, load
from longderm.archive.jpeg2000 import decode_deep, is_deep
from longderm.errors import UnusablePhotoError

if TYPE_CHECKING:
    from PIL import Image
    from pydicom import Dataset

#: Rows and columns of pixels that differ by less than this are equal but for the rounding of a decimal string.
SPACING_TOLERANCE = 0.005

#: Widest pixels that are resampled: video formats reach 1.46; beyond it the file's spacing is more likely wrong.
MAX_ANISOTROPY = 1.5

_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PHOTOMETRICS = (*_COLOUR, "PALETTE COLOR", "MONOCHROME1", "MONOCHROME2")


def _truncated() -> UnusablePhotoError:
    return UnusablePhotoError("truncated", "the file ends before its pixels do")


def decode_dicom(dataset: Dataset, max_megapixels: float) -> Decoded:
    """Decode the one frame of a DICOM photo, its ICC profile applied and its pixels made square.

    Raises UnusablePhotoError: too_large, multi_frame, truncated, unsupported_syntax, anisotropic_pixels, unreadable.
    """
    from PIL import Image as PillowImage

    layout = _Layout(dataset)
    packing = TRANSFER_SYNTAXES[str(dataset.file_meta.TransferSyntaxUID)]
    check_size(layout.columns, layout.rows, max_megapixels, jpeg2000=packing == "jpeg2000")
    aspect = pixel_aspect(dataset)
    check_size(round(layout.columns * max(1.0, aspect)), round(layout.rows * max(1.0, 1 / aspect)), max_megapixels)
    data = value(dataset, "PixelData")
    if not isinstance(data, bytes) or not data:
        raise _truncated()
    photometric = layout.photometric
    if packing == "jpeg" and layout.stored != 8:
        raise UnusablePhotoError("unsupported_syntax", f"a JPEG of {layout.stored} bits a sample")
    if packing == "native":
        samples, photometric = _native(data, layout)
    else:
        frame = _frame(data)
        if packing == "rle":
            samples = _rle(frame, layout)
        elif packing == "jpeg":
            samples, photometric = _jpeg(frame, layout)
        else:
            samples, photometric = _jpeg2000(frame, layout)
    mode, bits, caveats = _mode(photometric, layout, samples, dataset)
    palette = _palette(dataset) if photometric == "PALETTE COLOR" else None

    def strip_of(top: int, bottom: int) -> Image.Image:
        strip = samples[top:bottom]
        levels = scale_to_8_bits(strip, bits) if palette is None else palette[strip]
        levels = 255 - levels if photometric == "MONOCHROME1" else np.ascontiguousarray(levels)
        # by bytes, for Pillow's way from an array knows no YCbCr
        return PillowImage.frombytes(mode, (layout.columns, len(strip)), levels.tobytes())

    pixels, unusable = strips_to_srgb((layout.rows, layout.columns), strip_of, _icc_profile(dataset))
    return Decoded(_square(pixels, aspect), "dicom", (*caveats, *unusable))


def pixel_aspect(dataset: Dataset) -> float:
    """How many times a pixel is as wide as high: the distance of columns over that of rows; 1 where nothing is said.

    Raises UnusablePhotoError (anisotropic_pixels) beyond `MAX_ANISOTROPY`.
    """
    spacing = pixel_spacing(dataset)
    if spacing is not None:
        ratio = spacing[1] / spacing[0]
    else:
        found = value(dataset, "PixelAspectRatio")
        try:
            vertical, horizontal = (float(part) for part in found) if found is not None else (1.0, 1.0)
        except (TypeError, ValueError):
            vertical = horizontal = 1.0
        ratio = horizontal / vertical if vertical > 0 and horizontal > 0 else 1.0
    if abs(ratio - 1) < SPACING_TOLERANCE:
        return 1.0
    if not 1 / MAX_ANISOTROPY <= ratio <= MAX_ANISOTROPY:
        raise UnusablePhotoError("anisotropic_pixels", f"pixels are {ratio:.2f} times as wide as high")
    return ratio


def pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Spacing (0028,0030) in mm between rows and between columns, or None where absent or not positive."""
    found = value(dataset, "PixelSpacing")
    try:
        rows, columns = (float(part) for part in found) if found is not None else (0.0, 0.0)
    except (TypeError, ValueError):
        return None
    return (rows, columns) if 0 < rows < 1e3 and 0 < columns < 1e3 else None


class _Layout:
    """The attributes that say how pixels are stored, checked."""

    def __init__(self, dataset: Dataset) -> None:
        rows, columns = number(dataset, "Rows"), number(dataset, "Columns")
        if rows is None or columns is None:
            raise UnusablePhotoError("truncated", "the header states no image size")
        self.rows, self.columns = int(rows), int(columns)
        if (number(dataset, "NumberOfFrames") or 1) > 1:
            raise UnusablePhotoError("multi_frame", "the header states several frames")
        self.samples = int(number(dataset, "SamplesPerPixel") or 0)
        self.allocated = int(number(dataset, "BitsAllocated") or 0)
        self.stored = int(number(dataset, "BitsStored") or self.allocated)
        high = number(dataset, "HighBit")
        self.high = int(high) if high is not None else self.stored - 1
        self.planar = int(number(dataset, "PlanarConfiguration") or 0)
        self.photometric = (text(dataset, "PhotometricInterpretation") or "").upper()
        if self.photometric not in _PHOTOMETRICS:
            raise UnusablePhotoError("unsupported_syntax", "photometric interpretation that is not read")
        if self.samples != (3 if self.photometric in _COLOUR else 1):
            raise UnusablePhotoError("unsupported_syntax", f"{self.samples} samples a pixel do not fit its colour")
        if self.allocated not in (8, 16) or not 1 <= self.stored <= self.allocated or self.high != self.stored - 1:
            raise UnusablePhotoError("unsupported_syntax", f"{self.stored} of {self.allocated} bits a sample")
        if (number(dataset, "PixelRepresentation") or 0) != 0:
            raise UnusablePhotoError("unsupported_syntax", "signed samples")

    @property
    def pixels(self) -> int:
        return self.rows * self.columns


def _native(data: bytes, layout: _Layout) -> tuple[NDArray[Any], str]:
    dtype: np.dtype[Any] = np.dtype("<u2") if layout.allocated == 16 else np.dtype("u1")
    rows, columns = layout.rows, layout.columns
    if layout.photometric == "YBR_FULL_422":
        if layout.allocated != 8 or columns % 2:
            raise UnusablePhotoError("unsupported_syntax", "YBR_FULL_422 of this shape")
        if len(data) < layout.pixels * 2:
            raise _truncated()
        quads = np.frombuffer(data, dtype, layout.pixels * 2).reshape(rows, columns // 2, 4)
        out = np.empty((rows, columns, 3), dtype)
        out[:, 0::2, 0], out[:, 1::2, 0] = quads[..., 0], quads[..., 1]
        for channel in (1, 2):  # each pair of pixels shares its chroma
            out[:, 0::2, channel] = out[:, 1::2, channel] = quads[..., channel + 1]
        return out, "YBR_FULL"
    count = layout.pixels * layout.samples
    if len(data) < count * dtype.itemsize:
        raise _truncated()
    flat = np.frombuffer(data, dtype, count)
    if layout.samples == 1:
        return flat.reshape(rows, columns), layout.photometric
    if layout.planar == 1:
        return np.moveaxis(flat.reshape(3, rows, columns), 0, -1), layout.photometric
    return flat.reshape(rows, columns, 3), layout.photometric


def _frame(data: bytes) -> bytes:
    from pydicom.encaps import get_frame

    try:
        frame = get_frame(data, 0, number_of_frames=1)
    except Exception:  # a damaged sequence of fragments raises anything
        raise _truncated() from None
    return bytes(frame)


def _rle(frame: bytes, layout: _Layout) -> NDArray[Any]:
    """Run-length decoding (PS3.5 Annex G) by the PackBits decoder of Pillow, which is the same code and 20x faster."""
    from PIL import Image

    size = layout.allocated // 8
    count = layout.samples * size
    if len(frame) < 64:
        raise _truncated()
    header = struct.unpack("<16I", frame[:64])
    if header[0] != count:
        raise UnusablePhotoError("unreadable", "run-length segments do not fit the samples")
    ends = [*header[2 : count + 1], len(frame)]
    planes = []
    for start, end in zip(header[1 : count + 1], ends, strict=True):
        if not 64 <= start < end <= len(frame):
            raise _truncated()
        try:
            plane = Image.frombytes("L", (layout.pixels, 1), frame[start:end], "packbits", "L")
        except ValueError:
            raise _truncated() from None
        planes.append(np.asarray(plane).reshape(layout.rows, layout.columns))
    if size == 2:  # the high byte of a sample comes first
        planes = [(planes[i].astype(np.uint16) << 8) | planes[i + 1] for i in range(0, count, 2)]
    return planes[0] if layout.samples == 1 else np.stack(planes, axis=-1)


def _jpeg(frame: bytes, layout: _Layout) -> tuple[NDArray[Any], str]:
    """Decode a JPEG frame; what is handed out is RGB, grey or palette indices.

    Which colours the stream holds is told by its Adobe marker, else by its component names, else by Photometric
    Interpretation; a stream with reduced chroma cannot be RGB, whatever the header says.
    """
    check_scans(io.BytesIO(frame), layout.columns, layout.rows)
    image = _open(frame, "JPEG", layout)
    if layout.samples == 1:
        if image.mode != "L":
            raise UnusablePhotoError("unreadable", "a colour stream under a one-sample header")
        return _load(image), layout.photometric
    if image.mode != "RGB":
        raise UnusablePhotoError("unsupported_syntax", f"a JPEG stream of mode {image.mode}")
    layer = image.layer  # type: ignore[attr-defined]  # Pillow types the base class only; a JPEG has layers
    names = [component[0] for component in layer]
    reduced = len({component[1:3] for component in layer}) > 1
    told = "adobe_transform" in image.info or names == [82, 71, 66]
    if layout.photometric == "RGB" and not told and not reduced:
        # libjpeg takes an unmarked stream for YCbCr; asking for YCbCr gives the stream's own values
        image.draft("YCbCr", image.size)
    return _load(image), "RGB"


def _jpeg2000(frame: bytes, layout: _Layout) -> tuple[NDArray[Any], str]:
    """Decode a JPEG 2000 frame. OpenJPEG undoes the stream's own colour transform, so RCT and ICT come as RGB."""
    image = _open(frame, "JPEG2000", layout)
    if layout.samples == 3:
        if image.mode != "RGB":
            raise UnusablePhotoError("unsupported_syntax", f"a JPEG 2000 stream of mode {image.mode}")
        ybr = layout.photometric in ("YBR_FULL", "YBR_FULL_422")
        return decode_deep(frame) if is_deep(frame) else _load(image), "YBR_FULL" if ybr else "RGB"
    samples = _load(image)
    if samples.ndim != 2:
        raise UnusablePhotoError("unreadable", "a colour stream under a one-sample header")
    if samples.dtype != np.uint8:  # Pillow scales to the full 16 bits
        samples = samples >> (16 - layout.stored)
    elif layout.stored < 8:
        samples = samples >> (8 - layout.stored)
    return samples, layout.photometric


def _open(frame: bytes, name: str, layout: _Layout) -> Image.Image:
    from PIL import Image, Jpeg2KImagePlugin, JpegImagePlugin  # noqa: F401

    try:
        image = Image.open(io.BytesIO(frame), formats=(name,))
    except Exception:  # Pillow's decoders raise anything on malformed headers
        raise UnusablePhotoError("unreadable", f"no {name} stream in the frame") from None
    if image.size != (layout.columns, layout.rows):
        raise UnusablePhotoError("unreadable", "the stream has another size than the header")
    return image


def _load(image: Image.Image) -> NDArray[Any]:
    load(image)
    return np.asarray(image)


def _mode(
    photometric: str, layout: _Layout, samples: NDArray[Any], dataset: Dataset
) -> tuple[str, int, tuple[str, ...]]:
    """The mode (L, RGB or YCbCr) that Pillow calls the samples by, their significant bits, and caveats."""
    bits = 8 if samples.dtype == np.uint8 and layout.stored >= 8 else layout.stored
    if photometric in ("YBR_RCT", "YBR_ICT", "YBR_FULL_422"):
        raise UnusablePhotoError("unsupported_syntax", f"{photometric} outside its compression")
    if not photometric.startswith("MONOCHROME"):
        return ("YCbCr" if photometric == "YBR_FULL" else "RGB"), bits, ()
    if value(dataset, "WindowCenter") is not None or value(dataset, "VOILUTSequence") is not None:
        raise UnusablePhotoError("unsupported_syntax", "a greyscale image with a display window")
    return "L", bits, ("greyscale",)


def _palette(dataset: Dataset) -> NDArray[np.uint8]:
    """The colour of every index of 16 bits, uint8 (65536, 3); segmented tables are unfolded by pydicom."""
    from pydicom.pixels.processing import apply_color_lut

    try:
        colours = np.asarray(apply_color_lut(np.arange(2**16, dtype=np.uint16).reshape(256, 256), dataset))
        bits = int(value(dataset, "RedPaletteColorLookupTableDescriptor")[2])
    except Exception:  # pydicom raises anything on malformed tables
        raise UnusablePhotoError("unreadable", "malformed palette") from None
    if bits not in (8, 16) or colours.shape != (256, 256, 3):
        raise UnusablePhotoError("unreadable", "malformed palette")
    table = colours.reshape(-1, 3)
    # some devices write 8-bit values into 16-bit entries: then the whole table stays below 256
    return scale_to_8_bits(table.astype(np.uint16), 8 if bits == 8 or table.max() < 256 else 16)


def _icc_profile(dataset: Dataset) -> bytes | None:
    found = value(dataset, "ICCProfile")
    if found is None:
        found = next((value(item, "ICCProfile") for item in items(dataset, "OpticalPathSequence")), None)
    return found if isinstance(found, bytes) else None


def _square(pixels: NDArray[np.uint8], aspect: float) -> NDArray[np.uint8]:
    """Stretch the coarser direction to the step of the finer one, so that no detail is lost."""
    if aspect == 1.0:
        return np.ascontiguousarray(pixels)
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
