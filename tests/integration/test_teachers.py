"""What a teacher does to the rows, and classes that its student alone knows of."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, TorchTeacher
from tests.kinds import net, scaled


def distill(teacher, **params):
    defaults = {"student": net(), "alpha": 1.0, "random_state": 0}
    return DistilledClassifier(teacher, **defaults | params)


# What a teacher does to the rows


def doubled(X):
    X *= 2
    return X[:, :3]


def doubled_features(teacher, X):
    return doubled(X)


IN_PLACE = make_pipeline(StandardScaler(copy=False), LogisticRegression())


@pytest.mark.parametrize(
    ("overwriting", "plain"),
    [
        (
            {"teacher": IN_PLACE, "cv": 3},
            {"teacher": scaled(LogisticRegression()), "cv": 3},
        ),
        (
            {"teacher": TorchTeacher(doubled, [0, 1, 2])},
            {"teacher": TorchTeacher(lambda X: 2 * X[:, :3], [0, 1, 2])},
        ),
        (
            {"teacher_features": doubled_features, "cv": 3},
            {"teacher_features": lambda teacher, X: 2 * X[:, :3], "cv": 3},
        ),
    ],
    ids=["pipeline", "function", "features"],
)
@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy:UserWarning")
def test_teacher_that_overwrites_rows_teaches_what_a_well_behaved_one_does(
    overwriting, plain, data32
):
    X, y = data32
    kept = X.copy()
    common = {"teacher": LogisticRegression(), "relation_loss": "pkt"}

    proba = distill(**common | overwriting).fit(X, y).predict_proba(X)

    assert_array_equal(X, kept)
    assert_array_equal(proba, distill(**common | plain).fit(X, y).predict_proba(X))


# Classes
