"""TorchTeacher: a module or function that is asked as a fitted classifier."""

import threading
import warnings
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn.base import clone, is_regressor
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdistill import DistilledRegressor, TorchTeacher, make_student


class Spy(nn.Module):
    """Keeps what it was called with."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(3)
        self.inputs, self.modes, self.grads = [], [], []

    def forward(self, X):
        self.inputs.append(X)
        self.modes.append([part.training for part in self.modules()])
        self.grads.append(torch.is_grad_enabled())
        return self.norm(self.dropout(self.layer(X)))


@pytest.fixture
def always_warn():
    """Let torch repeat warnings that it gives once per process."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def linear_module():
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def test_logits_become_probabilities(data32):
    X, _ = data32
    module = linear_module()
    teacher = TorchTeacher(module, classes=[0, 1, 2])
    logits = module(torch.tensor(X)).detach().double().numpy()

    assert_allclose(teacher.predict_proba(X), softmax(logits, axis=1), rtol=1e-6)
    assert_allclose(
        teacher.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-6
    )
    assert teacher.predict_proba(X).dtype == np.float64
    assert teacher.predict_log_proba(X).dtype == np.float64


def test_probabilities_pass_unchanged_and_have_no_logits(data32):
    module = nn.Sequential(linear_module(), nn.Softmax(dim=1))
    teacher = TorchTeacher(module, classes=[0, 1, 2], output="proba")

    assert_allclose(
        teacher.predict_proba(data32[0]),
        module(torch.tensor(data32[0])).detach(),
        rtol=1e-6,
    )
    assert not teacher.gives_logits


@pytest.mark.parametrize("ask", [nn.Softmax(dim=1), lambda X: softmax(X, axis=1)])
def test_probabilities_that_are_taken_for_logits_are_reported(ask, data32):
    teacher = TorchTeacher(ask, classes=range(4))
    for method in (teacher.predict_proba, teacher.predict_log_proba):
        with pytest.warns(UserWarning, match="sum to 1: .* pass output='proba'"):
            method(data32[0])


class ModelOutput(OrderedDict):
    """Has its items as attributes, as the outputs of transformers have."""

    def __getattr__(self, name):
        return self[name]


WRAPS = {
    "dict": lambda logits: {"loss": 0.0, "logits": logits},
    "model output": lambda logits: ModelOutput(logits=logits),
    "object": lambda logits: SimpleNamespace(logits=logits),
    "tuple": lambda logits: ({"logits": logits}, None),
}


class Wrapping(nn.Linear):
    def __init__(self, wrap):
        super().__init__(4, 3)
        self.wrap = wrap

    def forward(self, X):
        return self.wrap(super().forward(X))


@pytest.mark.parametrize("is_module", [True, False], ids=["module", "function"])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_logits_count_of_what_a_module_returns(wrap, is_module, data32):
    X, _ = data32
    module = Wrapping(wrap)
    logits = nn.Linear.forward(module, torch.tensor(X)).detach().double()
    call = module if is_module else lambda rows: module(torch.tensor(rows))

    proba = TorchTeacher(call, classes=[0, 1, 2]).predict_proba(X)

    assert_allclose(proba, softmax(logits.numpy(), axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("wrap", "output", "message"),
    [
        (
            lambda out: {"scores": out},
            "logits",
            r"type dict with the keys \['scores'\]",
        ),
        (lambda out: {"logits": out}, "proba", "must return its proba as a tensor"),
        (lambda out: None, "logits", "returned an object of type NoneType, and must"),
    ],
    ids=["other key", "logits for probabilities", "nothing"],
)
def test_what_holds_no_outputs_is_refused_with_what_came_back(wrap, output, message):
    teacher = TorchTeacher(Wrapping(wrap), classes=[0, 1, 2], output=output)
    with pytest.raises(TypeError, match=message):
        teacher.predict_proba(np.zeros((2, 4)))


def test_predict_names_labels_in_the_order_of_the_columns():
    teacher = TorchTeacher(nn.Identity(), classes=["dog", "cat"])

    predicted = teacher.predict(np.array([[1.0, 3.0], [2.0, 1.0]]))

    assert predicted.tolist() == ["cat", "dog"]
    assert teacher.classes_.tolist() == ["dog", "cat"]


def test_logits_far_apart_survive_unclipped():
    teacher = TorchTeacher(nn.Identity(), classes=[0, 1])

    logits = teacher.predict_log_proba(np.array([[0.0, 500.0]]))

    assert_allclose(logits, [[-500.0, 0.0]])


def test_first_item_of_a_tuple_counts(data32):
    X, _ = data32

    class Two(nn.Module):
        def forward(self, X):
            return X[:, :3], X.sum()

    teacher = TorchTeacher(Two(), classes=[0, 1, 2])

    assert_allclose(teacher.predict_proba(X), softmax(X[:, :3], axis=1), rtol=1e-5)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, np.ndarray.tolist])
