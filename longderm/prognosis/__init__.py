"""Prognosis: metastasis and survival, from checked outcomes, pathology and features known at the time."""
