"""A fingerprint changes with everything that answers may depend on, and stays else."""

import importlib
import pathlib
import pickle
import sys
import textwrap
import threading
import tracemalloc
import types
from importlib import metadata

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from lightgbm import LGBMClassifier
from numpy.ma import masked_array
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skdistill import TorchTeacher
from skdistill.utils._fingerprint import (
    _of_distribution,
    cloudpickle,
    fingerprint,
    unchanged,
)
from tests.kinds import FITTED, NotOfScikitLearn, net


def checksum(*objects):
    found = fingerprint(*objects)
    assert found is not None
    return found.checksum


def objects(*values):
    return np.array(values, dtype=object)


def frame(**changes):
    columns = {
        "number": [1.0, 2.0, np.nan, 2.0],
        "count": [1, 2, 3, 4],
        "text": ["a", "b", None, "a" * 40],
        "flag": [True, False, True, True],
        "level": pd.Categorical(["u", "v", "u", None]),
    }
    return pd.DataFrame(columns | changes)


def polars_frame():
    return pl.DataFrame(
        {
            "number": [1.0, 2.0, None, 2.0],
            "text": ["a", "b", None, "a" * 40],
            "level": pl.Series(["u", "v", "u", None], dtype=pl.Categorical),
        }
    )


def numbers():
    return np.random.default_rng(0).normal(size=(60, 50))


# What is equal has one fingerprint


