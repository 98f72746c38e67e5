"""Conversions of numbers of double precision that skl2onnx lacks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline


def with_casts(step: Pipeline | ColumnTransformer) -> Pipeline | ColumnTransformer:
    """Return a fitted ``transformer_`` with a cast to float32 after each pipeline.

    The preprocessor casts after it has scaled, and skl2onnx needs a step for it.
    """
    from skl2onnx.sklapi import CastTransformer

    if isinstance(step, Pipeline):
        return Pipeline([*step.steps, ("cast", CastTransformer(dtype=np.float32))])
    step = copy.copy(step)
    step.transformers_ = [
        (name, with_casts(part) if isinstance(part, Pipeline) else part, columns)
        for name, part, columns in step.transformers_
    ]
    return step


def imputer_options() -> dict[str, dict[Any, Any]]:
    """Return the options of skl2onnx that convert a SimpleImputer of doubles.

    The converter of skl2onnx writes an operator that onnxruntime has for float32 alone.
    """
    return {
        "custom_shape_calculators": {SimpleImputer: _set_type},
        "custom_conversion_functions": {SimpleImputer: _convert_imputer},
    }


def _set_type(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    operator.outputs[0].type = DoubleTensorType(
        [None, len(operator.raw_operator.statistics_)]
    )


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto
    from skl2onnx.operator_converters.common import concatenate_variables

    rows = concatenate_variables(scope, operator.inputs, container)
    medians, missing = map(scope.get_unique_variable_name, ("medians", "missing"))
    values = operator.raw_operator.statistics_
    container.add_initializer(medians, TensorProto.DOUBLE, [1, len(values)], values)
    name = scope.get_unique_operator_name
    container.add_node("IsNaN", [rows], [missing], name=name("IsNaN"))
    filled = [operator.outputs[0].full_name]
    container.add_node("Where", [missing, medians, rows], filled, name=name("Where"))
