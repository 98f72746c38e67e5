"""The private names of scikit-learn that the library uses, and what for."""

import ast
from pathlib import Path

import numpy as np
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
    "torch": {
        "_backward_hooks",
        "_modules",
        "_orig_mod",
        "_post_accumulate_grad_hooks",
    },
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


def test_scorers_with_accept_sample_weight_get_weights():
    X, y = np.arange(12.0)[:, np.newaxis], np.arange(12) % 2
    scoring = {"size": size_scorer, "accuracy": "accuracy"}
    assert size_scorer._accept_sample_weight()
    scores = cross_validate(LogisticRegression(), X, y, scoring=scoring, cv=2)
    assert (scores["test_size"] < 0).all()
