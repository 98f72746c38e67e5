from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_friedman1, make_multilabel_classification
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import d2_pinball_score, mean_pinball_loss, r2_score
from sklearn.metrics import root_mean_squared_error as rmse
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.svm import LinearSVC
from skorch.callbacks import Callback
from torch import nn

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TabularPreprocessor,
    make_student,
)
from skdistill._targets._labels import Labels
from skdistill._targets._numbers import Numbers
from skdistill.augmentation import MUNGE
from skdistill.inspection import _measures, compare
from tests.conftest import small_student, table, tiny_net
from tests.kinds import WithoutFit, net, small_forest, xgboost_classifier

MODELS = ["teacher", "labels alone", "student"]
SCORES = ["accuracy", "log_loss", "brier", "agreement"]
COSTS = ["bytes", "row_us", "batch_ms", "fit_s"]


class ZeroLinear(nn.Linear):
    """A linear model that starts from zero, and so depends on no seed."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


def seedless_net():
    """Return a net that learns the same with every seed."""
    return tiny_net(module=ZeroLinear, batch_size=-1, iterator_train__shuffle=False)


def distilled(teacher=None, student=None, **params):
    teacher = GaussianNB() if teacher is None else teacher
    student = tiny_net(max_epochs=3) if student is None else student
    defaults = {"augmenter": None, "random_state": 0}
    return DistilledClassifier(teacher, student, **defaults | params)


def scores(comparison, *models):
    return {
        (model, metric): comparison.results[model][metric].tolist()
        for model in models or MODELS
        for metric in SCORES
    }


@pytest.fixture(autouse=True)
def few_calls(monkeypatch, request):
    """Time few calls: what they take matters to the tests of times alone."""
    if "times" not in request.node.name:
        monkeypatch.setattr(_measures, "_ROW_CALLS", 1)
        monkeypatch.setattr(_measures, "_BATCH_CALLS", 1)


@pytest.fixture
def fits(monkeypatch):
    """Return a list of all DistilledClassifiers that are fitted from now on."""
    fitted = []

    def fit(self, *args, **kwargs):
        fitted.append(self)
        return original(self, *args, **kwargs)

    original = DistilledClassifier.fit
    monkeypatch.setattr(DistilledClassifier, "fit", fit)
    return fitted


def twins(fits):
    return [clf for clf in fits if clf.teacher is None]


# The scores


@pytest.mark.parametrize("cv", [3, KFold(4, shuffle=True, random_state=0)])
def test_scores_are_those_of_a_cross_validation(data, cv):
    teacher, clf = GaussianNB(), distilled(student=seedless_net())
    comparison = compare(clf, *data, cv=cv)
    results = comparison.results
    assert list(results) == MODELS
    for name, model in [("teacher", teacher), ("student", clf)]:
        scored = cross_validate(
            model, *data, cv=cv, scoring=["accuracy", "neg_log_loss"]
        )
        assert_allclose(results[name]["accuracy"], scored["test_accuracy"])
        assert_allclose(
            results[name]["log_loss"], -scored["test_neg_log_loss"], rtol=1e-5
        )
    taught, proba = (
        cross_val_predict(model, *data, cv=cv, method=method)
        for model, method in [(teacher, "predict"), (clf, "predict_proba")]
    )
    squares = ((proba - np.eye(3)[data[1]]) ** 2).sum(axis=1)
    agree = taught == proba.argmax(axis=1)
    splitter = StratifiedKFold(cv) if cv == 3 else cv
    n_splits = splitter.get_n_splits()
    assert_allclose(comparison.test_share, 1 / (n_splits - 1), rtol=0.01)
    for i, (_, test) in enumerate(splitter.split(*data)):
        assert_allclose(results["student"]["brier"][i], squares[test].mean())
        assert_allclose(results["student"]["agreement"][i], agree[test].mean())
    assert_array_equal(results["teacher"]["agreement"], 1)


def test_a_label_that_a_split_lacks_in_training_counts_as_wrong(data):
    X, y = data
    y = np.where(np.arange(90) == 80, 3, y)
    cv = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]
    for result in compare(distilled(), X, y, cv=cv).results.values():
        assert np.isfinite(result["log_loss"]).all()
        # log_loss takes 0 for the precision of float64, whose logarithm is -36.04.
        assert result["log_loss"][0] > 36.04 / 30
        assert result["accuracy"][0] <= 29 / 30


def test_frames_and_string_labels(frame):
    columns = table()
    y = frame({"y": columns["town"]})["y"]
    teacher = make_pipeline(TabularPreprocessor(), LogisticRegression())
    student = small_student(max_epochs=60)
    clf = distilled(teacher, student, augmenter=None)
    comparison = compare(clf, frame(columns), y, cv=2)
    assert_array_equal(comparison.results["teacher"]["accuracy"], 1)
    for result in comparison.results.values():
        assert min(result["accuracy"]) > 0.8


@pytest.mark.parametrize("models", [["teacher", "student"], ["labels alone"]])
def test_rows_without_weight_count_nowhere(data, models):
    X, y = data
    student = seedless_net().set_params(train_split=None, max_epochs=3)
    # Each third row has a wrong label, and no weight.
    wrong = np.arange(90) % 3 == 0
    spoiled = np.where(wrong, (y + 1) % 3, y)
    weight = np.where(wrong, 0.0, 2.0)
    cv = list(KFold(3).split(X))
    clf = distilled(student=student)
    if "labels alone" in models:  # the rows that it holds out depend on the labels
        clf.set_params(student__train_split=_first_half)
    given = compare(clf, X, spoiled, cv=cv, sample_weight=weight)
    truth = compare(clf, X, y, cv=cv, sample_weight=weight)
    unweighted = compare(clf, X, y, cv=cv)
    for model in models:
        for metric in SCORES:
            of_given, of_truth = (c.results[model][metric] for c in (given, truth))
            assert_allclose(of_given, of_truth, rtol=1e-5)
        assert scores(truth, model) != scores(unweighted, model)


def test_one_weight_for_all_rows_changes_no_score(data):
    given, expected = (
        compare(distilled(), *data, cv=2, sample_weight=weight).results
        for weight in (3.0, None)
    )
    for metric in SCORES:
        assert_allclose(given["student"][metric], expected["student"][metric])


def _first_half(dataset, y=None):
    half = len(dataset) // 2
    indices = range(half), range(half, len(dataset))
    return tuple(torch.utils.data.Subset(dataset, part) for part in indices)


def test_same_random_state_same_scores(data):
    clf = distilled()
    first = scores(compare(clf, *data, cv=2))
    assert scores(compare(clf, *data, cv=2)) == first
    open_clf = clone(clf).set_params(random_state=None)
    assert scores(compare(open_clf, *data, cv=2, random_state=0)) == first
    assert scores(compare(clf, *data, cv=2, random_state=1)) != first


def test_a_net_as_the_teacher_draws_from_the_seed_alone(data):
    X, y = data
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        clf = distilled(net(max_epochs=2), seedless_net(), alpha=1.0)
        found.append(scores(compare(clf, X.astype(np.float32), y, cv=2)))
    assert found[0] == found[1]


def test_each_split_has_a_seed_of_its_own(data):
    split = (np.arange(60), np.arange(60, 90))
    results = compare(distilled(), *data, cv=[split, split]).results
    assert np.ptp(results["student"]["log_loss"]) > 0


@pytest.mark.parametrize("regresses", [False, True])
def test_groups_are_passed_as_pairs(data, regresses):
    X, y = data
    clf = DistilledRegressor(LinearRegression()) if regresses else distilled()
    with pytest.raises(ValueError, match=r"(?s)'groups'.*list\(cv.split\(X, y, groups"):
        compare(clf, X, y, cv=GroupKFold(3))


# Teachers


METHODS = {
    "in_sample": ({"alpha": 0.7}, 1),
    "out_of_fold": ({"cv": 3}, 4),
    "out_of_bag": ({"soft_labels": "out_of_bag"}, 2),
    "measured": ({}, 1),  # no nets learn the labels beside this student
    "calibrated": (
        {"calibrate_teacher": "out_of_fold", "cv": 3, "soft_labels": "in_sample"},
        4,
    ),
}


@pytest.mark.parametrize("case", METHODS)
def test_a_teacher_is_fitted_once_in_a_split(data, count_calls, case):
    params, n_fits = METHODS[case]
    clf = distilled(small_forest(random_state=None), **params)
    calls = count_calls(RandomForestClassifier, "fit")
    first = compare(clf, *data, cv=2)
    assert calls["fit"] == 2 * n_fits
    # The soft labels are remembered, the teacher is not.
    assert scores(compare(clf, *data, cv=2)) == scores(first)
    assert calls["fit"] == 2 * n_fits + 2


def test_a_forest_with_open_seeds_is_the_one_that_the_student_learns_from(data, fits):
    clf = distilled(small_forest(random_state=None), soft_labels="out_of_bag")
    comparison = compare(clf, *data, cv=2)
    again = compare(clf.set_params(soft_labels="in_sample"), *data, cv=2)
    assert scores(comparison, "teacher") == scores(again, "teacher")


def test_a_fitted_teacher_is_used_as_it_is(data, forest, count_calls):
    calls = count_calls(RandomForestClassifier, "fit")
    comparison = compare(distilled(forest, alpha=0.5), *data, cv=2)
    assert not calls
    assert comparison.has_fitted_teacher
    assert np.isnan(comparison.results["teacher"]["fit_s"]).all()
    assert_allclose(
        comparison.results["teacher"]["accuracy"].mean(), forest.score(*data)
    )
    assert not compare(distilled(GaussianNB()), *data, cv=2).has_fitted_teacher
    assert np.isnan(comparison.alpha).all()  # it is given


@pytest.mark.parametrize("is_fitted", [False, True])
def test_it_is_told_whether_the_teacher_was_measured(data, is_fitted):
    teacher = GaussianNB().fit(*data) if is_fitted else GaussianNB()
    clf = DistilledClassifier(teacher, small_student(), random_state=0)
    comparison = compare(clf, *data, cv=2)
    assert comparison.alpha.shape == comparison.n_honest_rows.shape == (2,)
    assert (comparison.n_honest_rows == 0).all() == is_fitted
    assert ("is a guess" in comparison.verdict) == is_fitted


def test_teachers_are_averaged_by_their_weights(data):
    linear, bayes = LogisticRegression(), GaussianNB()
    clf = distilled([linear, bayes], teacher_weights=[0, 1])
    alone = compare(distilled(bayes), *data, cv=2)
    assert scores(compare(clf, *data, cv=2)) == scores(alone)
    clf.set_params(teacher_weights=None)
    assert scores(compare(clf, *data, cv=2), "teacher") != scores(alone, "teacher")


def test_teachers_with_open_seeds_differ(data):
    forest = small_forest(random_state=None)
    alone = compare(distilled(forest), *data, cv=2)
    both = compare(distilled([forest, forest]), *data, cv=2)
    assert scores(alone, "teacher") != scores(both, "teacher")


@pytest.mark.parametrize("others", [[], [GaussianNB()]], ids=["alone", "beside one"])
def test_classes_name_the_columns_of_a_fitted_teacher(data, others):
    X, y = data
    names = np.array(["b", "c", "a"])[y]
    encoder = LabelEncoder().fit(names)
    codes = GaussianNB().fit(X, encoder.transform(names))
    weights = [1.0, 0.0][: 1 + len(others)]
    clf = distilled(
        [WithoutFit(codes), *others], teacher_weights=weights, classes=encoder.classes_
    )
    results = compare(clf, X, names, cv=2).results
    score = codes.score(X, encoder.transform(names))
    assert_allclose(results["teacher"]["accuracy"].mean(), score)


class Framed(WithoutFit):
    """Names the columns of its answer, in an order of its own."""

    classes_ = np.arange(3)

    def predict_proba(self, X):
        return pd.DataFrame(super().predict_proba(X), columns=[0, 1, 2])[[2, 0, 1]]


def test_a_teacher_is_read_by_the_names_of_its_columns(data, forest):
    given, expected = (
        compare(distilled(teacher), *data, cv=2).results
        for teacher in (Framed(forest), forest)
    )
    for model in ("teacher", "student"):
        for metric in SCORES:
            assert_array_equal(given[model][metric], expected[model][metric])


@pytest.mark.parametrize("names", [["a", "b", "c"], [1, 2, 3]], ids=repr)
def test_a_teacher_that_takes_codes_alone_is_fitted_on_them(data, names):
    X, codes = data
    clf = distilled(xgboost_classifier(), seedless_net(), alpha=1.0)
    named, coded = (
        scores(compare(clf, X, y, cv=2)) for y in (np.take(names, codes), codes)
    )
    assert named == coded


def test_codes_stand_for_the_classes_of_a_fitted_teacher(data):
    X, codes = data
    teacher = GaussianNB().fit(X, np.array(["a", "b", "c"])[codes])
    results = compare(distilled(teacher), X, codes, cv=2).results
    score = (teacher.predict_proba(X).argmax(axis=1) == codes).mean()
    assert_allclose(results["teacher"]["accuracy"].mean(), score)


@pytest.mark.parametrize("method", ["in_sample", "out_of_bag"])
def test_classes_beyond_those_of_an_unfitted_teacher(data, method):
    forest = small_forest(n_estimators=30)
    clf = distilled(forest, classes=range(5), soft_labels=method)
    results = compare(clf, *data, cv=2).results
    assert results["teacher"]["accuracy"].min() > 0.6


# The net that learns from labels alone


def test_the_net_on_labels_depends_on_nothing_that_teaches_the_student(data):
    plain = compare(distilled(), *data, cv=2)
    taught = compare(
        distilled(
            LogisticRegression(),
            alpha=0.9,
            temperature=4.0,
            relation_loss="rkd",
            augmenter=MUNGE(n_copies=2),
            soft_labels="out_of_fold",
        ),
        *data,
        cv=2,
    )
    metrics = ["accuracy", "log_loss", "brier"]
    for metric in metrics:
        alone, same = (c.results["labels alone"][metric] for c in (plain, taught))
        assert_array_equal(alone, same)
        student, other = (c.results["student"][metric] for c in (plain, taught))
        assert (student != other).any()


@pytest.mark.parametrize(
    "student",
    [small_student(), small_student(numeric="piecewise"), tiny_net(max_epochs=2)],
)
def test_the_net_on_labels_has_the_shape_of_the_student(data, fits, student):
    compare(distilled(student=student), *data, cv=2)

    def shapes(clf):
        net = clf.student_[-1] if hasattr(clf.student_, "steps") else clf.student_
        return [p.shape for p in net.module_.parameters()]

    students = [clf for clf in fits if clf.teacher is not None]
    for twin, taught in zip(twins(fits), students, strict=True):
        assert "train_loss_soft" not in twin.history_[-1]
        assert shapes(twin) == shapes(taught)


class Wreck(Callback):
    """Sets all weights to zero in the last epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == net.max_epochs:
            for parameter in net.module_.parameters():
                parameter.data.zero_()


