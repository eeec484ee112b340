"""The registry's verbs: list, show, verify, add, promote, roll back.

What longderm packages is read only. What was made elsewhere is copied into the store, and which release the stages use
is decided in the store, a row for every decision. Nothing is computed anew by any of them: results are history, and
those of the release that is in use again are found by their fingerprints.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from longderm.errors import AccessError, LongdermError, RefusedError, SourceNotFoundError, UsageError
from longderm.models.in_use import (
    PROGNOSIS,
    find_release,
    form_of,
    prognosis_in_use,
    registry_roots,
    releases_in_use,
)
from longderm.models.kinds import card_summary, card_title, check_release, headline
from longderm.models.promotions import Promoted, standing
from longderm.models.releases import (
    Release,
    digest_of,
    list_releases,
    load_release,
    problems_of,
    split_name,
)
from longderm.schema import TABLES
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.store import Store


@dataclass(frozen=True)
class Who:
    """Who decides, on which day, and why."""

    name: str
    reason: str
    as_of: date

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise UsageError("--reason: say why, in words")
        if not self.name.strip():
            raise UsageError("--by: name who decides")


def list_registry(settings: Settings, store: Store | None) -> list[dict[str, Any]]:
    """Every release at hand with where it lies, its state and a few figures; sorted by kind and version.

    state: "in use" (`by` says what decided: setting, promotion or packaged), "promoted" (a rollback comes back to it),
    "added", "packaged", or "damaged".
    """
    history = _history(store)
    used = _used_or_none(settings, store)
    rows = []
    for place, root in zip(("registry", "store"), registry_roots(settings, store), strict=False):
        for kind, version in list_releases(root):
            folder, name = root / kind / version, f"{kind}/{version}"
            damaged = bool(problems_of(folder))
            digest = None if damaged else digest_of(folder)
            by = used.get((kind, folder))
            promoted = any(p.name == name and p.digest == digest for p in standing(history, kind))
            state = "promoted" if promoted else "packaged" if place == "registry" else "added"
            rows.append(
                {
                    "release": name,
                    "place": place,
                    "state": "damaged" if damaged else "in use" if by else state,
                    "by": by,
                    "digest": digest,
                    "figures": headline(folder, name),
                }
            )
    return sorted(rows, key=lambda row: (row["release"], row["place"]))


def show_release(name: str, settings: Settings, store: Store | None) -> dict[str, Any]:
    """Card, figures and hashes of a release, and what was decided on it in the store.

    Raises SourceNotFoundError when there is none of this name, RefusedError when its files are not what they were.
    """
    kind, version = split_name(name)
    release = find_release(kind, version, registry_roots(settings, store))
    figures = release.folder / "figures.json"
    return {
        "release": release.name,
        "digest": release.digest,
        "summary": card_summary(release.folder),
        "card": (release.folder / "card.md").read_text() if (release.folder / "card.md").is_file() else "",
        "figures": json.loads(figures.read_text()) if figures.is_file() else {},
        "headline": headline(release.folder, release.name),
        "hashes": json.loads((release.folder / "hashes.json").read_text()),
        "decisions": [
            {**row, "as_of": row["as_of"].isoformat(), "recorded_at": row["recorded_at"].isoformat()}
            for row in _history(store)
            if release.name in (row["from_release"], row["to_release"])
        ],
    }


def verify_registry(settings: Settings, store: Store | None) -> dict[str, Any]:
    """Hash every file of every release again: {"checked": releases, "problems": [a sentence for each]}.

    Found are files that differ, are missing or have no hash; cards that bear another release's name; and promoted
    releases that are gone or have other files than those that were promoted.
    """
    problems, checked = [], 0
    digests: dict[str, set[str]] = {}
    for root in registry_roots(settings, store):
        for kind, version in list_releases(root):
            name, folder = f"{kind}/{version}", root / kind / version
            found = problems_of(folder)
            title = card_title(folder)
            if not found and title is not None and title != name:
                found = [f"its card is that of {title}"]
            if not found:
                digests.setdefault(name, set()).add(digest_of(folder))
            problems += [f"{name}: {problem}" for problem in found]
            checked += 1
    history = _history(store)
    for kind in sorted({row["release_kind"] for row in history}):
        for promoted in standing(history, kind):
            if promoted.digest not in digests.get(promoted.name, set()):
                problems.append(f"{promoted.name}: the files that were promoted are not there any more")
    return {"checked": checked, "problems": sorted(set(problems))}


def add_release(folder: Path, settings: Settings, store: Store, who: Who) -> dict[str, Any]:
    """Copy a release that was made elsewhere into the store; the stages do not use it before it is promoted.

    Raises SourceNotFoundError for a folder that is not there, RefusedError for one that is no sound release or whose
    name another release bears already.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder} is no folder; name the folder of a release")
    name = check_release(folder)
    kind, version = split_name(name)
    with store.lock("registry add"):
        for root in registry_roots(settings, store):
            if (root / kind / version).exists():
                same = not problems_of(root / kind / version) and digest_of(root / kind / version) == digest_of(folder)
                what = "is there already" if same else "is another release's name already; give this one a new version"
                raise RefusedError(f"{name} {what}")
        digest = _copy(folder, store.releases_folder / kind / version)
        return _record(store, "add", kind, None, (name, digest), False, who)


