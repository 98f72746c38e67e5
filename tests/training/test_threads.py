"""Which nets compute in one thread, and that the setting is restored."""

import threading

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skdistill._training._prediction import log_proba, proba
from skdistill._training._threads import _MAX_PRODUCTS, one_thread_if_small
from tests.conftest import TinyModule, tiny_net
from tests.training.conftest import train

LINEAR = nn.Linear(63, 64)  # 4096 weights
MOST_ROWS = _MAX_PRODUCTS // 4096


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("module", "n_rows", "n_threads"),
    [
        (LINEAR, MOST_ROWS, 1),
        (LINEAR, MOST_ROWS + 1, 2),
        (LINEAR, None, 2),
        (nn.Sequential(LINEAR, nn.BatchNorm1d(64), nn.Dropout()), 2, 1),
        (nn.Sequential(LINEAR, nn.Conv1d(1, 1, 2)), 2, 2),
        (nn.Sequential(nn.LSTM(2, 2), LINEAR), 2, 2),
        (nn.MultiheadAttention(4, 2), 2, 2),
    ],
)
def test_small_forward_passes_take_one_thread(module, n_rows, n_threads):
    with one_thread_if_small(module, n_rows):
        assert torch.get_num_threads() == n_threads


def test_the_setting_is_restored_after_an_error():
    with pytest.raises(RuntimeError), one_thread_if_small(LINEAR, 2):
        raise RuntimeError


class Counts(TinyModule):
    """Lists the number of threads of its forward passes."""

    def __init__(self):
        super().__init__(4, 3)
        self.seen = []

    def forward(self, X):
        self.seen.append((len(X), torch.get_num_threads()))
        return super().forward(X)


class Listens(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.parametrize("callbacks", [[], [Listens]], ids=["fast", "slow"])
def test_small_nets_train_and_predict_in_one_thread(rows, callbacks):
    net = train(tiny_net(module=Counts, max_epochs=2, callbacks=callbacks), rows)
    assert net.module_.seen == [(90, 1)] * 3  # the last checks the outputs
    net.module_.seen.clear()
    for predict in (proba, log_proba):
        predict(net, rows.X)
    assert net.module_.seen == [(90, 1)] * 2


def test_two_trainings_at_once_restore_the_setting(rows):
    threads = [
        threading.Thread(target=train, args=(tiny_net(batch_size=8), rows))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new = []
    last = threading.Thread(target=lambda: new.append(torch.get_num_threads()))
    last.start()
    last.join()
    assert new == [2]
