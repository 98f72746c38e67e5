"""Each loss, from the teacher's answer to the trained student."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skdistill.losses import CKALoss, DKDLoss, KLLoss, RKDLoss
from skdistill.schedules import LinearSchedule
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import (
    column,
    differ,
    distilled,
    sgd_net,
    weights_of,
)

LOGITS = [
    {"loss": loss}
    for loss in ["kl", "logit_mse", "dkd", "dist", "nkd", "standardized", "jsd"]
]
HIDDEN = [{"feature_loss": loss} for loss in ["hint", "cosine", "cka", "vid"]] + [
    {"relation_loss": loss} for loss in ["rkd", "similarity", "pkt", "contrastive"]
]


def name_of(params):
    """Return the id of a test: its losses."""
    return "-".join(map(str, params.values()))


EACH_LOSS = pytest.mark.parametrize("params", LOGITS + HIDDEN, ids=name_of)
EACH_HIDDEN = pytest.mark.parametrize("params", HIDDEN, ids=name_of)


def term_of(params):
    (parameter,) = params
    return f"train_loss_{parameter.removesuffix('_loss')}"


def assert_sound(clf, X):
    for epoch in clf.history_:
        for name, value in epoch.items():
            if "loss" in name and not name.endswith("_best"):
                assert math.isfinite(value), name
    assert all(np.isfinite(weights).all() for weights in weights_of(clf))
    assert np.isfinite(clf.predict_proba(X)).all()


# Numerics


class Autocast(TinyModule):
    """Computes in 16 bits, with weights of 32."""

    def forward(self, X):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(X)


@EACH_LOSS
def test_a_net_under_autocast_is_trained(data, forest, params):
    net = tiny_net(module=Autocast, max_epochs=8, lr=0.02)
    if params == {"loss": "dkd"}:
        params = {"loss": DKDLoss(warmup_epochs=0)}
    clf = distilled(forest, net, **params).fit(*data)
    assert_sound(clf, data[0])
    losses = column(clf, "train_loss")
    assert losses[-1] < losses[0]
    assert weights_of(clf)[0].dtype == np.float32


class Double(TinyModule):
    """Computes in double precision."""

    def __init__(self, n_features=2, n_classes=2):
        super().__init__(n_features, n_classes)
        self.double()


@EACH_LOSS
def test_a_net_in_double_precision_is_trained_as_one_in_single(data, forest, params):
    def losses(module):
        net = sgd_net(module=module, max_epochs=2, lr=0.01)
        return column(distilled(forest, net, **params).fit(*data), "train_loss")

    assert_allclose(losses(Double), losses(TinyModule), rtol=1e-4)


@EACH_HIDDEN
def test_each_loss_falls_where_it_is_all_there_is_to_learn(data, forest, params):
    net = tiny_net(max_epochs=15, lr=0.03)
    clf = distilled(forest, net, loss=[("kl", 0)], alpha=0.0, **params)
    clf.set_params(feature_weight=1e3, relation_weight=1e3).fit(*data)
    values = column(clf, term_of(params))
    assert values[-1] < values[0]
    assert values[-1] == pytest.approx(min(values), rel=0.2)


# Batches and weights


# A handful of rows are few to judge a teacher by.
@pytest.mark.filterwarnings("ignore:SKD101")
@EACH_HIDDEN
@pytest.mark.parametrize(("n_rows", "batch_size"), [(9, 4), (10, 2)])
def test_small_and_last_batches_are_trained_on(
    data, forest, params, n_rows, batch_size
):
    X, y = (values[:n_rows] for values in data)
    net = tiny_net(max_epochs=2, batch_size=batch_size, lr=0.01)
    clf = distilled(forest, net, **params)
    if params == {"feature_loss": "cka"} and batch_size < 4:
        with pytest.raises(ValueError, match="takes 4"):
            clf.fit(X, y)
        return
    assert_sound(clf.fit(X, y), X)
    assert len(column(clf, term_of(params))) == 2


@EACH_LOSS
def test_rows_of_zero_weight_do_not_count(data, forest, params):
    X, y = data
    weight = np.r_[np.ones(60), np.zeros(30)]

    def teacher_features(teacher, X):  # those of leaves depend on all rows
        return teacher.predict_proba(X)

    clf = distilled(
        forest, sgd_net(max_epochs=3), teacher_features=teacher_features, **params
    )
    weighted = clone(clf).fit(X, y, sample_weight=weight)
    fewer = clone(clf).fit(X[:60], y[:60])
    for name in ("train_loss", "train_loss_hard"):
        assert_allclose(column(weighted, name), column(fewer, name), rtol=1e-4)
    for one, other in zip(weights_of(weighted), weights_of(fewer), strict=True):
        assert_allclose(one, other, rtol=1e-3, atol=1e-5)


# Losses of the person's own


def nearest(student, teacher):
    """Compare a row with the 6 that are nearest to the teacher."""
    near = torch.cdist(teacher, teacher).topk(6, largest=False).indices
    return torch.cdist(student, student).gather(1, near).mean()


def sloped(student, teacher):
    value = (student.mean(dim=1) - teacher.mean(dim=1)).square().mean()
    (slope,) = torch.autograd.grad(value, student, create_graph=True)
    return value + slope.square().mean()


@pytest.mark.parametrize("loss", [nearest, sloped])
@pytest.mark.parametrize("family", ["loss", "feature_loss", "relation_loss"])
def test_an_own_loss_may_need_many_rows_or_differentiate(data, forest, family, loss):
    net = tiny_net(batch_size=45, max_epochs=2)
    assert_sound(distilled(forest, net, **{family: loss}).fit(*data), data[0])


# Searches


@pytest.mark.parametrize(
    ("params", "name", "values"),
    [
        ({"relation_loss": RKDLoss()}, "relation_loss__angle_weight", [0.0, 2.0]),
        ({"loss": KLLoss()}, "loss__temperature", [1.0, 8.0]),
        ({"relation_loss": "rkd"}, "relation_weight", [0.0, 2.0]),
        ({"feature_loss": "hint"}, "feature_loss", [None, CKALoss()]),
        ({"temperature": LinearSchedule(6, 2)}, "temperature__start", [2, 20]),
        ({}, "temperature", [2.0, LinearSchedule(20, 8)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_search_tunes_losses_and_schedules(data, forest, params, name, values):
    clf = distilled(forest, tiny_net(max_epochs=2), **params)
    before = repr(clf.get_params()[name])
    search = GridSearchCV(clf, {name: values}, cv=2, error_score="raise").fit(*data)
    found = search.best_estimator_.get_params()[name]
    assert repr(found) == repr(search.best_params_[name])
    assert repr(clf.get_params()[name]) == before
    fits = [clone(clf).set_params(**{name: value}).fit(*data) for value in values]
    assert differ(*fits)


@EACH_LOSS
def test_a_student_learns_where_double_precision_is_torchs_default(
    data, forest, params
):
    torch.set_default_dtype(torch.float64)
    try:
        double = distilled(forest, **params).fit(*data)
        assert weights_of(double)[0].dtype == np.float64
        assert_sound(double, data[0])
    finally:
        torch.set_default_dtype(torch.float32)
