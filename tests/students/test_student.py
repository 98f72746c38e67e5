"""The parts of a student, and what it leaves open."""

import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetRegressor
from torch import nn

from skdistill import make_student
from skdistill._students._student import net_of, settle_epochs
from tests.conftest import tiny_net


@pytest.mark.parametrize("wrap", [lambda net: net, make_pipeline])
def test_the_net_is_the_student_or_its_last_step(wrap):
    net = tiny_net()
    assert net_of(wrap(net)) is net
    assert net_of(make_pipeline(StandardScaler(), net)) is net


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (nn.Linear(4, 3), "torch module Linear; wrap it in a net"),
        (make_pipeline(StandardScaler(), nn.Linear(4, 3)), "wrap it in a net"),
        (NeuralNetBinaryClassifier(nn.Linear), "an output for each class"),
        (make_pipeline(StandardScaler(), MLPClassifier()), "Pipeline that ends in one"),
        (make_pipeline(StandardScaler(), make_student()), "one of the steps of both"),
        (type(tiny_net()), "the class NeuralNetClassifier"),
        ("mlp", "must be None, a skorch.NeuralNetClassifier"),
    ],
    ids=["module", "pipeline", "binary", "classifier", "nested", "class", "name"],
)
def test_what_cannot_be_a_student_is_refused(student, message):
    with pytest.raises(TypeError, match=message):
        net_of(student)


def test_a_net_is_a_student_of_its_task_alone():
    classifier, regressor = tiny_net(), NeuralNetRegressor(nn.Linear)
    assert net_of(classifier, "classification") is classifier is net_of(classifier)
    assert net_of(regressor, "regression") is regressor is net_of(regressor)
    with pytest.raises(TypeError, match=r"NeuralNetRegressor.*task='regression'"):
        net_of(classifier, "regression")
    with pytest.raises(TypeError, match=r"must be None, a skorch\.NeuralNetClassifier"):
        net_of(regressor, "classification")


@pytest.mark.all_steps
@pytest.mark.parametrize(
    ("n_own", "n_extra", "batch_size", "n_epochs"),
    [
        (20_000, 0, 256, 60),
        (20_000, 100_000, 256, 33),  # as many steps as 200 passes without extra rows
        (20_000, 100_000, 32, 33),
        (1_000_000, 100_000, 256, 4),  # 20,000 steps are less than 5 passes
        (1_000_000, 0, 1024, 5),
        (6_000_000, 0, 256, 1),
        (1_000_000, 0, -1, 300),  # of one step each
    ],
)
def test_a_net_that_leaves_it_open_goes_over_a_limited_number_of_rows(
    n_own, n_extra, batch_size, n_epochs
):
    net = tiny_net(max_epochs=None, batch_size=batch_size)
    settle_epochs(net, n_own, n_own + n_extra)
    assert net.max_epochs == n_epochs
