"""Teachers are asked and fitted by way of copies, in chunks, with seeds and weights."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skdistill import TorchTeacher
from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes
from skdistill._targets._labels import Labels
from skdistill._targets._numbers import Numbers
from skdistill._targets._on_codes import OnCodes
from skdistill._teachers import _asking
from skdistill._teachers._asking import (
    private_copy,
    seeded_clone,
    weight_parameter,
)
from tests.conftest import FittedTeacher
from tests.kinds import FITTED, net, scaled

ask, fit, average = (
    partial(function, target=Classes())
    for function in (_asking.ask, _asking.fit, _asking.average)
)

CONTAINERS = {
    "array": np.array,
    "sparse matrix": csr_matrix,
    "sparse array": csr_array,
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcd")),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcd")),
    "tensor": torch.tensor,
}


class Spy(FittedTeacher):
    """Says the softmax of the first columns, and keeps the size of each call."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def predict_proba(self, X):
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        self.sizes.append(len(X))
        return softmax(X[:, :3], axis=1)


class Giving(FittedTeacher):
    """Gives one and the same, whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def predict_proba(self, X):
        return self.answer


class OwnLogits(LogisticRegression):
    """Has a method of its own, unrelated, by the name predict_logits."""

    def predict_logits(self, X):
        return self.decision_function(X) + 100


# Asking


@pytest.mark.parametrize("kind", [kind for kind in FITTED if kind != "TorchTeacher"])
def test_answer_is_what_the_teacher_says(kind, data32):
    X, y = data32
    teacher = FITTED[kind](X, y)

    answer = ask(teacher, X)

    assert answer.values.dtype == np.float32
    assert not answer.are_logits
    assert_allclose(answer.values, teacher.predict_proba(X), atol=1e-6)
    assert_array_equal(answer.columns, [0, 1, 2])


@pytest.mark.parametrize("kind", [Classes, Labels, Numbers])
def test_tensors_may_have_a_gradient(kind):
    said = torch.tensor([[0.25, 0.75], [0.5, 0.5]], requires_grad=True)
    by_label = [torch.stack([1 - p, p], dim=1) for p in said.T]
    teacher = SimpleNamespace(
        predict=lambda X: said,
        predict_proba=lambda X: by_label if kind is Labels else said,
    )
    answer = _asking.ask(teacher, np.zeros((2, 1)), target=kind())
    assert_allclose(answer.values, said.detach())


@pytest.mark.parametrize("output", ["logits", "proba"])
def test_logits_are_asked_of_who_gives_them(output, data32):
    last = nn.Identity() if output == "logits" else nn.Softmax(dim=1)
    module = nn.Sequential(nn.Linear(4, 3), last)
    teacher = TorchTeacher(module, classes=[0, 1, 2], output=output)

    answer = ask(teacher, data32[0])

    assert answer.are_logits == (output == "logits")
    assert_allclose(answer.proba, teacher.predict_proba(data32[0]), atol=1e-6)


def test_probabilities_are_asked_of_a_classifier_with_a_predict_logits(data):
    teacher = OwnLogits().fit(*data)

    assert_allclose(ask(teacher, data[0]).proba, teacher.predict_proba(data[0]), 1e-5)


def test_columns_of_a_teacher_without_classes_count_by_position():
    class WithoutClasses:
        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    assert ask(WithoutClasses(), np.zeros((3, 1))).columns.tolist() == [0, 1]


@pytest.mark.parametrize("container", [np.ndarray.tolist, *CONTAINERS.values()])
@pytest.mark.parametrize(
    ("limit", "value", "sizes"),
    [
        ("_CHUNK_BYTES", 1000, [41, 41, 8]),  # of 3 classes x 8 bytes
        ("_CHUNK_VALUES", 160, [40, 40, 10]),  # of 4 values
    ],
)
def test_chunks_are_bounded_and_give_the_answer_of_one_call(
    limit, value, sizes, container, data, monkeypatch
):
    if limit == "_CHUNK_VALUES" and container is np.ndarray.tolist:
        sizes = [90]  # the values of lists are not counted
    rows = container(data[0])
    whole = ask(Spy(), rows).values
    monkeypatch.setattr(_asking, limit, value)
    spy = Spy()

    chunked = ask(spy, rows).values

    assert_array_equal(chunked, whole)
    assert spy.sizes == sizes


@pytest.mark.parametrize("limit", ["_CHUNK_BYTES", "_CHUNK_VALUES"])
def test_chunk_holds_a_row_at_least(limit, data, monkeypatch):
    monkeypatch.setattr(_asking, limit, 1)
    spy = Spy()

    ask(spy, data[0])

    assert spy.sizes == [1] * 90


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full((89, 3), 1 / 3), r"shape \(89, 3\) for 90 rows"),
        (np.full(90, 0.5), r"shape \(90,\) for 90 rows"),
        ([np.full((90, 2), 0.5)] * 2, "for several outputs"),
        (np.full((90, 2), 0.4), "has 3 classes and gives 2 columns"),
        (np.full((90, 3), 0.5), "must sum to 1"),
        (np.full((90, 3), np.nan), "contains NaN"),
    ],
    ids=["a row less", "flat", "several", "columns", "no probabilities", "NaN"],
)
def test_what_is_no_answer_is_refused(answer, message, data):
    with pytest.raises(ValueError, match=f"teacher Giving.*{message}"):
        ask(Giving(answer), data[0])


@pytest.mark.parametrize(
    ("call", "of_what"),
    [
        (lambda t, X, y: ask(t, X), "teacher Failing, which gets X"),
        (lambda t, X, y: fit(t, X, y, None), "teacher Failing on 90 rows with 3 cl"),
    ],
    ids=["ask", "fit"],
)
def test_error_of_a_teacher_says_whose_it_is_and_a_way_out(call, of_what, data):
    class Failing(FittedTeacher):
        def fit(self, X, y):
            raise LookupError("of its own")

        def predict_proba(self, X):
            raise LookupError("of its own")

    with pytest.raises(LookupError, match="of its own") as error:
        call(Failing(), *data)

    (note,) = error.value.__notes__
    assert of_what in note
    assert "goes into one pipeline with it" in note


# Rows of the person


class Overwriting(BaseEstimator):
    """Overwrites all that it gets."""

    def fit(self, X, y, sample_weight=None):
        self.model_ = LogisticRegression().fit(X, y, sample_weight)
        self.classes_ = self.model_.classes_
        for given in (X, y, sample_weight):
            given[:] = 0
        return self

    def predict_proba(self, X):
        answer = self.model_.predict_proba(X)
        X[:] = 0
        return answer


def test_teacher_cannot_change_what_it_is_fitted_on_and_asked(data):
    X, y = (part.copy() for part in data)
    weight = np.arange(90.0)

    teacher = fit(Overwriting(), X, y, weight)
    answer = ask(teacher, X)

    assert_array_equal(X, data[0])
    assert_array_equal(y, data[1])
    assert_array_equal(weight, np.arange(90.0))
    plain = LogisticRegression().fit(*data, weight)
    assert_allclose(answer.values, plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_private_copy_is_equal_and_apart(kind, data):
    X = CONTAINERS[kind](data[0])

    copied = private_copy(X)

    assert type(copied) is type(X)
    assert copied is not X
    if kind == "polars":
        assert copied.equals(X)
    elif "sparse" in kind:
        assert not np.shares_memory(copied.data, X.data)
        assert (copied != X).nnz == 0
    else:
        assert not np.shares_memory(np.asarray(copied), np.asarray(X))
        assert_array_equal(copied, X)
        assert kind != "array" or copied.flags.writeable


# Fitting


LINEAR, NEIGHBORS = LogisticRegression(), KNeighborsClassifier()

TAKES_WEIGHTS = {
    "classifier": ("", LINEAR),
    "pipeline": ("logisticregression__", scaled(LINEAR)),
    "pipeline of pipelines": (
        "pipeline__logisticregression__",
        make_pipeline(MinMaxScaler(), scaled(LINEAR)),
    ),
    "search": ("", GridSearchCV(LINEAR, {"C": [0.1, 1.0]}, cv=2)),
    "search over pipelines": (
        "logisticregression__",
        RandomizedSearchCV(scaled(LINEAR), {}, n_iter=1, cv=2),
    ),
    "pipeline of a search": (
        "gridsearchcv__logisticregression__",
        scaled(GridSearchCV(scaled(LINEAR), {}, cv=2)),
    ),
    "vote": (
        "",
        VotingClassifier(
            [("linear", LINEAR), ("out", "drop"), ("bayes", GaussianNB())],
            voting="soft",
        ),
    ),
    "stack": ("", StackingClassifier([("linear", LINEAR)], cv=2)),
    "on codes": ("logisticregression__", OnCodes(scaled(LINEAR))),
    "stack of a stack": (
        "",
        StackingClassifier(
            [("bayes", GaussianNB())],
            StackingClassifier([("linear", LINEAR)], cv=2),
            cv=2,
        ),
    ),
}

TAKES_NO_WEIGHTS = {
    "classifier": NEIGHBORS,
    "pipeline": scaled(NEIGHBORS),
    "search": GridSearchCV(NEIGHBORS, {}, cv=2),
    "vote": VotingClassifier([("a", LINEAR), ("b", NEIGHBORS)], voting="soft"),
    # Their fit refuses the name of a step.
    "vote of pipelines": VotingClassifier([("a", scaled(LINEAR))], voting="soft"),
    "stack on neighbors": StackingClassifier([("a", LINEAR)], NEIGHBORS, cv=2),
    "one against the rest": OneVsRestClassifier(LINEAR),
}

# Their fit takes weights, and refuses them if the estimator inside does not.
REFUSE_WEIGHTS = {
    "neighbors": MultiOutputClassifier(NEIGHBORS),
    "pipeline": MultiOutputClassifier(scaled(LINEAR)),
    "search": scaled(MultiOutputClassifier(GridSearchCV(LINEAR, {}, cv=2))),
}


@pytest.mark.parametrize("kind", TAKES_NO_WEIGHTS)
def test_teacher_that_takes_no_weights_is_fitted_without(kind, data):
    teacher = TAKES_NO_WEIGHTS[kind]

    fitted = fit(clone(teacher), *data, np.arange(90.0))

    assert weight_parameter(teacher) is None
    plain = clone(teacher).fit(*data)
    assert_array_equal(fitted.predict_proba(data[0]), plain.predict_proba(data[0]))


@pytest.mark.parametrize("kind", REFUSE_WEIGHTS)
def test_teacher_of_several_outputs_is_fitted_without_weights_of_no_use(kind, data):
    teacher, (X, y) = REFUSE_WEIGHTS[kind], data
    several = np.stack([y == 0, y == 1], axis=1).astype(int)

    fitted = _asking.fit(teacher, X, several, np.arange(90.0), target=Labels())

    assert weight_parameter(fitted) is None
    assert weight_parameter(scaled(MultiOutputClassifier(LINEAR))) is not None


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("teacher", TAKES_WEIGHTS)
@pytest.mark.parametrize("kind", [np.array, list, pd.Series])
def test_weights_reach_the_teacher(kind, teacher, routing, data):
    prefix, teacher = TAKES_WEIGHTS[teacher]
    weight = np.where(data[1] == 0, 20.0, 1.0)
    name = f"{prefix}sample_weight"
    expected = clone(teacher).fit(*data, **{name: weight}).predict_proba(data[0])

    with sklearn.config_context(enable_metadata_routing=routing):
        fitted = fit(clone(teacher), *data, kind(weight))

    assert_allclose(fitted.predict_proba(data[0]), expected, atol=1e-6)


TARGETS = TransformedTargetRegressor(transformer=StandardScaler())


@pytest.mark.parametrize(
    "teacher",
    [
        TARGETS,
        VotingRegressor([("ridge", Ridge())]),
        StackingRegressor([("a", TARGETS), ("b", Ridge())], cv=2),
    ],
    ids=["transformed targets", "vote", "stack"],
)
def test_weights_reach_a_regressor(teacher, data):
    X, y = data[0], data[0] @ [1.0, 2.0, 0.0, 0.0] + data[1]
    weight = np.where(data[1] == 0, 20.0, 1.0)
    expected = clone(teacher).fit(X, y, sample_weight=weight).predict(X)

    fitted = _asking.fit(clone(teacher), X, y, weight, target=Numbers())

    assert_allclose(fitted.predict(X), expected)


def test_teacher_that_can_only_tell_once_it_is_fitted_is_checked_again(data):
    class Surprise(BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)

    with pytest.raises(TypeError, match="no predict_proba"):
        fit(Surprise(), *data, None)


# Seeds


def seeds_of(teacher):
    return {
        name: value
        for name, value in teacher.get_params().items()
        if name.endswith("random_state")
    }


NETS = {
    "net": lambda: net(max_epochs=1),
    "pipeline": lambda: scaled(net(max_epochs=1)),
    "search": lambda: GridSearchCV(net(max_epochs=1), {"lr": [0.1]}, cv=2),
    "vote": lambda: VotingClassifier(
        [("net", net(max_epochs=1)), ("linear", LINEAR)], voting="soft"
    ),
    "stack": lambda: StackingClassifier([("net", net())], LINEAR, cv=2),
}


@pytest.mark.parametrize("kind", NETS)
def test_nets_draw_from_the_seed_and_leave_the_generator_as_it_was(kind, data32):
    state = torch.get_rng_state()

    answers = [
        ask(fit(NETS[kind](), *data32, None, seed), data32[0]).values
        for seed in (0, 0, 1)
    ]

    assert torch.equal(torch.get_rng_state(), state)
    assert_array_equal(answers[0], answers[1])
    assert np.abs(answers[0] - answers[2]).max() > 1e-3


def test_open_random_states_are_drawn_from_the_seed():
    teacher = scaled(
        BaggingClassifier(DecisionTreeClassifier(splitter="random"), n_estimators=3)
    )

    first, again, other = (seeds_of(seeded_clone(teacher, s)) for s in (0, 0, 1))

    assert len(set(first.values())) == 2
    assert first == again
    assert not set(first.values()) & set(other.values())
    assert set(seeds_of(teacher).values()) == {None}


def test_random_states_of_the_person_are_left_alone():
    teacher = BaggingClassifier(DecisionTreeClassifier(random_state=5))

    seeds = seeds_of(seeded_clone(teacher, 0))

    assert seeds["estimator__random_state"] == 5
    assert seeds["random_state"] is not None


def test_clone_of_a_fitted_teacher_is_unfitted(forest):
    cloned = seeded_clone(forest, 0)

    assert not hasattr(cloned, "estimators_")
    assert cloned.get_params() == forest.get_params()


@pytest.mark.parametrize("seed", [None, 0])
def test_what_clones_itself_stays_as_it_is(seed, forest):
    frozen = FrozenEstimator(forest)

    assert seeded_clone(frozen, seed) is frozen


# Several teachers


def answer(proba, classes, **parts):
    return Answer(np.array([proba], dtype=np.float32), np.array(classes), **parts)


def mean_of(*answers, weights=None):
    weights = np.full(len(answers), 1 / len(answers)) if weights is None else weights
    return average([None] * len(answers), list(answers), np.array(weights))


def test_answers_with_other_classes_and_logits_are_aligned_by_label():
    logits = answer(np.log([0.75, 0.25]), ["b", "a"], are_logits=True)

    mean = mean_of(logits, answer([0.5, 0.5], ["b", "c"]))

    assert not mean.are_logits
    assert mean.columns.tolist() == ["a", "b", "c"]
    assert_allclose(mean.values, [[0.125, 0.625, 0.25]], rtol=1e-6)


def test_classes_that_cannot_be_compared_are_refused():
    with pytest.raises(
        ValueError, match=r"different kinds: \[\[0, 1\], \['a', 'b'\]\]"
    ):
        mean_of(answer([0.9, 0.1], [0, 1]), answer([0.5, 0.5], ["a", "b"]))


def test_features_are_put_side_by_side_whatever_the_weights():
    parts = [np.array([[1.0, 2.0]], np.float32), np.array([[3.0]], np.float32)]
    answers = [
        answer([1, 0], [0, 1], features=part, reduction=name)
        for part, name in zip(parts, ["first", None], strict=True)
    ]

    mean = mean_of(*answers, weights=[0.1, 0.9])

    assert_array_equal(mean.features, [[1, 2, 3]])
    assert mean.reduction == ["first", None]


@pytest.mark.parametrize("position", [0, 1])
def test_one_teacher_without_features_leaves_all_without(position):
    answers = [answer([1, 0], [0, 1], features=np.zeros((1, 2), np.float32))]
    answers.insert(position, answer([1, 0], [0, 1]))

    mean = mean_of(*answers)

    assert mean.features is None
    assert mean.reduction is None


@pytest.mark.parametrize(
    ("fitted", "expected"),
    [((None, None), None), ((None, "fitted"), ["first", "fitted"])],
)
def test_teachers_that_were_fitted_take_the_place_of_those_given(fitted, expected):
    answers = [answer([1, 0], [0, 1], teacher=one) for one in fitted]

    mean = average(["first", "second"], answers, np.array([0.5, 0.5]))

    assert mean.teacher == expected
