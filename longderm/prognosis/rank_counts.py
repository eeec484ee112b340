"""Count, for many queries at once, how many values in a stretch of a sequence lie below a value, in n log n."""

from __future__ import annotations

import numpy as np

from longderm.prognosis.survival_times import Floats, Indices

#: Risks closer than this many last bits of the largest are tied: the same patient's risk computed at two places of a
#: matrix product may differ in them.
TIED_RISK_BITS = 8.0


class RankCounter:
    """A wavelet matrix over ranks (Claude, Navarro and Ordonez, Inf. Syst. 2015), read for all queries in one pass.

    `ranks` (n,): whole numbers in [0, top).
    """

    def __init__(self, ranks: Indices, top: int) -> None:
        self._zeros_before: list[np.ndarray] = []
        self._bits = max(int(top - 1).bit_length(), 1)
        values = ranks.astype(np.int32)
        for bit in range(self._bits - 1, -1, -1):
            zero = (values >> bit) & 1 == 0
            counted = np.empty(values.size + 1, np.int32)
            counted[0] = 0
            np.cumsum(zero, out=counted[1:])
            self._zeros_before.append(counted)
            values = np.concatenate([values[zero], values[~zero]])

    def below_and_equal(self, first: Indices, end: Indices, rank: Indices) -> tuple[Indices, Indices]:
        """For each query (q,): values at positions first <= i < end that lie below `rank`, and that equal it."""
        left, right, wanted = first.astype(np.int32), end.astype(np.int32), rank.astype(np.int32)
        below = np.zeros(wanted.size, np.int32)
        for level, counted in enumerate(self._zeros_before):
            high = (wanted >> (self._bits - 1 - level)) & 1 == 1
            left_zeros, right_zeros = counted[left], counted[right]
            below += np.where(high, right_zeros - left_zeros, 0)
            left = np.where(high, counted[-1] + left - left_zeros, left_zeros)
            right = np.where(high, counted[-1] + right - right_zeros, right_zeros)
        return below.astype(np.intp), (right - left).astype(np.intp)


def dense_ranks(risk: Floats) -> tuple[Indices, int]:
    """Rank of each risk (n,) among the distinct ones, from 0, and how many there are; last-bit differences are ties."""
    order = np.argsort(risk, kind="stable")
    ordered = risk[order]
    tolerance = TIED_RISK_BITS * np.finfo(np.float64).eps * max(abs(ordered[0]), abs(ordered[-1]))
    steps = np.concatenate([[0], np.cumsum(np.diff(ordered) > tolerance)])
    ranks = np.empty(risk.size, np.intp)
    ranks[order] = steps
    return ranks, int(steps[-1]) + 1
