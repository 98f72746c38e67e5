"""An ONNX file of ``to_onnx``, loaded and ready to run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._onnx_safety import refuse_pickle, refuse_unsafe
from skdistill.utils._optional import require

# Limits of the sizes in the metadata, against files that are made to do harm.
_OUTPUTS, _FEATURES, _LABEL_BYTES = 2**20, 2**24, 2**16

# Rounding may take a probability above 1 by this much.
_ROUNDING = 1e-3

# The name of a time zone, and no path of a file, which pandas would read.
_ZONE = re.compile(r"(?!dateutil)[A-Za-z+-][\w+:-]*(/[\w+-]+)*")


class File:
    """A loaded file, of one of the kinds below.

    Attributes
    ----------
    model : str, os.PathLike or bytes
        The file that was loaded.
    content : bytes
        Its content.
    session : onnxruntime.InferenceSession
        The session that runs the content.
    inputs : list of str
        The names of its inputs.
    metadata : dict of str to str
        The metadata of ``to_onnx``. The following attributes are read from them.
    n_features : int
        The number of features.
    feature_names : ndarray of shape (n_features,) or None
        Their names, if they have some.
    kinds : tuple of {"float", "double", "string", "date"}
        The type of each column, if each is an input of its own; empty if one input
        takes all.
    zones : dict of int to str or None
        The time zone of each column of dates, by its position.
    shape : tuple of int
        The shape of a row.
    dtype : type
        The dtype of numbers in the inputs: ``numpy.float64`` if some are "double".
    allow_nan : bool
        Whether numbers may be missing.
    """

    runner: ClassVar[str]  # the class that takes such a file
    output: ClassVar[str]
    output_type: ClassVar[str]
    output_shape: tuple[int, ...]  # of a row

    def __init__(
        self, model: Any, content: bytes, session: Any, metadata: dict[str, str]
    ) -> None:
        self.model, self.content, self.session = model, content, session
        self.metadata = metadata
        try:
            self._read_metadata()
        except Exception as error:  # json and numpy raise many kinds
            raise ValueError(f"its metadata are damaged: {error!r}") from error
        nodes = session.get_inputs()
        self.inputs = [node.name for node in nodes]
        self.shape: tuple[int, ...] = tuple(nodes[0].shape[1:])
        if self.kinds:
            self.shape = (self.n_features,)
        double = any(node.type == "tensor(double)" for node in nodes)
        self.dtype = np.float64 if double else np.float32
        if not self._fits():
            raise ValueError("its metadata do not fit its inputs and outputs")

    def _read_metadata(self) -> None:
        """Set the attributes that the metadata hold, or raise an error."""
        self._read_output()
        self.n_features = int(self.metadata["skdistill.n_features"])
        if not 0 < self.n_features <= _FEATURES:
            raise ValueError(f"{self.n_features} features")
        self.feature_names: NDArray[np.object_] | None = None
        if (names := self.metadata.get("skdistill.feature_names")) is not None:
            read = json.loads(names)
            _check_list("feature_names", read, str, _FEATURES)
            self.feature_names = np.array(read, dtype=object)
        kinds = json.loads(self.metadata.get("skdistill.kinds", "[]"))
        if kinds:
            _check_list("kinds", kinds, str, _FEATURES, distinct=False)
        self.kinds = tuple(kinds)
        zones = json.loads(self.metadata.get("skdistill.zones", "[]"))
        dates = [i for i, kind in enumerate(kinds) if kind == "date"]
        if not all(zone is None or _ZONE.fullmatch(zone) for zone in zones):
            raise ValueError("an unknown time zone")
        self.zones = dict(zip(dates, zones, strict=True))
        self.allow_nan = self.metadata.get("skdistill.allow_nan") != "false"

    def _fits(self) -> bool:
        """Tell whether the metadata agree with each other and with the graph."""
        inputs = [(node.type, *node.shape[1:]) for node in self.session.get_inputs()]
        kinds = ["double" if kind == "date" else kind for kind in self.kinds]
        expected: list[Any] = [(f"tensor({kind})", 1) for kind in kinds]
        if not self.kinds:
            number = "double" if self.dtype is np.float64 else "float"
            expected = [(f"tensor({number})", *self.shape)]
        said = [
            (node.type, *node.shape[1:])
            for node in self.session.get_outputs()
            if node.name == self.output
        ]
        names = self.feature_names
        return (
            inputs == expected
            and said == [(self.output_type, *self.output_shape)]
            and self.shape[:1] == (self.n_features,)
            and len(self.kinds) in (0, self.n_features)
            and (names is None or len(names) == self.n_features)
        )

    def run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the output for rows, which may be NaN.

        ``inputs`` are the values by the names of the inputs.
        """
        try:
            (said,) = self.session.run([self.output], inputs)
        except Exception as error:  # onnxruntime's have no common base
            raise ValueError(f"the model cannot be run: {error}") from error
        if found := self._unexpected(said, len(next(iter(inputs.values())))):
            reason = "it was not written by to_onnx, or is damaged"
            raise ValueError(f"the model returns {found}: {reason}")
        return np.asarray(said)

    def _read_output(self) -> None:
        """Read what the outputs stand for, or raise an error."""
        raise NotImplementedError

    def _unexpected(self, said: NDArray[Any], n_rows: int) -> str | None:
        """Describe an output that cannot be right."""
        expected = (n_rows, *self.output_shape)
        if said.shape != expected:
            return f"shape {said.shape}, and not {expected}"
        return None


