"""A student in an ONNX file, as a scikit-learn classifier without torch."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skdistill.deploy._onnx_file import File, load
from skdistill.utils._frames import check_frame, floats, is_frame, labels, native
from skdistill.utils._underflow import underflow_is_zero
from skdistill.utils._validation import check_not_empty, plain_rows

# The number of rows in one call of onnxruntime. It bounds the memory, and intermediate
# values stay in the cache.
_BATCH_SIZE = 8192

# What replaces a missing string, and the string "nan". to_onnx refuses levels named
# "nan", so that any unknown level can replace that string.
_STRINGS: dict[str | None, str] = {None: "nan", "nan": "\0nan"}

# Held while a file is loaded, so that threads share one session.
_LOADING = threading.Lock()


class OnnxClassifier(ClassifierMixin, BaseEstimator):
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
        written by ``to_onnx``, or names data outside itself.
    ImportError
        On first use, if onnxruntime is missing.
    AttributeError
        If an attribute is asked for and the file cannot be loaded. So an estimator
        whose file is missing has no attributes, and can still be shown.

    See Also
    --------
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

    _file: File | None = None

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self.model = model

    def fit(self, X: Any = None, y: Any = None) -> OnnxClassifier:
        """Load the file. The model is used as it is, and nothing is learned.

        Parameters
        ----------
        X, y : ignored
            Present for compatibility with scikit-learn.

        Returns
        -------
        self : OnnxClassifier
            The same object.
        """
        self._load()
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        return self._loaded().classes

    @property
    def n_features_in_(self) -> int:
        return self._loaded().n_features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        names = self._loaded().feature_names
        if names is None:
            raise AttributeError("the features of the model have no names")
        return names

    @property
    def metadata_(self) -> dict[str, str]:
        return dict(self._loaded().metadata)

    @underflow_is_zero
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
            float32.

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
        file = self._load()
        inputs = self._inputs(X, file)
        n_rows = len(next(iter(inputs.values())))
        batches = [
            {name: column[i : i + _BATCH_SIZE] for name, column in inputs.items()}
            for i in range(0, n_rows, _BATCH_SIZE)
        ]
        proba = np.concatenate([file.run(batch) for batch in batches], dtype=np.float64)
        total = proba @ np.ones(proba.shape[1])  # for few classes faster than sum
        sound = np.isfinite(total) & (total > 0)
        if not sound.all():
            row = sound.argmin()
            raise ValueError(
                f"the model has no probabilities for row {row}: Input X contains NaN, "
                "which this model does not replace, or numbers too large for it"
            )
        proba /= total[:, np.newaxis]
        return proba

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
        y : ndarray of shape (n_samples,)
            Labels of ``classes_``.
        """
        return self._load().classes[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> OnnxClassifier:
        new = type(self)(self.model)
        new._file = self._file
        return new

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "model": self._load().content}
        state.pop("_file", None)
        return state

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if isinstance(self.model, bytes):
            return f"{type(self).__name__}(model=<{len(self.model)} bytes>)"
        return str(super().__repr__(N_CHAR_MAX))

    def _load(self) -> File:
        file = self._file
        if file is None or file.model is not self.model:
            with _LOADING:
                file = self._file
                if file is None or file.model is not self.model:
                    file = self._file = load(self.model)
        return file

    def _loaded(self) -> File:
        """Return the file, or raise an AttributeError if it cannot be loaded."""
        try:
            return self._load()
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise AttributeError(f"the model cannot be loaded: {error}") from error

    def _inputs(self, X: Any, file: File) -> dict[str, NDArray[Any]]:
        """Return the values of the inputs of the model, by their names."""
        check_frame(X)
        if is_frame(X):
            columns = self._frame_columns(X, file)
        elif "string" in file.kinds:
            raise TypeError(
                "the model takes columns of strings; pass a data frame, not "
                f"{type(X).__name__}"
            )
        else:
            rows = self._check_array(X, file)
            if not file.kinds:
                return {file.inputs[0]: rows}
            columns = [rows[:, i : i + 1] for i in range(file.n_features)]
        if not file.kinds:
            return {file.inputs[0]: np.concatenate(columns, axis=1)}
        return dict(zip(file.inputs, columns, strict=True))

    def _check_array(self, X: Any, file: File) -> NDArray[Any]:
        # validate_data takes longer for a row than the net.
        if len(file.shape) == 1 and file.feature_names is None:
            rows = plain_rows(X, file.n_features, file.dtype)
            if rows is not None:
                return rows
        with np.errstate(over="ignore"):  # what overflows is reported as infinite
            # dtype="numeric" also refuses strings of digits.
            checked = validate_data(
                self,
                X,
                reset=False,
                dtype="numeric",
                ensure_all_finite=False,
                allow_nd=len(file.shape) > 1,
            )
            check_array(
                checked,
                dtype=np.float32,
                ensure_all_finite="allow-nan" if file.allow_nan else True,
                allow_nd=len(file.shape) > 1,
                estimator=self,
                input_name="X",
            )
        if checked.shape[1:] != file.shape:
            raise ValueError(
                f"X has shape {checked.shape}; the model takes rows of shape "
                f"{file.shape}"
            )
        return checked.astype(file.dtype, copy=False)

    def _frame_columns(self, X: Any, file: File) -> list[NDArray[Any]]:
        """Return the columns of a data frame as floats and strings."""
        validate_data(self, X, reset=False, skip_check_array=True)
        check_not_empty(X)
        X = native(X)
        kinds = file.kinds or ("float",) * file.n_features
        numeric = [i for i, kind in enumerate(kinds) if kind != "string"]
        others = [i for i, kind in enumerate(kinds) if kind == "string"]
        block = floats(X, numeric, allow_nan=file.allow_nan, dtype=file.dtype)
        columns = {i: block[:, k : k + 1] for k, i in enumerate(numeric)}
        for i, levels in zip(others, labels(X, others), strict=True):
            strings = [_STRINGS.get(label, label) for label in levels]
            columns[i] = np.array(strings, dtype=object)[:, np.newaxis]
        return [columns[i] for i in range(file.n_features)]
