"""Warnings name the line of the person, not one of a library in between; and codes."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdistill
from skdistill import DistilledClassifier, soft_labels
from skdistill.utils._warnings import CODES, warn
from tests.conftest import tiny_net

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
y = np.arange(40) % 2
# It says nothing about y, which draws a warning.
TEACHER = KNeighborsClassifier(1).fit(X, np.roll(y, 1))


def student():
    return DistilledClassifier(TEACHER, tiny_net(max_epochs=1), random_state=0)


CALLS = {
    "fit": lambda: student().fit(X, y),
    "partial_fit": lambda: student().partial_fit(X, y),
    "soft_labels": lambda: soft_labels(
        KNeighborsClassifier(), X, y, sample_weight=np.ones(40)
    ),
    "pipeline": lambda: make_pipeline(StandardScaler(copy=True), student()).fit(X, y),
    "search": lambda: GridSearchCV(student(), {"alpha": [0.5]}, cv=2).fit(X, y),
}


@pytest.mark.parametrize("kind", CALLS)
def test_warning_names_the_line_of_the_call(kind):
    call = CALLS[kind]

    with pytest.warns(UserWarning, match="chance level|sample_weight") as seen:
        call()

    code = call.__code__
    lines = {line for *_, line in code.co_lines() if line}
    assert {warning.filename for warning in seen} == {__file__}
    assert {warning.lineno for warning in seen} <= lines


def test_person_s_function_that_a_library_calls_is_the_innermost_one():
    class Teacher(LogisticRegression):
        def fit(self, X, y):
            warn("SKD101", "of the teacher")
            return super().fit(X, y)

    line = Teacher.fit.__code__.co_firstlineno + 1
    with pytest.warns(UserWarning, match="of the teacher") as seen:
        GridSearchCV(Teacher(), {"C": [1.0]}, cv=2).fit(X, y)

    assert {(warning.filename, warning.lineno) for warning in seen} == {
        (__file__, line)
    }


def test_warning_with_no_frame_of_the_person_is_still_given():
    code = compile("warn('SKD101', 'from nowhere')", "a library", "exec")

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        exec(code, {"warn": warn, "__name__": "sklearn.base"})

    assert [str(warning.message) for warning in seen] == ["SKD101: from nowhere"]
    assert seen[0].filename == __file__


def test_each_warning_has_a_code_and_advice():
    package = Path(skdistill.__file__).parent
    sources = "".join(path.read_text() for path in package.rglob("*.py"))
    assert set(re.findall(r"\bwarn\(\s*\"(\w+)\"", sources)) == set(CODES)
    advice = (package.parent / "docs" / "faq.rst").read_text()
    assert set(re.findall(r"^(SKD\d+): ", advice, re.MULTILINE)) == set(CODES)