class ClassFile(File):
    """A file of a classifier, with the read-only labels ``classes``."""

    multilabel = False
    runner = "OnnxClassifier"
    output = "probabilities"
    output_type = "tensor(float)"

    def _read_output(self) -> None:
        self.classes = _classes(self.metadata)
        self.output_shape = self.classes.shape

    def _unexpected(self, said: NDArray[Any], n_rows: int) -> str | None:
        found = super()._unexpected(said, n_rows)
        if found is None and (said.min() < 0 or said.max() > 1 + _ROUNDING):
            found = "values outside of [0, 1], which are no probabilities"
        return found


class LabelFile(ClassFile):
    """A file of a classifier with several labels for each row."""

    multilabel = True


class NumberFile(File):
    """A file of a regressor: of ``n_outputs`` targets, or of some ``quantiles``."""

    runner = "OnnxRegressor"
    output = "prediction"
    output_type = "tensor(double)"

    def _read_output(self) -> None:
        self.n_outputs = int(self.metadata["skdistill.n_outputs"])
        if not 0 < self.n_outputs <= _OUTPUTS:
            raise ValueError(f"{self.n_outputs} targets")
        self.quantiles: list[float] | None = None
        if (levels := self.metadata.get("skdistill.quantiles")) is not None:
            self.quantiles = json.loads(levels)
            _check_list("quantiles", self.quantiles, float, self.n_outputs)
        is_number = self.n_outputs == 1 and self.quantiles is None
        self.output_shape = () if is_number else (self.n_outputs,)


_KINDS: dict[str, type[File]] = {
    "classification": ClassFile,
    "multilabel": LabelFile,
    "regression": NumberFile,
}


def load(model: Any, kind: type[File] = File) -> File:
    """Load a file of ``to_onnx``, from its path or its bytes.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The file, or its content.
    kind : type, default=File
        The kind of file to expect. By default, any is taken.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError
        If ``model`` is neither a path nor bytes.
    ValueError
        If it is no such file, or of another kind, is damaged, or names data outside
        itself.
    """
    if isinstance(model, bytes):
        content, source = model, "model"
    elif isinstance(model, str | os.PathLike):
        content, source = Path(model).read_bytes(), repr(os.fspath(model))
    else:
        raise TypeError(
            f"model must be a path or the bytes of a file, got {type(model).__name__}"
        )
    try:
        refuse_pickle(content)
        refuse_unsafe(content)
        session = _session(content)
        metadata = _metadata(session)
        found = _kind(metadata)
        if not issubclass(found, kind):
            raise ValueError(
                f"it is a file for skdistill.deploy.{found.runner}, not {kind.runner}"
            )
        return found(model, content, session, metadata)
    except ValueError as error:
        raise ValueError(f"cannot load {source}: {error}") from error


def _session(content: bytes) -> Any:
    onnxruntime = require("onnxruntime", "an ONNX file", "skdistill[onnx]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised
    # onnxruntime recognizes its own format by the first bytes, and it was not checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # to the same provider, with a print
        )
    except Exception as error:  # onnxruntime's have no common base
        raise ValueError(f"onnxruntime refuses it: {error}") from error


def _metadata(session: Any) -> dict[str, str]:
    metadata = {
        key: value
        for key, value in session.get_modelmeta().custom_metadata_map.items()
        if key.startswith("skdistill.")
    }
    if "skdistill.version" not in metadata:
        raise ValueError(
            "it was not written by skdistill.deploy.to_onnx, and does not say what its "
            "inputs and outputs are; use onnxruntime itself"
        )
    return metadata


def _kind(metadata: dict[str, str]) -> type[File]:
    task = metadata.get("skdistill.task", "classification")
    if task not in _KINDS:
        raise ValueError(f"its metadata are damaged: unknown task {task!r:.80}")
    return _KINDS[task]


def _check_list(
    name: str, values: Any, kind: Any, most: int, *, distinct: bool = True
) -> None:
    """Raise a ValueError unless values are a list of a kind that is not too long."""
    if not isinstance(values, list) or not 0 < len(values) <= most:
        raise ValueError(f"{name} is no list of 1 to {most} values")
    if not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name} has values of a wrong type")
    if distinct and len(set(values)) < len(values):
        raise ValueError(f"a value of {name} is there twice")


def _classes(metadata: dict[str, str]) -> NDArray[Any]:
    dtype = np.dtype(metadata["skdistill.classes_dtype"])
    if dtype.kind not in "biufUOT" or dtype.itemsize > _LABEL_BYTES:
        raise ValueError(f"labels of the dtype {dtype}")
    labels = json.loads(metadata["skdistill.classes"])
    _check_list("classes", labels, str | int | float, _OUTPUTS)
    classes: NDArray[Any] = np.array(labels, dtype)
    if len(set(classes.tolist())) < len(labels):
        raise ValueError("a label is there twice")
    classes.flags.writeable = False
    return classes
