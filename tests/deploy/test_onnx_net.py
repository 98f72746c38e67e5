import numpy as np
import onnxruntime
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skdistill.deploy import to_onnx
from tests.conftest import TinyModule, tiny_net
from tests.deploy.conftest import assert_same, distilled, run


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.layers = nn.Sequential(
            nn.Linear(11, 16),
            nn.GELU(),
            nn.BatchNorm1d(16),
            nn.Dropout(0.5),
            nn.Linear(16, 16),
            nn.SiLU(),
            nn.LayerNorm(16),
            nn.Linear(16, 3),
        )

    def forward(self, X):
        known = self.embedding(X[:, 0].long().clamp(0, 9))
        return self.layers(torch.cat([known, X[:, 1:]], dim=1))


class Two(nn.Module):
    """Returns probabilities, and something else."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(X).softmax(dim=1), X


class TwoNet(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return super().get_loss(y_pred[0], y_true, *args, **kwargs)


def other_nonlinearity(outputs):
    return torch.sigmoid(outputs)


NETS = {
    "layers": tiny_net(module=Layers),
    "tuple of probabilities": TwoNet(
        **tiny_net(module=Two, criterion=nn.NLLLoss).get_params(deep=False)
    ),
    "double, with a nonlinearity": tiny_net(
        module=TinyModule(4, 3).double(), predict_nonlinearity=other_nonlinearity
    ),
}


@pytest.mark.parametrize("kind", NETS)
def test_modules(kind, data):
    X, y = data
    X = np.column_stack([np.arange(90) % 10, X[:, 1:]]).astype(np.float32)
    clf = distilled(NETS[kind].set_params(max_epochs=1), X, y)
    assert_same(to_onnx(clf, sample=X), clf, X)


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.filterwarnings("ignore::FutureWarning:torch")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:torch")  # from Python 3.13 on
def test_compiled_module(data):
    net = tiny_net(compile=True, compile__backend="eager", max_epochs=1)
    clf = distilled(net, *data)
    assert_same(to_onnx(clf), clf, data[0])


def test_images(image_student):
    clf, images = image_student
    made = to_onnx(clf, sample=images)
    shape = [node.shape for node in onnxruntime.InferenceSession(made).get_inputs()]
    assert shape == [["batch", 1, 8, 8]]
    for X in (images, images[:1]):
        label, proba = run(made, {"X": X})
        np.testing.assert_allclose(proba, clf.predict_proba(X), atol=1e-6)
        np.testing.assert_array_equal(label, clf.predict(X))
    assert_same(made, clf, images)


class Unsupported(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, X):
        return self.linear(-X if X.sum() > 99 else X)


def test_module_that_torch_cannot_export(data, tmp_path):
    clf = distilled(tiny_net(module=Unsupported, max_epochs=1), *data)
    with pytest.raises(ValueError, match=r"cannot export .*Unsupported") as info:
        to_onnx(clf, tmp_path / "model.onnx")
    assert info.value.__cause__ is not None
    assert not list(tmp_path.iterdir())
