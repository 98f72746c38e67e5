"""What the default call stands for: made rows, their labels, steps, weight decay."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skdistill import DistilledClassifier, DistilledRegressor, make_student
from skdistill._students._student import net_of
from skdistill.augmentation import MUNGE
from tests.conftest import tiny_net

N_ROWS = 200


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 3))
    return X, (X[:, 0] + 0.5 * rng.normal(size=N_ROWS) > 0).astype(int)


@pytest.fixture(scope="module")
def teacher(rows):
    return LogisticRegression().fit(*rows)


def trained(teacher, rows, student=None, **params):
    clf = DistilledClassifier(teacher, student, random_state=0, **params)
    return clf.fit(*rows)


def proba(clf, rows):
    return clf.predict_proba(rows[0])


def n_rows_of(clf):
    """Return how many rows the student has learned from."""
    last = net_of(clf.student_).history[-1]
    return sum(batch["train_batch_size"] for batch in last["batches"])


@pytest.mark.all_steps
def test_the_default_call_is_this_one(teacher, rows):
    explicit = trained(
        teacher,
        rows,
        make_student(
            (64, 64),
            numeric="piecewise",
            lr=0.015,
            batch_size=256,
            max_epochs=60,  # 300 steps, 5 in each epoch over 1,200 rows
        ),
        temperature=1.0,
        alpha=0.7,
        augmenter=MUNGE(n_copies=5),
        calibrate_teacher="auto",
    )
    default = trained(teacher, rows)
    assert n_rows_of(default) == 6 * N_ROWS
    assert_array_equal(proba(default, rows), proba(explicit, rows))


@pytest.mark.all_steps
@pytest.mark.parametrize(
    ("n_rows", "augmenter", "n_epochs"),
    [
        (200, None, 300),  # of one step each
        (1536, None, 60),
        (1536, MUNGE(n_copies=3), 50),  # 200 passes over the training rows
    ],
)
def test_the_number_of_epochs_follows_from_the_rows(n_rows, augmenter, n_epochs):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    y = (X[:, 0] > 0).astype(int)
    student = make_student((), numeric="standard")
    params = {"alpha": 1.0, "calibrate_teacher": None, "augmenter": augmenter}
    clf = trained(LogisticRegression(), (X, y), student, **params)
    assert len(clf.history_) == n_epochs


def decay(clf):
    (group,) = clf.student_[-1].optimizer_.param_groups
    return group["weight_decay"]


@pytest.mark.parametrize(
    ("student", "params", "expected"),
    [
        (make_student((), max_epochs=1, weight_decay=0.02), {}, 0.02),
        (make_student((), max_epochs=1), {"augmenter": None}, 0.1),
    ],
    ids=["given", "without pseudo-labels"],
)
def test_weight_decay_is_as_given_or_a_tenth(teacher, rows, student, params, expected):
    assert decay(trained(teacher, rows, student, **params)) == expected


@pytest.mark.filterwarnings("ignore:SKD103")
def test_encoding_is_chosen_by_how_well_nets_predict_labels():
    X = np.random.default_rng(0).normal(size=(N_ROWS, 6))
    smooth, stepped = X.sum(axis=1) > 0, np.abs(X[:, 0]) > 0.7
    forest = RandomForestClassifier(10, random_state=0)
    student = make_student((), max_epochs=1)
    for y, augmenter, expected in [
        (smooth, "auto", "standard"),
        (stepped, "auto", "piecewise"),
        (smooth, None, "piecewise"),  # there are no such nets
    ]:
        clf = trained(forest.fit(X, y), (X, y), student, augmenter=augmenter)
        assert clf.student_["preprocess"].numeric == expected
        assert student["preprocess"].numeric == "auto"


@pytest.mark.filterwarnings("ignore:SKD101")
@pytest.mark.parametrize("alpha", [0.05, 1.0])
@pytest.mark.parametrize(
    ("distiller", "teacher", "labels"),
    [
        (DistilledClassifier, DummyClassifier(), lambda low: low.astype(int)),
        (DistilledClassifier, DummyClassifier(), lambda low: np.c_[low, ~low] * 1),
        (DistilledRegressor, DummyRegressor(), lambda low: low * 1.0),
    ],
    ids=["classes", "labels", "numbers"],
)
def test_bins_are_where_labels_change_if_these_alone_are_learned(
    distiller, teacher, labels, alpha
):
    X = np.random.default_rng(0).uniform(-1, 1, size=(N_ROWS, 2))
    y = labels(np.abs(X[:, 0]) < 0.4)
    task = "regression" if distiller is DistilledRegressor else "classification"
    task = "multilabel" if y.ndim == 2 else task
    student = make_student((), task=task, max_epochs=1)
    fitted = distiller(teacher.fit(X, y), student, alpha=alpha, augmenter=None)
    preprocess = fitted.fit(X, y).student_["preprocess"]
    assert (0 in preprocess.sources_[2:]) == (alpha < 1)


def test_labels_count_on_made_rows_unless_alpha_is_1(teacher, rows):
    X, y = rows
    flipped, student = (X, 1 - y), make_student((16,), max_epochs=15)
    params = {"alpha": 1.0, "calibrate_teacher": None}
    with pytest.warns(UserWarning, match="balanced accuracy"):
        alone = trained(teacher, flipped, student, **params)
    plain = trained(teacher, rows, student, **params)
    assert_array_equal(proba(alone, rows), proba(plain, rows))
    with pytest.warns(UserWarning, match="balanced accuracy"):
        mixed = trained(teacher, flipped, student, alpha=0.3)
    # The labels outweigh the teacher, on the made rows too.
    assert (mixed.predict(X) == flipped[1]).mean() > 0.8


def test_a_net_of_ones_own_learns_from_its_training_rows(teacher, rows):
    clf = trained(teacher, rows, tiny_net(max_epochs=2), augmenter="auto")
    assert n_rows_of(clf) == N_ROWS
    assert not hasattr(clf, "teacher_temperature_")


def with_column(values):
    return lambda X, y: (np.column_stack([X, np.full(len(X), values)]), y)


def with_rare_class(n_rows):
    return lambda X, y: (X, (np.argsort(np.argsort(X[:, 0])) < n_rows).astype(int))


@pytest.mark.filterwarnings("ignore:SKD10[12]")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(with_column(np.nan), id="column of missing values"),
        pytest.param(with_column(3.0), id="constant column"),
        pytest.param(with_rare_class(2), id="two rows of a class"),
        pytest.param(with_rare_class(1), id="one row of a class"),
        pytest.param(lambda X, y: (X[:10], y[:10]), id="ten rows"),
        pytest.param(lambda X, y: (X[:5], np.arange(5)), id="as many classes as rows"),
    ],
)
def test_odd_tables_are_learned(rows, change):
    X, y = change(*rows)
    student = make_student((16,), lr=0.05, max_epochs=20)
    clf = trained(RandomForestClassifier(20), (X, y), student)
    assert clf.score(X, y) > 0.85
    assert np.isfinite(clf.predict_proba(X)).all()
