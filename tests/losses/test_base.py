import copy
import functools
import inspect
import math
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, clone
from torch import nn
from torch.func import functional_call

from skdistill import losses
from skdistill.losses import (
    AbsoluteErrorLoss,
    CKALoss,
    ContrastiveLoss,
    CosineLoss,
    DISTLoss,
    DKDLoss,
    HintLoss,
    HuberLoss,
    JSDLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    PKTLoss,
    PoissonLoss,
    RKDLoss,
    SimilarityLoss,
    SquaredErrorLoss,
    StandardizedLoss,
    TeacherBoundedLoss,
    VIDLoss,
)
from skdistill.losses._base import LOSSES, as_loss, suggestion
from tests.losses.conftest import batch

OFFERED = {
    "loss": ["y", "temperature", "sample_weight", "epoch"],
    "feature_loss": ["sample_weight", "epoch"],
    "relation_loss": ["sample_weight", "epoch"],
}
# Each loss with parameters other than its defaults.
OBJECTS = [
    KLLoss(3.0),
    LogitMSELoss(),
    DKDLoss(0.5, 2.0, 3.0, 5),
    DISTLoss(0.5, 2.0, 3.0),
    NKDLoss(0.5, 3.0),
    StandardizedLoss(3.0),
    JSDLoss(0.9, 3.0),
    SquaredErrorLoss(),
    AbsoluteErrorLoss(),
    HuberLoss(0.5),
    PoissonLoss(),
    TeacherBoundedLoss(0.5),
    HintLoss(),
    CosineLoss(),
    CKALoss(),
    VIDLoss(),
    RKDLoss(2.0, 0.5),
    SimilarityLoss(),
    PKTLoss(),
    ContrastiveLoss(0.5, 3),
]
PROJECTED = [HintLoss(), CosineLoss()]
LEARNED = [*PROJECTED, VIDLoss(), ContrastiveLoss(temperature=0.5, n_components=4)]

EACH_PARAMETER = pytest.mark.parametrize("parameter", OFFERED)
EACH_LOSS = pytest.mark.parametrize("loss", OBJECTS, ids=repr)
EACH_LEARNED = pytest.mark.parametrize("loss", LEARNED, ids=repr)


def value_of(loss):
    """Return the value of a loss on a batch; a small one of what it learns, if any."""
    student, teacher, weights = batch()
    known = {
        "y": teacher.flip(0) if loss.task == "regression" else torch.arange(8) % 5,
        "temperature": 2.0,
        "sample_weight": weights,
        "epoch": 1,
    }
    called = loss if callable(loss) else learned(loss)
    return called(student, teacher, **{name: known[name] for name in loss.keywords})


