"""What a student says of a row, for exports: probabilities of classes, or numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_array, column_or_1d
from torch import Tensor

from skdistill.deploy._onnx_estimators import OnnxClassifier, OnnxRegressor
from skdistill.utils._probabilities import first, nonlinearity_of, to_proba


@dataclass(frozen=True)
class ClassOutput:
    """The probabilities of the classes, of a classifier.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The labels.
    """

    classes: NDArray[Any]

    task: ClassVar[str] = "classification"
    method: ClassVar[str] = "predict_proba"  # of estimators, which says it
    runner: ClassVar[type] = OnnxClassifier  # of ONNX files of it
    of_net: ClassVar[str] = "probabilities"  # what the output of a net is in ONNX
    measured: ClassVar[str] = "a probability"  # what differences are of
    activation: ClassVar[str] = ", with a softmax at the end"  # after the layers
    # The largest rounding error, in units of that of the output of a net.
    rounding: ClassVar[float] = 1.0
    most: ClassVar[float] = 1e-3  # the largest difference that may be rounding
    # The smallest closeness of quantized weights that needs no warning.
    least: ClassVar[float] = 0.95
    score: ClassVar[str] = "accuracy"  # what :meth:`scored` returns

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a net."""
        return len(self.classes)

    # From what a net returns to what the estimator says

    def ending(self, net: Any) -> Callable[[Any], Tensor]:
        """Return the function from what the module of a net returns to ``of_net``."""
        return partial(to_proba, nonlinearity=nonlinearity_of(net))

    def decoded(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return what the estimator says where its net says ``said``."""
        return said

    def of_layers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what a multilayer perceptron says, given the outputs of its layers."""
        return np.asarray(softmax(outputs, axis=1))

    def unbounded(self) -> ClassOutput:
        """Return the output without bounds: it has none."""
        return self

    def differences(self, said: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
        """Return the largest difference of a probability, for each row."""
        return np.asarray(np.abs(said - expected).max(axis=1))

    # In scikit-learn

    def perceptron(self, n_features: int, **params: Any) -> MLPClassifier:
        """Return a multilayer perceptron with all fitted attributes."""
        classes = self.classes
        if classes.dtype == object:
            classes = np.array(classes.tolist())
        rows = np.zeros((len(classes), n_features), np.float32)
        return MLPClassifier(**params).partial_fit(rows, classes, classes=classes)

    def last_layer(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the weights and biases of its last layer, given those of the net."""
        if self.task == "classification" and len(self.classes) == 2:
            # One output, and a logistic function in place of the softmax.
            weights = weights[:, [1]] - weights[:, [0]]
            bias = bias[[1]] - bias[[0]]
        return weights.astype(np.float32), bias.astype(np.float32)

    # In ONNX

    def of_file(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Return the type and the shape for a row of each output of a file.

        Raise a ValueError for labels that ONNX does not have.
        """
        labels = self._labels()
        return {
            "label": (labels.dtype, ()),
            "probabilities": (np.dtype(np.float32), labels.shape),
        }

    def tail(self, made: str, prefix: str) -> tuple[list[Any], list[Any]]:
        """Return the nodes from the output of the net on, and their tensors.

        ``made`` is the name of the output of the net.
        """
        from onnx import numpy_helper

        code, classes = f"{prefix}code", f"{prefix}classes"
        nodes = [
            _node(prefix, "ArgMax", [made], code, axis=1, keepdims=0),
            _node(prefix, "Gather", [classes, code], "label"),
        ]
        return nodes, [numpy_helper.from_array(self._labels(), name=classes)]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata about the output."""
        return {
            "classes": self.classes.tolist(),
            "classes_dtype": self.classes.dtype.str,
        }

    def _labels(self) -> NDArray[Any]:
        """Return the labels in a dtype of ONNX: int64, or object for strings."""
        values = self.classes.tolist()
        if all(isinstance(value, str) for value in values):
            return np.array(values, dtype=object)
        with suppress(OverflowError, TypeError, ValueError):
            integers = np.array(values, dtype=object).astype(np.int64)
            if integers.tolist() == values:
                return integers
        raise ValueError(
            f"labels in ONNX are integers or strings, and classes_ holds {values}: fit "
            "on labels of one of these kinds"
        )

    # What narrow weights change

    def closeness(self, said: NDArray[Any], expected: NDArray[Any]) -> float:
        """Return the share of the rows that have the same label."""
        return float((said.argmax(axis=1) == expected.argmax(axis=1)).mean())

    def reported(self, closeness: float) -> dict[str, float]:
        """Return the entry of a report."""
        return {"agreement": closeness}

    def changed(self, closeness: float) -> str:
        """Say what has changed, for a warning."""
        return f"changes the label of {1 - closeness:.1%} of"

    def known(self, sample_y: ArrayLike, said: NDArray[Any]) -> NDArray[Any]:
        """Return the column of the right label for each row, checked."""
        y, known = column_or_1d(sample_y), set(self.classes.tolist())
        if len(y) != len(said) or not known.issuperset(y.tolist()):
            raise ValueError(
                f"sample_y must have a label of classes_ for each of the {len(said)} "
                f"rows of sample, got {len(y)}"
            )
        return np.searchsorted(self.classes, y)

    def scored(self, said: NDArray[Any], y: NDArray[Any]) -> float:
        """Return the accuracy."""
        return float((said.argmax(axis=1) == y).mean())


@dataclass(frozen=True)
class LabelOutput(ClassOutput):
    """The probabilities of several labels, of a classifier. See :class:`ClassOutput`.

    Parameters
    ----------
    classes : ndarray of shape (n_labels,)
        The numbers of the labels.
    """

    task: ClassVar[str] = "multilabel"
    activation: ClassVar[str] = ", with a sigmoid at the end"
    score: ClassVar[str] = "subset_accuracy"

    def of_layers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(expit(outputs))

    def perceptron(self, n_features: int, **params: Any) -> MLPClassifier:
        labels = np.tile([[0], [1]], len(self.classes))
        rows = np.zeros((2, n_features), np.float32)
        return MLPClassifier(**params).partial_fit(rows, labels, classes=self.classes)

    def of_file(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Return the type and the shape for a row of each output of a file."""
        kinds = {"label": np.int64, "probabilities": np.float32}
        return {name: (np.dtype(k), self.classes.shape) for name, k in kinds.items()}

    def tail(self, made: str, prefix: str) -> tuple[list[Any], list[Any]]:
        """Return the nodes from the output of the net on, and their tensors.

        "label" is an indicator matrix.
        """
        from onnx import TensorProto, numpy_helper

        half, holds = f"{prefix}half", f"{prefix}holds"
        nodes = [
            _node(prefix, "Greater", [made, half], holds),
            _node(prefix, "Cast", [holds], "label", to=TensorProto.INT64),
        ]
        return nodes, [numpy_helper.from_array(np.array(0.5, np.float32), name=half)]

    def closeness(self, said: NDArray[Any], expected: NDArray[Any]) -> float:
        """Return the share of the labels that are the same."""
        return float(((said > 0.5) == (expected > 0.5)).mean())

    def changed(self, closeness: float) -> str:
        return f"changes {1 - closeness:.1%} of the labels of"

    def known(self, sample_y: ArrayLike, said: NDArray[Any]) -> NDArray[Any]:
        """Return the right labels of each row, checked."""
        y = np.asarray(sample_y)
        if y.shape != said.shape or not np.isin(y, (0, 1)).all():
            raise ValueError(
                "sample_y must be an indicator matrix of 0 and 1 of shape "
                f"{said.shape}, a row for each of sample, got shape {y.shape}"
            )
        return y

    def scored(self, said: NDArray[Any], y: NDArray[Any]) -> float:
        """Return the share of the rows whose labels are all right."""
        return float(((said > 0.5) == y).all(axis=1).mean())


@dataclass(frozen=True)
class NumberOutput:
    """One number, or several, of a regressor. See :class:`ClassOutput`.

    A net says scaled numbers. Differences are in units of this scale.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        What a scaled number of 0, and a difference of 1, stand for.
    bounds : tuple of ndarray of shape (n_outputs,), or None
        The smallest and the largest number that the estimator says.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    bounds: Any

    task: ClassVar[str] = "regression"
    method: ClassVar[str] = "predict"
    runner: ClassVar[type] = OnnxRegressor
    of_net: ClassVar[str] = "scaled"
    measured: ClassVar[str] = "a prediction (in standard deviations)"
    activation: ClassVar[str] = ""
    # The slope of a softmax is a quarter at most, and there is none.
    rounding: ClassVar[float] = 4.0
    most: ClassVar[float] = np.inf
    least: ClassVar[float] = -0.1
    score: ClassVar[str] = "rmse"

    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    # From what a net returns to what the estimator says

    def ending(self, net: Any) -> Callable[[Any], Tensor]:
        return first

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is said of a row."""
        return () if len(self.mean) == 1 else (len(self.mean),)

    def decoded(self, said: NDArray[Any]) -> NDArray[Any]:
        values = said * self.scale + self.mean
        if self.bounds is not None:
            values = values.clip(*self.bounds)
        return np.asarray(values.reshape(-1, *self.shape))

    def of_layers(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.decoded(outputs)

    def unbounded(self) -> NumberOutput:
        """Return the output without bounds."""
        return replace(self, bounds=None)

    def differences(self, said: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
        """Return the largest difference of a number in units, for each row."""
        return np.asarray(self._scaled(said - expected).max(axis=1))

    def _scaled(self, errors: NDArray[Any]) -> NDArray[Any]:
        # Numbers of a large mean have a rounding error of their own.
        unit = np.maximum(self.scale, 2.0**-30 * np.abs(self.mean))
        return np.asarray(np.abs(errors.reshape(len(errors), -1)) / unit)

    # In scikit-learn

    def perceptron(self, n_features: int, **params: Any) -> MLPRegressor:
        targets = np.zeros((2, len(self.mean)))
        targets = targets[:, 0] if len(self.mean) == 1 else targets
        rows = np.zeros((2, n_features), np.float32)
        return MLPRegressor(**params).partial_fit(rows, targets)

    def last_layer(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the weights and biases of its last layer, given those of the net.

        They are float64, as float32 has no digits for a large mean.
        """
        return np.ascontiguousarray(weights * self.scale), bias * self.scale + self.mean

    # In ONNX

    def of_file(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Return the type and the shape for a row of each output of a file."""
        return {"prediction": (np.dtype(np.float64), self.shape)}

    def tail(self, made: str, prefix: str) -> tuple[list[Any], list[Any]]:
        """Return the nodes from the output of the net on, and their tensors.

        They compute in double precision.
        """
        from onnx import TensorProto, numpy_helper

        steps = {"Mul": self.scale, "Add": self.mean}
        if self.bounds is not None:
            steps["Max"], steps["Min"] = self.bounds
        steps["Reshape"] = np.array([-1, *self.shape])
        value, tensors = f"{prefix}double", []
        nodes = [_node(prefix, "Cast", [made], value, to=TensorProto.DOUBLE)]
        for kind, array in steps.items():
            tensors.append(numpy_helper.from_array(array, f"{prefix}{kind}_by"))
            result = "prediction" if kind == "Reshape" else f"{prefix}{kind}"
            nodes.append(_node(prefix, kind, [value, tensors[-1].name], result))
            value = result
        return nodes, tensors

    def metadata(self) -> dict[str, Any]:
        return {"n_outputs": self.n_outputs}

    # What narrow weights change

    def closeness(self, said: NDArray[Any], expected: NDArray[Any]) -> float:
        """Return minus the root of the mean squared difference, in units."""
        return -self.scored(said, expected)

    def reported(self, closeness: float) -> dict[str, float]:
        return {"error": -closeness}

    def changed(self, closeness: float) -> str:
        return (
            f"adds an error of {-closeness:.2g} standard deviations of the targets to"
        )

    def known(self, sample_y: ArrayLike, said: NDArray[Any]) -> NDArray[np.float64]:
        """Return the targets of all rows, checked."""
        y = check_array(
            sample_y, ensure_2d=False, dtype=np.float64, input_name="sample_y"
        )
        if len(y) != len(said) or y.size != said.size:
            raise ValueError(
                f"sample_y must have the shape of the predictions for the rows of "
                f"sample, {said.shape}, got {y.shape}"
            )
        return np.asarray(y.reshape(said.shape))

    def scored(self, said: NDArray[Any], y: NDArray[Any]) -> float:
        """Return the root of the mean squared error, in units."""
        return float(np.sqrt((self._scaled(said - y) ** 2).mean()))


@dataclass(frozen=True)
class LogOutput(NumberOutput):
    """One number, or several, of which a net says the logarithms."""

    measured: ClassVar[str] = "a prediction (relative to itself, or to the mean)"
    activation: ClassVar[str] = ", with an exponential function at the end"

    def decoded(self, said: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return super().decoded(np.exp(np.float64(said)))

    def differences(self, said: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
        """Return the largest relative difference of a number, for each row."""
        said, expected = (one.reshape(len(one), -1) for one in (said, expected))
        with np.errstate(invalid="ignore"):  # both may be infinite
            errors = np.where(said == expected, 0, np.abs(said - expected))
            return np.asarray((errors / np.maximum(self.scale, expected)).max(axis=1))

    def perceptron(self, n_features: int, **params: Any) -> MLPRegressor:
        return super().perceptron(n_features, loss="poisson", **params)

    def last_layer(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.ascontiguousarray(weights), bias + np.log(self.scale)

    def tail(self, made: str, prefix: str) -> tuple[list[Any], list[Any]]:
        """Return the nodes from the output of the net on, and their tensors.

        All but the first compute in double precision.
        """
        nodes, tensors = super().tail(f"{prefix}exp", prefix)
        return [_node(prefix, "Exp", [made], f"{prefix}exp"), *nodes], tensors


@dataclass(frozen=True)
class QuantileOutput(NumberOutput):
    """Quantiles of a number, which are sorted where those of a net cross.

    Parameters
    ----------
    levels : list of float
        Their levels.
    """

    levels: list[float]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.mean),)

    def decoded(self, said: NDArray[Any]) -> NDArray[Any]:
        return np.sort(super().decoded(said), axis=1)

    def perceptron(self, n_features: int, **params: Any) -> MLPRegressor:
        """Raise a ValueError: scikit-learn's perceptrons do not sort."""
        raise ValueError(
            "a student of quantiles sorts what its net says, and scikit-learn's MLP "
            "does not: use to_onnx, to_c or joblib"
        )

    def tail(self, made: str, prefix: str) -> tuple[list[Any], list[Any]]:
        from onnx import numpy_helper

        nodes, tensors = super().tail(made, prefix)
        mixed, count = f"{prefix}mixed", f"{prefix}count"
        nodes[-1].output[0] = mixed
        tensors.append(numpy_helper.from_array(np.array([self.n_outputs]), count))
        sort = _node(prefix, "TopK", [mixed, count], "prediction", largest=0)
        sort.name = f"{prefix}place"
        sort.output.append(sort.name)
        return [*nodes, sort], tensors

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"quantiles": self.levels}


def _node(prefix: str, kind: str, given: list[str], made: str, **options: Any) -> Any:
    """Return a node of ONNX that is called like its output."""
    from onnx import helper

    name = f"{prefix}{made.removeprefix(prefix)}"
    return helper.make_node(kind, given, [made], name=name, **options)


Output: TypeAlias = ClassOutput | NumberOutput


def output_of(estimator: Any) -> Output:
    """Return what a fitted estimator says of a row."""
    if getattr(estimator, "multilabel_", False):
        return LabelOutput(np.asarray(estimator.classes_))
    if hasattr(estimator, "classes_"):
        return ClassOutput(np.asarray(estimator.classes_))
    units = (estimator.y_mean_, estimator.y_scale_, estimator.y_bounds_)
    if estimator.quantiles is not None:
        return QuantileOutput(*units, np.asarray(estimator.quantiles).tolist())
    return (LogOutput if estimator.link_ == "log" else NumberOutput)(*units)
