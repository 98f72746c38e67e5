"""soft_labels: what a teacher, or several, say of rows, in columns of all classes."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skdistill import DistilledClassifier, TorchTeacher, soft_labels
from skdistill._targets._classes import Classes
from skdistill._teachers._features import FeatureQuestion, teacher_features
from skdistill._transfer._question import Question
from skdistill._transfer._soft_labels import label
from skdistill._transfer._store import store
from tests.conftest import FittedTeacher
from tests.kinds import WithoutFit, net, perceptron, small_forest

FEATURES = FeatureQuestion("auto", required=True)


def question_of(*rows, **how):
    return Question(*rows, **{"target": Classes()} | how)


class Fixed(FittedTeacher):
    """Says the same of every row."""

    def __init__(self, classes, proba):
        super().__init__(classes)
        self.proba = proba

    def predict_proba(self, X):
        return np.tile(self.proba, (len(X), 1))


def says_the_row(n_classes):
    return TorchTeacher(lambda X: X, classes=np.arange(n_classes), output="proba")


@pytest.mark.parametrize("proba_clip", [None, 1e-6])
def test_changing_the_result_changes_no_later_one(proba_clip, data):
    teacher = LogisticRegression().fit(*data)
    first = soft_labels(teacher, *data, proba_clip=proba_clip)
    expected = first.copy()

    first[:] = 0

    assert_array_equal(soft_labels(teacher, *data, proba_clip=proba_clip), expected)


@pytest.mark.parametrize(
    ("method", "cv"),
    [("out_of_fold", 3), ("auto", 3), ("out_of_bag", None), ("in_sample", None)],
)
def test_estimator_learns_from_what_the_function_returns(method, cv, data32):
    X, y = data32
    teacher = RandomForestClassifier(5, max_depth=3)
    same = {"student": net(max_epochs=1), "alpha": 1.0, "random_state": 0}
    by_itself = DistilledClassifier(teacher, soft_labels=method, cv=cv, **same)
    expected = by_itself.fit(X, y).predict_proba(X)
    store.clear()

    proba = soft_labels(teacher, X, y, method=method, cv=cv, random_state=0)

    given = DistilledClassifier(**same).fit(X, y, teacher_proba=proba)
    assert_array_equal(given.predict_proba(X), expected)


# Classes


@pytest.mark.parametrize("how", [{}, {"cv": 3}, {"calibrate_teacher": "out_of_fold"}])
def test_one_weight_stands_for_all_rows(how, data):
    teacher = LogisticRegression(C=0.01)
    assert_allclose(
        soft_labels(teacher, *data, sample_weight=9, **how),
        soft_labels(teacher, *data, sample_weight=np.full(90, 9.0), **how),
    )
    with pytest.raises(ValueError, match="Negative values"):
        soft_labels(teacher, *data, sample_weight=-1.0, **how)


@pytest.mark.parametrize("wrap", [lambda teacher: teacher, WithoutFit])
def test_classes_name_the_columns_of_a_fitted_teacher(wrap, data):
    X, y = data
    fitted = LogisticRegression().fit(X, y)
    names = ["c", "a", "b"]

    labels = soft_labels(wrap(fitted), X, np.array(names)[y], classes=names)

    assert_allclose(labels, fitted.predict_proba(X)[:, [1, 2, 0]], atol=1e-6)


def test_classes_do_not_name_the_columns_of_a_teacher_fitted_here(data):
    labels = soft_labels(LogisticRegression(), *data, classes=[2, 1, 0])

    assert_array_equal(labels, soft_labels(LogisticRegression(), *data))


# The clip


@pytest.mark.parametrize(("proba_clip", "smallest"), [(0.1, 0.1 / 1.2), (None, 0.0)])
def test_clip_raises_zeros_and_rows_still_sum_to_one(proba_clip, smallest):
    labels = soft_labels(says_the_row(3), np.eye(3), proba_clip=proba_clip)

    assert_allclose(labels.min(axis=1), smallest, rtol=1e-6)
    assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


# Random states


@pytest.mark.parametrize("params", [{}, {"cv": 3}, {"method": "out_of_bag"}], ids=str)
@pytest.mark.parametrize("make_state", [int, np.random.RandomState])
def test_open_random_states_are_drawn_from_ours(make_state, params, data):
    teacher = RandomForestClassifier(3, max_depth=3)

    def labels(seed):
        return soft_labels(teacher, *data, random_state=make_state(seed), **params)

    first, other = labels(0), labels(1)
    store.clear()

    assert_array_equal(labels(0), first)
    assert np.any(first != other)
    assert teacher.random_state is None


def test_teachers_of_a_list_draw_different_seeds(data):
    one = RandomForestClassifier(1, max_depth=3)

    first, second = label([one, one], question_of(*data, random_state=0)).teacher

    assert first.random_state != second.random_state


def test_global_generator_is_left_as_it_was(data):
    before = np.random.get_state()[1].copy()  # noqa: NPY002

    soft_labels(RandomForestClassifier(2, max_depth=2), *data, random_state=0, cv=2)

    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Several teachers


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize(
    ("weights", "expected"), [([3, 1], [0.8, 0.2]), (None, [0.7, 0.3])]
)
def test_several_teachers_are_averaged_by_their_weights(weights, expected, kind):
    teachers = kind([Fixed([0, 1], [0.9, 0.1]), Fixed([0, 1], [0.5, 0.5])])

    labels = soft_labels(teachers, np.zeros((2, 1)), teacher_weights=weights)

    assert_allclose(labels, [expected] * 2, rtol=1e-6)


def test_fitted_and_unfitted_teachers_may_be_mixed(data):
    X, y = data
    fitted, forest = LogisticRegression().fit(X, y), small_forest()

    answer = label([fitted, forest], question_of(X, y, teacher_weights=[1, 3]))

    assert answer.teacher[0] is fitted
    assert not hasattr(forest, "estimators_")
    expected = (fitted.predict_proba(X) + 3 * answer.teacher[1].predict_proba(X)) / 4
    assert_allclose(answer.values, expected, atol=1e-6)


def test_each_teacher_gets_its_own_reduction_of_features_back(forest, data):
    X, y = data
    other = ExtraTreesClassifier(5, max_depth=3, random_state=1).fit(X, y)
    teachers = [forest, perceptron().fit(X, y), other]
    first = label(teachers, question_of(X, y, features=FEATURES))

    again = FeatureQuestion("auto", True, first.reduction)
    later = label(teachers, question_of(X[:20], y[:20], features=again))

    assert_allclose(later.features, first.features[:20], atol=1e-6)


# Further rows are part of the question


@pytest.mark.parametrize("fitted", [False, True])
def test_further_rows_are_labeled_below_the_others_and_anew_if_they_change(
    fitted, data
):
    X, y = data
    teacher = LogisticRegression().fit(X, y)
    given = teacher if fitted else LogisticRegression()

    for extra in (X[:5] + 1, X[5:9] - 1, None, X[:5] + 2):
        rows = X if extra is None else np.vstack([X, extra])
        answer = label(given, question_of(X, y, random_state=0, extra=extra))
        assert_allclose(answer.values, teacher.predict_proba(rows), atol=1e-6)


# Features are part of the question


def first_columns(teacher, X):
    return X[:, :2]


@pytest.fixture
def asked(count_calls):
    return count_calls(LogisticRegression, "predict_proba")


def features(teacher, X, how="auto", reduction=None):
    question = None if how is None else FeatureQuestion(how, True, reduction)
    return label(teacher, question_of(X, features=question)).features


@pytest.mark.parametrize("how", [None, first_columns, lambda teacher, X: X[:, 1:]])
def test_same_features_are_asked_once(how, data32, asked):
    X, y = data32
    teacher = LogisticRegression().fit(X, y)

    first, again = features(teacher, X, how), features(teacher, X.copy(), how)

    assert asked["predict_proba"] == 1
    assert again is first


def test_other_functions_and_layers_are_asked_anew(data32):
    X, y = data32
    teacher = net(max_epochs=1).fit(X, y)
    chosen = [[0, 1], [2, 3], [0], [1]]
    hows = [lambda teacher, X, columns=columns: X[:, columns] for columns in chosen]
    hows += [None, "auto", "0", "2"]

    found = [features(teacher, X, how) for how in hows * 2]

    widths = [None if one is None else one.shape[1] for one in found]
    assert widths == [2, 2, 1, 1, None, 8, 8, 3] * 2
    for one, columns in zip(found[8:12], chosen, strict=True):
        assert_array_equal(one, X[:, columns])


def test_other_reduction_is_asked_anew(forest, data):
    X, _ = data
    _, reduction = teacher_features(forest, X[:60], "auto")

    plain, reduced = features(forest, X), features(forest, X, "auto", reduction)

    expected, _ = teacher_features(forest, X, "auto", reduction)
    assert_array_equal(reduced, expected)
    assert np.any(plain != reduced)


def test_features_that_were_missing_are_still_an_error_where_required(data):
    X, y = data
    teacher = make_pipeline(LogisticRegression()).fit(X, y)
    optional = FeatureQuestion("auto", required=False)
    assert label(teacher, question_of(X, features=optional)).features is None

    with pytest.raises(ValueError, match=r"Logistic.*teacher_features="):
        features(teacher, X)


def test_question_that_is_not_to_be_remembered_is_asked_each_time(data, asked):
    teacher = LogisticRegression().fit(*data)

    for _ in range(2):
        label(teacher, question_of(data[0], remember=False))

    assert asked["predict_proba"] == 2
    assert store.nbytes == 0


# memory=


class Unpicklable(GaussianNB):
    def __reduce__(self):
        raise TypeError("cannot be pickled")


class Own(GaussianNB):
    """Its code is part of the tests, and may be another in the next run."""


DRAWS = KFold(2, shuffle=True)


@pytest.mark.parametrize(
    ("teacher", "how", "reason"),
    [
        (GaussianNB(), {}, "random_state=None draws anew in each fit: set an integer"),
        (GaussianNB(), {"method": "out_of_fold", "cv": DRAWS, "random_state": 0}, "cv"),
        (Own(), {"random_state": 0}, "code outside of installed packages"),
        (Unpicklable(), {"random_state": 0}, "cannot be pickled"),
    ],
    ids=["random state", "folds", "own code", "no pickle"],
)
def test_memory_that_keeps_nothing_is_said_with_the_reason(
    teacher, how, reason, data, tmp_path
):
    question = question_of(*data, memory=tmp_path, **how)

    with pytest.warns(UserWarning, match=f"memory does not keep .* as .*{reason}"):
        label(teacher, question)

    label(teacher, replace(question, remember=False))
    label(teacher, replace(question, memory=None))
    assert not list(tmp_path.iterdir())


# Progress


@pytest.mark.parametrize(
    ("params", "bar"), [({}, "asking the teacher"), ({"cv": 2}, "on folds")]
)
def test_bars_show_only_when_asked_for(params, bar, data, capsys, bars_at_once):
    soft_labels(LogisticRegression(), *data, **params)
    assert capsys.readouterr().err == ""

    soft_labels(LogisticRegression(), *data, verbose=1, **params)

    assert bar in capsys.readouterr().err


def test_a_teacher_of_one_class_has_one_column():
    teacher = DummyClassifier().fit([[0.0], [1.0]], ["ash", "ash"])
    assert_array_equal(soft_labels(teacher, [[2.0], [3.0]]), [[1.0], [1.0]])
