import numpy as np
import pytest

from skdistill.utils._underflow import underflow_is_zero


@underflow_is_zero
def squared(numbers, depth=0):
    if depth:
        squared(numbers, depth - 1)
    return numbers**2


def test_nested_calls_leave_what_numpy_is_set_to_do():
    tiny = np.array([1e-200])
    with np.errstate(all="raise"):
        before = np.geterr()
        assert squared(tiny, depth=2) == 0
        assert np.geterr() == before
        with pytest.raises(FloatingPointError, match="overflow"):
            squared(1 / tiny)
        assert np.geterr() == before
        with pytest.raises(FloatingPointError, match="underflow"):
            squared.__wrapped__(tiny)
