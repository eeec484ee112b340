"""The bytes of a clinical table that a person names; what is in them, the prognosis room reads."""

from __future__ import annotations

from pathlib import Path

from longderm.errors import AccessError, SourceNotFoundError, UsageError

#: A larger file is no table of patients: the largest melanoma registries have some hundred thousand rows.
_LARGEST_BYTES = 2**29


def read_clinical_file(path: Path, called: str = "the clinical table") -> bytes:
    """Read the file whole. `called`: what messages call it.

    Raises SourceNotFoundError, AccessError, UsageError (too large); the messages do not repeat the path, which may
    name a person.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise UsageError(f"{called} is larger than 512 MiB; give the table of patients alone")
        return path.read_bytes()
    except FileNotFoundError:
        raise SourceNotFoundError(f"{called} does not exist; check the path given") from None
    except OSError:
        raise AccessError(f"{called} cannot be read; check that it is a file and its permissions") from None
