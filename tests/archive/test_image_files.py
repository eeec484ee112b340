"""Image files: every pixel format becomes sRGB on the native grid, and hostile files end with a reason."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dicom_writer import COLOURS, colour_card, dataset, file_bytes, patch_means, swapped_profile, with_samples
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from longderm.archive import read_photo
from longderm.archive.colour import oriented, scale_to_8_bits
from longderm.archive.images import decode_image
from longderm.errors import AccessError, SourceNotFoundError, UnusablePhotoError
from longderm.schema import QUARANTINE_REASONS

CARD = colour_card()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return decode_image(data).pixels


def reason_of(data: bytes, **options: float) -> str:
    with pytest.raises(UnusablePhotoError) as caught:
        decode_image(data, **options)
    assert caught.value.reason in QUARANTINE_REASONS
    return caught.value.reason


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 97, "subsampling": "4:2:0"}, 3),
        ("JPEG", {"quality": 97, "progressive": True}, 3),
        ("JPEG", {"quality": 97, "keep_rgb": True}, 3),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 97}, 3),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG2000", {"irreversible": False}, 0),
    ],
)
def test_known_colours_come_out(kind: str, options: dict[str, Any], tolerance: int) -> None:
    pixels = pixels_of(saved(Image.fromarray(CARD), kind, **options))
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    assert np.abs(patch_means(pixels) - COLOURS).max() <= tolerance


def test_cmyk_is_converted(tmp_path: Path) -> None:
    for kind, options in (("JPEG", {"quality": 98}), ("TIFF", {})):
        pixels = pixels_of(saved(Image.fromarray(CARD).convert("CMYK"), kind, **options))
        assert np.abs(patch_means(pixels) - COLOURS).max() <= 4


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_sixteen_bits_are_scaled_and_not_cut(extension: str) -> None:
    grey = np.linspace(0, 65535, 64 * 48).reshape(48, 64).round().astype(np.uint16)
    _, data = cv2.imencode(extension, grey)
    assert np.abs(pixels_of(data.tobytes())[..., 0] - grey / 257).max() <= 0.51
    colour = CARD.astype(np.uint16) * 257
    _, data = cv2.imencode(extension, colour[..., ::-1])
    assert np.array_equal(pixels_of(data.tobytes()), CARD)


def test_jpeg_2000_of_sixteen_bits_is_scaled() -> None:
    from openjpeg.utils import encode_array

    stream = encode_array(CARD.astype(np.uint16) * 257, photometric_interpretation=1, use_mct=True)
    assert np.array_equal(pixels_of(bytes(stream)), CARD)


def test_palettes_and_grey_and_bilevel_become_rgb() -> None:
    adaptive = Image.fromarray(CARD).quantize(64)
    for image in (adaptive, adaptive.convert("P")):
        assert np.abs(patch_means(pixels_of(saved(image, "PNG"))) - COLOURS).max() <= 2
    grey = Image.fromarray(CARD[..., 0])
    assert np.array_equal(pixels_of(saved(grey, "PNG")), np.repeat(CARD[..., :1], 3, axis=2))
    bilevel = pixels_of(saved(grey.convert("1", dither=Image.Dither.NONE), "BMP"))
    assert set(np.unique(bilevel)) == {0, 255}


@given(bits=st.integers(1, 16), values=st.lists(st.integers(0, 65535), min_size=1, max_size=20))
def test_scaling_keeps_black_white_and_order(bits: int, values: list[int]) -> None:
    full = 2**bits - 1
    samples = np.sort(np.array([0, full, *(v & full for v in values)], np.uint16))
    scaled = scale_to_8_bits(samples, bits).astype(int)
    assert scaled[0] == 0 and scaled[-1] == 255
    assert (np.diff(scaled) >= 0).all()
    assert np.abs(scaled - samples / full * 255).max() <= 0.5


def test_transparent_pixels_show_black_and_are_told() -> None:
    alpha = np.full(CARD.shape[:2], 255, np.uint8)
    opaque = decode_image(saved(Image.fromarray(np.dstack([CARD, alpha])), "PNG"))
    assert np.array_equal(opaque.pixels, CARD) and opaque.caveats == ()
    alpha[:, :32] = 0
    half = decode_image(saved(Image.fromarray(np.dstack([CARD, alpha])), "PNG"))
    assert (half.pixels[:, :32] == 0).all() and np.array_equal(half.pixels[:, 32:], CARD[:, 32:])
    assert half.caveats == ("transparent_pixels",)


def test_a_colour_profile_is_honoured() -> None:
    profile = swapped_profile()
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 97}), ("TIFF", {})):
        pixels = pixels_of(saved(Image.fromarray(CARD), kind, icc_profile=profile, **options))
        assert np.abs(patch_means(pixels) - COLOURS[:, ::-1]).max() <= 4


def test_an_srgb_profile_changes_no_pixel() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.array_equal(pixels_of(saved(Image.fromarray(noise), "PNG", icc_profile=profile)), noise)


def test_a_profile_of_another_colour_space_is_told() -> None:
    image = Image.fromarray(CARD).convert("CMYK")
    decoded = decode_image(saved(image, "JPEG", quality=98, icc_profile=swapped_profile()))
    assert decoded.caveats == ("icc_profile_unusable",)
    assert np.abs(patch_means(decoded.pixels) - COLOURS).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_orientation_is_undone(kind: str, orientation: int) -> None:
    # how a camera held in that way stores the card, by Pillow's own transpositions
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = Image.fromarray(CARD)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"JPEG": {"quality": 97}, "WEBP": {"lossless": True}}.get(kind, {})
    data = saved(image if stored is None else image.transpose(stored), kind, exif=exif, **options)
    pixels = pixels_of(data)
    assert pixels.shape == CARD.shape
    assert np.abs(patch_means(pixels) - COLOURS).max() <= 3


@given(orientation=st.integers(1, 8))
def test_orienting_is_a_rearrangement(orientation: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    turned = oriented(pixels, orientation)
    assert turned.shape == ((4, 2, 3) if orientation >= 5 else (2, 4, 3))
    assert sorted(map(tuple, turned.reshape(-1, 3))) == sorted(map(tuple, pixels.reshape(-1, 3)))


def test_the_camera_is_read_and_only_plain_signs_of_its_name(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[272] = "Foto\x00Finder", "medicam <1000>;'" + "x" * 99
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(Image.fromarray(CARD), "JPEG", exif=exif))
    device = read_photo(path).meta.device
    assert device is not None and device.startswith("Foto Finder medicam 1000x") and len(device) == 64


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 20_000, 60_000])
def test_bombs_are_refused_by_their_header(side: int) -> None:
    assert reason_of(png_header(side, side)) == "too_large"


def test_the_limit_is_the_callers() -> None:
    data = saved(Image.fromarray(CARD), "PNG")
    assert reason_of(data, max_megapixels=0.003) == "too_large"
    assert decode_image(data, max_megapixels=0.0031).pixels.shape == CARD.shape


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = saved(Image.new("RGB", (4000, 3000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert reason_of(data[:-2] + scan * 200 + b"\xff\xd9") == "unreadable"


def test_several_pictures_in_a_file_are_refused_but_for_thumbnails() -> None:
    image = Image.fromarray(CARD)
    frames = [Image.fromarray(CARD[::-1].copy())]
    for kind in ("TIFF", "PNG", "WEBP"):
        assert reason_of(saved(image, kind, save_all=True, append_images=frames)) == "multi_frame"
    thumbnail = image.resize((16, 12))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    pages = saved(image, "TIFF", save_all=True, append_images=[thumbnail])
    assert np.array_equal(pixels_of(pages), CARD)
    # what phones write: the photo first, then a preview
    assert (
        np.abs(
            patch_means(pixels_of(saved(image, "MPO", quality=97, save_all=True, append_images=frames))) - COLOURS
        ).max()
        <= 3
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "JPEG2000"])
def test_a_truncated_file_never_becomes_a_photo(kind: str) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (80, 90, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    for share in (0.3, 0.6, 0.9):
        assert reason_of(data[: int(len(data) * share)]) in ("truncated", "unreadable", "not_an_image")
    if kind in ("JPEG", "PNG", "TIFF", "BMP"):
        assert reason_of(data[: int(len(data) * 0.6)]) == "truncated"


@pytest.mark.parametrize("kind", ["GIF", "PPM", "TGA", "ICO", "SGI"])
def test_formats_that_are_not_read_are_no_images(kind: str) -> None:
    assert reason_of(saved(Image.fromarray(CARD), kind)) == "not_an_image"


def test_floating_point_pixels_are_refused() -> None:
    assert reason_of(saved(Image.fromarray(CARD[..., 0].astype(np.float32)), "TIFF")) == "unsupported_syntax"


@given(st.binary(max_size=300))
def test_noise_ends_with_a_reason(data: bytes) -> None:
    for head in (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\x00\x08\x00\x00\x00", b"BM"):
        reason_of(head + data)


def test_a_file_that_is_not_there_or_not_ours_is_told_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError) as caught:
        read_photo(tmp_path / "Quill_Ottoline.jpg")
    assert "Quill" not in str(caught.value)
    with pytest.raises(AccessError) as denied:
        read_photo(tmp_path)
    assert str(tmp_path) not in str(denied.value)


# What must become of the hostile files that Pillow collected. Each photo has its reason to be one.
MUST_BE_PHOTOS = {
    "bmp_b_baddens1.bmp": "two-colour palette; only its density is nonsense",
    "bmp_b_baddens2.bmp": "two-colour palette; only its density is nonsense",
    "bmp_b_badplanes.bmp": "two-colour palette; the number of planes plays no part",
    "exif-dpi-zerodivision.jpg": "odd EXIF: a resolution of x/0",
    "exif_typeerror.jpg": "odd EXIF: a tag of the wrong type",
    "invalid-exif-without-x-resolution.jpg": "odd EXIF: a resolution is missing",
    "truncated_exif_dpi.jpg": "odd EXIF: it is cut, the pixels are whole",
    "sugarshack_bad_mpo_header.jpg": "odd MPO header; the first picture is whole",
    "hopper.jpg": "nothing wrong",
    "hopper.webp": "nothing wrong",
    "hopper_orientation_4.jpg": "stored upside down",
    "hopper_orientation_5.jpg": "stored transposed",
    "xmp_tags_orientation.png": "RGBA, the orientation in XMP",
    "icc_profile_big.jpg": "a colour profile of 500 kB",
    "icc_profile_none.png": "RGBA without a profile",
    "tiff_16bit_RGB.tiff": "16 bits a channel",
    "tiff_16bit_RGBa.tiff": "16 bits a channel with premultiplied alpha",
    "tiff_strip_cmyk_16l_jpeg.tif": "CMYK of 16 bits",
    "tiff_strip_cmyk_jpeg.tif": "CMYK in JPEG strips",
    "zero_dpi.jp2": "JPEG 2000 with a resolution of 0",
}

MUST_BE_REFUSED = {
    "truncated_image.png": "truncated",
    "broken.png": "not_an_image",
    "LICENSE.txt": "not_an_image",
    "decompression_bomb.gif": "not_an_image",
    "decompression_bomb.ico": "not_an_image",
    "zero_width.gif": "not_an_image",
    "timeout-9139147ce93e20eb14088fe238e541443ffd64b3.fli": "not_an_image",
    "timeout-dedc7a4ebd856d79b4359bbcc79e8ef231ce38f6.psd": "not_an_image",
    "total-pages-zero.tif": "unsupported_syntax",
    "bmp_b_badrle.bmp": "unsupported_syntax",
}

#: The limits of the issue: no file takes longer, or more memory.
MAX_SECONDS, MAX_BYTES = 5.0, 10**9

_READ_ALL = """
import json, sys, time
from pathlib import Path
from longderm.archive import read_photo
from longderm.errors import UnusablePhotoError
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.monotonic()
    try:
        photo = read_photo(path)
        found = ["photo", list(photo.pixels.shape), photo.pixels.mean(axis=(0, 1)).tolist()]
    except UnusablePhotoError as error:
        found = [error.reason, str(error), None]
    peak = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) * 1024
    print(json.dumps([path.name, time.monotonic() - started, peak, *found]))