def test_callable_may_return_array_tensor_or_lists(make):
    teacher = TorchTeacher(lambda X: make(np.ones((len(X), 2))), ["a", "b"])

    assert_array_equal(teacher.predict_proba(np.zeros((3, 1))), np.full((3, 2), 0.5))


def test_callable_sees_the_rows_just_as_they_came():
    seen = []

    def ask(X):
        seen.append(X)
        return np.zeros((len(X), 2))

    X = np.array([["red", 1], ["blue", 2]], dtype=object)
    TorchTeacher(ask, classes=[0, 1]).predict_proba(X)

    assert isinstance(seen[0], np.ndarray)
    assert_array_equal(seen[0], X)
    assert seen[0].dtype == object


def test_callable_with_gradients_is_detached():
    weight = torch.ones(2, requires_grad=True)
    teacher = TorchTeacher(lambda X: torch.tensor(X) * weight, classes=[0, 1])

    assert_allclose(teacher.predict_proba(np.zeros((1, 2))), [[0.5, 0.5]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_module_gets_rows_in_its_own_dtype(dtype, data32):
    spy = Spy().to(dtype)

    proba = TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(data32[0])

    assert spy.inputs[0].dtype == dtype
    assert proba.dtype == np.float64


def test_module_without_parameters_gets_float32():
    seen = []

    class Same(nn.Module):
        def forward(self, X):
            seen.append(X.dtype)
            return X

    TorchTeacher(Same(), classes=[0, 1]).predict_proba(np.zeros((1, 2), dtype=int))

    assert seen == [torch.float32]


def test_module_is_asked_in_evaluation_mode_without_gradients(data32):
    spy = Spy()
    mean = spy.norm.running_mean.clone()

    TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(data32[0])

    assert spy.modes == [[False] * 4]
    assert spy.grads == [False]
    assert all(parameter.grad is None for parameter in spy.parameters())
    assert torch.equal(spy.norm.running_mean, mean)


@pytest.mark.parametrize("frozen_norm", [True, False])
def test_training_mode_of_each_part_is_restored(frozen_norm, data32):
    spy = Spy().train()
    spy.norm.train(not frozen_norm)
    before = [part.training for part in spy.modules()]

    teacher = TorchTeacher(spy, classes=[0, 1, 2])
    teacher.predict_proba(data32[0])
    with pytest.raises(RuntimeError):
        teacher.predict_proba(np.zeros((2, 5)))

    assert [part.training for part in spy.modules()] == before


def test_batches_bound_what_the_module_sees_and_change_nothing(data32):
    spy = Spy().eval()
    whole = TorchTeacher(spy, classes=[0, 1, 2]).predict_proba(data32[0])
    for module in (spy, lambda X: spy(torch.tensor(X))):
        spy.inputs.clear()

        teacher = TorchTeacher(module, classes=[0, 1, 2], batch_size=50)

        assert_allclose(teacher.predict_proba(data32[0]), whole, rtol=1e-6)
        assert [len(batch) for batch in spy.inputs] == [50, 40]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["one dimension", "a column"])
@pytest.mark.parametrize("output", ["logits", "proba"])
def test_one_number_for_each_row_is_that_of_the_second_of_two_classes(output, shape):
    """As the answers of boosters, and of nets with a sigmoid at their end or none."""
    logits = np.array([-2.0, 0.0, 0.5, 40.0])
    answers = logits if output == "logits" else expit(logits)
    teacher = TorchTeacher(
        lambda X: answers[: len(X)].reshape(shape), classes=["no", "yes"], output=output
    )

    for rows in (4, 3, 1):
        X, expected = np.zeros((rows, 2)), expit(logits[:rows])
        assert_allclose(teacher.predict_proba(X)[:, 1], expected)
        assert_allclose(teacher.predict_proba(X).sum(axis=1), 1)
        assert_allclose(np.exp(teacher.predict_log_proba(X)[:, 1]), expected)
    assert teacher.predict(np.zeros((4, 2))).tolist() == ["no", "no", "yes", "yes"]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(nn.Linear(4, 2), id="too narrow"),
        pytest.param(nn.Linear(4, 1), id="one column"),
        pytest.param(lambda X: np.zeros(len(X)), id="one dimension"),
        pytest.param(lambda X: np.zeros((len(X) + 1, 3)), id="too many rows"),
        pytest.param(lambda X: np.zeros((len(X), 3, 1)), id="three dimensions"),
    ],
)
def test_outputs_of_another_shape_are_refused(module):
    teacher = TorchTeacher(module, classes=[0, 1, 2])

    with pytest.raises(ValueError, match=r"returned shape .* \(5, 3\): check classes="):
        teacher.predict_proba(np.zeros((5, 4), dtype=np.float32))


