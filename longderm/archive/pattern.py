"""Identity from a photo's path, by a template such as `{patient}/{lesion}/{date}*`."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from longderm.archive.claims import Claims, clean, patient_text, with_date, with_image_type, with_lesion
from longderm.errors import UsageError

#: The layout that is recognised without any option where no metadata table describes a folder.
DEFAULT_PATTERN = "{patient}/{lesion}/{date}*"

#: A lesion's folder of this name holds photos of the whole body.
TOTAL_BODY_FOLDERS = frozenset(("total_body", "total-body", "totalbody", "tbp", "overview"))

_FIELDS = {
    "patient": r"[^/]+?",
    "issuer": r"[^/]+?",
    "lesion": r"[^/]+?",
    "date": r"\d{4}-?\d{2}-?\d{2}|\d{4}_\d{2}_\d{2}|\d{4}\.\d{2}\.\d{2}",
    "image_type": r"[^/]+?",
}


@lru_cache(maxsize=16)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A template as a regular expression over relative paths with `/`.

    `{patient}`, `{issuer}`, `{lesion}`, `{date}` and `{image_type}` stand for one piece of the path each; `*` for
    anything but `/`, `**` for anything. Raises UsageError.
    """
    pieces, seen = [], set()
    for piece in re.split(r"(\{[^}]*\}|\*\*|\*)", pattern.strip("/")):
        if piece.startswith("{"):
            name = piece[1:-1]
            if name not in _FIELDS or name in seen:
                raise UsageError(
                    f"the path pattern's {piece} is {'there twice' if name in seen else 'unknown'}; use each of "
                    + ", ".join(f"{{{field}}}" for field in _FIELDS)
                    + " once"
                )
            seen.add(name)
            pieces.append(f"(?P<{name}>{_FIELDS[name]})")
        else:
            pieces.append({"*": "[^/]*", "**": ".*"}.get(piece, re.escape(piece)))
    if "patient" not in seen:
        raise UsageError("the path pattern names no {patient}; write for example " + DEFAULT_PATTERN)
    return re.compile("".join(pieces))


def claims_from_path(relative: str, pattern: str) -> Claims | None:
    """What a photo's path, relative to the archive, says by the template; None where it does not fit."""
    match = compile_pattern(pattern).fullmatch(relative)
    if match is None:
        return None
    found = match.groupdict()
    claims = Claims(patient=patient_text(found["patient"]), issuer=clean(found.get("issuer")))
    lesion = clean(found.get("lesion"))
    if lesion is not None and lesion.lower() in TOTAL_BODY_FOLDERS:
        claims = replace(claims, modality="total_body")
    else:
        claims = with_lesion(claims, lesion)
    if (date := found.get("date")) is not None:
        claims = with_date(claims, date)
    return with_image_type(claims, clean(found.get("image_type"))) if found.get("image_type") else claims
