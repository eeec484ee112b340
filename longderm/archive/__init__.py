"""What comes in: DICOM files and photo folders, their identity and its pseudonyms, and what cannot be used.

An intake has two phases after the scan, so that it can be killed at any point and be run again: `scan` finds what is
new, `read_into_spool` reads each file once (in worker processes), `assign` turns all records into rows at once. The
caller commits the rows in the order of `INTAKE_TABLES` and then calls `clear_spool`.
"""

from longderm.archive.assign import assign
from longderm.archive.ledger import INTAKE_TABLES, live_photos, tally
from longderm.archive.link import KEY_NAME, LinkTable
from longderm.archive.read import open_photo, open_reduced, read_photo, row_meta
from longderm.archive.scan import Scan, scan
from longderm.archive.source import SourceSpec
from longderm.archive.spool import clear_spool, content_hash, give_up, read_into_spool, unread

__all__ = [
    "INTAKE_TABLES",
    "KEY_NAME",
    "LinkTable",
    "Scan",
    "SourceSpec",
    "assign",
    "clear_spool",
    "content_hash",
    "give_up",
    "live_photos",
    "open_photo",
    "open_reduced",
    "read_into_spool",
    "read_photo",
    "row_meta",
    "scan",
    "tally",
    "unread",
]
