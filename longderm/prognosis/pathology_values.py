"""What a pathology report says: three-valued findings and numbers, each with the span of the text it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: A report may say that something is there, that it is not, or that it cannot tell; or it says nothing.
State = Literal["present", "absent", "uncertain", "not_stated"]

#: How a number is meant: exactly, below, at most, above, at least, about.
Qualifier = Literal["=", "<", "<=", ">", ">=", "~"]

Language = Literal["en", "de"]


@dataclass(frozen=True)
class Span:
    """Where in the report: characters from `start` up to, not including, `end`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The words themselves."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Mention:
    """One statement on a finding. `specimen`: the label of the report's part ("A", "2"), None where it has no parts."""

    state: State
    span: Span
    specimen: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Finding:
    """What the report says on a finding as a whole: `state`, the span that decides it, and every mention.

    Present in one specimen and absent in another is present; contradiction within a specimen is uncertain.
    """

    state: State = "not_stated"
    span: Span | None = None
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True)
class Length:
    """A length in mm. `lower_mm`: the lower end where a range is reported (`value_mm` is its upper end).

    `value_mm` is None where the report gives no unit; `reason` says so. `direction`: of a margin, "deep" or "lateral".
    """

    value_mm: float | None
    qualifier: Qualifier
    span: Span
    specimen: str | None = None
    lower_mm: float | None = None
    direction: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class MitoticRate:
    """Mitoses per mm2; None with a `reason` where the report counts otherwise (per high-power field, or by a word)."""

    state: State
    per_mm2: float | None
    qualifier: Qualifier
    span: Span
    specimen: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Nodes:
    """Lymph nodes: how many hold tumour of how many examined; None where the report gives no number."""

    state: State
    positive: int | None
    examined: int | None
    sentinel: bool
    span: Span
    specimen: str | None = None


@dataclass(frozen=True)
class PathologyFindings:
    """Everything read from one report.

    `thickness`: Breslow thickness of each specimen in the report's order, `thickest` the largest of them. `margins`:
    "present" means tumour at a margin, "absent" clear margins. `subtype`: `name` of a mention is one of `SUBTYPES`.
    """

    language: Language
    thickness: tuple[Length, ...] = ()
    ulceration: Finding = Finding()
    mitoses: tuple[MitoticRate, ...] = ()
    nodes: tuple[Nodes, ...] = ()
    margins: Finding = Finding()
    margin_distances: tuple[Length, ...] = ()
    subtype: Finding = Finding()
    in_situ: Finding = Finding()
    regression: Finding = Finding()

    @property
    def thickest(self) -> Length | None:
        """The largest thickness with a unit; of equal ones the first. None where none is stated."""
        stated = [length for length in self.thickness if length.value_mm is not None]
        return max(stated, key=lambda length: length.value_mm or 0.0, default=None)

    @property
    def mitotic_rate(self) -> MitoticRate | None:
        """The highest rate per mm2; where none is convertible the first statement. None where none is made."""
        known = [rate for rate in self.mitoses if rate.per_mm2 is not None]
        if known:
            return max(known, key=lambda rate: rate.per_mm2 or 0.0)
        return self.mitoses[0] if self.mitoses else None


#: Histological subtypes (WHO classification of skin tumours, 5th edition, by their usual names).
SUBTYPES = (
    "superficial_spreading",
    "nodular",
    "lentigo_maligna_melanoma",
    "lentigo_maligna",
    "acral_lentiginous",
    "desmoplastic",
)


def summarise(mentions: list[Mention], strongest: bool = False) -> Finding:
    """The finding that mentions add up to, as `Finding` says.

    `strongest`: they speak of several places (one margin clear, another not), so they do not contradict each other.
    """
    if not mentions:
        return Finding()
    states: set[State] = set()
    by_specimen: dict[str | None, set[State]] = {}
    for mention in mentions:
        by_specimen.setdefault(mention.specimen, set()).add(mention.state)
    for told in by_specimen.values():
        states.add("uncertain" if {"present", "absent"} <= told and not strongest else _strongest(told))
    state = _strongest(states)
    span = next((m.span for m in mentions if m.state == state), mentions[0].span)
    return Finding(state, span, tuple(mentions))


def _strongest(states: set[State]) -> State:
    order: tuple[State, ...] = ("present", "uncertain", "absent")
    return next(state for state in order if state in states)
