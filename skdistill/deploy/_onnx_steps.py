"""From fitted preprocessing to an ONNX model with named inputs, by skl2onnx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skdistill.deploy._converting import OPSET, quiet, reason
from skdistill.deploy._onnx_double import imputer_options, with_casts
from skdistill.deploy._parts import Parts, flat
from skdistill.utils._frames import floats, is_frame

if TYPE_CHECKING:
    import onnx

_OUTPUTS = ("label", "probabilities")

# The first part of the names inside of a file.
_PREFIX = "skdistill/"

_Steps = list[tuple[str, Any]]


@dataclass(frozen=True)
class Head:
    """What is before the net.

    Attributes
    ----------
    model : onnx.ModelProto or None
        The preprocessing, or None if there is none.
    n_features : int
        The number of columns.
    feature_names : list of str or None
        Their names, if they have some.
    kinds : list of {"float", "double", "string"} or None
        The type of each column, or None if there is one input "X" for all.
    inputs : list of onnx.ValueInfoProto
        The inputs of the model.
    allow_nan : bool
        Whether numbers may be missing.
    prefix : str
        All names inside of the file begin with it, and no input does.
    """

    model: Any
    n_features: int
    feature_names: list[str] | None
    kinds: list[str] | None
    inputs: list[Any]
    allow_nan: bool = True
    prefix: str = _PREFIX


def head_of(estimator: Any, parts: Parts, rows: Any) -> Head:
    """Convert the fitted preprocessing.

    Parameters
    ----------
    estimator : estimator
        The fitted estimator, which tells whether numbers may be missing.
    parts : Parts
        Its parts.
    rows : ndarray or data frame
        Rows as it takes them.

    Raises
    ------
    ValueError
        If skl2onnx cannot convert a step, a column is named as an output, a level is
        the string "nan", or rows are single values.
    """
    if len(rows.shape) < 2:
        raise ValueError(
            "a file takes rows of columns or images, and these rows are single values, "
            "such as texts: skdistill.deploy.to_sklearn takes their student"
        )
    given, number = parts.steps, "float"
    if given and getattr(parts.transformers[0], "dtype_", None) is np.float64:
        given[0], number = (given[0][0], with_casts(given[0][1])), "double"
    steps = list(flat(given))
    kinds = _kinds(steps, rows, parts.feature_names)
    if kinds is None:
        return _head_of_one(estimator, steps, rows, parts.feature_names, number)
    steps[0] = (steps[0][0], _columns(steps[0][1], rows.shape[1]))
    kinds = [number if kind == "float" else kind for kind in kinds]
    return _head_of_columns(_by_positions(steps), kinds, parts.feature_names)


def _head_of_one(
    estimator: Any, steps: _Steps, rows: Any, names: list[str] | None, kind: str
) -> Head:
    """Return a head with one input "X" for all columns."""
    from onnx import helper

    shape = rows.shape
    model = None
    if steps:
        model = _convert_steps(_by_positions(steps), [("X", kind, shape[1])])
    X = helper.make_tensor_value_info("X", _onnx_type(kind), ["batch", *shape[1:]])
    return Head(model, shape[1], names, None, [X], _takes_nan(estimator, rows))


def _head_of_columns(steps: _Steps, kinds: list[str], names: list[str] | None) -> Head:
    """Return a head with an input for each column, under its name."""
    from onnx import helper

    columns = names or [str(i) for i in range(len(kinds))]
    _check_names(columns)
    inner = [f"column_{i}" for i in range(len(kinds))]
    model = _convert_steps(
        steps, [(name, kind, 1) for name, kind in zip(inner, kinds, strict=True)]
    )
    prefix = _PREFIX
    while any(name.startswith(prefix) for name in columns):
        prefix = f"_{prefix}"
    _rename_inputs(model, dict(zip(inner, columns, strict=True)), prefix)
    inputs = [
        helper.make_tensor_value_info(name, _onnx_type(kind), ["batch", 1])
        for name, kind in zip(columns, kinds, strict=True)
    ]
    return Head(model, len(kinds), names, kinds, inputs, prefix=prefix)


def _onnx_type(kind: str) -> int:
    from onnx import TensorProto

    number: int = getattr(TensorProto, kind.upper())
    return number


def _check_names(names: list[str]) -> None:
    for name in names:
        if not name or name in _OUTPUTS:
            raise ValueError(
                f"a column is named {name!r}, which cannot be the name of an input in "
                "ONNX beside the outputs 'label' and 'probabilities': rename the "
                "column and fit again"
            )


def _takes_nan(estimator: Any, rows: Any) -> bool:
    """Tell whether some column of floats may hold NaN.

    It is tried, as a transformer of the user need not declare what it takes.
    """
    row = _float_rows(rows[:1])
    if _accepts(estimator, rows, np.full_like(row, np.nan)):
        return True
    if row.ndim > 2:
        return False
    probes = np.repeat(np.nan_to_num(row), row.shape[1], axis=0)
    np.fill_diagonal(probes, np.nan)
    return any(_accepts(estimator, rows, probe[np.newaxis]) for probe in probes)


def _float_rows(rows: Any) -> NDArray[Any]:
    if is_frame(rows):
        return floats(rows, list(range(rows.shape[1])))
    return np.asarray(rows, dtype=np.float32)


def _accepts(estimator: Any, rows: Any, probe: NDArray[Any]) -> bool:
    """Tell whether the estimator takes a row, as a data frame if ``rows`` is one."""
    if is_frame(rows):
        probe = type(rows)(dict(zip(rows.columns, probe.T, strict=True)))
    try:
        estimator.predict_proba(probe)
    except ValueError:
        return False
    return True


def _kinds(steps: _Steps, rows: Any, names: list[str] | None) -> list[str] | None:
    """Return the type of each column, or None if all are one tensor of floats."""
    if not steps:
        return None
    kinds: list[str | None] = [None] * rows.shape[1]
    for _, step, columns in _columns(steps[0][1], rows.shape[1]).transformers_:
        for i, kind in zip(columns, _kinds_of(step, columns), strict=True):
            kinds[i] = "string" if "string" in (kind, kinds[i]) else kind
    unknown = is_frame(rows) and None in kinds
    if "string" in kinds or (_goes_by_column(steps[0][1]) and (names or unknown)):
        # The type of an unused column is not known; any can be passed as strings.
        return [kind or "string" for kind in kinds]
    return None


def _kinds_of(step: Any, columns: list[int]) -> list[str]:
    """Return the types of a fitted step's columns: strings where it takes levels."""
    for _, part in flat([("", step)]):
        if hasattr(part, "categories_"):
            for known in part.categories_:
                _check_levels(known)
            return [
                "float" if known.dtype.kind in "biuf" else "string"
                for known in part.categories_
            ]
        # A SimpleImputer of strings, which an encoder follows.
        statistics = np.asarray(getattr(part, "statistics_", 0.0))
        if statistics.dtype.kind in "OU":
            _check_levels(statistics)
            return ["string"] * len(columns)
    return ["float"] * len(columns)


