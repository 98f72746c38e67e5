"""Random tables and parameters: a right answer, or an error that is explained.

The suite tries the same 225 cases in each run. ``make fuzz`` tries others, for
as long as an hour.
"""

import copy
import json
import pickle
import traceback
import warnings
from contextlib import suppress
from functools import partial

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import _safe_indexing
from skorch.callbacks import LRScheduler
from torch import nn

from skdistill import (
    DistilledClassifier,
    DistilledRegressor,
    make_student,
    soft_labels,
)
from skdistill._transfer._store import store
from skdistill.deploy import to_sklearn
from skdistill.losses import KLLoss
from skdistill.schedules import LinearSchedule
from tests.conftest import tiny_net

one_of = st.sampled_from

# Tables: of each kind a column that any student can learn from, or not

KINDS = {
    "float": st.floats(-5, 5, width=32),
    "int": st.integers(-3, 3),
    "bool": st.booleans(),
    "constant": st.just(7.0),
    "large": st.integers(-(2**40), 2**40),
    "missing": one_of([np.nan, 1.0, 2.0, -3.0]),
    "wild": one_of([np.inf, -np.inf, 1e38, -1e300, 5e-324, np.nan, 1.0]),
    "string": one_of(["a", "b", "ä", "", None, np.nan]),
    "digits": one_of(["1", "2.5", "-3"]),
    "mixed": one_of([1, "a", None, 2.5, True, b"x"]),
    "nothing": st.none(),
}
NUMERIC = one_of([*["float"] * 6, "int", "bool", "constant", "large", "missing"])
ANY = one_of([*["float", "string"] * 3, *KINDS])
TABLE = {True: NUMERIC, False: ANY}


@st.composite
def columns(draw, kinds, n_rows):
    drawn = draw(st.lists(kinds, min_size=1, max_size=4))
    return [
        draw(st.lists(KINDS[kind], min_size=n_rows, max_size=n_rows)) for kind in drawn
    ]


def array(draw, n_rows, sound):
    numeric = one_of([*KINDS][: 5 if sound else 7])
    X = np.array(draw(columns(numeric, n_rows)), float).T
    dtypes = ["f2", "i8", "i1", "u1", "?", "O", "U5", "c16", "M8[s]", "m8[D]", "S3"]
    dtype = draw(one_of(["f8", "f4"] if sound else dtypes))
    with np.errstate(all="ignore"):
        return (X if dtype[0] in "fOUcS" else np.nan_to_num(X)).astype(dtype)


def lists(draw, n_rows, sound):
    return [list(row) for row in zip(*draw(columns(TABLE[sound], n_rows)), strict=True)]


def sparse_rows(draw, n_rows, sound):
    X = np.array(draw(columns(one_of(["float", "int", "bool"]), n_rows)), float).T
    forms = [sparse.csr_matrix, sparse.csc_array]
    return draw(one_of(forms if sound else [sparse.coo_array]))(X)


def pandas_frame(draw, n_rows, sound):
    drawn = draw(columns(ANY if draw(st.booleans()) else NUMERIC, n_rows))
    X = pd.DataFrame(dict(zip("abcd", drawn, strict=False)))
    dtypes = [None] * 4 + ["category", "string", "Int64", "Float64", "boolean"]
    for name in X:
        dtype = draw(one_of(dtypes))
        try:
            with np.errstate(all="ignore"):
                X[name] = X[name] if dtype is None else X[name].astype(dtype)
        except (TypeError, ValueError, OverflowError):
            continue  # the column cannot be of this type
    if not sound:
        others = [pd.Timestamp("2024-02-29"), pd.Timedelta(1), 1j, [1], {"a": 1}]
        X["other"] = pd.Series([draw(one_of(others))] * n_rows)
    return X.set_index(np.arange(len(X)) + 5) if draw(st.booleans()) else X


def polars_frame(draw, n_rows, sound):
    kinds = [kind for kind in KINDS if kind != "mixed"]
    drawn = draw(columns(NUMERIC if sound else one_of(kinds), n_rows))
    return pl.DataFrame(dict(zip("abcd", drawn, strict=False)), strict=False)


