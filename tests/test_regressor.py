"""What a DistilledRegressor does, from the parameters to the predictions."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_friedman1
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from skorch import NeuralNetRegressor
from torch import nn

from skdistill import DistilledRegressor, make_student
from skdistill.augmentation import MUNGE
from skdistill.losses import (
    AbsoluteErrorLoss,
    HuberLoss,
    KLLoss,
    SquaredErrorLoss,
    TeacherBoundedLoss,
)
from tests.conftest import LIBRARIES, Seen


@pytest.fixture(scope="module")
def table():
    """Return 200 rows of 5 numbers, and a smooth function of these with noise."""
    X, y = make_friedman1(200, 5, noise=0.5, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="module")
def trees(table):
    return ExtraTreesRegressor(10, random_state=0).fit(*table)


class TinyRegression(nn.Sequential):
    def __init__(self, n_features=5, n_outputs=1):
        super().__init__(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, n_outputs))


def tiny(**params):
    """Return an unfitted net of a person's own that learns numbers."""
    defaults = {
        "module": TinyRegression,
        "optimizer": torch.optim.Adam,
        "lr": 0.05,
        "max_epochs": 10,
        "batch_size": 64,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetRegressor(**defaults | params)


def student(**params):
    return make_student((16,), task="regression", **{"max_epochs": 20} | params)


def distilled(teacher=None, net=None, **params):
    """Return an unfitted regressor, by default quick and without made rows."""
    net = student() if net is None else net
    return DistilledRegressor(
        teacher, net, **{"augmenter": None, "random_state": 0} | params
    )


class Constant(RegressorMixin, BaseEstimator):
    """A fitted teacher that gives what it was made with for each row."""

    def __init__(self, says=0.0):
        self.says = says

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return np.tile(self.says, (len(X), 1))[:, 0 if np.ndim(self.says) == 0 else ...]


@pytest.mark.filterwarnings("ignore:SKD103")
def test_default_student_learns_what_a_smooth_function_is(table):
    X, y = table
    reg = DistilledRegressor(RandomForestRegressor(20, random_state=0), random_state=0)
    reg.fit(X[:150], y[:150])
    assert reg.score(X[150:], y[150:]) > reg.teacher_.score(X[150:], y[150:]) > 0.5
    assert reg.alpha_ < 0.5  # trees are a poor model of it
    assert reg.predict(X).dtype == np.float64


@pytest.mark.all_steps
def test_nothing_depends_on_the_unit_of_the_targets(table):
    X, y = table
    reg = DistilledRegressor(KNeighborsRegressor(), student(), random_state=0)
    expected, alpha = reg.fit(X, y).predict(X), reg.alpha_
    for scale, offset in [(2.0**30, 0), (1e9, 1e6), (1e-9, 1), (1e-200, 0)]:
        found = (reg.fit(X, scale * y + offset).predict(X) - offset) / scale
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
        assert reg.alpha_ == pytest.approx(alpha, abs=1e-4)


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 2)])
def test_predictions_have_the_shape_of_the_targets(table, shape):
    X, y = table
    targets = np.resize(np.stack([y, -y], axis=1), (200, 2))[:, : shape[-1] % 200 or 1]
    targets = targets.reshape(shape)
    reg = distilled(LinearRegression())
    if shape == (200, 1):  # as in scikit-learn
        with pytest.warns(UserWarning, match="column-vector y was passed"):
            reg.fit(X, targets)
        assert reg.predict(X).shape == (200,)
    else:
        assert reg.fit(X, targets).predict(X).shape == shape
    assert reg.n_outputs_ == (2 if shape[1:] == (2,) else 1)
    assert reg.score(X, targets) > 0.3


@pytest.mark.filterwarnings("ignore:SKD101")
@pytest.mark.parametrize("kind", ["own net", "default"])
def test_alpha_mixes_the_targets_of_teacher_and_labels(table, kind):
    X, y = table
    net = tiny(lr=0.02, max_epochs=100) if kind == "own net" else student()
    said = y + 4.0 * (X[:, 0] > 0.5)
    mixed = distilled(None, clone(net), alpha=0.25).fit(X, y, teacher_pred=said)
    mixture = 0.25 * said + 0.75 * y
    of_mixture = distilled(None, clone(net), alpha=0.0).fit(X, mixture, teacher_pred=y)
    # The same minimum; the scales differ, so that the trainings are not the same.
    difference = mixed.predict(X) - of_mixture.predict(X)
    assert abs(difference.mean()) < 0.3
    assert abs(mixed.predict(X).mean() - y.mean()) > 0.4


