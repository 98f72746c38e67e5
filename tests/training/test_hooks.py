"""What a skorch net keeps, and what it gains, when it is trained as a student."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn

from skdistill import DistilledClassifier
from skdistill.losses import KLLoss

X, y = make_classification(
    n_samples=120,
    n_features=6,
    n_informative=5,
    n_redundant=0,
    n_classes=3,
    random_state=0,
)
X = X.astype(np.float32)
TEACHER = LogisticRegression().fit(X, y)
SOFT = TEACHER.predict_proba(X)


class Net(nn.Module):
    """Logits, or probabilities."""

    def __init__(self, n_features=6, n_classes=3, proba=False, dropout=0.0):
        super().__init__()
        self.hidden = nn.Linear(n_features, 8)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(8, n_classes)
        self.proba = proba

    def forward(self, X):
        logits = self.out(self.dropout(torch.relu(self.hidden(X))))
        return logits.softmax(dim=1) if self.proba else logits


def make_net(**params):
    defaults = {
        "module": Net,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "max_epochs": 3,
        "batch_size": 32,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(**(defaults | params))


def distill(net, X=X, y=y, teacher=TEACHER, **params):
    params = {"random_state": 0, "proba_clip": 1e-9} | params
    return DistilledClassifier(teacher, net, **params).fit(X, y)


def losses_of(clf, name="train_loss"):
    return [epoch[name] for epoch in clf.history_]


def weights_of(net):
    return [p.detach().numpy().copy() for p in net.module_.parameters()]


def assert_same_weights(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("proba", [False, True])
@pytest.mark.parametrize("train_split", [None, ValidSplit(4, stratified=True)])
def test_alpha_0_is_bit_identical_to_the_net_by_itself(proba, train_split):
    net = make_net(
        module__proba=proba,
        module__dropout=0.3,
        criterion=nn.NLLLoss if proba else nn.CrossEntropyLoss,
        train_split=train_split,
    )
    clf = distill(net, alpha=0.0, random_state=7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net.fit(X, y.astype(np.int64))
    assert_same_weights(clf.student_, net)
    assert losses_of(clf) == net.history[:, "train_loss"]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_loss_is_the_loss_of_the_paper(alpha, temperature, weighted):
    net = make_net(max_epochs=1, batch_size=-1)
    weight = np.linspace(0, 2, len(y)) if weighted else None
    clf = DistilledClassifier(
        TEACHER,
        net,
        alpha=alpha,
        temperature=temperature,
        proba_clip=1e-9,
        random_state=3,
    ).fit(X, y, sample_weight=weight)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        start = Net()
    student, teacher = start(torch.from_numpy(X)), torch.from_numpy(np.log(SOFT))
    weight = torch.ones(len(y)) if weight is None else torch.from_numpy(weight).float()
    soft = KLLoss(temperature)(student, teacher.float(), sample_weight=weight)
    rows = nn.functional.cross_entropy(
        student, torch.from_numpy(y).long(), reduction="none"
    )
    hard = (weight * rows).sum() / weight.sum()
    expected = alpha * soft + (1 - alpha) * hard
    assert clf.history_[0]["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_history_holds_the_parts_of_the_loss_and_they_add_up():
    net = make_net(train_split=ValidSplit(4, stratified=True))
    clf = distill(net, alpha=0.25)
    for epoch in clf.history_:
        for phase in ("train", "valid"):
            parts = (
                0.25 * epoch[f"{phase}_loss_soft"] + 0.75 * epoch[f"{phase}_loss_hard"]
            )
            assert epoch[f"{phase}_loss"] == pytest.approx(parts, rel=1e-5)
            assert 0 <= epoch[f"{phase}_agreement"] <= 1


def test_agreement_counts_rows_where_student_and_teacher_name_the_same_class():
    clf = distill(make_net(batch_size=-1, max_epochs=40, lr=0.05), alpha=1.0)
    agreement = (clf.predict(X) == TEACHER.predict(X)).mean()
    assert losses_of(clf, "train_agreement")[-1] == pytest.approx(agreement, abs=0.02)
    assert agreement > 0.95


def test_logits_and_probabilities_as_module_output_train_alike():
    logits = distill(make_net(max_epochs=5))
    proba = distill(make_net(max_epochs=5, module__proba=True, criterion=nn.NLLLoss))
    np.testing.assert_allclose(losses_of(logits), losses_of(proba), rtol=1e-4)
    np.testing.assert_allclose(
        logits.predict_proba(X), proba.predict_proba(X), atol=1e-4
    )


def test_logits_under_a_criterion_of_probabilities_are_an_error():
    with pytest.raises(ValueError, match=r"criterion=torch\.nn\.CrossEntropyLoss"):
        distill(make_net(criterion=nn.NLLLoss))


def test_the_persons_own_nonlinearity_makes_the_probabilities():
    class Focal(nn.Module):
        def forward(self, logits, y):
            return nn.functional.cross_entropy(logits, y)

    softmax = torch.nn.Softmax(dim=1)
    own = distill(make_net(criterion=Focal, predict_nonlinearity=softmax))
    stock = distill(make_net())
    np.testing.assert_allclose(losses_of(own), losses_of(stock), rtol=1e-4)
    np.testing.assert_allclose(own.predict_proba(X), stock.predict_proba(X), atol=1e-5)


def test_shuffled_rows_keep_their_soft_labels():
    # Labels that no rule of X explains: only a row's own soft label can be fitted.
    rng = np.random.default_rng(0)
    rows = np.eye(24, dtype=np.float32)
    P = rng.dirichlet(np.ones(3), size=24)
    net = make_net(
        module=nn.Linear,
        module__in_features=24,
        module__out_features=3,
        lr=0.1,
        max_epochs=150,
        batch_size=5,
        callbacks=[LRScheduler(torch.optim.lr_scheduler.ExponentialLR, gamma=0.96)],
    )
    clf = DistilledClassifier(
        student=net, alpha=1.0, temperature=1.0, classes=[0, 1, 2], random_state=0
    ).fit(rows, teacher_proba=P)
    np.testing.assert_allclose(clf.predict_proba(rows), P, atol=0.02)


@pytest.mark.parametrize(
    "params",
    [
        {"iterator_train__num_workers": 1},
        {"iterator_train__drop_last": True},
        {"iterator_train__collate_fn": torch.utils.data.default_collate},
        {"train_split": ValidSplit(4), "iterator_train__shuffle": True},
        {"iterator_train__batch_size": 16},
    ],
    ids=lambda params: next(iter(params)),
)
def test_every_row_meets_its_own_soft_label(params):
    seen = {}

    class Spy(NeuralNetClassifier):
        def train_step_single(self, batch, **fit_params):
            teacher = self.distillation_.logits[batch.rows].softmax(dim=1)
            for row, (x, label) in enumerate(zip(*batch, strict=True)):
                seen[tuple(x.tolist())] = teacher[row].numpy(), int(label)
            return super().train_step_single(batch, **fit_params)

    net = Spy(**(make_net(max_epochs=2).get_params(deep=False) | params))
    distill(net)
    assert len(seen) > len(X) // 2
    for row, (soft, label) in seen.items():
        at = np.flatnonzero((np.array(row, dtype=np.float32) == X).all(axis=1))[0]
        np.testing.assert_allclose(soft, SOFT[at], rtol=1e-5)
        assert label == y[at]


def test_a_dataset_class_of_the_persons_own_is_used():
    class Doubled(Dataset):
        def transform(self, X, y):
            X, y = super().transform(X, y)
            return 2 * X, y

    own = distill(make_net(dataset=Doubled))
    doubled = distill(make_net(), X=2 * X, teacher=Constant(SOFT))
    assert_same_weights(own.student_, doubled.student_)
    np.testing.assert_array_equal(own.predict_proba(X), doubled.predict_proba(2 * X))


class Constant:
    """Says the same whatever it is asked."""

    classes_ = np.arange(3)

    def __init__(self, proba):
        self.proba = proba

    def predict_proba(self, X):
        return self.proba


def test_training_speaks_to_early_stopping_and_lr_schedules():
    class Rates(Callback):
        seen = []

        def on_epoch_end(self, net, **kwargs):
            self.seen.append(net.optimizer_.param_groups[0]["lr"])

    net = make_net(
        max_epochs=200,
        lr=0.1,
        train_split=ValidSplit(4, stratified=True),
        callbacks=[
            LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5),
            EarlyStopping(monitor="valid_loss", patience=3, threshold=1e-2),
            Rates,
        ],
    )
    clf = distill(net)
    assert len(clf.history_) < 200
    np.testing.assert_allclose(Rates.seen[:3], [0.05, 0.025, 0.0125])


@pytest.mark.filterwarnings("ignore:the teacher's balanced accuracy")
def test_checkpoint_restores_the_best_epoch_and_pickles_the_plain_class(tmp_path):
    checkpoint = Checkpoint(
        monitor="valid_loss_best",
        dirname=tmp_path,
        f_pickle="net.pkl",
        load_best=True,
    )
    net = make_net(
        lr=0.1,
        max_epochs=20,
        train_split=ValidSplit(4, stratified=True),
        callbacks=[checkpoint],
    )
    random_labels = np.random.default_rng(0).permutation(y)
    clf = distill(net, y=random_labels, alpha=0.0)
    best = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert type(best) is NeuralNetClassifier
    assert_same_weights(best, clf.student_)
    assert len(clf.history_) < 20


@pytest.mark.parametrize("use_caching", [True, False])
def test_scoring_callbacks_see_the_persons_rows_and_labels(use_caching):
    score = EpochScoring("accuracy", on_train=True, name="acc", use_caching=use_caching)
    clf = distill(make_net(callbacks=[score], max_epochs=20, batch_size=-1))
    assert clf.history_[-1, "acc"] == pytest.approx(clf.score(X, y), abs=0.03)


def test_a_validation_set_of_the_persons_own_has_the_hard_term_alone():
    split = predefined_split(Dataset(X[:40], y[:40].astype(np.int64)))
    clf = distill(make_net(train_split=split, max_epochs=1, batch_size=-1), alpha=0.9)
    log_proba = clf.predict_log_proba(X[:40])
    cross_entropy = -log_proba[np.arange(40), y[:40]].mean()
    assert clf.history_[0]["valid_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert "valid_loss_soft" not in clf.history_[0]


def test_lbfgs_with_its_closure_works():
    net = make_net(optimizer=torch.optim.LBFGS, lr=0.5, batch_size=-1, max_epochs=15)
    losses = losses_of(distill(net))
    assert losses[-1] < 0.7 * losses[0]


def test_an_own_get_loss_is_the_hard_term():
    class Penalized(NeuralNetClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return super().get_loss(y_pred, y_true, *args, **kwargs) + 10

    own = distill(Penalized(**make_net(max_epochs=1).get_params(deep=False)))
    stock = distill(make_net(max_epochs=1))
    assert own.history_[0]["train_loss_hard"] == pytest.approx(
        stock.history_[0]["train_loss_hard"] + 10
    )


def test_class_weights_of_the_criterion_act_with_and_without_sample_weights():
    net = make_net(criterion__weight=torch.tensor([1.0, 5.0, 1.0]), max_epochs=1)
    plain = distill(net, alpha=0.0)
    ones = DistilledClassifier(TEACHER, net, alpha=0.0, random_state=0).fit(
        X, y, sample_weight=np.ones(len(y))
    )
    np.testing.assert_allclose(losses_of(plain), losses_of(ones), rtol=1e-6)


def test_rows_of_zero_weight_do_not_count():
    weight = np.r_[np.ones(80), np.zeros(40)]
    net = make_net(batch_size=-1, iterator_train__shuffle=False)
    wrong = y.copy()
    wrong[80:] = (wrong[80:] + 1) % 3
    fits = [
        DistilledClassifier(TEACHER, net, random_state=0).fit(
            X, labels, sample_weight=weight
        )
        for labels in (y, wrong)
    ]
    assert_same_weights(fits[0].student_, fits[1].student_)


def test_sample_weight_needs_a_loss_per_sample():
    class NoReduction(nn.Module):
        def forward(self, logits, y):
            return nn.functional.cross_entropy(logits, y)

    net = make_net(criterion=NoReduction, predict_nonlinearity=nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="no attribute reduction"):
        DistilledClassifier(TEACHER, net).fit(X, y, sample_weight=np.ones(len(y)))


def test_warm_start_goes_on_where_it_stopped():
    clf = distill(make_net(warm_start=True, max_epochs=2))
    before = losses_of(clf)
    clf.set_params(student__max_epochs=3).fit(X, y)
    assert losses_of(clf)[:2] == before
    assert len(clf.history_) == 5
    cold = distill(make_net(max_epochs=2))
    assert len(cold.fit(X, y).history_) == 2


def test_warm_start_with_other_classes_is_an_error():
    clf = DistilledClassifier(
        LogisticRegression(), make_net(warm_start=True), random_state=0
    ).fit(X, y)
    with pytest.raises(ValueError, match="keep its classes"):
        clf.fit(X, y + 1)


def test_a_pretrained_module_instance_is_copied_and_trained_on():
    module = Net()
    before = copy.deepcopy(module.state_dict())
    clf = distill(make_net(module=module, lr=1e-9, max_epochs=1))
    assert clf.student_.module_ is not module
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
        torch.testing.assert_close(clf.student_.module_.state_dict()[name], value)


def test_the_module_is_told_its_widths():
    clf = distill(make_pipeline(StandardScaler(), make_net()), X=X[:, :4], teacher=TREE)
    assert clf.student_[-1].module_.hidden.in_features == 4
    assert clf.student_[-1].module_.out.out_features == 3


TREE = LogisticRegression().fit(X[:, :4], y)


def test_sparse_rows_train_as_dense_ones_do():
    dense = distill(make_net(), teacher=Constant(SOFT))
    sparse = distill(make_net(), X=csr_matrix(X), teacher=Constant(SOFT))
    assert_same_weights(dense.student_, sparse.student_)
    np.testing.assert_array_equal(
        dense.predict_proba(X), sparse.predict_proba(csr_matrix(X))
    )


def test_images_reach_a_convolutional_student_in_their_shape():
    class Conv(nn.Sequential):
        def __init__(self, n_classes=2):
            super().__init__(
                nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(n_classes)
            )

    rng = np.random.default_rng(0)
    images = rng.normal(size=(20, 1, 6, 6))
    soft = np.tile([0.8, 0.2], (20, 1))
    clf = DistilledClassifier(
        student=make_net(module=Conv), classes=[0, 1], alpha=1.0, random_state=0
    ).fit(images, teacher_proba=soft)
    assert clf.predict_proba(images).shape == (20, 2)


def test_one_seed_gives_identical_bits_also_on_two_threads():
    net = make_net(module__dropout=0.4, max_epochs=5)
    reference = distill(net, random_state=5)
    fits = [clone(reference) for _ in range(4)]
    threads = [threading.Thread(target=clf.fit, args=(X, y)) for clf in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for clf in fits:
        assert_same_weights(clf.student_, reference.student_)


def test_another_seed_gives_another_student():
    one, other = (distill(make_net(), random_state=seed) for seed in (0, 1))
    assert (weights_of(one.student_)[0] != weights_of(other.student_)[0]).any()


def test_fit_leaves_the_global_generators_as_they_were():
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    net = make_net(module__dropout=0.4, train_split=ValidSplit(0.2, stratified=True))
    distill(net)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_splits_that_draw_from_numpys_generator_are_seeded():
    net = make_net(train_split=ValidSplit(0.2, stratified=True))
    one, other = distill(net), distill(net)
    assert losses_of(one, "valid_loss") == losses_of(other, "valid_loss")


def test_the_nets_class_is_its_own_again_after_training():
    clf = distill(make_net())
    assert type(clf.student_) is NeuralNetClassifier
    assert not hasattr(clf.student_, "distillation_")


def test_the_nets_class_is_its_own_again_after_an_error():
    class Fails(Callback):
        net = None

        def on_epoch_end(self, net, **kwargs):
            Fails.net = net
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        distill(make_net(callbacks=[Fails()]))
    assert type(Fails.net) is NeuralNetClassifier


def test_a_loader_that_makes_no_batches_of_rows_is_an_error():
    class Loader:
        def __init__(self, dataset, batch_size):
            pass

    net = make_net()
    net.set_params(iterator_train=Loader)
    del net.iterator_train__shuffle
    with pytest.raises(TypeError, match=r"torch\.utils\.data\.DataLoader"):
        distill(net)


def test_a_split_that_makes_up_its_training_set_is_an_error():
    def split(dataset, y):
        return Dataset(X, y), None

    with pytest.raises(TypeError, match="must return subsets"):
        distill(make_net(train_split=split))


def test_rows_of_a_class_that_the_teacher_lacks_learn_from_the_hard_term_alone():
    two = y < 2
    teacher = LogisticRegression().fit(X[two], y[two])
    net = make_net(max_epochs=1, batch_size=-1)
    clf = distill(net, teacher=teacher, alpha=1.0, temperature=1.0)
    np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = Net()(torch.from_numpy(X)).detach().numpy().astype(float)
    log_student = start - np.logaddexp.reduce(start, axis=1, keepdims=True)
    P = teacher.predict_proba(X)
    row_kl = (P * (np.log(P) - log_student[:, :2])).sum(axis=1)
    expected = row_kl[two].sum() / len(X)
    assert clf.history_[0]["train_loss"] == pytest.approx(expected, rel=2e-2)
