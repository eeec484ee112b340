"""Align a pair: cheap path, exhaustive search, refinement, verification, refusal with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longderm.photo import Photo
from longderm.registration import coarse, keypoints
from longderm.registration.preparation import Prepared, prepare
from longderm.registration.refine import refine
from longderm.registration.scale import Scales, measure_scales
from longderm.registration.similarity import Matrix, distance, halfway, inverse, rotation_deg_of, scale_of
from longderm.registration.verify import (
    ACCEPT_CONFIDENCE,
    BEYOND_DOUBT,
    HOPELESS_CONFIDENCE,
    Evidence,
    agreement,
    confidence_of,
    gather_evidence,
    is_right_but_forbidden,
    reason_for_refusal,
    texture_confidence,
)
from longderm.threads import one_thread

#: Zooms sought where no scale is known (scale relative to that of equal fields of view, since photos come in any size):
#: repeats of one lesion differ by up to 3 in archives without a protocol.
FREE_ZOOM = (1 / 3, 3.0)

#: Relative error of a scale that is stated without its error; contact optics repeat to about that.
_DEFAULT_SCALE_ERROR = 0.01

#: Half-width of the interval that a known scale is bound to, in standard errors of the ratio of both scales.
_SCALE_ERRORS = 2.0

_MIRRORED = "the follow-up photo is mirrored: it matches only after being flipped"

#: Scales within this natural logarithm (25%) of equal fields of view, or of the ratio of both lesions' diameters, come
#: first.
_LIKELY_LOG_SCALE = 0.23


@dataclass(frozen=True, eq=False)
class Alignment:
    """The similarity transform of a pair and its verdict.

    matrix: float64 (3, 3), baseline to follow-up pixel coordinates (x right, y down, pixel centres at integers), or
    None; when refused the best candidate. accepted: the match was verified. confidence: [0, 1]. reason: why it was
    refused, None when accepted. overlap: share of the baseline's valid pixels seen in the follow-up. scale: follow-up
    pixels per baseline pixel; rotation_deg: x towards y, (-180, 180]; both None without a matrix. skin_scale,
    lesion_scale: the scale that the skin around the lesion, and the lesion's own texture, tell by themselves; None
    where they show too little, and when refused. cautions: why the scale, and so a change of size, is not certain.
    residual: how far the transforms fitted from either photo are apart, as a share of the lesion's diameter.
    """

    matrix: NDArray[np.float64] | None
    accepted: bool
    confidence: float
    reason: str | None
    overlap: float
    scale: float | None
    rotation_deg: float | None
    skin_scale: float | None = None
    lesion_scale: float | None = None
    cautions: tuple[str, ...] = ()
    residual: float | None = None


def align(baseline: Photo | Prepared, followup: Photo | Prepared, scale_hint: float | None = None) -> Alignment:
    """Find the similarity that takes the baseline to the follow-up, or refuse with the reason.

    scale_hint: follow-up pixels per baseline pixel where it is known; derived where both photos have `px_per_mm`. The
    transform's scale is then bound to it within its error. Raises ValueError for a hint that is not positive.
    """
    if scale_hint is not None and not (np.isfinite(scale_hint) and scale_hint > 0):
        raise ValueError(f"scale_hint must be positive, not {scale_hint}")
    first = prepare(baseline) if isinstance(baseline, Photo) else baseline
    second = prepare(followup) if isinstance(followup, Photo) else followup
    for role, photo in (("baseline", first), ("follow-up", second)):
        if photo.problem is not None:
            return Alignment(None, False, 0.0, f"the {role} photo cannot be aligned: {photo.problem}", 0.0, None, None)
    with one_thread():
        bounds = scale_bounds(first, second, scale_hint)
        found = _align(first, second, bounds)
        if not found.accepted:
            return found
        return _with_scales(found, first, second, bounds if bounds != _free_bounds(first, second) else None)


@dataclass(frozen=True, eq=False)
class _Pair:
    first: Prepared
    second: Prepared
    matches: keypoints.Matches

    @classmethod
    def of(cls, first: Prepared, second: Prepared) -> _Pair:
        return cls(first, second, keypoints.match(first.keypoints, second.keypoints, max(second.shape)))

    def support(self, matrix: Matrix) -> int:
        """Matches of keypoints that agree with a transform, wherever that comes from."""
        return int(self.matches.agreeing(matrix).sum())


def candidates(first: Prepared, second: Prepared) -> Iterator[tuple[str, Evidence]]:
    """What the cheap path ("keypoints") and the search ("search") find for a pair without a known scale, unjudged."""
    pair, bounds = _Pair.of(first, second), _free_bounds(first, second)
    by_keypoints = _by_keypoints(pair, bounds, always_rivals=True)
    if by_keypoints is not None:
        yield "keypoints", by_keypoints
    by_search = _by_search(pair, _scales_in_order(first, second, bounds)[0], bounds)
    if by_search is not None:
        yield "search", by_search


def _align(first: Prepared, second: Prepared, log_scale: tuple[float, float]) -> Alignment:
    pair = _Pair.of(first, second)
    best = _by_keypoints(pair, log_scale)
    if _sure(best):
        return _answer(best, _mirrored(pair, best, log_scale))
    if best is not None and is_right_but_forbidden(best):
        return _answer(best, reason_for_refusal(best, first, second))
    likely, unlikely = _scales_in_order(first, second, log_scale)
    for scales in (likely, unlikely):
        found = _by_search(pair, scales, log_scale) if scales else None
        if found is not None and (best is None or _rank(found) > _rank(best)):
            best = found
        if _sure(best):
            return _answer(best, _mirrored(pair, best, log_scale))
    return _answer(best, _why_refused(pair, best, likely or unlikely, log_scale))


def _mirrored(pair: _Pair, best: Evidence | None, log_scale: tuple[float, float]) -> str | None:
    """Why a match that is not beyond doubt is refused after all: the mirrored photo matches better."""
    if best is None or confidence_of(best) >= BEYOND_DOUBT:
        return None
    flipped = _Pair.of(pair.first, pair.second.mirrored())
    found = _by_keypoints(flipped, log_scale), _by_search(flipped, [scale_of(best.matrix)], log_scale)
    score = max((evidence.middle.score for evidence in found if evidence is not None), default=0.0)
    return _MIRRORED if score > best.middle.score else None


def _with_scales(found: Alignment, first: Prepared, second: Prepared, known: tuple[float, float] | None) -> Alignment:
    """The accepted alignment with the scales of skin and lesion; where they disagree, the skin's is taken.

    known: the bounds of a scale that both photos state; it is kept, whatever skin and lesion say.
    """
    if found.matrix is None:
        return found
    outlined = first.lesion_centre is not None and second.lesion_centre is not None
    scales = measure_scales(first, second, found.matrix) if outlined else Scales(None, None, scale_of(found.matrix))
    matrix = found.matrix
    if known is None and scales.skin is not None and scales.disagreement is not None:
        matrix = scales.skin.matrix
    return replace(
        found,
        matrix=matrix,
        scale=scale_of(matrix),
        rotation_deg=rotation_deg_of(matrix),
        skin_scale=None if scales.skin is None else scales.skin.scale,
        lesion_scale=None if scales.lesion is None else scales.lesion.scale,
        cautions=_cautions(scales, known is not None),
    )


def _cautions(scales: Scales, known: bool) -> tuple[str, ...]:
    if scales.disagreement is not None:
        percent = 100.0 * float(np.expm1(scales.disagreement))
        return (
            f"the lesion's own texture is scaled by {percent:+.1f}% against the skin around: growth, or skin stretched",
        )
    if scales.skin is None and not known:
        return ("the skin around the lesion shows too little to tell the scale: even growth would not be seen",)
    return ()


def _why_refused(pair: _Pair, best: Evidence | None, scales: list[float], log_scale: tuple[float, float]) -> str:
    """The reason in words; tries whether the follow-up is mirrored, or matches at another scale than the stated one."""
    first, second = pair.first, pair.second
    flipped = _Pair.of(first, second.mirrored())
    if _sure(_by_keypoints(flipped, log_scale)) or _sure(_by_search(flipped, scales, log_scale)):
        return _MIRRORED
    free = _free_bounds(first, second)
    if log_scale != free:
        other = _by_keypoints(pair, free)
        if other is not None and _sure(other):
            stated = float(np.exp(sum(log_scale) / 2.0))
            return f"the photos match at a scale of {scale_of(other.matrix):.2f}, not at the stated {stated:.2f}"
    return reason_for_refusal(best, first, second)


def _rank(evidence: Evidence) -> tuple[float, float]:
    """By which the better of two candidates is told: confidence, and what textures say where a rule forbids both."""
    return confidence_of(evidence), texture_confidence(evidence)


def _sure(evidence: Evidence | None) -> bool:
    return evidence is not None and confidence_of(evidence) >= ACCEPT_CONFIDENCE


def scale_bounds(baseline: Prepared, followup: Prepared, scale_hint: float | None) -> tuple[float, float]:
    """Lowest and highest natural logarithm of the scale (follow-up per baseline pixel) that is possible."""
    first, second = baseline.meta, followup.meta
    if scale_hint is None and first.px_per_mm is not None and second.px_per_mm is not None:
        scale_hint = second.px_per_mm / first.px_per_mm
    if scale_hint is None:
        return _free_bounds(baseline, followup)
    one, other = (
        _DEFAULT_SCALE_ERROR if meta.px_per_mm_error is None else meta.px_per_mm_error for meta in (first, second)
    )
    width = _SCALE_ERRORS * float(np.hypot(one, other))
    return float(np.log(scale_hint)) - width, float(np.log(scale_hint)) + width


def _equal_fields(baseline: Prepared, followup: Prepared) -> float:
    """Natural logarithm of the scale at which both photos show a field of the same size."""
    return float(np.log(max(followup.shape) / max(baseline.shape)))


def _free_bounds(baseline: Prepared, followup: Prepared) -> tuple[float, float]:
    equal = _equal_fields(baseline, followup)
    return equal + float(np.log(FREE_ZOOM[0])), equal + float(np.log(FREE_ZOOM[1]))


def _scales_in_order(
    first: Prepared, second: Prepared, log_scale: tuple[float, float]
) -> tuple[list[float], list[float]]:
    """The scales of the search: near equal fields of view or the ratio of the lesions' diameters; the others."""
    scales = coarse.scales_between(log_scale)
    expected = [_equal_fields(first, second)]
    if first.lesion_diameter_px and second.lesion_diameter_px:
        expected.append(float(np.log(second.lesion_diameter_px / first.lesion_diameter_px)))
    near = [min(abs(np.log(scale) - value) for value in expected) <= _LIKELY_LOG_SCALE for scale in scales]
    return (
        [scale for scale, is_near in zip(scales, near, strict=True) if is_near],
        [scale for scale, is_near in zip(scales, near, strict=True) if not is_near],
    )