EQUAL = {
    "no rows": lambda: np.empty((0, 3)),
    "objects": lambda: objects("a", 1, None),
    "strings": lambda: np.array(["xy", "z"]),
    "lists": lambda: [["a", None], [1, 2.0]],
    "tensor": lambda: torch.arange(3.0),
    "splitter": lambda: KFold(3),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_objects_have_one_fingerprint(make):
    assert checksum(make()) == checksum(make())


@pytest.mark.parametrize("kind", FITTED)
def test_asking_a_teacher_changes_no_fingerprint(kind, data32):
    X, y = data32
    teacher = FITTED[kind](X, y)
    before = checksum(teacher)

    teacher.predict_proba(X)
    teacher.predict_proba(X[:1])

    assert checksum(teacher) == before


@pytest.mark.parametrize("kind", FITTED)
def test_copies_of_a_teacher_have_one_fingerprint(kind, data32):
    # Each worker of a search gets a copy, and so does the next run of a program.
    file = pickle.dumps(FITTED[kind](*data32))
    first, second = pickle.loads(file), pickle.loads(file)

    assert checksum(first) == checksum(second)


# What differs anywhere has another


CELLS = {
    "number and text": ([1, "x"], ["1", "x"]),
    "swapped": ([1, "1"], ["1", 1]),
    "NaN and text": (["x", np.nan], ["x", "nan"]),
    "None and NaN": (["x", None], ["x", np.nan]),
    "NA and NaN": (["x", pd.NA], ["x", np.nan]),
    "bool and integer": ([True, "x"], [1, "x"]),
    "float and integer": ([1.0, "x"], [1, "x"]),
}


@pytest.mark.parametrize(("first", "second"), CELLS.values(), ids=CELLS)
@pytest.mark.parametrize(
    "container", [objects, lambda *values: pd.Series(values, dtype=object).to_frame()]
)
def test_cells_of_other_types_have_another_fingerprint(first, second, container):
    assert checksum(container(*first)) != checksum(container(*second))


CHANGES = {
    numbers: {
        "a cell": lambda X: X + 1e-12 * np.eye(60, 50, 7),
        "order of the rows": lambda X: X[::-1].copy(),
        "order of the columns": lambda X: X[:, ::-1].copy(),
        "precision": lambda X: X.astype(np.float32),
        "dtype of the same bytes": lambda X: X.view(np.int64),
        "shape of the same bytes": lambda X: X.reshape(50, 60),
        "shape and order of the same bytes": lambda X: X.reshape(50, 60).T,
        "a row less": lambda X: X[:-1],
        "masked nowhere": lambda X: masked_array(X, X > 9),
        "sparse": csr_matrix,
    },
    frame: {
        "missing number": lambda X: frame(number=[1.0, 2.0, 0.0, 2.0]),
        "integer": lambda X: frame(count=[1, 2, 3, 5]),
        "width": lambda X: frame(count=np.arange(1, 5, dtype=np.int32)),
        "missing text": lambda X: frame(text=["a", "b", "", "a" * 40]),
        "end of a long text": lambda X: frame(text=["a", "b", None, "a" * 41]),
        "flags as integers": lambda X: frame(flag=[1, 0, 1, 1]),
        "category": lambda X: frame(level=pd.Categorical(["u", "v", "v", None])),
        "order of the categories": lambda X: frame(
            level=pd.Categorical(["u", "v", "u", None], categories=["v", "u"])
        ),
        "a column more": lambda X: frame(extra=[0, 0, 0, 0]),
        "name": lambda X: X.rename(columns={"text": "words"}),
        "index": lambda X: X.set_index(pd.Index(list("wxyz"))),
        "name of the index": lambda X: X.rename_axis("number"),
        "order of the columns": lambda X: X[X.columns[::-1]],
        "a row less": lambda X: X.iloc[:3],
        "array of the same cells": lambda X: X.to_numpy(),
    },
    polars_frame: {
        "number": lambda X: X.with_columns(pl.col("number") + 1),
        "missing text": lambda X: X.with_columns(pl.col("text").fill_null("")),
        "dtype": lambda X: X.with_columns(pl.col("level").cast(str)),
        "name": lambda X: X.rename({"text": "words"}),
        "order of the rows": lambda X: X[::-1],
        "order of the columns": lambda X: X[X.columns[::-1]],
    },
    lambda: csr_matrix(np.eye(4)): {
        "values": lambda X: X * 2,
        "order of the rows": lambda X: X[::-1],
        "width": lambda X: csr_matrix((X.data, X.indices, X.indptr), (4, 9)),
    },
    lambda: masked_array([1.0, 1.0], [0, 1]): {
        "mask": lambda X: masked_array(X.data, [1, 0]),
    },
}


@pytest.mark.parametrize(
    ("make", "change"),
    [
        pytest.param(make, change, id=f"{make.__name__} {what}")
        for make, changes in CHANGES.items()
        for what, change in changes.items()
    ],
)
def test_what_is_changed_has_another_fingerprint(make, change):
    before = checksum(make())
    assert checksum(make()) == before
    assert checksum(change(make())) != before


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
@pytest.mark.parametrize("cell", [0, 173_210, 499_999])
def test_every_cell_of_a_large_array_counts(cell, make):
    X = make((10_000, 50))
    before = checksum(X)

    X.reshape(-1)[cell] = 1.0

    assert checksum(X) != before


def test_order_of_the_objects_counts():
    X = numbers()

    assert checksum(X, X + 1) != checksum(X + 1, X)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: t.add_(1.0), id="in place"),
        pytest.param(lambda t: t.to(torch.bfloat16), id="dtype"),
        pytest.param(lambda t: t.view(torch.int32), id="dtype of the same bytes"),
        pytest.param(lambda t: t.reshape(3, 2), id="shape"),
        pytest.param(lambda t: t.T.contiguous().T, id="nothing"),
    ],
)
def test_tensor_counts_by_its_values_dtype_and_shape(change, request):
    tensor = torch.arange(6.0).reshape(2, 3)
    before = checksum(tensor)

    changed = checksum(change(tensor))

    assert (changed == before) == (request.node.callspec.id == "nothing")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.complex64])
def test_tensors_of_any_dtype_have_a_fingerprint(dtype):
    assert checksum(torch.ones(2, dtype=dtype)) != checksum(torch.zeros(2, dtype=dtype))


def test_what_a_net_keeps_for_training_alone_does_not_count(data32):
    trained = net(max_epochs=1).fit(*data32)
    before = checksum(trained)

    trained.history_[-1]["note"] = "of the person"
    trained.optimizer_.param_groups[0]["lr"] = 5.0

    assert checksum(trained) == before


def test_training_mode_of_a_module_that_is_asked_as_it_is_counts():
    module = nn.Dropout()
    before = checksum(module)

    module.eval()

    assert checksum(module) != before


