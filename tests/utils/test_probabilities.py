import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skdistill.utils._probabilities import (
    identity,
    nonlinearity_of,
    returns_logits,
    softmax,
    to_proba,
)

OUTPUTS = torch.tensor([[1.0, 3.0], [2.0, 2.0]])


def initialized(**params):
    return NeuralNetClassifier(nn.Linear(2, 2), **params).initialize()


class Compiled(nn.Module):
    """Wraps a module as torch.compile does, which itself warns with some versions."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module


@pytest.mark.parametrize("compiled", [False, True])
def test_cross_entropy_means_a_softmax_also_if_it_is_compiled(compiled):
    net = initialized(criterion=nn.CrossEntropyLoss)
    if compiled:
        net.criterion_ = Compiled(net.criterion_)
    assert returns_logits(net)
    assert nonlinearity_of(net) is softmax
    proba = to_proba(OUTPUTS, nonlinearity_of(net))
    torch.testing.assert_close(proba, OUTPUTS.softmax(dim=1))


def test_another_criterion_means_probabilities_whose_rows_are_made_to_sum_to_1():
    net = initialized(criterion=nn.NLLLoss)
    assert not returns_logits(net)
    assert nonlinearity_of(net) is identity
    proba = to_proba(OUTPUTS, identity)
    torch.testing.assert_close(proba, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))


def test_a_nonlinearity_of_the_net_counts_also_without_a_criterion():
    net = initialized(criterion=nn.CrossEntropyLoss, predict_nonlinearity=torch.square)
    net.trim_for_prediction()
    assert nonlinearity_of(net) is torch.square
    proba = to_proba(OUTPUTS, torch.square)
    torch.testing.assert_close(proba, torch.tensor([[0.1, 0.9], [0.5, 0.5]]))


def test_of_a_tuple_the_first_item_counts():
    proba = to_proba((OUTPUTS, "hidden"), softmax)
    torch.testing.assert_close(proba, OUTPUTS.softmax(dim=1))
