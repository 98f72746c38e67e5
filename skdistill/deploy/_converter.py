"""A converter of skl2onnx for DistilledClassifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdistill import DistilledClassifier
from skdistill.deploy._converting import OPSET, add_prefix, require_onnx
from skdistill.deploy._onnx_model import onnx_labels
from skdistill.deploy._to_onnx import to_onnx


def register_converter() -> None:
    """Let skl2onnx convert a DistilledClassifier, also inside of pipelines.

    After this call, ``skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32),
    target_opset=21)`` works, with the option "zipmap" (True, False or "columns") and
    any opset from 21 on. A second call changes nothing. Importing skdistill
    does not make the call, because the call imports skl2onnx.

    Raises
    ------
    ImportError
        If a package of ``pip install skdistill[onnx]`` is missing.

    See Also
    --------
    to_onnx : Checks the whole file, names its inputs by the columns, and can quantize.

    Notes
    -----
    skl2onnx converts the other steps of the pipeline. :func:`to_onnx` converts the
    classifier with the preprocessing of its student, and checks it on made-up rows.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdistill import DistilledClassifier, make_student
    >>> from skdistill.deploy import register_converter
    >>> X, y = load_iris(return_X_y=True)
    >>> student = make_student((16,), max_epochs=5)
    >>> clf = DistilledClassifier(RandomForestClassifier(10), student)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> register_converter()
    >>> options = {"zipmap": False}
    >>> model = skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32), options=options)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    require_onnx("register_converter")
    from skl2onnx import update_registered_converter

    update_registered_converter(
        DistilledClassifier,
        "SkdistillDistilledClassifier",
        _set_output_types,
        _convert,
        options={"zipmap": [True, False, "columns"], "nocl": [False]},
    )


def _set_output_types(operator: Any) -> None:
    """Tell skl2onnx the types of the outputs."""
    from skl2onnx.common.data_types import (
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    labels = onnx_labels(operator.raw_operator.classes_)
    kind = StringTensorType if labels.dtype == object else Int64TensorType
    operator.outputs[0].type = kind([None])
    operator.outputs[1].type = FloatTensorType([None, len(labels)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a classifier to a model of skl2onnx."""
    import onnx

    if container.target_opset < OPSET:
        raise ValueError(
            f"DistilledClassifier needs opset {OPSET} or later, got "
            f"{container.target_opset}: pass target_opset={OPSET}"
        )
    shape = operator.inputs[0].type.shape
    sample = None
    if len(shape) > 2:
        rng = np.random.default_rng(0)
        sample = rng.standard_normal((8, *shape[1:])).astype(np.float32)
    model = onnx.load_from_string(to_onnx(operator.raw_operator, sample=sample))
    # skl2onnx's own function to add a model mixes up names of nodes and of tensors.
    prefix = f"{scope.get_unique_operator_name('student')}/"
    add_prefix(model, prefix)
    graph = model.graph
    _feed_from(operator.inputs, graph.input, container, prefix)
    container.nodes.extend(graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.update(
        (opset.domain, opset.version) for opset in model.opset_import
    )
    for made, variable in zip(graph.output, operator.outputs, strict=True):
        container.add_node(
            "Identity", made.name, variable.full_name, name=f"{made.name}_out"
        )


def _feed_from(variables: list[Any], inputs: Any, container: Any, prefix: str) -> None:
    """Cast the given inputs to those of the model; join them if the model has one."""
    given = [variable.full_name for variable in variables]
    types = [value.type.tensor_type.elem_type for value in inputs]
    names = [value.name for value in inputs]
    if len(names) == 1 and len(given) > 1:
        names = [f"{prefix}column_{i}" for i in range(len(given))]
        types = types * len(given)
        container.add_node(
            "Concat", names, inputs[0].name, name=f"{prefix}concat", axis=1
        )
    elif len(names) != len(given):
        raise ValueError(
            f"DistilledClassifier was fitted on a data frame of {len(names)} columns, "
            f"and gets {len(given)} inputs: pass initial_types with one per column"
        )
    for source, name, kind in zip(given, names, types, strict=True):
        container.add_node("Cast", source, name, name=f"{name}_in", to=kind)