# Code of the person's own


def cell(source, **names):
    """Run a cell of a notebook; return the names that it defines."""
    names["__name__"] = "__main__"
    exec(textwrap.dedent(source), names)
    return names


OWN_CODE = {
    "code": "def ask(X): return X * {}",
    "default": "def ask(X, by={}): return X * by",
    "global": "by = {}\ndef ask(X): return X * by",
    "function that it calls": "def by(): return {}\ndef ask(X): return X * by()",
    "closure": "def make(by): return lambda X: X * by\nask = make({})",
    "class of an object": """
        class Model:
            def __call__(self, X): return X * {}
        ask = Model()
        """,
    "attribute of the class of an object": """
        class Model:
            by = {}
            def __call__(self, X): return X * self.by
        ask = Model()
        """,
}


@pytest.mark.parametrize("kind", OWN_CODE)
def test_code_of_a_notebook_that_was_defined_anew_has_another_fingerprint(kind):
    first, second = (cell(OWN_CODE[kind].format(by))["ask"] for by in (1, 2))

    assert checksum(first) == checksum(first)
    assert checksum(first) != checksum(second)


def test_globals_count_that_the_code_names():
    names = cell("seen = 0\nweights = [1, 2]\ndef ask(X): return X * weights")
    before = checksum(names["ask"])

    names["seen"] = 1
    assert checksum(names["ask"]) == before

    names["weights"].append(3)
    assert checksum(names["ask"]) != before


