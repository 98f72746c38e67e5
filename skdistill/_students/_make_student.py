"""The default student: column-aware preprocessing and a small net."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from skorch import NeuralNetClassifier
from torch import nn

from skdistill._students._net import MLP, LinearDecay
from skdistill._students._tabular import TabularPreprocessor
from skdistill.utils._activations import ACTIVATIONS


@validate_params(
    {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "numeric": [StrOptions({"standard", "piecewise", "periodic"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
        ],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device],
    },
    prefer_skip_nested_validation=True,
)
def make_student(
    hidden_layer_sizes: int | Sequence[int] = (64, 64),
    *,
    numeric: str = "standard",
    activation: str = "relu",
    dropout: float = 0.0,
    lr: float = 0.01,
    max_epochs: int | None = None,
    batch_size: int = 128,
    weight_decay: float = 0.03,
    device: str | torch.device = "cpu",
) -> Pipeline:
    """Make the default student: preprocessing of tables, and a small net.

    Each argument is the initial value of a parameter of the net. Set it later, or
    search over it, by the name in parentheses.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 64)
        The number of units in each hidden layer; an empty sequence makes a linear
        model (``net__module__hidden_layer_sizes``).
    numeric : {"standard", "piecewise", "periodic"}, default="standard"
        How numeric columns are encoded. With "standard", the first layer gets their
        standardized values. "piecewise" and "periodic" add further inputs to these
        [1]_, from which a small net learns steps and bends more easily, and which make
        the student larger. "piecewise" is a piecewise-linear encoding over bins, up to
        16 inputs for each column, as described in :class:`TabularPreprocessor`
        (``preprocess__numeric``, and ``preprocess__n_bins`` for the number of bins).
        "periodic" is a small layer of sines and cosines, 3 inputs for each column,
        whose frequencies are trained with the net (``net__module__periodic``, and
        ``net__module__sigma`` for the standard deviation of the initial frequencies).
        Both add at most 256 inputs in all: the columns of a wide table have fewer
        bins, and only their standardized values if that would be fewer than 3 inputs
        for each.
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        The function after each hidden layer (``net__module__activation``).
    dropout : float, default=0.0
        The share of hidden units dropped at random in training, in [0, 1)
        (``net__module__dropout``).
    lr : float, default=0.01
        The learning rate of AdamW in the first epoch (``net__lr``). It falls by equal
        steps towards 0, so that the last steps of the training change little.
    max_epochs : int, default=None
        The number of passes over all rows in the training (``net__max_epochs``). None
        stands for 30 on the training rows alone. With rows beyond them, it stands for
        as many steps as 100 passes over the training rows take: a student that sees
        more rows can train for longer before it overfits.
    batch_size : int, default=128
        The number of rows in a training step; -1 for all rows (``net__batch_size``).
    weight_decay : float, default=0.03
        The weight decay of AdamW: each step shrinks the weights by
        ``lr * weight_decay`` (``net__optimizer__weight_decay``).
    device : str or torch.device, default="cpu"
        Where torch computes, such as "cuda" (``net__device``).

    Returns
    -------
    student : sklearn.pipeline.Pipeline
        An unfitted pipeline of two steps. "preprocess" is a
        :class:`TabularPreprocessor`, which makes standardized float32 columns of
        arrays and of data frames with strings and missing values. "net" is a
        :class:`skorch.NeuralNetClassifier` around a multilayer perceptron that returns
        logits. It trains on all rows and sets none aside for validation.

    Raises
    ------
    ValueError
        If an argument has the wrong type or is out of range.

    See Also
    --------
    DistilledClassifier : Trains the student to give a teacher's probabilities.
    TabularPreprocessor : The first step of the pipeline.
    skdistill.deploy.to_sklearn : Takes all of these students but "periodic" ones.
    skdistill.deploy.to_onnx : Takes all of them.

    Notes
    -----
    The widths of the net's input and output are not set. ``DistilledClassifier`` sets
    ``net__module__n_features``, ``net__module__n_classes`` and
    ``net__module__n_numeric`` in ``fit``.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko. On embeddings for numerical features
       in tabular deep learning. NeurIPS 2022.
       `arXiv:2203.05556 <https://arxiv.org/abs/2203.05556>`__

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skdistill import DistilledClassifier, make_student
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(random_state=0).fit(X, y)
    >>> student = make_student(hidden_layer_sizes=(16,), batch_size=32)
    >>> list(student.named_steps)
    ['preprocess', 'net']
    >>> clf = DistilledClassifier(forest, student, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """
    net = NeuralNetClassifier(
        MLP,
        module__hidden_layer_sizes=hidden_layer_sizes,
        module__activation=activation,
        module__dropout=dropout,
        module__periodic=numeric == "periodic",
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=weight_decay,
        lr=lr,
        max_epochs=max_epochs,
        batch_size=batch_size,
        callbacks=[("decay", LinearDecay())],
        iterator_train__shuffle=True,
        train_split=None,
        device=device,
        verbose=0,
    )
    preprocess = TabularPreprocessor(
        numeric="piecewise" if numeric == "piecewise" else "standard"
    )
    return Pipeline([("preprocess", preprocess), ("net", net)])
