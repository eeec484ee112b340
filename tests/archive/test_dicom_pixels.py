"""Golden pixels: known colours come out of every transfer syntax and photometric interpretation, converted once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_writer import (
    COLOURS,
    PATCH,
    SECONDARY_CAPTURE,
    VL_PHOTOGRAPHIC,
    colour_card,
    dataset,
    file_bytes,
    jpeg_frame,
    patch_means,
    swapped_profile,
    unmarked,
    with_frame,
    with_palette,
    with_samples,
    ybr_of,
)
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ImplicitVRLittleEndian

from longderm.archive import read_photo
from longderm.errors import UnusablePhotoError

CARD = colour_card()
SHAPE = CARD.shape[:2]
INDICES = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((PATCH, PATCH), np.uint8))
GREY = CARD[..., 1].copy()

RLE, JPEG, JPEG2000_LOSSLESS, JPEG2000 = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
)


def rle(samples: NDArray[np.generic], photometric: str, bits: int | None = None) -> Dataset:
    ds = with_samples(dataset(), samples, photometric, bits=bits)
    ds.compress(RLE, encoding_plugin="pydicom")
    return ds


def sixteen_bits(bits: int) -> NDArray[np.uint16]:
    return np.round(CARD.astype(float) / 255 * (2**bits - 1)).astype(np.uint16)


def implicit(ds: Dataset) -> Dataset:
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def planes_422() -> Dataset:
    """Uncompressed YBR_FULL_422: Y0 Y1 Cb Cr for every two pixels (PS3.3 C.7.6.3.1.2)."""
    ybr = ybr_of(CARD)
    quads = np.stack([ybr[:, 0::2, 0], ybr[:, 1::2, 0], ybr[:, 0::2, 1], ybr[:, 0::2, 2]], axis=-1)
    ds = with_samples(dataset(), ybr, "YBR_FULL_422")
    ds.PixelData = quads.tobytes()
    return ds


def palette(bits: int, narrow: bool = False, compress: bool = False) -> Dataset:
    ds = with_palette(with_samples(dataset(SECONDARY_CAPTURE), INDICES, "PALETTE COLOR"), COLOURS, bits, narrow)
    if compress:
        ds.compress(RLE, encoding_plugin="pydicom")
    return ds


def jpeg(photometric: str, stream: bytes) -> Dataset:
    return with_frame(dataset(), stream, JPEG, photometric, SHAPE)


def j2k(photometric: str, samples: NDArray[np.uint8], mct: bool, ratio: float | None = None) -> Dataset:
    options = {"compression_ratios": [ratio]} if ratio else {}
    stream = encode_array(samples, photometric_interpretation=1 if mct else 0, use_mct=mct, **options)
    return with_frame(dataset(), stream, JPEG2000 if ratio else JPEG2000_LOSSLESS, photometric, SHAPE)


#: name -> (file, largest difference of a patch's mean colour in levels)
GOLDEN = {
    "native RGB": (lambda: with_samples(dataset(), CARD, "RGB"), 0),
    "native RGB, by plane": (lambda: with_samples(dataset(), CARD, "RGB", planar=1), 0),
    "native RGB, implicit VR": (lambda: implicit(with_samples(dataset(), CARD, "RGB")), 0),
    "native RGB of 12 in 16 bits": (lambda: with_samples(dataset(), sixteen_bits(12), "RGB", bits=12), 0),
    "native RGB of 16 bits": (lambda: with_samples(dataset(), sixteen_bits(16), "RGB"), 0),
    "native YBR_FULL": (lambda: with_samples(dataset(), ybr_of(CARD), "YBR_FULL"), 2),
    "native YBR_FULL, by plane": (lambda: with_samples(dataset(), ybr_of(CARD), "YBR_FULL", planar=1), 2),
    "native YBR_FULL_422": (planes_422, 2),
    "native palette of 8 bits": (lambda: palette(8), 0),
    "native palette of 16 bits": (lambda: palette(16), 0),
    "native palette of 8 in 16 bits": (lambda: palette(16, narrow=True), 0),
    "RLE RGB": (lambda: rle(CARD, "RGB"), 0),
    "RLE YBR_FULL": (lambda: rle(ybr_of(CARD), "YBR_FULL"), 2),
    "RLE RGB of 16 bits": (lambda: rle(sixteen_bits(16), "RGB"), 0),
    "RLE palette": (lambda: palette(8, compress=True), 0),
    "JPEG YBR_FULL_422": (lambda: jpeg("YBR_FULL_422", jpeg_frame(CARD, "4:2:2")), 3),
    "JPEG YBR_FULL": (lambda: jpeg("YBR_FULL", jpeg_frame(CARD, "4:4:4")), 3),
    "JPEG YBR_FULL_422 without markers": (lambda: jpeg("YBR_FULL_422", unmarked(jpeg_frame(CARD, "4:2:2"))), 3),
    "JPEG RGB, marked by Adobe": (lambda: jpeg("RGB", jpeg_frame(CARD, "4:4:4", keep_rgb=True)), 3),
    "JPEG RGB without markers": (lambda: jpeg("RGB", unmarked(jpeg_frame(CARD, "4:4:4", keep_rgb=True))), 3),
    "JPEG 4:2:0 that its header calls RGB": (lambda: jpeg("RGB", jpeg_frame(CARD, "4:2:0")), 3),
    "JPEG RGB by Adobe that its header calls YBR": (
        lambda: jpeg("YBR_FULL_422", jpeg_frame(CARD, "4:4:4", keep_rgb=True)),
        3,
    ),
    "JPEG 2000 lossless YBR_RCT": (lambda: j2k("YBR_RCT", CARD, mct=True), 0),
    "JPEG 2000 lossless RGB": (lambda: j2k("RGB", CARD, mct=False), 0),
    "JPEG 2000 lossless YBR_FULL": (lambda: j2k("YBR_FULL", ybr_of(CARD), mct=False), 2),
    "JPEG 2000 lossy YBR_ICT": (lambda: j2k("YBR_ICT", CARD, mct=True, ratio=3), 3),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_known_colours_come_out(name: str, tmp_path: Path) -> None:
    make, tolerance = GOLDEN[name]
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(make()))
    pixels = read_photo(path).pixels
    assert pixels.shape == CARD.shape and pixels.dtype == np.uint8
    assert np.abs(patch_means(pixels) - COLOURS).max() <= tolerance
    if tolerance == 0:
        assert np.array_equal(pixels, CARD)


#: Where the header is right and the samples have 8 bits, pydicom's own handlers are the oracle.
ORACLE = [name for name in GOLDEN if not any(word in name for word in ("palette", "16 bits", "calls", "without"))]


@pytest.mark.parametrize("name", ORACLE)
def test_pydicom_decodes_the_same_pixels(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(GOLDEN[name][0]()))
    oracle = dcmread(path).pixel_array
    assert np.abs(read_photo(path).pixels.astype(int) - oracle).max() <= 2


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize("options", [["+cy"], ["+cr"], ["+cy", "+s4"], ["+cy", "+s2"]])
def test_files_of_another_encoder_come_out(options: list[str], tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(file_bytes(with_samples(dataset(VL_PHOTOGRAPHIC), CARD, "RGB")))
    subprocess.run(["dcmcjpeg", "+eb", "+q", "98", *options, plain, packed], check=True, capture_output=True)
    assert np.abs(patch_means(read_photo(packed).pixels) - COLOURS).max() <= 4


@pytest.mark.skipif(shutil.which("dcmcrle") is None, reason="dcmtk is not installed")
def test_run_lengths_of_another_encoder_come_out(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 4, (61, 47, 3), np.uint8) * 60
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(file_bytes(with_samples(dataset(VL_PHOTOGRAPHIC), noise, "RGB")))
    subprocess.run(["dcmcrle", plain, packed], check=True, capture_output=True)
    assert np.array_equal(read_photo(packed).pixels, noise)


def test_a_colour_profile_is_honoured_once(tmp_path: Path) -> None:
    path = tmp_path / "photo.dcm"
    for ds in (with_samples(dataset(), CARD, "RGB"), jpeg("YBR_FULL", jpeg_frame(CARD, "4:4:4"))):
        ds.ICCProfile = swapped_profile()
        path.write_bytes(file_bytes(ds))
        assert np.abs(patch_means(read_photo(path).pixels) - COLOURS[:, ::-1]).max() <= 3


def test_a_profile_in_the_optical_path_is_honoured(tmp_path: Path) -> None:
    ds = with_samples(dataset(), CARD, "RGB")
    item = Dataset()
    item.ICCProfile = swapped_profile()
    ds.OpticalPathSequence = [item]
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(ds))
    assert np.abs(patch_means(read_photo(path).pixels) - COLOURS[:, ::-1]).max() <= 2


def test_a_damaged_profile_is_told(tmp_path: Path) -> None:
    ds = with_samples(dataset(), CARD, "RGB")
    ds.ICCProfile = swapped_profile()[:200]
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(ds))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, CARD)
    assert "icc_profile_unusable" in photo.meta.caveats


@pytest.mark.parametrize(("photometric", "expected"), [("MONOCHROME2", GREY), ("MONOCHROME1", 255 - GREY)])
def test_a_grey_photo_is_converted_and_told(photometric: str, expected: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(with_samples(dataset(), GREY, photometric)))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, np.repeat(expected[..., None], 3, axis=2))
    assert "greyscale" in photo.meta.caveats


def test_pixels_wider_than_high_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "photo.dcm"
    ds = with_samples(dataset(), CARD, "RGB")
    ds.PixelSpacing = ["0.02", "0.025"]
    path.write_bytes(file_bytes(ds))
    photo = read_photo(path)
    assert photo.shape == (48, 80)
    assert photo.meta.px_per_mm == pytest.approx(50)
    means = photo.pixels.reshape(3, 16, 4, 20, 3)[:, 5:-5, :, 6:-6].mean(axis=(1, 3)).reshape(12, 3)
    assert np.abs(means - COLOURS).max() < 1


def test_pixels_higher_than_wide_by_their_aspect_ratio_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "photo.dcm"
    ds = with_samples(dataset(), CARD, "RGB")
    ds.PixelAspectRatio = [5, 4]
    path.write_bytes(file_bytes(ds))
    photo = read_photo(path)
    assert photo.shape == (60, 64) and photo.meta.px_per_mm is None


def reason(tmp_path: Path, data: bytes, **options: float) -> str:
    path = tmp_path / "photo.dcm"
    path.write_bytes(data)
    with pytest.raises(UnusablePhotoError) as caught:
        read_photo(path, **options)
    assert "Quill" not in str(caught.value) and "MRN" not in str(caught.value)
    return caught.value.reason


def plain_bytes(**attributes: object) -> bytes:
    ds = with_samples(dataset(), CARD, "RGB")
    for name, value in attributes.items():
        setattr(ds, name, value)
    return file_bytes(ds)


@pytest.mark.parametrize("name", [name for name in GOLDEN if "calls" not in name and "markers" not in name])
def test_a_truncated_file_is_told(name: str, tmp_path: Path) -> None:
    data = file_bytes(GOLDEN[name][0]())
    assert reason(tmp_path, data[: int(len(data) * 0.75)]) == "truncated"


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1])
def test_a_file_cut_in_its_header_is_told(share: float, tmp_path: Path) -> None:
    data = plain_bytes()
    assert reason(tmp_path, data[: 200 + int(share * 2000)]) in ("truncated", "unreadable")


def test_what_cannot_be_decoded_has_its_reason(tmp_path: Path) -> None:
    assert reason(tmp_path, plain_bytes(PixelSpacing=["0.01", "0.02"])) == "anisotropic_pixels"
    assert reason(tmp_path, plain_bytes(NumberOfFrames=2)) == "multi_frame"
    assert reason(tmp_path, plain_bytes(BurnedInAnnotation="YES")) == "burned_in_annotation"
    assert reason(tmp_path, plain_bytes(PhotometricInterpretation="HSV")) == "unsupported_syntax"
    assert reason(tmp_path, plain_bytes(PixelRepresentation=1)) == "unsupported_syntax"
    assert reason(tmp_path, plain_bytes(Rows=60000, Columns=60000)) == "too_large"
    assert reason(tmp_path, plain_bytes(), max_megapixels=0.003) == "too_large"
    assert reason(tmp_path, file_bytes(with_samples(dataset(SECONDARY_CAPTURE, Modality="CT"), CARD, "RGB"))) == (
        "unsupported_modality"
    )
    assert reason(tmp_path, b"") == "truncated"
    assert reason(tmp_path, b"\0" * 128 + b"DICM") == "truncated"


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.77.1.6"])
def test_other_kinds_of_images_are_refused(sop_class: str, tmp_path: Path) -> None:
    assert reason(tmp_path, file_bytes(with_samples(dataset(sop_class), CARD, "RGB"))) == "unsupported_modality"


@pytest.mark.parametrize(
    "syntax",
    ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"],
)
def test_other_transfer_syntaxes_are_refused_before_they_are_unpacked(syntax: str, tmp_path: Path) -> None:
    data = plain_bytes().replace(b"1.2.840.10008.1.2.1\0", (syntax.encode() + b"\0" * 22)[:20], 1)
    if len(syntax) > 20:
        ds = with_frame(dataset(), b"\xff\xd8\xff\xd9", syntax, "RGB", SHAPE)
        data = file_bytes(ds)
    assert reason(tmp_path, data) == "unsupported_syntax"


def test_a_stream_of_another_size_than_its_header_is_refused(tmp_path: Path) -> None:
    stream = jpeg_frame(np.zeros((480, 640, 3), np.uint8), "4:2:2")
    assert reason(tmp_path, file_bytes(jpeg("YBR_FULL_422", stream))) == "unreadable"


def test_a_frame_in_several_fragments_is_one(tmp_path: Path) -> None:
    stream = jpeg_frame(CARD, "4:2:2")
    ds = jpeg("YBR_FULL_422", stream)
    ds.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)], fragments_per_frame=3, has_bot=False)
    ds["PixelData"].is_undefined_length = True
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(ds))
    assert np.abs(patch_means(read_photo(path).pixels) - COLOURS).max() <= 3


def test_jpeg_2000_of_sixteen_bits_is_scaled(tmp_path: Path) -> None:
    stream = encode_array(sixteen_bits(16), photometric_interpretation=0, use_mct=False)
    ds = with_samples(dataset(), sixteen_bits(16), "RGB")
    ds.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(JPEG2000_LOSSLESS)
    path = tmp_path / "photo.dcm"
    path.write_bytes(file_bytes(ds))
    assert np.abs(read_photo(path).pixels.astype(int) - CARD).max() <= 1


def test_a_jpeg_of_twelve_bits_is_refused(tmp_path: Path) -> None:
    ds = with_samples(dataset(), sixteen_bits(12), "RGB", bits=12)
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.51")
    assert reason(tmp_path, file_bytes(ds)) == "unsupported_syntax"
