"""Skin tone, area and asymmetry of simulated lesions against what is true of them, and the time that a photo takes.

Every kind of lesion is drawn equally often, up to two years into its course, with borders so rough that their
asymmetries spread as those of experts' outlines do (0.03 to 0.13 from the 5th to the 95th percentile over 145 train
photos of ISIC 2018 that hold all of the lesion). What counts as true:

- area: that within the visible border (`longderm.training.visible_border`): where experts draw on real photos. Border
  networks are taught on such, of other lesions. Beside it, that of the rendered mask, which is what the lesion's course
  says: it keeps an area, whether or not its edge can be seen;
- skin tone (ITA): the same scene, in the same light, by the same camera, with nothing lying on it, in the ring of the
  true mask. That is the angle of the photo as rendered in sRGB under D65, which `skin_tone` measures. The skin's own
  angle (its reflectance under D65, without light and camera) cannot be told from one photo: the distance to it is
  reported, and how often `ita_error_deg` covers it;
- asymmetry of shape: the mask folded pixel by pixel about axes through its centre, by other code than is measured; the
  rendered one, and the one within the visible border;
- asymmetry of colour: the same measure, of the true mask in the photo with nothing lying on the skin.

Tone and asymmetry are read within the true mask, and within the one that `segment` draws. Intervals are 95%, from
resampling photos.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longderm.bench.looks_time import print_times, time_parts
from longderm.bench.photos import read_release
from longderm.bench.stated_errors import THIRDS, StatedErrors
from longderm.bench.statistics import bootstrap_interval, wilson
from longderm.imaging import Segmentation, field_of_view, measure, segment
from longderm.imaging.artefacts import find_artefacts
from longderm.imaging.candidates import ring_around
from longderm.imaging.colour import srgb_to_linear
from longderm.imaging.lesion_looks import describe
from longderm.imaging.skin_tone import skin_tone
from longderm.models import Release
from longderm.photo import Photo
from longderm.simulate.close_up import CloseUp
from longderm.threads import one_thread
from longderm.training.visible_border import draw_scene, visible_border

#: Axes about which a true mask is folded, over half a turn.
_AXES = 30
#: An angle nearer to the true one than this (degrees) is right.
RIGHT_WITHIN_DEG = 2.0
#: Ranks of fewer photos say nothing.
_MIN_RANKED = 3


@dataclass(frozen=True)
class Read:
    """What is read within one mask: ITA with its error (degrees), asymmetries; NaN for what could not be read."""

    ita_deg: float
    ita_error_deg: float
    asymmetry_shape: float
    asymmetry_colour: float


@dataclass(frozen=True)
class Row:
    """One photo: truth, what is read within the true and the drawn mask (None: none drawn), the area's error, the error
    that is stated of it; the error of the area within the visible border, and that border's asymmetry."""

    kind: str
    quality: str
    ita_deg: float
    skin_ita_deg: float
    asymmetry_shape: float
    asymmetry_colour: float
    true_mask: Read
    drawn_mask: Read | None
    area_error: float
    stated_error: float | None = None
    visible_area_error: float = float("nan")
    visible_asymmetry_shape: float = float("nan")


def run(out: Path, photos: int = 110, seed: int = 11, release: str = "") -> dict[str, Any]:
    """Measure `photos` simulated photos; prints a table. `out` is the folder of the report.

    release: version of the segmentation that draws the masks, or folder of one that is not in the registry.
    """
    del out
    used = read_release(release)
    with one_thread():
        rows = [read_row(draw_scene(seed, number), used) for number in range(photos)]
        good = [row for row in rows if row.quality == "good"]
        result: dict[str, Any] = {
            "source": f"simulated, seed {seed}",
            "release": used.name,
            "good": summarise(good),
            "good_areas": summarise_areas(good),
            "all": summarise(rows),
            "area_error_median_by_kind": _by_kind(rows),
            "cpu_seconds": time_parts(used, seed),
        }
    _print(result)
    return result


