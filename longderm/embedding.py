"""`longderm embed`: a table with one vector a photo, of a folder or of a store, for whoever fits models to it.

The vectors' columns are e0, e1, ... as the metastasis models of `longderm.prognosis` read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longderm.errors import AccessError, LongdermError, UnusablePhotoError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from longderm.models.encoder import Encoder
    from longderm.photo import Photo
    from longderm.settings import Settings
    from longderm.store import Store

#: Photos read before they go through the network together.
_AT_ONCE = 32
#: What identifies a photo of a store besides its id.
_OF_STORE = ("photo_id", "patient_id", "lesion_id", "acquisition_day", "modality")

Identity = dict[str, Any]


def embed_photos(
    source: Path,
    out: Path,
    settings: Settings,
    weights: str | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write the vectors of all close-up photos of `source` to `out`, a Parquet file; returns a summary.

    source: a store, whose photos are named by their pseudonyms and sorted by them, or a folder, whose photos are named
    by their paths within it, as `photo` (an identity, where the paths hold one). weights: for `load_encoder`; by
    default the encoder in use. Columns: what names the photo, `encoder` (release or file), `encoder_sha256`, e0 to eD
    float32. Photos that cannot be read are counted under `left_out` by reason. Raises UsageError where no photo can be
    read or `out` is no .parquet, AccessError where it cannot be written, and what `load_encoder` raises.
    """
    import numpy as np
    import pyarrow.parquet as pq
    import torch

    from longderm.models.encoder import load_encoder
    from longderm.store import Store

    if out.suffix != ".parquet":
        raise UsageError("--out must name a .parquet file")
    store = Store(source) if (source / "longderm.json").is_file() else None
    encoder = load_encoder(weights, device=device, registry=settings.registry_dir, store=store)
    left_out: Counter[str] = Counter()
    named, vectors, waiting = [], [], []
    for identity, photo in _photos(source, store, settings, left_out, progress):
        named.append(identity)
        waiting.append(encoder.preprocess(photo))
        if len(waiting) == _AT_ONCE:
            vectors.append(encoder.embed(torch.stack(waiting)).cpu().numpy())
            waiting = []
    if waiting:
        vectors.append(encoder.embed(torch.stack(waiting)).cpu().numpy())
    if not named:
        raise UsageError("SOURCE holds no close-up photo that can be read; nothing is written")
    table = _table(named, np.concatenate(vectors), encoder)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part")
        pq.write_table(table, part, compression="zstd")
        part.replace(out)
    except OSError:
        raise AccessError(f"{out} cannot be written; check the folder's owner and room") from None
    return {
        "out": str(out),
        "photos": len(named),
        "left_out": dict(sorted(left_out.items())),
        "encoder": encoder.name,
        "values": table.num_columns - len(named[0]) - 2,
    }


def _photos(
    source: Path,
    store: Store | None,
    settings: Settings,
    left_out: Counter[str],
    progress: Callable[[int, int], None],
) -> Iterator[tuple[Identity, Photo]]:
    """What names a photo, and the photo; in a fixed order."""
    reads = _in_folder(source, settings) if store is None else _in_store(store, source, settings)
    for number, (identity, read) in enumerate(reads):
        try:
            yield identity, read()
        except UnusablePhotoError as error:
            left_out[error.reason] += 1
        except (LongdermError, OSError):
            left_out["unavailable"] += 1
        progress(number + 1, len(reads))


def _in_folder(source: Path, settings: Settings) -> list[tuple[Identity, Callable[[], Photo]]]:
    from functools import partial

    from longderm.archive import SourceSpec, read_photo
    from longderm.archive.source import walk

    files = [file for file in walk(SourceSpec.open(source)) if file.kind == "file"]
    return [({"photo": file.relative}, partial(read_photo, file.path, settings.max_megapixels)) for file in files]


def _in_store(store: Store, source: Path, settings: Settings) -> list[tuple[Identity, Callable[[], Photo]]]:
    from functools import partial

    from longderm.archive import LinkTable, live_photos
    from longderm.stages.place import Place
    from longderm.stages.run import link_folder

    folder = link_folder(source, settings)
    store.require_key(LinkTable.open(folder).key_id)
    place = Place(str(store.root), str(folder), settings)
    rows = live_photos(store.current("photos"), store.current("files")).to_pylist()
    closer = sorted((row for row in rows if row["modality"] != "total_body"), key=lambda row: str(row["photo_id"]))
    return [({name: row[name] for name in _OF_STORE}, partial(place.read, row)) for row in closer]


def _table(named: list[Identity], vectors: NDArray[Any], encoder: Encoder) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {name: [row[name] for row in named] for name in named[0]}
    columns["encoder"] = pa.array([encoder.name] * len(named), pa.string())
    columns["encoder_sha256"] = pa.array([encoder.digest] * len(named), pa.string())
    columns |= {f"e{number}": pa.array(vectors[:, number], pa.float32()) for number in range(vectors.shape[1])}
    return pa.table(columns)
