"""The check of an estimator's parameters."""

from __future__ import annotations

from typing import Any

from sklearn.utils._param_validation import validate_parameter_constraints


def check_params(estimator: Any) -> None:
    """Raise an InvalidParameterError for a parameter of a wrong type or value."""
    validate_parameter_constraints(
        estimator._parameter_constraints,
        estimator.get_params(deep=False),
        caller_name=type(estimator).__name__,
    )


def is_auto(value: Any) -> bool:
    """Tell whether the value of a parameter is to be found in ``fit``."""
    return isinstance(value, str) and value == "auto"
