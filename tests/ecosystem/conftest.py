"""Packages that people use beside this one. Tests of what is not installed are skipped.

``pip install "skdistill[test,ecosystem]"`` installs all of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from skdistill import DistilledClassifier, make_student


def pytest_collection_modifyitems(items):
    """Let these packages warn: they are not ours to mend."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def people():
    """Return a data frame with strings, and labels that are strings."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=120),
            "job": rng.choice(["cook", "clerk", "smith"], 120),
            "children": rng.integers(0, 5, 120),
        }
    )
    labels = np.where((frame.height > 0) & (frame.job != "cook"), "yes", "no")
    return frame, labels


@pytest.fixture(scope="session")
def iris_forest(iris):
    return RandomForestClassifier(20, random_state=0).fit(*iris)


@pytest.fixture
def small():
    """Return a function that makes a distiller which is fitted within a second."""

    def make(teacher, **params):
        student = make_student((8,), max_epochs=20, batch_size=32)
        defaults = {"augmenter": None, "random_state": 0}
        return DistilledClassifier(teacher, student, **defaults | params)

    return make
