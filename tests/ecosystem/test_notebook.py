"""What a notebook shows after ``nbconvert --execute``."""

import re

import pytest

nbconvert = pytest.importorskip("nbconvert")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

CELLS = [
    """
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint

X, y = load_iris(return_X_y=True)
bayes = GaussianNB().fit(X, y)
student = make_student((4,), max_epochs=2)
clf = DistilledClassifier(bayes, student, augmenter=None, random_state=0)
""",
    "clf",
    "clf.fit(X, y)",
    "clf.history_",
    "footprint({'teacher': bayes, 'student': clf}, X)",
    """
search = GridSearchCV(clf.set_params(verbose=1), {"alpha": [0.5, 1]}, cv=2).fit(X, y)
""",
]


@pytest.fixture(scope="module")
def outputs():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]
    )
    runner = nbconvert.preprocessors.ExecutePreprocessor(timeout=300)
    runner.preprocess(notebook)
    return [cell.outputs for cell in notebook.cells]


def page(outputs):
    [output] = outputs
    return output.data["text/html"]


def test_the_import_says_nothing(outputs):
    assert outputs[0] == []


def test_diagrams_show_teacher_and_student(outputs):
    for shown in outputs[1:3]:
        labels = re.findall(r"(teacher|student): (\w+)", page(shown))
        assert set(labels) == {("teacher", "GaussianNB"), ("student", "Pipeline")}


def test_history_and_footprint_are_tables(outputs):
    assert page(outputs[3]).startswith("<table><tr><th>epoch</th><th>dur</th>")
    assert "<tr><th>student</th>" in page(outputs[4])


def test_a_search_does_not_flood_its_cell(outputs):
    lines = "".join(output.text for output in outputs[5]).splitlines()
    assert len([line for line in lines if "training" in line]) < 5
