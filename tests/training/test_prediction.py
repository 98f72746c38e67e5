"""What a trained net predicts, and what is left of it when it only predicts."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset
from torch import nn

from skdistill._training import _prediction
from skdistill._training._prediction import (
    is_trimmed,
    log_proba,
    outputs_of,
    proba,
    trimmed,
)
from skdistill.utils._probabilities import first
from tests.conftest import TinyModule, tiny_net


@pytest.fixture
def X(data):
    return data[0].astype(np.float32)


class Proba(TinyModule):
    """Returns probabilities."""

    def forward(self, X):
        return super().forward(X).softmax(dim=1)


class Tuple(TinyModule):
    """Returns more than logits."""

    def forward(self, X):
        return super().forward(X), X


class Noisy(nn.Sequential):
    """Says something else of every row while it trains."""

    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))


class Focal(nn.Module):
    """A criterion of the person's own, of logits."""

    def forward(self, logits, y):
        return nn.functional.cross_entropy(logits, y)


class RowByRow(Dataset):
    """A dataset of the person's own."""


NETS = {
    "logits": {"module": TinyModule(4, 3)},
    "tuple": {"module": Tuple(4, 3)},
    "probabilities": {"module": Proba(4, 3), "criterion": nn.NLLLoss},
    "own criterion": {
        "module": TinyModule(4, 3),
        "criterion": Focal,
        "predict_nonlinearity": nn.Softmax(dim=1),
    },
    "training mode": {"module": Noisy()},
}


@pytest.fixture(params=NETS)
def net(request):
    return tiny_net(**NETS[request.param]).initialize()


def logits_by_hand(net, X):
    net.module_.eval()
    with torch.no_grad():
        outputs = first(net.module_(torch.tensor(X)))
    return outputs.log() if isinstance(net.module_, Proba) else outputs


def test_probabilities_are_a_softmax_in_double_precision(net, X):
    net.module_.train()
    found = proba(net, X)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(dim=1), torch.ones(90).double())
    expected = logits_by_hand(net, X).double().softmax(dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_log_probabilities_are_those_of_the_probabilities(net, X):
    assert_allclose(log_proba(net, X), np.log(proba(net, X).numpy()), rtol=1e-6)


def test_log_probabilities_of_logits_stay_finite_where_probabilities_are_zero(X):
    net = tiny_net(**NETS["logits"]).initialize()
    assert (proba(net, 1e5 * X) == 0).any()
    assert torch.isfinite(log_proba(net, 1e5 * X)).all()


def test_one_row_is_predicted_as_among_others(net, X):
    assert_allclose(proba(net, X[:1]), proba(net, X)[:1], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 4 * 7, 4 * 90])
def test_rows_go_through_the_net_in_parts_of_bounded_size(monkeypatch, X, size):
    seen = []

    class Counting(TinyModule):
        def forward(self, X):
            seen.append(len(X))
            return super().forward(X)

    net = tiny_net(module=Counting(4, 3)).initialize()
    whole = outputs_of(net, X)
    seen.clear()
    monkeypatch.setattr(_prediction, "_FORWARD_SIZE", size)
    assert_allclose(outputs_of(net, X), whole, rtol=1e-6, atol=1e-5)
    assert max(seen) == max(1, size // 4)
    assert sum(seen) == 90


def test_sparse_rows_are_predicted_as_dense_ones(X):
    net = tiny_net(**NETS["logits"]).initialize()
    assert torch.equal(outputs_of(net, csr_matrix(X)), outputs_of(net, X))


def test_a_dataset_of_the_persons_own_is_used(X):
    class Doubled(Dataset):
        def transform(self, X, y):
            X, y = super().transform(X, y)
            return 2 * X, y

    module = TinyModule(4, 3)
    own = tiny_net(module=module, dataset=Doubled, batch_size=40).initialize()
    plain = tiny_net(module=module).initialize()
    assert_allclose(outputs_of(own, X), outputs_of(plain, 2 * X), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "dtype"),
    [
        (Dataset, torch.float64),
        (Dataset, torch.bfloat16),
        (RowByRow, torch.float64),  # numpy has no bfloat16
    ],
)
def test_a_net_gets_rows_in_the_precision_of_its_weights(X, dataset, dtype):
    single = TinyModule(4, 3)
    net = tiny_net(module=copy.deepcopy(single).to(dtype), dataset=dataset).initialize()
    with torch.no_grad():
        expected = single(torch.tensor(X))
    outputs = outputs_of(net, X)
    assert torch.equal(outputs.to(dtype).double(), outputs)
    assert torch.equal(outputs.float().double(), outputs) == (dtype != torch.float64)
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    assert_allclose(outputs, expected, atol=tolerance, rtol=tolerance)


def test_an_evaluation_step_of_the_persons_own_is_used(X):
    class Doubling(NeuralNetClassifier):
        def evaluation_step(self, batch, training=False):
            return 2 * super().evaluation_step(batch, training=training)

    params = tiny_net(module=TinyModule(4, 3)).get_params(deep=False)
    own, plain = (cls(**params).initialize() for cls in (Doubling, NeuralNetClassifier))
    own.module_ = plain.module_
    assert_allclose(outputs_of(own, X), 2 * outputs_of(plain, X), rtol=1e-6, atol=1e-5)


@pytest.fixture(params=[name for name in NETS if name != "tuple"])
def trained(request, data, X):
    score = EpochScoring("accuracy", on_train=True, name="acc")
    net = tiny_net(**NETS[request.param], max_epochs=2, callbacks=[score])
    return net.fit(X, data[1])


def test_a_trimmed_net_predicts_the_same_and_holds_less(trained, X):
    before = proba(trained, X)
    small = pickle.loads(pickle.dumps(trimmed(trained)))
    assert is_trimmed(small)
    assert small.optimizer_ is small.criterion_ is small.iterator_train is None
    assert small.callbacks_ == []
    assert_array_equal(proba(small, X), before)
    assert_array_equal(log_proba(small, X), log_proba(trained, X))
    assert_allclose(small.predict_proba(X), before, atol=1e-6)


def test_a_trimmed_net_keeps_its_history_less_the_batches(trained):
    small = trimmed(trained)
    assert small.history[:, "train_loss"] == trained.history[:, "train_loss"]
    assert small.history[0]["acc"] == trained.history[0]["acc"]
    assert not small.history[0]["batches"]


def test_trimming_leaves_the_net_whole(trained, data, X):
    trimmed(trained)
    assert not is_trimmed(trained)
    assert trained.history[0]["batches"]
    assert len(trained.callbacks) == 1
    assert len(trained.partial_fit(X, data[1]).history) == 4