@pytest.mark.parametrize("ask", ["predict_proba", "hidden_features"])
@pytest.mark.parametrize(
    "params", [{"output": "odds"}, {"batch_size": 0}, {"batch_size": 2.5}], ids=str
)
def test_parameters_of_a_wrong_type_or_range_are_refused_by_name(params, ask):
    teacher = TorchTeacher(**{"module": nn.Linear(2, 2), "classes": [0, 1]} | params)

    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter"):
        getattr(teacher, ask)(np.zeros((1, 2)))


def test_it_counts_as_fitted_and_fit_and_clone_change_nothing():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    teacher = TorchTeacher(module, classes=[0, 1])

    check_is_fitted(teacher)

    assert clone(teacher) is teacher
    assert teacher.fit(np.zeros((3, 2)), [0, 1, 0]) is teacher
    assert torch.equal(module.weight, before)


def test_images_keep_their_shape():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))

    proba = TorchTeacher(module, classes=[0, 1]).predict_proba(np.zeros((5, 3, 2, 2)))

    assert proba.shape == (5, 2)


@pytest.mark.usefixtures("always_warn")
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda X: X[::-1], id="reversed"),
        pytest.param(lambda X: X[::2], id="strided"),
        pytest.param(np.asfortranarray, id="in Fortran order"),
        pytest.param(lambda X: pd.DataFrame(X), id="frame"),
        pytest.param(np.ndarray.tolist, id="lists"),
        # joblib hands large arrays to its workers as read-only memory maps.
        pytest.param(lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape)),
    ],
)
def test_module_takes_rows_in_any_layout(view, data32):
    X, _ = data32
    teacher = TorchTeacher(linear_module(), classes=[0, 1, 2])

    rows = view(X)

    plain = np.ascontiguousarray(rows, dtype=np.float32)
    assert_allclose(
        teacher.predict_proba(rows), teacher.predict_proba(plain), rtol=1e-6
    )


class TwoAtOnce(nn.Module):
    """Lets a second thread ask while it is being asked, as far as that is let in."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(4, 3)
        self.modes, self.teacher, self.second = [], None, None
        self.inside, self.first_is_done = threading.Event(), threading.Event()

    def forward(self, X):
        if self.second is None:
            self.second = threading.Thread(
                target=self.teacher.predict_proba, args=[X.numpy()]
            )
            self.second.start()
            self.inside.wait(timeout=0.1)  # as long as it may, if it is kept out
        else:
            self.inside.set()
            self.first_is_done.wait(timeout=10)
        self.modes.append(self.training)
        return self.out(X)


def test_a_module_is_asked_by_one_thread_at_a_time(data32):
    module = TwoAtOnce().train()
    module.teacher = TorchTeacher(module, [0, 1, 2])
    module.teacher.predict_proba(data32[0])
    module.first_is_done.set()
    module.second.join()
    assert module.modes == [False, False]
    assert module.training


@pytest.mark.parametrize("n_targets", [None, 2])
def test_values_are_what_a_regressor_predicts(n_targets, data32):
    X, _ = data32
    module = nn.Sequential(nn.Linear(4, n_targets or 1))
    if n_targets is None:
        module.append(nn.Flatten(0))
    teacher = TorchTeacher(module, output="values")
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    assert_allclose(teacher.predict(X), expected, rtol=1e-6)
    assert teacher.predict(X).dtype == np.float64
    assert teacher.score(X, expected) == pytest.approx(1)
    assert is_regressor(teacher)
    assert not hasattr(teacher, "predict_proba")
    assert not hasattr(teacher, "classes_")
    student = make_student((8,), task="regression", max_epochs=20)
    reg = DistilledRegressor(teacher, student, random_state=0).fit(X)
    assert reg.predict(X).shape == expected.shape
    assert reg.score(X, expected) > 0.8


def test_hidden_features_of_a_regressor_are_those_of_its_module(data32):
    X, y = data32
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    teacher = TorchTeacher(module, output="values")
    assert teacher.hidden_features(X).shape == (len(X), 8)
    student = make_student((8,), task="regression", max_epochs=2)
    reg = DistilledRegressor(teacher, student, feature_loss="hint", alpha=0.5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SKD101")
        assert "train_loss_feature" in reg.fit(X, y).history_[-1]
