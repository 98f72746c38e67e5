"""A student in an ONNX file, as a scikit-learn regressor without torch."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from skdistill.deploy._onnx_estimator import OnnxEstimator
from skdistill.deploy._onnx_file import File, NumberFile
from skdistill.utils._quantile_score import quantile_score
from skdistill.utils._underflow import underflow_is_zero


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

    _kind: ClassVar[type[File]] = NumberFile

    @property
    def n_outputs_(self) -> int:
        return int(self._loaded().n_outputs)

    @underflow_is_zero
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
