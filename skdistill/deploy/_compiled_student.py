"""A student in compiled C code, as a scikit-learn estimator without torch."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if

from skdistill.deploy._c_library import UNKNOWN, Library
from skdistill.deploy._loaded_estimator import LoadedEstimator
from skdistill.utils._quantile_score import quantile_score


def _is_classifier(student: Any) -> bool:
    return student._loaded().classes is not None


class CompiledStudent(LoadedEstimator):
    """A student in C code, as a classifier or a regressor.

    It needs neither torch nor skorch nor onnxruntime: numpy and scikit-learn are
    enough.

    Parameters
    ----------
    path : str or os.PathLike
        The file that ``to_c`` wrote, which ends in ".c", with its header beside it. It
        is compiled on first use, in a temporary folder, which needs a C compiler: cc,
        or the one that the environment variable ``CC`` names. Any other file is taken
        for a shared library of it, such as ``cc -O2 -shared -fPIC student.c -o
        student.so -lm`` makes. It must have the name of the file that it was compiled
        from.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the dtype of those of the exported estimator, read-only. Defined
        only for a classifier.
    multilabel_ : bool
        Whether a classifier predicts several labels for each row.
    n_outputs_ : int
        The number of targets, or of quantiles. Defined only for a regressor.
    quantiles_ : list of float or None
        The levels of the quantiles; None if it predicts something else.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        The names of the features. Defined only if the exported estimator was fitted on
        named columns.
    metadata_ : dict of str to object
        What ``to_c`` wrote about the student.

    Raises
    ------
    OSError
        On first use, if the file is missing, or there is no compiler and it is C code.
    ValueError
        On first use, if the compiler fails, or the file is no library of ``to_c``.
    AttributeError
        If an attribute is asked for and the file cannot be loaded. So an estimator
        whose file is missing has no attributes, and can still be shown.

    See Also
    --------
    to_c : Writes the file.
    OnnxClassifier : The same for an ONNX file, which is data, and no code.

    Notes
    -----
    **The file is code.** To load it is to run it, with all rights of the process. Load
    only files that you wrote yourself, or whose source you trust. Nothing but the file
    that you name is loaded, and no folder is searched for it.

    It counts as fitted: ``fit`` changes nothing, and a clone shares the loaded library.
    Pickles hold the path, and need the file where they are loaded. Any number of
    threads may predict at the same time: Python's lock is not held meanwhile.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import CompiledStudent, to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(10, random_state=0)
    >>> net = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(forest, net, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = to_c(clf, Path(folder, "student.c"))
    ...     student = CompiledStudent(file).fit()
    >>> student.classes_
    array([0, 1, 2])
    >>> bool(abs(student.predict_proba(X) - clf.predict_proba(X)).max() < 1e-5)
    True
    """

    _parameter = "path"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    @property
    def classes_(self) -> NDArray[Any]:
        classes: NDArray[Any] | None = self._loaded().classes
        if classes is None:
            raise AttributeError("the student is a regressor, and has no classes")
        return classes

    @property
    def multilabel_(self) -> bool:
        return bool(self._loaded().multilabel)

    @property
    def n_outputs_(self) -> int:
        library = self._loaded()
        if library.classes is not None:
            raise AttributeError("the student is a classifier, and has no targets")
        return int(library.metadata["n_outputs"])

    @property
    def quantiles_(self) -> list[float] | None:
        levels: list[float] | None = self._loaded().quantiles
        return levels

    @available_if(_is_classifier)
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class. Only a classifier has it.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows. If the student reads strings or dates, pass a data frame of
            pandas, polars or pyarrow with its columns in their order.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1; columns in the order of ``classes_``. The code computes in
            float32. If rows have several labels, the probability of each.

        Raises
        ------
        TypeError
            If ``X`` is an array and the student reads strings or dates.
        ValueError
            If the features are not those of the student, there are no rows, a value is
            too large for float32, or is missing where the student does not replace it.
        """
        return self._said(X)

    @available_if(_is_classifier)
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
        """Return the most probable class, or the numbers, of each row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, as for ``predict_proba``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels of ``classes_``, an indicator matrix of several labels, or float64;
            of quantiles a column for each.

        Raises
        ------
        TypeError, ValueError
            For the same rows as ``predict_proba``.
        """
        if self._load().classes is not None:
            return self._labels(self.predict_proba(X))
        return self._numbers(self._said(X))

    def score(self, X: Any, y: ArrayLike, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or the R² or D² of a regressor.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows, as for ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            What is right.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows.

        Returns
        -------
        score : float
            The score. It is the mean D² of a regressor of quantiles.
        """
        library = self._load()
        if library.quantiles is not None:
            levels = library.quantiles
            return quantile_score(y, self.predict(X), levels, sample_weight)
        kind: Any = RegressorMixin if library.classes is None else ClassifierMixin
        return float(kind.score(self, X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with suppress(AttributeError):  # without its file it is no kind of estimator
            if _is_classifier(self):
                tags.estimator_type = "classifier"
                tags.classifier_tags = ClassifierTags()
            else:
                tags.estimator_type = "regressor"
                tags.regressor_tags = RegressorTags()
        return tags

    def __deepcopy__(self, memo: Any) -> Self:
        return self.__sklearn_clone__()

    def _open(self, source: Any) -> Library:
        return Library(source)

    @property
    def _code_bytes(self) -> int:
        """What the costs of a model count, as a pickle holds the path alone."""
        return os.path.getsize(self.path)

    def _said(self, X: Any) -> NDArray[np.float64]:
        """Return what the code says of each row."""
        library = self._load()
        if library.takes(X):  # the check here would take longer than the code
            n_said, said = library.run(X)
            if n_said == len(said):
                return said
        if library.row_type is None:
            rows = self._rows(X, library)
        else:
            rows = self._structures(X, library)
        n_said, said = library.run(np.ascontiguousarray(rows))
        if n_said < len(said):
            self._refuse_row(np.arange(len(said)) != n_said)
        return said

    def _structures(self, X: Any, library: Library) -> NDArray[Any]:
        """Return rows as the code takes them, of numbers, dates and codes of levels."""
        columns = self._columns(X, library)
        rows = np.zeros(len(X), library.row_type)
        for name in rows.dtype.names or ():
            column, codes = columns[int(name)], library.codes.get(int(name))
            if codes is not None:
                column = [codes.get(level, UNKNOWN) for level in column]
            rows[name] = column
        return rows
