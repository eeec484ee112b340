"""What kind of file a file is, by its first bytes and its extension."""

from __future__ import annotations

from pathlib import PurePath

#: Bytes that are enough to tell the kind: DICOM's marker ends at byte 132.
SNIFF_BYTES = 132

#: Extensions of images that are read.
IMAGE_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".j2c", ".jpx", ".mpo")
)

#: Extensions of DICOM files; files without an extension are DICOM where their first bytes say so.
DICOM_EXTENSIONS = frozenset((".dcm", ".dicom", ".dic"))

#: Extensions of images that are not read: they end in quarantine, for a photo may be lost in them.
FOREIGN_IMAGE_EXTENSIONS = frozenset(
    # one text, for a list of words is easier to read without quotes
    """
    .gif .ico .icns .psd .psb .sgi .rgb .fli .flc .heic .heif .avif .jxl .raw .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf
    .tga .pcx .ppm .pgm .pbm .pnm .xcf .exr .hdr .svs .ndpi .fits .dds .eps .apng .jxr
    """.split()  # noqa: SIM905
)

#: First bytes of the image formats that are read, and the name of each.
_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"BM", "bmp"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)

#: What an ignored file is, by its extension; anything else is "other".
_IGNORED_KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".xls", ".xlsx", ".parquet", ".feather", ".sqlite", ".db"), "table"),
    **dict.fromkeys((".txt", ".md", ".pdf", ".html", ".htm", ".doc", ".docx", ".rtf", ".log"), "text"),
    **dict.fromkeys((".toml", ".json", ".xml", ".yaml", ".yml", ".ini", ".cfg"), "settings or structured data"),
    **dict.fromkeys((".zip", ".gz", ".tar", ".7z", ".rar", ".bz2", ".xz"), "packed archive"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".mpg", ".mpeg", ".wmv"), "video"),
    **dict.fromkeys((".py", ".sh", ".exe", ".dll", ".bat", ".js"), "program"),
}


def image_format(head: bytes) -> str | None:
    """The name of the image format that `head` begins, "dicom" included, or None."""
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def expects_image(name: str) -> bool:
    """Whether a file of this name should be an image of some kind."""
    return PurePath(name).suffix.lower() in IMAGE_EXTENSIONS | DICOM_EXTENSIONS | FOREIGN_IMAGE_EXTENSIONS


def ignored_kind(name: str) -> str:
    """What a file that is no image is, in words, for the ledger."""
    path = PurePath(name)
    if path.name.upper() == "DICOMDIR":
        return "DICOMDIR"
    return _IGNORED_KINDS.get(path.suffix.lower(), "other")
