"""Searches that train together, held against scikit-learn's own."""

import contextlib
import io
import pickle
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from skorch.dataset import ValidSplit
from torch.optim.lr_scheduler import StepLR

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from skdistill._training import _train
from skdistill.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from skdistill.schedules import LinearSchedule
from tests.conftest import FittedTeacher, TinyModule, tiny_net

GRID = {"temperature": [1.0, 8.0], "alpha": [0.0, 1.0]}


def distilled(teacher, student=None, **params):
    student = tiny_net(max_epochs=3, batch_size=16) if student is None else student
    defaults = {"random_state": 0, "augmenter": None}
    return DistilledClassifier(teacher, student, **defaults | params)


def small_student(**params):
    defaults = {"hidden_layer_sizes": (8,), "max_epochs": 3, "batch_size": 16}
    return make_student(**defaults | params)


@pytest.fixture
def stacks(monkeypatch):
    """Return the numbers of nets that are trained together, as a search goes on."""
    sizes = []

    def run(lessons, run=_train.run):
        if len(lessons) > 1:
            sizes.append(len(lessons))
        run(lessons)

    monkeypatch.setattr(_train, "run", run)
    return sizes


def both(estimator, grid, data, fit_params=None, own=GridSearchCV, **options):
    """Return the scores by our search and by scikit-learn's search of that name."""
    options = {"scoring": "neg_log_loss", "error_score": "raise"} | options
    options = {"cv": 2, "refit": False} | options
    theirs = getattr(model_selection, own.__name__)
    return [
        search(estimator, grid, **options).fit(*data, **fit_params or {}).cv_results_
        for search in (own, theirs)
    ]


def assert_same_scores(own, theirs):
    names = [name for name in theirs if "test_score" in name and "rank" not in name]
    for name in names:
        assert_allclose(own[name], theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert own["params"] == theirs["params"]
    assert own.keys() == theirs.keys()


class Falling(Callback):
    """Lowers the learning rate."""

    def on_epoch_end(self, net, **kwargs):
        net.optimizer_.param_groups[0]["lr"] /= 10


NETS = {
    "net": tiny_net(max_epochs=3, batch_size=16),
    "validating": tiny_net(
        max_epochs=3, batch_size=16, train_split=ValidSplit(4, stratified=True)
    ),
    "early stopping": small_student(early_stopping=True),
    "one batch": tiny_net(max_epochs=3, batch_size=-1),
    "in order": tiny_net(
        max_epochs=3,
        batch_size=16,
        iterator_train__shuffle=False,
        iterator_train__drop_last=True,
    ),
    "momentum": tiny_net(
        max_epochs=3,
        batch_size=16,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.01,
    ),
    "piecewise": small_student(numeric="piecewise"),
    "periodic": small_student(numeric="periodic", activation="tanh"),
}


COMPLEX = ("validating", "early stopping")


@pytest.mark.parametrize("net", NETS)
def test_scores_are_those_of_scikit_learn(net, data, forest, stacks):
    own, theirs = both(distilled(forest, NETS[net]), GRID, data)
    assert_same_scores(own, theirs)
    # Of 4 fits on each fold, those with alpha = 0 are equal at all temperatures. Nets
    # that stop early are not compared.
    assert sum(stacks) == (8 if net in COMPLEX else 6)
    assert max(stacks) >= 3


@pytest.mark.parametrize(
    "grid",
    [
        {"random_state": [0, 1, 2]},
        {"student__lr": [0.01, 0.1], "temperature": [1.0, 2.0]},
        {"student__optimizer__weight_decay": [0.0, 0.1]},
        {"loss": ["kl", [("kl", 0.2)]]},
        {"temperature": [1.0, LinearSchedule(4.0, 1.0)], "alpha": [0.2, 0.8]},
        {"proba_clip": [1e-1, 1e-3]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_candidates_share_steps_that_differ_in(grid, data, forest, stacks):
    own, theirs = both(distilled(forest), grid, data)
    assert_same_scores(own, theirs)
    n_fits = 2 * len(theirs["params"])
    assert sum(stacks) == n_fits
    assert len(stacks) < n_fits / 2


def test_candidates_that_cannot_share_a_step_are_in_stacks_of_their_own(
    data, forest, stacks
):
    grid = {"student__module__n_hidden": [4, 8], "student__batch_size": [16, 32]}
    assert_same_scores(*both(distilled(forest), grid, data))
    assert sorted(stacks) == [2, 2, 2, 2]


def test_folds_of_unequal_size_are_in_stacks_of_their_own(data, forest, stacks):
    X, y = data[0][:-1], data[1][:-1]
    grid = {"temperature": [1.0, 2.0]}
    cv = model_selection.KFold(3)
    assert_same_scores(*both(distilled(forest), grid, (X, y), cv=cv))
    assert sorted(stacks) == [2, 4]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), distilled(LogisticRegression())),
        make_pipeline(
            StandardScaler(), distilled(LogisticRegression(), soft_labels="out_of_fold")
        ),
        make_pipeline(
            distilled(LogisticRegression(), small_student(numeric="piecewise"), cv=3)
        ),
    ],
    ids=["in-sample", "out-of-fold", "default student"],
)
def test_pipelines_with_unfitted_teachers_train_together(estimator, data, stacks):
    grid = {"distilledclassifier__temperature": [1.0, 2.0]}
    assert_same_scores(*both(estimator, grid, data))
    assert len(stacks) == 1


