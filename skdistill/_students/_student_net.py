"""The skorch nets of the default student, which print what they are."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from skorch import (
    NeuralNet,
    NeuralNetClassifier,
    NeuralNetRegressor,
    callbacks,
    dataset,
)
from torch import Tensor, nn

from skdistill._students._net import MLP, WarmupDecay
from skdistill._students._student import (
    LeftOpen,
    settle,
    settle_criterion,
    settle_epochs,
    settle_layers,
)
from skdistill.utils._arrays import Array, Ints
from skdistill.utils._copies import (
    MAX_COMPARED,
    first_copies,
    true_copies,
    with_copies,
)
from skdistill.utils._probabilities import sigmoid

DEFAULTS = {
    "module": MLP,
    "module__hidden_layer_sizes": (64, 64),
    "module__activation": "relu",
    "module__dropout": 0.0,
    "module__periodic": False,
    "optimizer": torch.optim.AdamW,
    # In a training of a few thousand steps, a shorter memory of the squared gradients
    # than torch's 0.999 gives better students, as in RealMLP (arXiv:2407.04491).
    "optimizer__betas": (0.9, 0.95),
    # Steps of one kernel.
    "optimizer__fused": True,
    "optimizer__weight_decay": None,
    "lr": 0.015,
    "max_epochs": None,
    "batch_size": 256,
    "callbacks": [("decay", WarmupDecay())],
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}

# What a student always prints: what it is, and what fit sets if it is None.
_PRINTED = ("module__hidden_layer_sizes", "max_epochs", "optimizer__weight_decay")


class _Student(NeuralNet):
    """A net of skorch with the defaults of :func:`make_student`.

    It can also be fitted by itself, and then sets what it leaves open.

    Parameters
    ----------
    max_bytes : int, default=None
        The largest number of bytes of a student, which its hidden layers then follow.
    """

    def __init__(self, *, max_bytes: int | None = None, **params: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**params)

    @property
    def _is_alone(self) -> bool:
        """Whether nobody has told the net its width, so that it is fitted by itself."""
        return "n_outputs" not in self.get_params_for("module")

    def _settle(self, X: Any, n_outputs: int) -> None:
        """Set the number of epochs, the weight decay and the module's widths."""
        settle(self, LeftOpen())
        settle_epochs(self, len(X), len(X))
        settle_layers(self, X.shape[1], n_outputs)
        self.set_params(module__n_features=X.shape[1], module__n_outputs=n_outputs)

    def get_params_for_optimizer(
        self, prefix: str, named_parameters: Iterable[tuple[str, Tensor]]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the arguments of the optimizer.

        Left out are what is open still, and defaults of ours that it does not take.
        """
        args, given = super().get_params_for_optimizer(prefix, named_parameters)
        kwargs = {
            name: value
            for name, value in given.items()
            if value is not None
            and (
                _takes(self.optimizer, name)
                or value != DEFAULTS.get(f"{prefix}__{name}")
            )
        }
        return args, kwargs

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters, without a set that skorch keeps for itself."""
        params = super().get_params(deep=deep, **kwargs)
        return {k: v for k, v in params.items() if k != "_params_to_validate"}


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        inspect.signature(function).bind_partial(**{name: None})
    except TypeError:
        return False
    return True


def _signed(net: Any) -> Any:
    """Give a class of students the signature of skorch's nets, with its defaults.

    scikit-learn prints the parameters that differ from those of the signature, or that
    have no default there.
    """
    defaults = net().get_params(deep=False)
    defaults |= dict.fromkeys(_PRINTED, inspect.Parameter.empty)
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in defaults.items()
    ]
    own, rest = inspect.signature(net.__init__).parameters.values()
    net.__init__.__signature__ = inspect.Signature([own, *named, rest])
    return net


