"""What a file tells of the student in it. None of it needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# How the kinds of columns are called in files of ONNX and of C.
NUMBERS, LEVELS, DATES = ("float", "double", "number"), ("string", "level"), ("date",)


class LoadedFile:
    """A loaded file of a student: a base class.

    Attributes
    ----------
    source : object
        What was loaded, as it was given.
    metadata : dict of str to object
        What the export wrote. The following attributes are read from it.
    classes : ndarray of shape (n_outputs,) or None
        The labels, read-only; None of a regressor.
    quantiles : list of float or None
        The levels of quantiles.
    n_outputs : int
        The number of classes, of labels, of targets or of quantiles.
    output, output_shape : str, tuple of int
        What the student says of a row, and the shape of that.
    n_features, feature_names : int, ndarray of shape (n_features,) or None
        The number of features, and their names, if they have some.
    kinds : list of str
        The kind of each column; empty if a row is one array of numbers.
    needs_frame : bool
        Whether some columns hold levels or dates.
    zones : dict of int to str or None
        The time zone of each column of dates, by its position.
    allow_nan : bool
        Whether numbers may be missing.
    shape, dtype : tuple of int, type
        The shape of a row, and the type of numbers.
    """

    source: Any
    metadata: dict[str, Any]
    zones: dict[int, str | None]
    shape: tuple[int, ...]
    dtype: type

    def _describe(self, told: Mapping[str, Any]) -> None:
        """Set the attributes that files of both kinds tell in the same way."""
        self.multilabel = told.get("task") == "multilabel"
        self.quantiles: list[float] | None = told.get("quantiles")
        self.classes: NDArray[Any] | None = None
        if told.get("task") == "regression":
            self.output, self.n_outputs = "prediction", told["n_outputs"]
        else:
            self.output = "probabilities"
            self.classes = np.array(told["classes"], told["classes_dtype"])
            self.classes.flags.writeable = False
            self.n_outputs = len(self.classes)
        is_number = self.classes is None and self.quantiles is None
        is_number &= self.n_outputs == 1
        self.output_shape = () if is_number else (self.n_outputs,)
        self.n_features: int = told["n_features"]
        names = told.get("feature_names")
        self.feature_names = None if names is None else np.array(names, object)
        self.kinds: list[str] = told.get("kinds", [])
        self.needs_frame = any(kind in (*LEVELS, *DATES) for kind in self.kinds)
        self.allow_nan: bool = told.get("allow_nan", True)
