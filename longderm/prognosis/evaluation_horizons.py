"""The horizons at which models can be judged on some patients, and why they cannot at the others."""

from __future__ import annotations

from collections.abc import Sequence

from longderm.prognosis.censoring_weights import check_horizons
from longderm.prognosis.errors import OutsideFollowUpError
from longderm.prognosis.follow_up import FollowUp
from longderm.prognosis.insufficient import too_few_at

#: Kinds of figures that need no horizon.
WITHOUT_HORIZON = ("harrell_c", "calibration_slope")


def evaluation_horizons(
    followed: FollowUp, strata: Sequence[str], years: Sequence[float], per_year: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Horizons by label ("5y"), in the unit of the data, and, of those left out, label -> the reason.

    `strata`: their names, in order; each must be followed up to a horizon, as a risk there rests on its hazard.

    Raises OutsideFollowUpError where no horizon lies within the follow-up. None may be left for other reasons.
    """
    patients = followed.patients
    late = followed.late
    advice = "; where rows belong to one patient, name the patient" if followed.single else ""
    ends = {name: float(patients.stop[patients.stratum == k].max(initial=0.0)) for k, name in enumerate(strata)}
    kept, dropped, outside = {}, {}, []
    for year in sorted(set(years)):
        label, at = f"{year:g}y", year * per_year
        if late:
            dropped[label] = (
                f"insufficient: {late} of {len(patients)} patients enter after the origin, and those who had the event "
                f"before they could enter are missing: a risk predicted from the origin cannot be judged{advice}"
            )
            continue
        try:
            check_horizons(patients, at)
        except OutsideFollowUpError as error:
            dropped[label] = str(error)
            outside.append(label)
            continue
        short = [name for name, end in ends.items() if end <= at]
        few = too_few_at(patients, at)
        if short:
            dropped[label] = f"insufficient: stratum {short[0]} is followed up to {ends[short[0]]:g} only"
        elif few is not None:
            dropped[label] = few
        else:
            kept[label] = at
    if len(outside) == len(dropped) and not kept:
        raise OutsideFollowUpError("no horizon lies within the follow-up: " + "; ".join(dropped.values()))
    return kept, dropped
