import inspect
import math
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from torch.func import functional_call

from skdistill import losses
from skdistill.losses import (
    CKALoss,
    ContrastiveLoss,
    CosineLoss,
    DISTLoss,
    DKDLoss,
    HintLoss,
    JSDLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
    StandardisedLoss,
    VIDLoss,
)
from skdistill.losses._objects import FEATURE_LOSSES, LOGIT_LOSSES, RELATION_LOSSES

# Each function's object, and parameters of the function other than its defaults.
OBJECTS = {
    "kl": (KLLoss, {"temperature": 3.0}),
    "logit_mse": (LogitMSELoss, {}),
    "dkd": (
        DKDLoss,
        {"target_weight": 0.5, "nontarget_weight": 2.0, "temperature": 3.0},
    ),
    "dist": (DISTLoss, {"beta": 0.5, "gamma": 2.0, "temperature": 3.0}),
    "nkd": (NKDLoss, {"gamma": 0.5, "temperature": 3.0}),
    "standardised": (StandardisedLoss, {"temperature": 3.0}),
    "jsd": (JSDLoss, {"beta": 0.9, "temperature": 3.0}),
    "hint": (HintLoss, {}),
    "cosine": (CosineLoss, {}),
    "cka": (CKALoss, {}),
    "rkd": (RKDLoss, {"distance_weight": 2.0, "angle_weight": 0.5}),
    "similarity": (SimilarityLoss, {}),
    "pkt": (PKTLoss, {}),
    "contrastive": (ContrastiveLoss, {"temperature": 0.5}),
}
# What an object has besides the parameters of its function.
OF_THEIR_OWN = {"dkd": {"warmup_epochs": 5}, "contrastive": {"n_components": 3}}
TEMPERED = ["kl", "dkd", "dist", "nkd", "standardised", "jsd"]

LEARNED = {
    "hint": HintLoss(),
    "cosine": CosineLoss(),
    "vid": VIDLoss(),
    "contrastive": ContrastiveLoss(temperature=0.5, n_components=4),
}
PROJECTED = ["hint", "cosine"]
WEIGHTED = ["hint", "cosine", "vid"]
LEARNED_WEIGHTED = [(name, False) for name in LEARNED] + [(n, True) for n in WEIGHTED]
WIDTHS = [(5, 3), (3, 5), (4, 4), (1, 6)]


def batch(n_samples=8, width=4, teacher_width=4, dtype=torch.float64):
    rng = np.random.default_rng(n_samples)
    student = rng.normal(size=(n_samples, width))
    teacher = rng.normal(size=(n_samples, teacher_width))
    return (
        torch.tensor(student, dtype=dtype, requires_grad=True),
        torch.tensor(teacher, dtype=dtype),
        torch.tensor(rng.uniform(0.1, 2, size=n_samples), dtype=dtype),
    )


def data_of(name, *, weighted=False):
    """Return tensors that the function of this name takes."""
    student, teacher, weights = batch()
    taken = inspect.signature(getattr(losses, name)).parameters
    data = {"student": student.detach(), "teacher": teacher}
    if "y" in taken:
        data["y"] = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    if "sample_weight" in taken and weighted:
        data["sample_weight"] = weights
    return data


def takes(name, parameter):
    return parameter in inspect.signature(getattr(losses, name)).parameters