def test_loop_and_skorch_train_the_same_net(table):
    X, y = table

    def squared_error(s, t, sample_weight=None):  # the loop does not know it
        errors = ((s - t) ** 2).mean(dim=1)
        if sample_weight is None:
            return errors.mean()
        return (errors * sample_weight).sum() / sample_weight.sum()

    targets = np.stack([y, y**2], axis=1)
    teacher = ExtraTreesRegressor(10, random_state=0).fit(X, targets)
    for weight in (None, 1.0 + np.arange(200) % 3):
        fast, slow = (
            distilled(
                teacher, student(max_epochs=3, batch_size=200), loss=loss, alpha=0.3
            ).fit(X, targets, sample_weight=weight)
            for loss in ("squared_error", squared_error)
        )
        np.testing.assert_allclose(fast.predict(X), slow.predict(X), rtol=1e-3)
        for name in ("train_loss", "train_loss_soft", "train_loss_hard"):
            np.testing.assert_allclose(
                fast.history_[:, name], slow.history_[:, name], rtol=1e-3
            )


def test_without_targets_the_student_learns_from_the_teacher_alone(table, trees):
    X, _ = table
    reg = DistilledRegressor(trees, student(), random_state=0).fit(X)
    assert reg.alpha_ == 1
    assert r2_score(trees.predict(X), reg.predict(X)) > 0.8


def test_without_targets_predictions_have_the_shape_of_the_teachers(table):
    X, y = table
    both = LinearRegression().fit(X, np.stack([y, -y], axis=1))
    assert distilled(both).fit(X).predict(X).shape == (200, 2)
    assert distilled().fit(X, teacher_pred=y[:, np.newaxis]).predict(X).shape == (200,)


def test_scales_and_bounds_of_the_predictions_can_be_read(table):
    X, y = table
    targets = np.stack([y, 9 - 2 * y], axis=1)
    reg = distilled(net=tiny(max_epochs=1), extrapolation=0.5)
    reg.fit(X, targets, teacher_pred=targets)
    np.testing.assert_allclose(reg.y_mean_, targets.mean(axis=0))
    np.testing.assert_allclose(reg.y_scale_, targets.std(axis=0))
    low, high = reg.y_bounds_
    np.testing.assert_allclose(low, targets.min(axis=0) - np.ptp(targets, axis=0) / 2)
    np.testing.assert_allclose(high, targets.max(axis=0) + np.ptp(targets, axis=0) / 2)
    reg.y_mean_[:] = low[:] = 0  # copies
    assert reg.y_mean_.all()
    assert (
        reg.set_params(extrapolation=None).fit(X, y, teacher_pred=y).y_bounds_ is None
    )


class Wild(BaseEstimator, RegressorMixin):
    """Knows the rows that it was fitted on, and says 1,000 of all others."""

    def fit(self, X, y):
        self.known_ = dict(zip(map(tuple, X), y, strict=True))
        return self

    def predict(self, X):
        return np.array([self.known_.get(tuple(row), 1000.0) for row in X])


def test_what_a_teacher_says_of_made_rows_widens_no_bounds(table):
    X, y = table
    reg = distilled(Wild().fit(X, y), augmenter=MUNGE(), alpha=0.5, extrapolation=0.0)
    assert reg.fit(X, y).y_bounds_ == (y.min(), y.max())
    reg.fit(X, y, X_transfer=X[:9] + 1)  # a person's own rows
    assert reg.y_bounds_ == (y.min(), 1000.0)


def test_predictions_given_before_take_the_place_of_a_teacher(table, trees):
    X, y = table
    given = distilled(alpha=0.5).fit(X, y, teacher_pred=trees.predict(X))
    asked = distilled(trees, alpha=0.5).fit(X, y)
    np.testing.assert_array_equal(given.predict(X), asked.predict(X))


TEACHERS = {
    "hist": HistGradientBoostingRegressor(max_iter=5),
    "gaussian process": GaussianProcessRegressor(optimizer=None, alpha=0.1),
    "gaussian process in a pipeline": make_pipeline(
        StandardScaler(), GaussianProcessRegressor(optimizer=None, alpha=0.1)
    ),
    "pipeline": make_pipeline(StandardScaler(), Ridge()),
    "search": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    "stack": StackingRegressor([("ridge", Ridge())], Ridge(), cv=2),
    "list": [Ridge(), KNeighborsRegressor()],
}