def learned(loss, width=5, teacher_width=5, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return loss.learned(width, teacher_width).to(dtype)


# Our own


NAMES = {
    "loss": [
        *("kl", "logit_mse", "dkd", "dist", "nkd", "standardized", "jsd"),
        *("squared_error", "absolute_error", "huber", "poisson"),
        "teacher_bounded",
    ],
    "feature_loss": ["hint", "cosine", "cka", "vid"],
    "relation_loss": ["rkd", "similarity", "pkt", "contrastive"],
}


def test_a_name_stands_for_an_object_of_its_own_with_the_defaults():
    named = [(parameter, name) for parameter in NAMES for name in NAMES[parameter]]
    for (parameter, name), known in zip(named, OBJECTS, strict=True):
        cls = type(known)
        loss = as_loss(parameter, name)
        assert type(loss) is cls
        assert loss.get_params() == cls().get_params()
        assert as_loss(parameter, name) is not loss
        assert suggestion(parameter, name) == f"skdistill.losses.{cls.__name__}()"


def test_just_the_losses_with_a_name_are_public():
    assert {parameter: [*known] for parameter, known in LOSSES.items()} == NAMES
    assert set(losses.__all__) == {type(loss).__name__ for loss in OBJECTS}


@EACH_LOSS
def test_attributes_say_what_the_call_takes(loss):
    called = loss if callable(loss) else learned(loss).forward
    keywords = list(inspect.signature(called).parameters.values())[2:]
    assert loss.keywords == tuple(keyword.name for keyword in keywords)
    needed = [k.name for k in keywords if k.default is inspect.Parameter.empty]
    assert needed == (["y"] if loss.needs_labels else [])
    assert loss.learns == hasattr(loss, "learned")
    assert loss.name == type(loss).__name__


@EACH_LOSS
def test_min_rows_is_what_it_takes_to_compare(loss):
    relations = tuple(LOSSES["relation_loss"].values())
    least = 4 if isinstance(loss, CKALoss) else 1 + isinstance(loss, relations)
    assert loss.min_rows == least


@EACH_LOSS
@pytest.mark.parametrize(
    "copied",
    [
        clone,
        copy.deepcopy,
        lambda loss: pickle.loads(pickle.dumps(loss)),
        lambda loss: type(loss)().set_params(**loss.get_params()),
    ],
    ids=["clone", "deepcopy", "pickle", "set_params"],
)
def test_copies_keep_parameters_and_value(copied, loss):
    copy = copied(loss)
    assert copy is not loss
    assert type(copy) is type(loss)
    assert copy.get_params() == loss.get_params()
    assert value_of(copy) == value_of(loss)


@pytest.mark.parametrize(
    ("loss", "parameter", "values"),
    [
        *((KLLoss(), "temperature", [value]) for value in (0, -1.0, "a", math.nan)),
        (DKDLoss(), "temperature", [0, math.inf]),
        (DKDLoss(), "target_weight", [-0.1, math.inf, math.nan, None]),
        (DKDLoss(), "nontarget_weight", [-0.1, math.inf]),
        (DKDLoss(), "warmup_epochs", [-1, 2.5]),
        (DISTLoss(), "temperature", [0, math.inf]),
        (DISTLoss(), "beta", [-0.1, math.inf]),
        (DISTLoss(), "gamma", [-0.1, math.inf]),
        (NKDLoss(), "temperature", [0, math.inf]),
        (NKDLoss(), "gamma", [-0.1, math.inf]),
        (StandardizedLoss(), "temperature", [0, math.inf]),
        (JSDLoss(), "temperature", [0, math.inf]),
        (JSDLoss(), "beta", [-0.1, 1.1, math.nan]),
        (RKDLoss(), "distance_weight", [-1.0, math.inf, math.nan]),
        (RKDLoss(), "angle_weight", [-1.0, math.inf, math.nan]),
        (ContrastiveLoss(), "temperature", [0, -1.0, math.inf, None]),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused_by_their_name(loss, parameter, values):
    for value in values:
        changed = clone(loss).set_params(**{parameter: value})
        message = f"The '{parameter}' parameter of {loss.name} must be .* Got {value!r}"
        with pytest.raises(ValueError, match=message):
            value_of(changed)


# A person's own


def squares(student, teacher):
    return (student - teacher).square().mean()


def with_epoch(student, teacher, epoch):
    return epoch * squares(student, teacher)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, student, teacher, epoch):
        return self.scale * with_epoch(student, teacher, epoch)


class Methods:
    def loss(self, student, teacher, epoch):
        return with_epoch(student, teacher, epoch)

    @staticmethod
    def static(student, teacher, epoch):
        return with_epoch(student, teacher, epoch)


class Own(BaseEstimator):
    # Means nothing in an object of a person's own: its signature counts.
    keywords = ("epoch",)
    min_rows = 3

    def __call__(self, student, teacher, epoch):
        return with_epoch(student, teacher, epoch)


class OnlyLearned:
    def learned(self, n_student_features, n_teacher_features):
        return nn.Bilinear(n_student_features, n_teacher_features, 1)


@EACH_LOSS
def test_a_loss_is_taken_as_it_is(loss):
    for parameter in OFFERED:
        if callable(loss) or parameter != "loss":
            assert as_loss(parameter, loss) is loss


ON_LOGITS = ("y", "temperature", "sample_weight", "epoch")
ON_FEATURES = ("sample_weight", "epoch")


@pytest.mark.parametrize(
    ("own", "on_logits", "on_features", "needs_labels"),
    [
        (lambda x, y: 0, (), (), False),  # the two sides, by any name
        (lambda s, t, epoch, y: 0, ("y", "epoch"), ("epoch",), True),
        (lambda s, t, temperature, y=None: 0, ("y", "temperature"), (), False),
        (lambda s, t, sample_weight: 0, ("sample_weight",), ("sample_weight",), False),
        (lambda s, t, other=1, **given: 0, ON_LOGITS, ON_FEATURES, False),
        (torch.dist, (), (), False),  # in C, without a signature
    ],
)
def test_keywords_are_read_off_a_signature(own, on_logits, on_features, needs_labels):
    loss = as_loss("loss", own)
    assert loss.keywords == on_logits
    assert loss.needs_labels == needs_labels
    for parameter in ("feature_loss", "relation_loss"):
        loss = as_loss(parameter, own)
        assert loss.keywords == on_features
        assert not loss.needs_labels


WAYS_TO_WRITE = {
    "def": with_epoch,
    "lambda": lambda s, t, epoch: with_epoch(s, t, epoch),
    "keyword": lambda s, t, *, epoch: with_epoch(s, t, epoch),
    "default": lambda s, t, epoch=1: with_epoch(s, t, epoch),
    "partial": functools.partial(lambda n, s, t, epoch: with_epoch(s, t, epoch), 2.0),
    "method": Methods().loss,
    "static": Methods.static,
    "object": Own(),
    "module": Scaled(),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
@EACH_PARAMETER
def test_keywords_are_found_however_a_function_is_written(parameter, way):
    loss = WAYS_TO_WRITE[way]
    adapted = as_loss(parameter, loss)
    assert adapted.keywords == ("epoch",)
    student, teacher, _ = batch()
    expected = (14 if isinstance(loss, Scaled) else 7) * squares(student, teacher)
    assert adapted(student, teacher, epoch=7) == expected


def test_a_keyword_that_is_bound_stays():
    loss = as_loss("loss", functools.partial(KLLoss(), temperature=5.0))
    assert loss.keywords == ("sample_weight",)
    student, teacher, _ = batch()
    assert loss(student, teacher) == KLLoss(5.0)(student, teacher)


@pytest.mark.parametrize(
    ("parameter", "least"), [("loss", 1), ("feature_loss", 1), ("relation_loss", 2)]
)
def test_min_rows_of_ones_own_depends_on_the_family_unless_it_is_said(parameter, least):
    assert as_loss(parameter, squares).min_rows == least
    assert as_loss(parameter, Own()).min_rows == 3


@pytest.mark.parametrize("parameter", ["feature_loss", "relation_loss"])
def test_an_object_that_learns_need_not_be_callable(parameter):
    loss = as_loss(parameter, OnlyLearned())
    assert loss.learns
    assert loss.keywords == ()
    assert loss.learned(2, 3).weight.shape == (1, 2, 3)
    assert not as_loss(parameter, squares).learns


@pytest.mark.parametrize(
    ("loss", "name"),
    [(squares, "squares"), (Own(), "Own"), (functools.partial(squares), "partial")],
)
def test_a_loss_of_ones_own_is_called_by_its_name(loss, name):
    assert as_loss("loss", loss).name == name


@pytest.mark.parametrize(
    ("parameter", "name"),
    [("loss", "hint"), ("feature_loss", "kl"), ("relation_loss", "mse")],
)
def test_an_unknown_name_is_answered_with_those_known(parameter, name):
    with pytest.raises(ValueError, match=f"{parameter}='{name}' is not kn") as error:
        as_loss(parameter, name)
    assert str(sorted(LOSSES[parameter])) in str(error.value)
    assert suggestion(parameter, name) == "an object"


@EACH_PARAMETER
@pytest.mark.parametrize("cls", [KLLoss, VIDLoss, Scaled])
def test_a_class_in_place_of_an_object_is_refused(cls, parameter):
    with pytest.raises(
        TypeError, match=rf"{parameter} is the class .*: {cls.__name__}"
    ):
        as_loss(parameter, cls)


@EACH_PARAMETER
@pytest.mark.parametrize("loss", [1.0, True, {"kl": 1.0}, np.ones(2), torch.ones(2)])
def test_what_cannot_be_called_is_refused(loss, parameter):
    with pytest.raises(TypeError, match=f"{parameter} must be one of .*, a function"):
        as_loss(parameter, loss)
    assert suggestion(parameter, loss) == "an object"


@pytest.mark.parametrize("loss", [VIDLoss(), OnlyLearned()])
def test_a_loss_that_only_learns_is_refused_on_logits(loss):
    with pytest.raises(TypeError, match="loss must be one of"):
        as_loss("loss", loss)


def test_a_callable_object_that_learns_does_not_learn_on_logits():
    class Both(Own, OnlyLearned):
        pass

    assert not as_loss("loss", Both()).learns
    assert as_loss("feature_loss", Both()).learns


# What losses learn


def mapped(module, student, teacher):
    """Return both sides behind those maps that there are."""
    other = module.teacher(teacher) if hasattr(module, "teacher") else teacher
    return module.student(student), other


@pytest.mark.parametrize("widths", [(5, 3), (3, 5), (4, 4), (1, 6)], ids=str)
@pytest.mark.parametrize("loss", [*PROJECTED, LEARNED[-1]], ids=repr)
def test_learned_maps_come_before_the_loss(loss, widths):
    student, teacher, weights = batch(8, *widths)
    module = learned(loss, *widths)
    sides = mapped(module, student, teacher)
    for given in ({}, {"sample_weight": weights} if loss.keywords else {}):
        value, expected = module(student, teacher, **given), loss(*sides, **given)
        assert_allclose(value.detach(), expected.detach(), rtol=1e-12)


@EACH_LEARNED
def test_the_module_takes_the_keywords_of_its_loss(loss):
    assert as_loss("feature_loss", learned(loss)).keywords == loss.keywords


@EACH_LEARNED
@pytest.mark.parametrize("weighted", [False, True])
def test_learned_loss_passes_gradcheck(loss, weighted):
    student, teacher, weights = batch(4, 3, 2)
    teacher.requires_grad_()
    module = learned(loss, 3, 2)
    given = (weights,) if weighted and loss.keywords else ()
    keys, parameters = zip(*module.named_parameters(), strict=True)

    def value(student, *parameters):
        state = dict(zip(keys, parameters, strict=True))
        return functional_call(module, state, (student, teacher, *given))

    assert torch.autograd.gradcheck(value, (student, *parameters))
    value(student, *parameters).backward()
    assert teacher.grad is None
    for learned_part in (student, *parameters):
        assert learned_part.grad.abs().max() > 0


@pytest.mark.parametrize("precision", ["bfloat16", "autocast"])
@pytest.mark.parametrize("n_samples", [2, 16])
@EACH_LEARNED
def test_sixteen_bits_lose_nothing_behind_the_maps(loss, n_samples, precision):
    casts = precision == "autocast"
    dtype = torch.float32 if casts else torch.bfloat16
    student, teacher, _ = batch(n_samples, 5, 3, dtype)
    module = learned(loss, 5, 3, dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=casts):
        sides = [side.detach() for side in mapped(module, student, teacher)]
        value = module(student, teacher)
    assert sides[0].dtype == torch.bfloat16
    if callable(loss):
        exact = loss(*(side.double() for side in sides))
        assert_allclose(value.detach(), exact, rtol=1e-5, atol=1e-6)
    value.backward()
    assert value.dtype == torch.float32
    for grad in (student.grad, *(p.grad for p in module.parameters())):
        assert grad.dtype == dtype
        assert grad.isfinite().all()
    assert student.grad.abs().max() > 0


@EACH_LEARNED
def test_learned_loss_refuses_a_teacher_that_is_not_finite(loss):
    student, teacher, _ = batch()
    teacher[1, 1] = torch.nan
    with pytest.raises(ValueError, match="teacher must have finite features"):
        learned(loss)(student, teacher)


def test_learned_contrast_refuses_a_batch_of_one():
    student, teacher, _ = batch(1)
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        learned(ContrastiveLoss())(student, teacher)
