"""Converters of skl2onnx for DistilledClassifier and DistilledRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdistill import DistilledClassifier, DistilledRegressor
from skdistill.deploy._converting import OPSET, add_prefix, require_onnx
from skdistill.deploy._outputs import output_of
from skdistill.deploy._to_onnx import to_onnx


def register_converter() -> None:
    """Let skl2onnx convert students, also inside of pipelines.

    After this call, ``skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32),
    target_opset=21)`` works for a :class:`~skdistill.DistilledClassifier`, with the
    option "zipmap" (True, False or "columns"), and for a
    :class:`~skdistill.DistilledRegressor`, whose output is float64 of shape
    (batch, n_targets). Any opset from 21 on will do. A second call changes nothing.
    Importing skdistill does not make the call, because the call imports skl2onnx.

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
    student with the preprocessing of its student, and checks it on made-up rows.

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
    update_registered_converter(
        DistilledRegressor, "SkdistillDistilledRegressor", _set_output_types, _convert
    )


def _set_output_types(operator: Any) -> None:
    """Tell skl2onnx the types of the outputs, in which all numbers are 2-D."""
    from skl2onnx.common import data_types

    names = {"O": "String", "i8": "Int64", "f4": "Float", "f8": "Double"}
    of_file = output_of(operator.raw_operator).of_file()
    for variable, (dtype, shape) in zip(
        operator.outputs, of_file.values(), strict=True
    ):
        name = names[dtype.str[1:]]
        shape = shape or ((1,) if name == "Double" else ())
        variable.type = getattr(data_types, f"{name}TensorType")([None, *shape])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a student to a model of skl2onnx."""
    import onnx

    if container.target_opset < OPSET:
        raise ValueError(
            f"{type(operator.raw_operator).__name__} needs opset {OPSET} or later, got "
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
        _connect(made, variable, container)


def _connect(made: Any, variable: Any, container: Any) -> None:
    """Give an output of the model its name in skl2onnx, where all numbers are 2-D."""
    from onnx import TensorProto

    given, kind = [made.name], "Identity"
    if len(made.type.tensor_type.shape.dim) < len(variable.type.shape):
        given, kind = [made.name, f"{made.name}_shape"], "Reshape"
        width = variable.type.shape[1]
        container.add_initializer(given[1], TensorProto.INT64, [2], [-1, width])
    container.add_node(kind, given, variable.full_name, name=f"{made.name}_out")


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
            f"the student was fitted on a data frame of {len(names)} columns, "
            f"and gets {len(given)} inputs: pass initial_types with one per column"
        )
    for source, name, kind in zip(given, names, types, strict=True):
        container.add_node("Cast", source, name, name=f"{name}_in", to=kind)
