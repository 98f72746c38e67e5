"""An adapter that makes a teacher of a torch module or a callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import RegressorTags, check_array, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from skdistill._targets._columns import check_classes
from skdistill.utils._arrays import Array, Floats
from skdistill.utils._layers import NoFeaturesError, Watch, as_weights
from skdistill.utils._locks import ForkSafeLock
from skdistill.utils._params import check_params
from skdistill.utils._probabilities import are_probabilities
from skdistill.utils._several import each, is_several
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._warnings import warn

_Output = Literal["logits", "proba", "label_logits", "values"]

_ONE_AT_A_TIME = ForkSafeLock()


def _has_classes(teacher: TorchTeacher) -> bool:
    return teacher.output in ("logits", "proba")


def _has_proba(teacher: TorchTeacher) -> bool:
    return teacher.output != "values"


class TorchTeacher(ClassifierMixin, BaseEstimator):
    """Make a teacher of a torch module or of any callable.

    Parameters
    ----------
    module : torch.nn.Module or callable
        A module is called in evaluation mode, without gradients, with a floating-point
        tensor of shape (n_samples, ...) on its device and of its dtype. If it has a
        :class:`torch.nn.Embedding`, integers stay integers. If X is a dict of arrays,
        it is called with each of them by its name, as by skorch. Any other
        callable is called with the rows as a numpy array, and returns an array or a
        tensor. The output must have the shape (n_samples, n_classes); of two classes,
        it may be one number for each row, which is that of the second class. If it is a
        tuple, its first item is used, and of a dict or an object with ``logits``,
        these.
    classes : array-like of shape (n_classes,), default=None
        The labels of the output columns. Not for "label_logits" and "values".
    output : {"logits", "proba", "label_logits", "values"}, default="logits"
        Whether the output is logits (any real numbers), probabilities, a logit for each
        of several labels, of shape (n_samples, n_labels), or the numbers that a
        regressor predicts, of shape (n_samples,) or (n_samples, n_targets). There is a
        warning if logits look like probabilities.
    batch_size : int, default=1024
        The number of rows in each call of the module. A smaller number needs less
        memory.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of the columns. Not for "label_logits" and "values".
    multilabel_ : bool
        Whether the output is a logit for each of several labels.
    gives_logits : bool
        Whether ``predict_log_proba`` is computed from logits.

    See Also
    --------
    DistilledClassifier : Trains a small net to give the teacher's probabilities.
    DistilledRegressor : Trains a small net to give the teacher's "values".

    Notes
    -----
    The module is not trained, and the estimator is always fitted.
    :func:`sklearn.base.clone` returns the same object, so that a search over the
    student's parameters does not copy a large net.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skdistill import TorchTeacher
    >>> teacher = TorchTeacher(torch.nn.Identity(), classes=["cat", "dog"])
    >>> teacher.predict_proba(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> teacher.predict(np.array([[1.0, 3.0], [2.0, 1.0]]))
    array(['dog', 'cat'], dtype='<U3')
    >>> TorchTeacher(torch.nn.Flatten(0), output="values").predict([[1.5], [2.5]])
    array([1.5, 2.5])
    """

    _parameter_constraints: dict = {
        "module": [callable],
        "classes": "no_validation",  # classes_ says what is wrong with them
        "output": [StrOptions(set(get_args(_Output)))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        module: torch.nn.Module | Callable[..., Any],
        classes: ArrayLike | None = None,
        *,
        output: _Output = "logits",
        batch_size: int = 1024,
    ) -> None:
        self.module = module
        self.classes = classes
        self.output = output
        self.batch_size = batch_size

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> TorchTeacher:
        return self

    @property
    def classes_(self) -> Array:
        if not _has_classes(self):
            raise AttributeError(f"output={self.output!r} has no classes")
        return check_classes(self.classes)

    @property
    def multilabel_(self) -> bool:
        return self.output == "label_logits"

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> TorchTeacher:
        """Do nothing: the module is used as it is.

        Parameters
        ----------
        X, y : ignored
            Not used, present for consistency with scikit-learn.

        Returns
        -------
        self : TorchTeacher
            The estimator itself.
        """
        return self

    @property
    def gives_logits(self) -> bool:
        """Whether ``predict_log_proba`` is computed from logits."""
        return self.output == "logits"

    @available_if(_has_classes)
    @underflow_is_zero
    def predict_log_proba(self, X: ArrayLike) -> Floats:
        """Return the logarithm of the probability of each class.

        If the module returns logits, the logarithms of very small probabilities are
        finite.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes), float64
            The columns are in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        if self.output == "logits":
            return log_softmax(outputs, axis=1)
        with np.errstate(divide="ignore"):
            return np.log(outputs)

    @available_if(_has_proba)
    @underflow_is_zero
    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            The columns are in the order of ``classes_``; of "label_logits", the
            probability of each label.
        """
        outputs = self._outputs(X)
        if self.multilabel_:
            return expit(outputs)
        return softmax(outputs, axis=1) if self.output == "logits" else outputs

    def predict(self, X: ArrayLike) -> Array:
        """Return the most probable class, or the numbers, of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predicted labels; of "label_logits", an indicator matrix; of "values",
            float64, also of shape (n_samples, n_targets).
        """
        outputs = self._outputs(X)
        if self.multilabel_:
            return (outputs > 0).astype(np.int64)
        return self.classes_[outputs.argmax(axis=1)] if _has_classes(self) else outputs

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy, or R2 of "values".

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The labels, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            The score.
        """
        metric = accuracy_score if _has_proba(self) else r2_score
        return float(metric(y, self.predict(X), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if not _has_proba(self):
            tags.estimator_type, tags.classifier_tags = "regressor", None
            tags.regressor_tags = RegressorTags()
        elif self.multilabel_:
            tags.classifier_tags.multi_label = True
        return tags

    @underflow_is_zero
    def hidden_features(self, X: ArrayLike, layer: str | None = None) -> Floats:
        """Return the output of a layer of the module.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.
        layer : str, default=None
            The name of a submodule in ``module.named_modules()``. None means the input
            of the last linear layer.

        Returns
        -------
        features : ndarray of shape (n_samples, n_hidden_features), float64
            The output of the layer, flattened to one row for each sample.

        Raises
        ------
        ValueError
            If there is no such layer, or if ``module`` is not a torch module.
        """
        if not isinstance(self.module, torch.nn.Module):
            raise NoFeaturesError(
                "the teacher is a function, which has no layers: pass "
                "teacher_features= a function of the teacher and X"
            )
        check_params(self)
        rows = _checked(X)
        watch = Watch(self.module, layer, "the teacher", "teacher_features")

        def ask(batch: torch.Tensor) -> torch.Tensor:
            with watch:
                _call_module(self.module, batch)
            return watch.take(len(batch))

        return np.concatenate(_ask_module(self.module, rows, self.batch_size, ask))

    def _outputs(self, X: Any) -> Floats:
        check_params(self)
        X = _checked(X)
        if isinstance(self.module, torch.nn.Module):
            outputs = _ask_module(self.module, X, self.batch_size, self._call)
        else:
            outputs = [
                to_numpy(self._call(X[rows]))
                for rows in gen_batches(len(X), self.batch_size)
            ]
        stacked = np.concatenate(outputs).astype(np.float64)
        if not _has_classes(self):
            return stacked
        n_rows, n_classes = expected = (len(X), len(self.classes_))
        if n_classes == 2 and stacked.shape in ((n_rows,), (n_rows, 1)):
            second = stacked.ravel()
            first = np.zeros(n_rows) if self.gives_logits else 1 - second
            return np.column_stack([first, second])
        if stacked.shape != expected:
            raise ValueError(
                f"the teacher module returned shape {stacked.shape}, expected "
                f"{expected}: check classes="
            )
        if self.gives_logits and are_probabilities(stacked):
            warn(
                "SKD106",
                "the teacher module returns rows that are not negative and sum to 1: "
                "if these are probabilities, and no logits, which get a softmax, pass "
                "output='proba'",
            )
        return stacked

    def _call(self, batch: Any) -> Any:
        """Return the outputs for some rows: what the module returned, or a part of it.

        Models of transformers return an object with logits.
        """
        said = _call_module(self.module, batch)
        if isinstance(said, tuple):
            said = said[0]
        is_dict = isinstance(said, Mapping)
        if self.output.endswith("logits") and not _is_array(said):
            said = (
                said.get("logits", said) if is_dict else getattr(said, "logits", said)
            )
        if _is_array(said):
            return said
        keys = f" with the keys {list(said)}" if is_dict else ""
        raise TypeError(
            f"the teacher module returned an object of type {type(said).__name__}"
            f"{keys}, and must return its {self.output} as a tensor or array: wrap it "
            "in a module or a function that does"
        )


def _is_array(said: Any) -> bool:
    is_dict = isinstance(said, Mapping)  # which may say that it has any attribute
    return isinstance(said, list) or (not is_dict and hasattr(said, "__array__"))


def _checked(X: Any, **params: Any) -> Any:
    if is_several(X):
        return each(partial(_checked, ensure_2d=False), X)
    return check_array(X, dtype=None, allow_nd=True, ensure_all_finite=False, **params)


def _call_module(module: Callable[..., Any], batch: Any) -> Any:
    """Call a module with several inputs by their names, as skorch does."""
    is_module = isinstance(module, torch.nn.Module)
    return module(**batch) if is_module and is_several(batch) else module(batch)


def _ask_module(
    module: torch.nn.Module, X: Any, batch_size: int, ask: Callable[[Any], Any]
) -> list[Array]:
    """Call the module in batches, and restore its training mode afterwards.

    Only one thread at a time does so, because a second one would read and restore the
    mode that the first one has set.
    """
    like = next(module.parameters(), None)
    device = torch.device("cpu") if like is None else like.device
    with _ONE_AT_A_TIME, torch.no_grad():
        modes = {part: part.training for part in module.modules()}
        module.eval()
        try:
            batches = (X[rows] for rows in gen_batches(len(X), batch_size))
            tensors = (_as_tensor(batch, device) for batch in batches)
            return [to_numpy(ask(as_weights(module, one))) for one in tensors]
        finally:
            for part, mode in modes.items():
                part.training = mode


def _as_tensor(batch: Any, device: torch.device) -> Any:
    """Return a copy of rows, which a module may overwrite."""
    if is_several(batch):
        return each(partial(_as_tensor, device=device), batch)
    return torch.tensor(batch.copy(), device=device)


def to_numpy(output: Any) -> Array:
    """Return an array or tensor as an array in memory, without its gradient."""
    if isinstance(output, torch.Tensor):
        return output.detach().double().cpu().numpy()
    return np.asarray(output)