"""


@pytest.fixture(scope="module")
def bad_images(shared_data: Path) -> dict[str, list[Any]]:
    """What each of the hostile files became, how long it took (s), and the process's peak memory after it (bytes)."""
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(shared_data / "bad_images")], capture_output=True, text=True, timeout=220
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {row[0]: row[1:] for row in map(json.loads, done.stdout.splitlines())}


def test_hostile_files_end_as_photo_or_reason_in_time_and_memory(bad_images: dict[str, list[Any]]) -> None:
    assert len(bad_images) == 45
    for name, (seconds, peak, outcome, detail, _) in bad_images.items():
        assert seconds < MAX_SECONDS and peak < MAX_BYTES, name
        assert outcome == "photo" or outcome in QUARANTINE_REASONS
        assert outcome == "photo" or name not in detail


def test_which_hostile_files_become_photos(bad_images: dict[str, list[Any]]) -> None:
    assert {name for name, row in bad_images.items() if row[2] == "photo"} == set(MUST_BE_PHOTOS)
    assert {name: bad_images[name][2] for name in MUST_BE_REFUSED} == MUST_BE_REFUSED


def test_hostile_files_that_show_the_same_have_the_same_colours(bad_images: dict[str, list[Any]]) -> None:
    mean = {name: np.array(row[4]) for name, row in bad_images.items() if row[2] == "photo"}
    for twin in ("hopper.webp", "hopper_orientation_4.jpg", "hopper_orientation_5.jpg"):
        assert np.abs(mean[twin] - mean["hopper.jpg"]).max() < 1
    assert np.abs(mean["tiff_16bit_RGB.tiff"] - mean["tiff_16bit_RGBa.tiff"]).max() < 1
    assert np.abs(mean["tiff_strip_cmyk_16l_jpeg.tif"] - mean["tiff_strip_cmyk_jpeg.tif"]).max() < 1


