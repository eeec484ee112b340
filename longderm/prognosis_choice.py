"""Which model predicts: the folder or release that a person names, else the one that a store promoted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longderm.errors import RefusedError, SourceNotFoundError, UsageError
from longderm.models.releases import split_name
from longderm.prognosis_release import Form, require_name
from longderm.settings import Settings


@dataclass(frozen=True)
class ChosenModel:
    """A model to predict with: its folder, and whether it is approved, as governance takes it (`PrognosisFacts`).

    approved: True for a release of the registry and one that stands promoted in the store, with the digest that was
    approved; False for one of the store that does not; None for a folder.
    """

    folder: Path
    approved: bool | None = None
    approved_digest: str | None = None


def choose_model(model: Path | None, store: str | None, settings: Settings, form: Form) -> ChosenModel:
    """The model that is named, by its folder or as `prognosis/VERSION` of a store; where none is, the one of this form
    that was promoted last in the store.

    Raises SourceNotFoundError, RefusedError, UsageError for a name that is none, or where neither model nor store is
    named.
    """
    if model is not None and (store is None or model.is_dir()):
        return ChosenModel(model)
    if store is None:
        raise UsageError("which model? name its folder by --model, or a store by --store where one is promoted")
    from longderm.models.in_use import approved_digest, find_release, prognosis_in_use, registry_roots
    from longderm.store import Store

    opened = Store(store)
    if model is None:
        used = prognosis_in_use(settings, opened).get(form)
        if used is None:
            raise RefusedError(
                f"no {form} model is promoted in this store; name one, or `longderm registry promote` it first"
            )
        return ChosenModel(used.release.folder, True, used.approved_digest)
    name = model.as_posix()
    try:
        require_name(name)
    except UsageError:
        raise SourceNotFoundError(f"{name} is no folder and no release; name a folder, or prognosis/VERSION") from None
    kind, version = split_name(name)
    release = find_release(kind, version, registry_roots(settings, opened))
    approved = approved_digest(release, settings, opened)
    return ChosenModel(release.folder, approved is not None, approved)
