"""Settings of the doctests of the modules and of the pages of the documentation."""

import pytest


@pytest.fixture(autouse=True)
def doctests_time_few_calls(request, monkeypatch):
    """Time few calls in a doctest: none shows what the times are."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.setattr("skdistill.deploy._footprint._ROW_SECONDS", 0)
        monkeypatch.setattr("skdistill.utils._costs._MEDIAN_SECONDS", 0)
        monkeypatch.setattr("skdistill.inspection._measures._ROW_CALLS", 3)
        monkeypatch.setattr("skdistill.inspection._measures._BATCH_CALLS", 1)
