"""Write small DICOM photos whose colours are known, in any transfer syntax and photometric interpretation."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

#: Colours that tell a swapped channel, a forgotten or a doubled conversion at once; skin and lesion among them.
COLOURS = np.array(
    [
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128),
        (222, 178, 152), (96, 58, 40), (40, 20, 60), (10, 200, 90), (250, 240, 20), (70, 130, 180),
    ],
    np.uint8,
)  # fmt: skip

#: Side of a patch; a multiple of the 16 pixels over which JPEG shares chroma.
PATCH = 16


def colour_card() -> NDArray[np.uint8]:
    """Patches of `COLOURS`, 3 rows of 4: uint8 (48, 64, 3)."""
    return np.kron(COLOURS.reshape(3, 4, 3), np.ones((PATCH, PATCH, 1), np.uint8))


def patch_means(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean colour inside each patch of a decoded card, (12, 3); its rim, where JPEG rings, left out."""
    blocks = pixels.reshape(3, PATCH, 4, PATCH, 3)[:, 4:-4, :, 4:-4]
    return blocks.mean(axis=(1, 3)).reshape(12, 3)


def ybr_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.2, YBR_FULL, computed here and not by the code under test."""
    matrix = np.array([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]])
    return (rgb @ matrix.T + [0, 128, 128]).round().clip(0, 255).astype(np.uint8)


def dataset(sop_class: str = DERMOSCOPIC, **attributes: Any) -> Dataset:
    """A photo's dataset without pixels; `attributes` are set on it, None leaves one out."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[sop_class, repr(sorted(attributes.items(), key=str))])
    ds.Modality = "DMS" if sop_class == DERMOSCOPIC else "XC"
    ds.PatientID, ds.PatientName = "MRN-7781", "Quill^Ottoline"
    ds.AcquisitionDateTime = "20240501093000"
    ds.TrackingID, ds.TrackingUID = "L1", "1.2.3.4.5.1"
    ds.BurnedInAnnotation = "NO"
    for name, value in attributes.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


def with_samples(
    ds: Dataset, samples: NDArray[Any], photometric: str, *, planar: int = 0, bits: int | None = None
) -> Dataset:
    """Set the attributes of the pixels and the pixels as they are, uncompressed."""
    ds.Rows, ds.Columns = samples.shape[:2]
    ds.SamplesPerPixel = 1 if samples.ndim == 2 else 3
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = samples.dtype.itemsize * 8
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    if samples.ndim == 3:
        ds.PlanarConfiguration = planar
        samples = np.moveaxis(samples, -1, 0) if planar else samples
    data = samples.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def with_frame(
    ds: Dataset, frame: bytes, syntax: str, photometric: str, shape: tuple[int, int], samples: int = 3
) -> Dataset:
    """Set an encapsulated frame and the attributes of its pixels."""
    with_samples(ds, np.zeros((*shape, 3) if samples == 3 else shape, np.uint8), photometric)
    ds.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    return ds


def with_palette(ds: Dataset, colours: NDArray[np.uint8], bits: int, narrow: bool = False) -> Dataset:
    """Add a palette of `colours` (N, 3): 8-bit entries, 16-bit ones, or 8-bit values in 16-bit entries (`narrow`)."""
    for channel, name in enumerate(("Red", "Green", "Blue")):
        values = colours[:, channel].astype(np.uint16)
        if bits == 16 and not narrow:
            values = values * 257
        data = values.astype("<u2" if bits == 16 else "u1").tobytes()
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [len(colours), 0, bits])
        setattr(ds, f"{name}PaletteColorLookupTableData", data)
    return ds


def file_bytes(ds: Dataset) -> bytes:
    """The dataset as the bytes of a DICOM file."""
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def jpeg_frame(rgb: NDArray[np.uint8], subsampling: str, keep_rgb: bool = False) -> bytes:
    """A JPEG stream: YCbCr with a JFIF marker, or (`keep_rgb`) RGB with an Adobe marker."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=97, subsampling=subsampling, keep_rgb=keep_rgb)
    return buffer.getvalue()


def unmarked(stream: bytes) -> bytes:
    """A JPEG stream without APPn markers and with components numbered 1, 2, 3: nothing tells its colours."""
    out, at = bytearray(stream[:2]), 2
    while True:
        marker, length = stream[at : at + 2], struct.unpack(">H", stream[at + 2 : at + 4])[0]
        segment = bytearray(stream[at : at + 2 + length])
        at += 2 + length
        if 0xE0 <= marker[1] <= 0xEF:
            continue
        if marker[1] == 0xC0:
            for component in range(3):
                segment[10 + 3 * component] = component + 1
        if marker[1] == 0xDA:
            for component in range(3):
                segment[5 + 2 * component] = component + 1
            return bytes(out + segment + stream[at:])
        out += segment


def swapped_profile() -> bytes:
    """An ICC profile like sRGB whose red and blue primaries are exchanged: to honour it is to exchange the channels."""

    def s15(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0)
    curve += b"".join(struct.pack(">i", round(v * 65536)) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    text = "swapped"
    description = (
        b"mluc\0\0\0\0" + struct.pack(">IIHHII", 1, 12, 0x656E, 0x5553, 2 * len(text), 28) + text.encode("utf-16-be")
    )
    red, green, blue = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    tags = {
        b"desc": description, b"cprt": description, b"wtpt": s15(0.9642, 1.0, 0.8249),
        b"rXYZ": s15(*blue), b"gXYZ": s15(*green), b"bXYZ": s15(*red), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head + b"\0" * (128 - len(head)) + table + body
