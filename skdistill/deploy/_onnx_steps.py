"""From fitted preprocessing to an ONNX model with named inputs, by skl2onnx."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skdistill.deploy._converting import OPSET, add_prefix, inlined, quiet, reason
from skdistill.deploy._onnx_dates import with_date
from skdistill.deploy._parts import Parts, flat
from skdistill.deploy._sample import to_frame
from skdistill.deploy._skl2onnx import imputer_options, parsers, with_casts
from skdistill.utils._frames import floats, is_frame

if TYPE_CHECKING:
    import onnx

_Steps = list[tuple[str, Any]]


@dataclass(frozen=True)
class Head:
    """The part of a file that comes before the net.

    Attributes
    ----------
    model : onnx.ModelProto or None
        The preprocessing, or None if there is none.
    n_features : int
        The number of columns.
    feature_names : list of str or None
        The names of the columns, if they have some.
    kinds : list of {"float", "double", "string", "date"} or None
        The type of each column, or None if there is one input "X" for all columns.
    zones : list of str or None
        The time zone of each column of dates, None for dates without one.
    inputs : list of onnx.ValueInfoProto
        The inputs of the file.
    allow_nan : bool
        Whether numbers may be missing.
    prefix : str
        The beginning of all names in the file except those of the inputs and outputs.
        No input begins with it.
    """

    model: Any
    n_features: int
    feature_names: list[str] | None
    kinds: list[str] | None
    zones: list[str | None]
    inputs: list[Any]
    allow_nan: bool
    prefix: str

    def metadata(self) -> dict[str, Any]:
        """Return the metadata about the inputs."""
        found = {
            "n_features": self.n_features,
            "feature_names": self.feature_names,
            "kinds": self.kinds,
            "zones": self.zones or None,
            "allow_nan": None if self.allow_nan else False,
        }
        return {name: value for name, value in found.items() if value is not None}


def head_of(estimator: Any, parts: Parts, rows: Any) -> Head:
    """Convert the fitted preprocessing, given rows as the estimator takes them.

    The estimator is called to find out whether numbers may be missing. Raise a
    ValueError if skl2onnx cannot convert a step, a column has the name of an output, a
    level is the string "nan", or rows are single values.
    """
    if len(rows.shape) < 2:
        raise ValueError(
            "a file takes rows of columns or images, and these rows are single values, "
            "such as texts: skdistill.deploy.to_sklearn takes their student"
        )
    ask = getattr(estimator, parts.output.method)
    steps, number = _plain_steps(parts)
    names, n_features = parts.feature_names, rows.shape[1]
    dates = getattr(parts.transformers[0], "dates_", {}) if steps else {}
    n_columns = n_features + sum(len(used) for _, used in dates.values())
    kinds: Any = _kinds(steps, n_columns, is_frame(rows), names)
    if kinds is None:
        inputs, shape = {"X": number}, rows.shape[1:]
    else:
        kinds = [number if kind == "float" else kind for kind in kinds[:n_features]]
        columns = names or [str(i) for i in range(n_features)]
        _check_names(columns, [*parts.output.of_file()])
        inputs, shape = dict(zip(columns, kinds, strict=True)), (1,)
        steps[0] = (steps[0][0], _as_columns(steps[0][1], n_columns))
    prefix = "skdistill/"
    while any(name.startswith(prefix) for name in inputs):
        prefix = f"_{prefix}"
    # With one input there is no name to keep apart, and short names save bytes.
    own = f"{prefix}columns/" if kinds else ""
    made = {
        i: {part: f"{prefix}{part}_{i}" for part in used}
        for i, (_, used) in dates.items()
    }
    parts_of_dates = [name for names_of in made.values() for name in names_of.values()]
    given = inputs | dict.fromkeys(parts_of_dates, number)
    model: Any = _converted(steps, given, shape[0], own) if steps else None
    for i, names_of in made.items():
        with_date(model, columns[i], names_of, f"{prefix}date_{i}/")
        kinds[i], inputs[columns[i]] = "date", "double"
    return Head(
        model=model,
        n_features=n_features,
        feature_names=names,
        kinds=kinds,
        zones=[zone for zone, _ in dates.values()],
        inputs=[_onnx_input(name, kind, shape) for name, kind in inputs.items()],
        allow_nan=kinds is not None or _takes_nan(ask, rows),
        prefix=prefix,
    )


def _plain_steps(parts: Parts) -> tuple[_Steps, str]:
    """Return the steps as skl2onnx takes them, and the type of their numbers."""
    steps, number = parts.steps, "float"
    if steps and getattr(parts.transformers[0], "dtype_", None) is np.float64:
        steps[0], number = (steps[0][0], with_casts(steps[0][1])), "double"
    return [(name, _by_position(step)) for name, step in flat(steps)], number


def _onnx_input(name: str, kind: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    number = getattr(TensorProto, kind.upper())
    return helper.make_tensor_value_info(name, number, ["batch", *shape])


def _check_names(names: list[str], outputs: list[str]) -> None:
    for name in names:
        if not name or name in outputs:
            raise ValueError(
                f"a column is named {name!r}, which cannot be the name of an input in "
                "ONNX: rename the column and fit again"
            )


def _takes_nan(ask: Callable[[Any], Any], rows: Any) -> bool:
    """Tell whether any column of numbers may hold NaN.

    The estimator is called to find out, because transformers of users need not declare
    it.
    """
    row = rows[:1]
    row = floats(row, [*range(row.shape[1])]) if is_frame(row) else row.astype("f4")
    return any(_accepts(ask, rows, probe) for probe in _probes(row))


def _probes(row: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield a row that is all missing, and copies of it in which one column is."""
    yield np.full_like(row, np.nan)
    if row.ndim == 2:
        for i in range(row.shape[1]):
            probe = np.nan_to_num(row)
            probe[:, i] = np.nan
            yield probe


