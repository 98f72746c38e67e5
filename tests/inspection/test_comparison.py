import re
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.inspection.conftest import METRICS, MODELS, accuracies, comparison


def test_errors_are_corrected_for_training_rows_in_common():
    accuracy = [[0.8, 0.9, 0.8, 0.9], [0.5] * 4, [0.5] * 4]
    frame = comparison(accuracy=accuracy).to_frame()
    assert_allclose(frame.loc["teacher", ("accuracy", "mean")], 0.85)
    # The variance is 0.01 / 3, and its factor 1 / 4 + 1 / 3.
    assert_allclose(
        frame.loc["teacher", ("accuracy", "error")], np.sqrt(0.01 / 3 * 7 / 12)
    )


def test_the_share_of_the_gap_is_a_ratio_of_means():
    accuracy = [[0.9, 0.9, 0.9, 1.0], [0.5, 0.5, 0.5, 0.6], [0.7, 0.8, 0.7, 0.8]]
    share, error = comparison(accuracy=accuracy).gap_closed["accuracy"]
    # The gap is 0.4 on all splits, the gain 0.2, 0.3, 0.2 and 0.2.
    assert_allclose(share, 0.225 / 0.4)
    assert_allclose(error, np.sqrt(0.0025 * 7 / 12) / 0.4)


def test_the_error_of_the_share_knows_of_gains_that_follow_the_gap():
    accuracy = [[0.7, 0.8, 0.9, 0.7], [0.5] * 4, [0.6, 0.65, 0.7, 0.6]]
    share, error = comparison(accuracy=accuracy).gap_closed["accuracy"]
    assert_allclose([share, error], [0.5, 0], atol=1e-12)


def test_less_is_better_of_losses():
    losses = [[0.1] * 4, [0.5] * 4, [0.2] * 4]
    closed = comparison(log_loss=losses, brier=losses[::-1]).gap_closed
    assert_allclose(closed["log_loss"], (0.75, 0), atol=1e-12)
    assert_allclose(closed["brier"][0], 4 / 3)


@pytest.mark.parametrize(
    ("gap", "is_clear"),
    [
        # The error is 0.01 * sqrt(9 / 20), and the quantile of the t-distribution with
        # 4 degrees of freedom 2.132: a gap is clear above 0.01430.
        (0.0144, True),
        (0.0142, False),
        (-0.05, False),
        (0.0, False),
    ],
)
def test_a_gap_within_the_noise_cannot_be_closed(gap, is_clear):
    result = comparison(accuracy=accuracies(gap, 0.01, spread=0.01))
    assert np.isfinite(result.gap_closed["accuracy"]).all() == is_clear
    frame = result.to_frame()
    assert frame.loc["gap closed"]["accuracy"].notna().all() == is_clear


VERDICTS = {
    "worth it": (
        (0.1, 0.08),
        "Distilling closes 80 % ± 1 % of the gap in accuracy between",
    ),
    "better than the teacher": ((0.1, 0.12), "Distilling closes 120 % ± "),
    "harm": (
        (0.1, -0.02),
        "Distilling did not help: the teacher is 10.0 ± 0.1 points more accurate, and "
        "the student 2.0 ± 0.1 points less accurate, than the same net",
    ),
    "harm by a bad teacher": ((-0.1, -0.02), "Distilling did not help: "),
    "useless": ((0.1, 0.001), "It is not clear that distilling helped: "),
    "nothing to gain": ((0.001, 0.001), "There is no clear gap to close: "),
    "bad teacher": (
        (-0.1, 0.001),
        "There is no gap to close: the teacher is 10.0 ± 0.1 points less accurate",
    ),
    "gain without a gap": ((0.001, 0.02), "Distilling helped, although there is no"),
}

