"""The input of a torch module, and the features that one of its layers returns."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skdistill.utils._several import each, is_several


class NoFeaturesError(ValueError):
    """No layer was named, and there are no features of a last linear layer."""


def dtype_of(module: nn.Module) -> torch.dtype | None:
    """Return the precision of a module's weights, or None if it has none."""
    for weight in module.parameters():
        if weight.is_floating_point():
            return weight.dtype
    return None


def as_weights(module: nn.Module, X: Any) -> Any:
    """Return the input of a module in the precision of its weights.

    Integers stay integers for a module with an embedding, which looks them up.
    """
    if is_several(X):
        return each(partial(as_weights, module), X)
    if not isinstance(X, Tensor):
        return X
    dtype = dtype_of(module)
    if X.is_floating_point():
        return X if dtype is None else X.to(dtype)
    lookups = (nn.Embedding, nn.EmbeddingBag)
    if any(isinstance(part, lookups) for part in module.modules()):
        return X.long()
    return X.to(dtype or torch.float32)


class Watch:
    """Keeps the features that a layer of a module returns while the context lasts.

    The module has hooks meanwhile, and none afterwards. Other threads may run it: the
    features of their rows are not kept.

    Parameters
    ----------
    layer : str or None
        The name of a submodule, whose output counts; None is the input of the last
        :class:`torch.nn.Linear` that is called.
    owner, parameter : str
        The owner of the module, and the parameter that names the layer, for errors.
    """

    def __init__(
        self, module: nn.Module, layer: str | None, owner: str, parameter: str
    ) -> None:
        self.what = f"{owner}'s layer {layer!r}"
        if layer is None:
            self.what = f"the input of {owner}'s last linear layer"
        self.parameter = parameter
        module = getattr(module, "_orig_mod", module)  # what torch.compile was given
        names = {name: part for name, part in module.named_modules() if name}
        # The linear layer that is called last counts, wherever it is defined.
        linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
        self.linear = linear if layer is None else []
        self.layer = None if layer is None else names.get(layer)
        self._error = NoFeaturesError if layer is None else ValueError
        if self.layer is None and not self.linear:
            missing = "torch.nn.Linear" if layer is None else f"layer {layer!r}"
            way_out = f"name a layer with {parameter}=, one of {list(names)}"
            raise self._error(f"{owner} has no {missing}; {way_out}")
        self._features: Any = None
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        self._features, self._thread = None, threading.get_ident()
        self._hooks = [
            part.register_forward_pre_hook(self._keep_input, with_kwargs=True)
            for part in self.linear
        ]
        if self.layer is not None:
            self._hooks.append(self.layer.register_forward_hook(self._keep_output))
        return self

    def __exit__(self, *error: Any) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def take(self, n_rows: int) -> Tensor:
        """Return the features of the last pass, (n_rows, n_features); forget them."""
        features, self._features = self._features, None
        kind: type[Exception] = self._error
        if features is None:
            problem = "is not called in a forward pass"
        elif not isinstance(features, Tensor):
            kind, problem = TypeError, f"is a {type(features).__name__}, not a tensor"
        elif features.ndim < 2 or len(features) != n_rows:
            problem = (
                f"has shape {tuple(features.shape)} for {n_rows} rows, not a row each"
            )
        else:
            return features.flatten(1)
        raise kind(f"{self.what} {problem}; name another with {self.parameter}=")

    def _keep_input(
        self, layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        if threading.get_ident() == self._thread:
            self._features = inputs[0] if inputs else named["input"]

    def _keep_output(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        if threading.get_ident() == self._thread:
            # A copy: what follows may work in place.
            self._features = output.clone() if isinstance(output, Tensor) else output