def test_the_net_on_labels_keeps_its_best_epoch(data, fits):
    student = tiny_net(callbacks=[Wreck()], lr=0.05, max_epochs=20)
    results = compare(distilled(student=student), *data, cv=2).results
    assert results["labels alone"]["accuracy"].min() > 0.6
    assert results["student"]["accuracy"].max() < 0.5
    for clf in twins(fits):  # the callbacks of the student are its own, too
        assert clf.history_[-1, "valid_loss"] > np.log(3) - 0.1


def test_the_net_on_labels_waits_for_a_better_epoch(data, fits):
    compare(distilled(student=tiny_net(lr=1e-12, max_epochs=35)), *data, cv=2)
    assert [len(clf.history_) for clf in twins(fits)] == [31, 31]


def _n_trained(clf):
    batches = clf.student_.history[0]["batches"]
    return sum(batch.get("train_batch_size", 0) for batch in batches)


@pytest.mark.parametrize(
    ("change", "own", "n_trained"),
    [
        (lambda y: y, None, 60 - 9),
        (lambda y: np.arange(90) % 14, None, 60 - 9),  # too many classes to stratify
        (lambda y: np.r_[20, y[1:]], None, 60 - 9),  # a class of one row
        (lambda y: y, _first_half, 30),
    ],
)
def test_the_net_on_labels_holds_rows_out(data, fits, change, own, n_trained):
    X, y = data
    student = tiny_net(callbacks="disable", train_split=own, max_epochs=1)
    cv = [(np.arange(60), np.arange(60, 90))] * 2
    compare(distilled(student=student), X, change(y), cv=cv)
    assert [_n_trained(clf) for clf in twins(fits)] == [n_trained] * 2
    others = [_n_trained(clf) for clf in fits if clf.teacher is not None]
    assert others == [60 if own is None else 30] * 2


