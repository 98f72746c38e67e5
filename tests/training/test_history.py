import html

import numpy as np
import pytest

from skdistill._training._history import TrainingHistory


class Net:
    def __init__(self, n_epochs):
        self.history = [
            {
                "epoch": n,
                "train_batch_count": 3,
                "train_loss": 1 / n,
                "train_loss_best": True,
                "batches": [{"train_loss": 1.0}],
                **({"temperature": np.float32(2)} if n > 1 else {}),
            }
            for n in range(1, n_epochs + 1)
        ]


def test_there_are_no_batches_and_the_net_keeps_its_own():
    net = Net(2)
    history = TrainingHistory.of(net)
    assert history[:, "train_loss"] == [1.0, 0.5]
    assert len(history) == 2
    assert all("batches" not in epoch for epoch in history)
    assert all("batches" in epoch for epoch in net.history)


def test_prints_as_a_table():
    assert repr(TrainingHistory.of(Net(3))).splitlines() == [
        "epoch  train_loss  temperature",
        "1               1            -",
        "2             0.5            2",
        "3          0.3333            2",
    ]


@pytest.mark.parametrize(("n_epochs", "n_rows"), [(10, 10), (11, 11), (200, 11)])
def test_of_a_long_training_the_beginning_and_the_end_are_shown(n_epochs, n_rows):
    rows = repr(TrainingHistory.of(Net(n_epochs))).splitlines()[1:]
    assert len(rows) == n_rows
    assert [row.split()[0] for row in rows][4:7] == (
        ["5", "6", "7"] if n_epochs == 10 else ["5", "...", str(n_epochs - 4)]
    )
    assert rows[-1].startswith(str(n_epochs))


def test_a_notebook_shows_the_same_table():
    history = TrainingHistory.of(Net(2))
    text = html.unescape(history._repr_html_())
    assert text.startswith("<table><tr><th>epoch</th><th>train_loss</th>")
    assert "<tr><th>2</th><td>0.5</td><td>2</td></tr>" in text


def test_to_frame():
    frame = TrainingHistory.of(Net(2)).to_frame()
    assert list(frame.columns) == ["train_loss", "temperature"]
    assert frame.loc[2, "train_loss"] == 0.5
    assert frame["temperature"].isna().tolist() == [True, False]
