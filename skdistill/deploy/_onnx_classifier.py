"""A student in an ONNX file, as a scikit-learn classifier without torch."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import validate_data

from skdistill.utils._frames import floats, is_frame, labels, native
from skdistill.utils._validation import check_not_empty

# How many rows onnxruntime sees at once: it bounds the memory, and what so many rows
# need stays in the cache.
_BATCH_SIZE = 8192

# What a file is told in place of a missing string, and in place of the string "nan":
# to_onnx refuses levels of that name, so that another name is unknown just as well.
_STRINGS: dict[str | None, str] = {None: "nan", "nan": "\0nan"}

# Held while a file is loaded, so that threads share one session.
_LOADING = threading.Lock()

# Where in an ONNX file tensors can be: the messages inside each kind of message, by
# their field numbers in onnx.proto.
_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of TensorProto


class OnnxClassifier(ClassifierMixin, BaseEstimator):
    """A student in an ONNX file, as a classifier.

    It needs neither torch nor skorch: numpy, scikit-learn and onnxruntime are enough.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The file that ``to_onnx`` wrote, or what is in it. A file is read once, on first
        use; asking for ``classes_`` or calling ``fit`` reads it at once.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the dtype that the exported estimator had them in. It is
        read-only, as clones share it.
    n_features_in_ : int
        How many features it takes; of a model of images, the number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where the exported estimator was fitted on named columns.
    metadata_ : dict of str to str
        What ``to_onnx`` wrote about the model; the keys begin with "skdistill.".

    Raises
    ------
    OSError
        On first use: the file is missing or cannot be read.
    ValueError
        On first use: what was read is no ONNX file, is cut off or damaged, was not
        written by ``to_onnx``, or names data outside itself.
    ImportError
        On first use: onnxruntime is missing.
    AttributeError
        The attributes above raise it in place of these, so that an estimator whose file
        is missing has none, and can be shown.

    See Also
    --------
    DistilledClassifier : Trains students.

    Notes
    -----
    It counts as fitted: ``fit`` leaves it as it is, and a clone shares what was loaded.
    Pickles and deep copies hold the bytes in place of a path, and need no file. Any
    number of threads may predict at once.

    It runs on one CPU thread, which is fastest for a small net, and leaves the other
    cores to other work.

    Missing numbers are for the model to replace, as the default student does. They are
    refused if "skdistill.allow_nan" in the metadata is "false", or if they come through
    to the probabilities.

    A file is data, not code, so that it is safer than a pickle. Before onnxruntime sees
    it, every tensor is checked to be in the file itself, so that no model makes it read
    other files. There are only the operators that come with onnxruntime. What is not
    checked is whether the weights are those that were written, how long the model
    computes, and how much memory it takes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier
    >>> from skdistill.deploy import OnnxClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0)
    >>> clf = DistilledClassifier(forest, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "student.onnx")
    ...     data = to_onnx(clf, path)
    ...     student = OnnxClassifier(path).fit()
    >>> student.classes_
    array([0, 1, 2])
    >>> bool(abs(student.predict_proba(X) - clf.predict_proba(X)).max() < 1e-5)
    True
    """

    _file: _File | None = None

    def __init__(self, model: str | os.PathLike[str] | bytes) -> None:
        self.model = model

    def fit(self, X: Any = None, y: Any = None) -> OnnxClassifier:
        """Load the file, and learn nothing: the model is used as it is.

        Parameters
        ----------
        X, y : ignored
            Present because a classifier of scikit-learn has a ``fit``.

        Returns
        -------
        self : OnnxClassifier
            This very object.
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

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The rows. A model of columns of strings takes data frames of pandas, polars
            or pyarrow, with its columns in their order; one of images, say, arrays of
            more dimensions.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
            Rows sum to 1; columns in the order of ``classes_``. The model computes in
            float32.

        Raises
        ------
        TypeError
            ``X`` is an array, and the model takes columns of strings.
        ValueError
            For wrong features, no rows, values too large for float32, and missing
            values that the model does not replace.
        """
        file = self._load()
        inputs = self._inputs(X, file)
        n_rows = len(next(iter(inputs.values())))
        if n_rows <= _BATCH_SIZE:
            raw = file.run(inputs)
        else:
            raw = np.concatenate(
                [
                    file.run({name: column[rows] for name, column in inputs.items()})
                    for rows in gen_batches(n_rows, _BATCH_SIZE)
                ]
            )
        proba = raw.astype(np.float64)
        total = proba @ np.ones(proba.shape[1])  # for few classes faster than sum
        if not np.isfinite(total).all():
            row = np.isfinite(total).argmin()
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
        text: str = super().__repr__(N_CHAR_MAX)
        return text

    def _load(self) -> _File:
        file = self._file
        if file is None or file.model is not self.model:
            with _LOADING:
                file = self._file
                if file is None or file.model is not self.model:
                    file = self._file = _load(self.model)
        return file

    def _loaded(self) -> _File:
        """Return the file for an attribute, which raises no other error than this."""
        try:
            return self._load()
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise AttributeError(f"the model cannot be loaded: {error}") from error

    def _inputs(self, X: Any, file: _File) -> dict[str, NDArray[Any]]:
        """Return what the model takes, by the names of its inputs."""
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

    def _check_array(self, X: Any, file: _File) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # what overflows is reported as infinite
            # What validate_data would do, which for one row takes longer than the net.
            if (
                type(X) is np.ndarray
                and X.dtype.char in "fd"
                and X.shape[1:] == file.shape
                and len(X) > 0
                and file.feature_names is None
            ):
                rows = X.astype(np.float32, copy=False)
                if np.isfinite(rows).all() or (
                    file.allow_nan and not np.isinf(rows).any()
                ):
                    return rows
            # Strings are refused as dtype="numeric" refuses them, also those of digits.
            checked = validate_data(
                self,
                X,
                reset=False,
                dtype="numeric",
                ensure_all_finite=False,
                allow_nd=len(file.shape) > 1,
            )
            rows = check_array(
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
        return rows

    def _frame_columns(self, X: Any, file: _File) -> list[NDArray[Any]]:
        """Return the columns of a data frame as floats and strings."""
        validate_data(self, X, reset=False, skip_check_array=True)
        check_not_empty(X)
        X = native(X)
        kinds = file.kinds or ("float",) * file.n_features
        numeric = [i for i, kind in enumerate(kinds) if kind == "float"]
        others = [i for i, kind in enumerate(kinds) if kind == "string"]
        block = _float_block(X, numeric, file.allow_nan)
        columns = {i: block[:, k : k + 1] for k, i in enumerate(numeric)}
        for i, levels in zip(others, labels(X, others), strict=True):
            strings = [_STRINGS.get(label, label) for label in levels]
            columns[i] = np.array(strings, dtype=object)[:, np.newaxis]
        return [columns[i] for i in range(file.n_features)]


@dataclass(frozen=True, eq=False)
class _File:
    """A file that was loaded.

    ``kinds`` has "float" or "string" for each column if each is an input of its own,
    and is empty if one input takes all. ``shape`` is that of a row.
    """

    model: Any
    content: bytes
    session: Any
    inputs: list[str]
    metadata: dict[str, str]
    classes: NDArray[Any]
    n_features: int
    feature_names: NDArray[np.object_] | None
    kinds: tuple[str, ...]
    shape: tuple[int, ...]
    allow_nan: bool

    def run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            (proba,) = self.session.run(["probabilities"], inputs)
        except Exception as error:  # onnxruntime's have no common base
            raise ValueError(f"the model cannot be run: {error}") from error
        result: NDArray[np.float32] = proba
        return result


def _load(model: Any) -> _File:
    if isinstance(model, bytes):
        content, source = model, "model"
    elif isinstance(model, str | os.PathLike):
        content, source = Path(model).read_bytes(), repr(os.fspath(model))
    else:
        raise TypeError(
            f"model must be a path or the bytes of a file, got {type(model).__name__}"
        )
    try:
        _refuse_pickle(content)
        _refuse_external_data(content)
        session = _session(content)
        return _described(model, content, session)
    except ValueError as error:
        raise ValueError(f"cannot load {source}: {error}") from error


def _refuse_pickle(content: bytes) -> None:
    # A pickle begins with the number of its protocol, up to 5 today.
    if content[:1] == b"\x80" and content[1:2] <= b"\x0f":
        raise ValueError(
            f"{_NOT_ONNX}. It looks like a pickle, which is loaded by "
            "joblib.load, and may run any code then"
        )


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "OnnxClassifier needs onnxruntime: pip install skdistill[onnx]"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    # Its own format, which it would recognize by the first bytes, was not checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's have no common base
        raise ValueError(f"onnxruntime refuses it: {error}") from error


def _described(model: Any, content: bytes, session: Any) -> _File:
    """Put a session together with what its metadata say, if they fit it."""
    metadata = {
        key: value
        for key, value in session.get_modelmeta().custom_metadata_map.items()
        if key.startswith("skdistill.")
    }
    if "skdistill.version" not in metadata:
        raise ValueError(
            "it was not written by skdistill.deploy.to_onnx, so that it does not say "
            "what its inputs and outputs are; use onnxruntime itself"
        )
    nodes = session.get_inputs()
    try:
        classes = _classes(metadata)
        names = json.loads(metadata.get("skdistill.feature_names", "null"))
        kinds = tuple(json.loads(metadata.get("skdistill.kinds", "[]")))
        n_features = int(metadata["skdistill.n_features"])
        file = _File(
            model=model,
            content=content,
            session=session,
            inputs=[node.name for node in nodes],
            metadata=metadata,
            classes=classes,
            n_features=n_features,
            feature_names=None if names is None else np.array(names, dtype=object),
            kinds=kinds,
            shape=(n_features,) if kinds else tuple(nodes[0].shape[1:]),
            allow_nan=metadata.get("skdistill.allow_nan") != "false",
        )
    except (
        LookupError,
        MemoryError,
        OverflowError,
        RecursionError,
        SyntaxError,  # of a dtype
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"its metadata are damaged: {error!r}") from error
    if not _fits(file, session):
        raise ValueError("its metadata do not fit its inputs and outputs")
    return file


def _classes(metadata: dict[str, str]) -> NDArray[Any]:
    dtype = np.dtype(metadata["skdistill.classes_dtype"])
    if dtype.kind not in "biufUOT":
        raise ValueError(f"labels of the dtype {dtype}")
    classes: NDArray[Any] = np.array(json.loads(metadata["skdistill.classes"]), dtype)
    if len(set(classes.ravel().tolist())) < classes.size:
        raise ValueError("a label is there twice")
    classes.flags.writeable = False
    return classes


def _fits(file: _File, session: Any) -> bool:
    """Tell whether the metadata go with one another and with the graph."""
    inputs = [(node.type, *node.shape[1:]) for node in session.get_inputs()]
    expected: list[Any] = [(f"tensor({kind})", 1) for kind in file.kinds]
    proba = [
        (node.type, *node.shape[1:])
        for node in session.get_outputs()
        if node.name == "probabilities"
    ]
    return (
        inputs == (expected or [("tensor(float)", *file.shape)])
        and proba == [("tensor(float)", *file.classes.shape)]
        and file.shape[:1] == (file.n_features,)
        and len(file.kinds) in (0, file.n_features)
        and (file.feature_names is None or len(file.feature_names) == file.n_features)
    )


def _float_block(X: Any, positions: list[int], allow_nan: bool) -> NDArray[np.float32]:
    """Return the numeric columns of a data frame, NaN for missing."""
    try:
        with np.errstate(over="ignore"):
            block = floats(X, positions)
    except Exception as error:  # polars has exceptions of its own
        raise ValueError(f"a column that must be numeric is not: {error}") from error
    problems = [(np.isinf(block), "infinity or a value too large for float32")]
    if not allow_nan:
        problems.append((np.isnan(block), "NaN, which the model does not replace"))
    for found, problem in problems:
        if found.any():
            name = X.columns[positions[found.any(axis=0).argmax()]]
            raise ValueError(f"Column {name!r} contains {problem}")
    return block


def _refuse_external_data(content: bytes) -> None:
    """Raise a ValueError if a tensor is not in the file itself.

    onnxruntime would read it from the path that the file names, and the package onnx,
    which could tell, is not needed otherwise. What a protobuf parser might read in
    another way than this function does is refused.
    """
    todo = [("ModelProto", 0, len(content))]
    while todo:
        kind, start, end = todo.pop()
        for number, value, stop in _fields(content, start, end):
            if kind == "TensorProto" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)
            ):
                raise ValueError("it names data outside itself, in another file")
            if stop is not None and number in _MESSAGES[kind]:
                todo.append((_MESSAGES[kind][number], value, stop))


def _fields(
    content: bytes, start: int, end: int
) -> Iterator[tuple[int, int, int | None]]:
    """Yield the fields of a protobuf message.

    Each is its number and either its value and None, or where its bytes start and stop.
    """
    while start < end:
        tag, start = _varint(content, start, end)
        number, wire_type = divmod(tag, 8)
        stop = None
        value = start
        if wire_type == 0:
            value, start = _varint(content, start, end)
        elif wire_type in (1, 5):
            start += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            length, value = _varint(content, start, end)
            start = stop = value + length
        else:
            raise ValueError(_NOT_ONNX)
        if start > end or not 0 < number < 2**29:
            raise ValueError(_NOT_ONNX)
        yield number, value, stop


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Return a number of up to ten bytes, seven bits in each, and where it ends."""
    value = 0
    for i, byte in enumerate(content[start : min(start + 10, end)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, start + i + 1
    raise ValueError(_NOT_ONNX)


_NOT_ONNX = "it is no ONNX file, or it is cut off or damaged"
