"""The steps of scikit-learn that a preprocessor is exported as."""

import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from skdistill import TabularPreprocessor
from skdistill.utils._dates import PARTS, date_parts
from tests.conftest import table

either_encoding = pytest.mark.parametrize("numeric", ["standard", "piecewise"])

NUMBERS = ["height", "children", "married"]
BORN = [datetime.datetime(1990 + i, 1 + i % 12, 9, i % 24) for i in range(60)]


def numbers(dtype, offset=0.0):
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(dtype) + dtype(offset)
    X[3, 1] = np.nan
    X[4, 2], X[5, 2] = 1e30, -1e30
    X[:, 0] = X[:, 0].round()
    return X


def prepared(X):
    """Return columns as an export gives them: floats, and NaN for missing strings."""
    columns = {}
    for name, values in X.items():
        known = [np.nan if v is None else v for v in values]
        if name == "born":
            parts = date_parts(pd.DataFrame({"born": values}), 0, None).T
            columns |= {"born": "unused"} | dict(
                zip([f"born_{part}" for part in PARTS], parts, strict=True)
            )
        else:
            columns[name] = np.array(known, float if name in NUMBERS else object)
    return pd.DataFrame(columns)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 2**30])
@either_encoding
def test_steps_give_the_same_for_an_array(numeric, dtype, offset):
    X = numbers(dtype, offset)
    preprocess = TabularPreprocessor(numeric=numeric).fit(X)
    steps = preprocess.transformer_
    assert isinstance(steps, Pipeline if numeric == "standard" else ColumnTransformer)
    assert_allclose(steps.transform(X), preprocess.transform(X), atol=1e-6)


@pytest.mark.parametrize(
    "columns",
    [[*NUMBERS, "job", "town"], NUMBERS, ["job", "town"], ["town", "born", "height"]],
    ids=["table", "numbers", "levels", "dates"],
)
@either_encoding
def test_steps_give_the_same_for_a_frame(frame, numeric, columns):
    X = {name: (table() | {"born": BORN})[name] for name in columns}
    preprocess = TabularPreprocessor(numeric=numeric).fit(frame(X))
    for output in ("default", "pandas", "polars"):
        with config_context(transform_output=output):
            expected = preprocess.transform(frame(X))
            out = preprocess.transformer_.transform(prepared(X))
        assert type(expected) is type(out) is np.ndarray
        assert_allclose(out, expected, atol=1e-6)


def test_steps_give_the_same_for_columns_without_names():
    X = pd.DataFrame({0: [1.0, 2.0, 4.0], 7: ["x", None, "y"], 2: [None] * 3})
    preprocess = TabularPreprocessor().fit(X)
    steps = preprocess.transformer_
    assert [columns for _, _, columns in steps.transformers_] == [[0], [1], [2]]
    X[7] = np.array(["x", np.nan, "y"], object)
    assert_allclose(steps.transform(X), preprocess.transform(X), atol=1e-6)


def test_steps_go_by_the_names_of_the_columns(frame):
    preprocess = TabularPreprocessor(numeric="piecewise").fit(frame(table()))
    assert {key: names for key, _, names in preprocess.transformer_.transformers} == {
        "numeric": NUMBERS,
        "bins": ["height", "children"],
        "categorical": ["job", "town"],
    }


def test_steps_are_made_anew():
    X = numbers(np.float64)
    preprocess = TabularPreprocessor().fit(X)
    before = preprocess.transform(X)
    preprocess.transformer_["scale"].mean_ += 1
    assert_allclose(preprocess.transformer_.transform(X), before, atol=1e-6)
    assert_array_equal(preprocess.transform(X), before)


def test_there_are_no_steps_before_fit():
    assert not hasattr(TabularPreprocessor(), "transformer_")
    with pytest.raises(NotFittedError):
        TabularPreprocessor().transform(numbers(np.float64))
