import torch
from sklearn.neural_network._base import ACTIVATIONS as INPLACE

from skdistill.utils._activations import ACTIVATIONS


def test_they_compute_what_scikit_learn_computes_under_their_names():
    assert set(ACTIVATIONS) == {"identity", "logistic", "relu", "tanh"}
    for name, activation in ACTIVATIONS.items():
        made = torch.linspace(-3, 3, 7).double()
        expected = made.numpy().copy()
        INPLACE[name](expected)
        torch.testing.assert_close(activation()(made), torch.from_numpy(expected))
