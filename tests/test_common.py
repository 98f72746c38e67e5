"""scikit-learn's checks of an estimator, and those of this house."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import typing
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.estimator_checks import estimator_checks_generator

import skdistill
from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    TorchTeacher,
    deploy,
    inspection,
    losses,
    make_student,
    metrics,
    model_selection,
    schedules,
)
from tests.conftest import small_student, tiny_net

# Stochastic training on repeated rows draws other batches than on weighted rows.
OTHER_BATCHES = "another order of the batches, as declared for MLPClassifier"
DENSE_SAMPLE_WEIGHTS = {
    OTHER_BATCHES: ["check_sample_weight_equivalence_on_dense_data"]
}
SAMPLE_WEIGHTS = {
    OTHER_BATCHES: [
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ]
}

FITTED_ON_ANY_FEATURES = {
    "fits on the classes 'one', 'two', 'three'": ["check_classifiers_classes"],
    "lets class weights decide, which a fitted teacher does not have": [
        "check_class_weight_classifiers"
    ],
    "sets cv, and a TorchTeacher cannot be fitted on folds": [
        "check_sample_weight_equivalence_on_dense_data"
    ],
}


class AnyWidth(torch.nn.Module):
    """A teacher for rows of any width, which knows the classes 0 and 1."""

    def forward(self, X):
        total = X.sum(dim=1, keepdim=True)
        return torch.cat([total, torch.zeros_like(total)], dim=1)


def distilled(teacher, student=None, **params):
    student = student or tiny_net()
    return DistilledClassifier(teacher, student, alpha=0.5, random_state=0, **params)


def sklearn_checks(estimator, declared):
    """Return the checks as parameters of a test; those declared must fail.

    Their names alone tell them apart. ``parametrize_with_checks`` would take the repr
    of the estimator into the ids, and a set in skorch's is in another order in every
    process, which pytest-xdist does not stand.
    """
    reasons = {check: why for why, checks in declared.items() for check in checks}
    cases = estimator_checks_generator(
        estimator, expected_failed_checks=reasons, mark="xfail"
    )
    return pytest.mark.parametrize(("estimator", "check"), [*cases], ids=check_name)


def check_name(value):
    if not isinstance(value, partial):
        return type(value).__name__
    options = [f"{name}={option}" for name, option in value.keywords.items()]
    return "-".join([value.func.__name__, *options])


@sklearn_checks(distilled(LogisticRegression()), SAMPLE_WEIGHTS)
def test_sklearn_checks_with_an_unfitted_teacher(estimator, check):
    check(estimator)


@sklearn_checks(
    distilled(LogisticRegression(), make_student((16,), max_epochs=20), augmenter=None),
    DENSE_SAMPLE_WEIGHTS,
)
def test_sklearn_checks_with_the_default_student_and_few_rows(estimator, check):
    run_within_float32(check, estimator)


@pytest.mark.filterwarnings("ignore:SKD101")
@sklearn_checks(
    DistilledRegressor(
        LinearRegression(),
        make_student((8,), task="regression", max_epochs=20),
        alpha=0.5,
        augmenter=None,
        random_state=0,
    ),
    DENSE_SAMPLE_WEIGHTS,
)
def test_sklearn_checks_of_a_regressor(estimator, check):
    run_within_float32(check, estimator)


@pytest.mark.slow
@sklearn_checks(
    DistilledClassifier(LogisticRegression(), random_state=0), DENSE_SAMPLE_WEIGHTS
)
def test_sklearn_checks_with_defaults(estimator, check):
    run_within_float32(check, estimator)


def run_within_float32(check, estimator):
    if check.func.__name__ in (
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
    ):
        # They allow 1e-7, about one rounding in float32, and whether rows of two
        # batches are rounded alike depends on the processor.
        pytest.skip("a test of this house has a bound for float32")
    check(estimator)


def test_default_student_says_the_same_of_a_row_alone():
    X = np.random.default_rng(0).uniform(0, 3, size=(20, 3))
    clf = distilled(LogisticRegression(), small_student()).fit(X, X[:, 0] > 1)
    alone = np.concatenate([clf.predict_proba(row[np.newaxis]) for row in X])
    np.testing.assert_allclose(alone, clf.predict_proba(X), rtol=0, atol=1e-6)


# The checks draw labels that their rows say nothing about.


@pytest.mark.filterwarnings("ignore:SKD101")
@sklearn_checks(
    distilled(TorchTeacher(AnyWidth(), classes=[0, 1])), FITTED_ON_ANY_FEATURES
)
def test_sklearn_checks_with_a_fitted_teacher_of_any_width(estimator, check):
    check(estimator)


def test_default_regressor_says_the_same_of_a_row_alone_and_in_another_order():
    X = np.random.default_rng(0).uniform(0, 3, size=(20, 3))
    student = small_student(task="regression")
    reg = DistilledRegressor(LinearRegression(), student, random_state=0)
    together = reg.fit(X, X[:, 0]).predict(X)
    alone = np.concatenate([reg.predict(row[np.newaxis]) for row in X])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)
    np.testing.assert_allclose(reg.predict(X[::-1])[::-1], together, rtol=0, atol=1e-6)


def members(kind):
    """Return what the package itself defines of a kind, private modules included."""
    modules = [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(skdistill.__path__, "skdistill.")
    ]
    return [
        member
        for module in modules
        for _, member in inspect.getmembers(module, kind)
        if member.__module__ == module.__name__
    ]


def public_callables():
    for home in (skdistill, inspection, losses, metrics, schedules):
        for name in home.__all__:
            member = getattr(home, name)
            if inspect.ismodule(member) or member is inspection.Comparison:
                continue  # compare makes it
            yield pytest.param(member, id=name)
            for method_name, method in vars(member).items():
                if inspect.isfunction(method) and not method_name.startswith("_"):
                    yield pytest.param(method, id=f"{name}.{method_name}")


def documented_parameters(docstring):
    """Return the names under Parameters in a numpydoc docstring, in order."""
    _, found, rest = docstring.partition("Parameters\n----------\n")
    lines = rest.splitlines() if found else []
    names = []
    for line, after in zip(lines, [*lines, ""][1:], strict=True):
        if after.startswith("---"):
            break
        if line and not line.startswith(" "):
            names += [name.strip("* ") for name in line.partition(" :")[0].split(",")]
    return names


@pytest.mark.parametrize(
    "estimator",
    [
        cls
        for cls in members(inspect.isclass)
        if issubclass(cls, BaseEstimator) and "_parameter_constraints" in vars(cls)
    ],
)
def test_parameter_constraints_are_the_constructors_parameters(estimator):
    parameters = list(inspect.signature(estimator).parameters)
    # Searches inherit those of scikit-learn, whose order is another.
    assert sorted(estimator._parameter_constraints) == sorted(parameters)


def literals(member, name):
    """Return the strings that the type of a parameter names, for editors."""
    open_, found = [typing.get_type_hints(member)[name]], set()
    while open_:
        hint = open_.pop()
        is_literal = typing.get_origin(hint) is typing.Literal
        (found.update if is_literal else open_.extend)(typing.get_args(hint))
    return found


def named_options():
    """Yield the parameters that may be strings by name: function, name, strings."""
    for member in [
        getattr(h, name) for h in (skdistill, metrics) for name in h.__all__
    ]:
        function = member.__init__ if inspect.isclass(member) else member
        checked = getattr(member, "_skl_parameter_constraints", {})
        checked = getattr(member, "_parameter_constraints", checked)
        for name, constraints in checked.items():
            for constraint in constraints:
                if isinstance(constraint, StrOptions):
                    yield function, name, constraint.options
    tasks = {DistilledClassifier: "classification", DistilledRegressor: "regression"}
    for estimator, task in tasks.items():
        yield estimator.__init__, "calibrate_teacher", estimator._calibrations
        for name, known in losses._base.LOSSES.items():
            names = [key for key, loss in known.items() if loss.task in (None, task)]
            yield estimator.__init__, name, names


@pytest.mark.parametrize(
    ("function", "parameter", "allowed"),
    [pytest.param(*o, id=f"{o[0].__qualname__}-{o[1]}") for o in named_options()],
)
def test_types_name_the_strings_that_are_allowed(function, parameter, allowed):
    assert literals(function, parameter) == set(allowed)


@pytest.mark.parametrize("member", [*public_callables()])
def test_docstring_lists_every_parameter_in_order(member):
    parameters = list(inspect.signature(member).parameters)
    assert documented_parameters(inspect.getdoc(member)) == [
        name for name in parameters if name != "self"
    ]


def test_help_begins_with_what_people_need():
    names = documented_parameters(inspect.getdoc(DistilledClassifier))
    assert names[:4] == ["teacher", "student", "temperature", "alpha"]


@pytest.mark.parametrize(
    "module",
    [skdistill, deploy, inspection, losses, metrics, model_selection, schedules],
)
def test_all_is_sorted_and_importable(module):
    assert module.__all__ == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    if module in (skdistill, deploy):  # what completion offers
        assert dir(module) == module.__all__
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'DistiledClassifier'"):
        skdistill.DistiledClassifier  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "others"),
    [
        ("from skdistill import soft_labels", ["torch"]),
        # In a notebook without ipywidgets, the import of tqdm.auto warns. There may be
        # no pandas.
        (
            "import sys; sys.modules['pandas'] = None; "
            "import skdistill._classifier, skdistill.deploy._to_onnx",
            ["tqdm.auto", "onnx", "onnxruntime", "onnxscript", "skl2onnx"],
        ),
    ],
)
def test_an_import_leaves_what_it_does_not_need_for_later(statement, others):
    program = f"{statement}; import sys; print(set({others}) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
