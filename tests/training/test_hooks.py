"""What a skorch net keeps, and what it gains, while it is trained as a student."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, default_collate

from skdistill.losses import HintLoss
from skdistill.schedules import CosineSchedule, LinearSchedule
from tests.conftest import TinyModule, hooks, tiny_net
from tests.training.conftest import (
    Listens,
    assert_same_weights,
    sgd_net,
    train,
    weights_of,
)

SPLIT = ValidSplit(3, stratified=True)
HIDDEN = {"feature_loss": "hint", "relation_loss": "rkd"}


def derived(cls, **params):
    """Return a net of a class of the person's own."""
    return cls(**tiny_net(**params).get_params(deep=False))


# Rows and their soft labels


class Echo(nn.Module):
    """Says three of the features of a row, as they are."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.hidden = nn.Identity()

    def forward(self, X):
        return self.hidden(X * self.scale)[:, :3]


class RowByRow(Dataset):
    """A dataset of the person's own."""


def own_collate(items):
    return default_collate(items)


class Pairs(DataLoader):
    """Batches by a sampler of the person's own, of two rows each."""

    def __init__(self, dataset, **kwargs):
        sampler = [[i + 1, i] for i in range(0, len(dataset) - 1, 2)]
        super().__init__(dataset, batch_sampler=sampler)


WAYS_TO_THE_NET = {
    "plain": {},
    "split": {"train_split": ValidSplit(3)},
    "own dataset": {"train_split": SPLIT, "dataset": RowByRow},
    "workers": {"iterator_train__num_workers": 1},
    "drop_last": {"iterator_train__drop_last": True},
    "own collate_fn": {"iterator_train__collate_fn": own_collate},
    "own batch_size": {"iterator_train__batch_size": 7},
    "own sampler": {"iterator_train": Pairs},
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("way", WAYS_TO_THE_NET)
def test_every_row_meets_its_own_soft_label_label_and_features(rows, way, shuffle):
    seen, params = [], WAYS_TO_THE_NET[way]

    def same(student, teacher, y):
        assert torch.equal(student, teacher)
        assert torch.equal(y, teacher.argmax(dim=1))
        seen.append(len(student))
        return student.sum()

    def same_features(student, teacher):
        assert torch.equal(student, teacher)
        return student.sum()

    soft = rows.X[:, :3]
    rows = replace(rows, soft=soft, hard=soft.argmax(axis=1), features=rows.X)
    defaults = {"batch_size": 20, "lr": 0.0, "max_epochs": 1}
    net = sgd_net(module=Echo, iterator_train__shuffle=shuffle, **defaults | params)
    net = train(
        net, rows, loss=same, relation_loss=same_features, student_layer="hidden"
    )
    assert sum(seen) == (80 if way == "drop_last" else 90)
    assert net.history[0]["train_agreement"] == 1


def test_a_dataset_with_other_items_than_rows_is_refused(rows):
    class Half(Dataset):
        def __len__(self):
            return super().__len__() // 2

    with pytest.raises(ValueError, match="45 items for 90 samples"):
        train(tiny_net(dataset=Half), rows)


def test_a_loader_that_makes_no_batches_of_rows_is_refused(rows):
    class Loader:
        def __init__(self, dataset, batch_size, shuffle):
            pass

    with pytest.raises(TypeError, match=r"torch\.utils\.data\.DataLoader"):
        train(tiny_net(iterator_train=Loader), rows)


@pytest.mark.parametrize("callbacks", [[], [Listens()]], ids=["loop", "skorch"])
@pytest.mark.parametrize(
    "size", [{"batch_size": 91}, {"train_split": SPLIT}], ids=["all", "split"]
)
def test_fewer_rows_than_a_batch_are_refused_where_the_last_one_is_dropped(
    rows, size, callbacks
):
    params = {"batch_size": 61} | size | {"iterator_train__drop_last": True}
    net = tiny_net(callbacks=callbacks, **params)
    for epochs in (None, 1):  # fit and partial_fit
        with pytest.raises(ValueError, match=r"no batch of \d+ rows.*lower batch_s"):
            train(net, rows, epochs=epochs)
    train(net.set_params(batch_size=60), rows)


def test_a_split_that_makes_up_its_training_set_is_refused(rows):
    def split(dataset, y):
        return Dataset(rows.X, rows.hard), None

    with pytest.raises(TypeError, match="must return subsets"):
        train(tiny_net(train_split=split), rows)


# The loss and its parts


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("train_split", [None, SPLIT], ids=["all", "split"])
def test_parts_of_the_loss_are_in_the_history_and_add_up(rows, train_split, alpha):
    net = tiny_net(max_epochs=2, batch_size=20, train_split=train_split)
    parts = {"feature_weight": 0.2, "relation_weight": 3.0}
    net = train(net, rows, alpha=alpha, **HIDDEN, **parts)
    weights = {"soft": alpha, "hard": 1 - alpha, "feature": 0.2, "relation": 3.0}
    for epoch in net.history:
        for phase in ("train", "valid") if train_split else ("train",):
            found = {n: epoch[f"{phase}_loss_{n}"] for n in weights if weights[n]}
            total = sum(weights[name] * value for name, value in found.items())
            assert epoch[f"{phase}_loss"] == pytest.approx(total, rel=1e-5)
            assert 0 <= epoch[f"{phase}_agreement"] <= 1
        for name, weight in weights.items():
            assert (f"train_loss_{name}" in epoch) == (weight > 0)


def test_one_step_is_that_of_a_hand_written_loop(rows):
    loss, T, alpha = HintLoss(), 3.0, 0.3
    start = {}

    class Starts(Callback):
        def on_train_begin(self, net, **kwargs):
            start["module"] = pickle.loads(pickle.dumps(net.module_))
            start["hint"] = pickle.loads(pickle.dumps(net.learned_losses_.losses))

    params = {"feature_loss": loss, "feature_weight": 0.7}
    net = sgd_net(lr=0.2, callbacks=[Starts()])
    net = train(net, rows, alpha=alpha, temperature=T, **params)

    module, hint = start["module"], start["hint"]["feature_loss_0"]
    hidden = module[1](module[0](torch.tensor(rows.X)))
    logits, teacher = module[2](hidden), torch.tensor(rows.soft)
    s, t = (F.log_softmax(z / T, dim=1) for z in (logits, teacher))
    soft = T**2 * F.kl_div(s, t, log_target=True, reduction="batchmean")
    hard = F.cross_entropy(logits, torch.tensor(rows.hard))
    feature = (hint.student(hidden) - torch.tensor(rows.features)).square().mean()
    total = alpha * soft + (1 - alpha) * hard + 0.7 * feature
    optimizer = torch.optim.SGD([*module.parameters(), *hint.parameters()], lr=0.2)
    total.backward()
    optimizer.step()

    assert net.history[0]["train_loss"] == pytest.approx(total.item(), rel=1e-5)
    for own, by_hand in (net.module_, module), (net.learned_losses_.losses, hint):
        for a, b in zip(weights_of(own), weights_of(by_hand), strict=True):
            assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"feature_loss": "hint", "feature_weight": 0},
        {"feature_loss": [("hint", 0), ("cka", 0)]},
        {"relation_loss": "contrastive", "relation_weight": 0},
        {"loss": [("kl", 1), ("dist", 0)]},
    ],
    ids=str,
)
def test_a_weight_of_0_is_bit_identical_to_leaving_the_loss_out(rows, params):
    net, plain = (
        train(tiny_net(max_epochs=3, batch_size=32), rows, **p) for p in (params, {})
    )
    assert_same_weights(net, plain)
    assert set(net.history[0]) == set(plain.history[0])


