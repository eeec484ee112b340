"""Which release of each kind is used: what the settings name, else what the store promoted, else the packaged one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longderm.errors import LongdermError, RefusedError
from longderm.models.promotions import Promoted, standing
from longderm.models.releases import Release, load_release, packaged_registry
from longderm.settings import PACKAGED_VERSIONS, Settings
from longderm.store import Store

#: The kind of release that comes from clinics only: nothing is packaged, and each form has one in use.
PROGNOSIS = "prognosis"
#: What decided that a release is used.
BY_SETTING, BY_PROMOTION, BY_DEFAULT = "setting", "promotion", "packaged"


@dataclass(frozen=True)
class InUse:
    """A release in use, what decided so, and the digest under which it was approved.

    approved_digest: of a release of the registry its own, of one that was added to the store the one it was promoted
    with; None where it does not stand promoted.
    """

    release: Release
    decided_by: str
    approved_digest: str | None


def releases_in_use(
    settings: Settings, store: Store | None = None, kinds: Iterable[str] = tuple(PACKAGED_VERSIONS)
) -> dict[str, InUse]:
    """Kind -> the release that is used, sorted by kind.

    Raises SourceNotFoundError for a release that is not there, RefusedError for one whose files are not those that
    were released or promoted.
    """
    history = [] if store is None else store.table("promotions").to_pylist()
    roots = registry_roots(settings, store)
    return {kind: _in_use(kind, settings, history, roots) for kind in sorted(kinds)}


def prognosis_in_use(settings: Settings, store: Store) -> dict[str, InUse]:
    """Form ("survival", "landmark" ...) -> the release of kind prognosis that a store predicts with where none is
    named: of each form the one that was promoted last. None comes with longderm, so a form may be missing.

    Raises RefusedError for a promoted release that is gone or has other files.
    """
    roots = registry_roots(settings, store)
    used: dict[str, InUse] = {}
    for promoted in standing(store.table("promotions").to_pylist(), PROGNOSIS):
        release = _find_promoted(promoted, PROGNOSIS, roots)
        used[form_of(release)] = InUse(release, BY_PROMOTION, promoted.digest)
    return used


def form_of(release: Release) -> str:
    """The form of a release of kind prognosis; the first ones did not tell theirs."""
    return str(release.config.get("form", "survival"))


def approved_digest(release: Release, settings: Settings, store: Store) -> str | None:
    """The digest under which a release is approved: its own in the registry, else the one it stands promoted with;
    None where nobody promoted it.
    """
    if release.folder.parent.parent == registry_roots(settings, store)[0]:
        return release.digest
    stack = standing(store.table("promotions").to_pylist(), release.kind)
    approved = [promoted.digest for promoted in stack if promoted.name == release.name]
    return approved[-1] if approved else None


def registry_roots(settings: Settings, store: Store | None) -> tuple[Path, ...]:
    """The folders in which releases are looked for: the registry, then what was added to the store."""
    registry = settings.registry_dir if settings.registry_dir is not None else packaged_registry()
    return (registry,) if store is None else (registry, store.releases_folder)


def _in_use(kind: str, settings: Settings, history: Sequence[Mapping[str, Any]], roots: Sequence[Path]) -> InUse:
    stack = standing(history, kind)
    named: str | None = getattr(settings, f"{kind}_version")
    if named is not None:
        release = find_release(kind, named, roots)
        if release.folder.parent.parent == roots[0]:
            return InUse(release, BY_SETTING, release.digest)
        approved = [promoted.digest for promoted in stack if promoted.name == release.name]
        return InUse(release, BY_SETTING, approved[-1] if approved else None)
    if stack:
        return InUse(_find_promoted(stack[-1], kind, roots), BY_PROMOTION, stack[-1].digest)
    release = load_release(kind, PACKAGED_VERSIONS[kind], roots[0])
    return InUse(release, BY_DEFAULT, release.digest)


def find_release(kind: str, version: str, roots: Sequence[Path]) -> Release:
    """The release of a name in the first registry that holds it. Raises as `load_release`."""
    held = [root for root in roots if (root / kind / version).is_dir()]
    return load_release(kind, version, held[0] if held else roots[0])


def _find_promoted(promoted: Promoted, kind: str, roots: Sequence[Path]) -> Release:
    """The very files that were promoted: another release may have come to bear their name."""
    version = promoted.name.partition("/")[2]
    problem = "is not there any more"
    for root in roots:
        if not (root / kind / version).is_dir():
            continue
        try:
            release = load_release(kind, version, root)
        except LongdermError as error:
            problem = str(error).removeprefix(f"release {promoted.name}: ").removesuffix("; restore the release")
            continue
        if release.digest == promoted.digest:
            return release
        problem = "has other files than those that were promoted"
    raise RefusedError(
        f"release {promoted.name}, promoted in this store: {problem}; "
        f"restore it, or go back by `longderm registry rollback {kind}`"
    )
