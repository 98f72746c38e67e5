"""From a student to plain scikit-learn, with the weights in a perceptron."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, OneHotEncoder
from torch import nn

from skdistill.deploy._outputs import Output
from skdistill.deploy._parts import Parts, check_no_dates, parts_of
from skdistill.deploy._sample import sample_rows, to_frame
from skdistill.deploy._stack import (
    WAY_OUT,
    Layers,
    check_stack,
    layers_of,
    linear_layers,
    outputs_of,
    weights_and_biases,
)
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._unwrap import last_step

# The largest difference that is always taken for rounding: of a probability, or of a
# number in standard deviations. Sums of large terms may differ by more.
_TOLERANCE = 1e-6

_FORM = "scikit-learn's MLP"


@underflow_is_zero
def to_sklearn(estimator: Any) -> Pipeline:
    """Turn a fitted student into a Pipeline of plain scikit-learn parts.

    The result needs neither torch nor skorch nor skdistill, to predict or to be
    loaded. If the student is the default one, skops trusts it, and skl2onnx and other
    tools for scikit-learn models convert it. With other preprocessing, that depends on
    its steps.

    Parameters
    ----------
    estimator : DistilledClassifier, DistilledRegressor, Pipeline or search
        A fitted estimator, or a pipeline that ends in one, or a search over either; of
        a search, the ``best_estimator_`` counts. It is left as it is. Its net must be a
        stack of ``torch.nn.Linear`` with one kind of activation between them (ReLU,
        Tanh, Sigmoid or none), as that of :func:`skdistill.make_student`, unless
        ``numeric="periodic"``. Dropout and Identity may be anywhere, and a Softmax at
        the end.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Fitted: copies of the steps in front of the student and of its preprocessing,
        then "mlp", a :class:`~sklearn.neural_network.MLPClassifier` with the net's
        weights in float32, also for several labels a row, or a
        :class:`~sklearn.neural_network.MLPRegressor`, whose last layer is float64 and
        holds the scale of the targets. Its probabilities were
        compared with the student's on made-up rows with outliers. They are equal within
        1e-6. For a row with a logit whose terms have absolute values that sum up to
        more than 8, they are equal within that sum times the precision of float32,
        1.2e-7 (at most 1e-3). So are the numbers of a regressor, in standard deviations
        of the targets, within four times this precision.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind, or a search with ``refit=False``, or the
        net has a layer that scikit-learn's MLP does not have.
    ValueError
        If the layers are in an order that scikit-learn's MLP does not have, the net
        takes several inputs, or computes something besides the layers, the result does
        not predict as the student, or the student predicts quantiles, or reads columns
        of dates, or of levels that are neither strings nor numbers, or both, such as
        intervals.

    See Also
    --------
    to_onnx : Takes any net.

    Notes
    -----
    The student converts its rows by itself; the result takes them as scikit-learn does:

    - If the student was fitted on an array of float32, pass numbers as float32. With
      float64 the result is more precise than the student, and differs from it if the
      mean of a column is large compared to its spread.
    - In a data frame, pass missing numbers as NaN. Columns of strings may be of any
      type, also categories. Missing strings may be NaN, None or the null of polars.
      ``pandas.NA`` counts as a level never seen: make it NaN, as by
      ``X["job"].astype(object).where(X["job"].notna(), numpy.nan)``.
    - If a column of categories held numbers in ``fit``, pass them as strings: 1 and 1.0
      as "1".
    - A level never seen is treated as by the student, with a UserWarning, as it may
      also be a known one of another type, such as 1 for "1". No warnings are given
      after ``encoder.set_params(handle_unknown="ignore")``, where the encoder is
      ``plain["preprocess"].named_transformers_["categorical"]``. skl2onnx needs this
      too.

    The numbers of the result have no bounds: only those of the student stay within
    ``extrapolation``. Where it matters, clip them to the ``y_bounds_`` of the
    :class:`~skdistill.DistilledRegressor`.

    Labels of dtype object become a string, integer or boolean array. The ``n_iter_`` of
    the MLP is 0, and its ``partial_fit`` goes on from the student's
    weights.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import to_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    >>> net = make_student((32, 16), max_epochs=5)
    >>> student = DistilledClassifier(forest, net, random_state=0).fit(X, y)
    >>> plain = to_sklearn(student)
    >>> list(plain.named_steps)
    ['preprocess', 'mlp']
    >>> plain["mlp"].hidden_layer_sizes
    (32, 16)
    >>> difference = plain.predict_proba(X) - student.predict_proba(X)
    >>> bool(abs(difference).max() < 1e-6)
    True
    """
    parts = parts_of(estimator)
    check_no_dates(parts.transformers)
    parts = replace(parts, output=parts.output.unbounded())
    _check_levels(parts)
    layers = layers_of(parts.net.module_, parts, _FORM)
    linear, between = linear_layers(layers, _FORM)
    mlp = _mlp(linear, _activation(between, layers), parts.output)
    rows = check_stack(parts, layers, mlp.n_features_in_)
    _check_equal(getattr(mlp, parts.output.method)(rows), parts, layers, rows)
    pipeline = _pipeline(parts, mlp)
    _check_preprocessed(parts, layers, pipeline)
    return pipeline


def _activation(between: list[str], layers: Layers) -> str:
    """Return the activation between all linear layers."""
    kinds = sorted(set(between))
    if len(kinds) > 1:
        raise ValueError(
            f"between the Linear layers of the student's module are the activations "
            f"{kinds}, and scikit-learn's MLP has one kind. It has "
            f"{[name for name, _ in layers]}. {WAY_OUT}"
        )
    return kinds[0] if kinds else "identity"


def _mlp(linear: list[nn.Linear], activation: str, output: Output) -> Any:
    # This sets all fitted attributes; the weights are replaced below.
    mlp = output.perceptron(
        linear[0].in_features,
        hidden_layer_sizes=tuple(layer.out_features for layer in linear[:-1]),
        activation=activation,
        random_state=0,  # None would draw from numpy's global generator
    )
    mlp.set_params(random_state=None)
    _set_weights(mlp, linear, output)
    _forget_training(mlp)
    return mlp


def _set_weights(mlp: Any, linear: list[nn.Linear], output: Output) -> None:
    *first, last = weights_and_biases(linear)
    weights, bias = output.last_layer(*last)
    mlp.coefs_ = [np.array(c, np.float32, order="C") for c, _ in first]
    mlp.coefs_.append(np.ascontiguousarray(weights))
    mlp.intercepts_ = [*(np.array(i, np.float32) for _, i in first), bias]


def _forget_training(mlp: Any) -> None:
    """Remove the traces of the one step on rows of zeros."""
    # Of the private attributes, predict needs the encoder of the labels alone, and
    # partial_fit a counter.
    for name, value in list(vars(mlp).items()):
        if name.startswith("_") and not isinstance(value, LabelBinarizer | int):
            delattr(mlp, name)
    del mlp.loss_
    mlp.n_iter_, mlp.t_, mlp.best_loss_, mlp.loss_curve_ = 0, 0, np.inf, []


def _pipeline(parts: Parts, mlp: Any) -> Pipeline:
    steps = copy.deepcopy(parts.steps)
    if parts.preprocessing:
        _, last = last_step(steps[-1][1])
        if hasattr(last, "set_output"):
            last.set_output(transform="default")  # the perceptron knows no names
    elif hasattr(parts.estimator, "feature_names_in_"):
        mlp.feature_names_in_ = parts.estimator.feature_names_in_.copy()
    _take_levels(parts, steps, mlp)
    name = "mlp"
    while name in dict(steps):
        name += "_"
    return Pipeline([*steps, (name, mlp)])


def _check_preprocessed(parts: Parts, layers: Layers, pipeline: Pipeline) -> None:
    """Compare rows from the first step on that was translated, if there is one.

    Steps before it are copied as they are, and need no comparison.
    """
    steps = [*parts.before, *parts.preprocessing]
    translated = [hasattr(step, "transformer_") for _, step in steps]
    if not any(translated):
        return
    start = translated.index(True)
    alone = replace(parts, before=[], preprocessing=steps[start:])
    rows = sample_rows(alone)
    # Some rows have outliers, and levels that the encoder reports as unknown.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = getattr(pipeline[start:], parts.output.method)(rows)
    # Not the estimator, which may refuse missing values because of its teacher.
    _check_equal(ours, parts, layers, alone.prepared(rows))


def _check_equal(
    ours: NDArray[Any],
    parts: Parts,
    layers: Layers,
    rows: NDArray[np.float32],
) -> None:
    """Raise a ValueError if outputs differ by more than by rounding.

    An output that is a sum of large terms has the rounding error of these, in torch as
    well as in numpy.
    """
    _, sizes = outputs_of(layers, rows)
    output = parts.output
    rounding = output.rounding * sizes * np.finfo(np.float32).eps
    tolerance = np.clip(rounding, _TOLERANCE, output.most)
    differences = output.differences(ours, parts.said(rows))
    if not (differences <= tolerance).all():
        row = int((differences / tolerance).argmax())
        raise ValueError(
            f"on made-up rows, {output.measured} of the result differs by "
            f"{differences[row]:.1e}, more than {tolerance[row]:.0e}. {WAY_OUT}"
        )


def _check_levels(parts: Parts) -> None:
    """Raise a ValueError if the student made strings of levels of another kind."""
    for step in parts.transformers:
        if mixed := getattr(step, "mixed_columns_", None):
            names = getattr(step, "feature_names_in_", range(step.n_features_in_))
            raise ValueError(
                f"in fit, the columns {[names[i] for i in mixed]} held something else "
                "than strings, such as intervals, or numbers and strings, and plain "
                "scikit-learn would not find their levels: make strings of them before "
                "fit, or use skdistill.deploy.to_onnx"
            )


def _take_levels(parts: Parts, steps: list[tuple[str, Any]], mlp: Any) -> None:
    """Let plain steps take None and NaN for one level, and report unknown levels."""
    for original, (_, step) in zip(parts.transformers, steps, strict=True):
        if not hasattr(original, "levels_") or not isinstance(step, ColumnTransformer):
            continue
        if encoder := step.named_transformers_.get("categorical"):
            encoder.set_params(handle_unknown="warn")
            if step is steps[-1][1]:
                _take_none(encoder, mlp)


def _take_none(encoder: OneHotEncoder, mlp: Any) -> None:
    """Give None an output of its own, which the net weighs as that of NaN."""
    categories, repeats = [], []
    for known in map(list, encoder.categories_):
        missing = [] if isinstance(known[-1], str) else [None]  # beside NaN, the last
        categories.append(np.array([*known[:-1], *missing, known[-1]], object))
        repeats += [1] * (len(known) - 1) + [1 + len(missing)]
    names = getattr(encoder, "feature_names_in_", None)
    row: Any = np.full((1, len(categories)), "", object)
    row = row if names is None else to_frame(dict(zip(names, row.T, strict=True)))
    encoder.set_params(categories=categories).fit(row)
    # The outputs of the encoder are the last ones.
    weights = mlp.coefs_[0]
    ones = [1] * (len(weights) - len(repeats))
    mlp.coefs_[0] = np.repeat(weights, [*ones, *repeats], axis=0)
    mlp.n_features_in_ = len(mlp.coefs_[0])
