"""Export and measure fitted students.

Each name is imported on first use, because :class:`OnnxClassifier`,
:class:`OnnxRegressor` and :class:`CompiledStudent` need neither torch nor skorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skdistill.deploy._compiled_student import CompiledStudent
    from skdistill.deploy._converter import register_converter
    from skdistill.deploy._footprint import footprint
    from skdistill.deploy._onnx_estimators import OnnxClassifier, OnnxRegressor
    from skdistill.deploy._to_c import to_c
    from skdistill.deploy._to_onnx import to_onnx
    from skdistill.deploy._to_sklearn import to_sklearn

__all__ = [
    "CompiledStudent",
    "OnnxClassifier",
    "OnnxRegressor",
    "footprint",
    "register_converter",
    "to_c",
    "to_onnx",
    "to_sklearn",
]

_HOMES = {
    "CompiledStudent": "_compiled_student",
    "OnnxClassifier": "_onnx_estimators",
    "OnnxRegressor": "_onnx_estimators",
    "footprint": "_footprint",
    "register_converter": "_converter",
    "to_c": "_to_c",
    "to_onnx": "_to_onnx",
    "to_sklearn": "_to_sklearn",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