EXPORT = "fit it on all rows, and export it, such as by skdistill.deploy.to_onnx"
LABELS = (
    "use a net on the labels, which needs no teacher, "
    "make_student(early_stopping=True).fit(X, y)"
)
NEXT = {
    "worth it": EXPORT,
    "better than the teacher": EXPORT,
    "harm": LABELS,
    "harm by a bad teacher": LABELS,
    "useless": (
        "search over alpha and temperature, or pass more splits; a net on the labels "
        "may be as good, make_student(early_stopping=True).fit(X, y)"
    ),
    "nothing to gain": LABELS,
    "bad teacher": LABELS,
    "gain without a gap": EXPORT,
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(case):
    (teacher, student), begin = VERDICTS[case]
    verdict = comparison(accuracy=accuracies(teacher, student)).verdict
    assert verdict.startswith(begin)
    assert verdict.split(". ")[1:] == [f"Next, {NEXT[case]}."]


def test_a_score_that_a_split_does_not_have_gives_no_verdict_in_numbers():
    precision = np.full((3, 5), [0.5, 0.6, 0.5, 0.6, np.nan])
    result = comparison(average_precision=precision)
    for model in result.results.values():
        del model["accuracy"]
    assert result.verdict.startswith(
        "It is not clear that distilling helped: some splits have no "
        "average_precision, as none of the labels is in their test rows;"
    )
    assert result.verdict.endswith("Next, pass splits with labels in the test rows.")


@pytest.mark.parametrize(("student", "head"), [(0.0, "no clear gap"), (0.1, "did not")])
def test_no_share_of_an_error_of_0_is_told(student, head):
    result = comparison(rmse=np.outer([0.0, 0.0, student], np.ones(5)))
    for model in result.results.values():
        del model["accuracy"]
    assert head in result.verdict
    assert ": the error (rmse) of the same net trained on labels alone is 0;" in (
        result.verdict
    )


@pytest.mark.parametrize("n_splits", [2, 4])
def test_few_splits_find_nothing(n_splits):
    accuracy = np.outer([0.9, 0.8, 0.82], np.ones(n_splits))
    assert comparison(accuracy=accuracy).verdict == (
        f"{n_splits} splits are too few to tell if distilling helped: the teacher is "
        "10.0 points more accurate, and the student 2.0 points more accurate, than the "
        "same net trained on labels alone; the student's file is 1 times the "
        "teacher's, and one row takes 1 times its time. Next, pass cv=5, or more."
    )


def test_verdict_warns_of_a_teacher_that_was_fitted_before():
    verdict = comparison(True, accuracy=accuracies(0.1, 0.08)).verdict
    assert verdict.startswith(
        "If the teacher was not fitted on these rows, distilling closes 80 %"
    )


@pytest.mark.parametrize(
    ("n_bytes", "microseconds", "end"),
    [
        (
            [2.4e6, 1e4],
            [3000.0, 10.0],
            "; the student's file is 1/240 of the teacher's, and one row takes 1/300 "
            "of its time.",
        ),
        (
            [2.0, 3.0],
            [10.0, 7.0],
            "; the student's file is 1.5 times the teacher's, and one row takes 0.7 "
            "times its time.",
        ),
        ([np.nan, 3.0], [10.0, 5.0], "alone; one row takes 1/2 of its time."),
    ],
)
def test_verdict_on_costs(n_bytes, microseconds, end):
    def by_model(teacher, student):
        return np.outer([teacher, np.nan, student], np.ones(5))

    result = comparison(bytes=by_model(*n_bytes), row_us=by_model(*microseconds))
    assert result.verdict.partition(" Next, ")[0].endswith(end)


@pytest.mark.parametrize(
    ("has_fitted_teacher", "n_honest", "end"),
    [
        (False, 30, "was measured on rows that it has not learned from."),
        (True, 30, "was measured on rows that it has not learned from."),
        (True, 0, "is a guess, .* calibrate_teacher=.X_cal, y_cal., for a better .*"),
        (False, 0, "was not measured."),
    ],
)
def test_verdict_says_how_the_teacher_was_trusted(has_fitted_teacher, n_honest, end):
    verdict = comparison(has_fitted_teacher, 0.62, n_honest).verdict
    assert re.search(f"The weight of the teacher, alpha = 0.62, {end} Next, ", verdict)


def test_prints_as_an_aligned_table_with_the_verdict():
    result = comparison(
        accuracy=accuracies(0.1, 0.08),
        bytes=np.outer([1234567, 1000, 99.94], np.ones(5)),
        fit_s=[[np.nan] * 5, [0.5, 0.6, 0.7, 0.8, 0.9], [1] * 5],
    )
    assert str(result) == repr(result)
    table, verdict = str(result).split("\n\n")
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(METRICS)
    assert len({len(line) for line in lines}) == 1
    cells = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert " ".join(cells["accuracy"]) == (
        "0.9200 ± 0.0106 0.8200 ± 0.0106 0.9000 ± 0.0106 80 % ± 1 %"
    )
    assert " ".join(cells["bytes"]) == "1,234,567 ± 0 1,000 ± 0 99.9 ± 0 -"
    assert " ".join(cells["fit_s"]) == "- 0.7 ± 0.11 1 ± 0 -"
    assert verdict.replace("\n", " ") == (
        f"Mean ± standard error over 5 splits. {result.verdict}"
    )
    assert max(map(len, str(result).splitlines())) <= 80


def test_html_has_the_same_cells_escaped():
    result = comparison(accuracy=accuracies(0.1, 0.08))
    page = result._repr_html_()
    assert page.count("<tr>") == 1 + len(METRICS)
    assert "<th>gap closed</th>" in page
    assert "<td>80 % ± 1 %</td>" in page
    note = f"<p>Mean ± standard error over 5 splits. {result.verdict}</p>"
    assert note.replace("'", "&#x27;") in page
    assert "'" not in page


def test_the_frame_has_a_row_for_each_model():
    frame = comparison(accuracy=accuracies(0.1, 0.08)).to_frame()
    assert frame.index.tolist() == [*MODELS, "gap closed"]
    assert [metric for metric, part in frame.columns if part == "mean"] == [*METRICS]
    assert frame["fit_s"].loc["gap closed"].isna().all()


def test_a_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas"):
        comparison().to_frame()
