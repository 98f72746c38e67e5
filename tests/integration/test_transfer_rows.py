"""Rows beyond the training rows, from fit to what the student has learned."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.dataset import ValidSplit
from torch import nn

from skdistill import (
    DistilledClassifier,
    TabularPreprocessor,
    TransferRows,
    make_student,
)
from skdistill.augmentation import MUNGE
from tests.conftest import Lookup, RowTeacher, table, tiny_net
from tests.kinds import lightgbm_classifier, net
from tests.training.conftest import Listens

N_ROWS, N_UNLABELED = 30, 20

pytestmark = pytest.mark.filterwarnings("ignore:SKD101")


class Same(nn.Module):
    """Says the same of each row."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3))

    def forward(self, X):
        return self.logits + 0 * X[:, :3]


class Numbered:
    """Makes the rows that it was given, whatever X is."""

    n_copies = N_UNLABELED / N_ROWS

    def __init__(self, rows):
        self.rows = rows

    def sample(self, X, n_rows, random_state):
        return self.rows


@pytest.fixture
def rows():
    """Return rows that say their logits and number, labels of the first, the others."""
    rng = np.random.default_rng(0)
    n = N_ROWS + N_UNLABELED
    X = np.column_stack([0.7 * rng.normal(size=(n, 3)), np.arange(n)])
    X = X.astype(np.float32)
    return X[:N_ROWS], np.arange(N_ROWS) % 3, X[N_ROWS:]


@pytest.fixture
def asked(monkeypatch):
    """Return the numbers of rows for which logistic regressions are asked."""
    numbers = []
    answer = LogisticRegression.predict_proba

    def predict_proba(self, X):
        numbers.append(X.shape[0])
        return answer(self, X)

    monkeypatch.setattr(LogisticRegression, "predict_proba", predict_proba)
    return numbers


def lookup(teacher, **params):
    """Return a distilled table of all rows, which learns each by heart."""
    student = tiny_net(
        module=Lookup,
        module__n_rows=N_ROWS + N_UNLABELED,
        optimizer=torch.optim.SGD,
        lr=100.0,
        max_epochs=40,
    )
    defaults = {"alpha": 0.5, "random_state": 0}
    return DistilledClassifier(teacher, student, **defaults | params)


def quick(teacher, **params):
    return DistilledClassifier(
        teacher, net(max_epochs=1), **{"random_state": 0} | params
    )


# What the student learns


@pytest.mark.parametrize("by", ["X_transfer", "augmenter"])
def test_rows_with_labels_have_two_targets_and_the_others_one(by, rows):
    X, y, U = rows
    clf = lookup(RowTeacher(), augmenter=Numbered(U) if by == "augmenter" else None)

    clf.fit(X, y, X_transfer=U if by == "X_transfer" else None)

    both = (RowTeacher().predict_proba(X) + np.eye(3)[y]) / 2
    assert_allclose(clf.predict_proba(X), both, atol=0.02)
    assert_allclose(clf.predict_proba(U), RowTeacher().predict_proba(U), atol=0.02)


def test_made_rows_and_real_ones_come_together_and_need_no_labels(rows):
    X, _, U = rows
    clf = lookup(RowTeacher(), augmenter=Numbered(U[:12]), alpha=1.0)
    clf.augmenter.n_copies = 12 / N_ROWS

    clf.fit(X, X_transfer=U[12:])

    assert_allclose(clf.predict_proba(U), RowTeacher().predict_proba(U), atol=0.02)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_each_row_without_label_weighs_as_an_average_row(alpha, weighted, rows):
    X, y, U = rows
    weight = np.linspace(1, 9, N_ROWS) if weighted else np.ones(N_ROWS)
    student = tiny_net(module=Same, max_epochs=100)
    clf = DistilledClassifier(RowTeacher(), student, temperature=1.0, alpha=alpha)

    clf.fit(X, y, weight if weighted else None, X_transfer=U)

    weight = (weight / weight.mean())[:, np.newaxis]
    soft = (weight * RowTeacher().predict_proba(X)).sum(axis=0)
    soft += RowTeacher().predict_proba(U).sum(axis=0)
    hard = (weight * np.eye(3)[y]).sum(axis=0)
    expected = alpha * soft + (1 - alpha) * hard
    assert_allclose(clf.predict_proba(X[:1])[0], expected / expected.sum(), atol=2e-3)


