"""From a student to plain scikit-learn: the weights move into an MLPClassifier."""

from __future__ import annotations

import copy
from collections import UserList
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.compose import ColumnTransformer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from torch import nn

from skdistill._training._hooks import log_proba
from skdistill.deploy._parts import Parts, parts_of
from skdistill.deploy._sample import N_ROWS, difference_of, sample_rows

# The largest difference of a probability that is rounding in any case. Where the logits
# are sums of large terms, those in float32 can be off by more.
_TOLERANCE = 1e-6

# From this difference on, it is another function.
_OTHER_FUNCTION = 1e-3

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Sigmoid: "logistic",
    nn.Tanh: "tanh",
}

# What does nothing at prediction.
_IDENTITIES = (nn.Identity, nn.Dropout, nn.AlphaDropout)

# What a softmax of the outputs, whoever computes it, comes to.
_SOFTMAX = (nn.Softmax, nn.LogSoftmax)

_WAY_OUT = "skdistill.deploy.to_onnx takes any net"


def to_sklearn(estimator: Any) -> Pipeline:
    """Turn a fitted student into a Pipeline of plain scikit-learn parts.

    The result needs neither torch nor skorch nor skdistill, to predict or to be
    loaded. Of the default student, skops takes it as trusted, and skl2onnx and other
    tools that know scikit-learn convert it; of other preprocessing, that depends on its
    steps.

    Parameters
    ----------
    estimator : DistilledClassifier, Pipeline that ends in one, or search over either
        A fitted estimator; of a search, its ``best_estimator_``. It is left as it is.
        Its net is a stack of ``torch.nn.Linear`` with one kind of activation between
        them: ReLU, Tanh, Sigmoid or none, as that of :func:`skdistill.make_student`.
        Dropout and Identity may be anywhere, a Softmax at the end.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Fitted: copies of the steps in front of the student and of its preprocessing,
        then "mlp", a :class:`~sklearn.neural_network.MLPClassifier` with the net's
        weights in float32. On made-up rows, outliers among them, its probabilities were
        compared with the student's: they are equal within 1e-6, or, where a row makes
        the net compute a logit from terms that sum up to more than 8, within that sum
        times the precision of float32, 1.2e-7 (at most 1e-3).

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is of another kind, or the net has a layer that
        ``MLPClassifier`` has not.
    ValueError
        If the layers have no order that ``MLPClassifier`` has, the net computes
        something besides them, or the result predicts otherwise than the student.

    See Also
    --------
    to_onnx : Takes any net.

    Notes
    -----
    The student converts its rows by itself, the result takes them as scikit-learn
    does:

    - Pass numbers as float32, as the student has them. In float64 the result is more
      precise, and differs where the mean of a column is large beside its spread.
    - In a data frame, missing numbers and strings are NaN. Its strings may be in
      columns of any type, also categories. None, ``pandas.NA`` and the null of polars
      count as levels never seen; make them NaN by
      ``X["job"].astype(object).where(X["job"].notna(), numpy.nan)``.
    - Where such a column held numbers at fit, as a column of categories may, pass
      them as strings: 1 and 1.0 as "1".

    Labels of the dtype object come out as a string, integer or boolean array. The
    ``MLPClassifier`` has no trace of a training: its ``n_iter_`` is 0. ``partial_fit``
    trains it on, from the student's weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.deploy import to_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = DistilledClassifier(forest, random_state=0).fit(X, y)
    >>> plain = to_sklearn(student)
    >>> list(plain.named_steps)
    ['preprocess', 'mlp']
    >>> plain["mlp"].hidden_layer_sizes
    (64, 64)
    >>> X = X.astype(np.float32)
    >>> difference = plain.predict_proba(X) - student.predict_proba(X)
    >>> bool(abs(difference).max() < 1e-6)
    True
    """
    parts = parts_of(estimator)
    layers = list(_layers(parts.net.module_))
    linear, activation = _linear_layers(layers)
    mlp = _mlp(linear, activation, parts.classes)
    _check_net(parts.net, layers, mlp)
    pipeline = _pipeline(parts, mlp)
    _check_preprocessed(parts, layers, pipeline)
    return pipeline