def repeated(draw, X):
    """Return rows of which some occur several times."""
    rows = np.arange(X.shape[0] if hasattr(X, "shape") else len(X))
    return _safe_indexing(X, rows % max(1, len(rows) // draw(one_of([2, 3]))))


def as_json(X):
    """Return the first row of a frame, as it comes from a request."""
    record = X.iloc[:1].to_json(orient="records", date_format="iso")
    return pd.DataFrame(json.loads(record))


FORMS = {
    "array": array,
    "lists": lists,
    "sparse": sparse_rows,
    "pandas": pandas_frame,
    "polars": polars_frame,
}

# What comes with them: (what is sound, what is broken), given codes of classes


def targets(codes):
    names = np.array(["no", "perhaps", "yes"])[codes]
    sound = [codes, names, names.astype(object), codes > 0, codes * 1.0, codes.tolist()]
    sound += [pd.Series(codes), pl.Series(codes), codes.astype(object)]
    broken = [codes + 0.5, np.where(codes == 0, np.nan, codes), codes[:-1], codes * 0]
    broken += [codes.reshape(-1, 1), np.stack([codes] * 2, axis=1), [None] * len(codes)]
    return sound, [*broken, None]


def weights(codes):
    ones = np.ones(len(codes))
    sound = [None, None, ones, codes + 1, 1e37 * ones, 1e-46 * ones, (codes > 0) * 1.0]
    return sound, [0 * ones, -ones, np.nan * ones, ones[1:], ["a"] * len(ones), 2.0]


def probabilities(codes):
    P = np.random.default_rng(0).dirichlet(np.ones(3), len(codes))
    sound = [P, P.astype(np.float32), P.tolist(), np.eye(3)[codes]]
    return sound, [P[:, :2], P[:-1], P[:, 0], 2 * P, -P, np.nan * P, "a"]


class KnowsLess(GaussianNB):
    """Knows all classes but the first."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, np.where(y == np.min(y), np.max(y), y))


class AnswersByName(GaussianNB):
    """Answers with a data frame, whose columns have an order of their own."""

    def predict_proba(self, X):
        return pd.DataFrame(super().predict_proba(X), columns=self.classes_).iloc[
            :, ::-1
        ]


TEACHERS = (
    [
        DummyClassifier(),
        DummyClassifier(),
        GaussianNB(),
        LogisticRegression(max_iter=20),
        RandomForestClassifier(3, random_state=0),
        HistGradientBoostingClassifier(max_iter=2),
        KNeighborsClassifier(2),
        make_pipeline(StandardScaler(copy=False), GaussianNB()),
        [DummyClassifier(), GaussianNB()],
        KnowsLess(),
        AnswersByName(),
        [KnowsLess(), AnswersByName()],
    ],
    [[], LinearSVC(), LinearRegression(), GaussianNB, nn.Linear(2, 2), "a", np.ones(3)],
)

STUDENTS = (
    [
        make_student((4,), max_epochs=1),
        make_student((), max_epochs=2, batch_size=7, numeric="standard"),
        make_student((4,), max_epochs=1, numeric="periodic"),
        make_student((4,), max_epochs=1).set_params(net__optimizer=torch.optim.SGD),
        make_student((), max_epochs=2).set_params(
            net__optimizer=torch.optim.Adagrad, net__callbacks__decay=None
        ),
        make_student((), max_epochs=2).set_params(net__callbacks=[LRScheduler()]),
        tiny_net(max_epochs=1, lr=0.01),
        make_pipeline(StandardScaler(), tiny_net(max_epochs=1)),
    ],
    [
        make_student((4,), max_epochs=1, early_stopping=True),
        tiny_net(max_epochs=1, lr=1e30),
        tiny_net(max_epochs=1, batch_size=1),
        tiny_net(max_epochs=1, batch_size=0),
        tiny_net(max_epochs=-1),
        LogisticRegression(),
        nn.Linear(2, 2),
        "mlp",
    ],
)

PARAMETERS = {
    "loss": (
        ["logit_mse", "dkd", "dist", "nkd", "standardized", "jsd", KLLoss()],
        [[("kl", 1.0), ("dist", 0.5)], [], None, "huber", [("kl", -1.0)], 3],
    ),
    "feature_loss": (["hint", "cosine", "cka", "vid"], ["kl", 3]),
    "relation_loss": (["rkd", "similarity", "pkt", "contrastive"], ["hint", 1.5]),
    "temperature": (
        [0.05, 1, 4.0, 1e6, LinearSchedule(4.0, 1.0), lambda epoch, n: 2.0],
        [0, -1.0, np.nan, np.inf, None, "hot", lambda epoch, n: -1.0, lambda: 1],
    ),
    "alpha": (
        [0, 0.5, 1.0, LinearSchedule(0.0, 1.0)],
        [True, 1.5, -0.1, np.nan, "a", None, LinearSchedule(0, 2)],
    ),
    "feature_weight": ([0, 0.1], [1e30, -1, np.nan, "a"]),
    "soft_labels": (["in_sample", "out_of_fold"], ["out_of_bag", "x", None]),
    "cv": ([2, 3], [1, 0, -1, "a", [], [([0, 1], [2])], [([0], [99])], 2.5]),
    "teacher_weights": ([None], [[1.0, 2.0], [1.0], [-1, 1], "a", [np.nan] * 2]),
    "class_weight": (["balanced"], ["a", {0: -1.0}, {9: 1.0}, [1.0, 2.0], 3]),
    "classes": (
        [None],
        [[0, 1, 2], ["no", "perhaps", "yes"], [0, 0, 1], 3, [[0]], {0, 1}, []],
    ),
    "augmenter": ([None], ["munge", 3]),
    "calibrate_teacher": (
        [None, "out_of_fold"],
        ["x", (np.ones((4, 2)), [0, 1, 0, 1]), (), 3],
    ),
    "proba_clip": ([1e-6, 0.3], [0, 1, np.nan, "a"]),
    "random_state": ([None, 0, np.random.RandomState(0)], [-1, "a", 0.5]),
    "student_layer": ([None], ["0", "nowhere", 3]),
    "teacher_features": (["auto"], ["layer", lambda teacher, X: np.ones((1, 1)), 3]),
    "pickle_teacher": ([True], ["a"]),
    "n_jobs": ([1], ["a", 0.5]),
    "verbose": ([0], [-1, "a"]),
}

BROKEN = ["nothing"] * 6 + ["X", "y", "weight", "proba", "teacher", "student", "params"]


@st.composite
def parameters(draw, is_sound):
    """Draw up to three parameters that are not the default."""
    names = draw(st.lists(one_of(list(PARAMETERS)), max_size=3, unique=True))
    drawn = {name: draw(one_of(PARAMETERS[name][0])) for name in names}
    if not is_sound:
        name = draw(one_of(list(PARAMETERS)))
        drawn[name] = draw(one_of(PARAMETERS[name][1]))
    # Made rows and what labels them take as long as a hundred cases without.
    return {"augmenter": None, "random_state": 0} | drawn


# What must hold

OURS = ("skdistill", "sklearn")
CHECKS = ("sklearn/utils/validation.py", "sklearn/utils/multiclass.py")


def is_explained(error):
    """Tell whether an error is ours, scikit-learn's, or says who has raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    package = str(frames[-1].f_globals.get("__name__")).partition(".")[0]
    if any("(Raised " in note for note in getattr(error, "__notes__", ())):
        return True  # a teacher's own error may be of any kind
    return isinstance(error, ValueError | TypeError) and (
        package in OURS
        or any(frame.f_code.co_filename.endswith(CHECKS) for frame in frames)
    )


def contents(data):
    """Return what is in a frame, less how it is stored, which reading may change."""
    if not isinstance(data, pd.DataFrame):
        return data
    return data.dtypes.astype(str).tolist(), data.index.tolist(), data.to_dict("list")


def checked(call, *args, **kwargs):
    """Return what a call returns, or None if it raises an error that is explained.

    Assert that it does not change what it gets. Some libraries let numpy raise an error
    where a number underflows.
    """
    data = [*args, *(kwargs[name] for name in kwargs if name != "random_state")]
    before = joblib.hash(list(map(contents, data)))
    result = None
    try:
        with warnings.catch_warnings(), np.errstate(under="raise"):
            warnings.simplefilter("ignore")
            result = call(*args, **kwargs)
    except Exception as error:
        if not is_explained(error):
            raise
    assert joblib.hash(list(map(contents, data))) == before
    return result


def assert_right(clf, X):
    """Assert that a fitted classifier predicts its training rows as it should."""
    proba = checked(clf.predict_proba, X)
    assert proba is not None, "it refuses the rows that it was fitted on"
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    assert (proba.shape, proba.dtype) == ((n_rows, len(clf.classes_)), np.float64)
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1)
    best = clf.classes_[proba.argmax(axis=1)]
    assert_array_equal(checked(clf.predict, X), best)
    loaded = pickle.loads(pickle.dumps(clf.set_params(random_state=0, cv=None)))
    assert_array_equal(checked(loaded.predict_proba, X), proba)


def assert_plain_form_is_right(clf, *tables):
    """Assert that a student without torch is equal to a fitted one, if there is one."""
    plain = checked(partial(to_sklearn, clf))  # the hash of a net may change

    def said(X):
        with np.errstate(under="ignore"):  # its softmax is scikit-learn's
            return plain.predict_proba(X)

    for X in tables if plain is not None else ():
        by_plain, proba = checked(said, X), checked(clf.predict_proba, X)
        if by_plain is not None and proba is not None:
            assert_allclose(by_plain, proba, atol=1e-4)


def as_given(draw, teacher, X, y):
    """Return a copy of a teacher, which may be fitted first, if it can be."""
    fitted = copy.deepcopy(teacher)
    if draw(st.booleans(), "is fitted"):
        with warnings.catch_warnings(), suppress(Exception):
            warnings.simplefilter("ignore")
            return fitted.fit(copy.deepcopy(X), y)
    return copy.deepcopy(teacher)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_fit_gives_a_right_answer_or_an_explained_error(form, data):
    store.clear()
    draw = data.draw
    broken = draw(one_of(BROKEN), "broken")

    def choose(name, choices):
        return draw(one_of(choices[name == broken]), name)

    n_rows = draw(one_of([12, 25] if broken != "X" else [12, 3, 1, 0]), "n_rows")
    X = FORMS[form](draw, n_rows, broken != "X")
    if broken != "X" and draw(one_of([False] * 3 + [True]), "repeated"):
        X = repeated(draw, X)
    codes = np.arange(n_rows) * draw(one_of([1, 7])) % draw(one_of([3, 2]))
    y = choose("y", targets(codes))
    params = draw(parameters(broken != "params"), "params")
    clf = DistilledClassifier(student=choose("student", STUDENTS), **params)
    given = {"sample_weight": choose("weight", weights(codes))}
    if broken == "proba" or draw(one_of([False] * 3 + [True]), "by teacher_proba"):
        given["teacher_proba"] = choose("proba", probabilities(codes))
    else:
        clf.set_params(teacher=as_given(draw, choose("teacher", TEACHERS), X, y))
        if draw(one_of([False] * 5 + [True]), "X_transfer"):
            given["X_transfer"] = FORMS[form](draw, 5, draw(st.booleans()))
    if checked(clf.fit, X, y, **given) is not None:
        assert_right(clf, X)
        other = FORMS[form](draw, draw(one_of([1, 5])), draw(st.booleans()))
        proba = checked(clf.predict_proba, other)
        assert proba is None or np.isfinite(proba).all()
        assert_plain_form_is_right(clf, X, *([as_json(X)] if form == "pandas" else []))


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_soft_labels_are_probabilities_or_an_explained_error(form, data):
    store.clear()
    draw = data.draw
    broken = draw(one_of(BROKEN), "broken")
    X = FORMS[form](draw, 12, broken != "X")
    codes = np.arange(12) % 3
    y = draw(one_of(targets(codes)[broken == "y"]), "y")
    teacher = draw(one_of(TEACHERS[broken == "teacher"]), "teacher")
    teacher = as_given(draw, teacher, X, y)
    names = ["cv", "classes", "teacher_weights", "calibrate_teacher", "proba_clip"]
    names += ["random_state", "soft_labels"]
    name = draw(one_of(names), "name")
    value = draw(one_of(PARAMETERS[name][broken == "params"]), "value")
    params = {{"soft_labels": "method"}.get(name, name): value}
    proba = checked(partial(soft_labels, teacher), X, y, **params)
    if proba is not None and not isinstance(teacher, LinearRegression):
        assert (proba.dtype, len(proba)) == (np.float32, 12)
        assert (proba >= 0).all()
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def numbers(codes):
    y = np.sin(codes + np.arange(len(codes)))
    sound = [y, 1e6 * y, y.tolist(), np.stack([y, -y], axis=1), codes, pd.Series(y)]
    return sound, [y[:-1], y * np.nan, y.astype(str), codes * 0, [None] * len(y), None]


REGRESSORS = (
    [LinearRegression(), DummyRegressor(), KNeighborsRegressor(2)],
    [[], LogisticRegression(), LinearRegression, "a", np.ones(3)],
)
OF_NUMBERS = ["temperature", "alpha", "cv", "soft_labels", "random_state", "verbose"]


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_a_regressor_gives_a_right_answer_or_an_explained_error(form, data):
    store.clear()
    draw = data.draw
    broken = draw(one_of(BROKEN), "broken")
    X = FORMS[form](draw, 12, broken != "X")
    if broken != "X" and draw(st.booleans(), "repeated"):
        X = repeated(draw, X)
    y = draw(one_of(numbers(np.arange(12) % 3)[broken == "y"]), "y")
    teacher = draw(one_of(REGRESSORS[broken == "teacher"]), "teacher")
    student = make_student((4,), task="regression", max_epochs=1)
    clf = DistilledRegressor(student=student, augmenter=None, random_state=0)
    name = draw(one_of([n for n in OF_NUMBERS if n in clf.get_params()]), "name")
    clf.set_params(
        **{name: draw(one_of(PARAMETERS[name][broken == "params"]), "value")}
    )
    clf.set_params(teacher=as_given(draw, teacher, X, y))
    weight = draw(one_of(weights(np.arange(12) % 3)[broken == "weight"]), "weight")
    if checked(clf.fit, X, y, sample_weight=weight) is not None:
        predicted = checked(clf.predict, X)
        assert predicted.shape == np.shape(y)
        assert np.isfinite(predicted).all()
