"""Classes: labels, soft and hard targets, precomputed soft labels, folds, scores."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csc_array, csr_matrix
from scipy.special import softmax
from sklearn.exceptions import DataConversionWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.class_weight import compute_sample_weight

from skdistill._targets._answer import Answer
from skdistill._targets._classes import Classes


def soft_of(answer, classes, proba_clip):
    return Classes(names=classes, proba_clip=proba_clip).soft(answer)


CODES = np.arange(90) % 3
NAMES = np.array(["1", "2", "3"])
LABELS = np.array(["3", "1", "3", "2", "3", "3"])

# The labels


def test_column_vector_of_labels_warns_as_in_scikit_learn():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        checked = Classes().check_y(CODES.reshape(-1, 1), CODES)

    assert checked.shape == (90,)


@pytest.mark.parametrize(
    "kind",
    [
        list,
        np.array,
        pl.Series,
        pd.Series,
        lambda y: pd.Series(y, index=[7, 5, 3], dtype=object),
        lambda y: pd.Series(y, dtype="category"),
    ],
    ids=["list", "array", "polars", "pandas", "objects", "category"],
)
def test_labels_become_an_array(kind):
    checked = Classes().check_y(kind(["a", "b", "a"]), range(3))

    assert isinstance(checked, np.ndarray)
    assert checked.tolist() == ["a", "b", "a"]


# Logits and the clip


@pytest.mark.parametrize("n_classes", [2, 26, 100])
def test_one_hot_row_keeps_its_mass_at_temperature_two(n_classes):
    one_hot = np.eye(n_classes, dtype=np.float32)
    classes = np.arange(n_classes)

    logits = soft_of(Answer(one_hot, classes), classes, "auto")

    softened = softmax(logits.astype(float) / 2, axis=1)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert_allclose(np.diag(softened), 0.95, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "columns", "are_logits", "expected"),
    [
        ([0.2, 0.3, 0.5], "abc", False, np.log([0.2, 0.3, 0.5])),
        ([0.0, 0.25, 0.75], "abc", False, np.log([0.01, 0.25, 0.75])),
        ([0.2, 0.8], "ca", False, np.log([0.8, 0.01, 0.2])),
        ([-80.0, -2.0, 0.0], "abc", True, [-80.0, -2.0, 0.0]),
        ([-np.inf, -2.0, 0.0], "abc", True, [np.log(0.01), -2.0, 0.0]),
        ([-2.0, -0.1], "ca", True, [-0.1, np.log(0.01), -2.0]),
    ],
    ids=["probabilities", "0", "a class less", "logits", "infinite", "a logit less"],
)
def test_logits_of_all_classes_are_clipped_unless_they_are_the_teachers_own(
    values, columns, are_logits, expected
):
    values = np.array([values], dtype=np.float32)
    given = values.copy()

    answer = Answer(values, np.array([*columns]), are_logits)
    logits = soft_of(answer, np.array([*"abc"]), 0.01)

    assert_allclose(logits, [expected], rtol=1e-5)
    assert_array_equal(values, given)


# Labels made beforehand


def columns_of(proba, y=CODES, classes=None):
    return Classes(columns=classes).from_given(proba, np.zeros((90, 1)), y)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((90, 3), "must sum to 1; one is off by 0.5"),
        ((89, 3), r"shape \(89, 3\), expected \(90, 3\): a row per sample"),
        ((90, 2), r"expected \(90, 3\).*distinct labels of y.*classes="),
        ((90,), r"shape \(90,\), expected"),
        ((90, 3, 1), r"shape \(90, 3, 1\), expected"),
    ],
    ids=str,
)
def test_what_is_no_label_for_each_row_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        columns_of(np.full(shape, 0.5))


@pytest.mark.parametrize("container", [list, pd.DataFrame, pl.DataFrame, np.float16])
def test_labels_made_beforehand_come_in_any_container(container):
    proba = np.eye(3)[CODES] * 0.5 + 0.5 / 3

    answer = columns_of(container(proba))

    assert answer.values.dtype == np.float32
    assert_allclose(answer.values, proba, atol=1e-3)
    assert answer.columns.tolist() == [0, 1, 2]


@pytest.mark.parametrize("y", [CODES, None])
def test_classes_say_what_the_columns_stand_for(y):
    answer = columns_of(np.eye(3)[CODES], y, ["c", "a", "b"])

    assert answer.columns.tolist() == ["c", "a", "b"]


def test_a_frame_is_read_by_name_before_columns_are_left_out():
    teacher = SimpleNamespace(classes_=["a", "b", "c"])
    frame = pd.DataFrame({"c": [0.5], "a": [0.1], "b": [0.4]})
    target = Classes(["c", "a"])
    answer = target.named(target.checked(frame, teacher, 1), teacher)
    assert_allclose(answer.values, [[5 / 6, 1 / 6]], rtol=1e-6)


@pytest.mark.parametrize("make", [csr_matrix, csc_array, coo_array])
def test_sparse_soft_labels_are_read(make):
    proba = np.eye(3)[CODES]
    answer = Classes().from_given(make(proba), proba, CODES)
    assert_array_equal(answer.values, proba)
    teacher = SimpleNamespace(classes_=[0, 1, 2])
    assert_array_equal(Classes().checked(make(proba), teacher, 90).values, proba)
    with pytest.raises(ValueError, match=r"shape \(90, 2\), expected \(90, 3\)"):
        Classes().from_given(make(proba[:, :2]), proba, CODES)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("classes", [["a", "b", "c"], [0, 1, 2], [10, 20, 30]], ids=str)
def test_named_columns_may_have_any_order(classes, library):
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 90)
    names = classes if library is pd else list(map(str, classes))
    frame = library.DataFrame(dict(zip(names, proba.T, strict=True)))
    shuffled = frame[[names[i] for i in (2, 0, 1)]]

    answer = columns_of(shuffled, np.array(classes)[CODES])

    assert answer.columns.tolist() == classes
    assert_array_equal(answer.values, proba.astype(np.float32))


@pytest.mark.parametrize("names", ["abd", "aab"])
@pytest.mark.parametrize("classes", [None, ["c", "b", "a"]])
def test_named_columns_must_be_the_classes(classes, names):
    frame = pd.DataFrame(np.eye(3)[CODES])
    frame.columns = list(names)

    with pytest.raises(
        ValueError, match=r"named \['a', .*name each column by its class"
    ):
        columns_of(frame, np.array(["a", "b", "c"])[CODES], classes)


def test_columns_that_pandas_has_numbered_are_in_the_order_of_classes():
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 90).astype(np.float32)

    answer = columns_of(pd.DataFrame(proba), classes=[2, 1, 0])

    assert answer.columns.tolist() == [2, 1, 0]
    assert_array_equal(answer.values, proba)


def test_labels_without_y_need_classes():
    with pytest.raises(ValueError, match="teacher_proba without y: pass classes="):
        columns_of(np.eye(3)[CODES], None)


def test_count_of_columns_is_held_against_classes():
    with pytest.raises(ValueError, match="a column for each of classes="):
        columns_of(np.eye(3)[CODES], classes=[0, 1, 2, 3])


# Names


def test_names_are_those_of_the_teacher_and_of_all_labels_to_come():
    columns, target = Classes().reconcile(np.array(["c", "a"]), None, ["a", "b"])

    assert columns.tolist() == ["c", "a"]
    assert target.names.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("fits_teacher", [False, True])
def test_names_that_a_person_adds_count_if_the_teacher_is_fitted_on_y(fits_teacher):
    y = np.array([1, 2])

    _, target = Classes([3, 2, 1]).reconcile(y, y, fits_teacher=fits_teacher)

    assert target.names.tolist() == ([1, 2, 3] if fits_teacher else [1, 2])


def test_a_teacher_without_columns_has_those_of_the_labels():
    columns, target = Classes().reconcile(None, LABELS)

    assert columns.tolist() == target.names.tolist() == NAMES.tolist()


def test_the_person_names_the_columns_of_a_fitted_teacher():
    teacher = GaussianNB().fit(np.eye(3), [0, 1, 2])
    answer = Answer(np.eye(3, dtype=np.float32), np.arange(3))

    assert Classes().named(answer, teacher).columns.tolist() == [0, 1, 2]
    assert Classes(NAMES).named(answer, teacher).columns.tolist() == NAMES.tolist()
    with pytest.raises(ValueError, match="classes= has 2 labels, teacher GaussianNB"):
        Classes(NAMES[:2]).named(answer, teacher)


def test_one_class_cannot_be_learned_and_a_warm_student_keeps_its_classes():
    Classes(names=NAMES).check_learnable(NAMES)
    with pytest.raises(ValueError, match="at least 2 classes, there is 1 class: '1'"):
        Classes(names=NAMES[:1]).check_learnable(None)
    with pytest.raises(ValueError, match=r"keep its classes: it had \['1', '2'\],"):
        Classes(names=NAMES).check_learnable(NAMES[:2])


# Hard targets and predictions


def test_hard_targets_are_positions_and_the_likeliest_class_without_a_label():
    soft = np.log(np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6]]) + 1e-9)

    target = Classes(names=NAMES)

    assert target.hard(soft, None).tolist() == [0, 2]
    assert target.hard(soft, np.array(["2"])).tolist() == [1, 2]
    assert target.decode(soft).tolist() == ["1", "3"]
    with pytest.raises(ValueError, match=r"not in classes_: \['4'\].* by classes="):
        target.hard(soft, np.array(["1", "4"]))


def test_rows_are_held_out_of_each_class_always_the_same():
    y = np.repeat(["a", "b"], [40, 60])
    held = Classes().hold_out(y, 20)
    assert [held[y == label].sum() for label in "ab"] == [8, 12]
    assert_array_equal(held, Classes().hold_out(y, 20))


def test_a_class_of_one_row_is_not_held_out():
    y = np.repeat(["a", "b", "c"], [1, 1, 28])
    held = Classes().hold_out(y, 10)
    assert held.sum() == 10
    assert not held[:2].any()


def test_rows_are_held_out_where_each_is_of_another_class():
    assert Classes().hold_out(np.arange(5), 2).sum() == 2


# The weights of classes


def weights_of(class_weight, classes, y):
    """Return the weights of rows without a label, one of each class."""
    sure = 100 * np.eye(len(classes))
    n_labels = 0 if y is None else len(y)
    soft = np.concatenate([np.zeros((n_labels, len(classes))), sure])
    target = Classes(class_weight=class_weight, names=classes)
    return target.row_weights(soft, y)[n_labels:]


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2, 1: 0.5, 2: 0}, {1: 3}])
def test_rows_weigh_as_in_scikit_learn(class_weight):
    y = np.array([2, 0, 2, 1, 2, 2])
    expected = compute_sample_weight(class_weight, y)

    target = Classes(class_weight=class_weight)

    assert_array_equal(target.weighted(y, None), expected)
    weighted = target.weighted(y, np.arange(6.0))
    assert_array_equal(weighted, expected * np.arange(6))


def test_no_class_weights_leave_the_sample_weights_as_they_are():
    weight = np.ones(6)

    assert Classes(names=NAMES).row_weights(np.zeros((6, 3)), LABELS) is None
    assert Classes().weighted(LABELS, weight) is weight
    assert Classes(class_weight={"1": 2}).weighted(None, weight) is weight


def test_labels_that_look_like_numbers_stay_strings():
    weights = weights_of({"3": 4}, NAMES, LABELS)

    assert weights.tolist() == [1, 1, 4]


def test_balanced_weights_are_one_for_a_class_without_rows():
    weights = weights_of("balanced", np.array(["1", "2", "3", "4"]), LABELS)

    assert weights.tolist() == [2, 2, 0.5, 1]


def test_a_fold_may_lack_a_class_that_has_a_weight():
    assert weights_of({"1": 1, "2": 2}, NAMES[:1], None).tolist() == [1]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        (
            {1: 2, "2": 1},
            r"has weights of \[1\], which are no classes: .*'1', '2', '3'",
        ),
        ({"1": -1}, "finite and not negative"),
        ({"1": np.inf}, "finite and not negative"),
    ],
)
def test_weights_that_cannot_be(class_weight, message):
    with pytest.raises(ValueError, match=message):
        weights_of(class_weight, NAMES, LABELS)


def test_labels_are_needed_to_be_balanced():
    with pytest.raises(ValueError, match="class_weight='balanced' requires y"):
        weights_of("balanced", NAMES, None)


# What teachers say


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_frame_of_a_teacher_is_read_by_the_names_of_its_columns(library):
    proba = np.random.default_rng(0).dirichlet([1, 1, 1], 9)
    frame = library.DataFrame({name: proba[:, i] for i, name in enumerate(NAMES)})
    teacher = SimpleNamespace(classes_=NAMES)
    said = Classes().checked(frame[["3", "1", "2"]], teacher, 9)
    assert_allclose(said.values, proba, rtol=1e-6)
    # The names may be those that the person gives.
    target = Classes(columns=["1", "2", "3"])
    said = target.checked(
        frame[["3", "1", "2"]], SimpleNamespace(classes_=[0, 1, 2]), 9
    )
    assert_allclose(said.values, proba, rtol=1e-6)
    with pytest.raises(
        ValueError, match="columns of teacher SimpleNamespace are named"
    ):
        Classes().checked(frame, SimpleNamespace(classes_=["a", "b", "c"]), 9)


@pytest.mark.parametrize(
    ("n_different", "weight", "bound"),
    [
        (5, 1.0, 0.7),
        (40, 1.0, 0.7 * (11 / 101 / 0.4) ** 2),
        (40, np.repeat([3.0, 1.0], [10, 90]), 0.7 * (26 / 101 / 0.4) ** 2),
    ],
    ids=["less than nets err", "more", "weighted"],
)
def test_a_teacher_that_differs_more_than_nets_err_is_bounded(
    n_different, weight, bound
):
    hard, first = np.zeros(100, int), np.array([[0.9, 0.1]], np.float32)
    nets = np.repeat(first, 100, axis=0)
    nets[:10] = nets[:10, ::-1]  # they err
    teacher = np.repeat(first, 100, axis=0)
    teacher[:n_different] = teacher[:n_different, ::-1]
    extra = np.repeat(first, 100, axis=0)
    found = Classes().most_trust(nets, hard, np.ones(100) * weight, teacher, extra)
    assert found == pytest.approx(bound)
