"""ONNX models by hand, as to_onnx would write them."""

import json

import numpy as np
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from scipy.special import softmax

WEIGHTS = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]], np.float32)
X = np.array([[0.5, -1.0], [2.0, 0.25], [-3.0, 1.5], [0.0, 1.0]])


# The frame model takes an age, 40 where it is missing, in decades, and a job.
AGES = [20.0, None, 61.0, 35.0]
JOBS = ["cook", None, "clerk", "astronaut"]
JOB_CODES = {"cook": 1.0, "clerk": 2.0, "nan": -1.0, "7": 3.0, "True": 4.0}
FRAME = pd.DataFrame({"age": AGES, "job": JOBS})


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def to_model(nodes, inputs, initializers, metadata, n_classes=3):
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info(
            "probabilities", TensorProto.FLOAT, ["batch", n_classes]
        ),
    ]
    nodes = [
        *nodes,
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "student", inputs, outputs, initializers),
        opset_imports=[
            helper.make_opsetid("", 21),
            helper.make_opsetid("ai.onnx.ml", 4),
        ],
        ir_version=10,
    )
    helper.set_model_props(
        model, {f"skdistill.{k}": v for k, v in metadata.items() if v is not None}
    )
    return model


def array_model(labels=(0, 1, 2), dtype="<i8", names=None, **metadata):
    """Return a model that says softmax(X @ WEIGHTS), of an estimator of arrays."""
    metadata = {
        "version": "0.1.0",
        "classes": json.dumps(list(labels)),
        "classes_dtype": dtype,
        "n_features": "2",
        "feature_names": names and json.dumps(names),
    } | metadata
    return to_model(
        [helper.make_node("MatMul", ["X", "weights"], ["logits"])],
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 2])],
        [tensor("weights", WEIGHTS)],
        metadata,
    )


def frame_model(kinds=("float", "string"), names=("age", "job"), **metadata):
    """Return a model with an input for each column, of an estimator of data frames."""
    node = helper.make_node
    nodes = []
    for kind, name in zip(kinds, names, strict=True):
        if kind == "float":
            nodes += [
                node("IsNaN", [name], [f"{name}_missing"]),
                node("Where", [f"{name}_missing", "forty", name], [f"{name}_full"]),
                node("Mul", [f"{name}_full", "tenth"], [f"{name}_number"]),
            ]
        else:
            nodes += [
                node(
                    "LabelEncoder",
                    [name],
                    [f"{name}_number"],
                    domain="ai.onnx.ml",
                    keys_strings=list(JOB_CODES),
                    values_floats=list(JOB_CODES.values()),
                    default_float=0.0,
                )
            ]
    types = {"float": TensorProto.FLOAT, "string": TensorProto.STRING}
    return to_model(
        [
            *nodes,
            node("Concat", [f"{name}_number" for name in names], ["rows"], axis=1),
            node("MatMul", ["rows", "weights"], ["logits"]),
        ],
        [
            helper.make_tensor_value_info(name, types[kind], ["batch", 1])
            for kind, name in zip(kinds, names, strict=True)
        ],
        [tensor("weights", WEIGHTS), tensor("forty", 40), tensor("tenth", 0.1)],
        {
            "version": "0.1.0",
            "classes": "[0, 1, 2]",
            "classes_dtype": "<i8",
            "n_features": "2",
            "feature_names": json.dumps(names),
            "kinds": json.dumps(kinds),
        }
        | metadata,
    )


def array_file(*args, **kwargs):
    return array_model(*args, **kwargs).SerializeToString()


def frame_file(*args, **kwargs):
    return frame_model(*args, **kwargs).SerializeToString()


def expected_proba(ages, jobs):
    """Return what the frame model says of ages without NaN and of strings."""
    codes = [JOB_CODES.get(job, 0.0) for job in jobs]
    return softmax(np.column_stack([np.divide(ages, 10), codes]) @ WEIGHTS, axis=1)
