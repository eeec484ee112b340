"""Maker A's files: DICOM of several SOP classes, transfer syntaxes and colour models, as dciodvfy accepts them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from longderm.simulate.colour_profiles import icc_profile, to_display_p3
from longderm.simulate.records import ISSUER, PhotoRecord, number_of, uid_of
from longderm.simulate.rle import rle_frame
from longderm.simulate.sites import SITES, WHOLE_BODY

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

#: Our implementation, in the file meta information.
IMPLEMENTATION_UID = UID(uid_of("implementation", "longderm simulate"))


@dataclass(frozen=True)
class Encoding:
    """How pixels are stored: `name` of the encoding and its share among dermoscopic photos."""

    name: str
    share: float


ENCODINGS = (
    Encoding("jpeg", 0.54),
    Encoding("jpeg2000_lossy", 0.16),
    Encoding("jpeg2000_lossless", 0.1),
    Encoding("rle", 0.08),
    Encoding("raw", 0.08),
    Encoding("palette", 0.04),  # as a Secondary Capture; the visible light classes know no palette
)


def choose_encoding(record: PhotoRecord) -> str:
    """The encoding of a photo, by its key."""
    at = number_of(*record.key, "encoding") % 10_000 / 10_000
    for encoding in ENCODINGS:
        at -= encoding.share
        if at < 0:
            return encoding.name
    return ENCODINGS[0].name


def choose_profile(record: PhotoRecord) -> str:
    """The colour profile of a photo's pixels: one model has a wide gamut sensor and writes some photos as it sees."""
    wide = record.device.model.endswith("300") and number_of(*record.key, "profile") % 6 == 0
    return "Display P3" if wide else "sRGB"


def dicom_bytes(record: PhotoRecord, pixels: NDArray[np.uint8], encoding: str, quality: int = 90) -> bytes:
    """One photo as a DICOM file: `pixels` uint8 (H, W, 3) sRGB, `encoding` the name of one of `ENCODINGS`."""
    dataset = describe(record, encoding)
    profile = choose_profile(record)
    if profile != "sRGB":
        pixels = to_display_p3(pixels)
    store_pixels(dataset, pixels, encoding, quality, profile)
    return to_bytes(dataset)


def to_bytes(dataset: Dataset) -> bytes:
    """Write a dataset that carries its file meta information."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def describe(record: PhotoRecord, encoding: str) -> Dataset:
    """Everything of a photo's dataset but the pixels."""
    sop_class = _sop_class(record, encoding)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.SOPClassUID = UID(sop_class)
    ds.SOPInstanceUID = uid_of(*record.key, "sop")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    ds.file_meta.ImplementationVersionName = "LONGDERM_SIM"
    ds.SpecificCharacterSet = "ISO_IR 192"
    _describe_patient(ds, record, sop_class)
    _describe_acquisition(ds, record, sop_class)
    if sop_class == DERMOSCOPIC:
        _describe_dermoscopy(ds, record)
    if sop_class == SECONDARY_CAPTURE:
        ds.ConversionType = "DV"
    if record.tracking_uid is not None:
        ds.TrackingID = record.lesion
        ds.TrackingUID = record.tracking_uid
    return ds


def _sop_class(record: PhotoRecord, encoding: str) -> str:
    if encoding == "palette":
        return SECONDARY_CAPTURE
    if record.modality == "dermoscopic":
        # The first model predates the dermoscopy class and sends a third of its photos as VL Photographic.
        legacy = record.device.model.endswith("200") and number_of(*record.key, "legacy") % 3 == 0
        return VL_PHOTOGRAPHIC if legacy else DERMOSCOPIC
    return VL_PHOTOGRAPHIC


def _describe_patient(ds: Dataset, record: PhotoRecord, sop_class: str) -> None:
    person = record.person
    ds.PatientName = person.name
    ds.PatientID = person.source_id
    ds.IssuerOfPatientID = ISSUER
    ds.PatientBirthDate = f"{person.birth_year}0{number_of(person.source_id) % 9 + 1}17"
    ds.PatientSex = {"male": "M", "female": "F"}[person.sex]
    ds.PatientAge = f"{record.day.year - person.birth_year:03d}Y"
    ds.StudyInstanceUID = uid_of(*record.visit_key, "study")
    ds.SeriesInstanceUID = uid_of(*record.visit_key, "series", record.modality, sop_class)
    day = f"{record.day:%Y%m%d}"
    clock = f"{8 + number_of(*record.visit_key) % 9:02d}{number_of(*record.key, 'clock') % 60:02d}00"
    ds.StudyDate, ds.StudyTime = day, clock
    ds.ContentDate, ds.ContentTime = day, clock
    ds.AcquisitionDateTime = day + clock
    ds.StudyID = str(number_of(*record.visit_key, "study id") % 10**8)
    ds.AccessionNumber = str(number_of(*record.visit_key, "accession") % 10**8)
    ds.ReferringPhysicianName = "Peverell^Honoria"
    ds.SeriesNumber = 1 + ("dermoscopic", "clinical", "total_body", "tbp_tile").index(record.modality)
    ds.InstanceNumber = 1 + number_of(*record.key, "instance") % 900