def learned(name, width=4, teacher_width=4, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = LEARNED[name].learned(width, teacher_width)
        if name == "vid":
            # Each feature a variance of its own, as after some training.
            torch.nn.init.normal_(module.raw_variance)
    return module.to(dtype)


def variances(module):
    raw = module.raw_variance.detach().double().numpy()
    return np.log1p(np.exp(raw)) + 1e-5


def set_variances(module, wanted):
    raw = np.log(np.expm1(np.asarray(wanted) - 1e-5))
    with torch.no_grad():
        module.raw_variance.copy_(torch.tensor(raw))


def projected(module, student, teacher):
    """Return both sides as numpy arrays, behind those maps that there are."""
    with torch.no_grad():
        student = module.student(student)
        if hasattr(module, "teacher"):
            teacher = module.teacher(teacher)
    return student.double().numpy(), teacher.double().numpy()


def hint_numpy(student, teacher):
    return np.mean((student - teacher) ** 2, axis=1)


def cosine_numpy(student, teacher):
    norms = np.linalg.norm(student, axis=1) * np.linalg.norm(teacher, axis=1)
    return 1 - np.sum(student * teacher, axis=1) / norms


def info_nce_numpy(student, teacher, temperature):
    rows = []
    for i, own in enumerate(student):
        cosines = [
            own @ other / (np.linalg.norm(own) * np.linalg.norm(other))
            for other in teacher
        ]
        scores = np.array(cosines) / temperature
        rows.append(-np.log(np.exp(scores[i]) / np.exp(scores).sum()))
    return np.array(rows)


def vid_numpy(mean, teacher, variance):
    return np.mean((mean - teacher) ** 2 / variance + np.log(variance), axis=1) / 2


def expected_value(name, module, student, teacher, weights=None):
    student, teacher = projected(module, student, teacher)
    if name == "vid":
        rows = vid_numpy(student, teacher, variances(module))
    elif name == "contrastive":
        rows = info_nce_numpy(student, teacher, LEARNED[name].temperature)
    else:
        rows = {"hint": hint_numpy, "cosine": cosine_numpy}[name](student, teacher)
    return np.average(rows, weights=weights)


@pytest.mark.parametrize("name", OBJECTS)
def test_object_is_its_function_with_the_same_parameters(name):
    cls, params = OBJECTS[name]
    function, loss = getattr(losses, name), cls(**params)
    data, weighted = data_of(name), data_of(name, weighted=True)
    assert loss(**data) == function(**data, **params)
    assert loss(**weighted) == function(**weighted, **params)
    assert (loss(**weighted) != loss(**data)) == takes(name, "sample_weight")


@pytest.mark.parametrize("name", [name for name in OBJECTS if OBJECTS[name][1]])
def test_each_parameter_of_an_object_counts(name):
    cls, params = OBJECTS[name]
    function, data = getattr(losses, name), data_of(name)
    for parameter, value in params.items():
        changed = cls(**{parameter: value})(**data)
        assert changed == function(**data, **{parameter: value}), parameter
        assert changed != function(**data), parameter


@pytest.mark.parametrize("name", OBJECTS)
def test_object_has_the_defaults_of_its_function(name):
    data = data_of(name)
    assert OBJECTS[name][0]()(**data) == getattr(losses, name)(**data)


@pytest.mark.parametrize("name", OBJECTS)
def test_each_parameter_of_the_function_is_one_of_the_object(name):
    data = {"student", "teacher", "y", "sample_weight"}
    function = set(inspect.signature(getattr(losses, name)).parameters) - data
    own = set(OF_THEIR_OWN.get(name, {}))
    assert set(OBJECTS[name][0]().get_params()) == function | own


@pytest.mark.parametrize("name", OBJECTS)
def test_object_takes_weights_and_labels_where_its_function_does(name):
    called = inspect.signature(OBJECTS[name][0]()).parameters
    for parameter in ("y", "sample_weight"):
        assert (parameter in called) == takes(name, parameter)


@pytest.mark.parametrize("name", TEMPERED)
def test_temperature_of_the_call_counts_unless_the_object_has_one(name):
    cls, function, data = OBJECTS[name][0], getattr(losses, name), data_of(name)
    expected = {t: function(**data, temperature=t) for t in (1.5, 6.0)}
    assert expected[1.5] != expected[6.0]
    assert cls()(**data, temperature=6.0) == expected[6.0]
    assert cls(temperature=1.5)(**data, temperature=6.0) == expected[1.5]
    assert cls(temperature=1.5)(**data) == expected[1.5]


@pytest.mark.parametrize("name", TEMPERED)
def test_a_temperature_of_0_is_refused_and_not_taken_for_none(name):
    with pytest.raises(ValueError, match="temperature must be a positive"):
        OBJECTS[name][0](temperature=0)(**data_of(name), temperature=2.0)


@pytest.mark.parametrize("name", [*OBJECTS, "vid"])
@pytest.mark.parametrize(
    "copied",
    [
        clone,
        lambda loss: pickle.loads(pickle.dumps(loss)),
        lambda loss: type(loss)().set_params(**loss.get_params()),
    ],
    ids=["clone", "pickle", "set_params"],
)
def test_copies_keep_parameters_and_value(copied, name):
    cls, params = OBJECTS.get(name, (VIDLoss, {}))
    params = params | OF_THEIR_OWN.get(name, {})
    loss = cls(**params)
    copy = copied(loss)
    assert copy is not loss
    assert type(copy) is cls
    assert copy.get_params() == loss.get_params() == params
    if name in OBJECTS:
        data = data_of(name)
        extra = {"epoch": 1} if name == "dkd" else {}
        assert copy(**data, **extra) == loss(**data, **extra)


def test_each_function_has_an_object_under_its_name():
    functions = {n for n in losses.__all__ if inspect.isfunction(getattr(losses, n))}
    families = [LOGIT_LOSSES, FEATURE_LOSSES, RELATION_LOSSES]
    names = sorted(name for family in families for name in family)
    assert names == sorted(functions - {"distillation"} | {"vid"})
    for family in families:
        for name, make in family.items():
            assert type(make()) is (VIDLoss if name == "vid" else OBJECTS[name][0])


def test_each_object_is_public():
    classes = {n for n in losses.__all__ if inspect.isclass(getattr(losses, n))}
    families = [LOGIT_LOSSES, FEATURE_LOSSES, RELATION_LOSSES]
    assert classes == {make.__name__ for family in families for make in family.values()}


@pytest.mark.parametrize("name", ["cka", *RELATION_LOSSES])
def test_two_rows_are_enough_and_one_is_not_where_rows_are_compared(name):
    student, teacher, _ = batch()
    loss = OBJECTS[name][0]()
    # Of fewer than 4 rows, cka is the same whatever the features.
    assert loss.min_rows == (4 if name == "cka" else 2)
    assert loss(student[:2], teacher[:2]).isfinite()
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        loss(student[:1], teacher[:1])


@pytest.mark.parametrize(
    ("warmup_epochs", "epoch", "share"),
    [
        (20, 0, 1 / 20),
        (20, 1, 2 / 20),
        (20, 9, 1 / 2),
        (20, 18, 19 / 20),
        (20, 19, 1),
        (20, 20, 1),
        (20, 500, 1),
        (4, 2, 3 / 4),
        (4, 3, 1),
        (1, 0, 1),
        (0, 0, 1),
        (0, 7, 1),
        (20, None, 1),
        (0, None, 1),
    ],
)
def test_dkd_rises_to_its_full_weight(warmup_epochs, epoch, share):
    data = data_of("dkd", weighted=True)
    value = DKDLoss(warmup_epochs=warmup_epochs)(**data, epoch=epoch)
    full = losses.dkd(**data)
    if share == 1:
        assert value == full
    else:
        assert_allclose(value, share * full, rtol=1e-12)


def test_dkd_rises_over_20_epochs_by_default():
    data = data_of("dkd")
    assert_allclose(DKDLoss()(**data, epoch=4), losses.dkd(**data) / 4, rtol=1e-12)


@pytest.mark.parametrize("epoch", [None, 0])
def test_dkd_with_a_negative_warmup_is_refused(epoch):
    with pytest.raises(ValueError, match="warmup_epochs must not be negative, got -1"):
        DKDLoss(warmup_epochs=-1)(**data_of("dkd"), epoch=epoch)


@pytest.mark.parametrize("name", PROJECTED)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_learned_projection_comes_before_the_function(widths, name):
    student, teacher, weights = batch(8, *widths)
    module = learned(name, *widths)
    mapped = student @ module.student.weight.T + module.student.bias
    assert mapped.shape == teacher.shape
    function = getattr(losses, name)
    for given in ({}, {"sample_weight": weights}):
        value, expected = (
            loss(side, teacher, **given).detach()
            for loss, side in ((module, student), (function, mapped))
        )
        assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("n_samples", [2, 8, 33])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize(("name", "weighted"), LEARNED_WEIGHTED)
def test_learned_loss_agrees_with_numpy(name, widths, n_samples, weighted):
    student, teacher, weights = batch(n_samples, *widths)
    module = learned(name, *widths)
    given = (weights,) if weighted else ()
    expected = expected_value(name, module, student, teacher, *given)
    value = module(student, teacher, *given)
    assert value.shape == ()
    assert_allclose(value.detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("name", LEARNED)
def test_all_that_is_learned_gets_a_gradient_and_the_teacher_none(name):
    student, teacher, _ = batch(8, 5, 3)
    teacher.requires_grad_()
    module = learned(name, 5, 3)
    module(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0
    for key, parameter in module.named_parameters():
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("hint", ["student.bias", "student.weight"]),
        ("cosine", ["student.bias", "student.weight"]),
        ("vid", ["raw_variance", "student.bias", "student.weight"]),
        (
            "contrastive",
            ["student.bias", "student.weight", "teacher.bias", "teacher.weight"],
        ),
    ],
)
def test_learned_parameters(name, keys):
    module = learned(name, 5, 3)
    assert sorted(key for key, _ in module.named_parameters()) == keys


@pytest.mark.parametrize("name", LEARNED)
def test_a_step_of_what_is_learned_down_the_gradient_lowers_the_loss(name):
    student, teacher, _ = batch(8, 5, 3)
    module = learned(name, 5, 3)
    before = module(student, teacher)
    before.backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.05 * parameter.grad
    assert module(student, teacher) < before


@pytest.mark.parametrize("name", LEARNED)
def test_each_call_of_learned_makes_parameters_of_its_own(name):
    first, second = (LEARNED[name].learned(5, 3) for _ in range(2))
    known = {parameter.data_ptr() for parameter in first.parameters()}
    assert known.isdisjoint(p.data_ptr() for p in second.parameters())
    assert not torch.equal(first.student.weight, second.student.weight)


@pytest.mark.parametrize("name", LEARNED)
def test_learned_module_survives_pickling(name):
    student, teacher, _ = batch(8, 5, 3)
    module = learned(name, 5, 3)
    copy = pickle.loads(pickle.dumps(module))
    assert copy(student, teacher) == module(student, teacher)


@pytest.mark.parametrize(("name", "weighted"), LEARNED_WEIGHTED)
def test_learned_loss_passes_gradcheck(name, weighted):
    student, teacher, weights = batch(4, 3, 2)
    module = learned(name, 3, 2)
    given = (weights,) if weighted else ()
    keys, parameters = zip(*module.named_parameters(), strict=True)

    def value(student, *parameters):
        state = dict(zip(keys, parameters, strict=True))
        return functional_call(module, state, (student, teacher, *given))

    assert torch.autograd.gradcheck(value, (student, *parameters))


@pytest.mark.parametrize("name", WEIGHTED)
def test_weight_of_a_learned_loss_counts_rows(name):
    student, teacher, _ = batch(8, 5, 3)
    counts = torch.tensor([0, 1, 2, 3, 0, 1, 1, 2])
    module = learned(name, 5, 3)
    repeated = module(*(f.repeat_interleave(counts, 0) for f in (student, teacher)))
    assert_allclose(
        module(student, teacher, counts).detach(), repeated.detach(), rtol=1e-12
    )
    assert module(student, teacher, torch.zeros(8)) == 0


@pytest.mark.parametrize("precision", ["bfloat16", "autocast"])
@pytest.mark.parametrize("n_samples", [2, 16])
@pytest.mark.parametrize("name", LEARNED)
def test_sixteen_bits_lose_nothing_behind_the_projection(name, n_samples, precision):
    casts = precision == "autocast"
    dtype = torch.float32 if casts else torch.bfloat16
    student, teacher, _ = batch(n_samples, 5, 3, dtype)
    module = learned(name, 5, 3, dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=casts):
        assert module.student(student).dtype == torch.bfloat16
        expected = expected_value(name, module, student, teacher)
        value = module(student, teacher)
    value.backward()
    assert value.dtype == torch.float32
    assert_allclose(value.detach(), expected, rtol=1e-5, atol=1e-6)
    for grad in (student.grad, *(p.grad for p in module.parameters())):
        assert grad.dtype == dtype
        assert grad.isfinite().all()
    assert student.grad.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("collapsed", ["student", "teacher", "both", "zeros"])
@pytest.mark.parametrize("n_samples", [2, 16])
@pytest.mark.parametrize("name", LEARNED)
def test_collapsed_features_are_finite(name, n_samples, collapsed, dtype):
    student, teacher, _ = batch(n_samples, 5, 3, dtype)
    student = student.detach()
    if collapsed != "teacher":
        student = student[:1].repeat(n_samples, 1)
    if collapsed != "student":
        teacher = teacher[:1].repeat(n_samples, 1)
    if collapsed == "zeros":
        student, teacher = 0 * student, 0 * teacher
    student.requires_grad_()
    module = learned(name, 5, 3, dtype)
    value = module(student, teacher)
    value.backward()
    assert value.isfinite()
    for grad in (student.grad, *(p.grad for p in module.parameters())):
        assert grad.isfinite().all()
    if name == "contrastive" and collapsed != "student":
        # All rows are equally likely to be a row's own.
        assert_allclose(value.item(), math.log(n_samples), rtol=1e-5)


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("n_components", [1, 7])
def test_contrastive_brings_both_sides_to_its_width(n_components, widths):
    module = ContrastiveLoss(n_components=n_components).learned(*widths)
    student, teacher, _ = batch(8, *widths, torch.float32)
    assert module.student(student).shape == (8, n_components)
    assert module.teacher(teacher).shape == (8, n_components)


def test_contrastive_has_128_components_by_default():
    module = ContrastiveLoss().learned(5, 3)
    assert (module.student.out_features, module.teacher.out_features) == (128, 128)


@pytest.mark.parametrize("n_components", [0, -1])
def test_contrastive_without_components_is_refused(n_components):
    loss = ContrastiveLoss(n_components=n_components)
    with pytest.raises(ValueError, match=f"at least 1, got {n_components}"):
        loss.learned(5, 3)


def test_learned_contrast_refuses_a_temperature_of_0():
    student, teacher, _ = batch(dtype=torch.float32)
    with pytest.raises(ValueError, match="temperature must be a positive"):
        ContrastiveLoss(temperature=0).learned(4, 4)(student, teacher)


@pytest.mark.parametrize(
    ("variance", "expected"),
    [
        ([1.0, 1.0], (1 + 4) / 4),
        ([1.0, 4.0], (1 + (1 + math.log(4))) / 4),
        ([5.0, 5.0], (1 / 5 + 4 / 5 + 2 * math.log(5)) / 4),
        ([0.5, 0.5], (2 + 8 - 2 * math.log(2)) / 4),
    ],
    ids=str,
)
def test_vid_worked_out_by_hand(variance, expected):
    module = VIDLoss().learned(2, 2).double()
    with torch.no_grad():
        # Swaps the two features and moves the second.
        module.student.weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        module.student.bias.copy_(torch.tensor([0.0, 2.0]))
    set_variances(module, variance)
    student = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    teacher = torch.tensor([[1.0, 5.0]], dtype=torch.float64)
    assert_allclose(module(student, teacher).detach(), expected, rtol=1e-9)


def test_vid_starts_at_a_variance_of_5_for_each_of_the_teachers_features():
    module = VIDLoss().learned(2, 3)
    assert module.raw_variance.shape == (3,)
    assert_allclose(variances(module), 5, rtol=1e-6)


def test_vid_of_a_good_prediction_is_negative():
    student, _, _ = batch()
    module = learned("vid")
    set_variances(module, 4 * [0.1])
    predicted = module.student(student).detach()
    value = module(student, predicted).detach()
    assert_allclose(value, math.log(0.1) / 2, rtol=1e-9)
    assert value < 0


def test_vid_keeps_its_variance_away_from_0():
    student, teacher, _ = batch(dtype=torch.float32)
    module = learned("vid", dtype=torch.float32)
    torch.nn.init.constant_(module.raw_variance, -1e4)
    value = module(student, teacher)
    value.backward()
    assert_allclose(
        value.detach(), expected_value("vid", module, student, teacher), rtol=1e-5
    )
    assert student.grad.isfinite().all()


def test_vid_learns_which_features_cannot_be_predicted():
    student, noise, _ = batch(64, 3, 2)
    student = student.detach()
    predictable = student @ torch.tensor([[1.0], [-2.0], [0.5]]).double()
    teacher = torch.cat([predictable, noise[:, :1]], dim=1)
    module = VIDLoss().learned(3, 2).double()
    with torch.no_grad():
        module.student.weight.zero_()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        module(student, teacher).backward()
        optimizer.step()
    known, unknown = variances(module)
    assert known < 0.1 < 0.5 < unknown
    # The best variance is that of what the map leaves unexplained.
    left = (module.student(student) - teacher).square().mean(dim=0)
    assert_allclose(unknown, left[1].item(), rtol=0.1)


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("shape", [(), (7,), (8, 1)], ids=str)
def test_weights_of_another_shape_are_refused_by_a_learned_loss(shape, name):
    student, teacher, _ = batch()
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        learned(name)(student, teacher, torch.ones(shape))


@pytest.mark.parametrize("name", LEARNED)
def test_learned_loss_refuses_a_teacher_that_is_not_finite(name):
    student, teacher, _ = batch()
    teacher[1, 1] = torch.nan
    with pytest.raises(ValueError, match="teacher must have finite features"):
        learned(name)(student, teacher)