def _by_keypoints(pair: _Pair, log_scale: tuple[float, float], always_rivals: bool = False) -> Evidence | None:
    first, second = pair.first, pair.second
    found = keypoints.fit(pair.matches, log_scale)
    if found is None:
        return None
    matrix = refine(first, second, found, level=2, iterations=6, log_scale=log_scale)
    if not always_rivals:
        nearer = refine(first, second, matrix, level=1, iterations=8, log_scale=log_scale)
        unrivalled = gather_evidence(first, second, nearer, None, None, pair.support(nearer))
        if texture_confidence(unrivalled) >= BEYOND_DOUBT:
            return _finish(pair, nearer, None, log_scale)
    # What else would fit at this scale: the rivals that the match must beat.
    others = coarse.search(first, second, [scale_of(matrix)], keep=4)
    return _settle(pair, [matrix], [candidate.matrix for candidate in others], log_scale)


def _by_search(pair: _Pair, scales: list[float], log_scale: tuple[float, float]) -> Evidence | None:
    if not scales:
        return None
    candidates = [candidate.matrix for candidate in coarse.search(pair.first, pair.second, scales, keep=8)]
    return _settle(pair, [], candidates, log_scale)


def _settle(pair: _Pair, settled: list[Matrix], rough: list[Matrix], log_scale: tuple[float, float]) -> Evidence | None:
    """Refine the rough candidates on the coarsest level, take the best of all to the finest, and weigh the evidence.

    settled: candidates that are refined already and are preferred; the others are then only rivals.
    """
    first, second = pair.first, pair.second
    refined = [refine(first, second, matrix, level=2, iterations=8, log_scale=log_scale) for matrix in rough]
    scores = [agreement(first, second, matrix, level=2).score for matrix in (*settled, *refined)]
    every = [*settled, *refined]
    if not every:
        return None
    order = sorted(range(len(every)), key=lambda index: (-round(scores[index], 6), index))
    chosen = 0 if settled else order[0]
    best = every[chosen]
    rival = max((scores[index] for index in order if _apart(first, best, every[index])), default=0.0)
    matrix = refine(first, second, best, level=1, iterations=8, log_scale=log_scale)
    rival /= max(scores[chosen], 1e-6)
    hopeless = gather_evidence(first, second, matrix, None, rival, pair.support(matrix))
    if texture_confidence(hopeless) < HOPELESS_CONFIDENCE:
        return hopeless
    return _finish(pair, matrix, rival, log_scale)


