"""The net of the default student: what it tells skorch, and what it leaves to torch."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from skdistill import make_student
from tests.conftest import distilled, small_student

OPTIMIZERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and kind is not torch.optim.Optimizer
}
REFUSED = {
    "SparseAdam": "does not support dense gradients",
    "Muon": "only supports 2D parameters",
}


def student_with(optimizer, **params):
    """Return a student whose optimizer is set as in a search."""
    return clone(small_student(**params)).set_params(net__optimizer=optimizer)


def group_of(clf):
    (group,) = clf.student_[-1].optimizer_.param_groups
    return group


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - REFUSED))
def test_each_optimizer_of_torch_trains_the_student(name, data, forest):
    optimizer = OPTIMIZERS[name]
    clf = distilled(forest, student_with(optimizer)).fit(*data)
    assert type(clf.student_[-1].optimizer_) is optimizer
    losses = clf.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() & REFUSED))
def test_optimizers_that_cannot_train_it_say_why(name, data, forest):
    with pytest.raises((ValueError, RuntimeError), match=REFUSED[name]):
        distilled(forest, student_with(OPTIMIZERS[name])).fit(*data)


def test_an_optimizer_gets_those_of_our_options_that_it_takes(data, forest):
    group = group_of(distilled(forest, student_with(torch.optim.NAdam)).fit(*data))
    assert group["betas"] == (0.9, 0.95)
    # The decay that is left open is one of the weights, not of the loss.
    assert group["weight_decay"] == 0


def test_an_optimizer_that_passes_options_on_gets_them(data, forest):
    class Own(torch.optim.AdamW):
        def __init__(self, params, **options):
            super().__init__(params, **options)

    for optimizer in (Own, partial(torch.optim.AdamW, eps=1e-7)):
        group = group_of(distilled(forest, student_with(optimizer)).fit(*data))
        assert group["betas"] == (0.9, 0.95)


def test_an_option_of_the_person_is_never_left_out(data, forest):
    student = student_with(torch.optim.SGD, weight_decay=0.3)
    assert group_of(distilled(forest, student).fit(*data))["weight_decay"] == 0.3
    student.set_params(net__optimizer__betas=(0.5, 0.5))
    with pytest.raises(TypeError, match="unexpected keyword argument 'betas'"):
        distilled(forest, student).fit(*data)


def test_a_student_by_itself_takes_another_optimizer(data):
    X, y = data
    student = make_student((8,)).set_params(net__optimizer=torch.optim.SGD)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert np.mean(student.fit(X, y).predict(X) == y) > 0.5


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("classification", [0, 1, np.nan] * 4, "y contains NaN"),
        ("classification", np.array(["a", "b", np.nan] * 4, object), "contains NaN"),
        ("classification", np.linspace(0, 1, 12), "continuous"),
        ("multilabel", [[0, 1], [1, 0], [0, np.nan]] * 4, "y contains NaN"),
        ("multilabel", [0, 1, 1] * 4, "Expected 2D array"),
        ("regression", [0, 1, np.nan] * 4, "y contains NaN"),
    ],
)
def test_a_student_by_itself_checks_its_targets(task, y, message):
    with pytest.raises(ValueError, match=message):
        make_student(task=task, max_epochs=1).fit(np.zeros((12, 2)), y)


def test_a_student_by_itself_takes_a_column_of_labels():
    X, y = np.arange(12.0).reshape(-1, 1), np.arange(12) // 6
    with pytest.warns(DataConversionWarning):
        student = make_student(max_epochs=1).fit(X, y.reshape(-1, 1))
    assert student.predict(X).shape == (12,)
