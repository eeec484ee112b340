"""Errors of longderm: one base class; each subclass is also the builtin kind a caller would expect.

The message is one line that says what is wrong, where, and what to do. It never holds a patient's identity: a file is
named by its opaque reference once it has one. `exit_status` is what the command line ends with.
"""

from __future__ import annotations

from collections.abc import Mapping


class LongdermError(Exception):
    """Base class of every error that longderm raises on purpose."""

    exit_status = 1


class UsageError(LongdermError, ValueError):
    """The caller asked for something that cannot be: a bad option, column, setting or argument."""

    exit_status = 2


class SourceNotFoundError(LongdermError, FileNotFoundError):
    """The archive, file or release that was named does not exist."""

    exit_status = 2


class AccessError(LongdermError, PermissionError):
    """The folder or file that was named cannot be read or written."""

    exit_status = 2


class RefusedError(LongdermError, PermissionError):
    """A rule forbids it: another key, a newer schema version, a locked store."""

    exit_status = 3


class StoreVersionError(RefusedError):
    """The store was written by a newer longderm, whose schema this one does not know."""


class StoreLockedError(RefusedError):
    """Another process holds the store's lock; the message names it."""


class WeightsError(LongdermError, ValueError):
    """A file is not the weights it should be: damaged, foreign, or not complete.

    `missing` and `unexpected` are tensors' names as in the file; `misshapen` maps a name to what is wrong with it.
    """

    exit_status = 2

    def __init__(
        self,
        message: str,
        missing: tuple[str, ...] = (),
        unexpected: tuple[str, ...] = (),
        misshapen: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.missing = missing
        self.unexpected = unexpected
        self.misshapen = dict(misshapen or {})


class StageError(LongdermError, RuntimeError):
    """The job ran and a stage failed; the message says which and what to do."""


class UnusablePhotoError(LongdermError, ValueError):
    """A file cannot become a photo. `reason` is one of `longderm.schema.QUARANTINE_REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