@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("is_fitted", [True, False])
def test_teachers_of_all_kinds(table, name, is_fitted):
    X, y = table
    teacher = clone(TEACHERS[name])
    if is_fitted:
        several = teacher if isinstance(teacher, list) else [teacher]
        for one in several:
            one.fit(X, y)
    reg = distilled(teacher, alpha=1.0).fit(X, y)
    asked = teacher if is_fitted else reg.teacher_
    asked = asked if isinstance(asked, list) else [asked]
    expected = np.mean([one.predict(X) for one in asked], axis=0)
    assert r2_score(expected, reg.predict(X)) > 0.5


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosted_teachers_of_other_packages(table, package):
    module = pytest.importorskip(package)
    name = {"lightgbm": "LGBMRegressor", "xgboost": "XGBRegressor"}[package]
    quiet = {"verbose": -1} if package == "lightgbm" else {}
    X, y = table
    teacher = getattr(module, name)(n_estimators=10, n_jobs=1, **quiet)
    reg = distilled(teacher, alpha=1.0).fit(X, y)
    assert r2_score(reg.teacher_.predict(X), reg.predict(X)) > 0.5


def test_weights_of_teachers_weigh_their_predictions(table):
    X, _ = table
    seen = Seen()
    teachers = [Constant(1.0), Constant(4.0)]
    distilled(teachers, tiny(), loss=seen, teacher_weights=[1, 2]).fit(X)
    assert (seen.teacher[0] == 0).all()  # scaled


def test_several_targets_by_a_teacher_of_one(table):
    X, y = table
    targets = np.stack([y, -y], axis=1)
    teacher = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=5))
    assert distilled(teacher).fit(X, targets).predict(X).shape == (200, 2)
    with pytest.raises(ValueError, match="should be a 1d array") as error:
        distilled(HistGradientBoostingRegressor(max_iter=5)).fit(X, targets)
    assert "MultiOutputRegressor" in error.value.__notes__[-1]


def honest_trust(reg, X, y):
    """Return the weight of the teacher that a fit with made rows finds."""
    return reg.set_params(augmenter="auto").fit(X, y).alpha_


@pytest.mark.all_steps
def test_trust_is_measured_out_of_fold_out_of_bag_and_by_unseen_trees(table):
    X, y = table
    forest = RandomForestRegressor(30, random_state=0)
    found = [
        honest_trust(distilled(forest), X, y),
        honest_trust(distilled(forest, cv=3), X, y),
        honest_trust(distilled(forest, soft_labels="out_of_bag"), X, y),
        honest_trust(distilled(clone(forest).fit(X, y)), X, y),
    ]
    assert max(found) < 0.5
    assert np.ptp(found) < 0.2


def test_a_fitted_teacher_far_from_the_nets_is_not_trusted(table):
    X, y = table
    noise = np.random.default_rng(0).normal(size=200)

    class KnowsItsRows(Constant):
        """Gives the targets of the rows that it knows, and else something far away."""

        def predict(self, rows):
            if len(rows) == len(X):
                return y.copy()
            return y.mean() + np.resize(30 * noise, len(rows))

    reg = DistilledRegressor(KnowsItsRows(), student(), random_state=0)
    with pytest.warns(UserWarning, match="looks worse than nets"):
        assert reg.fit(X, y).alpha_ < 0.1
    assert reg.score(X, y) > 0.8


def test_rows_that_a_fitted_teacher_has_not_seen_measure_it(table):
    X, y = table
    tree = DecisionTreeRegressor(random_state=0).fit(X[:100], y[:100])
    reg = distilled(tree, calibrate_teacher=(X[100:150], y[100:150]))
    with_pair = honest_trust(reg, X[:100], y[:100])
    assert reg.n_honest_rows_ == 50
    unfitted = honest_trust(distilled(clone(tree)), X[:100], y[:100])
    assert with_pair == pytest.approx(unfitted, abs=0.25)
    expert = LinearRegression().fit(X[150:], y[150:])
    pair = {"calibrate_teacher": (X[100:150], expert.predict(X[100:150]))}
    of_expert = distilled(expert, **pair)
    assert honest_trust(of_expert, X[:100], expert.predict(X[:100])) > 0.8


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([np.eye(5)], r"must be None or a pair \(X_cal, y_cal\)"),
        ((np.eye(5), [1.0]), "5 rows and 1 labels"),
        ((np.eye(5), np.eye(5)), "1 numbers for each row, and y has 5"),
        ("out_of_fold", "must be None or a pair .* got 'out_of_fold'"),
        ("auto", "must be None or a pair .* got 'auto'"),
    ],
)
def test_other_rows_that_measure_a_teacher_are_refused(table, trees, given, problem):
    with pytest.raises(ValueError, match=problem):
        distilled(trees, calibrate_teacher=given).fit(*table)


