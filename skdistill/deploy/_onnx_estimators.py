"""Students in ONNX files, as scikit-learn estimators without torch."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from skdistill.deploy._loaded_estimator import LoadedEstimator
from skdistill.deploy._onnx_file import File, load
from skdistill.utils._quantile_score import quantile_score

# The number of rows in one call of onnxruntime. It bounds the memory, and intermediate
# values stay in the cache.
_BATCH_SIZE = 8192

# What replaces a missing string, and the string "nan". to_onnx refuses levels named
# "nan", so that any unknown level can replace that string.
_STRINGS: dict[str | None, str] = {None: "nan", "nan": "\0nan"}


class OnnxEstimator(LoadedEstimator):
    """A student in an ONNX file. ``_runner`` is the public name of the class."""

    _parameter = "model"
    _runner: ClassVar[str]

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self.model = model

    def _open(self, source: Any) -> File:
        return load(source, self._runner)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"model": self._load().content}

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if isinstance(self.model, bytes):
            return f"{type(self).__name__}(model=<{len(self.model)} bytes>)"
        return str(super().__repr__(N_CHAR_MAX))

    def _said(self, X: Any) -> NDArray[np.float64]:
        """Return what the model says of each row."""
        file = self._load()
        inputs = self._inputs(X, file)
        n_rows = len(next(iter(inputs.values())))
        batches = [
            {name: column[i : i + _BATCH_SIZE] for name, column in inputs.items()}
            for i in range(0, n_rows, _BATCH_SIZE)
        ]
        return np.concatenate([file.run(batch) for batch in batches], dtype=np.float64)

    def _inputs(self, X: Any, file: File) -> dict[str, NDArray[Any]]:
        """Return the values of the inputs of the model, by their names."""
        if not file.kinds:
            return {file.inputs[0]: self._rows(X, file)}
        columns = self._columns(X, file)
        for i, column in columns.items():
            if isinstance(column, list):
                strings = [_STRINGS.get(level, level) for level in column]
                columns[i] = np.array(strings, dtype=object)
        return {name: columns[i][:, None] for i, name in enumerate(file.inputs)}


class OnnxClassifier(ClassifierMixin, OnnxEstimator):
    """A student in an ONNX file, as a classifier.

    It needs neither torch nor skorch: numpy, scikit-learn and onnxruntime are enough.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The file that ``to_onnx`` wrote, or its content. A file is read once, on first
        use. To read it at once, ask for ``classes_`` or call ``fit``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the dtype of those of the exported estimator. The array is
        read-only, as clones share it.
    multilabel_ : bool
        Whether the model predicts several labels for each row.
    n_features_in_ : int
        The number of features; for images, the number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features. Defined only if the exported estimator was fitted on
        named columns.
    metadata_ : dict of str to str
        The metadata that ``to_onnx`` wrote; the keys begin with "skdistill.".

    Raises
    ------
    OSError
        On first use, if the file is missing or cannot be read.
    ValueError
        On first use, if the file is no ONNX file, is cut off or damaged, was not
        written by ``to_onnx``, holds a regressor, or names data outside itself.
    ImportError
        On first use, if onnxruntime is missing.
    AttributeError
        If an attribute is asked for and the file cannot be loaded. So an estimator
        whose file is missing has no attributes, and can still be shown.

    See Also
    --------
    OnnxRegressor : The same for a regressor.
    DistilledClassifier : Trains students.

    Notes
    -----
    It counts as fitted: ``fit`` changes nothing, and a clone shares the loaded file.
    Pickles and deep copies hold the bytes in place of a path, and need no file. Any
    number of threads may predict at the same time.

    It runs on one CPU thread, which is fastest for a small net and leaves the other
    cores free.

    The model replaces missing numbers, if its preprocessing does, as that of the
    default student. They are refused if "skdistill.allow_nan" in the metadata is
    "false", or if a probability becomes NaN.

    A file is data, not code, and so it is safer than a pickle. Before onnxruntime loads
    it, every tensor is checked to be in the file itself, so that a model cannot make it
    read other files. Functions are refused, as they can make loading take very long.
    Only the operators that come with onnxruntime are available. The metadata are
    checked by type and size, and each answer by shape and range. It is not checked
    whether the weights are those that were written, how long the model computes, or how
    much memory it takes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import OnnxClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> net = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, net, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "student.onnx")
    ...     data = to_onnx(clf, path)
    ...     student = OnnxClassifier(path).fit()
    >>> student.classes_
    array([0, 1, 2])
    >>> bool(abs(student.predict_proba(X) - clf.predict_proba(X)).max() < 1e-5)
    True
    """

    _runner = "OnnxClassifier"

    @property
    def classes_(self) -> NDArray[Any]:
        return np.asarray(self._loaded().classes)

    @property
    def multilabel_(self) -> bool:
        return bool(self._loaded().multilabel)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows. If the model has columns of strings, pass a data frame of pandas,
            polars or pyarrow with its columns in their order. If it takes images, pass
            an array of more dimensions.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1; columns in the order of ``classes_``. The model computes in
            float32. If rows have several labels, the probability of each.

        Raises
        ------
        TypeError
            If ``X`` is an array and the model takes columns of strings, or if a column
            of numbers holds dates.
        ValueError
            If the features are not those of the model, there are no rows, a value is
            too large for float32, a value is missing that the model does not replace,
            or the model returns anything but a probability of each class for each row.
        """
        return self._probabilities(self._said(X))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, as for ``predict_proba``.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``; -inf where a probability is too small
            for float32.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, as for ``predict_proba``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of ``classes_``, or an indicator matrix of several labels.
        """
        return self._labels(self.predict_proba(X))

    def _probabilities(self, said: NDArray[Any]) -> NDArray[np.float64]:
        """Return what is said of rows as probabilities, which sum to 1.

        Those of several labels do not.
        """
        proba = said.astype(np.float64, copy=False)
        total = np.add.reduce(proba, axis=1, keepdims=True)
        if self._load().multilabel:
            self._refuse_row(np.isfinite(total))
            return proba
        # For a row, this takes less time than isfinite, min and max.
        if not (np.vdot(total, total) < np.inf and np.minimum.reduce(total)[0] > 0):
            self._refuse_row(np.isfinite(total) & (total > 0))
        proba /= total
        return proba


class OnnxRegressor(RegressorMixin, OnnxEstimator):
    """A student in an ONNX file, as a regressor.

    It needs neither torch nor skorch: numpy, scikit-learn and onnxruntime are enough.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The file that ``to_onnx`` wrote, or its content. A file is read once, on first
        use. To read it at once, call ``fit``.

    Attributes
    ----------
    n_outputs_ : int
        The number of targets, or of quantiles.
    quantiles_ : list of float or None
        The levels of the quantiles; None if it predicts expected values.
    n_features_in_ : int
        The number of features; for images, the number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features. Defined only if the exported estimator was fitted on
        named columns.
    metadata_ : dict of str to str
        The metadata that ``to_onnx`` wrote; the keys begin with "skdistill.".

    Raises
    ------
    OSError
        On first use, if the file is missing or cannot be read.
    ValueError
        On first use, if the file is no ONNX file, is cut off or damaged, was not
        written by ``to_onnx``, holds a classifier, or names data outside itself.
    ImportError
        On first use, if onnxruntime is missing.
    AttributeError
        If an attribute is asked for and the file cannot be loaded.

    See Also
    --------
    OnnxClassifier : The same for a classifier. Its notes hold here too.
    DistilledRegressor : Trains students.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from skdistill import DistilledRegressor, make_student
    >>> from skdistill.deploy import OnnxRegressor, to_onnx
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(10, random_state=0)
    >>> net = make_student((16,), task="regression", max_epochs=5)
    >>> reg = DistilledRegressor(forest, net, alpha=0.5, random_state=0).fit(X, y)
    >>> student = OnnxRegressor(to_onnx(reg))
    >>> bool(abs(student.predict(X) - reg.predict(X)).max() < 1e-5 * y.std())
    True
    """

    _runner = "OnnxRegressor"

    @property
    def n_outputs_(self) -> int:
        return int(self._loaded().n_outputs)

    @property
    def quantiles_(self) -> list[float] | None:
        levels: list[float] | None = self._loaded().quantiles
        return levels

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the prediction for each row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows. If the model has columns of strings, pass a data frame of pandas,
            polars or pyarrow with its columns in their order. If it takes images, pass
            an array of more dimensions.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The predictions, as those of the exported estimator. With quantiles, a
            column for each.

        Raises
        ------
        TypeError
            If ``X`` is an array and the model takes columns of strings, or if a column
            of numbers holds dates.
        ValueError
            If the features are not those of the model, there are no rows, a value is
            too large for float32, a value is missing that the model does not replace,
            or the model returns anything but a number of each target for each row.
        """
        return self._numbers(self._said(X))

    def score(self, X: Any, y: ArrayLike, sample_weight: Any = None) -> float:
        """Return R2, or the mean D2 of quantiles: 1 is best, and 0 is a constant.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, as for ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            The score, as of :class:`~skdistill.DistilledRegressor`.
        """
        levels = self._load().quantiles
        if levels is None:
            return float(super().score(X, y, sample_weight))
        return quantile_score(y, self.predict(X), levels, sample_weight)