def test_sample_weights_go_with_their_rows(data, forest, stacks):
    params = {"sample_weight": np.random.default_rng(0).uniform(size=len(data[1]))}
    grid = {"temperature": [1.0, 2.0]}
    assert_same_scores(*both(distilled(forest), grid, data, fit_params=params))
    assert stacks == [4]


def test_several_metrics_and_training_scores(data, forest):
    options = {
        "scoring": ["accuracy", "neg_log_loss"],
        "refit": "neg_log_loss",
        "return_train_score": True,
    }
    own, theirs = both(distilled(forest), GRID, data, **options)
    assert_same_scores(own, theirs)
    assert_array_equal(own["rank_test_accuracy"], theirs["rank_test_accuracy"])


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (RandomizedSearchCV, {"n_iter": 3, "random_state": 0}),
        (HalvingGridSearchCV, {"min_resources": 30, "random_state": 0}),
    ],
)
def test_other_searches_train_together(search, options, data, forest, stacks):
    grid = {"temperature": [1.0, 2.0, 3.0]}
    own, theirs = both(distilled(forest), grid, data, own=search, **options)
    assert_same_scores(own, theirs)
    assert max(stacks) >= 3


def test_refit_is_an_ordinary_fit_that_can_be_pickled(data, forest):
    X, y = data
    search = GridSearchCV(distilled(forest), GRID, cv=2).fit(X, y)
    by_itself = clone(search.best_estimator_).fit(X, y)
    expected = by_itself.predict_proba(X)
    assert_array_equal(search.predict_proba(X), expected)
    assert "train_loss" in search.best_estimator_.history_[-1]
    loaded = pickle.loads(pickle.dumps(search))
    assert_array_equal(loaded.predict_proba(X), expected)


class Counting(FittedTeacher):
    """Counts how often it is asked."""

    asked = 0

    def predict_proba(self, X):
        type(self).asked += 1
        return np.full((len(X), 3), 1 / 3)


@pytest.mark.filterwarnings("ignore:SKD10[13]")
def test_teacher_is_asked_once_for_each_fold(data):
    teacher = type("Mine", (Counting,), {})()
    GridSearchCV(distilled(teacher), GRID, cv=2, refit=False).fit(*data)
    assert type(teacher).asked == 2


def test_teacher_is_summed_once_for_each_search(data, forest, monkeypatch):
    summed = []

    tree_class = type(forest.estimators_[0])
    own = tree_class.__getstate__

    def getstate(tree):
        summed.append(tree)
        return own(tree)

    monkeypatch.setattr(tree_class, "__getstate__", getstate)
    GridSearchCV(distilled(forest), GRID, cv=2, refit=False).fit(*data)
    assert len([tree for tree in summed if hasattr(tree, "tree_")]) == 10


