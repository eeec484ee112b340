"""One file of each defect that archives have, added beside the sound files; the truth says what must become of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEGLSLossless

from longderm.simulate.archive import PatientOutcome
from longderm.simulate.dicom_files import store_pixels, to_bytes
from longderm.simulate.plans import AS_OF
from longderm.simulate.records import number_of, uid_of

MULTI_FRAME_TRUE_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"

#: Of a truncated file this much is left: the header and part of the picture.
TRUNCATED_SHARE = 0.55

#: Which (source patient, source lesion) hosts a defect, where it matters; None: any.
Hosts = dict[str, tuple[str, str]]

Row = dict[str, Any]


def add_defects(out: Path, outcome: PatientOutcome, seed: int, hosts: Hosts | None = None) -> None:
    """Add the defects to an archive just written, and their rows to `outcome`.

    Each derives from a sound dermoscopic photo of the archive (its host); kinds that need a maker the archive does not
    have are left out. A host is the first photo of the lesion that `hosts` names for the defect, else of any lesion.
    """
    adder = _Adder(out, outcome, seed, hosts or {})
    for name, add in _FOLDER_DEFECTS.items():
        adder.run(name, "b", add)
    for name, add in _DICOM_DEFECTS.items():
        adder.run(name, "a", add)
    (out / "notes.txt").write_text("Copied from the clinic's share. Folder names follow the devices' export.\n")


class _Adder:
    def __init__(self, out: Path, outcome: PatientOutcome, seed: int, hosts: Hosts) -> None:
        self.out, self.outcome, self.seed, self.hosts = out, outcome, seed, hosts
        self.used: set[str] = set()

    def run(self, name: str, maker: str, add: Callable[[_Adder, str, Row], None]) -> None:
        wanted = self.hosts.get(name)
        kind = {"a": ("jpeg", "jpeg2000_lossy", "jpeg2000_lossless"), "b": ("jpg",)}[maker]
        hosts = [
            row
            for row in self.outcome.photos
            if row["maker"] == maker
            and row["modality"] == "dermoscopic"
            and row["defect"] is None
            and row["encoding"] in kind
            and row["expected_status"] == "photo"
            and wanted in (None, (row["patient_id"], row["lesion_id"]))
        ]
        hosts.sort(key=lambda row: (row["date"], row["path"]))
        fresh = [row for row in hosts if row["path"] not in self.used] or hosts
        if fresh:
            self.used.add(fresh[0]["path"])
            add(self, name, fresh[0])

    def note(self, name: str, host: Row, path: str, status: str, reason: str | None, **other: Any) -> None:
        row = {**host, "path": path, "mask_path": None, "defect": name, **other}
        self.outcome.photos.append({**row, "expected_status": status, "expected_reason": reason})

    def add_photo(self, name: str, host: Row, data: bytes, status: str, reason: str | None, **cells: str) -> None:
        """A further file of maker B: its metadata row is the host's with other `cells`."""
        stem = f"{number_of(self.seed, 'defect', name) % 10**10:010d}"
        (self.out / "photos" / f"{stem}.jpg").write_bytes(data)
        source = Path(host["path"]).stem
        metadata = next(row for row in self.outcome.metadata if row["isic_id"] == source)
        self.outcome.metadata.append({**metadata, "isic_id": stem, **cells})
        known: dict[str, Any] = {}
        if "acquisition_date" in cells:
            stated = cells["acquisition_date"]
            known["date"] = date.fromisoformat(stated) if stated else None
        if cells.get("patient_id") == "":
            known["patient_id"] = None
        self.note(name, host, f"photos/{stem}.jpg", status, reason, encoding="jpg", exif_orientation=1, **known)

    def add_dicom(
        self, name: str, host: Row, ds: pydicom.Dataset, status: str, reason: str | None, **other: Any
    ) -> None:
        """A further file of maker A."""
        number = number_of(self.seed, "defect", name)
        path = f"dicom/{number % 256:02x}/{number >> 8 & 0xFFFFFF:06x}/{number >> 32:08d}.dcm"
        ds.SOPInstanceUID = uid_of(self.seed, "defect", name)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        (self.out / path).parent.mkdir(parents=True, exist_ok=True)
        (self.out / path).write_bytes(to_bytes(ds))
        self.note(name, host, path, status, reason, **other)

    def bytes_of(self, host: Row) -> bytes:
        return Path(self.out, host["path"]).read_bytes()

    def dataset(self, host: Row) -> pydicom.Dataset:
        return pydicom.dcmread(self.out / host["path"])