class Proba(TinyModule):
    def forward(self, X):
        return super().forward(X).softmax(dim=1)


def test_logits_and_probabilities_as_module_output_train_alike(rows):
    logits = train(tiny_net(max_epochs=3), rows)
    proba = train(tiny_net(max_epochs=3, module=Proba, criterion=nn.NLLLoss), rows)
    found, expected = (net.history[:, "train_loss"] for net in (proba, logits))
    assert_allclose(found, expected, rtol=1e-3)


def test_a_nonlinearity_of_the_persons_own_makes_the_probabilities(rows):
    class Focal(nn.Module):
        def forward(self, logits, y):
            return F.cross_entropy(logits, y)

    softmax = nn.Softmax(dim=1)
    own = train(
        tiny_net(max_epochs=3, criterion=Focal, predict_nonlinearity=softmax), rows
    )
    stock = train(tiny_net(max_epochs=3), rows)
    found, expected = (net.history[:, "train_loss"] for net in (own, stock))
    assert_allclose(found, expected, rtol=1e-3)


def test_logits_under_a_criterion_of_probabilities_are_refused(rows):
    with pytest.raises(ValueError, match=r"criterion=torch\.nn\.CrossEntropyLoss"):
        train(tiny_net(criterion=nn.NLLLoss), rows)


