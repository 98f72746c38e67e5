"""The default student: column-aware preprocessing and a small net."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Literal, get_args

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from skorch.utils import noop

from skdistill._students._budget import most_inputs
from skdistill._students._student_net import (
    EarlyStopping,
    LabelsNet,
    RegressionNet,
    StudentNet,
    ValidSplit,
)
from skdistill._students._tabular import TabularPreprocessor
from skdistill.utils._activations import ACTIVATIONS, Activation

Task = Literal["classification", "multilabel", "regression"]
Numeric = Literal["auto", "standard", "piecewise", "periodic"]

_NETS = {
    "classification": StudentNet,
    "multilabel": LabelsNet,
    "regression": RegressionNet,
}


@validate_params(
    {
        "task": [StrOptions(set(get_args(Task)))],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "max_bytes": [Interval(Integral, 1, None, closed="left"), None],
        "numeric": [StrOptions(set(get_args(Numeric)))],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
        ],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "device": [str, torch.device],
    },
    prefer_skip_nested_validation=True,
)
def make_student(
    hidden_layer_sizes: int | Sequence[int] | None = None,
    *,
    max_bytes: int | None = None,
    task: Task = "classification",
    numeric: Numeric = "auto",
    activation: Activation = "relu",
    dropout: float = 0.0,
    lr: float = 0.015,
    max_epochs: int | None = None,
    batch_size: int = 256,
    weight_decay: float | None = None,
    early_stopping: bool = False,
    validation_fraction: float = 0.1,
    device: str | torch.device = "cpu",
) -> Pipeline:
    """Make the default student: preprocessing of tables, and a small net.

    Each argument is the initial value of a parameter of the net. Set it later, or
    search over it, by the name in parentheses.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=None
        The number of units in each hidden layer; an empty sequence makes a linear
        model (``net__module__hidden_layer_sizes``). None stands for (64, 64), unless
        there is ``max_bytes``.
    max_bytes : int, default=None
        The largest number of bytes of the student, for a small device: of its weights
        in float32 and of the tables of its preprocessing, without the names of classes
        and levels. :func:`skdistill.deploy.to_c` and ``footprint`` count the same
        bytes; an export with ``quantize="int8"`` takes about a quarter of them.
        The number of bins, levels and numeric columns (``preprocess__max_outputs``)
        follows from it, and in ``fit`` two hidden layers of equal width take what is
        left (``net__max_bytes``). See :ref:`budget`.
    task : {"classification", "multilabel", "regression"}, default="classification"
        Whether the student is one for :class:`DistilledClassifier`, with a class or
        with several labels for each row, or for :class:`DistilledRegressor`.
    numeric : {"auto", "standard", "piecewise", "periodic"}, default="auto"
        How numeric columns are encoded. With "standard", the first layer gets their
        standardized values. "piecewise" and "periodic" add further inputs to these
        [1]_, from which a small net learns steps and bends more easily, and which make
        the student larger. "piecewise" is a piecewise-linear encoding over bins, which
        are narrow where the teacher's probabilities change, as described in
        :class:`TabularPreprocessor` (``preprocess__numeric``, and
        ``preprocess__n_bins`` for the number of bins).
        "periodic" is a small layer of sines and cosines, 3 inputs for each column,
        whose frequencies are trained with the net (``net__module__periodic``, and
        ``net__module__sigma`` for the standard deviation of the initial frequencies).
        Both add at most 256 inputs in all. "auto" stands for "piecewise". But if
        ``fit`` trains nets on the labels for pseudo-labels, half of these get
        standardized values alone; where their loss of rows held out is less than 0.6
        times that of the others, or less than that at all and the teacher's share
        ``alpha`` is below 0.1, it stands for "standard".
    activation : {"identity", "logistic", "relu", "tanh"}, default="relu"
        The function after each hidden layer (``net__module__activation``).
    dropout : float, default=0.0
        The share of hidden units dropped at random in training, in [0, 1)
        (``net__module__dropout``).
    lr : float, default=0.015
        The largest learning rate of AdamW (``net__lr``). The rate rises over the first
        tenth of the steps, and falls to 0 over the others, so that the last steps of
        the training change little. After a ``fit``, ``partial_fit`` and a warm start
        train at a tenth of it. A callback of your own that sets the rate, such as
        :class:`skorch.callbacks.LRScheduler`, takes the place of this schedule.
    max_epochs : int, default=None
        The number of passes over all rows in the training (``net__max_epochs``). None
        stands for 60 on the training rows alone. With rows beyond them, it stands for
        as many steps as 200 passes over the training rows take: a student that sees
        more rows can train for longer before it overfits. With few rows, there are at
        least 300 steps. With many, the passes together go over 5,120,000 rows, 20,000
        steps of the default batch size, but over each row at least once. There are as
        many from 25,600 training rows on, or from 85,000 without made rows.
    batch_size : int, default=256
        The number of rows in a training step; -1 for all rows (``net__batch_size``).
    weight_decay : float, default=None
        The weight decay of AdamW: each step shrinks the weights by
        ``lr * weight_decay`` (``net__optimizer__weight_decay``). Noisy labels need
        more. If ``fit`` trains nets on the labels for pseudo-labels, None stands for
        3 divided by the mean epoch after which these overfit, but for 0.05 at least
        and 1 at most. Otherwise it stands for 0.1. With another ``net__optimizer``, it
        stands for the default of that.
    early_stopping : bool, default=False
        Whether to set rows aside, to keep the weights of the epoch with the smallest
        loss on them, and to stop if the loss has not become smaller for 10 epochs. The
        default of :class:`DistilledClassifier`, ``augmenter="auto"``, makes no rows for
        such a student (``net__train_split``, and
        ``net__callbacks__early_stopping__patience`` for the number of epochs).
    validation_fraction : float, default=0.1
        The share of the rows that ``early_stopping`` sets aside, in (0, 1).
    device : str or torch.device, default="cpu"
        Where torch computes, such as "cuda" (``net__device``).

    Returns
    -------
    student : sklearn.pipeline.Pipeline
        An unfitted pipeline of two steps. "preprocess" is a
        :class:`TabularPreprocessor`, which makes standardized float32 columns of
        arrays and of data frames with strings, dates and missing values. "net" is a
        :class:`skorch.NeuralNetClassifier` around a multilayer perceptron that returns
        logits, or a :class:`skorch.NeuralNetRegressor`. Of several labels, its
        criterion is :class:`torch.nn.BCEWithLogitsLoss`. It trains on all rows, unless
        ``early_stopping`` is True.

    Raises
    ------
    ValueError
        If an argument has the wrong type or is out of range, or ``max_bytes`` comes
        with ``hidden_layer_sizes`` or with "periodic" numbers, which it chooses. In
        ``fit``, if ``max_bytes`` are too few: the error says how many are enough.

    See Also
    --------
    DistilledClassifier : Trains the student to give a teacher's probabilities.
    TabularPreprocessor : The first step of the pipeline.
    skdistill.deploy.to_sklearn : Takes all of these students but "periodic" ones, and
        those that read dates.
    skdistill.deploy.to_onnx : Takes all of these students.

    Notes
    -----
    The student can be fitted by itself, on labels of any kind: ``fit(X, y)``. With
    ``task="regression"``, it scales the targets. Torch's global generator seeds it.

    ``fit`` sets ``net__max_epochs`` and ``net__optimizer__weight_decay`` if they are
    None, ``net__module__n_features`` and ``net__module__n_outputs``. By
    ``DistilledClassifier`` or ``DistilledRegressor``, it also sets
    ``net__module__n_numeric``, and ``preprocess__numeric`` if it is "auto". By itself,
    a "periodic" student embeds all inputs of the net, those of levels too.

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
    is_periodic = numeric == "periodic"
    if max_bytes is not None and (hidden_layer_sizes is not None or is_periodic):
        raise ValueError(
            "max_bytes chooses the hidden layers and the bins: leave "
            "hidden_layer_sizes=None, and numeric 'auto', 'standard' or 'piecewise'"
        )
    if max_bytes is None and hidden_layer_sizes is None:
        hidden_layer_sizes = (64, 64)
    net = _NETS[task](
        max_bytes=max_bytes,
        module__hidden_layer_sizes=hidden_layer_sizes,
        module__activation=activation,
        module__dropout=dropout,
        module__periodic=is_periodic,
        # In older versions of torch, not on every device.
        optimizer__fused=torch.device(device).type in ("cpu", "cuda") or None,
        optimizer__weight_decay=weight_decay,
        lr=lr,
        max_epochs=max_epochs,
        batch_size=batch_size,
        device=device,
    )
    if early_stopping:
        stop = EarlyStopping(patience=10, load_best=True, sink=noop)
        net.callbacks.append(("early_stopping", stop))
        net.train_split = ValidSplit(
            validation_fraction, stratified=task == "classification", random_state=0
        )
    preprocess = TabularPreprocessor(
        numeric="standard" if numeric == "periodic" else numeric,
        max_outputs=None if max_bytes is None else most_inputs(max_bytes),
    )
    return Pipeline([("preprocess", preprocess), ("net", net)])
