"""The layers of a student's net, for exports to what has linear layers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skdistill.deploy._parts import Parts
from skdistill.deploy._sample import N_ROWS
from skdistill.utils._activations import ACTIVATIONS

# The layers one after the other, each with a description for errors.
Layers: TypeAlias = list[tuple[str, nn.Module]]

WAY_OUT = "skdistill.deploy.to_onnx takes any net"

# A difference that is larger means that the functions differ.
_OTHER_FUNCTION = 1e-3

ACTIVATION_NAMES = {module: name for name, module in ACTIVATIONS.items()}

# Layers that do nothing at prediction.
_IDENTITIES = (nn.Identity, nn.Dropout, nn.AlphaDropout)

# Last layers that can be left out: a softmax of their outputs changes nothing.
_SOFTMAX = (nn.Softmax, nn.LogSoftmax)


def layers_of(module: nn.Module, parts: Parts, form: str) -> Layers:
    """Return the layers of a module in order, without a softmax at the end.

    The module is that of the student's net, or the part of it that is a stack. One that
    contains others is taken for a stack of them: :func:`check_stack` compares the
    outputs. A layer of another kind is a TypeError, which calls the export ``form``.
    """
    layers = list(_layers(module, form))
    is_classifier = parts.output.task == "classification"
    if is_classifier and layers and isinstance(layers[-1][1], _SOFTMAX):
        layers.pop()
    return layers


def _layers(
    module: nn.Module, form: str, path: str = ""
) -> Iterator[tuple[str, nn.Module]]:
    name = f"{path.lstrip('.')} ({type(module).__name__})".lstrip()
    if isinstance(module, _IDENTITIES):
        return
    if isinstance(module, (nn.Linear, *_SOFTMAX)) or type(module) in ACTIVATION_NAMES:
        yield name, module
    elif module._modules:
        for key, child in module._modules.items():
            if child is not None:
                yield from _layers(child, form, f"{path}.{key}")
    else:
        instead = getattr(module, "instead", None)
        raise TypeError(
            f"{form} has Linear layers and ReLU, Tanh, Sigmoid or Identity, and not "
            f"{name}. {WAY_OUT}{f', and {instead}' if instead else ''}"
        )


def linear_layers(layers: Layers, form: str) -> tuple[list[nn.Linear], list[str]]:
    """Return the linear layers, and the names of the activations between them.

    Raise a ValueError if the layers are in another order.
    """
    names = [name for name, _ in layers]
    linear: list[nn.Linear] = []
    between: list[str] = []
    previous: nn.Module | None = None
    for name, module in layers:
        if isinstance(module, nn.Linear):
            if isinstance(previous, nn.Linear):
                between.append("identity")
            linear.append(module)
        elif type(module) in ACTIVATION_NAMES and isinstance(previous, nn.Linear):
            between.append(ACTIVATION_NAMES[type(module)])
        else:
            raise _wrong_order(name, names, form)
        previous = module
    if not isinstance(previous, nn.Linear):
        raise _wrong_order(names[-1] if names else "nothing", names, form)
    return linear, between


def _wrong_order(name: str, names: list[str], form: str) -> ValueError:
    return ValueError(
        f"{name} stands where {form} has no such layer: it has Linear layers with one "
        f"activation between two, and the module has {names}. {WAY_OUT}"
    )


def as_array(tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return weights as an array of double precision."""
    return np.asarray(tensor.detach().cpu().double())


def weights_and_biases(
    linear: list[nn.Linear],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the weights of layers, of shape (n_inputs, n_outputs), and the biases."""
    return [
        (
            as_array(layer.weight).T,
            np.zeros(layer.out_features)
            if layer.bias is None
            else as_array(layer.bias),
        )
        for layer in linear
    ]


def check_stack(
    parts: Parts,
    layers: Layers,
    n_features: int,
    front: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> NDArray[np.float32]:
    """Raise a ValueError if the net computes something besides its layers.

    ``front`` is what its module, whose input has so many features, does before them.
    Return the standard normal rows on which they were compared.
    """
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((N_ROWS, n_features)).astype(np.float32)
    for scaled in (rows, rows * np.float32(10)):  # standardized columns, and outliers
        said = parts.output.of_layers(outputs_of(layers, scaled, front)[0])
        differences = parts.output.differences(said, parts.said(scaled))
        if not (differences < _OTHER_FUNCTION).all():
            module = type(parts.net.module_).__name__
            raise ValueError(
                f"the forward of {module} or predict_nonlinearity does something else "
                f"than its layers {[name for name, _ in layers]} one after the other"
                f"{parts.output.activation}. {WAY_OUT}"
            )
    return rows


def outputs_of(
    layers: Layers, rows: NDArray[np.float32], front: Any = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the outputs of the layers, one after the other, in torch.

    Also return the largest sum of the absolute terms of an output, for each row.
    """
    last: Any
    *modules, last = [module for _, module in layers]
    with torch.inference_mode():
        inputs = torch.from_numpy(rows).to(last.weight)
        inputs = inputs if front is None else front(inputs)
        for module in modules:
            inputs = module(inputs)
        terms = inputs.abs() @ last.weight.abs().T
        if last.bias is not None:
            terms += last.bias.abs()
        outputs, sizes = last(inputs), terms.amax(dim=1)
    return outputs.double().cpu().numpy(), sizes.double().cpu().numpy()