def _describe_acquisition(ds: Dataset, record: PhotoRecord, sop_class: str) -> None:
    device = record.device
    # Only the dermoscopy class may say DMS; elsewhere the series description tells.
    ds.Modality = "DMS" if sop_class == DERMOSCOPIC else "XC"
    ds.SeriesDescription = {
        "dermoscopic": "Dermoscopy",
        "clinical": "Close-up",
        "total_body": "Total body overview",
    }.get(record.modality, record.modality)
    ds.Manufacturer = device.manufacturer
    ds.ManufacturerModelName = device.model
    ds.DeviceSerialNumber = str(number_of(device.model) % 10**6)
    ds.SoftwareVersions = "4.1"
    ds.BurnedInAnnotation = "NO"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.AcquisitionContextSequence = []
    site = WHOLE_BODY if record.site is None else SITES[record.site]
    ds.BodyPartExamined = site.body_part
    ds.AnatomicRegionSequence = [code_item(site.code, "SCT", site.meaning)]
    ds.PatientOrientation = ""
    if sop_class != SECONDARY_CAPTURE:
        ds.ImageLaterality = record.laterality or "U"
    elif record.laterality is not None:
        ds.Laterality = record.laterality
    if record.px_per_mm_stated is not None:
        spacing = f"{1 / record.px_per_mm_stated:.7g}"
        ds.PixelSpacing = [spacing, spacing]


def _describe_dermoscopy(ds: Dataset, record: PhotoRecord) -> None:
    device = record.device
    ds.FrameOfReferenceUID = uid_of(*record.key, "frame")
    ds.PositionReferenceIndicator = ""
    ds.RecognizableVisualFeatures = "NO"
    ds.LightSourcePolarization = "POLARIZED" if device.polarised else "NON_POLARIZED"
    ds.EmitterColorTemperature = 5600.0
    ds.ContactMethod = "CONTACT" if device.contact else "NON_CONTACT"
    if device.contact:
        ds.ImmersionMedia = "ULTRASOUND_GEL"
    ds.OpticalMagnificationFactor = device.magnification


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """A code sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def store_pixels(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int, profile: str = "sRGB") -> None:
    """Put pixels (H, W, 3), in the colours of `profile`, into a dataset with every attribute that describes them."""
    height, width = pixels.shape[:2]
    ds.Rows, ds.Columns = height, width
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.SamplesPerPixel = 3
    ds.PlanarConfiguration = 0
    ds.LossyImageCompression = "00"
    ds.ICCProfile = icc_profile(profile)
    if profile == "sRGB":
        ds.ColorSpace = "SRGB"
    elif "ColorSpace" in ds:
        del ds.ColorSpace
    store: dict[str, Any] = {
        "raw": _store_raw,
        "palette": _store_palette,
        "rle": _store_rle,
        "jpeg": _store_jpeg,
        "jpeg2000_lossless": _store_jpeg2000,
        "jpeg2000_lossy": _store_jpeg2000,
    }
    store[encoding](ds, pixels, encoding, quality)
    ds["PixelData"].VR = "OB"


def _store_raw(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int) -> None:
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PhotometricInterpretation = "RGB"
    ds.PixelData = _even(pixels.tobytes())


def _store_palette(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int) -> None:
    from PIL import Image

    # One entry stays free for white: validators take a table whose values never reach the upper half for a wrong depth.
    indexed = Image.fromarray(pixels).quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    table = np.zeros((256, 3), np.uint16)
    colours = np.array(indexed.getpalette(), np.uint16).reshape(-1, 3)
    table[: len(colours)] = colours * 257
    table[255] = 65535
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PhotometricInterpretation = "PALETTE COLOR"
    ds.SamplesPerPixel = 1
    del ds.PlanarConfiguration
    for i, name in enumerate(("Red", "Green", "Blue")):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", table[:, i].astype("<u2").tobytes())
    ds.PixelData = _even(np.asarray(indexed, np.uint8).tobytes())


def _store_rle(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int) -> None:
    _encapsulate(ds, rle_frame(pixels), RLELossless, "RGB", pixels.nbytes, None)


def _store_jpeg(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:2")
    _encapsulate(ds, buffer.getvalue(), JPEGBaseline8Bit, "YBR_FULL_422", pixels.nbytes, "ISO_10918_1")


def _store_jpeg2000(ds: Dataset, pixels: NDArray[np.uint8], encoding: str, quality: int) -> None:
    from openjpeg.utils import encode_array

    if encoding == "jpeg2000_lossless":
        stream = encode_array(pixels, photometric_interpretation=1, use_mct=True)
        _encapsulate(ds, stream, JPEG2000Lossless, "YBR_RCT", pixels.nbytes, None)
        return
    stream = encode_array(pixels, photometric_interpretation=1, use_mct=True, compression_ratios=[14])
    _encapsulate(ds, stream, JPEG2000, "YBR_ICT", pixels.nbytes, "ISO_15444_1")


def _encapsulate(ds: Dataset, stream: bytes, syntax: str, photometric: str, raw_size: int, lossy: str | None) -> None:
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.PhotometricInterpretation = photometric
    ds.PixelData = encapsulate([_even(stream)])
    ds["PixelData"].is_undefined_length = True
    if lossy is not None:
        ds.LossyImageCompression = "01"
        ds.LossyImageCompressionRatio = f"{raw_size / len(stream):.4g}"
        ds.LossyImageCompressionMethod = lossy


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
