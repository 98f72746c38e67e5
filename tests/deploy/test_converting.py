import copy
import logging
import sys

import pytest

from skdistill.deploy import register_converter, to_onnx


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript", "skl2onnx"])
@pytest.mark.parametrize(
    ("name", "call"),
    [("register_converter", register_converter), ("to_onnx", lambda: to_onnx(None))],
)
def test_missing_package(package, name, call, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"^{name} needs {package}: pip install skdistill\[onnx\]$"
    ):
        call()


def test_is_quiet(net_student, capfd):
    level = logging.getLogger("torch.onnx").level
    to_onnx(copy.deepcopy(net_student))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("torch.onnx").level == level