# What models cost


def test_bytes_are_those_of_a_file(data, forest, tmp_path):
    path = tmp_path / "forest.joblib"
    joblib.dump(forest, path)
    results = compare(distilled(forest), *data, cv=2).results
    assert_array_equal(results["teacher"]["bytes"], path.stat().st_size)
    assert (results["student"]["bytes"] < 2e4).all()
    both = compare(distilled([forest, forest.estimators_[0]]), *data, cv=2).results
    assert (both["teacher"]["bytes"] > results["teacher"]["bytes"]).all()


def test_what_cannot_be_pickled_has_no_size(data):
    teacher = WithoutFit(GaussianNB().fit(*data))
    teacher.classes_, teacher.handle = np.arange(3), lambda: None
    comparison = compare(distilled(teacher), *data, cv=2)
    assert np.isnan(comparison.results["teacher"]["bytes"]).all()
    assert "file" not in comparison.verdict


class Noting(WithoutFit):
    """Notes how many rows it is asked for."""

    classes_ = np.arange(3)
    sizes = Counter()

    def predict_proba(self, X):
        self.sizes[len(X)] += 1
        return super().predict_proba(X)


def test_times_are_those_of_single_rows_and_of_a_thousand(data):
    Noting.sizes.clear()
    compare(distilled(Noting(GaussianNB().fit(*data))), *data, cv=2)
    # The first of each is not timed.
    assert Noting.sizes[1] == 2 * 21
    assert Noting.sizes[1000] == 2 * 6


