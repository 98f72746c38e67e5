"""One net, or several nets of one shape, as the loop takes a step of them.

A step of a small net takes longer to be told to the machine than to be computed, so
that a step of several nets together takes little longer than a step of one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from skdistill._students._net import MLP, WarmupDecay
from skdistill._training._hooks import check_outputs
from skdistill.utils._probabilities import first

# Hooks of callbacks that set something before each step, and ignore the batch.
PACERS = {WarmupDecay.on_batch_begin}

# Layers that treat each number by itself.
_ELEMENTWISE = (nn.Identity, nn.ReLU, nn.Sigmoid, nn.Tanh)

Layers = list[tuple[str, nn.Module]]


def nets_of(nets: Sequence[Any]) -> OneNet:
    """Return initialized nets as the loop takes a step of them."""
    return OneNet(nets[0]) if len(nets) == 1 else StackedNets(nets)


def pacers_of(net: Any) -> list[Any]:
    """Return the callbacks of a net that set something before each step."""
    return [c for _, c in net.callbacks_ if type(c).on_batch_begin in PACERS]


class OneNet:
    """A net, its optimizer, and what sets the learning rate before a step."""

    def __init__(self, net: Any) -> None:
        self.net, self.module, self.optimizer = net, net.module_, net.optimizer_
        self.pacers, self.paced = pacers_of(net), net
        self._find_weights()

    def _find_weights(self) -> None:
        groups = self.optimizer.param_groups
        self.weights = [weight for group in groups for weight in group["params"]]

    def begin_pass(self, n_rows: int, training: bool) -> None:
        """Begin a pass over so many rows."""
        self.module.train(training)

    def outputs(self, X: Tensor) -> Tensor:
        """Return the outputs of all nets, of shape (n_nets * n_rows, n_outputs).

        ``X`` has the shape (n_nets, n_rows, ...).
        """
        outputs = first(self.module(X[0]))
        check_outputs(self.net, outputs)
        return outputs

    def step(self, X: Tensor, backward: Callable[[Tensor], None]) -> None:
        """Take a step of the optimizer."""
        for pacer in self.pacers:
            pacer.on_batch_begin(self.paced)
        for weight in self.weights:
            weight.grad = None
        backward(self.outputs(X))
        self.optimizer.step()

    def part_with(self, net: Any) -> None:
        """Let a net keep its weights as they are now, by itself."""


class StackedNets(OneNet):
    """Nets of one shape, whose weights are slices of the same arrays.

    Those whose optimizers have the same options are side by side.
    """

    def __init__(self, nets: Sequence[Any]) -> None:
        self.net, self.module = nets[0], nets[0].module_
        self.layers = plain_layers(self.module)
        self.leaves: list[dict[str, Tensor]] = []
        groups = []
        for _, like in groupby(nets, key=options_of):
            own = list(like)
            stacked, _ = stack_module_state([net.module_ for net in own])
            leaves = {k: w.detach().requires_grad_() for k, w in stacked.items()}
            for number, net in enumerate(own):
                for name, weight in net.module_.named_parameters():
                    weight.data = leaves[name].detach()[number]
            (group,) = own[0].optimizer_.param_groups
            groups.append({**group, "params": list(leaves.values())})
            self.leaves.append(leaves)
        self.optimizer = type(self.net.optimizer_)(groups)
        self.paced = SimpleNamespace(
            optimizer_=self.optimizer,
            callbacks_=self.net.callbacks_,
            batch_size=self.net.batch_size,
            max_epochs=self.net.max_epochs,
        )
        self.pacers = copy.deepcopy(pacers_of(self.net))
        for pacer in self.pacers:
            pacer.on_train_begin(self.paced)
        self._find_weights()

    def begin_pass(self, n_rows: int, training: bool) -> None:
        super().begin_pass(n_rows, training)
        if training:
            for pacer in self.pacers:
                pacer.on_epoch_begin(self.paced, dataset_train=range(n_rows))

    def outputs(self, X: Tensor) -> Tensor:
        weights = self._all_weights()
        return stacked_outputs(self.module, weights, X, self.layers).flatten(0, 1)

    def _all_weights(self) -> dict[str, Tensor]:
        """Return the weights of all nets, the first axis being that of the nets."""
        if len(self.leaves) == 1:
            return self.leaves[0]
        return {
            name: torch.cat([leaves[name] for leaves in self.leaves])
            for name in self.leaves[0]
        }

    def part_with(self, net: Any) -> None:
        for weight in net.module_.parameters():
            weight.data = weight.data.clone()


def options_of(net: Any) -> str:
    """Return what is the same for nets whose optimizers have the same options."""
    return repr(
        [
            {k: v for k, v in group.items() if k != "params"}
            for group in net.optimizer_.param_groups
        ]
    )


def stacked_outputs(
    module: nn.Module, weights: dict[str, Tensor], X: Tensor, layers: Layers | None
) -> Tensor:
    """Return the outputs of several nets, each for its own rows.

    ``module`` is one of them, or its like. Weights and inputs have a first axis of the
    nets. ``layers`` are what :func:`plain_layers` has found.
    """
    if layers is None or X.ndim != 3:
        return vmap(lambda w, x: first(functional_call(module, w, (x,))))(weights, X)
    # Several times as fast.
    for name, layer in layers:
        if isinstance(layer, nn.Linear):
            bias = weights[f"{name}.bias"].unsqueeze(1)
            X = torch.baddbmm(bias, X, weights[f"{name}.weight"].mT)
        else:
            X = layer(X)
    return X


def plain_layers(module: nn.Module) -> Layers | None:
    """Return the layers of a perceptron by name; None for other modules."""
    sequence: Any = module
    if isinstance(module, MLP) and module.embedding is None:
        sequence = module.layers
    if type(sequence).forward is not nn.Sequential.forward:
        return None
    names = {part: name for name, part in module.named_modules()}
    layers = [(names[layer], layer) for layer in sequence]
    linear = [name for name, layer in layers if type(layer) is nn.Linear]
    # A weight may be missing, or be that of two layers.
    weights = [f"{name}.{kind}" for name in linear for kind in ("weight", "bias")]
    is_plain = all(type(layer) in (nn.Linear, *_ELEMENTWISE) for _, layer in layers)
    has_all = weights == [name for name, _ in module.named_parameters()]
    return layers if is_plain and has_all else None