def test_ctrl_c_ends_the_search_and_the_next_one_works(data, forest, monkeypatch):
    def interrupted(lessons):
        raise KeyboardInterrupt

    search = GridSearchCV(distilled(forest), GRID, cv=2)
    with monkeypatch.context() as patch:
        patch.setattr(_train, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.fit(*data)
    assert not hasattr(search.fit(*data).estimator, "student_")


class Here(LogisticRegression):
    """Is fitted in the thread of the search."""

    def fit(self, X, y):
        assert threading.current_thread() is threading.main_thread()
        return super().fit(X, y)


def test_a_search_needs_no_threads(data):
    grid = {"alpha": [0.2, 0.8]}
    GridSearchCV(distilled(Here()), grid, cv=2, error_score="raise").fit(*data)


class Recording(DistilledClassifier):
    """Keeps the warnings of its fit, and what it prints."""

    def fit(self, X, y, **params):
        with (
            warnings.catch_warnings(record=True) as found,
            contextlib.redirect_stdout(io.StringIO()) as out,
        ):
            warnings.simplefilter("always")
            warnings.warn(f"alpha {self.alpha}", stacklevel=1)
            print(f"alpha {self.alpha}")
            super().fit(X, y, **params)
        self.found_ = [str(w.message) for w in found if "alpha" in str(w.message)]
        self.found_ += [line for line in out.getvalue().splitlines() if "alpha" in line]
        return self


Recording.__init__ = DistilledClassifier.__init__


def recorded(estimator, X, y):
    return float(estimator.found_ == 2 * [f"alpha {estimator.alpha}"])


class Cluster(ThreadingBackend):
    """Uses both of its workers where nobody says how many, as Dask does."""

    default_n_jobs = 2


def test_a_cluster_trains_on_its_workers(data, forest, monkeypatch):
    train_all, numbers = _train._train_all, []

    def counted(lessons, n_jobs, bar):
        numbers.append(n_jobs)
        train_all(lessons, None, bar)

    monkeypatch.setattr(_train, "_train_all", counted)
    search = GridSearchCV(distilled(forest), {"alpha": [0.2, 1.0]}, cv=2, refit=False)
    for n_jobs, found in ((None, 2), (1, 1)):
        numbers.clear()
        with parallel_config(Cluster()):
            search.set_params(n_jobs=n_jobs).fit(*data)
        assert set(numbers) == {found}


def test_fits_that_record_warnings_leave_the_process_as_it_was(data, forest):
    net = tiny_net(max_epochs=2, batch_size=16)
    clf = Recording(forest, net, random_state=0)
    before = sys.stdout, warnings.showwarning, list(warnings.filters)
    search = GridSearchCV(clf, {"alpha": [0.4, 0.5, 0.9]}, scoring=recorded, cv=2)
    search.fit(*data)
    assert_array_equal(search.cv_results_["mean_test_score"], 1.0)
    assert (sys.stdout, warnings.showwarning, warnings.filters) == before


class Predicting(DistilledClassifier):
    """Asks its student at the end of its fit."""

    def fit(self, X, y, **params):
        super().fit(X, y, **params)
        self.sure_ = self.predict_proba(X).max(axis=1).mean()
        return self


Predicting.__init__ = DistilledClassifier.__init__


def surest(estimator, X, y):
    return estimator.sure_


def test_a_student_that_its_fit_asks_is_trained_first(data, forest):
    clf = Predicting(forest, NETS["net"], augmenter=None, random_state=0)
    own, theirs = both(clf, {"alpha": [0.2, 0.9]}, data, scoring=surest)
    assert_same_scores(own, theirs)


def test_what_has_no_student_is_fitted_once_for_each_candidate_and_fold(
    data, count_calls
):
    calls = count_calls(LogisticRegression, "fit")
    own, theirs = both(LogisticRegression(), {"C": [0.1, 1.0]}, data)
    assert_same_scores(own, theirs)
    assert calls["fit"] == 4 + 4


def test_scorers_see_the_estimator_as_it_is(data, forest):
    def untouched(estimator, X, y):
        return float(not vars(estimator).keys() & {"fit", "set_params"})

    search = GridSearchCV(distilled(forest), GRID, scoring=untouched, cv=2)
    assert_array_equal(search.fit(*data).cv_results_["mean_test_score"], 1.0)
    assert (search.cv_results_["mean_fit_time"] > 0).all()


class WithDropout(TinyModule):
    def __init__(self, n_features=2, n_classes=2):
        super().__init__(n_features, n_classes)
        self.append(torch.nn.Dropout(0.3))


class WithStatistics(TinyModule):
    def __init__(self, n_features=2, n_classes=2):
        super().__init__(n_features, n_classes)
        self.append(torch.nn.BatchNorm1d(n_classes))


# The learning rate follows the other batch size.
OTHER_BATCHES = small_student().set_params(net__iterator_train__batch_size=8)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"relation_loss": "rkd"}, "compares features"),
        ({"loss": "jsd"}, "loss is not 'kl'"),
        ({"net": {"callbacks": [GradientNormClipping(1.0)]}}, "callback looks at each"),
        ({"net": {"callbacks": [Falling()]}}, "callback .* may set its learning rate"),
        (
            {"net": {"callbacks": [LRScheduler(StepLR, step_size=1)]}},
            "callback .* may set its learning rate",
        ),
        ({"net": {"module": WithDropout}}, "is random"),
        ({"net": {"module": WithStatistics}}, "statistics"),
        ({"net": {"optimizer": torch.optim.Adafactor}}, "optimizer"),
        ({"net": {"warm_start": True}}, "warm_start"),
        ({"net": {"iterator_train__num_workers": 1}}, "batches in its own way"),
        ({"student": OTHER_BATCHES}, "batches in its own way"),
    ],
    ids=lambda params: str(params)[:40],
)
def test_others_are_trained_one_by_one(params, reason, data, forest, stacks):
    if "net" in params:
        net = tiny_net(**{"max_epochs": 2, "batch_size": 32} | params.pop("net"))
        params = params | {"student": net}
    estimator = distilled(forest, **params)
    with pytest.warns(UserWarning, match=f"4 of the fits .* one by one: .*{reason}"):
        own, theirs = both(estimator, {"temperature": [1.0, 2.0]}, data)
    assert_same_scores(own, theirs)
    assert stacks == []