def _layers(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield what is computed, in order, with a description for people.

    A module that holds others is taken for a stack of them. Whether it is one shows
    in its outputs.
    """
    name = f"{path.lstrip('.')} ({type(module).__name__})".lstrip()
    if isinstance(module, (nn.Linear, *_SOFTMAX)) or type(module) in _ACTIVATIONS:
        yield name, module
    elif isinstance(module, _IDENTITIES):
        return
    elif module._modules:
        for key, child in module._modules.items():
            if child is not None:
                yield from _layers(child, f"{path}.{key}")
    else:
        raise TypeError(
            f"the student's module has the layer {name}, which MLPClassifier has not: "
            f"it has Linear layers, with one of ReLU, Tanh, Sigmoid or Identity "
            f"between them. {_WAY_OUT}"
        )


def _linear_layers(layers: list[tuple[str, nn.Module]]) -> tuple[list[nn.Linear], str]:
    """Return the linear layers, and the activation between all of them."""
    names = [name for name, _ in layers]
    modules = [module for _, module in layers]
    if modules and isinstance(modules[-1], _SOFTMAX):
        modules.pop()
    linear: list[nn.Linear] = []
    between: list[str] = []
    previous: nn.Module | None = None
    for name, module in zip(names, modules, strict=False):
        if isinstance(module, nn.Linear):
            if isinstance(previous, nn.Linear):
                between.append("identity")
            linear.append(module)
        elif type(module) in _ACTIVATIONS and isinstance(previous, nn.Linear):
            between.append(_ACTIVATIONS[type(module)])
        else:
            raise _wrong_order(name, names)
        previous = module
    if not isinstance(previous, nn.Linear):
        raise _wrong_order(names[-1] if names else "nothing", names)
    kinds = sorted(set(between))
    if len(kinds) > 1:
        raise ValueError(
            f"between the Linear layers of the student's module are the activations "
            f"{kinds}, and MLPClassifier has one kind. It has {names}. {_WAY_OUT}"
        )
    return linear, kinds[0] if kinds else "identity"


def _wrong_order(name: str, names: list[str]) -> ValueError:
    return ValueError(
        f"{name} stands where MLPClassifier has no such layer: it begins and ends with "
        "a Linear layer, and has one activation between two of them. The student's "
        f"module has {names}. {_WAY_OUT}"
    )


def _mlp(
    linear: list[nn.Linear], activation: str, classes: NDArray[Any]
) -> MLPClassifier:
    if classes.dtype == object:
        classes = np.array(classes.tolist())
    mlp = MLPClassifier(
        hidden_layer_sizes=tuple(layer.out_features for layer in linear[:-1]),
        activation=activation,
        random_state=0,  # None would draw from numpy's global generator
    )
    # What it sets besides the weights is then of its own making.
    rows = np.zeros((len(classes), linear[0].in_features), np.float32)
    mlp.partial_fit(rows, classes, classes=classes)
    mlp.set_params(random_state=None)
    _set_weights(mlp, linear)
    _forget_training(mlp)
    return mlp


def _set_weights(mlp: MLPClassifier, linear: list[nn.Linear]) -> None:
    coefs = [_array(layer.weight).T for layer in linear]
    intercepts = [
        np.zeros(layer.out_features) if layer.bias is None else _array(layer.bias)
        for layer in linear
    ]
    if len(mlp.classes_) == 2:
        # One output, and a logistic function in place of the softmax.
        coefs[-1] = coefs[-1][:, [1]] - coefs[-1][:, [0]]
        intercepts[-1] = intercepts[-1][[1]] - intercepts[-1][[0]]
    mlp.coefs_ = [np.array(c, np.float32, order="C") for c in coefs]
    mlp.intercepts_ = [np.array(i, np.float32) for i in intercepts]


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().cpu().double().numpy()
    return array


def _forget_training(mlp: MLPClassifier) -> None:
    """Remove what is left of the one step on rows of zeros, and its copies."""
    for name in (
        "_best_coefs",
        "_best_intercepts",
        "_optimizer",
        "_random_state",
        "loss_",
    ):
        vars(mlp).pop(name, None)
    mlp.n_iter_, mlp.t_, mlp.best_loss_, mlp.loss_curve_ = 0, 0, np.inf, []


def _pipeline(parts: Parts, mlp: MLPClassifier) -> Pipeline:
    steps = copy.deepcopy(parts.steps)
    if parts.preprocessing:
        last = steps[-1][1]
        while isinstance(last, Pipeline):
            last = last[-1]
        if hasattr(last, "set_output"):
            last.set_output(transform="default")  # MLPClassifier knows no names
        if isinstance(last, ColumnTransformer):
            _set_plain_remainder(last)
    elif hasattr(parts.classifier, "feature_names_in_"):
        mlp.feature_names_in_ = parts.classifier.feature_names_in_.copy()
    name = "mlp"
    while name in dict(steps):
        name += "_"
    return Pipeline([*steps, (name, mlp)])


def _set_plain_remainder(transformer: ColumnTransformer) -> None:
    """Let the columns that are left over be a list.

    scikit-learn 1.6 has a type of its own for them, which skops does not trust.
    """

    def plain(step: tuple[str, Any, Any]) -> tuple[str, Any, Any]:
        name, transform, columns = step
        own_type = isinstance(columns, UserList)
        return name, transform, list(columns.data) if own_type else columns

    transformer._remainder = plain(transformer._remainder)
    transformer.transformers_[-1] = plain(transformer.transformers_[-1])


def _check_net(
    net: Any, layers: list[tuple[str, nn.Module]], mlp: MLPClassifier
) -> None:
    """Raise a ValueError if the net computes something else than its layers."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((N_ROWS, mlp.n_features_in_)).astype(np.float32)
    for scale in (1, 10):  # standardized columns, and outliers
        scaled = rows * np.float32(scale)
        expected = log_proba(net, scaled).exp().numpy()
        outputs, _ = _outputs(layers, scaled)
        if not difference_of(softmax(outputs, axis=1), expected) < _OTHER_FUNCTION:
            raise ValueError(
                "the student's probabilities are not those of its layers one after "
                f"the other with a softmax at the end: the forward of "
                f"{type(net.module_).__name__}, or predict_nonlinearity, does "
                f"something else. The layers are {[name for name, _ in layers]}. "
                f"{_WAY_OUT}"
            )
    _check_equal(mlp.predict_proba(rows), net, layers, rows)


def _outputs(
    layers: list[tuple[str, nn.Module]], rows: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the layers, one after the other, make of rows in torch.

    Also the largest sum, of each row, of the sizes of the terms of one of its logits.
    """
    modules = [module for _, module in layers]
    if isinstance(modules[-1], _SOFTMAX):
        modules.pop()
    last: Any = modules.pop()
    with torch.inference_mode():
        inputs = torch.from_numpy(rows).to(last.weight)
        for module in modules:
            inputs = module(inputs)
        terms = inputs.abs() @ last.weight.abs().T
        if last.bias is not None:
            terms += last.bias.abs()
        logits, sizes = last(inputs), terms.amax(dim=1)
    return logits.double().cpu().numpy(), sizes.double().cpu().numpy()


def _check_preprocessed(
    parts: Parts, layers: list[tuple[str, nn.Module]], pipeline: Pipeline
) -> None:
    """Compare rows as the default student takes them.

    Of steps of the person's own, the result has copies: there is nothing to compare.
    """
    if parts.is_default:
        rows = sample_rows(replace(parts, before=[]))
        ours = pipeline[len(parts.before) :].predict_proba(rows)
        # Not by the classifier, which may refuse missing values for its teacher's sake.
        student = parts.classifier.student_
        prepared = np.asarray(student[:-1].transform(rows), np.float32)
        _check_equal(ours, parts.net, layers, prepared)


def _check_equal(
    ours: NDArray[Any],
    net: Any,
    layers: list[tuple[str, nn.Module]],
    rows: NDArray[np.float32],
) -> None:
    """Raise a ValueError if probabilities differ by more than what rounding explains.

    A logit that is a sum of large terms is off by their float32 rounding, in torch as
    well as in numpy.
    """
    _, sizes = _outputs(layers, rows)
    rounding = sizes * np.finfo(np.float32).eps
    tolerance = np.clip(rounding, _TOLERANCE, _OTHER_FUNCTION)
    differences = np.abs(ours - log_proba(net, rows).exp().numpy()).max(axis=1)
    if not (differences <= tolerance).all():
        row = int((differences / tolerance).argmax())
        raise ValueError(
            f"a probability of the result differs from the student's by "
            f"{differences[row]:.1e}, more than {tolerance[row]:.0e}, on rows that "
            f"were made up to compare the two. {_WAY_OUT}"
        )