def test_times_are_measured(data):
    results = compare(distilled(), *data, cv=2).results
    for result in results.values():
        assert list(result) == [*SCORES, *COSTS]
        assert (result["row_us"] > 1).all()
        # A batch takes longer than a row, and less time than its rows one by one.
        assert (result["batch_ms"] * 1e3 > result["row_us"]).all()
        assert (result["batch_ms"] < result["row_us"]).all()
        assert (result["fit_s"] > 0).all()
    student, teacher = (results[name]["fit_s"] for name in ("student", "teacher"))
    assert (student > teacher).all()


# Pipelines


def test_steps_in_front_belong_to_all_models(data):
    teacher, best = LogisticRegression(), SelectKBest(k=2)
    clf = distilled(teacher, seedless_net())
    model = make_pipeline("passthrough", make_pipeline(best, clf))
    results = compare(model, *data, cv=3).results
    for name, one in [("teacher", make_pipeline(best, teacher)), ("student", model)]:
        expected = cross_validate(one, *data, cv=3)["test_score"]
        assert_allclose(results[name]["accuracy"], expected)
    bare = compare(clf, *data, cv=3).results
    for name in MODELS:
        assert (results[name]["bytes"] > bare[name]["bytes"] + 100).all()
    assert not hasattr(best, "scores_")