@_signed
class StudentNet(_Student, NeuralNetClassifier):
    """The net of a student that learns classes.

    Attributes
    ----------
    labels_ : ndarray of shape (n_classes,)
        The labels, sorted, if the net was fitted on labels. A net that was fitted by
        :class:`DistilledClassifier` knows codes alone.
    """

    labels_: Array

    def __init__(self, **params: Any) -> None:
        own = {"criterion": nn.CrossEntropyLoss, **copy.deepcopy(DEFAULTS)}
        super().__init__(**{**own, **params})

    def fit(self, X: Any, y: Any, **fit_params: Any) -> StudentNet:
        """Train the net on labels of any kind; set what it leaves open."""
        knows_labels = hasattr(self, "labels_")
        if not knows_labels and not self._is_alone:
            return super().fit(X, y, **fit_params)
        if knows_labels:
            del self.labels_  # scores of the training compare codes
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        labels, codes = np.unique(y, return_inverse=True)
        self._settle(X, len(labels))
        super().fit(X, codes, **fit_params)
        self.labels_ = self.classes_inferred_ = labels
        return self

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each row."""
        codes = super().predict(X)
        return self.labels_[codes] if hasattr(self, "labels_") else codes


@_signed
class LabelsNet(_Student, NeuralNetClassifier):
    """The net of a student that learns several labels for each row."""

    def __init__(self, **params: Any) -> None:
        own = {
            "criterion": nn.BCEWithLogitsLoss,
            "predict_nonlinearity": sigmoid,
            **copy.deepcopy(DEFAULTS),
        }
        super().__init__(**{**own, **params})

    def fit(self, X: Any, y: Any, **fit_params: Any) -> LabelsNet:
        """Train the net on an indicator matrix; set what it leaves open."""
        y = check_array(y, dtype=np.float32, input_name="y")
        if self._is_alone:
            self._settle(X, y.shape[1])
        return super().fit(X, y, **fit_params)

    def predict(self, X: Any) -> Ints:
        """Return an indicator matrix."""
        return (self.predict_proba(X) > 0.5).astype(np.int64)


@_signed
class RegressionNet(_Student, NeuralNetRegressor):
    """The net of a student that learns numbers.

    Without a ``criterion``, it is that of the estimator's ``loss``, or the mean squared
    error.

    Attributes
    ----------
    scaler_ : StandardScaler
        Scales the targets, if the net was fitted on them. A net that was fitted by
        :class:`DistilledRegressor` knows scaled targets alone.
    """

    scaler_: StandardScaler

    def __init__(self, **params: Any) -> None:
        own = {"criterion": None, **copy.deepcopy(DEFAULTS)}
        super().__init__(**{**own, **params})

    def fit(self, X: Any, y: Any, **fit_params: Any) -> RegressionNet:
        """Train the net on targets of any scale; set what it leaves open."""
        knows_scale = hasattr(self, "scaler_")
        if not knows_scale and not self._is_alone:
            return super().fit(X, y, **fit_params)
        if knows_scale:
            del self.scaler_
        targets = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        columns = targets.reshape(len(targets), -1)
        scaler = StandardScaler().fit(columns)
        settle_criterion(self, None)
        self._settle(X, columns.shape[1])
        super().fit(X, scaler.transform(columns).astype(np.float32), **fit_params)
        self.scaler_, self.n_dims_ = scaler, targets.ndim
        return self

    def predict(self, X: Any) -> Array:
        """Return the targets of each row."""
        scaled = super().predict(X)
        if not hasattr(self, "scaler_"):
            return scaled
        y = self.scaler_.inverse_transform(scaled.astype(np.float64))
        return y[:, 0] if self.n_dims_ == 1 else y


def can_be_stratified(cv: Any, y: ArrayLike) -> bool:
    """Tell whether a validation set of labels can be stratified, if it is a share."""
    if not isinstance(cv, float):
        return True
    labels = np.asarray(y)
    counts = np.unique(labels, return_counts=True)[1]
    smaller = min(cv, 1 - cv) * len(labels)
    return bool(labels.ndim == 1 and counts.min() > 1 and smaller >= len(counts))


class EarlyStopping(callbacks.EarlyStopping):
    """skorch's early stopping, which prints its parameters."""

    def __repr__(self) -> str:
        return f"EarlyStopping(patience={self.patience}, load_best={self.load_best})"


class ValidSplit(dataset.ValidSplit):
    """skorch's validation set, which prints its share, and holds out copies together.

    A net has seen a row if it has seen a copy of it. A share is not stratified where
    some class has too few rows.
    """

    def __call__(self, dataset: Any, y: Any = None, groups: Any = None) -> Any:
        if self.stratified and y is not None and not can_be_stratified(self.cv, y):
            plain = ValidSplit(self.cv, random_state=self.random_state)
            return plain(dataset, y, groups)
        train, valid = super().__call__(dataset, y, groups)
        X = dataset
        while hasattr(X, "dataset"):
            X = X.dataset
        X = getattr(X, "X", None)
        if isinstance(X, np.ndarray) and X.ndim == 2 and len(X) <= MAX_COMPARED:
            firsts = first_copies(X)
            firsts = firsts if y is None else true_copies(firsts, y)
            split = (train.indices, valid.indices)
            train.indices, valid.indices = with_copies(*split, firsts)
        return train, valid

    def __repr__(self) -> str:
        return f"ValidSplit({self.cv}, stratified={self.stratified})"
