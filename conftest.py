"""Settings of all tests, and of the doctests of modules and pages."""

import joblib
import pytest

from skdistill.deploy import _to_onnx


@pytest.fixture(autouse=True)
def doctests_are_quick(request, monkeypatch):
    """Time few calls in a doctest, and start no processes: none shows the times."""
    if isinstance(request.node, pytest.DoctestItem):
        nothing = {"start_s": None, "peak_mb": None}
        new_process = "skdistill.deploy._footprint._in_new_process"
        monkeypatch.setattr(new_process, lambda *args: (nothing, None))
        monkeypatch.setattr("skdistill.deploy._footprint._ROW_SECONDS", 0)
        monkeypatch.setattr("skdistill.utils._costs._MEDIAN_SECONDS", 0)
        monkeypatch.setattr("skdistill.inspection._measures._ROW_CALLS", 3)
        monkeypatch.setattr("skdistill.inspection._measures._BATCH_CALLS", 1)
        if any("..." in example.want for example in request.node.dtest.examples):
            # The build of the site runs this page again, for as long as a reader does.
            monkeypatch.setattr("skdistill._students._student._MIN_STEPS", 100)
        with joblib.parallel_config(backend="sequential"):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def exports():
    """Return the exports of nets so far, by what a net is."""
    return {}


@pytest.fixture(autouse=True)
def export_each_net_once(exports, monkeypatch):
    """Save the second that an export takes; what it returns is not changed.

    Nets that have the same modules, with the same weights, have one export.
    """
    honest = _to_onnx.convert_net

    def export(net, rows, output):
        weights = {name: w.tolist() for name, w in net.module_.state_dict().items()}
        key = joblib.hash((type(net), net.predict_nonlinearity, output.task, weights))
        key += repr(net.module_) + str(rows.shape[1:])
        if key not in exports:
            exports[key] = honest(net, rows, output)
        return exports[key]

    monkeypatch.setattr(_to_onnx, "convert_net", export)
