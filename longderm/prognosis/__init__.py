"""Prognosis: metastasis and survival, from checked outcomes, pathology and features known at the time."""

from longderm.prognosis.leakage import LeakageError, guard_origin
from longderm.prognosis.outcomes import Outcomes, read_outcomes
from longderm.prognosis.pathology_text import read_pathology
from longderm.prognosis.pathology_values import PathologyFindings
from longderm.prognosis.problems import OutcomesError
from longderm.prognosis.staging import t_category

__all__ = [
    "LeakageError",
    "Outcomes",
    "OutcomesError",
    "PathologyFindings",
    "guard_origin",
    "read_outcomes",
    "read_pathology",
    "t_category",
]