def _accepts(ask: Callable[[Any], Any], rows: Any, probe: NDArray[Any]) -> bool:
    """Tell whether the estimator takes a row of numbers, in the form of ``rows``."""
    if is_frame(rows):
        probe = type(rows)(dict(zip(rows.columns, probe.T, strict=True)))
    try:
        ask(probe)
    except ValueError:
        return False
    return True


def _kinds(
    steps: _Steps, n_features: int, are_frame: bool, names: list[str] | None
) -> list[str] | None:
    """Return the type of each column, or None if all are one tensor of numbers."""
    if not steps:
        return None
    first = steps[0][1]
    kinds: list[str | None] = [None] * n_features
    for _, step, columns in _as_columns(first, n_features).transformers_:
        for i, kind in zip(columns, _kinds_of(step, columns), strict=True):
            kinds[i] = "string" if "string" in (kind, kinds[i]) else kind
    unknown = are_frame and None in kinds
    by_column = isinstance(first, ColumnTransformer)
    if "string" in kinds or (by_column and (names or unknown)):
        # The type of an unused column is not known; any can be passed as strings.
        return [kind or "string" for kind in kinds]
    return None


def _kinds_of(step: Any, columns: list[int]) -> list[str]:
    """Return the types of the columns of a fitted step: strings for levels."""
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


def _as_columns(step: Any, n_features: int) -> ColumnTransformer:
    """Return a step as a ColumnTransformer; any other step takes all columns."""
    if isinstance(step, ColumnTransformer):
        return step
    everything = ColumnTransformer([])
    everything.n_features_in_ = n_features
    everything.transformers_ = [("all", step, list(range(n_features)))]
    return everything


def _by_position(step: Any) -> Any:
    """Return a fitted step as skl2onnx takes it.

    A ColumnTransformer gets its columns by position, and no steps that do nothing.
    """
    if not isinstance(step, ColumnTransformer):
        return step
    numbers = np.arange(step.n_features_in_)[np.newaxis]
    if hasattr(step, "feature_names_in_"):
        numbers = to_frame(dict(zip(step.feature_names_in_, numbers.T, strict=True)))
    transformer = ColumnTransformer([], transformer_weights=step.transformer_weights)
    transformer.n_features_in_ = step.n_features_in_
    transformer.transformers_ = [
        (
            name,
            Pipeline([*flat([("", part)])]) if isinstance(part, Pipeline) else part,
            np.ravel(_safe_indexing(numbers, columns, axis=1)).tolist(),
        )
        for name, part, columns in step.transformers_
        if part != "drop"
    ]
    return transformer


def _converted(
    steps: _Steps, inputs: dict[str, str], width: int, prefix: str
) -> onnx.ModelProto:
    """Convert fitted steps, for inputs of ``width`` columns each.

    ``inputs`` are their types, "float", "double" or "string", by name. The other names
    in the model begin with the prefix.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common import data_types

    # skl2onnx changes names of inputs that are not identifiers.
    names = {f"column_{i}": name for i, name in enumerate(inputs)}
    types = [
        (name, getattr(data_types, f"{kind.title()}TensorType")([None, width]))
        for name, kind in zip(names, inputs.values(), strict=True)
    ]
    try:
        with quiet():
            model = convert_sklearn(
                Pipeline(steps),
                initial_types=types,
                target_opset={"": OPSET},
                custom_parsers=parsers(),
                **(imputer_options() if "double" in inputs.values() else {}),
            )
    except Exception as error:
        raise ValueError(
            f"skl2onnx cannot convert the preprocessing {[name for name, _ in steps]} "
            f"({reason(error)}){_unknown(steps)}. Export the estimator without the "
            "steps in front of it, as by to_onnx(pipeline[-1]), or use "
            "skdistill.deploy.to_sklearn, which keeps all steps"
        ) from error
    model = inlined(model)
    add_prefix(model, prefix, names)
    return model


def _unknown(steps: _Steps) -> str:
    """Return what is to be said of steps that skl2onnx has no converter for."""
    from skl2onnx._supported_operators import sklearn_operator_name_map as known

    names = [
        f"{name!r} ({type(step).__name__})"
        for name, step in steps
        if type(step) not in known and not isinstance(step, ColumnTransformer)
    ]
    added = "add one by skl2onnx.update_registered_converter"
    return f". It has no converter for {', '.join(names)}: {added}" if names else ""