@pytest.mark.parametrize("callbacks", [[], [Listens()]], ids=["loop", "skorch"])
def test_probabilities_under_a_criterion_of_logits_are_reported(rows, callbacks):
    net = tiny_net(module=Proba, max_epochs=1, callbacks=callbacks)
    with pytest.warns(UserWarning, match="softmax at its end out, or use criterion="):
        train(net, rows)


@pytest.mark.parametrize(
    "Wide", [nn.Flatten, lambda: nn.Unflatten(1, (2, 2))], ids=["width", "shape"]
)
def test_an_output_that_is_no_column_for_each_class_is_refused(rows, Wide):
    class Module(TinyModule):
        def __init__(self, n_features=4):
            super().__init__(n_features, 4)
            self.append(Wide())

    with pytest.raises(ValueError, match=r"expected \(n_samples, 3\), a column for ea"):
        train(tiny_net(module=Module), rows)


def test_an_own_get_loss_is_the_hard_term(rows):
    class Penalized(NeuralNetClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return super().get_loss(y_pred, y_true, *args, **kwargs) + 10

    own = train(derived(Penalized, max_epochs=1), rows, alpha=0.3)
    stock = train(tiny_net(max_epochs=1), rows, alpha=0.3)
    more = own.history[0]["train_loss"] - stock.history[0]["train_loss"]
    assert more == pytest.approx(7, rel=1e-4)


def test_own_train_steps_and_inference_are_used(rows):
    class Own(NeuralNetClassifier):
        steps = 0

        def train_step_single(self, batch, **fit_params):
            X, y = batch
            assert len(X) == len(y)
            self.steps += 1
            return super().train_step_single(batch, **fit_params)

        def infer(self, x, **fit_params):
            return super().infer(x, **fit_params) + 1

    own = train(derived(Own, max_epochs=2, batch_size=30), rows, **HIDDEN)
    assert own.steps == 6


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_class_weights_act_with_and_without_sample_weights(rows, weight):
    net = tiny_net(criterion__weight=torch.tensor([1.0, 5.0, 1.0]), max_epochs=1)
    many = np.full(90, weight, dtype=np.float32)
    weighted = replace(rows, soft_weight=many, hard_weight=many)
    found = [train(net, rows).history[0]["train_loss"] for rows in (weighted, rows)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_sample_weights_reach_the_criterion(rows):
    some = (rows.hard != 0).astype(np.float32)
    weighted = replace(rows, soft_weight=some, hard_weight=some)
    kept = some > 0
    fewer = replace(rows, X=rows.X[kept], soft=rows.soft[kept], hard=rows.hard[kept])
    one, other = (train(sgd_net(), r).history[0] for r in (weighted, fewer))
    for name in ("train_loss", "train_loss_soft", "train_loss_hard"):
        assert one[name] == pytest.approx(other[name], rel=1e-5)


@pytest.mark.parametrize(
    ("reduction", "message"),
    [(None, "no attribute reduction"), ("mean", "a loss per sample.* shape")],
)
def test_sample_weights_need_a_loss_per_sample(rows, reduction, message):
    class Reduced(nn.Module):
        def __init__(self):
            super().__init__()
            if reduction:
                self.reduction = reduction

        def forward(self, logits, y):
            return F.cross_entropy(logits, y)

    net = tiny_net(criterion=Reduced, predict_nonlinearity=nn.Softmax(dim=1))
    ones = np.ones(90, dtype=np.float32)
    with pytest.raises(ValueError, match=message):
        train(net, replace(rows, soft_weight=ones, hard_weight=ones))
    assert getattr(net.criterion_, "reduction", None) == reduction


@pytest.mark.parametrize("hidden", [{}, HIDDEN], ids=["plain", "hidden"])
def test_the_trained_net_predicts_probabilities_by_itself(rows, hidden):
    net = train(tiny_net(), rows, **hidden)
    assert_allclose(net.predict_proba(rows.X).sum(axis=1), 1, rtol=1e-5)


def test_a_validation_set_of_the_persons_own_has_the_hard_term_alone(rows):
    X, y = rows.X[:40], rows.hard[:40]
    net = sgd_net(train_split=predefined_split(Dataset(X, y)))
    train(net, rows, alpha=0.9, **HIDDEN)
    epoch = net.history[0]
    cross_entropy = -np.log(net.predict_proba(X)[np.arange(40), y]).mean()
    assert epoch["valid_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert not {name for name in epoch if name.startswith("valid_loss_s")}
    assert "train_loss_feature" in epoch
    assert "valid_loss_feature" not in epoch


def exploding(**params):
    return tiny_net(optimizer=torch.optim.SGD, lr=1e30, **params)


@pytest.mark.parametrize("epochs", [None, 1], ids=["fit", "partial_fit"])
def test_a_loss_that_is_not_finite_names_epoch_temperature_and_rate(rows, epochs):
    net = exploding(batch_size=30)
    with pytest.raises(
        ValueError,
        match=r"in epoch 1, at temperature 3 and learning rate 1e\+30: "
        r"\{'train_loss_soft': .*\}. Lower the",
    ):
        train(net, rows, epochs=epochs, temperature=3.0)


@pytest.mark.parametrize(
    ("value", "weight"),
    [(float("nan"), 1.0), (float("inf"), 1.0), (1e30, 1e30)],
    ids=["nan", "inf", "weighted"],
)
def test_a_loss_that_is_not_finite_is_found_before_its_step(rows, value, weight):
    def broken(student, teacher, epoch):
        return student.sum() * 0 + (value if epoch == 1 else 0)

    net = tiny_net()
    with pytest.raises(ValueError, match="not finite in epoch 2"):
        train(net, rows, relation_loss=broken, relation_weight=weight)
    assert all(np.isfinite(weights).all() for weights in weights_of(net))


# Temperature and alpha


def test_a_schedule_is_in_the_history_and_acts(rows):
    net = tiny_net(max_epochs=4)
    net = train(net, rows, temperature=LinearSchedule(8, 2), alpha=CosineSchedule(1, 0))
    assert net.history[:, "temperature"] == [8, 6, 4, 2]
    assert_allclose(net.history[:, "alpha"], [1, 0.75, 0.25, 0], atol=1e-12)
    for epoch in net.history:
        alpha, empty = epoch["alpha"], {"train_loss_soft": 0.0, "train_loss_hard": 0.0}
        parts = empty | dict(epoch)
        total = (
            alpha * parts["train_loss_soft"] + (1 - alpha) * parts["train_loss_hard"]
        )
        assert epoch["train_loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "number", "schedule"),
    [
        ("temperature", 3.0, lambda epoch, n: 3),
        ("alpha", 0.25, lambda epoch, n: np.float64(0.25)),
        ("alpha", 0.0, LinearSchedule(0, 0)),
    ],
    ids=["function", "numpy", "zero"],
)
def test_a_constant_schedule_is_bit_identical_to_its_number(
    rows, name, number, schedule
):
    one, other = (
        train(tiny_net(), rows, **{name: value}) for value in (number, schedule)
    )
    assert_same_weights(one, other)
    assert name not in one.history[0]
    assert other.history[:, name] == [number] * 10


# Callbacks of the person's own


def test_early_stopping_and_lr_schedulers_work(rows):
    rates = []

    class Rates(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    net = tiny_net(
        max_epochs=300,
        lr=0.1,
        train_split=SPLIT,
        callbacks=[
            LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5),
            EarlyStopping("valid_loss_feature", patience=2, threshold=1e-2),
            Rates,
        ],
    )
    train(net, rows, feature_loss="cosine")
    assert 3 <= len(net.history) < 300
    assert_allclose(rates[:3], [0.05, 0.025, 0.0125])


def test_a_checkpoint_restores_the_best_epoch_and_pickles_the_plain_class(
    rows, tmp_path
):
    checkpoint = Checkpoint(
        monitor="valid_loss_best", dirname=tmp_path, f_pickle="net.pkl", load_best=True
    )
    net = tiny_net(max_epochs=15, lr=0.5, train_split=SPLIT, callbacks=[checkpoint])
    train(net, rows, **HIDDEN)
    best = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert type(best) is NeuralNetClassifier
    assert not {"batch_loss_", "example_rows_", "batch_", "watch_"} & vars(best).keys()
    assert_same_weights(best, net)
    assert len(net.history) == int(np.argmin(best.history[:, "valid_loss"])) + 1


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping(),
        Checkpoint(monitor="valid_acc_best"),
        LRScheduler(ReduceLROnPlateau, monitor="valid_loss"),
    ],
    ids=["EarlyStopping", "Checkpoint", "LRScheduler"],
)
def test_callbacks_that_watch_held_out_rows_ask_for_them(
    rows, callback, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where a checkpoint is written
    net = tiny_net(callbacks=[("mine", callback)], max_epochs=2)
    with pytest.raises(ValueError, match=r"mine monitors 'valid_.*, and no rows .*"):
        train(net, rows)
    train(net.set_params(train_split=SPLIT), rows)
    assert len(net.history) == 2


@pytest.mark.parametrize("use_caching", [True, False])
def test_scoring_callbacks_see_the_persons_rows_and_labels(rows, use_caching):
    score = EpochScoring(
        "neg_log_loss", on_train=True, name="score", use_caching=use_caching
    )
    net = train(sgd_net(callbacks=[score], lr=0.0), rows, **HIDDEN)
    expected = -log_loss(rows.hard, net.predict_proba(rows.X))
    assert net.history[0]["score"] == pytest.approx(expected, rel=1e-5)


def test_a_net_that_prints_its_epochs_can_gain_and_lose_a_term(rows, capsys):
    net = tiny_net(max_epochs=4, verbose=1)
    train(net, rows, alpha=CosineSchedule(1, 0), feature_loss="hint")
    lines = capsys.readouterr().out.splitlines()
    assert any("train_loss_feature" in line for line in lines)
    assert len([line for line in lines if line.strip()[:1].isdigit()]) == 4


# The net is its own again


def assert_its_own(net):
    assert type(net) is NeuralNetClassifier
    assert not {"batch_loss_", "example_rows_", "batch_", "watch_"} & vars(net).keys()
    assert not hooks(net.module_)


@pytest.mark.parametrize("layer", [None, "1"])
def test_a_net_is_its_own_again_after_training(rows, layer):
    assert_its_own(train(tiny_net(), rows, **HIDDEN, student_layer=layer))


@pytest.mark.parametrize("event", ["on_train_begin", "on_batch_end", "on_epoch_end"])
def test_a_net_is_its_own_again_where_a_callback_fails(rows, event):
    def fail(self, net, *args, **kwargs):
        raise RuntimeError("stop")

    net = tiny_net(callbacks=[type("Fails", (Callback,), {event: fail})])
    with pytest.raises(RuntimeError, match="stop"):
        train(net, rows, **HIDDEN)
    assert_its_own(net)


def test_a_net_is_its_own_again_where_the_forward_pass_fails(rows):
    class Fails(TinyModule):
        def forward(self, X):
            if len(X) > 4:
                raise RuntimeError("stop")
            return super().forward(X)

    net = tiny_net(module=Fails)
    with pytest.raises(RuntimeError, match="stop"):
        train(net, rows, **HIDDEN)
    assert_its_own(net)


# The student's features


class Branches(nn.Module):
    """Has layers of all kinds of output."""

    class Pair(nn.Module):
        def forward(self, X):
            return X, X

    def __init__(self, n_features=2, n_classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU())
        self.pair = self.Pair()
        self.image = nn.Unflatten(1, (2, 4))
        self.summary = nn.Linear(8, 1)
        self.unused = nn.Linear(8, 8)
        self.out = nn.Linear(8, n_classes)

    def forward(self, X):
        hidden, _ = self.pair(self.body(X))
        self.summary(self.image(hidden).flatten(1).mean(dim=0))
        return self.out(hidden)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (None, lambda module, X: module.body(X)),
        ("body", lambda module, X: module.body(X)),
        ("body.0", lambda module, X: module.body[0](X)),
        ("image", lambda module, X: module.body(X)),
        ("out", lambda module, X: module(X)),
    ],
)
def test_student_layer_names_the_layer_whose_output_is_compared(rows, layer, expected):
    seen = []

    def own(student, teacher):
        seen.append(student.detach())
        return student.square().mean()

    net = sgd_net(module=Branches, lr=0.0)
    train(net, rows, relation_loss=own, student_layer=layer)
    wanted = expected(net.module_, torch.tensor(rows.X)).detach()
    torch.testing.assert_close(seen[-1], wanted)


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (
            "bdy",
            r"no layer 'bdy'.*student_layer=.*'body', 'body\.0', 'body\.1', 'pair'",
        ),
        ("pair", "layer 'pair' is a tuple"),
        ("unused", "'unused' is not called"),
        ("summary", "for [0-9]+ rows"),
    ],
)
@pytest.mark.parametrize("hidden", [{"feature_loss": "hint"}, {"relation_loss": "rkd"}])
def test_a_student_layer_without_features_is_refused(rows, hidden, layer, match):
    net = tiny_net(module=Branches)
    with pytest.raises((ValueError, TypeError), match=match):
        train(net, rows, **hidden, student_layer=layer)


@pytest.mark.parametrize("hidden", [{"feature_loss": "hint"}, {"relation_loss": "rkd"}])
def test_a_student_without_a_hidden_layer_is_refused(rows, hidden):
    net = tiny_net(module=nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"hidden layer.*student_layer="):
        train(net, rows, **hidden)