def promote_release(name: str, settings: Settings, store: Store, who: Who) -> dict[str, Any]:
    """Make a release the one that this store's stages use from now on.

    Raises SourceNotFoundError when it is not there, RefusedError when it is in use by promotion already or its files
    are not what they were, UsageError for a kind that no stage uses.
    """
    kind, version = split_name(name)
    _require_kind(kind)
    with store.lock("registry promote"):
        release = find_release(kind, version, registry_roots(settings, store))
        problems = problems_of(release.folder)  # of now, whatever was loaded before
        if problems:
            raise RefusedError(f"release {name}: {problems[0]}; restore the release")
        stack = _like(release, standing(_history(store), kind), settings, store)
        if stack and (stack[-1].name, stack[-1].digest) == (release.name, release.digest):
            raise RefusedError(f"{name} is promoted already; there is nothing to do")
        before = (stack[-1].name, stack[-1].digest) if stack else _packaged(kind, settings)
        row = _record(store, "promote", kind, before, (release.name, release.digest), False, who)
        return row | _overridden(kind, settings, store)


def roll_back(kind: str, settings: Settings, store: Store, who: Who) -> dict[str, Any]:
    """Take the last promotion of a kind back: the stages use the release before it again.

    Raises RefusedError where nothing stands promoted, UsageError for a kind that no stage uses.
    """
    _require_kind(kind)
    with store.lock("registry rollback"):
        stack = standing(_history(store), kind)
        if not stack:
            raise RefusedError(f"no release of kind {kind} is promoted in this store; there is nothing to roll back")
        last = stack[-1]
        if kind == PROGNOSIS:  # the one below of the same form; another form is not touched
            held = [one for one in stack if _form(one, settings, store) == _form(last, settings, store)]
            stack = tuple(held) or (last,)
        to_default = len(stack) == 1
        after = _packaged(kind, settings) if to_default else (stack[-2].name, stack[-2].digest)
        row = _record(store, "rollback", kind, (last.name, last.digest), after, to_default, who)
        return row | _overridden(kind, settings, store)


def _require_kind(kind: str) -> None:
    kinds = sorted({*PACKAGED_VERSIONS, PROGNOSIS})
    if kind not in kinds:
        raise UsageError(f"no stage uses releases of kind {kind}; there are {', '.join(kinds)}")


def _like(release: Release, stack: tuple[Promoted, ...], settings: Settings, store: Store) -> tuple[Promoted, ...]:
    """Those that stand promoted for the same use: of kind prognosis, of the same form."""
    if release.kind != PROGNOSIS:
        return stack
    return tuple(one for one in stack if _form(one, settings, store) == form_of(release))


def _form(promoted: Promoted, settings: Settings, store: Store) -> str | None:
    """The form of a promoted release of kind prognosis; None where its files are not there any more."""
    with contextlib.suppress(RefusedError, SourceNotFoundError):
        kind, version = split_name(promoted.name)
        return form_of(find_release(kind, version, registry_roots(settings, store)))
    return None


def _packaged(kind: str, settings: Settings) -> tuple[str, str] | None:
    """What the stages use where nothing is promoted; None where they have none then."""
    if kind not in PACKAGED_VERSIONS:
        return None
    release = load_release(kind, PACKAGED_VERSIONS[kind], registry_roots(settings, None)[0])
    return release.name, release.digest


def _overridden(kind: str, settings: Settings, store: Store) -> dict[str, Any]:
    """What the stages use all the same, where a setting names a release: an explicit setting wins."""
    if getattr(settings, f"{kind}_version", None) is None:
        return {"overridden_by_setting": None}
    return {"overridden_by_setting": releases_in_use(settings, store)[kind].release.name}


def _used_or_none(settings: Settings, store: Store | None) -> dict[tuple[str, Path], str]:
    """(kind, folder) -> what decided that it is in use; empty where a damaged release keeps it from being known."""
    found: dict[tuple[str, Path], str] = {}
    with contextlib.suppress(RefusedError, SourceNotFoundError):
        found |= {(kind, one.release.folder): one.decided_by for kind, one in releases_in_use(settings, store).items()}
    if store is not None:
        with contextlib.suppress(RefusedError, SourceNotFoundError):
            for one in prognosis_in_use(settings, store).values():
                found[PROGNOSIS, one.release.folder] = one.decided_by
    return found


def _history(store: Store | None) -> Sequence[Mapping[str, Any]]:
    return [] if store is None else sorted(store.table("promotions").to_pylist(), key=lambda row: int(row["number"]))


def _copy(folder: Path, target: Path) -> str:
    """Copy a release so that a killed copy leaves none behind; returns its digest. What was copied is checked again."""
    part = target.parent.parent / f".part.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    try:
        part.mkdir(parents=True)
        for path in sorted(folder.iterdir()):
            shutil.copyfile(path, part / path.name)
        problems = problems_of(part)
        if problems:
            raise RefusedError(f"{folder} changed while it was copied: {problems[0]}; try again")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.rename(target)
    except LongdermError:
        raise
    except OSError:
        raise AccessError(f"{target.parent} cannot be written to; change its owner, or make room") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return digest_of(target)


def _record(
    store: Store,
    action: str,
    kind: str,
    before: tuple[str, str] | None,
    after: tuple[str, str] | None,
    to_default: bool,
    who: Who,
) -> dict[str, Any]:
    from importlib.metadata import version

    number = max((int(row["number"]) for row in _history(store)), default=0) + 1
    row = {
        "number": number,
        "action": action,
        "release_kind": kind,
        "from_release": before[0] if before else None,
        "from_digest": before[1] if before else None,
        "to_release": after[0] if after else None,
        "to_digest": after[1] if after else None,
        "to_default": to_default,
        "reason": " ".join(who.reason.split()),
        "decided_by": " ".join(who.name.split()),
        "as_of": who.as_of,
        "longderm_version": version("longderm"),
    }
    schema = TABLES["promotions"].schema
    schema = schema.remove(schema.get_field_index("recorded_at"))
    store.append("promotions", pa.Table.from_pylist([row], schema=schema), f"registry-{number}")
    return row | {"as_of": who.as_of.isoformat()}
