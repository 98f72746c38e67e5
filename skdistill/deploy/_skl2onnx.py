"""Conversions of steps that skl2onnx lacks, or would not guess right."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, ClusterMixin
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
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


def parsers() -> dict[type, Any]:
    """Return the parsers by the types of the steps.

    Of a step that also predicts, skl2onnx would write the predictions.
    """
    from skl2onnx._supported_operators import sklearn_operator_name_map as known

    predicts = (ClassifierMixin, ClusterMixin)
    return {
        **{kind: _refuse for kind in known if issubclass(kind, predicts)},
        KMeans: _parse_distances,
        MiniBatchKMeans: _parse_distances,
        LinearDiscriminantAnalysis: _parse_discriminants,
        ColumnTransformer: _parse_columns,
    }


def _refuse(scope: Any, step: Any, inputs: list[Any], **kwargs: Any) -> list[Any]:
    raise ValueError(
        f"of {type(step).__name__}, it converts predict and not transform: take the "
        "step out of the pipeline"
    )


def _parse_distances(
    scope: Any, step: KMeans, inputs: list[Any], **kwargs: Any
) -> list[Any]:
    """Let skl2onnx write the distances from the centers, and not the clusters."""
    from skl2onnx.common.data_types import Int64TensorType, guess_tensor_type

    operator = scope.declare_local_operator("SklearnKMeans", step)
    operator.inputs = inputs
    number = guess_tensor_type(inputs[0].type)
    for name, kind in (("cluster", Int64TensorType()), ("distances", number)):
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return [operator.outputs[1]]


def _parse_discriminants(
    scope: Any, step: LinearDiscriminantAnalysis, inputs: list[Any], **kwargs: Any
) -> list[Any]:
    """Let skl2onnx write the projection, as the same one of a PCA."""
    from skl2onnx._parse import _parse_sklearn_simple_model

    pca = PCA()
    pca.n_components_ = len(step.get_feature_names_out())
    pca.mean_ = getattr(step, "xbar_", np.zeros(step.n_features_in_))
    pca.components_ = step.scalings_[:, : pca.n_components_].T
    return list(_parse_sklearn_simple_model(scope, pca, inputs))


def _parse_columns(
    scope: Any, step: ColumnTransformer, inputs: list[Any], **kwargs: Any
) -> list[Any]:
    """Let skl2onnx parse a step, and tell skl2onnx the number of its columns."""
    from skl2onnx._parse import sklearn_parsers_map

    if len(inputs) == 1:
        inputs[0].type.shape = [None, step.n_features_in_]
    parse = sklearn_parsers_map[ColumnTransformer]
    return list(parse(scope, step, inputs, **kwargs))