def read_row(drawn: CloseUp, release: Release) -> Row:
    """Read one simulated photo, and its truth."""
    from longderm.simulate.render import render
    from longderm.simulate.skin import reflect, skin_chromophores

    photo = Photo.from_array(drawn.pixels)
    bare = replace(drawn.shot, artefacts={})
    clean = render(drawn.skin, drawn.looks, drawn.history, drawn.state, bare, 0.0).pixels
    shot = drawn.shot
    melanin, blood, _ = skin_chromophores(drawn.skin, shot.seed, shot.matrix, shot.size, 0.0, shot.px_per_mm)
    ring, _ = ring_around(drawn.mask, np.ones(drawn.mask.shape, dtype=np.bool_))
    ring &= field_of_view(photo)
    seen = skin_tone(srgb_to_linear(clean), ring)
    own = skin_tone(reflect(melanin, blood), ring)
    outlined, visible = segment(photo, release), visible_border(drawn)
    true = Segmentation(drawn.mask, 1.0, True, None, False, "simulated")
    return Row(
        kind=drawn.history.kind,
        quality=shot.quality,
        ita_deg=_known(seen.ita_deg if seen is not None else None),
        skin_ita_deg=_known(own.ita_deg if own is not None else None),
        asymmetry_shape=folded(drawn.mask),
        asymmetry_colour=_known(measure(Photo.from_array(clean), true).asymmetry_colour),
        true_mask=_read(photo, true),
        drawn_mask=_read(photo, outlined) if outlined.found else None,
        area_error=_area_error(outlined, drawn.mask),
        stated_error=outlined.area_error,
        visible_area_error=_area_error(outlined, visible),
        visible_asymmetry_shape=folded(visible),
    )


def _area_error(outlined: Segmentation, mask: NDArray[np.bool_]) -> float:
    return float(outlined.mask.sum()) / float(mask.sum()) - 1 if outlined.found else float("nan")


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Figures over photos, with 95% intervals; errors of the area are those of found lesions."""
    missed = sum(row.drawn_mask is None for row in rows)
    area = np.abs([row.area_error for row in rows])
    figures: dict[str, Any] = {
        "photos": len(rows),
        "no_lesion_found": missed,
        "no_lesion_found_interval": wilson(missed, len(rows)),
        "area_bias_median": _figure([row.area_error for row in rows], 50),
        **_percentiles("area_error", area),
        **_percentiles("visible_area_error", np.abs([row.visible_area_error for row in rows])),
    }
    truth = {name: _column(rows, name) for name in ("ita_deg", "skin_ita_deg", "asymmetry_shape", "asymmetry_colour")}
    for which in ("true_mask", "drawn_mask"):
        reads = [getattr(row, which) for row in rows]
        read = {name: _column(reads, name) for name in Read.__annotations__}
        angle = _turn(read["ita_deg"] - truth["ita_deg"])
        own = _turn(read["ita_deg"] - truth["skin_ita_deg"])
        known = angle[np.isfinite(angle)]
        within = int((known <= RIGHT_WITHIN_DEG).sum())
        own_known = np.isfinite(own)
        covered = int((own <= 1.96 * read["ita_error_deg"])[own_known].sum())
        figures[which] = {
            **_percentiles("ita_off_deg", angle),
            "ita_within_2_deg": round(within / known.size, 4) if known.size else None,
            "ita_within_2_deg_interval": wilson(within, int(known.size)),
            **_percentiles("ita_off_skin_itself_deg", own),
            "ita_stated_error_covers_skin_itself": round(covered / max(1, int(own_known.sum())), 4),
            **_ranks("asymmetry_shape", read["asymmetry_shape"], truth["asymmetry_shape"]),
            **_ranks("asymmetry_colour", read["asymmetry_colour"], truth["asymmetry_colour"]),
        }
    drawn = _column((row.drawn_mask for row in rows), "asymmetry_shape")
    figures |= _ranks("visible_asymmetry_shape", drawn, _column(rows, "visible_asymmetry_shape"))
    figures["true_ita_range_deg"] = [_figure(truth["ita_deg"], 0), _figure(truth["ita_deg"], 100)]
    figures["true_asymmetry_shape_p5_p95"] = [_figure(truth["asymmetry_shape"], share) for share in (5, 95)]
    return figures


def summarise_areas(rows: list[Row]) -> dict[str, Any]:
    """How areas do by the error that is stated of them, in thirds of the photos, the surest first."""
    errors = StatedErrors.of((row.stated_error, row.area_error) for row in rows)
    figures: dict[str, Any] = {"photos": errors.stated.size}
    if errors.stated.size < len(THIRDS) * _MIN_RANKED:
        return figures
    figures["covered"], figures["covered_interval"] = errors.coverage()
    for name, part in errors.thirds().items():
        figures[name] = {
            "stated_error_most": _figure(part.stated, 100),
            **_percentiles("area_error", np.abs(part.off)),
        }
    return figures


def folded(mask: NDArray[np.bool_]) -> float:
    """Least mean, over two axes at right angles, of the share of a mask that does not meet its mirror image."""
    import cv2

    rows, columns = np.nonzero(mask)
    x, y = float(columns.mean()), float(rows.mean())
    # All of the mask's mirror images lie within its greatest distance from the centre.
    reach = int(np.hypot(columns - x, rows - y).max()) + 2
    plane = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    plane[rows - round(y) + reach, columns - round(x) + reach] = 1
    centre = np.array([x - round(x) + reach, y - round(y) + reach])
    shares = []
    for axis in range(_AXES):
        double = 2 * np.pi * axis / _AXES
        mirror = np.array([[np.cos(double), np.sin(double)], [np.sin(double), -np.cos(double)]])
        matrix = np.column_stack([mirror, centre - mirror @ centre])
        image = cv2.warpAffine(plane, matrix, plane.shape[::-1], flags=cv2.INTER_LINEAR)
        shares.append(1 - float(np.minimum(image, plane).sum()) / float(plane.sum()))
    half = _AXES // 2
    return max(0.0, min((shares[axis] + shares[axis + half]) / 2 for axis in range(half)))


def _read(photo: Photo, outlined: Segmentation) -> Read:
    artefacts = find_artefacts(photo.pixels)
    tone = describe(photo, outlined, artefacts).tone
    measured = measure(photo, outlined, artefacts)
    return Read(
        ita_deg=_known(tone.ita_deg if tone is not None else None),
        ita_error_deg=_known(tone.ita_error_deg if tone is not None else None),
        asymmetry_shape=_known(measured.asymmetry_shape),
        asymmetry_colour=_known(measured.asymmetry_colour),
    )


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _column(rows: Iterable[Any], name: str) -> NDArray[np.float64]:
    return np.array([float("nan") if row is None else getattr(row, name) for row in rows], np.float64)


def _turn(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """The size of a turn in degrees, the shorter way round."""
    return np.asarray(np.abs((degrees + 180.0) % 360.0 - 180.0), np.float64)


def _figure(values: Iterable[float], percent: float) -> float | None:
    found = np.array(list(values), np.float64)
    found = found[np.isfinite(found)]
    return round(float(np.percentile(found, percent)), 4) if found.size else None


def _percentiles(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Median and 95th percentile of what is known, each with its interval."""
    known = values[np.isfinite(values)]

    def drawn(percent: float, pick: NDArray[np.intp]) -> float:
        return float(np.percentile(known[pick], percent))

    figures: dict[str, Any] = {}
    for end, percent in (("median", 50.0), ("p95", 95.0)):
        figures[f"{name}_{end}"] = _figure(known, percent)
        figures[f"{name}_{end}_interval"] = bootstrap_interval(partial(drawn, percent), known.size)
    return figures


