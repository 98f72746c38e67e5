"""Settings of the doctests of the modules and of the pages of the documentation."""

import pytest


@pytest.fixture(autouse=True)
def doctests_take_few_calls_and_steps(request, monkeypatch):
    """Time few calls in a doctest, and train fewer steps on small tables.

    No doctest shows what the times are, and none shows a score exactly.
    """
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.setattr("skdistill._students._student._MIN_STEPS", 100)
        monkeypatch.setattr("skdistill.deploy._footprint._ROW_SECONDS", 0)
        monkeypatch.setattr("skdistill.utils._costs._MEDIAN_SECONDS", 0)
        monkeypatch.setattr("skdistill.inspection._measures._ROW_CALLS", 3)
        monkeypatch.setattr("skdistill.inspection._measures._BATCH_CALLS", 1)
