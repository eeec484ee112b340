"""Prognosis: metastasis and survival, from checked outcomes, pathology and features known at the time."""

from longderm.prognosis.competing_risks import CumulativeIncidence, cumulative_incidence
from longderm.prognosis.concordance import Concordance, harrell_c, uno_c
from longderm.prognosis.cox import CoxFit, fit_cox
from longderm.prognosis.evaluate import evaluate_survival
from longderm.prognosis.evaluation import SurvivalEvaluation
from longderm.prognosis.kaplan_meier import KaplanMeier, kaplan_meier
from longderm.prognosis.leakage import LeakageError, guard_origin
from longderm.prognosis.log_rank import LogRank, log_rank
from longderm.prognosis.metastasis import (
    MetastasisPrediction,
    evaluate_metastasis,
    fit_metastasis,
    predict_metastasis,
)
from longderm.prognosis.metastasis_evaluation import MetastasisEvaluation
from longderm.prognosis.metastasis_model import MetastasisModel
from longderm.prognosis.metastasis_status import metastasis_status
from longderm.prognosis.outcomes import Outcomes, read_outcomes
from longderm.prognosis.pathology_text import read_pathology
from longderm.prognosis.pathology_values import PathologyFindings
from longderm.prognosis.problems import OutcomesError
from longderm.prognosis.staging import t_category
from longderm.prognosis.survival_model import SurvivalModel, SurvivalPrediction, fit_survival, predict_survival
from longderm.prognosis.survival_times import SurvivalTimes, survival_times

__all__ = [
    "Concordance",
    "CoxFit",
    "CumulativeIncidence",
    "KaplanMeier",
    "LeakageError",
    "LogRank",
    "MetastasisEvaluation",
    "MetastasisModel",
    "MetastasisPrediction",
    "Outcomes",
    "OutcomesError",
    "PathologyFindings",
    "SurvivalEvaluation",
    "SurvivalModel",
    "SurvivalPrediction",
    "SurvivalTimes",
    "cumulative_incidence",
    "evaluate_metastasis",
    "evaluate_survival",
    "fit_cox",
    "fit_metastasis",
    "fit_survival",
    "guard_origin",
    "harrell_c",
    "kaplan_meier",
    "log_rank",
    "metastasis_status",
    "predict_metastasis",
    "predict_survival",
    "read_outcomes",
    "read_pathology",
    "survival_times",
    "t_category",
    "uno_c",
]
