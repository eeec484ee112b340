"""What a scored pair costs beside the sum of its parts timed alone: two photos measured, one alignment, two looks.

CPU seconds on one thread; the least of some runs counts, since what else the machine does only adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from longderm.bench.change_pairs import STABLE, ChangeSpec, pair_of_photo, usable_photos
from longderm.bench.registration_pairs import checked_folder
from longderm.models import load_release
from longderm.photo import Photo
from longderm.settings import PACKAGED_VERSIONS
from longderm.threads import one_thread

#: A scored pair costs at most so many times the sum of its parts.
MOST_RATIO = 1.15


def run(out: Path, photos: str, pairs: int = 4, repeats: int = 3, seed: int = 1, release: str = "") -> dict[str, Any]:
    """Time `pairs` pairs over photos of split val of the ISIC-layout folder `photos`; prints a table.

    repeats: runs of which the least counts; release: version of the change release, the packaged one if not given. The
    network looks at prepared crops, in as many views as in use; a pair that is refused counts with what it cost.
    """
    folder = checked_folder(Path(photos))
    chosen = load_release("change", release or PACKAGED_VERSIONS["change"])
    names, _, _ = usable_photos(folder, "val")
    drawn = np.random.default_rng([seed, 9]).permutation(names)[:pairs]
    with one_thread():
        made = [pair_of_photo(ChangeSpec(STABLE, n, seed), str(name), folder) for n, name in enumerate(drawn)]
        timed = [_time(Photo.from_array(p.baseline), Photo.from_array(p.followup), chosen, repeats) for p in made]
    seconds = {part: round(float(np.mean([one[part] for one in timed])), 4) for part in timed[0]}
    whole = seconds.pop("scored pair")
    ratio = round(whole / sum(seconds.values()), 3)
    for part, spent in (*seconds.items(), ("scored pair", whole)):
        print(f"{part:<26} {1000 * spent:8.0f} ms")
    print(f"{'scored pair / parts':<26} {ratio:8.3f}  (at most {MOST_RATIO})")
    return {"release": chosen.name, "parts": seconds, "scored_pair": whole, "ratio": ratio, "pairs": len(made)}


def _time(first: Photo, second: Photo, release: Any, repeats: int) -> dict[str, float]:
    """CPU seconds of each part of a pair alone, and of the pair."""
    from longderm.change import score_change
    from longderm.change.appearance import appearance_network, compare_appearance
    from longderm.change.crops import cut_crops
    from longderm.imaging import Segmentation, measure, segment
    from longderm.registration import align, prepare

    photos = first, second
    masks = segment(first), segment(second)

    def measured() -> tuple[Segmentation, ...]:
        drawn = tuple(segment(photo) for photo in photos)
        for photo, mask in zip(photos, drawn, strict=True):
            measure(photo, mask)
        return drawn

    def aligned() -> Any:
        return align(prepare(first, masks[0]), prepare(second, masks[1]))

    ways: dict[str, Callable[[], Any]] = {"two photos measured": measured, "one alignment": aligned}
    network, matrix = appearance_network(release), aligned().matrix
    if network is not None and matrix is not None:
        crops = cut_crops((first.pixels, second.pixels), (masks[0].mask, masks[1].mask), np.asarray(matrix))
        ways["two looks of the network"] = lambda: compare_appearance(crops, network)
    ways["scored pair"] = lambda: score_change(first, second, release=release)
    return {name: _least(way, repeats) for name, way in ways.items()}


def _least(way: Callable[[], Any], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        way()
        spent.append(time.process_time() - started)
    return min(spent)