@pytest.mark.parametrize("depths", [[2], [1, 2]], ids=["one", "two"])
@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_teachers_of_all_rows_label_the_others(method, depths, rows):
    X, y, U = rows
    forests = [RandomForestClassifier(10, max_depth=d, random_state=0) for d in depths]
    clf = lookup(forests, soft_labels=method, alpha=1.0, proba_clip=0.01)

    clf.fit(X, y, X_transfer=U)

    proba = np.mean([teacher.predict_proba(U) for teacher in clf.teacher_], axis=0)
    expected = np.maximum(proba, 0.01)
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(clf.predict_proba(U), expected, atol=0.03)


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_losses_on_features_get_those_of_all_rows(method, data32, count_calls):
    calls = count_calls(RandomForestClassifier, "apply")
    forest = RandomForestClassifier(10, random_state=0)
    clf = quick(forest, feature_loss="cka", relation_loss="pkt", soft_labels=method)

    clf.fit(*data32, X_transfer=data32[0][:20])

    of_folds = 5 if method == "out_of_fold" else 0
    assert calls["apply"] >= 2 + of_folds
    for term in ("feature", "relation"):
        assert np.isfinite(clf.history_[-1][f"train_loss_{term}"])


# Searches and pipelines


@pytest.mark.parametrize(
    ("wrap", "n_rows"), [(TransferRows, 90), (np.asarray, 20)], ids=["wrapped", "fewer"]
)
def test_search_never_cuts_rows_that_are_wrapped_or_fewer(wrap, n_rows, data32, asked):
    search = GridSearchCV(
        quick(LogisticRegression()), {"alpha": [0.1, 1.0]}, cv=2, error_score="raise"
    )

    search.fit(*data32, X_transfer=wrap(data32[0][:n_rows]))

    assert asked == [45, n_rows, 45, n_rows, 90, n_rows]


@pytest.mark.filterwarnings("ignore:SKD108")
def test_as_many_rows_as_a_fold_are_handed_on_whole(data32, asked):
    clf = quick(LogisticRegression())

    cross_validate(
        clf, *data32, cv=3, params={"X_transfer": data32[0][:60]}, error_score="raise"
    )

    assert asked == [60, 60] * 3


@pytest.mark.parametrize("n_rows", [90, 20])
def test_pipeline_hands_on_the_rows(n_rows, data32, asked):
    model = make_pipeline(FunctionTransformer(), quick(LogisticRegression()))

    model.fit(*data32, distilledclassifier__X_transfer=TransferRows(data32[0][:n_rows]))

    assert asked == [90, n_rows]


@pytest.mark.parametrize("fitted", [True, False])
def test_search_asks_once_for_each_kind_of_rows(fitted, data32, count_calls):
    teacher = LogisticRegression()
    if fitted:
        teacher.fit(*data32)
    calls = count_calls(LogisticRegression, "fit", "predict_proba")
    made = count_calls(MUNGE, "sample")
    grid = {"temperature": [1, 4], "alpha": [0.1, 1.0]}

    GridSearchCV(quick(teacher, augmenter=MUNGE()), grid, cv=2).fit(*data32)

    assert calls == {"predict_proba": 6} | ({} if fitted else {"fit": 3})
    assert made["sample"] == 3


def test_search_over_an_augmenter(data32, count_calls):
    made = count_calls(MUNGE, "sample")
    clf = quick(LogisticRegression(), augmenter=MUNGE(n_copies=1))

    search = GridSearchCV(clf, {"augmenter__p": [0.1, 0.9], "alpha": [0.5, 1]}, cv=2)
    search.fit(*data32)

    assert made["sample"] == 2 * 2 + 1
    assert clf.augmenter.p == 0.5


# Students for which "auto" makes no rows


@pytest.mark.parametrize("n_unlabeled", [None, 5])
def test_without_soft_term_a_net_of_skorch_is_the_same_bit_for_bit(n_unlabeled, data32):
    X_transfer = None if n_unlabeled is None else data32[0][:n_unlabeled]
    by_skorch = {"max_epochs": 3, "callbacks": [Listens()]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alone = net(**by_skorch).fit(*data32).module_

    clf = quick(LogisticRegression(), alpha=0.0, augmenter="auto")
    clf.set_params(student=net(**by_skorch)).fit(*data32, X_transfer=X_transfer)

    weights = clf.student_.module_.state_dict()
    for name, expected in alone.state_dict().items():
        assert torch.equal(weights[name], expected)


@pytest.mark.parametrize(
    ("augmenter", "expected"), [("auto", 0), (MUNGE(), 1)], ids=["auto", "explicit"]
)
def test_auto_makes_no_rows_beside_a_validation_set(
    augmenter, expected, data32, count_calls
):
    made = count_calls(MUNGE, "sample")
    student = net(max_epochs=1, train_split=ValidSplit(3))

    DistilledClassifier(
        LogisticRegression(), student, augmenter=augmenter, random_state=0
    ).fit(*data32)

    assert made["sample"] == expected


def test_auto_makes_no_rows_for_labels_made_beforehand(data32, count_calls):
    X, y = data32
    made = count_calls(MUNGE, "sample")

    quick(None, augmenter="auto").fit(X, y, teacher_proba=0.2 + 0.4 * np.eye(3)[y])

    assert made["sample"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {"X_transfer": TransferRows(np.zeros((3, 4)))},
        {"augmenter": MUNGE()},
        {"augmenter": "munge"},
    ],
)
def test_labels_made_beforehand_leave_further_rows_without(params, data32):
    X, y = data32
    clf = quick(None, augmenter=params.pop("augmenter", None))

    with pytest.raises(ValueError, match=r"a teacher has to label.*pass teacher="):
        clf.fit(X, y, teacher_proba=np.eye(3)[y], **params)


