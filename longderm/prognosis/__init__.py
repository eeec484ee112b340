"""Prognosis: survival models, metastasis and how their figures are judged."""

from longderm.prognosis.competing_risks import CumulativeIncidence, cumulative_incidence
from longderm.prognosis.concordance import Concordance, harrell_c, uno_c
from longderm.prognosis.cox import CoxFit, fit_cox
from longderm.prognosis.evaluate import evaluate_survival
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.kaplan_meier import KaplanMeier, kaplan_meier
from longderm.prognosis.log_rank import LogRank, log_rank
from longderm.prognosis.survival_model import SurvivalModel, SurvivalPrediction, fit_survival, predict_survival
from longderm.prognosis.survival_times import SurvivalTimes, survival_times

__all__ = [
    "Concordance",
    "CoxFit",
    "CumulativeIncidence",
    "KaplanMeier",
    "LogRank",
    "SurvivalEvaluation",
    "SurvivalModel",
    "SurvivalPrediction",
    "SurvivalTimes",
    "cumulative_incidence",
    "evaluate_survival",
    "fit_cox",
    "fit_survival",
    "harrell_c",
    "kaplan_meier",
    "log_rank",
    "predict_survival",
    "survival_times",
    "uno_c",
]