# What is refused


def loaded(data, folder):
    joblib.dump(distilled().fit(*data), folder / "clf.joblib")
    return joblib.load(folder / "clf.joblib")


@pytest.mark.parametrize(
    ("clf", "params", "error", "message"),
    [
        (
            GaussianNB(),
            {},
            TypeError,
            "takes a DistilledClassifier or .*got GaussianNB",
        ),
        (
            GridSearchCV(distilled(), {}),
            {},
            TypeError,
            "Of a fitted search, pass its best_estimator_",
        ),
        (make_pipeline(GaussianNB()), {}, TypeError, "got GaussianNB"),
        (DistilledClassifier(), {}, ValueError, "has none: set_params"),
        (loaded, {}, ValueError, "has none: set_params"),
        (distilled(LinearSVC()), {}, TypeError, "CalibratedClassifierCV"),
        (distilled(), {"cv": ShuffleSplit(1)}, ValueError, "at least 2 splits.*has 1"),
        (distilled(), {"cv": "five"}, ValueError, "The 'cv' parameter of compare"),
        (distilled(), {"y": None}, ValueError, "The 'y' parameter of compare"),
        (distilled(), {"y": np.zeros(9)}, ValueError, "inconsistent numbers"),
        (distilled(), {"n_jobs": 1.5}, ValueError, "The 'n_jobs' parameter"),
        (distilled(), {"sample_weight": [-1] * 90}, ValueError, "[Nn]egative"),
    ],
)
def test_what_is_refused(data, tmp_path, fits, clf, params, error, message):
    if clf is loaded:
        clf = loaded(data, tmp_path)
    n_fits = len(fits)
    X, y = data
    with pytest.raises(error, match=message):
        compare(clf, **{"X": X, "y": y} | params)
    assert len(fits) == n_fits


class Sine(LinearRegression):
    def predict(self, X):
        return np.sin(9 * X[:, 0])


