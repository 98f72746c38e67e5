"""Rows and their soft labels stay together on every way to the student."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV, KFold
from skorch.dataset import ValidSplit

from skdistill import DistilledClassifier
from tests.conftest import Lookup, RowTeacher, tiny_net

N_ROWS = 30

pytestmark = pytest.mark.filterwarnings(
    "ignore:the teacher's balanced accuracy:UserWarning"
)


@pytest.fixture
def rows():
    """Return X that says each row's logits and number, and y that tells nothing."""
    rng = np.random.default_rng(0)
    X = np.column_stack([0.7 * rng.normal(size=(N_ROWS, 3)), np.arange(N_ROWS)])
    return X.astype(np.float32), rng.integers(0, 3, N_ROWS)


def distill(teacher, **params):
    defaults = {
        "module": Lookup,
        "module__n_rows": N_ROWS,
        "optimizer": torch.optim.SGD,
        "lr": 20.0,  # a step of 2 for each of the 10 rows of a batch
        "max_epochs": 25,
        "batch_size": 10,
        "iterator_train__shuffle": False,
    }
    return DistilledClassifier(
        teacher,
        tiny_net(**defaults | params),
        alpha=1.0,
        temperature=1.0,
        random_state=0,
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"iterator_train__shuffle": True},
        {
            "batch_size": 8,
            "iterator_train__shuffle": True,
            "iterator_train__drop_last": True,
        },
        {
            "iterator_train__sampler": torch.utils.data.WeightedRandomSampler(
                [1.0] * N_ROWS, 2 * N_ROWS
            )
        },
    ],
    ids=["in order", "shuffled", "last batch dropped", "drawn with replacement"],
)
@pytest.mark.parametrize("made_beforehand", [True, False])
def test_each_row_keeps_its_own_soft_labels(params, made_beforehand, rows):
    X, y = rows
    expected = RowTeacher().predict_proba(X)
    clf = distill(None if made_beforehand else RowTeacher(), **params)

    clf.fit(X, y, teacher_proba=expected if made_beforehand else None)

    assert_allclose(clf.predict_proba(X), expected, atol=0.02)


def test_rows_of_a_shuffled_train_split_keep_their_soft_labels(rows):
    X, y = rows
    split = ValidSplit(0.33, random_state=0)

    clf = distill(RowTeacher(), train_split=split, iterator_train__shuffle=True)
    clf.fit(X, y)

    gap = np.abs(clf.predict_proba(X) - RowTeacher().predict_proba(X)).max(axis=1)
    assert (gap < 0.02).sum() >= 20  # the rows that are left for training
    assert clf.history_[-1]["train_agreement"] > 0.99
    assert clf.history_[-1]["valid_agreement"] < 0.8


def test_folds_of_a_search_cut_labels_made_beforehand_as_they_cut_rows(rows):
    X, y = rows
    expected = RowTeacher().predict_proba(X)
    gaps = []

    def scorer(clf, X_test, y_test):
        trained = np.setdiff1d(np.arange(N_ROWS), X_test[:, 3].astype(int))
        gaps.append(np.abs(clf.predict_proba(X[trained]) - expected[trained]).max())
        return 0.0

    clf = distill(None, iterator_train__shuffle=True)
    cv = KFold(3, shuffle=True, random_state=0)
    GridSearchCV(clf, {"alpha": [1.0]}, cv=cv, scoring=scorer, refit=False).fit(
        X, y, teacher_proba=expected
    )

    assert len(gaps) == 3
    assert max(gaps) < 0.02
