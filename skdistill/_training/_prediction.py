"""What a trained net predicts, and what is left of it when it only predicts."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from skorch import NeuralNet, NeuralNetClassifier
from skorch.dataset import Dataset
from skorch.history import History
from torch import Tensor
from torch.utils.data import DataLoader

from skdistill._training._threads import one_thread_if_small
from skdistill.utils._layers import as_weights
from skdistill.utils._probabilities import (
    first,
    nonlinearity_of,
    sigmoid,
    softmax,
    to_proba,
)
from skdistill.utils._several import each, is_several, n_values

# How many input values one forward pass takes at prediction, 4 MiB of float32.
_FORWARD_SIZE = 2**20

# What a dataset of the person's own gets for these; in all other cases float32.
_OF_DATASETS = {torch.float64: np.float64, torch.int64: np.int64}


def proba(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the probabilities of ``X`` by a fitted net, float64, on the CPU."""
    return to_proba(outputs_of(net, X), nonlinearity_of(net))


def log_proba(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the log-probabilities of ``X`` by a fitted net, float64, on the CPU."""
    nonlinearity = nonlinearity_of(net)
    if nonlinearity is softmax:
        return torch.log_softmax(outputs_of(net, X), dim=1)
    if nonlinearity is sigmoid:
        return torch.nn.functional.logsigmoid(outputs_of(net, X))
    return torch.log(proba(net, X))


def outputs_of(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the outputs of a net's module, float64, on the CPU."""
    is_stock = net.dataset is Dataset and net.iterator_valid is DataLoader
    if is_stock and X.shape[0] == 1:  # torch computes it with one thread anyhow
        return _evaluate(net, X).double()
    with one_thread_if_small(net.module_, X.shape[0]):
        if is_stock:
            return _by_parts(net, X)
        outputs = net.forward_iter(_of_dataset(net, X))
        return torch.cat([first(output).cpu() for output in outputs]).double()


def _by_parts(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the outputs for rows of which a pass takes some, float64, on the CPU."""
    n_rows = max(1, _FORWARD_SIZE * X.shape[0] // max(1, n_values(X)))
    outputs = _evaluate(net, X[:n_rows]).double()
    if n_rows >= X.shape[0]:
        return outputs
    # Into one tensor: many small ones would keep the allocator from using the memory
    # of the inputs between them again, hundreds of MiB of it.
    whole = outputs.new_empty((X.shape[0], *outputs.shape[1:]))
    whole[:n_rows] = outputs
    for start in range(n_rows, X.shape[0], n_rows):
        rows = slice(start, start + n_rows)
        whole[rows] = _evaluate(net, X[rows])
    return whole


def to_tensor(X: Any) -> Any:
    """Return rows as a tensor; those of several inputs as one for each."""
    if is_several(X):
        return each(to_tensor, X)
    # A copy: torch aligns it, and how a sum is rounded depends on the alignment.
    return torch.tensor(X.toarray() if issparse(X) else X)


def _of_dataset(net: NeuralNetClassifier, X: Any) -> Any:
    """Return rows in the dtype in which a dataset of the person's own gets them."""
    if is_several(X):
        return each(partial(_of_dataset, net), X)
    dtype = as_weights(net.module_, to_tensor(X[:1])).dtype
    return X.astype(_OF_DATASETS.get(dtype, np.float32), copy=False)


def trimmed(net: NeuralNetClassifier) -> NeuralNetClassifier:
    """Return a copy with what prediction needs; it shares the module with ``net``."""
    small = object.__new__(type(net))
    vars(small).update(vars(net))
    small.callbacks, small.callbacks_, small.history_ = None, [], History()
    if (nonlinearity := nonlinearity_of(net)) in (softmax, sigmoid):
        # Without its criterion the net could not tell that it is due.
        small.predict_nonlinearity = nonlinearity
    small.trim_for_prediction()
    small.virtual_params_ = {}  # they set an optimizer, which is gone
    if hasattr(small, "learned_losses_"):
        del small.learned_losses_
    small.history_ = History({**epoch, "batches": []} for epoch in net.history)
    return small


def is_trimmed(net: NeuralNetClassifier) -> bool:
    """Tell whether a net has come from a file, and can predict alone."""
    return getattr(net, "optimizer_", net) is None


def _evaluate(net: NeuralNetClassifier, X: Any) -> Tensor:
    """Return the outputs for rows that are one batch, on the CPU."""
    rows = as_weights(net.module_, to_tensor(X))
    if type(net).evaluation_step is not NeuralNet.evaluation_step:
        return first(net.evaluation_step((rows, None))).detach().cpu()
    # The same without its checks, which take longer than a small net for a row.
    if net.module_.training:
        net.module_.eval()
    with torch.no_grad():
        return first(net.infer(rows)).detach().cpu()