def test_regressors_are_compared_by_their_errors():
    X, y = make_friedman1(120, 5, noise=0.5, random_state=0)
    student = make_student((8,), task="regression", max_epochs=5)
    teachers = [LinearRegression(), KNeighborsRegressor()]
    reg = DistilledRegressor(
        teachers, student, teacher_weights=[1, 3], augmenter=None, random_state=0
    )
    result = compare(reg, X, y, cv=3)
    costs = ("bytes", "row_us", "batch_ms", "fit_s")
    assert result.metrics == ("r2", "rmse", "rmse_to_teacher", *costs)
    folds = Numbers().folds(3, X, y)
    expected = []
    for train, test in folds:
        fitted = [clone(teacher).fit(X[train], y[train]) for teacher in teachers]
        pred = np.average([one.predict(X[test]) for one in fitted], 0, weights=[1, 3])
        expected.append([r2_score(y[test], pred), rmse(y[test], pred), 0.0])
    for name, values in zip(result.metrics, np.transpose(expected), strict=False):
        assert_allclose(result.results["teacher"][name], values, atol=1e-12)
    assert "error (rmse) of the teacher is" in " ".join(str(result).split())
    assert result.to_frame().loc["student", ("rmse", "mean")] > 0


def test_a_regressor_that_closes_the_gap_is_told_so():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 2))
    y = np.sin(9 * X[:, 0])  # the teacher knows it without noise
    teacher = Sine().fit(X, y)
    noisy = y + rng.normal(scale=0.7, size=300)
    student = make_student((32,), task="regression")
    reg = DistilledRegressor(teacher, student, alpha=1.0, random_state=0)
    result = compare(reg, X, noisy, cv=5)
    assert "closes" in result.verdict
    assert "gap in rmse" in result.verdict
    assert result.gap_closed["rmse"][0] > 0.5


def test_students_of_quantiles_are_compared_by_their_pinball_loss():
    X, y = make_friedman1(120, 5, noise=0.5, random_state=0)
    levels = [0.1, 0.8]
    teachers = [
        GradientBoostingRegressor(
            loss="quantile", alpha=level, n_estimators=5, random_state=0
        )
        for level in levels
    ]
    student = make_student((8,), task="regression", max_epochs=5)
    reg = DistilledRegressor(
        teachers, student, quantiles=levels, augmenter=None, random_state=0
    )
    result = compare(reg, X, y, cv=3)
    names = ("d2_pinball", "pinball", "coverage", "rmse_to_teacher")
    assert result.metrics[:4] == names
    for (train, test), *found in zip(
        Numbers().folds(3, X, y),
        *(result.results["teacher"][name] for name in names),
        strict=True,
    ):
        fitted = [clone(teacher).fit(X[train], y[train]) for teacher in teachers]
        low, high = (one.predict(X[test]) for one in fitted)
        both = [(low, levels[0]), (high, levels[1])]
        truth = y[test]
        d2 = np.mean([d2_pinball_score(truth, q, alpha=level) for q, level in both])
        loss = np.mean([mean_pinball_loss(truth, q, alpha=level) for q, level in both])
        inside = np.mean((low <= truth) & (truth <= high))
        assert_allclose(found, [d2, loss, inside, 0], atol=1e-12)
    twin = result.results["labels alone"]
    assert (twin["rmse_to_teacher"] > 0).all()
    assert not np.allclose(twin["pinball"], result.results["student"]["pinball"])
    assert "pinball loss of the teacher is" in " ".join(str(result).split())


def test_numbers_are_split_shuffled():
    X = np.arange(60.0)[:, np.newaxis]
    student = make_student((4,), task="regression", max_epochs=1)
    reg = DistilledRegressor(LinearRegression(), student, augmenter=None)
    result = compare(reg, X, X[:, 0], cv=3, random_state=0)
    assert (result.results["teacher"]["r2"] > 0.99).all()


def test_students_of_several_labels_are_compared_by_their_ranking():
    X, y = make_multilabel_classification(90, 5, n_classes=3, random_state=0)
    net = small_student(task="multilabel", max_epochs=20)
    teacher = KNeighborsClassifier(9)
    clf = DistilledClassifier(teacher, net, augmenter=None, random_state=0)
    found = compare(clf, X, y, cv=2).results
    assert not hasattr(clf, "multilabel_")
    assert list(found["student"])[:4] == [
        "average_precision",
        "subset_accuracy",
        "log_loss",
        "agreement",
    ]
    assert (found["teacher"]["agreement"] == 1).all()
    assert (found["student"]["average_precision"] > 0.5).all()
    [(train, test), _] = Labels().folds(2, X, y)
    teacher.fit(X[train], y[train])
    expected = (teacher.predict(X[test]) == y[test]).all(axis=1).mean()
    assert found["teacher"]["subset_accuracy"][0] == pytest.approx(expected)
