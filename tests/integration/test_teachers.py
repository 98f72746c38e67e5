"""Teachers of every kind in DistilledClassifier: fitted, unfitted, several, nested."""

import numpy as np
import pytest
import torch
import xgboost
from numpy.testing import assert_array_equal
from sklearn.ensemble import (
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher
from skdistill.utils._fingerprint import fingerprint
from tests.kinds import FITTED, UNFITTED, WithoutFit, net, scaled

NAMES = np.array(["elm", "fir", "oak"])


def distill(teacher, **params):
    defaults = {"student": net(), "alpha": 1.0, "random_state": 0}
    return DistilledClassifier(teacher, **defaults | params)


def agreement(clf, teacher, X):
    return np.mean(clf.predict(X) == teacher.predict_proba(X).argmax(axis=1))


@pytest.mark.parametrize("kind", FITTED)
def test_student_learns_from_a_fitted_teacher_and_leaves_it_alone(kind, data32):
    X, y = data32
    teacher = FITTED[kind](X, y)
    before = fingerprint(teacher)

    clf = distill(teacher).fit(X, y)

    assert agreement(clf, teacher, X) > 0.8
    assert clf.teacher is teacher
    assert not hasattr(clf, "teacher_")
    assert fingerprint(teacher) == before


@pytest.mark.parametrize("kind", UNFITTED)
def test_unfitted_teacher_is_cloned_and_fitted_inside(kind, data32):
    X, y = data32
    teacher = UNFITTED[kind]()
    before = fingerprint(teacher)

    clf = distill(teacher).fit(X, y)

    check_is_fitted(clf.teacher_)
    assert type(clf.teacher_) is type(teacher)
    assert agreement(clf, clf.teacher_, X) > 0.8
    assert fingerprint(teacher) == before


def test_frozen_teacher_teaches_what_the_plain_one_does(data32):
    X, y = data32
    plain = LogisticRegression().fit(X, y)
    expected = distill(plain).fit(X, y).predict_proba(X)

    clf = distill(FrozenEstimator(plain)).fit(X, y)

    assert_array_equal(clf.predict_proba(X), expected)


def test_born_again_student_follows_its_elder(data32):
    X, y = data32
    elder = distill(LogisticRegression().fit(X, y)).fit(X, y)

    young = distill(elder, student=net(max_epochs=40), temperature=1.0, random_state=1)

    assert agreement(young.fit(X, y), elder, X) > 0.95


class Tokens(nn.Module):
    """Its linear layer sees several rows for each row, so that it has no features."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, X):
        return self.layer(X.reshape(-1, 2)).reshape(len(X), 2, 3).mean(dim=1)


@pytest.mark.parametrize(
    "make_teacher",
    [
        lambda X, y: TorchTeacher(Tokens(), [0, 1, 2]),
        lambda X, y: xgboost.XGBClassifier(booster="gblinear").fit(X, y),
    ],
    ids=["tokens", "linear boosting"],
)
def test_relations_of_a_teacher_without_features_are_those_of_its_logits(
    make_teacher, data32
):
    X, y = data32
    torch.manual_seed(0)
    teacher = make_teacher(X, y)

    clf = distill(teacher, relation_loss="pkt").fit(X, teacher.predict(X))

    losses = clf.history_[:, "train_loss_relation"]
    assert losses[-1] < losses[0]


# What a teacher does to the rows


def doubled(X):
    X *= 2
    return X[:, :3]


def doubled_features(teacher, X):
    X *= 2
    return X[:, :2]


def doubled_copy(teacher, X):
    return 2 * X[:, :2]


@pytest.mark.parametrize(
    ("overwriting", "plain", "params"),
    [
        pytest.param(
            make_pipeline(StandardScaler(copy=False), LogisticRegression()),
            scaled(LogisticRegression()),
            {},
            id="unfitted pipeline",
        ),
        pytest.param(
            make_pipeline(StandardScaler(copy=False), LogisticRegression()),
            scaled(LogisticRegression()),
            {"cv": 3},
            id="unfitted pipeline, out of fold",
        ),
        pytest.param(
            TorchTeacher(doubled, [0, 1, 2]),
            TorchTeacher(lambda X: 2 * X[:, :3], [0, 1, 2]),
            {},
            id="function",
        ),
        pytest.param(
            LogisticRegression(),
            LogisticRegression(),
            {"teacher_features": (doubled_features, doubled_copy), "cv": 3},
            id="features, out of fold",
        ),
        pytest.param(
            LogisticRegression(),
            LogisticRegression(),
            {"teacher_features": (doubled_features, doubled_copy)},
            id="features",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
def test_teacher_that_overwrites_rows_teaches_what_a_well_behaved_one_does(
    overwriting, plain, params, data32
):
    X, y = data32
    kept = X.copy()
    hows = params.get("teacher_features")

    def fit(teacher, number):
        own = dict(params)
        if hows:
            own |= {"teacher_features": hows[number], "relation_loss": "pkt"}
        return distill(teacher, **own).fit(X, y).predict_proba(X)

    proba = fit(overwriting, 0)

    assert_array_equal(X, kept)
    assert_array_equal(proba, fit(plain, 1))


# Classes


def test_codes_of_a_teacher_stand_for_labels_by_classes(data32):
    X, codes = data32
    teacher = UNFITTED["XGBoost"]().fit(X, codes)

    clf = distill(teacher, classes=NAMES).fit(X, NAMES[codes])

    assert_array_equal(clf.classes_, NAMES)
    assert np.mean(clf.predict(X) == NAMES[teacher.predict(X)]) > 0.8


def test_teacher_without_classes_asks_for_them(data32):
    X, y = data32
    teacher = WithoutFit(LogisticRegression().fit(X, y))

    with pytest.raises(ValueError, match=r"has no classes_.*classes="):
        distill(teacher).fit(X, y)

    assert agreement(distill(teacher, classes=[0, 1, 2]).fit(X, y), teacher, X) > 0.8


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
        pytest.param(unsorted_torch_teacher, None, id="TorchTeacher, unsorted"),
        pytest.param(
            lambda X, y: WithoutFit(LogisticRegression().fit(X, y)),
            NAMES,
            id="by classes=",
        ),
        pytest.param(lambda X, y: LogisticRegression(), NAMES, id="unfitted"),
    ],
)
def test_codes_from_a_voting_classifier_find_their_columns(
    make_teacher, classes, data32
):
    X, codes = data32
    y = NAMES[codes]
    clf = distill(make_teacher(X, y), classes=classes)

    voting = VotingClassifier([("student", clf)], voting="soft").fit(X, y)

    assert voting.score(X, y) > 0.8
    assert voting.predict_proba(X).shape == (len(X), 3)


def test_bool_labels_keep_their_type_through_a_teacher(data32):
    X, codes = data32
    y = codes == 1
    teacher = LogisticRegression().fit(X, y)

    clf = distill(teacher, student=net(module__n_classes=2)).fit(X, y)

    assert clf.predict(X).dtype == bool


def test_class_that_y_lacks_is_learned_from_soft_labels_alone(data32):
    X, y = data32
    teacher = LogisticRegression().fit(X, y)
    X, y = X[y != 2], y[y != 2]

    clf = distill(teacher, student=net(max_epochs=30), temperature=1.0).fit(X, y)

    assert_array_equal(clf.classes_, [0, 1, 2])
    learned, told = (of.predict_proba(X)[:, 2] for of in (clf, teacher))
    assert np.corrcoef(learned, told)[0, 1] > 0.9