# Tables, and what is none


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_rows_of_frames(library):
    X = table()
    y = np.arange(60) % 2
    U = library({name: values[:20] for name, values in X.items()})
    teacher = make_pipeline(TabularPreprocessor(), LogisticRegression())
    params = {"alpha": 1.0, "calibrate_teacher": None, "random_state": 0}
    clf = DistilledClassifier(teacher, make_student(max_epochs=1), **params)

    clf.fit(library(X), y, X_transfer=U)

    assert clf.predict_proba(U).shape == (20, 2)


@pytest.mark.parametrize("augmenter", ["auto", None])
def test_rows_without_some_of_the_categories_are_labeled(augmenter):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=60), "k": ["a", "b", "c"] * 20})
    X = X.astype({"k": "category"})
    y = np.asarray((X["x"] > 0) ^ (X["k"] == "a"), int)
    later = X[X["k"] != "a"].head(20).astype({"k": str}).astype({"k": "category"})
    teacher = lightgbm_classifier().fit(X, y)
    assert len(later["k"].cat.categories) == 2
    clf = DistilledClassifier(teacher, make_student((4,), max_epochs=1), random_state=0)

    clf.set_params(augmenter=augmenter).fit(X, y, X_transfer=later)

    assert len(later["k"].cat.categories) == 2


@pytest.mark.parametrize("augmenter", ["auto", None])
def test_rows_with_a_type_that_X_cannot_hold_are_refused_by_name(augmenter):
    X = pd.DataFrame({"x": np.arange(30.0), "k": pd.Categorical(["a", "b"] * 15)})
    later = pd.DataFrame({"x": [1.0], "k": pd.Categorical(["d"])})
    teacher = make_pipeline(TabularPreprocessor(), LogisticRegression())
    clf = DistilledClassifier(teacher, make_student(max_epochs=1), augmenter=augmenter)

    with pytest.raises(ValueError, match=r"the column 'k' of X_transfer .* do not fit"):
        clf.fit(X, np.arange(30) % 2, X_transfer=later)


def test_sparse_rows_teach_as_dense_ones(data32):
    X, y = data32
    dense, thin = (
        quick(LogisticRegression())
        .fit(kind(X), y, X_transfer=kind(X[:20]))
        .predict_proba(X)
        for kind in (np.asarray, csr_matrix)
    )
    assert_allclose(thin, dense, atol=1e-4)


def test_columns_have_to_be_those_of_X(data32):
    X, y = data32
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = DistilledClassifier(LogisticRegression(), make_student(max_epochs=1))

    with pytest.raises(ValueError, match="feature names should match") as error:
        clf.fit(frame, y, X_transfer=frame[:20].rename(columns={"a": "z"}))
    assert error.value.__notes__ == ["(X is X_transfer here.)"]
    with pytest.raises(ValueError, match="X has 3 features, but"):
        quick(LogisticRegression()).fit(X, y, X_transfer=X[:20, :3])
    with pytest.raises(ValueError, match="contains NaN"):
        quick(LogisticRegression()).fit(X, y, X_transfer=X[:20] * np.nan)


def test_augmenter_may_make_rows_of_double_precision(data32):
    made = np.random.default_rng(0).normal(size=(60, 4))

    clf = quick(LogisticRegression(), augmenter=Numbered(made)).fit(*data32)

    assert np.isfinite(clf.history_[-1]["train_loss"])


def test_preprocessing_in_place_leaves_the_rows_that_a_next_fit_gets_alone(data32):
    X, y = data32[0] + 100, data32[1]
    teacher = LogisticRegression().fit(X, y)
    student = make_pipeline(StandardScaler(copy=False), net(max_epochs=1))
    clf = DistilledClassifier(teacher, student, augmenter="munge", random_state=0)

    first, second = (clone(clf).fit(X.copy(), y).history_[0] for _ in range(2))

    assert first["train_loss"] == second["train_loss"]


def test_preprocessing_of_the_student_is_fitted_on_the_training_rows_alone(data32):
    X, y = data32
    seen = []
    student = Pipeline(
        [
            ("see", FunctionTransformer(lambda X: seen.append(len(X)) or X)),
            ("net", net()),
        ]
    )

    DistilledClassifier(LogisticRegression(), student).fit(X, y, X_transfer=X[:20])

    assert seen[0] == 90
