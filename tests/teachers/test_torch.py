"""TorchTeacher, and every kind of teacher in the place that it is made for."""

import threading

import lightgbm
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, soft_labels
from skdistill._transfer._store import cache, stamp
from tests.conftest import FittedTeacher


class Linear(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, X):
        return self.layer(X)


class WithoutFit:
    """What a wrapper of a foundation model may look like."""

    def __init__(self, fitted):
        self.fitted = fitted

    def predict_proba(self, X):
        return self.fitted.predict_proba(X)


class WithoutFitWithClasses(WithoutFit):
    @property
    def classes_(self):
        return self.fitted.classes_


class NotOfScikitLearn:
    """Fits and predicts, and has no base class of scikit-learn's."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class Fixed(FittedTeacher):
    """A fitted teacher that says the same of every row."""

    def __init__(self, classes, proba):
        super().__init__(classes)
        self.proba = proba

    def predict_proba(self, X):
        return np.tile(self.proba, (len(X), 1))


class Spy(nn.Module):
    """Keeps what it was called with."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(3)
        self.inputs, self.modes, self.grads = [], [], []

    def forward(self, X):
        self.inputs.append(X)
        self.modes.append([part.training for part in self.modules()])
        self.grads.append(torch.is_grad_enabled())
        return self.norm(self.dropout(self.layer(X)))


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture(scope="module")
def data():
    """Return float32 rows of three overlapping classes, as a torch net takes them."""
    X, y = make_classification(
        n_samples=120,
        n_features=4,
        n_informative=3,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        class_sep=1.2,
        flip_y=0.15,
        random_state=3,
    )
    return X.astype(np.float32), y


