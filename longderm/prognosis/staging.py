"""The T category of a primary melanoma of the skin from its thickness and ulceration.

Source: AJCC Cancer Staging Manual, 8th edition (2017), chapter 47, melanoma of the skin. Thickness is recorded to the
nearest 0.1 mm before it is categorised. The mitotic rate, a criterion of T1 in the 7th edition, is none in the 8th.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from longderm.errors import UsageError

#: Every T category, in the manual's order. "T1" to "T4" without a letter: ulceration is not known.
T_CATEGORIES = ("TX", "T0", "Tis", "T1", "T1a", "T1b", "T2", "T2a", "T2b", "T3", "T3a", "T3b", "T4", "T4a", "T4b")

#: Upper limits in mm, each within its category, after rounding to 0.1 mm.
_T1_MM, _T2_MM, _T3_MM = 1.0, 2.0, 4.0

#: Without ulceration T1a lies below 0.8 mm and T1b from 0.8 to 1.0 mm.
_T1B_MM = 0.8


def recorded_thickness_mm(thickness_mm: float) -> float:
    """Breslow thickness to the nearest 0.1 mm, a half upwards, as the manual records it: 0.75 -> 0.8, 1.04 -> 1.0.

    Rounded as written in decimals: 0.75 and 1.05 are halves though no binary fraction is. Raises UsageError below
    zero and for what is no number.
    """
    if not math.isfinite(thickness_mm) or thickness_mm < 0:
        raise UsageError("thickness_mm must be a number of at least 0; leave it out where it is not known")
    return float(Decimal(repr(float(thickness_mm))).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP))


def t_category(
    thickness_mm: float | None,
    ulcerated: bool | None,
    *,
    in_situ: bool = False,
    no_primary: bool = False,
) -> str:
    """The AJCC 8 T category.

    `thickness_mm` None: TX, unless `in_situ` (Tis) or `no_primary` (T0: unknown or completely regressed primary).
    `ulcerated` None leaves the letter out ("T2"), except below 0.8 mm, where it is left out too: T1a and T1b differ by
    ulceration there; from 0.8 to 1.0 mm the tumour is T1b either way.
    Raises UsageError where what is said contradicts itself.
    """
    if in_situ and no_primary:
        raise UsageError("a tumour cannot be both in situ and without a primary")
    if in_situ or no_primary:
        if thickness_mm is not None and thickness_mm > 0:
            raise UsageError("a melanoma in situ, or none, has no Breslow thickness")
        return "Tis" if in_situ else "T0"
    if thickness_mm is None:
        return "TX"
    if thickness_mm == 0:
        raise UsageError("an invasive melanoma has a thickness above 0; set in_situ for a melanoma in situ")
    thickness = recorded_thickness_mm(thickness_mm)
    if thickness <= _T1_MM:
        if thickness >= _T1B_MM or ulcerated:
            return "T1b"
        return "T1" if ulcerated is None else "T1a"
    number = "2" if thickness <= _T2_MM else "3" if thickness <= _T3_MM else "4"
    return "T" + number + {None: "", False: "a", True: "b"}[ulcerated]
