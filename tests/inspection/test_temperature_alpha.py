import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV

from skdistill import make_student
from skdistill.inspection import TemperatureAlphaDisplay
from tests.conftest import distilled

# The best mean is 0.9, with a standard error of 0.05.
PAIRS = [(4, 1.0), (1, 0.0), (1, 1.0), (4, 0.0)]
SPLITS = np.array([[0.85, 0.95], [0.86, 0.85], [0.5, 0.5], [0.84, 0.84]])


def cv_results(prefix="", **further):
    return {
        "params": [
            {f"{prefix}temperature": t, f"{prefix}alpha": a, **further}
            for t, a in PAIRS
        ],
        "split0_test_score": SPLITS[:, 0],
        "split1_test_score": SPLITS[:, 1],
        "mean_test_score": SPLITS.mean(axis=1),
    }


def frames(display):
    """Return the cells that have a frame, by the style of its line."""
    found = {}
    for patch in display.ax_.patches:
        assert not patch.get_fill()
        cell = round(patch.get_y() + 0.42), round(patch.get_x() + 0.44)
        found.setdefault(patch.get_linestyle(), []).append(cell)
    return found


def test_cells_are_in_the_order_of_the_values():
    display = TemperatureAlphaDisplay.from_cv_results(cv_results())
    assert_allclose(display.im_.get_array(), [[0.855, 0.5], [0.84, 0.9]])
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0.0", "1.0"]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["1", "4"]
    shown = [[text.get_text() for text in row] for row in display.text_]
    assert shown == [["0.855", "0.500"], ["0.840", "0.900"]]
    assert display.text_[1, 0].get_position() == (0, 1)
    assert display.im_.origin == "lower"


def test_numbers_that_are_rounded_show_no_errors_of_rounding():
    drawn, spaced = np.float64(1.4677664117), np.linspace(0.1, 1, 10)[2]
    results = {
        "params": [{"temperature": drawn, "alpha": spaced}],
        "mean_test_score": [0.5],
    }
    display = TemperatureAlphaDisplay.from_cv_results(results)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["1.468"]
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0.3"]
    assert "at temperature 1.468 and alpha 0.3." in display.alt_text


def test_frames_show_the_best_cell_and_those_within_a_standard_error():
    display = TemperatureAlphaDisplay.from_cv_results(cv_results())
    assert display.error == pytest.approx(0.05)
    assert frames(display) == {"-": [(1, 1)], "--": [(0, 0)]}
    legend = display.ax_.get_legend().get_texts()
    assert [t.get_text() for t in legend] == ["best", "within one standard error"]
    assert display.alt_text == (
        "The mean score by temperature and alpha. The best one is 0.9, at temperature "
        "4 and alpha 1.0. Further pairs within one standard error of it: 1 of 3."
    )


def test_numbers_can_be_read_on_dark_and_light_cells():
    display = TemperatureAlphaDisplay.from_cv_results(cv_results())
    assert display.text_[1, 1].get_color() == "black"  # the best cell is yellow
    assert display.text_[0, 1].get_color() == "white"


def test_of_further_parameters_the_best_candidate_counts():
    results = cv_results(lr=0.1)
    double = {key: np.concatenate([v, v]) for key, v in results.items()}
    double["mean_test_score"][:4] = 0.1
    display = TemperatureAlphaDisplay.from_cv_results(double)
    assert_allclose(display.scores, [[0.855, 0.5], [0.84, 0.9]])


def test_a_temperature_of_another_loss_is_a_further_parameter():
    results = cv_results()
    results["params"] = [
        {"relation_loss__temperature": 0.07, **params} for params in results["params"]
    ]
    display = TemperatureAlphaDisplay.from_cv_results(results)
    assert display.temperatures == [1, 4]


def test_pairs_that_were_not_tried_are_empty():
    results = {
        "params": [{"temperature": t, "alpha": a} for t, a in PAIRS[:3]],
        "mean_test_score": SPLITS.mean(axis=1)[:3],
        "split0_test_score": SPLITS.mean(axis=1)[:3],
    }
    display = TemperatureAlphaDisplay.from_cv_results(results)
    assert np.isnan(display.scores[1, 0])
    assert display.text_[1, 0] is None
    # One split tells no standard error.
    assert frames(display) == {"-": [(1, 1)]}


def test_values_that_are_no_numbers_keep_their_order_also_in_a_pipeline():
    results = cv_results("clf__")
    for params in results["params"]:
        is_four = params["clf__temperature"] == 4
        params["clf__temperature"] = "fast" if is_four else 1
    display = TemperatureAlphaDisplay.from_cv_results(results)
    assert display.temperatures == ["fast", 1]
    for params in results["params"]:
        del params["clf__alpha"]
    with pytest.raises(ValueError, match=r"no parameter 'alpha'.*over \['clf__temp"):
        TemperatureAlphaDisplay.from_cv_results(results)


def test_real_searches(forest, data):
    net = make_student((4,), numeric="standard", max_epochs=1)
    search = GridSearchCV(
        distilled(forest, net),
        {"temperature": [1, 2], "alpha": [0.5, 1]},
        scoring=["accuracy", "neg_log_loss"],
        refit=False,
        cv=2,
    ).fit(*data)
    figure, ax = plt.subplots()
    display = TemperatureAlphaDisplay.from_cv_results(
        search.cv_results_, metric="neg_log_loss", values_format=".1f", ax=ax
    )
    assert display.figure_ is figure
    assert np.isfinite(display.scores).all()
    assert display.text_[0, 0].get_text() == f"{display.scores[0, 0]:.1f}"
    assert figure.axes[1].get_ylabel() == "mean neg_log_loss"
    with pytest.raises(ValueError, match=r"no score 'score', but \['accuracy', 'neg"):
        TemperatureAlphaDisplay.from_cv_results(search.cv_results_)
