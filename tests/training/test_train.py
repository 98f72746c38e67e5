"""Training on a transfer set: what is trained, by which seed, and what may fail."""

import os
import pickle
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from skdistill._students._student import net_of
from skdistill._training._train import EpochBar
from skdistill._transfer._transfer_set import TransferSet
from skdistill.utils._bars import progress_bar
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import (
    Listens,
    assert_same_weights,
    differ,
    train,
    weights_of,
)

BOTH = pytest.mark.parametrize("epochs", [None, 2], ids=["fit", "partial_fit"])


# Alpha 0 is the net by itself


class Dropping(TinyModule):
    """Draws random numbers in training."""

    def forward(self, X):
        return nn.functional.dropout(super().forward(X), 0.3, self.training)


class Proba(Dropping):
    """Returns probabilities."""

    def forward(self, X):
        return super().forward(X).softmax(dim=1)


NETS = {
    "plain": {},
    "probabilities": {"module": Proba, "criterion": nn.NLLLoss},
    "class weights": {"criterion__weight": torch.tensor([1.0, 5.0, 0.5])},
    "lbfgs": {"module": TinyModule, "optimizer": torch.optim.LBFGS, "batch_size": -1},
    "train_split": {"train_split": ValidSplit(4, stratified=True)},
    "workers": {"iterator_train__num_workers": 1},
}


@pytest.mark.parametrize("params", NETS.values(), ids=NETS)
@pytest.mark.parametrize("piped", [False, True], ids=["net", "pipeline"])
def test_alpha_0_is_bit_identical_to_the_net_by_itself(rows, piped, params):
    def student():
        net = tiny_net(
            **{"module": Dropping, "batch_size": 32, "max_epochs": 3}
            | {"callbacks": [Listens()]}  # skorch trains such a net
            | params
        )
        net.set_params(module__n_features=4, module__n_classes=3)
        return make_pipeline(StandardScaler(), net) if piped else net

    distilled = train(student(), rows, seed=7, alpha=0.0)
    alone = student()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        alone.fit(rows.X, rows.hard)
    one, other = net_of(distilled), net_of(alone)
    assert_same_weights(one, other)
    for name in ["train_loss"] + ["valid_loss"] * ("train_split" in params):
        assert one.history[:, name] == other.history[:, name]


