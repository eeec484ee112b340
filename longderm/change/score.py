"""`score_change`: one pair of photos in, one `Change` out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longderm.change.appearance import appearance_network, compare_appearance, place_heat
from longderm.change.common_view import build_common_view
from longderm.change.crops import cut_crops
from longderm.change.evidence import (
    APPEARANCE,
    DEFAULT_VERSION,
    Z95,
    NoiseModel,
    Observation,
    conformal_p_value,
    score_of,
    sentence,
    to_delta,
)
from longderm.change.maps import MapDifferences, compare_maps, heat_map
from longderm.change.result import LAB, PROBABILITY, Change, Delta
from longderm.models.releases import Release, load_release
from longderm.photo import Photo

if TYPE_CHECKING:
    from longderm.imaging import Measures, Segmentation
    from longderm.imaging.artefacts import Artefacts
    from longderm.registration import Alignment

#: Measures that are taken from each photo alone; their names are fields of `longderm.imaging.Measures`.
_FROM_MEASURES = (
    "asymmetry_colour",
    "asymmetry_shape",
    "border_irregularity",
    "colour_count",
    "colour_variegation",
    "dark_fraction",
    "eccentricity",
)


def score_change(
    baseline: Photo,
    followup: Photo,
    *,
    alignment: Alignment | None = None,
    segmentations: tuple[Segmentation, Segmentation] | None = None,
    measures: tuple[Measures, Measures] | None = None,
    artefacts: tuple[Artefacts, Artefacts] | None = None,
    release: Release | None = None,
    interval_days: float | None = None,
) -> Change:
    """Score what changed between two photos of a lesion; whatever is not given is computed.

    interval_days: from the baseline to the follow-up, None where it is not known; the network of the release is told.

    Nothing is scored, and `reasons` say why, where no lesion was found or the alignment was refused. A change of size
    is relative, in the frame of the alignment; mm2 only with a scale in both photos. Colour is compared in the light
    of the skin around the lesion only. Raises SourceNotFoundError or RefusedError for a missing or altered release.
    """
    from longderm.imaging import measure, segment
    from longderm.imaging.artefacts import find_artefacts

    used = release if release is not None else load_release("change", DEFAULT_VERSION)
    photos = baseline, followup
    # What draws a mask, measures under it, aligns and compares leaves out hair and glare: they are found once.
    hidden = (find_artefacts(baseline.pixels), find_artefacts(followup.pixels)) if artefacts is None else artefacts
    masks = segmentations if segmentations is not None else (
        segment(photos[0], artefacts=hidden[0]), segment(photos[1], artefacts=hidden[1])
    )  # fmt: skip
    missing = tuple(
        f"no lesion found in the {which} photo" + (f": {mask.reason}" if mask.reason else "")
        for which, mask in zip(("baseline", "follow-up"), masks, strict=True)
        if not mask.found or not mask.mask.any()
    )
    if missing:
        return _nothing(missing, used)
    placed = alignment if alignment is not None else _align(photos, masks, hidden)
    if not placed.accepted or placed.matrix is None:
        return _nothing((f"alignment refused: {placed.reason or 'no match found'}",), used)
    taken = measures if measures is not None else (
        measure(photos[0], masks[0], hidden[0]), measure(photos[1], masks[1], hidden[1])
    )  # fmt: skip

    matrix = np.asarray(placed.matrix, dtype=np.float64)
    network = appearance_network(used)
    # Without a network the heat map is the colour difference, which is told of all that both photos show.
    drawn = masks[0].mask, masks[1].mask
    view = build_common_view(baseline, followup, matrix, drawn, whole=network is None, artefacts=hidden)
    model = NoiseModel.from_config(used.config)
    observations = observe(taken, compare_maps(view), scale_of(matrix))
    named: tuple[str, ...] = ()
    if network is None:
        heat, unit = heat_map(view, baseline.shape), LAB
    else:
        crops = cut_crops((baseline.pixels, followup.pixels), drawn, matrix)
        appearance = compare_appearance(crops, network, interval_days)
        observations.append(appearance.observation)
        named = appearance.named_reasons
        heat, unit = place_heat(appearance.where, crops, baseline.shape), PROBABILITY
    score = score_of(observations, model) if model.weights else None
    size_mm = _size_in_mm(taken, photos, model)
    deltas = sorted([*(to_delta(o, model) for o in observations), *size_mm], key=lambda d: d.measure)
    by_name = {delta.measure: delta for delta in deltas}
    above = [sentence(d) for d in sorted(deltas, key=_by_excess) if d.exceeds_mdc]
    # What changed is asked only where something did.
    named = named if APPEARANCE in by_name and by_name[APPEARANCE].exceeds_mdc else ()
    if named:
        *others, last = named
        told = f"{', '.join(others)} and {last}" if others else last
        above.append(f"to the network it looks most like a change of {told}")
    if not view.skin_known:
        above.append("colour not compared: too little skin around the lesion is seen in both photos")
    if score is None:
        above.append(f"not scored: release {used.name} has no calibration")
    return Change(
        score=score,
        p_value=None if score is None else conformal_p_value(score, model.calibration, model.alpha),
        reasons=tuple(above) if above else ("no measured difference exceeds its minimal detectable change",),
        deltas=tuple(deltas),
        heatmap=heat,
        area_change_percent=by_name["area"].delta if "area" in by_name else None,
        area_change_mm2=by_name["area_mm2"].delta if "area_mm2" in by_name else None,
        model=used.name,
        heatmap_unit=unit,
        named_reasons=named,
    )


def observe(taken: tuple[Measures, Measures], maps: MapDifferences, scale: float) -> list[Observation]:
    """All measured differences of a pair, sorted by measure; what is not known is left out.

    scale: follow-up pixels per baseline pixel, of the alignment.
    """
    first, second = taken
    found = [
        _ratio("area", first.area_px, second.area_px, scale**2),
        _ratio("long_diam", first.long_diam_px, second.long_diam_px, scale),
    ]
    for name in _FROM_MEASURES:
        found.append(_difference(name, getattr(first, name), getattr(second, name)))
    if maps.colour is not None:
        for name, b, f in zip(("delta_lightness", "delta_a", "delta_b"), *maps.colour, strict=True):
            found.append(_difference(name, b, f))
    if maps.area_confirmed is not None:
        ratio = maps.area_confirmed
        found.append(Observation("area_confirmed", ratio, 100.0, 100.0 * math.exp(ratio)))
    for name, value in (
        ("border_asymmetry", maps.border_asymmetry),
        ("colour_border", maps.colour_border),
        ("colour_local", maps.colour_local),
        ("structure_energy", maps.structure_energy),
        ("structure_pattern", maps.structure_pattern),
        ("structure_uneven", maps.structure_uneven),
    ):
        found.append(None if value is None else Observation(name, float(value)))
    return sorted((o for o in found if o is not None and math.isfinite(o.value)), key=lambda o: o.measure)


def scale_of(matrix: NDArray[np.float64]) -> float:
    """Follow-up pixels per baseline pixel of a similarity (3, 3)."""
    return math.sqrt(abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))


def _align(
    photos: tuple[Photo, Photo],
    masks: tuple[Segmentation, Segmentation],
    artefacts: tuple[Artefacts, Artefacts],
) -> Alignment:
    from longderm.registration import align, prepare

    return align(prepare(photos[0], masks[0], artefacts[0]), prepare(photos[1], masks[1], artefacts[1]))


def _nothing(reasons: tuple[str, ...], release: Release) -> Change:
    return Change(None, None, reasons, (), None, None, None, release.name)


def _ratio(name: str, baseline: float | None, followup: float | None, frame: float) -> Observation | None:
    """A relative change: the baseline counts as 100%, the follow-up is brought into its frame first."""
    if baseline is None or followup is None or not (baseline > 0 and followup > 0 and frame > 0):
        return None
    ratio = followup / frame / baseline
    return Observation(name, math.log(ratio), 100.0, 100.0 * ratio)


def _by_excess(delta: Delta) -> tuple[float, str]:
    """The largest difference, as a multiple of its MDC, first."""
    return (-round(abs(delta.delta) / delta.mdc, 6) if delta.mdc else 0.0, delta.measure)


def _difference(name: str, baseline: float | None, followup: float | None) -> Observation | None:
    if baseline is None or followup is None:
        return None
    return Observation(name, float(followup) - float(baseline), float(baseline), float(followup))


def _size_in_mm(taken: tuple[Measures, Measures], photos: tuple[Photo, Photo], model: NoiseModel) -> list[Delta]:
    """Area and longest diameter in millimetres, where both photos have a scale.

    The MDC is that of the relative measure, widened by the standard errors of both scales where they are stated.
    """
    errors = [photo.meta.px_per_mm_error or 0.0 for photo in photos]
    deltas = []
    for name, relative, unit, power in (
        ("area_mm2", "area", "mm2", 2.0),
        ("clin_size_long_diam_mm", "long_diam", "mm", 1.0),
    ):
        first, second = getattr(taken[0], name), getattr(taken[1], name)
        if first is None or second is None or not (first > 0 and second > 0):
            continue
        noise = model.noise.get(relative)
        mdc = exceeds = None
        if noise is not None:
            width = math.hypot(noise.mdc, Z95 * power * errors[0], Z95 * power * errors[1])
            log_ratio = math.log(second / first)
            mdc = first * abs(math.expm1(math.copysign(width, log_ratio)))
            exceeds = round(abs(log_ratio), 6) > round(width, 6)
        deltas.append(Delta(name, unit, float(first), float(second), float(second - first), mdc, exceeds))
    return deltas
