"""Published numbers that simulated histories are drawn from, and the assumptions where nothing is published.

Shares of monitored nevi that change: short-term monitoring of suspicious nevi (3 months, 16%) and long-term monitoring
of ordinary ones (a year or more, 4-5%); one changed lesion in nine is malignant. Growth of melanoma: 0.43 mm2/month
(SD 0.9; in situ 0.25, invasive 0.58) from a baseline of 25.6 mm2 (SD 14.5); of benign growing nevi 0.25 mm2/month
(0.14-0.36).
"""

from __future__ import annotations

from dataclasses import dataclass

#: Days of a month, as everywhere in longderm.
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True)
class Calibration:
    """What the histories of simulated lesions are drawn from; areas in mm2, growth in mm2/month, shares in [0, 1]."""

    # Published.
    suspicious_changed: float = 0.16  # over three months
    ordinary_changed: float = 0.045  # over a year or more: 4-5%
    melanoma_growth_mean: float = 0.43
    melanoma_growth_sd: float = 0.9
    in_situ_growth_mean: float = 0.25
    invasive_growth_mean: float = 0.58
    melanoma_area_mean: float = 25.6
    melanoma_area_sd: float = 14.5
    benign_growth_mean: float = 0.25
    benign_growth_low: float = 0.14
    benign_growth_high: float = 0.36
    # 7 of 61 changed lesions (Menzies et al., Arch Dermatol 2001;137:1583) and 8 of 75 (Kittler et al., J Am Acad
    # Dermatol 2000;43:467, where 4.0% of 1,862 lesions changed over a median of 12.6 months).
    melanoma_share_of_changed: float = 0.11

    # Assumptions: no figure is published that we could take over as it stands.
    suspicious_share: float = 0.35  # of monitored lesions; a clinic for patients at risk
    nevus_area_mean: float = 13.0  # a disc of 4 mm
    nevus_area_sd: float = 7.0
    suspicious_area_mean: float = 19.0  # a disc of 5 mm
    suspicious_area_sd: float = 9.0

    @property
    def in_situ_share(self) -> float:
        """Share of in situ melanomas that makes the two subgroup means agree with the mean of all."""
        spread = self.invasive_growth_mean - self.in_situ_growth_mean
        return (self.invasive_growth_mean - self.melanoma_growth_mean) / spread

    @property
    def melanoma_growth_cv(self) -> float:
        """Coefficient of variation inside each subgroup that gives the published SD over both."""
        share, situ, invasive = self.in_situ_share, self.in_situ_growth_mean, self.invasive_growth_mean
        between = share * (1 - share) * (invasive - situ) ** 2
        mean_square = share * situ**2 + (1 - share) * invasive**2
        return float(((self.melanoma_growth_sd**2 - between) / mean_square) ** 0.5)


#: The calibration of every archive unless another one is asked for.
PUBLISHED = Calibration()
