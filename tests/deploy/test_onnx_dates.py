"""Students that read dates, in ONNX files."""

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from onnx import parser
from sklearn.preprocessing import FunctionTransformer

from skdistill.deploy import OnnxClassifier, OnnxRegressor, to_onnx
from skdistill.deploy._onnx_dates import _PARTS
from tests.deploy.conftest import (
    assert_same,
    dates,
    distilled,
    in_pipeline,
    metadata_of,
    moments,
    quick_student,
    regressed,
    run,
)

pytestmark = pytest.mark.usefixtures("net_by_hand")


def test_parts_of_dates_are_those_of_numpy_on_each_day_of_centuries():
    model = parser.parse_model(_PARTS).SerializeToString()
    seconds, expected = moments()
    rows = np.append(seconds, np.nan)[:, np.newaxis]
    found = onnxruntime.InferenceSession(model).run(None, {"seconds": rows})
    found = np.hstack(found)
    np.testing.assert_array_equal(found[:-1], expected)
    assert np.isnan(found[-1]).all()


@pytest.mark.parametrize("numeric", ["standard", "piecewise"])
def test_dates_also_before_1970_and_in_another_time_zone(numeric):
    X, y = dates()
    clf = distilled(quick_student(numeric=numeric), X, y)
    file = to_onnx(clf)
    assert_same(file, clf, X)
    assert_same(file, clf, pl.from_pandas(X))
    X["there"] = X["there"].dt.tz_convert("America/Lima")
    assert_same(file, clf, X)


def test_columns_of_dates_without_names_and_nothing_else():
    X, y = dates()
    X = X[["when", "there"]]
    X.columns = [0, 1]
    clf = distilled(quick_student(), X, y)
    assert_same(to_onnx(clf), clf, X)


def test_other_runtimes_give_seconds_by_the_clock_of_the_zone():
    X, y = dates()
    clf = distilled(quick_student(), X, y)
    file = to_onnx(clf)
    assert metadata_of(file)["skdistill.kinds"] == '["date", "date", "double"]'
    assert metadata_of(file)["skdistill.zones"] == '[null, "Asia/Tokyo"]'
    clock = {"when": X["when"], "there": X["there"].dt.tz_localize(None)}
    feed = {
        name: ((times - pd.Timestamp(0)) / pd.Timedelta(1, "s")).to_numpy()[:, None]
        for name, times in clock.items()
    }
    _, proba = run(file, {**feed, "size": X[["size"]].to_numpy()})
    np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=0, atol=1e-6)


def test_regressor_reads_dates():
    X, _ = dates()
    reg = regressed(X, X["size"].to_numpy())
    said = OnnxRegressor(to_onnx(reg)).predict(X)
    np.testing.assert_allclose(said, reg.predict(X), atol=1e-5)


def test_arrays_in_place_of_dates_are_refused():
    X, y = dates()
    file = OnnxClassifier(to_onnx(distilled(quick_student(), X, y)))
    with pytest.raises(TypeError, match="strings or dates; pass a data frame"):
        file.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="'when' holds no dates"):
        file.predict(X.assign(when=1.0))


def test_dates_that_a_step_makes_are_refused():
    X, y = dates()
    step = FunctionTransformer(lambda X: X[["size", "when"]])
    clf = in_pipeline([step], quick_student(), X, y)
    with pytest.raises(ValueError, match=r"in the columns \['when'\], .*alone"):
        to_onnx(clf)