def test_method_that_was_replaced_changes_the_fingerprint_of_objects():
    names = cell("class Model:\n    def ask(self, X): return X")
    model = names["Model"]()
    before = checksum(model)

    names["Model"].ask = lambda self, X: -X

    assert checksum(model) != before


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module of the person's own and loads it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = []

    def load(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        if name in names:
            return importlib.reload(sys.modules[name])
        names.append(name)
        return importlib.import_module(name)

    yield load
    for name in names:
        del sys.modules[name]


FUNCTION = "def ask(X): return X * {}"
CLASS = """
    class Model:
        def predict_proba(self, X): return X * {}
    def make(): return Model()
"""


@pytest.mark.parametrize(
    ("source", "take"),
    [(FUNCTION, lambda own: own.ask), (CLASS, lambda own: own.make())],
    ids=["function", "object"],
)
def test_code_of_a_module_that_was_loaded_again_has_another_fingerprint(
    source, take, module
):
    before = checksum(take(module("own_code", source.format(1))))

    assert checksum(take(module("own_code", source.format(2)))) != before


@pytest.mark.parametrize("how", ["import helper", "from helper import ask as by"])
def test_module_that_own_code_uses_counts(how, module):
    module("helper", FUNCTION.format(1))
    call = "helper.ask(X)" if how == "import helper" else "by(X)"
    source = f"{how}\ndef ask(X): return {call}"
    before = checksum(module("own_code", source).ask)

    module("helper", FUNCTION.format(2))

    assert checksum(module("own_code", source).ask) != before


def test_another_version_of_the_package_of_a_class_has_another_fingerprint(monkeypatch):
    fitted = LGBMClassifier()
    before, of_another = checksum([fitted]), checksum(GaussianNB())
    assert checksum([fitted]) == before

    monkeypatch.setattr(lightgbm, "__version__", "99.0")

    assert checksum([fitted]) != before
    assert checksum(GaussianNB()) == of_another


def test_a_package_may_tell_its_version_by_its_distribution_alone(monkeypatch):
    monkeypatch.delattr(lightgbm, "__version__")
    _of_distribution.cache_clear()
    before = checksum(LGBMClassifier())

    monkeypatch.setattr(metadata, "version", lambda package: "99.0")
    assert checksum(LGBMClassifier()) == before  # it stays the same in a process
    _of_distribution.cache_clear()

    assert checksum(LGBMClassifier()) != before
    _of_distribution.cache_clear()


LASTING = {
    "array": numbers,
    "installed": lambda: LogisticRegression().fit([[0], [1]], [0, 1]),
    "ours and torch's": lambda: TorchTeacher(nn.Linear(2, 2), [0, 1]),
    "of the standard library": lambda: textwrap.dedent,
    "built in": lambda: len,
}
PASSING = {
    "object of an own class": NotOfScikitLearn,
    "own class": lambda: NotOfScikitLearn,
    "own function": lambda: lambda X: X,
    "holds a function": lambda: TorchTeacher(lambda X: X, [0, 1]),
    "of a notebook": lambda: cell("def ask(X): return X")["ask"],
}


@pytest.mark.parametrize("kind", LASTING | PASSING)
def test_fingerprint_lasts_beyond_the_process_without_own_code(kind):
    made = (LASTING | PASSING)[kind]()
    assert fingerprint(made).is_lasting == (kind in LASTING)


@pytest.mark.parametrize("file", [pathlib.Path("own.py"), None])
def test_modules_with_a_file_of_any_kind_may_be_loaded(file, monkeypatch):
    module = types.ModuleType("of_any_kind")
    module.__file__ = file
    monkeypatch.setitem(sys.modules, "of_any_kind", module)

    assert checksum(numbers())


# What has no fingerprint, and what is left behind


class Unpicklable:
    def __init__(self, error):
        self.error = error

    def __getstate__(self):
        raise self.error


UNPICKLABLE = {
    "PicklingError": lambda: Unpicklable(pickle.PicklingError()),
    "any other error": lambda: Unpicklable(RuntimeError()),
    "lock": threading.Lock,
    "generator": lambda: (fold for fold in [1]),
    "tensor of no device": lambda: torch.empty(2, device="meta"),
    "sparse tensor": lambda: torch.eye(2).to_sparse(),
}


@pytest.mark.parametrize("make", UNPICKLABLE.values(), ids=UNPICKLABLE)
def test_what_cannot_be_pickled_has_no_fingerprint(make):
    assert fingerprint(numbers(), make()) is None
    with unchanged([make()]):
        assert fingerprint(make()) is None


def test_interrupt_comes_through():
    with pytest.raises(KeyboardInterrupt):
        fingerprint(Unpicklable(KeyboardInterrupt()))


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_person_has_pickled_by_value_stays_so(fails, module):
    own, other = module("never_seen", CLASS.format(1)), module("other", "")
    cloudpickle.register_pickle_by_value(other)
    before = cloudpickle.list_registry_pickle_by_value()

    fingerprint(own.make(), threading.Lock() if fails else None)

    assert cloudpickle.list_registry_pickle_by_value() == before
    cloudpickle.unregister_pickle_by_value(other)


def test_large_arrays_are_not_copied():
    X = np.zeros((2**21,))  # 16 MiB
    tracemalloc.start()

    fingerprint(X)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 4


def test_objects_that_do_not_change_are_summed_once(data, monkeypatch):
    teacher = LogisticRegression().fit(*data)
    other = LogisticRegression(C=2.0).fit(*data)
    with unchanged([teacher]):
        before = fingerprint(teacher, 1)
        assert fingerprint(teacher, 1) == before
        assert fingerprint(teacher, 2) != before
        assert fingerprint(other, 1) != before
        monkeypatch.setattr(LogisticRegression, "__getstate__", None)
        assert fingerprint(teacher, 1) == before
        assert fingerprint(other, 1) is None


def test_objects_are_summed_again_once_they_may_change(data):
    teacher = LogisticRegression().fit(*data)
    with unchanged([teacher]):
        before = fingerprint(teacher)
    teacher.coef_[0, 0] += 1e-9
    with unchanged([teacher]):
        assert fingerprint(teacher) != before


def test_own_code_stays_own_in_objects_that_do_not_change():
    own = FunctionTransformer(lambda X: X)
    with unchanged([own]):
        assert not fingerprint(own).is_lasting


@pytest.mark.parametrize(
    "change",
    [
        lambda module: module[1].running_mean.add_(1),
        lambda module: module.append(nn.Identity()),
    ],
    ids=["buffer", "layer"],
)
def test_a_module_that_changes_besides_its_weights_is_another(change):
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = fingerprint(module)
    assert fingerprint(module) == before
    change(module)
    assert fingerprint(module) != before
