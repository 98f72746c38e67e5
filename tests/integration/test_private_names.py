"""The private names of scikit-learn that the library uses, and what it expects of them.

If a version of scikit-learn lacks a name, the test of this name fails.
"""

import ast
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate

import skdistill
from skdistill.metrics import size_scorer

# What breaks without each name.
RELIED_ON = {
    "_accept_sample_weight": "searches by several metrics with sample weights",
    "_check_sample_weight": "errors about sample weights",
    "_fit_context": "checks of parameters in fit, and the end of callbacks",
    "_init_callback_context": "callbacks of scikit-learn",
    "_num_samples": "the number of rows of lists and of data frames",
    "_param_validation": "checks of parameters",
    "_parameter_constraints": "checks of parameters",
    "_safe_indexing": "selecting rows and columns of tables of all kinds",
    "_sk_visual_block_": "the diagram of an estimator in a notebook",
    "_skl_callbacks": "callbacks of scikit-learn",
}

# Names that scikit-learn looks for in classes and functions of others.
HOOKS = {"_accept_sample_weight", "_parameter_constraints", "_sk_visual_block_"}

# Private names of other packages.
OTHERS = {
    "sys": {"_getframe"},
    "torch": {"_modules", "_orig_mod"},
    "skorch": {
        "_current_init_context",
        "_params_to_validate",
    },
}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name != "_"


def imported(node):
    """Return the private modules and names in an import of scikit-learn."""
    if isinstance(node, ast.Import):
        paths = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        paths = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return set()
    parts = [path.split(".") for path in paths if path.startswith("sklearn.")]
    return {
        next(filter(is_private, path)) for path in parts if any(map(is_private, path))
    }


def defined(node):
    """Return the names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return {node.attr}
    return set()


def accessed(node):
    """Return the private attribute that is read, also by getattr or hasattr."""
    name = None
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        name = node.attr
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        function, key = node.func, node.args[1]
        if getattr(function, "id", "") in ("getattr", "hasattr"):
            name = getattr(key, "value", None)
    return {name} if isinstance(name, str) and is_private(name) else set()


def names_in(folder):
    """Return the private names of scikit-learn in the modules of a folder."""
    nodes = [
        node
        for file in Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    imports, own, reads = (
        set().union(*map(function, nodes)) for function in (imported, defined, accessed)
    )
    return imports | (reads - own - set().union(*OTHERS.values())) | (own & HOOKS)


def test_no_other_private_name_is_used():
    assert len(RELIED_ON) <= 10
    found = names_in(Path(skdistill.__file__).parent)
    assert found == set(RELIED_ON)


def test_private_names_are_found(tmp_path):
    (tmp_path / "module.py").write_text(
        "from sklearn.utils._missing import is_scalar_nan\n"
        "from sklearn.utils import _safe_indexing, check_array\n"
        "import sklearn.utils._tags\n"
        "class Own:\n"
        "    _parameter_constraints = {}\n"
        "    def _mine(self):\n"
        "        self._kept = getattr(self, '_skl_callbacks', None)\n"
        "        return self._mine, self._kept, self._validate_params()\n"
    )
    assert names_in(tmp_path) == {
        "_missing",
        "_safe_indexing",
        "_tags",
        "_parameter_constraints",
        "_skl_callbacks",
        "_validate_params",
    }


@pytest.mark.parametrize(
    "rows", [[[1, 2], [3, 4]], np.arange(4), pd.DataFrame({"a": [1, 2]})], ids=type
)
def test_num_samples(rows):
    from sklearn.utils.validation import _num_samples

    assert _num_samples(rows) == len(rows)


def test_safe_indexing_selects_rows_and_columns():
    from sklearn.utils import _safe_indexing

    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    assert _safe_indexing(frame, np.array([2, 0]))["b"].tolist() == [6, 4]
    assert _safe_indexing(["x", "y", "z"], [1]) == ["y"]
    numbers = np.arange(3)[np.newaxis]
    columns = ([0, 2], slice(1, None), np.array([True, False, True]))
    selected = [_safe_indexing(numbers, key, axis=1).tolist() for key in columns]
    assert selected == [[[0, 2]], [[1, 2]], [[0, 2]]]
    assert np.ravel(_safe_indexing(frame[:1], ["b"], axis=1)).tolist() == [4]


def test_check_sample_weight_refuses_negative_weights():
    from sklearn.utils.validation import _check_sample_weight

    def check(weight):
        return _check_sample_weight(
            weight, np.zeros((2, 1)), dtype=np.float64, ensure_non_negative=True
        )

    assert check([1, 2]).dtype == np.float64
    with pytest.raises(ValueError, match="Negative values"):
        check([1, -1])
    with pytest.raises(ValueError, match=r"sample_weight\.shape"):
        check([1])


class Checked(BaseEstimator):
    _parameter_constraints = {"size": [int]}

    def __init__(self, size=1):
        self.size = size


def test_param_validation_and_parameter_constraints():
    from sklearn.utils._param_validation import (
        HasMethods,
        Interval,
        StrOptions,
        validate_parameter_constraints,
        validate_params,
    )

    assert Interval(Real, 0, None, closed="neither").is_satisfied_by(0.5)
    assert StrOptions({"auto"}).is_satisfied_by("auto")
    assert not HasMethods("fit").is_satisfied_by(object())
    with pytest.raises(ValueError, match="'size' parameter of Checked"):
        validate_parameter_constraints({"size": [int]}, {"size": "a"}, "Checked")
    check = {"size": [int]}
    function = validate_params(check, prefer_skip_nested_validation=True)(
        lambda size: 1
    )
    with pytest.raises(ValueError, match="'size' parameter"):
        function("a")


def test_fit_context_checks_the_parameters():
    from sklearn.base import _fit_context

    class Fitted(Checked):
        @_fit_context(prefer_skip_nested_validation=False)
        def fit(self):
            return self

    assert Fitted().fit().size == 1
    with pytest.raises(ValueError, match="'size' parameter of Fitted"):
        Fitted("a").fit()


def test_scorers_with_accept_sample_weight_get_weights():
    X, y = np.arange(12.0)[:, np.newaxis], np.arange(12) % 2
    scoring = {"size": size_scorer, "accuracy": "accuracy"}
    assert size_scorer._accept_sample_weight()
    scores = cross_validate(LogisticRegression(), X, y, scoring=scoring, cv=2)
    assert (scores["test_size"] < 0).all()


def test_a_notebook_asks_for_the_visual_block():
    class Shown(BaseEstimator):
        def _sk_visual_block_(self):
            from sklearn.ensemble import VotingClassifier

            named = [("left one", LogisticRegression()), ("right one", None)]
            block = VotingClassifier(named)._sk_visual_block_()
            assert block.kind == "parallel"
            block.name_details = ["some details", None]
            return block

    page = Shown()._repr_html_()
    assert all(text in page for text in ("left one", "right one", "some details"))


class Silent:
    """A callback of scikit-learn that does nothing."""

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context, **kwargs): ...

    def on_fit_task_end(self, estimator, context, **kwargs): ...


def test_callbacks():
    callback = pytest.importorskip("sklearn.callback")

    class Observed(callback.CallbackSupportMixin, BaseEstimator):
        pass

    estimator = Observed()
    assert not getattr(estimator, "_skl_callbacks", None)
    estimator.set_callbacks(Silent())
    assert len(estimator._skl_callbacks) == 1
    assert estimator._init_callback_context(max_subtasks=2).subcontext("label")
