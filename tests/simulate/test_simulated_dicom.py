"""Maker A's files are DICOM that a validator accepts, in every encoding, with the pixels that were rendered."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections import Counter
from datetime import date

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import apply_color_lut
from pydicom.pixels.decoders import RLELosslessDecoder

from longderm.simulate.colour_profiles import icc_profile, to_display_p3
from longderm.simulate.devices import DERMATOSCOPES
from longderm.simulate.dicom_files import DERMOSCOPIC, ENCODINGS, SECONDARY_CAPTURE, VL_PHOTOGRAPHIC, dicom_bytes
from longderm.simulate.plans import draw_patient
from longderm.simulate.records import PhotoRecord, person_of
from longderm.simulate.rle import rle_frame


def record(key: int = 0, device: int = 1, modality: str = "dermoscopic") -> PhotoRecord:
    return PhotoRecord(
        person=person_of(draw_patient(1, 1)),
        lesion="L01",
        tracking_uid="2.25.77",
        site="thigh",
        laterality="L",
        day=date(2024, 2, 29),
        modality=modality,
        device=DERMATOSCOPES[device],
        px_per_mm_stated=37.5,
        key=("test", key),
        visit_key=("test", 0),
    )


def picture() -> np.ndarray:
    y, x = np.mgrid[0:90, 0:120]
    return np.stack([120 + x // 2, 90 + y // 2, 60 + (x + y) // 4], axis=2).astype(np.uint8)


def validate(paths) -> list[str]:
    """Every line of dciodvfy that begins with Error, over many files."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools), so no file was validated")
    errors = []
    for path in paths:
        done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
        assert "Image" in done.stderr, "the validator did not name the kind of object"
        errors += [f"{path.name}: {line}" for line in done.stderr.splitlines() if line.startswith("Error")]
    return errors


def test_dciodvfy_finds_no_error_in_a_simulated_archive(simulated):
    paths = sorted((simulated.folder / "dicom").rglob("*.dcm"))
    assert len(paths) > 10
    assert validate(paths) == []


def test_dciodvfy_finds_no_error_in_the_sample(sample):
    assert validate(sorted((sample.folder / "dicom").rglob("*.dcm"))) == []


@pytest.mark.parametrize("encoding", [encoding.name for encoding in ENCODINGS])
@pytest.mark.parametrize("key", [0, 1, 2])
def test_dciodvfy_finds_no_error_in_any_encoding(tmp_path, encoding, key):
    path = tmp_path / "photo.dcm"
    path.write_bytes(dicom_bytes(record(key, device=0), picture(), encoding))
    assert validate([path]) == []


@pytest.mark.parametrize(
    ("encoding", "syntax", "photometric", "tolerance"),
    [
        ("raw", "1.2.840.10008.1.2.1", "RGB", 0),
        ("rle", "1.2.840.10008.1.2.5", "RGB", 0),
        ("jpeg", "1.2.840.10008.1.2.4.50", "YBR_FULL_422", 3),
        ("jpeg2000_lossless", "1.2.840.10008.1.2.4.90", "YBR_RCT", 0),
        ("jpeg2000_lossy", "1.2.840.10008.1.2.4.91", "YBR_ICT", 3),
        ("palette", "1.2.840.10008.1.2.1", "PALETTE COLOR", 6),
    ],
)
def test_every_encoding_holds_the_pixels(encoding, syntax, photometric, tolerance):
    ds = pydicom.dcmread(io.BytesIO(dicom_bytes(record(), picture(), encoding, quality=95)))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert ds.PhotometricInterpretation == photometric
    pixels = ds.pixel_array
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, ds) >> 8
    assert np.abs(pixels.astype(int) - picture()).mean() <= tolerance


def test_the_header_says_what_is_known():
    ds = pydicom.dcmread(io.BytesIO(dicom_bytes(record(), picture(), "jpeg")))
    assert ds.SOPClassUID == DERMOSCOPIC
    assert (ds.TrackingID, ds.TrackingUID) == ("L01", "2.25.77")
    assert ds.AnatomicRegionSequence[0].CodeValue == "68367000"
    assert ds.AnatomicRegionSequence[0].CodingSchemeDesignator == "SCT"
    assert ds.ImageLaterality == "L"
    assert float(ds.PixelSpacing[0]) == pytest.approx(1 / 37.5)
    assert ds.BurnedInAnnotation == "NO"
    assert ds.ContentDate == ds.StudyDate == "20240229"
    assert ds.AcquisitionDateTime.startswith("20240229")
    assert ds.LightSourcePolarization == "POLARIZED"
    assert ds.ICCProfile


def test_an_archive_mixes_classes_and_encodings(simulated):
    classes, encodings = Counter(), Counter()
    for row in simulated.photos:
        if row["maker"] == "a" and row["defect"] is None:
            ds = pydicom.dcmread(simulated.folder / row["path"], stop_before_pixels=True)
            classes[str(ds.SOPClassUID)] += 1
            encodings[row["encoding"]] += 1
    assert {DERMOSCOPIC, VL_PHOTOGRAPHIC} <= set(classes) <= {DERMOSCOPIC, VL_PHOTOGRAPHIC, SECONDARY_CAPTURE}
    assert classes.most_common(1)[0][0] == DERMOSCOPIC
    assert len(encodings) >= 4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 400), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_run_lengths_survive_pydicoms_decoder(height, width, levels, seed):
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, 3)).astype(np.uint8)
    pixels[:, : width // 2] = 7
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PlanarConfiguration = height, width, 3, 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PhotometricInterpretation = "RGB"
    ds.PixelData = pydicom.encaps.encapsulate([rle_frame(pixels)])
    decoded, _ = RLELosslessDecoder.as_array(ds)
    assert np.array_equal(decoded, pixels)


def test_colour_profiles_are_read_as_what_they_are():
    from PIL import Image, ImageCms

    srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile("sRGB")))
    wide = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile("Display P3")))
    red = Image.new("RGB", (2, 2), (200, 60, 50))
    same = ImageCms.profileToProfile(red, srgb, ImageCms.createProfile("sRGB"))
    other = ImageCms.profileToProfile(red, wide, ImageCms.createProfile("sRGB"))
    stored = Image.fromarray(to_display_p3(np.asarray(red)))
    back = ImageCms.profileToProfile(stored, wide, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(back, int) - np.asarray(red, int)).max() <= 1
    assert np.abs(np.asarray(stored, int) - np.asarray(red, int)).max() > 5
    assert np.abs(np.asarray(same, int) - np.asarray(red, int)).max() <= 1
    assert np.asarray(other)[0, 0, 0] > 205