def _resaved(adder: _Adder, host: Row, quality: int) -> bytes:
    """The host's picture upright in a new JPEG without EXIF, so that neither bytes nor dates are the host's."""
    from PIL import ImageOps

    with Image.open(io.BytesIO(adder.bytes_of(host))) as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _truncated(adder: _Adder, name: str, host: Row) -> None:
    data = adder.bytes_of(host)
    adder.add_photo(name, host, data[: int(TRUNCATED_SHARE * len(data))], "quarantine", "truncated")


def _text(adder: _Adder, name: str, host: Row) -> None:
    text = b"Placeholder: the picture was moved to the new share, see the ticket.\n" * 12
    adder.add_photo(name, host, text, "quarantine", "not_an_image")


def _no_date(adder: _Adder, name: str, host: Row) -> None:
    adder.add_photo(name, host, _resaved(adder, host, 81), "quarantine", "no_date", acquisition_date="")


def _no_patient(adder: _Adder, name: str, host: Row) -> None:
    adder.add_photo(name, host, _resaved(adder, host, 82), "quarantine", "no_patient", patient_id="")


def _future(adder: _Adder, name: str, host: Row) -> None:
    adder.add_photo(name, host, _resaved(adder, host, 83), "quarantine", "future_date", acquisition_date="2099-01-01")


def _duplicate(adder: _Adder, name: str, host: Row) -> None:
    adder.add_photo(name, host, adder.bytes_of(host), "duplicate", None)


def _burnt_in(adder: _Adder, name: str, host: Row) -> None:
    ds = adder.dataset(host)
    pixels = np.ascontiguousarray(ds.pixel_array)
    label = f"{ds.PatientID} {str(ds.PatientName).replace('^', ' ')}"
    cv2.putText(pixels, label, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 0), 1, cv2.LINE_AA)
    store_pixels(ds, pixels, "jpeg", 88)
    ds.BurnedInAnnotation = "YES"
    adder.add_dicom(name, host, ds, "quarantine", "burned_in_annotation", encoding="jpeg")


def _multi_frame(adder: _Adder, name: str, host: Row) -> None:
    """Two frames in a Multi-frame True Color Secondary Capture."""
    ds = adder.dataset(host)
    pixels = ds.pixel_array
    smaller = [np.ascontiguousarray(frame[::4, ::4]) for frame in (pixels, pixels[:, ::-1])]
    dermoscopy = ("RecognizableVisualFeatures", "LightSourcePolarization", "EmitterColorTemperature", "ContactMethod")
    for attribute in (*dermoscopy, "ImmersionMedia", "OpticalMagnificationFactor", "FrameOfReferenceUID"):
        if attribute in ds:
            delattr(ds, attribute)
    for attribute in ("PositionReferenceIndicator", "ImageLaterality", "AcquisitionContextSequence", "PixelSpacing"):
        if attribute in ds:
            delattr(ds, attribute)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(MULTI_FRAME_TRUE_COLOUR)
    ds.SeriesInstanceUID = uid_of(adder.seed, "defect", name, "series")
    ds.Modality, ds.ConversionType = "XC", "DV"
    store_pixels(ds, smaller[0], "raw", 0)
    ds.PixelData = b"".join(frame.tobytes() for frame in smaller)
    ds.NumberOfFrames = 2
    ds.FrameIncrementPointer = 0x00181063
    ds.FrameTime = "500"
    ds.BurnedInAnnotation = "NO"
    adder.add_dicom(name, host, ds, "quarantine", "multi_frame", encoding="raw")


