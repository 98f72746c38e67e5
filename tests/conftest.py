"""Small data, nets and teachers that several test modules share."""

import functools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skdistill import DistilledClassifier, make_student
from skdistill._transfer._store import store

# More threads only slow down nets of this size, above all where tests run in parallel.
torch.set_num_threads(1)

# To seed a GPU that is not there, torch keeps the stack of the call, which takes longer
# than a step of a small net.
if not torch.cuda.is_available():
    torch.cuda.manual_seed_all = torch.xpu.manual_seed_all = lambda seed: None

# The cases that hypothesis tries are the same in each run, but for `make fuzz`.
every_case = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("fixed", derandomize=True, max_examples=15, **every_case)
settings.register_profile("fuzz", max_examples=5000, print_blob=True, **every_case)
settings.load_profile("fixed")

LIBRARIES = ["pandas", "polars"]
NAMES = np.array(["ash", "birch", "cedar"])


class TinyModule(nn.Sequential):
    """One hidden layer; returns logits."""

    def __init__(self, n_features=2, n_classes=2, n_hidden=8):
        super().__init__(
            nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_classes)
        )


class Lookup(nn.Module):
    """Has a parameter for each row of X, which says its number in column 3."""

    def __init__(self, n_rows):
        super().__init__()
        self.logits = nn.Embedding(n_rows, 3)

    def forward(self, X):
        return self.logits(X[:, 3].long())


class Seen:
    """A loss that keeps what it is told of the teacher."""

    def __init__(self):
        self.teacher = []

    def __call__(self, student, teacher):
        self.teacher.append(teacher.numpy().copy())
        return student.square().mean()


class FittedTeacher(ClassifierMixin, BaseEstimator):
    """Counts as fitted as it is; what it says is up to the classes derived from it."""

    def __init__(self, classes=(0, 1, 2)):
        self.classes = classes

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.asarray(self.classes)

    def fit(self, X, y):
        return self


class RowTeacher(FittedTeacher):
    """Says of each row what is written in the row: the softmax of its first columns."""

    def predict_proba(self, X):
        return softmax(np.asarray(X)[:, :3], axis=1)


def tiny_net(**params):
    """Return an unfitted net that learns a hundred rows within a few epochs."""
    defaults = {
        "module": TinyModule,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.1,
        "max_epochs": 10,
        "batch_size": 128,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(**defaults | params)


def small_student(**params):
    """Return the default student, small and quick."""
    defaults = {"max_epochs": 5, "batch_size": 32, "lr": 0.03}
    return make_student((8,), **defaults | params)


def distilled(teacher=None, student=None, **params):
    """Return an unfitted classifier, by default small, quick, and without made rows."""
    student = tiny_net() if student is None else student
    defaults = {"augmenter": None, "random_state": 0}
    return DistilledClassifier(teacher, student, **defaults | params)


def hooks(module):
    """Return the hooks around the forward passes of a module and of its parts."""
    return [
        hook
        for part in module.modules()
        for kept in (part._forward_hooks, part._forward_pre_hooks)
        for hook in kept.values()
    ]


def table():
    """Return columns of every kind that both libraries take as they are."""
    rng = np.random.default_rng(0)
    n = 60
    return {
        "height": [None, *rng.normal(1e3, 5.0, n - 1).tolist()],
        "children": [*rng.integers(0, 5, n - 1).tolist(), None],
        "married": [None, *rng.choice([True, False], n - 1).tolist()],
        "job": [*rng.choice(["cook", "clerk", "smith"], n - 1).tolist(), None],
        "town": rng.choice(["Ulm", "Bonn"], n).tolist(),
    }


@pytest.fixture(params=LIBRARIES)
def frame(request):
    """Make a data frame of lists, in one library after the other."""
    return pytest.importorskip(request.param).DataFrame


@pytest.fixture(scope="session")
def data():
    """Return 90 rows of 4 features in 3 overlapping classes, read-only."""
    X, y = make_classification(
        n_samples=90,
        n_features=4,
        n_informative=3,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        random_state=0,
    )
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture
def data32(data):
    """Return ``data`` in single precision, as nets take it; it may be changed."""
    X, y = data
    return X.astype(np.float32), y.astype(np.int64)


@pytest.fixture(scope="session")
def forest(data):
    """Return a forest that was fitted on ``data``; its leaves are not pure."""
    return RandomForestClassifier(
        n_estimators=10, min_samples_leaf=3, random_state=0
    ).fit(*data)


@pytest.fixture(scope="session")
def named_forest(data):
    """Return a forest that was fitted on names of the classes."""
    X, y = data
    return RandomForestClassifier(10, min_samples_leaf=3, random_state=0).fit(
        X, NAMES[y]
    )


@pytest.fixture
def begun():
    """Return a callback that lists the epochs that were begun, of any net."""

    class Begun(Callback):
        epochs = []

        def on_epoch_begin(self, net, **kwargs):
            self.epochs.append(len(net.history))

    return Begun


@pytest.fixture(autouse=True)
def few_steps(request, monkeypatch):
    """Train for fewer steps on small tables, above all the nets that learn the labels.

    A student that sets ``max_epochs`` is not changed, nor is a test with the mark
    ``all_steps``.
    """
    if not request.node.get_closest_marker("all_steps"):
        monkeypatch.setattr("skdistill._students._student._MIN_STEPS", 100)


@pytest.fixture(autouse=True)
def empty_store():
    """Let no test find the answers that another one has asked for."""
    store.clear()


@pytest.fixture
def count_calls(monkeypatch):
    """Return a function that counts the calls of methods of an installed class.

    A teacher that counts them itself is another one after each call: what its code
    names is part of its fingerprint.
    """

    def count(cls, *names):
        calls = Counter()
        for name in names:
            monkeypatch.setattr(cls, name, _counted(getattr(cls, name), calls))
        return calls

    return count


def _counted(method, calls):
    @functools.wraps(method)
    def call(self, *args, **kwargs):
        calls[method.__name__] += 1
        return method(self, *args, **kwargs)

    return call


@pytest.fixture
def bars_at_once(monkeypatch):
    """Show bars of short tasks, and each of their steps."""
    monkeypatch.setattr("skdistill.utils._bars._SECONDS", 0)


@pytest.fixture
def calls(count_calls):
    """Count how often logistic regressions are fitted and asked."""
    return count_calls(LogisticRegression, "fit", "predict_proba")


@pytest.fixture(autouse=True)
def numpy_error_state():
    """Give each test numpy's own error state, whatever an imported package sets."""
    with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
        yield
