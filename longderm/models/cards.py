"""Parts of a release's card: front matter, sections, figures and tables by skin tone, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: The line before and after the front matter of a card, by which model hubs index it.
FRONT_MATTER_MARK = "---"
#: The section that tells figures by skin tone, and those that it stands before.
SKIN_TONE_HEADING = "## By skin tone"
_LAST_HEADINGS = ("## Where it fails", "## Limits")
#: Groups from light to dark, and columns with the counts first: JSON keeps no order. Others follow by name.
_GROUPS = (
    "very light",
    "light",
    "intermediate",
    "tan or darker",
    "not known",
    "I",
    "II",
    "III",
    "IV",
    "V",
    "VI",
    "all",
)
_COLUMNS = ("photos", "lesions", "pairs", "auroc", "sensitivity", "false_alarms", "flagged_unchanged")


def without_front_matter(card: str) -> str:
    """The card from its title on."""
    lines = card.splitlines(keepends=True)
    if not lines or lines[0].strip() != FRONT_MATTER_MARK:
        return card
    ends = [number for number, line in enumerate(lines) if number and line.strip() == FRONT_MATTER_MARK]
    return "".join(lines[ends[0] + 1 :]) if ends else card


def with_skin_tones(card: str, lines: Sequence[str]) -> str:
    """The card with `lines` as its section by skin tone: in place of the one that it has, else before its limits."""
    parts = card.split("\n## ")
    kept = [part for part in parts if part.split("\n")[0] != SKIN_TONE_HEADING.removeprefix("## ")]
    last = [heading.removeprefix("## ") for heading in _LAST_HEADINGS]
    place = next((number for number, part in enumerate(kept) if part.split("\n")[0] in last), len(kept))
    section = "\n".join([SKIN_TONE_HEADING.removeprefix("## "), "", *lines])
    before, after = kept[:place], kept[place:]
    joined = "\n## ".join([*(part.rstrip("\n") + "\n" for part in before), section.rstrip("\n") + "\n", *after])
    return joined.rstrip("\n") + "\n"


def skin_tone_lines(groups: Mapping[str, Mapping[str, Any]], what: str) -> list[str]:
    """A table of figures by group, `what` the groups are; those that are too small to tell have no figure, and those
    that hold nothing no row."""
    groups = {group: told for group, told in groups.items() if any(told.values())}
    columns = _in_order({key for told in groups.values() for key in told}, _COLUMNS)
    ordered = {group: groups[group] for group in _in_order(groups, _GROUPS)}
    return [
        f"| {what} | " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| {group} | " + " | ".join(plain_figure(told[c]) if c in told else "too few" for c in columns) + " |"
            for group, told in ordered.items()
        ),
    ]


def _in_order(names: Iterable[str], first: Sequence[str]) -> list[str]:
    known = {name: number for number, name in enumerate(first)}
    return sorted(names, key=lambda name: (known.get(name, len(first)), name))


def plain_figure(value: Any) -> str:
    """A number, or [value, low, high] as "value (low to high)"; "-" for none."""
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        first, *ends = (f"{one:.3f}" for one in value)
        return f"{first} ({' to '.join(ends)})" if ends else first
    return f"{value:.3f}" if isinstance(value, float) else str(value)
