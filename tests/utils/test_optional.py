import math

import pytest

from skdistill.utils._optional import require


def test_returns_a_package_that_is_there():
    assert require("math", "floor", "math") is math


def test_the_error_names_the_caller_and_the_command():
    with pytest.raises(
        ImportError, match=r"^f needs no_such_package: pip install skdistill\[no\]$"
    ):
        require("no_such_package", "f", "skdistill[no]")