def _check_levels(levels: NDArray[Any]) -> None:
    if levels.dtype.kind in "OU" and "nan" in levels.tolist():
        raise ValueError(
            "a column has the label 'nan', which in ONNX stands for a missing value: "
            "give the label another name and fit again"
        )


def _columns(step: Any, n_features: int) -> ColumnTransformer:
    """Return a step as one that goes by the positions of the columns."""
    if isinstance(step, ColumnTransformer):
        return _by_position(step)
    everything = ColumnTransformer([])
    everything.n_features_in_ = n_features
    everything.transformers_ = [("all", step, list(range(n_features)))]
    return everything


def _by_positions(steps: _Steps) -> _Steps:
    return [
        (name, _by_position(step) if _goes_by_column(step) else step)
        for name, step in steps
    ]


def _by_position(step: ColumnTransformer) -> ColumnTransformer:
    """Return a fitted transformer in the one form that skl2onnx always takes."""
    positions = getattr(step, "_transformer_to_input_indices", None)
    if positions is None:  # it was made here
        return step
    transformer = ColumnTransformer([], transformer_weights=step.transformer_weights)
    transformer.n_features_in_ = step.n_features_in_
    transformer.transformers_ = [
        (name, _without_passthrough(part), list(positions[name]))
        for name, part, _ in step.transformers_
        if not (isinstance(part, str) and part == "drop")
    ]
    return transformer


def _without_passthrough(step: Any) -> Any:
    """Return a step without steps that do nothing, which skl2onnx cannot convert."""
    return Pipeline([*flat([("", step)])]) if isinstance(step, Pipeline) else step


def _goes_by_column(step: Any) -> bool:
    return isinstance(step, ColumnTransformer)


def _convert_steps(
    steps: _Steps, inputs: list[tuple[str, str, int]]
) -> onnx.ModelProto:
    """Convert fitted steps for inputs of the names, types and widths given."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common import data_types

    types = {
        "float": data_types.FloatTensorType,
        "double": data_types.DoubleTensorType,
        "string": data_types.StringTensorType,
    }
    doubles = any(kind == "double" for _, kind, _ in inputs)
    try:
        with quiet():
            return convert_sklearn(
                Pipeline(steps),
                initial_types=[
                    (name, types[kind]([None, width])) for name, kind, width in inputs
                ],
                target_opset={"": OPSET},
                custom_parsers={ColumnTransformer: _parse_columns},
                **(imputer_options() if doubles else {}),
            )
    except Exception as error:
        raise ValueError(
            f"skl2onnx cannot convert the preprocessing {[name for name, _ in steps]} "
            f"({reason(error)}){_unknown(steps)}"
        ) from error


def _unknown(steps: _Steps) -> str:
    """Say which steps skl2onnx has no converter of, and the way out."""
    from skl2onnx._supported_operators import sklearn_operator_name_map as known

    names = [
        f"{name!r} ({type(step).__name__})"
        for name, step in steps
        if type(step) not in known and not isinstance(step, ColumnTransformer)
    ]
    if not names:
        return ""
    return (
        f". It has no converter of {', '.join(names)}: export what comes after, as "
        "to_onnx(pipeline[-1]), and prepare the rows before, or tell it how, by "
        "skl2onnx.update_registered_converter"
    )


def _parse_columns(
    scope: Any, step: ColumnTransformer, inputs: list[Any], **kwargs: Any
) -> list[Any]:
    """Let skl2onnx parse a step, and know how many columns the step before it made."""
    from skl2onnx._parse import sklearn_parsers_map

    if len(inputs) == 1:
        inputs[0].type.shape = [None, step.n_features_in_]
    outputs: list[Any] = sklearn_parsers_map[ColumnTransformer](
        scope, step, inputs, **kwargs
    )
    return outputs


def _rename_inputs(model: onnx.ModelProto, names: dict[str, str], prefix: str) -> None:
    """Give the inputs the names of the columns, and nothing else such a name.

    skl2onnx changes names of inputs that are no identifiers.
    """
    from onnx import compose

    compose.add_prefix(model, f"{prefix}columns/", rename_inputs=False, inplace=True)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