def test_rows_never_out_of_bag_are_labeled_by_the_whole_forest(table):
    X, y = table
    seen = Seen()
    forest = RandomForestRegressor(2, random_state=0)
    reg = distilled(forest, tiny(iterator_train__shuffle=False, batch_size=-1))
    reg.set_params(soft_labels="out_of_bag", loss=seen, alpha=1.0).fit(X, y)
    samples = reg.teacher_.estimators_samples_
    in_all = np.isin(np.arange(200), samples[0]) & np.isin(np.arange(200), samples[1])
    expected = np.where(in_all, reg.teacher_.predict(X), reg.teacher_.oob_prediction_)
    scaled = (expected - y.mean()) / y.std()
    assert in_all.any()
    np.testing.assert_allclose(seen.teacher[0][:, 0], scaled, rtol=1e-4, atol=1e-5)


class OfEvenRows(RegressorMixin, BaseEstimator):
    """A teacher that is right where the sum of a row of bits is even."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return X[:, :8] @ np.arange(8.0) + 100 * (X.sum(axis=1) % 2)


@pytest.fixture(scope="module")
def even_rows():
    X = np.random.default_rng(0).integers(0, 2, (500, 9)).astype(float)
    X[:, 8] = X[:, :8].sum(axis=1) % 2
    return X


def test_made_rows_unlike_real_ones_do_not_teach(even_rows):
    teacher = OfEvenRows()
    y = teacher.predict(even_rows)
    reg = distilled(teacher, augmenter=MUNGE()).fit(even_rows, y)
    assert np.abs(reg.predict(even_rows) - y).mean() < 1


def test_given_rows_teach_also_where_they_are_unlike_the_others(even_rows):
    teacher, others = OfEvenRows(), even_rows[:300].copy()
    others[:, 0] = 1 - others[:, 0]
    reg = distilled(teacher, alpha=1.0)
    reg.fit(even_rows, teacher.predict(even_rows), X_transfer=others)
    assert reg.predict(others).mean() > 30  # 14 where they do not


def test_predictions_stay_near_the_range_of_the_targets(table):
    X, y = table
    far = 100 * (X - 0.5)
    reg = distilled(LinearRegression(), alpha=0.5).fit(X, y)
    margin = 0.1 * np.ptp(y)
    values = np.concatenate([y, reg.teacher_.predict(X)])
    low, high = values.min(), values.max()
    bound = reg.predict(far)
    assert bound.min() >= low - margin - 0.1
    assert bound.max() == pytest.approx(high + 0.1 * (high - low))
    free = distilled(LinearRegression(), alpha=0.5, extrapolation=None).fit(X, y)
    assert free.predict(far).max() > high + 0.2 * (high - low)
    np.testing.assert_allclose(free.predict(X), reg.predict(X))


@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", HuberLoss(delta=0.3), "squared_error"]
)
def test_second_term_is_the_same_loss(table, trees, loss):
    X, y = table
    reg = distilled(trees, loss=loss, alpha=0.5).fit(X, y)
    criterion = reg.student_[-1].criterion_
    expected = {
        "absolute_error": nn.L1Loss,
        "squared_error": nn.MSELoss,
    }.get(loss, nn.HuberLoss)
    assert type(criterion) is expected
    if isinstance(loss, HuberLoss):
        assert criterion.delta == 0.3
    assert reg.score(X, y) > 0.5


def test_criterion_of_a_persons_own_net_is_kept(table, trees):
    net = tiny(criterion=nn.L1Loss)
    reg = distilled(trees, net, loss="huber", alpha=0.5).fit(*table)
    assert type(reg.student_.criterion_) is nn.L1Loss


def test_outliers_pull_the_absolute_error_less_than_the_squared(table):
    X, y = table
    spoilt = y.copy()
    spoilt[::20] += 1000
    absolute, squared = (
        distilled(alpha=0.5, loss=loss).fit(X, spoilt, teacher_pred=spoilt)
        for loss in ("absolute_error", "squared_error")
    )
    errors = [np.median(np.abs(reg.predict(X) - y)) for reg in (absolute, squared)]
    assert 3 * errors[0] < errors[1]


@pytest.mark.parametrize(
    "loss", [TeacherBoundedLoss(), [("huber", 0.5), ("squared_error", 0.5)]]
)
def test_losses_of_other_forms_train(table, trees, loss):
    assert distilled(trees, loss=loss, alpha=0.5).fit(*table).score(*table) > 0.5


@pytest.mark.parametrize("loss", [SquaredErrorLoss(), AbsoluteErrorLoss(), HuberLoss()])
def test_losses_can_be_searched_over(table, trees, loss):
    grid = {"loss": [loss, "squared_error"], "alpha": [0.5]}
    search = GridSearchCV(distilled(trees, tiny(max_epochs=2)), grid, cv=2)
    assert np.isfinite(search.fit(*table).best_score_)


@pytest.mark.parametrize(
    "terms",
    [
        {"feature_loss": "hint"},
        {"relation_loss": "rkd"},
        {"relation_loss": "similarity", "teacher_features": lambda t, X: X},
    ],
)
def test_features_and_relations_are_learned_from_regressors(table, trees, terms):
    reg = distilled(trees, tiny(), alpha=0.5, **terms).fit(*table)
    family = next(iter(terms)).partition("_")[0]
    losses = reg.history_[:, f"train_loss_{family}"]
    assert losses[-1] < losses[0]


def test_partial_fit_goes_on_in_the_units_of_the_first_chunk(table, trees):
    X, y = table
    reg = distilled(trees, alpha=0.5)
    for _ in range(30):
        for part in (slice(100), slice(100, 200)):
            reg.partial_fit(X[part], y[part])
    assert reg.score(X, y) > 0.7
    with pytest.raises(ValueError, match="2 targets, and the student has learned 1"):
        reg.partial_fit(X, np.stack([y, y], axis=1), teacher_pred=None)


@pytest.mark.filterwarnings("ignore:SKD101")
def test_warm_start_keeps_the_scale(table, trees):
    X, y = table
    reg = distilled(trees, student(max_epochs=30), alpha=0.5).fit(X, y)
    reg.set_params(student__net__warm_start=True).fit(X, y)
    before = reg.predict(X)
    reg.set_params(student__net__max_epochs=1, student__net__lr=1e-9)
    np.testing.assert_allclose(reg.fit(X, y + 5).predict(X), before, atol=1e-3)


def test_a_file_is_small_and_predicts_the_same(table, tmp_path):
    X, y = table
    heavy = RandomForestRegressor(100, random_state=0).fit(X, y)
    reg = distilled(heavy).fit(X, y)
    joblib.dump(reg, tmp_path / "student")
    joblib.dump(heavy, tmp_path / "teacher")
    loaded = joblib.load(tmp_path / "student")
    np.testing.assert_array_equal(loaded.predict(X), reg.predict(X))
    sizes = [(tmp_path / name).stat().st_size for name in ("student", "teacher")]
    assert 20 * sizes[0] < sizes[1]
    with pytest.raises(ValueError, match="without its teacher"):
        loaded.fit(X, y)


@pytest.mark.parametrize("library", LIBRARIES)
def test_data_frames_with_strings_and_missing_values(library):
    frame = pytest.importorskip(library).DataFrame
    rng = np.random.default_rng(0)
    job = rng.choice(["cook", "clerk"], 120)
    age = rng.uniform(20, 60, 120)
    y = age + 10 * (job == "cook")
    X = frame({"age": [None, *age[1:].tolist()], "job": job.tolist()})
    reg = distilled(None, student(max_epochs=60), alpha=0.0)
    reg.fit(X, y, teacher_pred=y)
    assert reg.score(X, y) > 0.9


def test_searches_and_cross_validation(table, trees):
    X, y = table
    assert cross_val_score(distilled(trees, alpha=0.5), X, y, cv=3).min() > 0.3
    from skdistill.model_selection import GridSearchCV as Stacked

    grid = {"alpha": [0.0, 0.5, 1.0]}
    plain, stacked = (
        kind(distilled(trees), grid, cv=2).fit(X, y) for kind in (GridSearchCV, Stacked)
    )
    np.testing.assert_allclose(
        stacked.cv_results_["mean_test_score"],
        plain.cv_results_["mean_test_score"],
        atol=0.02,
    )


def test_constant_targets_are_predicted(table):
    X, _ = table
    for target in (3.0, 0.0, 1e20):
        reg = DistilledRegressor(LinearRegression(), student(), random_state=0)
        assert reg.fit(X, np.full(200, target)).predict(X) == pytest.approx(target)


def test_two_rows_are_enough():
    X = np.array([[0.0], [1.0]])
    reg = distilled(LinearRegression(), student(max_epochs=300)).fit(X, [1.0, 3.0])
    assert reg.predict(X) == pytest.approx([1.0, 3.0], abs=0.3)


def test_rows_without_weight_teach_nothing(table):
    X, y = table
    spoilt, weight = y.copy(), np.ones(200)
    spoilt[:50], weight[:50] = 1e3, 0.0
    reg = distilled(alpha=0.5, extrapolation=None)
    reg.fit(X, spoilt, sample_weight=weight, teacher_pred=spoilt)
    assert r2_score(y[50:], reg.predict(X[50:])) > 0.5


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        (RandomForestClassifier(), TypeError, "is a classifier.*DistilledClassifier"),
        (Ridge, TypeError, "the class Ridge"),
        (np.zeros(200), TypeError, r"fit\(X, y, teacher_pred=\.\.\.\)"),
        (nn.Linear(5, 1), TypeError, "TorchTeacher"),
        (3, TypeError, "must be a regressor"),
        (Constant(np.nan), ValueError, "gives NaN or infinity"),
        (Constant([1.0, 2.0]), ValueError, "gives 2 numbers.*y has 1"),
        (None, ValueError, "teacher_pred= to fit"),
    ],
)
def test_wrong_teachers_are_refused(table, teacher, error, message):
    with pytest.raises(error, match=message):
        distilled(teacher).fit(*table)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([np.nan] * 200, "y contains NaN"),
        ([np.inf] * 200, "y contains infinity"),
        (["a"] * 200, "could not convert string"),
        ([1.0] * 199, "inconsistent numbers of samples"),
        (np.zeros((200, 1, 1)), "dim 3"),
    ],
)
def test_wrong_targets_are_refused(table, y, message):
    with pytest.raises(ValueError, match=message):
        distilled(LinearRegression()).fit(table[0], y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(199), r"teacher_pred gives shape \(199,\), expected \(200,\)"),
        (np.full(200, np.nan), "teacher_pred gives NaN"),
        (np.zeros((200, 2)), "gives 2 numbers for each row, and y has 1"),
        (["a"] * 200, "must give numbers"),
    ],
)
def test_wrong_predictions_are_refused(table, given, message):
    with pytest.raises(ValueError, match=message):
        distilled().fit(*table, teacher_pred=given)


def test_an_unfitted_teacher_needs_targets(table):
    with pytest.raises(ValueError, match="requires y to be passed"):
        distilled(LinearRegression()).fit(table[0])


@pytest.mark.parametrize("loss", ["kl", KLLoss()])
def test_losses_of_classes_are_refused(table, loss):
    with pytest.raises(ValueError, match="absolute_error"):
        distilled(LinearRegression(), loss=loss).fit(*table)


def test_a_student_for_classes_is_refused(table):
    with pytest.raises(TypeError, match=r"make_student\(task='regression'\)"):
        distilled(LinearRegression(), make_student()).fit(*table)


def test_a_teacher_on_other_scales_is_told(table):
    X, y = table
    shifted = LinearRegression().fit(X, y + 100)
    with pytest.warns(UserWarning, match="R2 of the teacher on"):
        distilled(shifted, alpha=0.5).fit(X, y)


def test_what_was_passed_is_not_changed(table):
    X, y = table
    X, y = X.copy(), np.stack([y, y], axis=1)
    kept = X.copy(), y.copy()
    distilled(LinearRegression()).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_student_can_be_fitted_by_itself(table):
    X, y = table
    torch.manual_seed(0)
    alone = student(max_epochs=60).fit(X, 1e6 * y)
    assert alone.score(X, 1e6 * y) > 0.8
    both = np.stack([y, y], axis=1)
    assert alone.fit(X, both).predict(X).shape == (200, 2)