def _jpeg_ls(adder: _Adder, name: str, host: Row) -> None:
    """JPEG-LS, which is not read here: a valid stream of a black picture."""
    ds = adder.dataset(host)
    height, width = 480, 640
    store_pixels(ds, np.zeros((height, width, 3), np.uint8), "raw", 0)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    for attribute in ("PlanarConfiguration", "ICCProfile", "ColorSpace"):
        delattr(ds, attribute)
    if "LossyImageCompressionRatio" in ds:
        del ds.LossyImageCompressionRatio, ds.LossyImageCompressionMethod
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless
    ds.PixelData = encapsulate([black_jpeg_ls(height, width)])
    ds["PixelData"].is_undefined_length = True
    adder.add_dicom(name, host, ds, "quarantine", "unsupported_syntax", encoding="jpeg_ls")


def _same_pixels(adder: _Adder, name: str, host: Row) -> None:
    """The host's very pixels filed under another day and UID."""
    ds = adder.dataset(host)
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    day = host["date"] + timedelta(days=211)
    day = day if day < AS_OF else host["date"] - timedelta(days=211)
    _redate(ds, day, adder.seed, name)
    adder.add_dicom(name, host, ds, "photo", None, date=day)


def _shared_uid(adder: _Adder, name: str, host: Row) -> None:
    """Another patient's photo under the host lesion's Tracking UID: neither patient's can be trusted."""
    ds = adder.dataset(host)
    pixels = ds.pixel_array[:, ::-1]
    ds.PatientID = f"H{number_of(adder.seed, 'defect', name, 'patient') % 10**7:07d}"
    ds.PatientName, ds.PatientSex, ds.PatientBirthDate = "Oxlethorpe^Ignatia", "F", "19610417"
    store_pixels(ds, np.ascontiguousarray(pixels), "jpeg", 86)
    _redate(ds, host["date"], adder.seed, name)
    lesion = (host["patient_id"], host["lesion_id"])
    reason = "two_patients_for_lesion"
    adder.add_dicom(name, host, ds, "quarantine", reason, encoding="jpeg", patient_id=ds.PatientID)
    for row in adder.outcome.photos:
        if (row["patient_id"], row["lesion_id"]) == lesion and row["expected_status"] == "photo":
            row["expected_status"], row["expected_reason"] = "quarantine", reason


def _redate(ds: pydicom.Dataset, day: date, seed: int, name: str) -> None:
    text = f"{day:%Y%m%d}"
    ds.StudyDate = ds.ContentDate = text
    ds.AcquisitionDateTime = text + ds.ContentTime
    for attribute in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        if attribute in ds:
            setattr(ds, attribute, uid_of(seed, "defect", name, attribute))


def black_jpeg_ls(height: int, width: int) -> bytes:
    """A JPEG-LS stream (ISO 14495-1, lossless, 8 bit, one component) of a black picture: run mode from end to end."""
    lengths = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    index, ones = 0, 0
    for _ in range(height):
        left = width
        while left >= 1 << lengths[index]:
            left -= 1 << lengths[index]
            ones += 1
            index = min(31, index + 1)
        ones += left > 0
    scan, byte, room = bytearray(), 0, 8
    for _ in range(ones):
        room -= 1
        byte |= 1 << room
        if room == 0:
            scan.append(byte)
            # After a byte of ones a zero bit is stuffed.
            byte, room = 0, 7 if byte == 0xFF else 8
    scan.append(byte)
    frame = bytes((8, *height.to_bytes(2), *width.to_bytes(2), 1, 1, 0x11, 0))
    head = b"\xff\xd8\xff\xf7" + (len(frame) + 2).to_bytes(2) + frame
    start = bytes((1, 1, 0, 0, 0, 0))
    return head + b"\xff\xda" + (len(start) + 2).to_bytes(2) + start + bytes(scan) + b"\xff\xd9"


_FOLDER_DEFECTS: dict[str, Callable[[_Adder, str, Row], None]] = {
    "truncated": _truncated,
    "text_as_image": _text,
    "no_date": _no_date,
    "no_patient": _no_patient,
    "future_date": _future,
    "duplicate": _duplicate,
}

_DICOM_DEFECTS: dict[str, Callable[[_Adder, str, Row], None]] = {
    "burnt_in_annotation": _burnt_in,
    "multi_frame": _multi_frame,
    "unsupported_syntax": _jpeg_ls,
    "same_pixels_other_day": _same_pixels,
    "shared_tracking_uid": _shared_uid,
}
