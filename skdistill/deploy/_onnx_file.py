"""An ONNX file of ``to_onnx``, loaded and ready to run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdistill.deploy._loaded_file import LoadedFile
from skdistill.deploy._onnx_safety import refuse_pickle, refuse_unsafe
from skdistill.utils._optional import require

# Limits of the sizes in the metadata, against files that are made to do harm.
_OUTPUTS, _FEATURES, _LABEL_BYTES = 2**20, 2**24, 2**16

# Of the entries that are JSON, the type of the values, and the largest number: for
# lists of the values in them, and for numbers themselves.
_LISTS: dict[str, tuple[Any, int]] = {
    "classes": (str | int | float, _OUTPUTS),
    "quantiles": (float, _OUTPUTS),
    "feature_names": (str, _FEATURES),
    "kinds": (str, _FEATURES),
}
_COUNTS = {"n_features": ("features", _FEATURES), "n_outputs": ("targets", _OUTPUTS)}

# Rounding may take a probability above 1 by this much.
_ROUNDING = 1e-3

# The name of a time zone, and no path of a file, which pandas would read.
_ZONE = re.compile(r"(?!dateutil)[A-Za-z+-][\w+:-]*(/[\w+-]+)*")


class File(LoadedFile):
    """A loaded ONNX file.

    Attributes
    ----------
    content : bytes
        The content of the file.
    session : onnxruntime.InferenceSession
        The session that runs the content.
    inputs : list of str
        The names of its inputs.
    """

    def __init__(
        self, source: Any, content: bytes, session: Any, metadata: dict[str, str]
    ) -> None:
        self.source, self.content, self.session = source, content, session
        self.metadata = metadata
        try:
            told = _told(metadata)
            self._describe(told)
            self._read_zones(told)
        except Exception as error:  # json and numpy raise many kinds
            raise ValueError(f"its metadata are damaged: {error!r}") from error
        nodes = session.get_inputs()
        self.inputs = [node.name for node in nodes]
        whole = tuple(nodes[0].shape[1:])
        self.shape = (self.n_features,) if self.kinds else whole
        double = any(node.type == "tensor(double)" for node in nodes)
        self.dtype = np.float64 if double else np.float32
        if not self._fits():
            raise ValueError("its metadata do not fit its inputs and outputs")

    @property
    def runner(self) -> str:
        """The class that takes the file."""
        return "OnnxRegressor" if self.classes is None else "OnnxClassifier"

    def _read_zones(self, told: dict[str, Any]) -> None:
        zones = told.get("zones", [])
        if not all(zone is None or _ZONE.fullmatch(zone) for zone in zones):
            raise ValueError("an unknown time zone")
        dates = [i for i, kind in enumerate(self.kinds) if kind == "date"]
        self.zones = dict(zip(dates, zones, strict=True))

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
        number = "double" if self.classes is None else "float"
        names = self.feature_names
        return (
            inputs == expected
            and said == [(f"tensor({number})", *self.output_shape)]
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

    def _unexpected(self, said: NDArray[Any], n_rows: int) -> str | None:
        """Describe an output that cannot be right."""
        expected = (n_rows, *self.output_shape)
        if said.shape != expected:
            return f"shape {said.shape}, and not {expected}"
        if self.classes is not None and (said.min() < 0 or said.max() > 1 + _ROUNDING):
            return "values outside of [0, 1], which are no probabilities"
        return None


def load(model: Any, runner: str | None = None) -> File:
    """Load a file of ``to_onnx``, from its path or its bytes.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The file, or its content.
    runner : str, default=None
        The class that takes the file. By default, any is taken.

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
        file = File(model, content, session, _metadata(session))
        if runner not in (None, file.runner):
            raise ValueError(
                f"it is a file for skdistill.deploy.{file.runner}, not {runner}"
            )
        return file
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


def _told(metadata: dict[str, str]) -> dict[str, Any]:
    """Return the metadata without JSON and checked, or raise an error of any kind."""
    told: dict[str, Any] = {
        name: metadata.get(f"skdistill.{name}") for name in ("task", "classes_dtype")
    }
    for name in (*_LISTS, *_COUNTS, "zones", "allow_nan"):
        if (value := metadata.get(f"skdistill.{name}")) is not None:
            told[name] = json.loads(value)
    if told["task"] not in (None, "classification", "multilabel", "regression"):
        raise ValueError(f"unknown task {told['task']!r:.80}")
    for name in _LISTS.keys() & told:
        _check_list(name, told[name], *_LISTS[name])
    for name, (noun, most) in _COUNTS.items():
        if name in told and not 0 < told[name] <= most:
            raise ValueError(f"{told[name]} {noun}")
    if len(told.get("quantiles", ())) not in (0, told.get("n_outputs")):
        raise ValueError("the number of quantiles is not that of the outputs")
    if "classes" in told:
        _check_classes(told["classes"], np.dtype(told["classes_dtype"]))
    return told


def _check_list(name: str, values: Any, kind: Any, most: int) -> None:
    """Raise a ValueError unless values are a list of a kind that is not too long."""
    if not isinstance(values, list) or not 0 < len(values) <= most:
        raise ValueError(f"{name} is no list of 1 to {most} values")
    if not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name} has values of a wrong type")
    if name != "kinds" and len(set(values)) < len(values):
        raise ValueError(f"a value of {name} is there twice")


def _check_classes(labels: list[Any], dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufUOT" or dtype.itemsize > _LABEL_BYTES:
        raise ValueError(f"labels of the dtype {dtype}")
    if len(set(np.array(labels, dtype).tolist())) < len(labels):
        raise ValueError("a label is there twice")
