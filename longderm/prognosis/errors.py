"""What a survival analysis can be refused for; each message says why and what to mend."""

from __future__ import annotations

from collections.abc import Sequence

from longderm.errors import UsageError


class SurvivalTimesError(UsageError):
    """Times, events or groups that cannot be: negative, missing, of unequal length, start after stop."""


class MissingValuesError(UsageError):
    """Columns hold missing values and the caller did not say to leave the rows out."""


class UnusableColumnsError(UsageError):
    """Columns that have no estimate: constant, collinear, or separating events from the rest.

    `columns` names them, sorted; `separating` says that they have values, but no finite coefficient.
    """

    def __init__(self, message: str, columns: Sequence[str], separating: bool = False) -> None:
        super().__init__(message)
        self.columns = tuple(sorted(columns))
        self.separating = separating


class NotConvergedError(UsageError):
    """The fit did not converge; the message names the columns that kept moving."""


class NoComparablePairsError(UsageError):
    """No two patients can be ranked by their outcome, so there is no concordance."""


class OutsideFollowUpError(UsageError):
    """A time lies where the data say nothing: before the first or past the last follow-up, or all are censored."""


class TooFewEventsError(UsageError):
    """Fewer events than the figure needs; the message holds both numbers."""


class TumourTableError(UsageError):
    """Photos, tumours and patients that contradict each other, or an embedding that is none."""


class ModelFormatError(UsageError):
    """A saved model is damaged, of another kind or of a newer format."""


class PictureError(UsageError):
    """Nothing to draw, or more series than can be told apart in print."""
