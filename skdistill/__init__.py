"""Knowledge distillation for people who use scikit-learn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skdistill import augmentation, deploy, inspection, losses, metrics, schedules
    from skdistill._classifier import DistilledClassifier
    from skdistill._regressor import DistilledRegressor
    from skdistill._students._make_student import make_student
    from skdistill._students._tabular import TabularPreprocessor
    from skdistill._teachers._torch import TorchTeacher
    from skdistill._transfer._extra import TransferRows
    from skdistill._transfer._soft_labels import soft_labels

__version__ = "0.1.0"

__all__ = [
    "DistilledClassifier",
    "DistilledRegressor",
    "TabularPreprocessor",
    "TorchTeacher",
    "TransferRows",
    "augmentation",
    "deploy",
    "inspection",
    "losses",
    "make_student",
    "metrics",
    "model_selection",
    "schedules",
    "soft_labels",
]

# Where each public name lives. They load on first use, so that a program that needs
# one of them does not pay for the imports of all.
_HOMES = {
    "DistilledClassifier": "skdistill._classifier",
    "DistilledRegressor": "skdistill._regressor",
    "TabularPreprocessor": "skdistill._students._tabular",
    "TorchTeacher": "skdistill._teachers._torch",
    "TransferRows": "skdistill._transfer._extra",
    "make_student": "skdistill._students._make_student",
    "soft_labels": "skdistill._transfer._soft_labels",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"skdistill.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