def test_students_of_quantiles_are_trained_one_by_one(data):
    X, y = data[0], data[0][:, 0]
    net = make_student((4,), task="regression", max_epochs=2)
    reg = DistilledRegressor(None, net, quantiles=[0.5], alpha=0.5, augmenter=None)
    search = GridSearchCV(reg, {"student__net__lr": [0.01, 0.02]}, cv=2)
    with pytest.warns(UserWarning, match=r"4 of the fits .*of another loss, as with q"):
        search.fit(X, y, teacher_pred=y)


@pytest.mark.filterwarnings("ignore:(\n.*fits failed|One or more of the test)")
def test_a_candidate_that_diverges_leaves_the_others_alone(data, forest):
    grid = {"student__lr": [0.01, 1e30]}
    search = GridSearchCV(distilled(forest), grid, cv=2, scoring="neg_log_loss")
    scores = search.fit(*data).cv_results_["mean_test_score"]
    assert np.isnan(scores[1])
    alone = search.set_params(param_grid={"student__lr": [0.01]}).fit(*data)
    assert_allclose(scores[0], alone.cv_results_["mean_test_score"][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"student__lr": [0.01, 1e30]}, "not finite in epoch 1"),
        ({"temprature": [1.0]}, "'temprature'"),
    ],
    ids=["training", "parameter"],
)
def test_errors_are_raised_if_asked_for(grid, message, data, forest):
    search = GridSearchCV(distilled(forest), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=message):
        search.fit(*data)


def test_warnings_name_the_line_of_the_search(data):
    teacher = type("Useless", (Counting,), {})()
    with pytest.warns(UserWarning, match="the teacher") as caught:
        GridSearchCV(distilled(teacher), {"alpha": [0.5]}, cv=2).fit(*data)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.filterwarnings("ignore")  # of scikit-learn, about what a check passes
@parametrize_with_checks([GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)])
def test_searches_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_students_of_several_labels_are_trained_together(stacks):
    X, y = make_multilabel_classification(60, 4, n_classes=3, random_state=0)
    teacher = RandomForestClassifier(5, min_samples_leaf=3, random_state=0).fit(X, y)
    clf = distilled(teacher, small_student(task="multilabel"))
    own, theirs = both(clf, GRID, (X, y), scoring="average_precision")
    assert_same_scores(own, theirs)
    assert sum(stacks) == 6


@pytest.mark.parametrize(
    "class_weight",
    [
        [None, "balanced", [{1: 9}, {}, {0: 9}]],
        [[{1: 9}, {}, {0: 9}], None],
        # The mean over the labels of a row is the same.
        [[{0: 9, 1: 9}, {}, {}], [{}, {}, {0: 9, 1: 9}]],
    ],
    ids=["none first", "none last", "equal means"],
)
def test_each_candidate_has_its_own_weights_of_labels(class_weight, stacks):
    X, y = make_multilabel_classification(60, 4, n_classes=3, random_state=0)
    teacher = RandomForestClassifier(5, min_samples_leaf=3, random_state=0).fit(X, y)
    clf = distilled(teacher, small_student(task="multilabel", max_epochs=9))
    grid = {"alpha": [0.0, 0.5], "class_weight": class_weight}
    assert_same_scores(*both(clf, grid, (X, y), scoring="roc_auc"))
    assert sum(stacks) == 4 * len(class_weight)


def test_counts_and_other_numbers_are_in_stacks_of_their_own(stacks):
    X, y = make_regression(60, 4, random_state=0)
    y = np.abs(y).round()
    teacher = RandomForestRegressor(5, random_state=0).fit(X, y)
    student = small_student(task="regression")
    reg = DistilledRegressor(teacher, student, augmenter=None, random_state=0)
    grid = {"loss": ["squared_error", "poisson"], "alpha": [0.2, 0.8]}
    assert_same_scores(*both(reg, grid, (X, y), scoring="r2"))
    assert sorted(stacks) == [4, 4]