def _ranks(name: str, read: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, Any]:
    """Spearman's correlation of what is known of both, with its interval."""
    from scipy.stats import rankdata

    both = np.isfinite(read) & np.isfinite(truth)
    if both.sum() < _MIN_RANKED:
        return {f"{name}_spearman": None, f"{name}_spearman_interval": None}
    one, two = read[both], truth[both]

    def spearman(pick: NDArray[np.intp]) -> float:
        first, second = rankdata(one[pick]), rankdata(two[pick])
        return float(np.corrcoef(first, second)[0, 1]) if np.ptp(first) and np.ptp(second) else float("nan")

    return {
        f"{name}_spearman": round(spearman(np.arange(one.size)), 4),
        f"{name}_spearman_interval": bootstrap_interval(spearman, one.size),
    }


def _by_kind(rows: list[Row]) -> dict[str, float | None]:
    kinds = sorted({row.kind for row in rows})
    return {kind: _figure((abs(row.area_error) for row in rows if row.kind == kind), 50) for kind in kinds}


def _print_areas(figures: dict[str, Any]) -> None:
    if "covered" not in figures:
        return
    for name in THIRDS:
        part = figures[name]
        third = f"good photos, {name.replace('_', ' ')} third by the stated error of the area"
        print(
            f"{third} (to {part['stated_error_most']}): "
            f"area_error {part['area_error_median']} median, {part['area_error_p95']} p95"
        )
    print(f"areas within their stated error: {figures['covered']} {figures['covered_interval']}")


def _print(result: dict[str, Any]) -> None:
    def flat(figures: dict[str, Any]) -> dict[str, Any]:
        plain = {name: value for name, value in figures.items() if not isinstance(value, dict)}
        for which in ("true_mask", "drawn_mask"):
            plain |= {f"{which}: {name}": value for name, value in figures[which].items()}
        return plain

    good, every = flat(result["good"]), flat(result["all"])
    print(f"{'':<52}{'good':>10}{'95%':>20}{'all':>10}")
    for name, value in good.items():
        if name.endswith("_interval"):
            continue
        print(f"{name:<52}{value!s:>10}{good.get(f'{name}_interval', '')!s:>20}{every[name]!s:>10}")
    _print_areas(result["good_areas"])
    for kind, value in result["area_error_median_by_kind"].items():
        print(f"area_error_median of {kind:<31}{value!s:>10}")
    print_times(result["cpu_seconds"])