class Double(Dropping):
    """Has weights in double precision."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        self.double()


def test_a_net_in_double_precision_is_bit_identical_too(rows):
    params = {"module__n_features": 4, "module__n_classes": 3, "callbacks": [Listens()]}
    one, alone = (tiny_net(module=Double, **params) for _ in range(2))
    train(one, rows, seed=7, alpha=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        alone.fit(rows.X.astype(np.float64), rows.hard)
    assert_same_weights(one, alone)
    assert weights_of(one)[0].dtype == np.float64


# Seeds


def dropping(**params):
    return tiny_net(**{"module": Dropping, "max_epochs": 3} | params)


def test_one_seed_gives_identical_bits_also_on_two_threads(rows):
    reference = train(dropping(), rows, seed=5)
    nets = [dropping() for _ in range(4)]
    threads = [
        threading.Thread(target=train, args=(net, rows), kwargs={"seed": 5})
        for net in nets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net in nets:
        assert_same_weights(net, reference)


def test_another_seed_gives_another_student(rows):
    assert differ(*(train(dropping(), rows, seed=seed) for seed in (0, 1)))


def test_splits_that_draw_from_numpys_generator_are_seeded(rows):
    split = ValidSplit(0.2, stratified=True)
    one, other = (train(dropping(train_split=split), rows) for _ in range(2))
    assert one.history[:, "valid_loss"] == other.history[:, "valid_loss"]


@pytest.mark.parametrize("callbacks", [None, [Listens()]], ids=["loop", "skorch"])
def test_rows_without_weight_alone_cannot_be_held_out(rows, callbacks):
    weight = np.r_[np.zeros(30), np.ones(60)].astype(np.float32)
    weighted = replace(rows, soft_weight=weight, hard_weight=weight)
    parts = np.arange(30, 90), np.arange(30)

    def net(*split):
        return tiny_net(train_split=ValidSplit([split]), callbacks=callbacks)

    with pytest.raises(ValueError, match="rows whose sample_weight is 0 alone"):
        train(net(*parts), weighted)
    train(net(*parts), replace(weighted, hard_weight=1.0))


def test_the_global_generators_stay_as_they_were(rows):
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    train(dropping(train_split=ValidSplit(0.2, stratified=True)), rows)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


# How far it is trained


def test_epochs_train_on_from_where_the_net_is(rows):
    net = train(dropping(max_epochs=3), rows)
    before = net.history[:, "train_loss"]
    train(net, rows, epochs=2)
    assert net.history[:, "train_loss"][:3] == before
    assert len(net.history) == 5
    train(net, rows)
    assert len(net.history) == 3


def test_a_student_that_can_fit_reproduces_its_teacher():
    X = np.eye(5, dtype=np.float32)
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], size=5)
    net = tiny_net(
        module=nn.Linear(5, 3), optimizer=torch.optim.LBFGS, lr=1.0, max_epochs=20
    )
    soft = TransferSet(X, np.log(proba).astype(np.float32), np.zeros(5, int))
    train(net, soft, alpha=1.0, temperature=4.0)
    assert_allclose(net.predict_proba(X), proba, atol=1e-4)


# What the net is told and given


class Net(nn.Module):
    """Is told its widths, if it asks."""

    def __init__(self, n_features=4, n_classes=2, n_hidden=8):
        super().__init__()
        self.hidden = nn.Linear(n_features, n_hidden)
        self.out = nn.Linear(n_hidden, n_classes)

    def forward(self, X):
        return self.out(torch.relu(self.hidden(X)))


def test_the_module_is_told_the_widths_it_asks_for(rows):
    narrow = replace(rows, X=rows.X[:, :2])
    student = train(make_pipeline(StandardScaler(), tiny_net(module=Net)), narrow)
    assert student[-1].module_.hidden.in_features == 2
    assert student[-1].module_.out.out_features == 3


def test_widths_that_the_person_set_stay(rows):
    net = tiny_net(module=Net, module__n_classes=5)
    with pytest.raises(ValueError, match=r"shape \(90, 5\), expected \(n_samples, 3\)"):
        train(net, rows)


def test_images_reach_a_module_in_their_shape(rows):
    class Conv(nn.Sequential):
        def __init__(self, n_classes=2):
            super().__init__(
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, n_classes)
            )

    images = np.random.default_rng(0).normal(size=(90, 1, 6, 6))
    net = train(tiny_net(module=Conv), replace(rows, X=images))
    assert net.module_[-1].out_features == 3


def test_preprocessing_is_fitted_at_first_alone(rows):
    student = make_pipeline(MinMaxScaler(), StandardScaler(), tiny_net())
    train(student, rows)
    mean = student[1].mean_.copy()
    assert_allclose(mean, MinMaxScaler().fit_transform(rows.X).mean(axis=0), rtol=1e-5)
    train(student, replace(rows, X=rows.X + 1), epochs=1)
    assert_array_equal(student[1].mean_, mean)


def test_sparse_rows_train_as_dense_ones_do(rows):
    dense, thin = (
        train(tiny_net(), replace(rows, X=X)) for X in (rows.X, csr_matrix(rows.X))
    )
    assert_same_weights(dense, thin)


# What fails


def test_an_error_of_the_preprocessing_says_whose_it_is(rows):
    words = replace(rows, X=np.full((90, 1), "word", dtype=object))
    with pytest.raises(ValueError, match="could not convert string") as error:
        train(make_pipeline(StandardScaler(), tiny_net()), words)
    assert "Raised by the student" in error.value.__notes__[0]
    assert "make_student()" in error.value.__notes__[0]


def test_an_error_of_the_net_says_what_it_was_given(rows):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as error:
        train(tiny_net(module__n_features=7), rows)
    assert "of the student on X of shape (90, 4)" in error.value.__notes__[0]


@BOTH
def test_a_last_step_that_breaks_the_student_is_an_error(rows, epochs):
    # The loss of the only batch is finite; after it the weights are about 1e29.
    net = tiny_net(optimizer=torch.optim.SGD, lr=1e30, max_epochs=1)
    with pytest.raises(
        ValueError, match=r"after 1 epochs, at temperature 3 and learning rate 1e\+30\."
    ):
        train(net, rows, epochs=epochs and 1, temperature=3.0)


# Interruption


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


class Interrupted(TinyModule):
    """Is interrupted by the person in its third step."""

    steps = 0

    def forward(self, X):
        self.steps += 1
        if self.steps == 3:
            interrupt()
        return super().forward(X)


@BOTH
def test_ctrl_c_in_a_step_ends_the_fit(rows, begun, epochs):
    net = tiny_net(module=Interrupted, callbacks=[begun], batch_size=45)
    with pytest.raises(KeyboardInterrupt):
        train(net, rows, epochs=epochs)
    assert begun.epochs == [1, 2]


@pytest.mark.parametrize("event", ["on_train_begin", "on_batch_end", "on_epoch_end"])
def test_ctrl_c_in_a_callback_ends_the_fit(rows, event):
    def interrupted(self, net, *args, **kwargs):
        interrupt()

    net = tiny_net(callbacks=[type("Busy", (Callback,), {event: interrupted})])
    with pytest.raises(KeyboardInterrupt):
        train(net, rows)
    assert type(net) is type(tiny_net())


class Stops(Callback):
    """Ends the training as skorch has it."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("callback", "params", "n_epochs"),
    [
        (Stops(), {}, 2),
        (EarlyStopping("train_loss", patience=3), {"lr": 0.0}, 4),
    ],
    ids=["own", "EarlyStopping"],
)
def test_a_callback_may_end_the_training(rows, callback, params, n_epochs):
    ended = []

    class Ends(Callback):
        def on_train_end(self, net, **kwargs):
            ended.append(len(net.history))

    net = tiny_net(callbacks=[callback], optimizer=torch.optim.SGD, **params)
    train(net, rows, callbacks=[Ends()])
    assert len(net.history) == n_epochs
    assert ended == [n_epochs]
    assert all(np.isfinite(weights).all() for weights in weights_of(net))


def test_bar_of_epochs_stays_in_its_process():
    with progress_bar("training", 1) as bar:
        sent = pickle.loads(pickle.dumps(EpochBar(bar, 2, ())))
    assert type(sent) is Callback
