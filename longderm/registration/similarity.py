"""Similarity transforms of the plane as 3x3 matrices: z' = a z + b with complex a, b, and its determinant |a|^2 > 0."""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def from_complex(a: complex, b: complex) -> Matrix:
    """The (3, 3) matrix of z' = a z + b, where z = x + iy."""
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]], dtype=np.float64)


def to_complex(matrix: Matrix) -> tuple[complex, complex]:
    """The nearest a, b of a (3, 3) matrix (exact where it is a similarity with positive determinant)."""
    a = complex((matrix[0, 0] + matrix[1, 1]) / 2.0, (matrix[1, 0] - matrix[0, 1]) / 2.0)
    return a, complex(matrix[0, 2], matrix[1, 2])


def from_parts(scale: float, rotation_deg: float, baseline_point: complex, followup_point: complex) -> Matrix:
    """The similarity of this scale and rotation (x towards y) that takes one point to the other."""
    a = cmath.rect(scale, math.radians(rotation_deg))
    return from_complex(a, followup_point - a * baseline_point)


def inverse(matrix: Matrix) -> Matrix:
    """The inverse similarity."""
    a, b = to_complex(matrix)
    return from_complex(1.0 / a, -b / a)


def scale_of(matrix: Matrix) -> float:
    """Follow-up pixels per baseline pixel."""
    return abs(to_complex(matrix)[0])


def rotation_deg_of(matrix: Matrix) -> float:
    """Rotation in degrees, x towards y, in (-180, 180]."""
    return math.degrees(cmath.phase(to_complex(matrix)[0]))


def apply(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points (..., 2) taken through a (3, 3) affine matrix."""
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def halfway(first: Matrix, second: Matrix, pivot: complex) -> Matrix:
    """The similarity between two that are close: mean of their logarithm of a, and of where they take `pivot`."""
    a1, b1 = to_complex(first)
    a2, b2 = to_complex(second)
    a = a1 * cmath.exp(cmath.log(a2 / a1) / 2.0)
    target = (a1 * pivot + b1 + a2 * pivot + b2) / 2.0
    return from_complex(a, target - a * pivot)


def distance(first: Matrix, second: Matrix, pivot: complex, radius: float) -> float:
    """Root mean square distance (target pixels) between two similarities over a disc (source pixels) about `pivot`."""
    a1, b1 = to_complex(first)
    a2, b2 = to_complex(second)
    shift = abs((a1 - a2) * pivot + b1 - b2)
    # The mean of |z|^2 over a disc is radius^2 / 2.
    return math.sqrt(shift**2 + abs(a1 - a2) ** 2 * radius**2 / 2.0)
