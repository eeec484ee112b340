"""`longderm registry`: which released models there are, whether they are what they were, and which one a store uses."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from longderm.command_options import AsJson, AsOf, StoreUri, print_summary, read_settings
from longderm.errors import RefusedError

if TYPE_CHECKING:
    from longderm.models.registry import Who
    from longderm.settings import Settings
    from longderm.store import Store

registry = App(
    name="registry",
    help="Released models: list, show, verify; add one to a store, promote it there, roll back. A release that a "
    "setting names (LONGDERM_CHANGE_VERSION and the like) wins over one that is promoted.",
)

SomeStore = Annotated[str | None, Parameter(name="--store", help="Folder of a store, whose releases count too.")]
Reason = Annotated[str, Parameter(name="--reason", help="Why, in words; kept with the decision.")]
By = Annotated[str | None, Parameter(name="--by", help="Who decides; default: the account this runs under.")]


@registry.command(name="list")
def list_(*, store: SomeStore = None, json_: AsJson = False) -> None:
    """List every release with its state (in use, promoted, added, packaged, damaged) and a few figures."""
    from longderm.models.registry import list_registry

    settings = read_settings(None)
    rows = list_registry(settings, _open(store))
    lines = [
        f"{row['release']:<26} {row['state'] + (f' ({by})' if (by := row['by']) else ''):<20} {row['place']:<9}"
        + ", ".join(f"{name} {_figure(value)}" for name, value in row["figures"].items())
        for row in rows
    ]
    print_summary({"releases": rows}, json_, "\n".join(line.rstrip() for line in lines))


@registry.command
def show(release: str, *, store: SomeStore = None, json_: AsJson = False) -> None:
    """Show a release: what its card says, its figures, the hashes of its files, and what was decided on it.

    Parameters
    ----------
    release
        KIND/VERSION, such as change/0.1.0.
    """
    from longderm.models.registry import show_release

    shown = show_release(release, read_settings(None), _open(store))
    lines = [shown["release"], shown["summary"], ""]
    lines += [f"{name}: {_figure(value)}" for name, value in shown["headline"].items()]
    lines += ["", *(f"{digest}  {name}" for name, digest in shown["hashes"].items()), f"digest {shown['digest']}"]
    lines += [_decision(row) for row in shown["decisions"]]
    print_summary(shown, json_, "\n".join(lines))


@registry.command
def verify(*, store: SomeStore = None, json_: AsJson = False) -> None:
    """Hash every file of every release again; exits 3 and names what was tampered with, is missing or was added."""
    from longderm.models.registry import verify_registry

    found = verify_registry(read_settings(None), _open(store))
    problems = found["problems"]
    print_summary(found, json_, "\n".join([*problems, f"{found['checked']} releases, {len(problems)} problems"]))
    if problems:
        raise RefusedError(f"registry: {problems[0]}" + (f", and {len(problems) - 1} more" if problems[1:] else ""))


@registry.command
def add(
    folder: Path,
    *,
    store: StoreUri,
    reason: Reason = "added",
    by: By = None,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Copy a release that was made elsewhere into a store, once its files, card, config and weights are found sound.

    Parameters
    ----------
    folder
        Folder with config.json, card.md (its title is KIND/VERSION), figures.json, hashes.json and weights.
    """
    from longderm.models.registry import add_release

    settings, opened = read_settings(as_of), _open(store)
    assert opened is not None
    _require_readable(folder)
    row = add_release(folder, settings, opened, _who(by, reason, settings))
    print_summary(row, json_, f"{row['to_release']} added; `longderm registry promote` makes it the one in use")


@registry.command
def promote(
    release: str, *, store: StoreUri, reason: Reason, by: By = None, as_of: AsOf = None, json_: AsJson = False
) -> None:
    """Make a release the one that the stages of a store use; the next run works on what hangs on it.

    Parameters
    ----------
    release
        KIND/VERSION, such as change/0.1.0.
    """
    from longderm.models.registry import promote_release

    settings, opened = read_settings(as_of), _open(store)
    assert opened is not None
    row = promote_release(release, settings, opened, _who(by, reason, settings))
    print_summary(row, json_, _moved(row))


@registry.command
def rollback(
    kind: str, *, store: StoreUri, reason: Reason, by: By = None, as_of: AsOf = None, json_: AsJson = False
) -> None:
    """Go back to the release before the one that was promoted last; nothing is computed anew.

    Parameters
    ----------
    kind
        Kind of release: segmentation, quality, change or prognosis.
    """
    from longderm.models.registry import roll_back

    settings, opened = read_settings(as_of), _open(store)
    assert opened is not None
    row = roll_back(kind, settings, opened, _who(by, reason, settings))
    print_summary(row, json_, _moved(row))


def _require_readable(folder: Path) -> None:
    """A prognosis release must be one that predictions can be made from. Raises RefusedError where it is not."""
    from longderm.models.kinds import card_title

    if (card_title(folder) or "").startswith("prognosis/"):
        from longderm.metastasis_release import FORM, read_metastasis_release
        from longderm.prognosis_release import read_prognosis_release, read_release_files

        _, config, _ = read_release_files(folder)
        (read_metastasis_release if config.get("form") == FORM else read_prognosis_release)(folder)


def _open(store: str | None) -> Store | None:
    from longderm.store import Store

    return None if store is None else Store(store)


def _who(by: str | None, reason: str, settings: Settings) -> Who:
    import getpass

    from longderm.models.registry import Who

    if by is None:
        try:
            by = getpass.getuser()
        except (KeyError, OSError):  # an account without a name, as in a container
            by = "unknown account"
    return Who(by, reason, settings.as_of or date.today())


def _moved(row: dict[str, Any]) -> str:
    text = f"{row['from_release'] or 'none'} -> {row['to_release'] or 'none'}"
    if row["overridden_by_setting"]:
        text += f"; a setting names {row['overridden_by_setting']}, which is used all the same"
    return text


def _decision(row: dict[str, Any]) -> str:
    before = f"{row['from_release']} -> " if row["from_release"] else ""
    return (
        f"{row['as_of']} {row['action']} {before}{row['to_release'] or 'none'} by {row['decided_by']}: {row['reason']}"
    )


def _figure(value: Any) -> str:
    return f"{value[0]} [{value[1]}, {value[2]}]" if isinstance(value, list) and len(value) == 3 else str(value)
