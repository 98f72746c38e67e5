"""A search asks its teacher once per training set, whatever it searches over."""

import os
import pathlib
import runpy
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB

from skdistill import DistilledClassifier, TorchTeacher, soft_labels
from skdistill._transfer._store import store
from skdistill.utils._fingerprint import fingerprint
from tests.kinds import FITTED, UNFITTED, NotOfScikitLearn, WithoutFit, net

ROOT = pathlib.Path(__file__).parents[2]
GRID = {"temperature": [1, 4], "alpha": [0.1, 1.0]}


def student(teacher, **params):
    defaults = {"student": net(max_epochs=1), "random_state": 0}
    return DistilledClassifier(teacher, **defaults | params)


def search(clf, grid, data):
    """Search over two folds; a refit follows, so that there are three training sets."""
    return GridSearchCV(
        clf, grid, cv=2, scoring=lambda *_: 0.0, error_score="raise"
    ).fit(*data)


def count_questions(teacher, count_calls):
    asked = type(teacher)
    if isinstance(teacher, FrozenEstimator | WithoutFit | NotOfScikitLearn):
        asked = LogisticRegression  # which they hold
    logits = isinstance(teacher, TorchTeacher)
    return count_calls(asked, "predict_log_proba" if logits else "predict_proba")


# Which questions are asked once


@pytest.mark.parametrize(
    ("made", "kind"),
    [(made, kind) for made in (FITTED, UNFITTED) for kind in made],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} kinds",
)
def test_teacher_of_any_kind_teaches_and_is_left_alone(made, kind, data32, count_calls):
    X, y = data32
    teacher = FITTED[kind](X, y) if made is FITTED else UNFITTED[kind]()
    before = fingerprint(teacher)
    calls = count_questions(teacher, count_calls)
    clf = student(teacher, student=net(), alpha=1.0)

    best = search(clf, {"temperature": [1, 4]}, data32).best_estimator_

    assert calls.total() == 3
    assert fingerprint(teacher) == before
    assert hasattr(best, "teacher_") == (made is UNFITTED)
    taught_by = best.teacher_ if made is UNFITTED else best.teacher
    assert type(taught_by) is type(teacher)
    named = taught_by.predict_proba(X).argmax(axis=1)
    assert np.mean(best.predict(X) == named) > 0.8


@pytest.mark.parametrize(
    "random_state", [0, np.random.RandomState(0)], ids=["int", "RandomState"]
)
def test_unfitted_teacher_is_fitted_once_per_training_set(random_state, data32, calls):
    clf = student(LogisticRegression(), random_state=random_state)

    search(clf, {"alpha": [0.5, 1.0]}, data32)

    assert calls == {"fit": 3, "predict_proba": 3}


def test_random_state_that_is_none_draws_another_teacher_each_time(data32):
    forest = RandomForestClassifier(3, max_depth=3)
    clf = student(forest, random_state=None)

    first, second = (
        clf.fit(*data32).teacher_.predict_proba(data32[0]) for _ in range(2)
    )
    labels = [soft_labels(forest, *data32) for _ in range(2)]

    assert np.any(first != second)
    assert np.any(labels[0] != labels[1])
    assert store.nbytes == 0


@pytest.mark.parametrize(
    "params", [{}, {"method": "in_sample", "calibrate_teacher": "out_of_fold"}], ids=str
)
def test_folds_that_are_drawn_anew_are_not_remembered(params, data32):
    params = {"cv": KFold(3, shuffle=True), "random_state": 0} | params

    labels = [soft_labels(LogisticRegression(), *data32, **params) for _ in range(2)]

    assert np.any(labels[0] != labels[1])
    assert store.nbytes == 0


def test_out_of_fold_labels(data32, calls):
    cv = KFold(3, shuffle=True, random_state=0)
    search(student(LogisticRegression(), cv=cv), {"alpha": [0.5, 1.0]}, data32)

    assert calls["fit"] == 3 * (1 + 3)  # the whole and the folds


def test_each_setting_of_a_searched_teacher(data32, calls):
    grid = {"teacher__C": [0.1, 1.0], "alpha": [0.5, 1.0]}

    search(student(LogisticRegression()), grid, data32)

    assert calls["fit"] == 2 * 2 + 1


def test_list_of_teachers_whatever_its_weights(data32, calls):
    teachers = [LogisticRegression(C=C).fit(*data32) for C in (0.1, 1.0)]

    search(student(teachers), {"teacher_weights": [[1, 1], [1, 3], [0, 1]]}, data32)

    assert calls["predict_proba"] == 2 * 3


def test_labels_of_the_rows_make_no_other_question_to_a_fitted_teacher(data32, calls):
    X, y = data32
    teacher = LogisticRegression().fit(X, y)

    for labels in (y, np.roll(y, 1), None):
        soft_labels(teacher, X, labels)

    assert calls["predict_proba"] == 1


@pytest.mark.parametrize("fitted", [False, True])
def test_teacher_with_features(fitted, data32, count_calls):
    teacher = FITTED["forest"](*data32) if fitted else UNFITTED["forest"]()
    calls = count_calls(RandomForestClassifier, "predict_proba", "apply")

    search(student(teacher, relation_loss="pkt"), {"alpha": [0.5, 1.0]}, data32)

    assert calls == {"predict_proba": 3, "apply": 3}


# What is not kept


def test_chunks_of_partial_fit_are_not_kept(data32):
    X, y = data32
    clf = student(LogisticRegression().fit(X, y))

    for rows in (slice(0, 45), slice(45, 90)):
        clf.partial_fit(X[rows], y[rows])

    assert store.nbytes == 0


def test_teacher_that_an_earlier_fit_fitted_is_not_there(data32):
    first = student(GaussianNB()).fit(*data32)
    second = student(GaussianNB()).fit(*data32)

    assert isinstance(first.teacher_, GaussianNB)
    with pytest.raises(AttributeError, match=r"earlier fit.*same rows"):
        _ = second.teacher_


# memory=


PROGRAM = """
    import numpy as np, torch
    from sklearn.linear_model import LogisticRegression
    from skdistill import DistilledClassifier, TorchTeacher, make_student

    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    y = np.arange(60) % 2
    X[:, 0] += y
    module = torch.nn.Linear(3, 2)
    module.weight.data = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    module.bias.data = torch.zeros(2)
    for teacher in (
        LogisticRegression().fit(X, y),
        LogisticRegression(C=2.0),
        TorchTeacher(module, classes=[0, 1]),
    ):
        net = make_student(max_epochs=1)
        clf = DistilledClassifier(teacher, net, memory="labels", random_state=0)
        clf.set_params(augmenter=None).fit(X, y)
"""


def test_next_run_of_a_program_asks_no_teacher_again(
    tmp_path, count_calls, monkeypatch
):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    subprocess.run(
        [sys.executable, program],
        check=True,
        cwd=tmp_path,
        timeout=300,
        # With other settings of the BLAS, teachers differ in the last digits.
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    asked = [
        count_calls(LogisticRegression, "predict_proba"),
        count_calls(TorchTeacher, "predict_log_proba"),
    ]

    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program))

    assert len(list(tmp_path.rglob("output.pkl"))) == 3
    assert asked == [{}, {}]