def _finish(pair: _Pair, matrix: Matrix, rival: float | None, log_scale: tuple[float, float]) -> Evidence:
    """Settle a matrix of the middle level on the finest one, and weigh the evidence for it.

    Whether it is settled is seen on the middle level, by a fit from the follow-up's side.
    """
    first, second = pair.first, pair.second
    swapped = (-log_scale[1], -log_scale[0])
    backward = inverse(refine(second, first, inverse(matrix), level=1, iterations=4, log_scale=swapped))
    pivot, radius = _pivot(first)
    inconsistency = distance(matrix, backward, pivot, radius) / (2.0 * radius / 1.2 * scale_of(matrix))
    middle = halfway(matrix, backward, pivot)
    finest = refine(first, second, middle, level=0, iterations=4, log_scale=log_scale)
    return gather_evidence(first, second, finest, inconsistency, rival, pair.support(finest))


def _apart(first: Prepared, one: Matrix, other: Matrix) -> bool:
    """Whether two candidates differ by more than a tenth of the baseline's shorter side."""
    pivot, radius = _pivot(first)
    return distance(one, other, pivot, radius) > 0.1 * min(first.shape) * scale_of(one)


def _pivot(photo: Prepared) -> tuple[complex, float]:
    """The lesion's centre and the radius within which a transform matters; the frame's where there is no lesion."""
    if photo.lesion_centre is not None and photo.lesion_diameter_px is not None:
        return complex(*photo.lesion_centre), 0.6 * photo.lesion_diameter_px
    height, width = photo.shape
    return complex((width - 1) / 2, (height - 1) / 2), 0.3 * min(height, width)


def _answer(evidence: Evidence | None, reason: str | None) -> Alignment:
    if evidence is None:
        return Alignment(None, False, 0.0, reason, 0.0, None, None)
    matrix = evidence.matrix
    return Alignment(
        matrix,
        reason is None,
        confidence_of(evidence),
        reason,
        round(evidence.overlap, 6),
        scale_of(matrix),
        rotation_deg_of(matrix),
        residual=evidence.inconsistency,
    )
