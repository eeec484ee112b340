"""longderm watches skin lesions over time.

The public names load their room when first used, so that `import longderm` stays quick.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

#: Public name -> the module that holds it.
_HOMES = {
    "Photo": "longderm.photo",
    "PhotoMeta": "longderm.photo",
    "read_photo": "longderm.archive",
    "assess_quality": "longderm.imaging",
    "segment": "longderm.imaging",
    "measure": "longderm.imaging",
    "find_structures": "longderm.imaging",
    "find_scale": "longderm.imaging",
    "with_scale": "longderm.imaging",
    "read_ruler": "longderm.imaging",
    "Quality": "longderm.imaging",
    "Segmentation": "longderm.imaging",
    "Measures": "longderm.imaging",
    "Structures": "longderm.imaging",
    "Scale": "longderm.imaging",
    "prepare": "longderm.registration",
    "align": "longderm.registration",
    "align_series": "longderm.registration",
    "residual_field": "longderm.registration",
    "Prepared": "longderm.registration",
    "Alignment": "longderm.registration",
    "Series": "longderm.registration",
    "score_change": "longderm.change",
    "Change": "longderm.change",
    "decide": "longderm.governance",
    "Facts": "longderm.governance",
    "Decision": "longderm.governance",
    "load_encoder": "longderm.models.encoder",
    "Encoder": "longderm.models.encoder",
    "Store": "longderm.store",
    "simulate_archive": "longderm.simulate",
    "fit_survival": "longderm.prognosis",
    "predict_survival": "longderm.prognosis",
    "evaluate_survival": "longderm.prognosis",
    "fit_metastasis": "longderm.prognosis",
    "predict_metastasis": "longderm.prognosis",
    "evaluate_metastasis": "longderm.prognosis",
    "LongdermError": "longderm.errors",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("longderm")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'longderm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
