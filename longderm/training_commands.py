"""`longderm train`: networks on a folder of photos, or the weights of the score on a clinic's own labelled pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from longderm.command_options import AsJson, print_summary
from longderm.errors import UsageError
from longderm.site_commands import Labels, NewVersion, train_on_site

train = App(name="train", help="Train a network on a folder of photos, on the CPU or a GPU.")


@train.command
def segmentation(
    folder: Path,
    *,
    out: Path,
    passes: int = 110,
    seed: int = 0,
    held_share: float = 0.125,
    simulated_patients: int = 40,
    device: str = "auto",
    threads: int = 0,
    json_: AsJson = False,
) -> None:
    """Train the networks that draw outlines and see structures; call it again to go on after an interruption.

    Parameters
    ----------
    folder
        images/, masks/, index.csv (isic_id, split, a column per structure); structures/ where there are marks.
    out
        Folder for checkpoints, logs and, at the end, the release.
    passes
        How often each photo of split "train" is seen.
    seed
        The same seed gives the same weights on the same kind of machine.
    held_share
        Share of the train photos that is kept out to calibrate by.
    simulated_patients
        Simulated patients whose photos are mixed in; 0 for none.
    device
        auto, cpu or cuda.
    threads
        Threads of the CPU; 0 means one per core.
    """
    from longderm.training.lesion import train_segmentation
    from longderm.training.segmentation import TrainingSettings

    settings = TrainingSettings(seed=seed, passes=passes, held_share=held_share, simulated_patients=simulated_patients)
    summary = train_segmentation(folder, out, settings, device, threads, progress=not json_)
    print_summary(summary, json_, f"Release: {summary['release']}")


@train.command
def border(
    folder: Path,
    *,
    out: Path,
    base: str = "",
    passes: int = 10,
    simulated: int = 2500,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    json_: AsJson = False,
) -> None:
    """Train the network that draws borders anew around a release's outlines; call it again to go on.

    Parameters
    ----------
    folder
        images/, masks/, index.csv (isic_id, split).
    out
        Folder for examples, checkpoint, log and, at the end, the release.
    base
        Version of the segmentation release that draws the coarse outlines; by default the packaged one.
    passes
        How often each photo is seen.
    simulated
        Simulated lesions of all kinds beside the real ones; half as many more are of kinds that are hard to outline.
    seed
        The same seed gives the same weights on the same kind of machine.
    device
        auto, cpu or cuda.
    threads
        Threads of the CPU; 0 means one per core.
    """
    from longderm.imaging.segmentation import DEFAULT_VERSION
    from longderm.models import load_release
    from longderm.training.border import BorderSettings, train_border

    drawing = load_release("segmentation", base or DEFAULT_VERSION)
    settings = BorderSettings(seed, passes, simulated=simulated, release=drawing.name, digest=drawing.digest)
    summary = train_border(folder, out, drawing, settings, device, threads, progress=not json_)
    print_summary(summary, json_, f"Release: {summary['release']}")


@train.command
def change(
    folder: Path | None = None,
    *,
    out: Path,
    store: Annotated[str | None, Parameter(name="--store", help="Fit to a store's own labelled pairs instead.")] = None,
    labels: Labels = None,
    release: NewVersion = None,
    passes: int = 40,
    rounds: int = 4,
    simulated_patients: int = 40,
    start: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    json_: AsJson = False,
) -> None:
    """Train the network that compares both photos of a pair; call it again to go on after an interruption.

    With --start and --passes 0: fit the reasons that it names, nothing else; with --release as a release of its own.
    With --store and --labels: fit the weights of the score to a site's own pairs; refused (3) where nobody gains.

    Parameters
    ----------
    folder
        images/, masks/, index.csv (isic_id, split); its photos of split "train" are taken twice in software.
    out
        Folder for the checkpoint, the log and, at the end, the weights; with --store a new one for the release.
    passes
        Times that the run goes through the photos; it is saved after each. 0: only the reasons of --start are fitted.
    rounds
        Pairs made of each photo in a pass.
    simulated_patients
        Simulated patients whose lesions are mixed in; 0 for none.
    start
        Folder "change" of an earlier run, or a release: its network is trained on, at full size; give another seed.
    seed
        The same seed gives the same weights on the same kind of machine.
    device
        auto, cpu or cuda.
    threads
        Threads of the CPU; 0 means one per core.
    """
    if folder is None or store is not None or labels is not None:
        if start is not None:
            raise UsageError("--start belongs to training on a folder of photos, not to --store and --labels")
        train_on_site(folder, store, labels, out, release, json_)
        return
    from longderm.training.change import ChangeSettings, train_change
    from longderm.training.change_release import release_with_reasons, require_base

    if release is not None:
        # Before minutes are spent on a network.
        if passes:
            raise UsageError("--release belongs to --passes 0; longderm bench noise makes that of a network trained on")
        require_base(start, out, release)
    settings = ChangeSettings(seed=seed, passes=passes, rounds=rounds, simulated_patients=simulated_patients)
    summary = train_change(folder, out, settings, device, threads, progress=not json_, start=start)
    text = f"Network: {summary['network']}"
    if release is not None and start is not None:
        written = release_with_reasons(start, Path(summary["network"]), out, release)
        summary |= {"release": str(written)}
        text += f"\nRelease: {written}"
    print_summary(summary, json_, text)


@train.command
def encoder(
    folder: Path,
    *,
    out: Path,
    passes: int = 60,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    json_: AsJson = False,
) -> None:
    """Train the default encoder without labels; call it again to go on after an interruption.

    Parameters
    ----------
    folder
        images/, masks/, index.csv (isic_id, split); of its photos of split "train" two views each are compared.
    out
        Folder for the checkpoint, the log and, at the end, the weights, which `load_encoder` takes.
    passes
        Times that the run goes through the photos; it is saved after each.
    seed
        The same seed gives the same weights on the same kind of machine.
    device
        auto, cpu or cuda.
    threads
        Threads of the CPU; 0 means one per core.
    """
    from longderm.training.encoder import EncoderSettings, train_encoder

    settings = EncoderSettings(seed=seed, passes=passes)
    summary = train_encoder(folder, out, settings, device, threads, progress=not json_)
    print_summary(summary, json_, f"Encoder: {summary['encoder']}")
