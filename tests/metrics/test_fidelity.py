from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdistill.metrics import agreement, gap_closed, kl_to_teacher

P = np.array([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
Q = np.array([[0.25, 0.5, 0.25], [0.2, 0.2, 0.6]])


class TestAgreement:
    def test_of_labels_and_of_probabilities(self):
        assert agreement(["a", "b", "b"], ["a", "a", "b"]) == 2 / 3
        assert agreement(P, Q) == 0.5  # of two equal probabilities, the first counts
        assert isinstance(agreement(P, Q), float)

    def test_weights(self):
        assert agreement([0, 1], [0, 0], sample_weight=[3, 1]) == 0.75

    @pytest.mark.parametrize(
        ("teacher", "student"),
        [([0, 1], P), (P, P[:1]), (P, P[:, :2]), (P[None], P[None]), (0, 0)],
    )
    def test_other_shapes(self, teacher, student):
        with pytest.raises(ValueError, match=r"\(n_samples,\) or \(n_s|array-like"):
            agreement(teacher, student)

    @pytest.mark.parametrize("multilabel", [None, "labels", "rows"])
    @pytest.mark.parametrize("numbers", [[[0.2, 1.7]], [[-3.0, 0.5]], [[np.nan, 1.0]]])
    def test_numbers(self, numbers, multilabel):
        with pytest.raises(ValueError, match=r"use sklearn\.metrics\.r2_score"):
            agreement([[0.0, 1.0]], numbers, multilabel=multilabel)

    def test_numbers_of_one_target(self):
        with pytest.raises(ValueError, match=r"use sklearn\.metrics\.r2_score"):
            agreement([1.5, 2.0], [1.4, 2.0])
        assert agreement([1.0, 2.0], [1.0, 3.0]) == 0.5  # labels that are floats

    @pytest.mark.parametrize("labels", [[0, 1, 1], [0.0, 1.0, 1.0], ["a", "b", "b"]])
    def test_one_column_holds_labels(self, labels):
        column = np.reshape(labels, (-1, 1))
        assert agreement(column, column[[0, 0, 1]]) == 2 / 3

    def test_one_column_of_two_holds_no_labels(self):
        with pytest.raises(ValueError, match="need a column for each class"):
            agreement(P[:, :1], Q[:, :1])

    @pytest.mark.parametrize("rows", [[[5, 2]], [["a", "b"]]])
    @pytest.mark.parametrize("multilabel", [None, "rows"])
    def test_what_is_no_share_of_a_class(self, rows, multilabel):
        with pytest.raises(ValueError, match=r"other numbers|string to float"):
            agreement(rows, rows, multilabel=multilabel)

    def test_text_never_equals_a_number(self):
        with pytest.raises(ValueError, match="those of the other numbers"):
            agreement(["0", "1"], [0, 1])
        with pytest.raises(ValueError, match="those of the other numbers"):
            agreement(np.array([1.0, 2.0]), np.array(["1", "2"], dtype=object))
        mixed = np.array(["a", 1], dtype=object)
        assert agreement(mixed, mixed) == 1

    @pytest.mark.parametrize("empty", [[], P[:0]])
    def test_no_rows(self, empty):
        with pytest.raises(ValueError, match="no rows"):
            agreement(empty, empty)


class TestKL:
    def test_by_hand(self):
        first = 0.5 * np.log(2) + 0.5 * np.log(1)
        assert_allclose(kl_to_teacher(P, Q), first / 2)
        assert_allclose(kl_to_teacher(P, Q, sample_weight=[3, 1]), first * 0.75)
        assert kl_to_teacher(P, P) == 0

    def test_a_student_that_rules_a_class_out_gets_a_finite_score(self):
        divergence = kl_to_teacher([[0.0, 1.0]], [[1.0, 0.0]])
        assert_allclose(divergence, -np.log(np.finfo(float).eps))

    def test_rows_that_miss_1_by_rounding_count_as_probabilities(self):
        half = P.astype(np.float16) * np.float16(0.9995)
        assert_allclose(kl_to_teacher(P, half), 0, atol=1e-6)

    @pytest.mark.parametrize(
        ("teacher", "student", "match"),
        [
            (P, Q[:1], r"same shape, \(n_samples, n_classes\), got"),
            (P[0], Q[0], "same shape"),
            (P[:0], Q[:0], "no rows"),
            (P * 3, Q, "the rows of teacher_proba must sum to 1"),
            (P, Q - 0.5, "student_proba contains negative values"),
        ],
    )
    def test_what_is_refused(self, teacher, student, match):
        with pytest.raises(ValueError, match=match):
            kl_to_teacher(teacher, student)

    def test_negative_weights(self):
        with pytest.raises(ValueError, match="Negative values"):
            kl_to_teacher(P, Q, sample_weight=[1, -1])


class TestGapClosed:
    @pytest.mark.parametrize(
        ("scores", "greater_is_better", "share"),
        [
            ((0.9, 0.8, 0.5), True, 0.75),
            ((0.1, 0.2, 0.5), False, 0.75),
            ((0.9, 0.4, 0.5), True, -0.25),
            ((0.9, 1.0, 0.5), True, 1.25),
            (([0.8, 1.0], [0.7, 0.9], [0.5, 0.5]), True, 0.75),
        ],
    )
    def test_share(self, scores, greater_is_better, share):
        closed = gap_closed(*scores, greater_is_better=greater_is_better)
        assert_allclose(closed, share)
        assert isinstance(closed, float)

    @pytest.mark.parametrize(
        ("teacher", "greater_is_better"), [(0.4, True), (0.5, True), (0.6, False)]
    )
    def test_without_a_gap(self, teacher, greater_is_better):
        score = gap_closed(teacher, 0.55, 0.5, greater_is_better=greater_is_better)
        assert np.isnan(score)


@pytest.mark.parametrize("scale", [1, 0.9])
def test_agreement_of_several_labels_counts_labels_or_rows(scale):
    teacher = np.array([[1, 0, 1], [0, 0, 1]]) * scale
    student = np.array([[1, 1, 1], [0, 0, 1]]) * scale
    assert agreement(teacher, student, multilabel="labels") == pytest.approx(5 / 6)
    assert agreement(teacher, student, multilabel="rows") == 0.5
    weight = {"sample_weight": [1, 3], "multilabel": "rows"}
    assert agreement(teacher, student, **weight) == 0.75
    with pytest.raises(ValueError, match="'labels', 'rows' or None"):
        agreement(teacher, student, multilabel=True)


def test_divergence_of_several_labels_is_the_sum_of_theirs():
    teacher, student = np.array([[0.2, 1.0], [0.5, 0.0]]), np.full((2, 2), 0.5)
    one = kl_to_teacher([[0.2, 0.8]], [[0.5, 0.5]])
    expected = [one + np.log(2), np.log(2)]
    found = kl_to_teacher(teacher, student, multilabel=True)
    assert found == pytest.approx(np.mean(expected))
    weight = {"sample_weight": [1, 0], "multilabel": True}
    assert kl_to_teacher(teacher, student, **weight) == pytest.approx(expected[0])


@pytest.mark.parametrize("multilabel", [False, True])
def test_weights_of_a_divergence_are_one_for_each_row(multilabel):
    ask = partial(kl_to_teacher, P, Q, multilabel=multilabel)
    assert_allclose(ask(sample_weight=2.0), ask())
    with pytest.raises(ValueError, match=r"\(3,\), expected \(2,\)"):
        ask(sample_weight=[1, 2, 3])