def test_the_orientations_of_real_files(shared_data: Path) -> None:
    for scene in ("Landscape", "Portrait"):
        photos = [read_photo(shared_data / "exif_orientation" / f"{scene}_{k}.jpg").pixels for k in range(9)]
        for photo in photos:
            assert photo.shape == photos[1].shape
            assert np.abs(photo.astype(int) - photos[1]).mean() < 5


_PEAK = """
import sys
from longderm.archive import read_photo
peak = lambda: next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) * 1024
read_photo(sys.argv[1])
before = peak()
pixels = read_photo(sys.argv[2]).pixels
print((peak() - before) / (pixels.shape[0] * pixels.shape[1]))
"""

#: Bytes a pixel that decoding may take: with these, and 0.1 GB for the process, the default limits stay below 1 GB.
BYTES_PER_PIXEL = 11.0
BYTES_PER_PIXEL_JPEG2000 = 21.0


@pytest.mark.parametrize("kind", ["JPEG", "RGBA", "TIFF", "JPEG2000", "dicom by plane"])
def test_memory_is_in_proportion_to_the_pixels(kind: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    limit = BYTES_PER_PIXEL_JPEG2000 if kind == "JPEG2000" else BYTES_PER_PIXEL
    for path, factor in ((small, 1), (large, 60)):
        pixels = np.tile(CARD, (factor, factor, 1))
        exif = Image.Exif()
        exif[274] = 6
        if kind == "dicom by plane":
            path.write_bytes(file_bytes(with_samples(dataset(), pixels, "YBR_FULL", planar=1)))
        elif kind == "RGBA":
            path.write_bytes(saved(Image.fromarray(np.dstack([pixels, pixels[..., :1]])), "PNG", compress_level=1))
        else:
            path.write_bytes(saved(Image.fromarray(pixels), kind, **({} if kind == "JPEG2000" else {"exif": exif})))
    done = subprocess.run([sys.executable, "-c", _PEAK, small, large], capture_output=True, text=True, check=True)
    assert float(done.stdout) < limit