@pytest.fixture
def always_warn():
    """Let torch repeat warnings that it gives once per process."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def student(**params):
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "lr": 0.3,
        "max_epochs": 8,
        "batch_size": 20,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(Linear, **defaults | params)


def teacher_net():
    torch.manual_seed(0)
    return student(module__n_features=4, module__n_classes=3)


def linear_module():
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def torch_teacher(X, y):
    """Return the torch form of a logistic regression that was fitted on the data."""
    fitted = LogisticRegression().fit(X, y)
    module = nn.Linear(4, 3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(fitted.coef_))
        module.bias.copy_(torch.tensor(fitted.intercept_))
    return TorchTeacher(module, classes=fitted.classes_)


def lightgbm_classifier():
    return lightgbm.LGBMClassifier(
        n_estimators=5, min_child_samples=5, n_jobs=1, verbose=-1
    )


def xgboost_classifier():
    return xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)


UNFITTED = {
    "logistic regression": LogisticRegression,
    "pipeline with preprocessing": lambda: make_pipeline(
        StandardScaler(), LogisticRegression()
    ),
    "calibrated SVM": lambda: CalibratedClassifierCV(LinearSVC(), cv=3),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    "stack": lambda: StackingClassifier([("lr", LogisticRegression())], cv=2),
    "LightGBM": lightgbm_classifier,
    "XGBoost": xgboost_classifier,
    "skorch net": teacher_net,
    "assistant": lambda: DistilledClassifier(
        LogisticRegression(), student(), random_state=0
    ),
}

FITTED = {
    **{
        name: lambda X, y, new=new: new().fit(X, y.astype(np.int64))
        for name, new in UNFITTED.items()
    },
    "frozen": lambda X, y: FrozenEstimator(LogisticRegression().fit(X, y)),
    "TorchTeacher": torch_teacher,
    "without fit": lambda X, y: WithoutFitWithClasses(LogisticRegression().fit(X, y)),
    "not of scikit-learn": lambda X, y: NotOfScikitLearn().fit(X, y),
}


@pytest.mark.parametrize("kind", FITTED)
def test_fitted_teacher_is_asked_as_it_is(kind, data):
    X, y = data
    teacher = FITTED[kind](X, y)
    expected = teacher.predict_proba(X)

    clf = DistilledClassifier(teacher, student(), alpha=1.0, random_state=0).fit(X, y)

    assert_allclose(soft_labels(teacher, X, y), expected, atol=1e-6)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.teacher is teacher
    assert not hasattr(clf, "teacher_")
    losses = clf.history_[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert np.mean(clf.predict(X) == expected.argmax(axis=1)) > 0.7


@pytest.mark.parametrize("kind", FITTED)
def test_fitted_teacher_is_left_as_it_was(kind, data):
    X, y = data
    teacher = FITTED[kind](X, y)
    before = teacher.predict_proba(X)
    kept = vars(teacher).copy()

    DistilledClassifier(teacher, student(), random_state=0).fit(X[:60], y[:60])

    assert vars(teacher).keys() == kept.keys()
    assert_array_equal(teacher.predict_proba(X), before)


@pytest.mark.parametrize("kind", UNFITTED)
def test_unfitted_teacher_is_cloned_and_fitted_inside(kind, data):
    X, y = data
    teacher = UNFITTED[kind]()
    mark = stamp(teacher)

    clf = DistilledClassifier(teacher, student(), alpha=1.0, random_state=0).fit(X, y)

    check_is_fitted(clf.teacher_)
    assert type(clf.teacher_) is type(teacher)
    assert clf.teacher_ is not teacher
    assert stamp(teacher) == mark
    agreement = np.mean(clf.predict(X) == clf.teacher_.predict(X))
    assert agreement > 0.7


def test_frozen_teacher_gives_what_the_plain_one_gives(data):
    X, y = data
    plain = LogisticRegression().fit(X, y)
    clf = DistilledClassifier(plain, student(), random_state=0)

    expected = clf.fit(X, y).predict_proba(X)

    frozen = clone(clf).set_params(teacher=FrozenEstimator(plain))
    assert_array_equal(frozen.fit(X, y).predict_proba(X), expected)


def test_pipeline_teacher_sees_raw_rows(data):
    X, y = data
    X = X * np.float32(1000) + np.float32(5)
    teacher = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)

    labels = soft_labels(teacher, X)

    assert_allclose(labels, teacher.predict_proba(X), atol=1e-6)


def test_frame_reaches_the_teacher_as_a_frame(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcd"))
    teacher = LogisticRegression().fit(frame, y)  # warns if it is asked without names

    clf = DistilledClassifier(teacher, student(), random_state=0).fit(frame, y)

    assert_array_equal(clf.feature_names_in_, list("abcd"))


def test_search_as_teacher_reaches_its_best_estimator(data):
    X, y = data
    search = UNFITTED["search"]().fit(X, y)

    labels = soft_labels(search, X)

    assert_allclose(labels, search.best_estimator_.predict_proba(X), atol=1e-6)


def test_born_again_student_follows_its_elder(data):
    X, y = data
    elder = DistilledClassifier(
        LogisticRegression().fit(X, y), student(), random_state=0
    ).fit(X, y)

    young = DistilledClassifier(
        elder, student(max_epochs=40), alpha=1.0, temperature=1.0, random_state=1
    ).fit(X, y)

    assert np.mean(young.predict(X) == elder.predict(X)) > 0.95


def test_assistant_chain_fits_each_link(data):
    X, y = data
    assistant = DistilledClassifier(RandomForestClassifier(5, max_depth=3), student())

    clf = DistilledClassifier(assistant, student(), random_state=0).fit(X, y)

    assert isinstance(clf.teacher_, DistilledClassifier)
    assert isinstance(clf.teacher_.teacher_, RandomForestClassifier)
    assert not hasattr(assistant, "student_")


def test_xgboost_codes_stand_for_labels_by_classes(data):
    X, codes = data
    names = np.array(["ash", "birch", "cedar"])
    teacher = xgboost_classifier().fit(X, codes)

    clf = DistilledClassifier(teacher, student(), classes=names, random_state=0)
    clf.fit(X, names[codes])

    assert_array_equal(clf.classes_, names)
    assert np.mean(clf.predict(X) == names[teacher.predict(X)]) > 0.7


def test_teacher_without_classes_asks_for_them(data):
    X, y = data
    teacher = WithoutFit(LogisticRegression().fit(X, y))

    with pytest.raises(ValueError, match=r"has no classes_.*classes="):
        DistilledClassifier(teacher, student()).fit(X, y)


def test_classes_name_the_columns_of_a_teacher_without_classes(data):
    X, y = data
    teacher = WithoutFit(LogisticRegression().fit(X, y))

    clf = DistilledClassifier(teacher, student(), classes=[0, 1, 2]).fit(X, y)

    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.score(X, y) > 0.6


# Several teachers


def test_list_is_averaged_with_its_weights():
    teachers = [Fixed([0, 1], [0.9, 0.1]), Fixed([0, 1], [0.5, 0.5])]

    labels = soft_labels(teachers, np.zeros((2, 1)), teacher_weights=[3, 1])

    assert_allclose(labels, [[0.8, 0.2]] * 2, rtol=1e-6)
    assert labels.dtype == np.float32


def test_list_without_weights_is_averaged_evenly():
    teachers = (Fixed([0, 1], [0.9, 0.1]), Fixed([0, 1], [0.5, 0.5]))

    labels = soft_labels(teachers, np.zeros((1, 1)))

    assert_allclose(labels, [[0.7, 0.3]], rtol=1e-6)


def test_list_with_different_classes_is_aligned_by_label():
    teachers = [
        Fixed(["b", "a"], [0.75, 0.25]),
        Fixed(["b", "c"], [0.5, 0.5]),
    ]

    labels = soft_labels(teachers, np.zeros((1, 1)))

    assert_allclose(labels, [[0.125, 0.625, 0.25]], rtol=1e-6)  # a, b, c


def test_list_of_logits_and_probabilities_is_averaged_as_probabilities():
    logits = TorchTeacher(lambda X: np.tile([0.0, np.log(3)], (len(X), 1)), [0, 1])
    teachers = [logits, Fixed([0, 1], [0.75, 0.25])]

    labels = soft_labels(teachers, np.zeros((1, 1)))

    assert_allclose(labels, [[0.5, 0.5]], rtol=1e-6)


def test_list_of_teachers_whose_labels_cannot_be_compared_is_refused():
    teachers = [Fixed([0, 1], [0.9, 0.1]), Fixed(["a", "b"], [0.5, 0.5])]

    with pytest.raises((TypeError, ValueError), match="classes"):
        soft_labels(teachers, np.zeros((1, 1)))


def test_list_mixes_fitted_and_unfitted_teachers(data):
    X, y = data
    fitted = LogisticRegression().fit(X, y)
    forest = RandomForestClassifier(5, max_depth=3, random_state=0)

    clf = DistilledClassifier([fitted, forest], student(), teacher_weights=[1, 3])
    clf.fit(X, y)

    assert clf.teacher_[0] is fitted
    check_is_fitted(clf.teacher_[1])
    assert not hasattr(forest, "estimators_")
    expected = (fitted.predict_proba(X) + 3 * clf.teacher_[1].predict_proba(X)) / 4
    labels = soft_labels([fitted, forest], X, y, teacher_weights=[1, 3])
    assert_allclose(labels, expected, atol=1e-6)


def test_two_equal_unfitted_teachers_get_seeds_of_their_own(data):
    X, y = data
    forest = RandomForestClassifier(3, max_depth=3)

    clf = DistilledClassifier([forest, forest], student(), random_state=0).fit(X, y)

    first, second = clf.teacher_
    assert first.random_state != second.random_state


# References and hidden parameters


def test_clone_keeps_a_fitted_teacher_by_reference(data):
    fitted = LogisticRegression().fit(*data)

    assert clone(DistilledClassifier(fitted)).teacher is fitted


def test_clone_clones_an_unfitted_teacher():
    unfitted = LogisticRegression(C=3.0)

    copied = clone(DistilledClassifier(unfitted)).teacher

    assert copied is not unfitted
    assert copied.C == 3.0


@pytest.mark.parametrize("kind", [list, tuple])
def test_clone_decides_for_each_teacher_of_a_list(kind, data):
    fitted, unfitted = LogisticRegression().fit(*data), LogisticRegression()

    copied = clone(DistilledClassifier(kind([fitted, unfitted]))).teacher

    assert type(copied) is kind
    assert copied[0] is fitted
    assert copied[1] is not unfitted


def test_parameters_of_a_fitted_teacher_are_hidden(data):
    clf = DistilledClassifier(LogisticRegression().fit(*data), student())

    assert not [name for name in clf.get_params() if name.startswith("teacher__")]
    assert "student__lr" in clf.get_params()
    with pytest.raises(ValueError, match=r"teacher__C.*fitted.*unfitted"):
        clf.set_params(teacher__C=2.0)


def test_parameters_of_an_unfitted_teacher_can_be_searched(data):
    clf = DistilledClassifier(LogisticRegression(), student(), random_state=0)

    search = GridSearchCV(clf, {"teacher__C": [0.01, 1.0]}, cv=2).fit(*data)

    best = search.best_estimator_
    assert search.best_params_ == {"teacher__C": best.teacher_.C}


def test_bagging_leaves_the_seed_of_a_fitted_teacher_alone(data):
    forest = RandomForestClassifier(5, max_depth=3).fit(*data)
    clf = DistilledClassifier(forest, student())

    BaggingClassifier(clf, n_estimators=2, random_state=0).fit(*data)

    assert forest.random_state is None


# Classes under meta-estimators, which hand over codes for string labels


NAMES = np.array(["elm", "fir", "oak"])


def unsorted_torch_teacher(X, y):
    fitted, order = LogisticRegression().fit(X, y), [2, 0, 1]
    return TorchTeacher(
        lambda rows: fitted.predict_proba(rows)[:, order], NAMES[order], output="proba"
    )


@pytest.mark.parametrize(
    ("make_teacher", "classes"),
    [
        pytest.param(
            lambda X, y: LogisticRegression().fit(X, y), None, id="by its classes_"
        ),
        pytest.param(
            lambda X, y: TorchTeacher(
                LogisticRegression().fit(X, y).predict_proba, NAMES, output="proba"
            ),
            None,
            id="TorchTeacher",
        ),
        pytest.param(
            unsorted_torch_teacher,
            None,
            id="TorchTeacher with unsorted classes",
        ),
        pytest.param(
            lambda X, y: WithoutFit(LogisticRegression().fit(X, y)),
            NAMES,
            id="by classes=",
        ),
        pytest.param(lambda X, y: LogisticRegression(), NAMES, id="unfitted"),
    ],
)
def test_codes_from_a_voting_classifier_find_their_columns(make_teacher, classes, data):
    X, codes = data
    y = NAMES[codes]
    clf = DistilledClassifier(
        make_teacher(X, y), student(), classes=classes, alpha=1.0, random_state=0
    )

    voting = VotingClassifier([("student", clf)], voting="soft").fit(X, y)

    assert voting.score(X, y) > 0.6
    assert voting.predict_proba(X).shape == (len(X), 3)


def test_bool_labels_keep_their_type_through_a_teacher(data):
    X, codes = data
    y = codes == 1
    teacher = LogisticRegression().fit(X, y)

    clf = DistilledClassifier(teacher, student(), random_state=0).fit(X, y)

    assert clf.predict(X).dtype == bool


# TorchTeacher by itself


def test_logits_become_probabilities(data):
    X, _ = data
    module = linear_module()
    teacher = TorchTeacher(module, classes=[0, 1, 2])
    logits = module(torch.tensor(X)).detach().double().numpy()

    assert_allclose(teacher.predict_proba(X), softmax(logits, axis=1), rtol=1e-6)
    assert_allclose(
        teacher.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-6
    )
    assert teacher.predict_proba(X).dtype == np.float64
    assert teacher.predict_log_proba(X).dtype == np.float64


def test_probabilities_pass_unchanged_and_have_no_logits(data):
    X, _ = data
    module = nn.Sequential(linear_module(), nn.Softmax(dim=1))
    teacher = TorchTeacher(module, classes=[0, 1, 2], output="proba")

    assert_allclose(
        teacher.predict_proba(X), module(torch.tensor(X)).detach(), rtol=1e-6
    )
    assert not teacher.gives_logits


def test_predict_names_labels_in_the_order_of_the_columns():
    teacher = TorchTeacher(nn.Identity(), classes=["dog", "cat"])

    predicted = teacher.predict(np.array([[1.0, 3.0], [2.0, 1.0]]))

    assert predicted.tolist() == ["cat", "dog"]
    assert teacher.classes_.tolist() == ["dog", "cat"]


def test_logits_far_apart_survive_unclipped():
    teacher = TorchTeacher(nn.Identity(), classes=[0, 1])

    logits = teacher.predict_log_proba(np.array([[0.0, 500.0]]))

    assert_allclose(logits, [[-500.0, 0.0]])


def test_first_item_of_a_tuple_counts(data):
    X, _ = data

    class Two(nn.Module):
        def forward(self, X):
            return X[:, :3], X.sum()

    teacher = TorchTeacher(Two(), classes=[0, 1, 2])

    assert_allclose(teacher.predict_proba(X), softmax(X[:, :3], axis=1), rtol=1e-5)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, np.ndarray.tolist])
def test_callable_may_return_array_tensor_or_lists(make):
    teacher = TorchTeacher(lambda X: make(np.full((len(X), 2), 0.5)), ["a", "b"])

    assert_array_equal(teacher.predict_proba(np.zeros((3, 1))), np.full((3, 2), 0.5))


def test_callable_sees_the_rows_just_as_they_came():
    seen = []

    def ask(X):
        seen.append(X)
        return np.zeros((len(X), 2))

    X = np.array([["red", 1], ["blue", 2]], dtype=object)
    TorchTeacher(ask, classes=[0, 1]).predict_proba(X)

    assert isinstance(seen[0], np.ndarray)
    assert_array_equal(seen[0], X)
    assert seen[0].dtype == object


def test_callable_with_gradients_is_detached():
    weight = torch.ones(2, requires_grad=True)
    teacher = TorchTeacher(lambda X: torch.tensor(X) * weight, classes=[0, 1])

    assert_allclose(teacher.predict_proba(np.zeros((1, 2))), [[0.5, 0.5]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_module_gets_rows_in_its_own_dtype(dtype, data):
    X, _ = data
    spy = Spy().to(dtype)

    proba = TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(X)

    assert spy.inputs[0].dtype == dtype
    assert proba.dtype == np.float64


def test_module_without_parameters_gets_float32():
    seen = []

    class Same(nn.Module):
        def forward(self, X):
            seen.append(X.dtype)
            return X

    TorchTeacher(Same(), classes=[0, 1]).predict_proba(np.zeros((1, 2), dtype=int))

    assert seen == [torch.float32]


def test_module_is_asked_in_evaluation_mode_without_gradients(data):
    X, _ = data
    spy = Spy()
    mean = spy.norm.running_mean.clone()

    TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(X)

    assert spy.modes == [[False] * 4]
    assert spy.grads == [False]
    assert all(parameter.grad is None for parameter in spy.parameters())
    assert torch.equal(spy.norm.running_mean, mean)


@pytest.mark.parametrize("frozen_norm", [True, False])
def test_training_mode_of_each_part_is_restored(frozen_norm, data):
    X, _ = data
    spy = Spy().train()
    spy.norm.train(not frozen_norm)
    before = [part.training for part in spy.modules()]

    TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(X)

    assert [part.training for part in spy.modules()] == before


def test_training_mode_is_restored_after_an_error():
    spy = Spy().train()

    with pytest.raises(RuntimeError):
        TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(np.zeros((2, 5)))

    assert all(part.training for part in spy.modules())


def test_batches_bound_what_the_module_sees_and_change_nothing(data):
    X, _ = data
    spy = Spy()
    whole = TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(X)
    spy.inputs.clear()

    teacher = TorchTeacher(spy, classes=[0, 1, 2], batch_size=50)

    assert_allclose(teacher.predict_proba(X), whole, rtol=1e-6)
    assert [len(batch) for batch in spy.inputs] == [50, 50, 20]


def test_callable_is_asked_in_batches():
    sizes = []

    def ask(X):
        sizes.append(len(X))
        return np.zeros((len(X), 2))

    TorchTeacher(ask, classes=[0, 1], batch_size=4).predict_proba(np.zeros((10, 1)))

    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(nn.Linear(4, 2), id="too narrow"),
        pytest.param(nn.Linear(4, 1), id="one column"),
        pytest.param(lambda X: np.zeros(len(X)), id="one dimension"),
        pytest.param(lambda X: np.zeros((len(X) + 1, 3)), id="too many rows"),
        pytest.param(lambda X: np.zeros((len(X), 3, 1)), id="three dimensions"),
    ],
)
def test_outputs_of_another_shape_are_refused(module):
    teacher = TorchTeacher(module, classes=[0, 1, 2])

    with pytest.raises(ValueError, match=r"returned shape .* \(5, 3\): check classes="):
        teacher.predict_proba(np.zeros((5, 4), dtype=np.float32))


def test_unknown_output_is_refused():
    teacher = TorchTeacher(nn.Identity(), classes=[0, 1], output="odds")

    with pytest.raises(ValueError, match=r"output must be 'logits' or 'proba'.*'odds'"):
        teacher.predict_proba(np.zeros((1, 2)))


def test_clone_is_the_same_object_with_the_same_module():
    teacher = TorchTeacher(nn.Linear(2, 2), classes=[0, 1])

    assert clone(teacher) is teacher


def test_it_counts_as_fitted_and_fit_changes_nothing():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    teacher = TorchTeacher(module, classes=[0, 1])

    check_is_fitted(teacher)

    assert teacher.fit(np.zeros((3, 2)), [0, 1, 0]) is teacher
    assert torch.equal(module.weight, before)


def test_images_keep_their_shape():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))

    proba = TorchTeacher(module, classes=[0, 1]).predict_proba(np.zeros((5, 3, 2, 2)))

    assert proba.shape == (5, 2)


@pytest.mark.usefixtures("always_warn")
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda X: X[::-1], id="reversed"),
        pytest.param(lambda X: X[::2], id="strided"),
        pytest.param(np.asfortranarray, id="in Fortran order"),
        pytest.param(lambda X: pd.DataFrame(X), id="frame"),
        pytest.param(np.ndarray.tolist, id="lists"),
    ],
)
def test_module_takes_rows_in_any_layout(view, data):
    X, _ = data
    teacher = TorchTeacher(linear_module(), classes=[0, 1, 2])

    rows = view(X)

    plain = np.ascontiguousarray(rows, dtype=np.float32)
    assert_allclose(
        teacher.predict_proba(rows), teacher.predict_proba(plain), rtol=1e-6
    )


@pytest.mark.usefixtures("always_warn")
def test_read_only_rows_do_not_warn(data):
    # joblib hands large arrays to its workers as read-only memory maps.
    X = data[0].copy()
    X.setflags(write=False)

    proba = TorchTeacher(linear_module(), classes=[0, 1, 2]).predict_proba(X)

    assert proba.shape == (len(X), 3)


class TwoAtOnce(nn.Module):
    """Lets a second thread ask while it is being asked, as far as that is let in."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)
        self.modes, self.teacher, self.second = [], None, None
        self.inside, self.first_is_done = threading.Event(), threading.Event()

    def forward(self, X):
        if self.second is None:
            self.second = threading.Thread(
                target=self.teacher.predict_proba, args=[X.numpy()]
            )
            self.second.start()
            self.inside.wait(timeout=0.1)  # as long as it may, if it is kept out
        else:
            self.inside.set()
            self.first_is_done.wait(timeout=10)
        self.modes.append(self.training)
        return self.out(X)


def test_a_module_is_asked_by_one_thread_at_a_time(data):
    module = TwoAtOnce().train()
    module.teacher = TorchTeacher(module, [0, 1, 2])
    module.teacher.predict_proba(data[0])
    module.first_is_done.set()
    module.second.join()
    assert module.modes == [False, False]
    assert module.training
