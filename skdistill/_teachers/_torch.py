"""The adapter that makes a teacher of a torch module or a callable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, gen_batches

from skdistill.utils._layers import NoFeaturesError, Watch
from skdistill.utils._locks import ForkSafeLock

_ONE_AT_A_TIME = ForkSafeLock()


class TorchTeacher(ClassifierMixin, BaseEstimator):
    """A torch module, or any callable, as a teacher.

    Parameters
    ----------
    module : torch.nn.Module or callable
        A module takes a floating-point tensor of shape (n_samples, ...) on its own
        device and in its own dtype, and is asked in evaluation mode without
        gradients. Any other callable takes the rows as a numpy array just as they
        came, and returns an array or tensor. Either returns shape (n_samples,
        n_classes); of a tuple the first item counts.
    classes : array-like of shape (n_classes,)
        The label that each column of the output stands for.
    output : {"logits", "proba"}, default="logits"
        Whether the output is logits (any real numbers) or probabilities.
    batch_size : int, default=1024
        How many rows the module sees at once; it bounds the memory.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels of the columns.

    See Also
    --------
    DistilledClassifier : Distills a teacher into a small net.

    Notes
    -----
    It never trains the module: it counts as fitted, and
    :func:`sklearn.base.clone` returns the very same object, so that a search over the
    student's parameters does not copy a big net.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skdistill import TorchTeacher
    >>> teacher = TorchTeacher(torch.nn.Identity(), classes=["cat", "dog"])
    >>> teacher.predict_proba(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> teacher.predict(np.array([[1.0, 3.0], [2.0, 1.0]]))
    array(['dog', 'cat'], dtype='<U3')
    """

    def __init__(
        self,
        module: torch.nn.Module | Callable[..., Any],
        classes: ArrayLike,
        *,
        output: str = "logits",
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
    def classes_(self) -> NDArray[Any]:
        return np.asarray(self.classes)

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> TorchTeacher:
        """Do nothing: the module is used as it is.

        Parameters
        ----------
        X, y : ignored
            Present because a classifier of scikit-learn has a ``fit``.

        Returns
        -------
        self : TorchTeacher
            This very object.
        """
        return self

    @property
    def gives_logits(self) -> bool:
        """Whether predict_log_proba is more than the logarithm of predict_proba."""
        return self.output == "logits"

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each class.

        Of a module that returns logits these are exact, however small.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        if self.output == "logits":
            return log_softmax(outputs, axis=1)
        with np.errstate(divide="ignore"):
            return np.log(outputs)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        return softmax(outputs, axis=1) if self.output == "logits" else outputs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels of ``classes_``.
        """
        return self.classes_[self._outputs(X).argmax(axis=1)]

    def hidden_features(
        self, X: ArrayLike, layer: str | None = None
    ) -> NDArray[np.float64]:
        """Return what a layer of the module makes of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The rows.
        layer : str, default=None
            The name of a submodule, as ``module.named_modules()`` has it. None is the
            input of the last linear layer.

        Returns
        -------
        features : ndarray of shape (n_samples, n_hidden_features), float64
            Further dimensions of the layer's output are flattened.

        Raises
        ------
        ValueError
            There is no such layer, or ``module`` is no torch module.
        """
        if not isinstance(self.module, torch.nn.Module):
            raise NoFeaturesError(
                "the teacher is a function, which has no layers: pass "
                "teacher_features= a function of the teacher and X"
            )
        rows = check_array(X, dtype=None, allow_nd=True, ensure_all_finite=False)
        watch = Watch(self.module, layer, "the teacher", "teacher_features")

        def ask(batch: torch.Tensor) -> torch.Tensor:
            with watch:
                self.module(batch)
            return watch.take(len(batch))

        return np.concatenate(_ask_module(self.module, rows, self.batch_size, ask))

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        if self.output not in ("logits", "proba"):
            raise ValueError(f"output must be 'logits' or 'proba', got {self.output!r}")
        X = check_array(X, dtype=None, allow_nd=True, ensure_all_finite=False)
        if isinstance(self.module, torch.nn.Module):
            outputs = _ask_module(self.module, X, self.batch_size, self.module)
        else:
            outputs = [
                _to_numpy(self.module(X[rows]))
                for rows in gen_batches(len(X), self.batch_size)
            ]
        stacked = np.concatenate(outputs).astype(np.float64)
        if stacked.ndim != 2 or stacked.shape != (len(X), len(self.classes_)):
            raise ValueError(
                f"the teacher module returned shape {stacked.shape}; with "
                f"{len(X)} rows and {len(self.classes_)} classes it must be "
                f"{(len(X), len(self.classes_))}: check classes="
            )
        return stacked


def _ask_module(
    module: torch.nn.Module,
    X: NDArray[Any],
    batch_size: int,
    ask: Callable[[torch.Tensor], Any],
) -> list[NDArray[Any]]:
    """Ask in batches, with the module's training mode left as it was.

    One thread at a time: another would find, and leave, a mode that is not its own.
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), None)
    dtype = torch.float32 if like is None else like.dtype
    device = torch.device("cpu") if like is None else like.device
    with _ONE_AT_A_TIME, torch.no_grad(), _evaluating(module):
        return [
            # A copy: the module may work in place.
            _to_numpy(ask(torch.tensor(X[rows].copy()).to(device, dtype)))
            for rows in gen_batches(len(X), batch_size)
        ]


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _to_numpy(output: Any) -> NDArray[Any]:
    if isinstance(output, tuple):
        output = output[0]
    if isinstance(output, torch.Tensor):
        return output.detach().double().cpu().numpy()
    return np.asarray(output)
