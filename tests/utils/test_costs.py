import numpy as np

from skdistill.utils import _costs


def test_rows_are_asked_in_turn(monkeypatch):
    monkeypatch.setattr(_costs, "_MIN_CALLS", 5)
    rows = _costs.single_rows(np.array([[1], [2], [3]]))
    asked = []
    _costs.microseconds(lambda row: asked.append(row.item()), rows, 0)
    assert asked == [1, 1, 2, 3, 1, 2]  # the first one is the warm-up
