import functools
import inspect
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from skdistill import DistilledClassifier
from skdistill._training._objective import Objective, Term, terms_of
from skdistill.losses import (
    CKALoss,
    ContrastiveLoss,
    DKDLoss,
    HintLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    VIDLoss,
)
from skdistill.schedules import LinearSchedule

NAMES = {
    "loss": ["dist", "dkd", "jsd", "kl", "logit_mse", "nkd", "standardized"],
    "feature_loss": ["cka", "cosine", "hint", "vid"],
    "relation_loss": ["contrastive", "pkt", "rkd", "similarity"],
}
OFFERED = {
    "loss": ["y", "temperature", "sample_weight", "epoch"],
    "feature_loss": ["sample_weight", "epoch"],
    "relation_loss": ["sample_weight", "epoch"],
}
EACH_FAMILY = pytest.mark.parametrize("family", NAMES)


def subsets(names):
    counts = range(len(names) + 1)
    return [s for n in counts for s in itertools.combinations(names, n)]


FAMILIES_AND_KEYWORDS = [
    (family, keywords) for family in NAMES for keywords in subsets(OFFERED[family])
]


def batch(n_samples=6, requires_grad=True):
    rng = np.random.default_rng(n_samples)
    student, teacher = (torch.tensor(rng.normal(size=(n_samples, 3))) for _ in "st")
    return student.requires_grad_(requires_grad), teacher


def offered(family, n_samples=6, sample_weight=None):
    """Return all that a training offers the losses of a family."""
    known = {
        "y": torch.arange(n_samples) % 3,
        "temperature": 3.0,
        "sample_weight": sample_weight,
        "epoch": 7,
    }
    return {name: known[name] for name in OFFERED[family]}


def term_of(loss, family="loss"):
    (term,) = terms_of(family, loss)
    return term


def objective(loss=(), temperature=2.0, alpha=0.5, **others):
    loss = terms_of("loss", loss) if loss else ()
    return Objective(temperature, alpha, loss, **others)


def squares(student, teacher):
    return (student - teacher).square().mean()


def with_labels(student, teacher, y):
    return squares(student, teacher)


def with_epoch(student, teacher, epoch):
    return epoch * squares(student, teacher)


def refuses(student, teacher):
    raise AssertionError("called")


class Recorder:
    """A loss that takes some keywords, and remembers what it was called with."""

    def __init__(self, *keywords):
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = ("student", "teacher", *keywords)
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, kind) for name in names]
        )

    def __call__(self, student, teacher, **given):
        self.student, self.teacher, self.given = student, teacher, given
        return squares(student, teacher)


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


@pytest.mark.parametrize(
    ("family", "name"), [(f, name) for f, names in NAMES.items() for name in names]
)
def test_a_name_stands_for_the_object_with_its_defaults(family, name):
    term = term_of(name, family)
    assert (term.family, term.weight, term.learned) == (family, 1.0, None)
    assert type(term.loss).__name__.lower() == name.replace("_", "") + "loss"
    assert term.loss.get_params() == type(term.loss)().get_params()


def test_each_use_of_a_name_is_an_object_of_its_own():
    first, second = terms_of("loss", [("dkd", 1.0), ("dkd", 2.0)])
    assert first.loss is not second.loss


@EACH_FAMILY
@pytest.mark.parametrize("listed", [False, True])
def test_an_unknown_name_is_answered_with_those_known(listed, family):
    spec = [("mse", 1.0)] if listed else "mse"
    with pytest.raises(ValueError, match=f"{family}='mse' is not known") as error:
        terms_of(family, spec)
    assert str(NAMES[family]) in str(error.value)


@pytest.mark.parametrize(
    ("family", "name"),
    [("loss", "hint"), ("feature_loss", "kl"), ("relation_loss", "cka")],
)
def test_a_name_of_another_family_is_not_known(family, name):
    with pytest.raises(ValueError, match="is not known"):
        terms_of(family, name)


@pytest.mark.parametrize(
    "loss",
    [KLLoss(), DKDLoss(warmup_epochs=3), squares, Scaled(), Methods().loss],
    ids=["object", "object-with-parameters", "function", "module", "method"],
)
def test_a_loss_of_ones_own_is_taken_as_it_is(loss):
    assert terms_of("loss", loss) == (Term("loss", loss, 1.0),)
    assert terms_of("loss", [(loss, 3)]) == (Term("loss", loss, 3.0),)


@EACH_FAMILY
def test_a_list_makes_a_term_of_each_pair_in_its_order(family):
    first, second = NAMES[family][:2]
    terms = terms_of(family, [(first, 2), [squares, 0.5], (second, np.float32(1.5))])
    assert [term.weight for term in terms] == [2.0, 0.5, 1.5]
    assert all(type(term.weight) is float for term in terms)
    assert terms[1].loss is squares
    assert [type(terms[i].loss) for i in (0, 2)] == [
        type(term_of(name, family).loss) for name in (first, second)
    ]


@EACH_FAMILY
@pytest.mark.parametrize("container", [list, tuple])
def test_weight_0_leaves_a_term_out(container, family):
    spec = container([(squares, 0.0), (refuses, 0), (with_labels, 1e-300)])
    assert [term.loss for term in terms_of(family, spec)] == [with_labels]
    assert terms_of(family, [(squares, 0.0)]) == ()


@EACH_FAMILY
def test_a_term_that_is_left_out_is_checked_all_the_same(family):
    with pytest.raises(ValueError, match="is not known"):
        terms_of(family, [("mse", 0.0)])
    with pytest.raises(TypeError, match="a function or object"):
        terms_of(family, [(3.0, 0.0)])


@EACH_FAMILY
@pytest.mark.parametrize("cls", [KLLoss, HintLoss, VIDLoss, Scaled])
@pytest.mark.parametrize("listed", [False, True])
def test_a_class_in_place_of_an_object_is_refused(listed, cls, family):
    spec = [(cls, 1.0)] if listed else cls
    with pytest.raises(TypeError, match=rf"{family} is the class .*: {cls.__name__}\("):
        terms_of(family, spec)


@EACH_FAMILY
@pytest.mark.parametrize("loss", [1.0, True, {"kl": 1.0}, np.ones(2), torch.ones(2)])
@pytest.mark.parametrize("listed", [False, True])
def test_what_cannot_be_called_is_refused(listed, loss, family):
    spec = [(loss, 1.0)] if listed else loss
    with pytest.raises(TypeError, match=f"{family} must be one of .*, a function"):
        terms_of(family, spec)


def test_a_loss_that_only_learns_is_refused_on_logits():
    with pytest.raises(TypeError, match="loss must be"):
        terms_of("loss", VIDLoss())


@EACH_FAMILY
@pytest.mark.parametrize(
    "pair",
    ["kl", squares, 0.5, (), (squares,), (squares, 1.0, 2.0), {squares: 1.0}, None],
    ids=["str", "callable", "number", "none", "one", "three", "dict", "None"],
)
def test_what_is_no_pair_is_refused(pair, family):
    with pytest.raises(
        ValueError, match=rf"{family} holds pairs \(loss, weight\), such as .* got"
    ):
        terms_of(family, [(squares, 1.0), pair])


def test_a_pair_alone_is_no_list_of_pairs():
    with pytest.raises(ValueError, match=r"holds pairs .* got 'kl'"):
        terms_of("loss", ("kl", 0.5))


@EACH_FAMILY
@pytest.mark.parametrize(
    "weight", [-1e-9, -1, math.nan, math.inf, -math.inf, "1", None, 1j, [1.0]], ids=str
)
def test_weights_that_are_no_numbers_from_0_on_are_refused(weight, family):
    with pytest.raises(ValueError, match=f"weight of .* in {family} must be a finite"):
        terms_of(family, [(squares, weight)])


@EACH_FAMILY
@pytest.mark.parametrize("spec", [[], ()], ids=str)
def test_an_empty_list_is_refused(spec, family):
    with pytest.raises(ValueError, match=f"^{family} is an empty list"):
        terms_of(family, spec)


def test_only_the_loss_on_logits_may_not_be_none():
    assert terms_of("feature_loss", None) == terms_of("relation_loss", None) == ()
    with pytest.raises(ValueError, match="loss is None; alpha=0"):
        terms_of("loss", None)


@pytest.mark.parametrize(("family", "keywords"), FAMILIES_AND_KEYWORDS, ids=str)
def test_a_function_gets_just_the_keywords_that_it_names(family, keywords):
    student, teacher = batch()
    loss, given = Recorder(*keywords), offered(family, sample_weight=torch.ones(6))
    value = term_of(loss, family)(student, teacher, **given)
    assert value == squares(student, teacher)
    assert sorted(loss.given) == sorted(keywords)
    for keyword in keywords:
        assert torch.equal(*(torch.as_tensor(g[keyword]) for g in (loss.given, given)))


@EACH_FAMILY
def test_keywords_of_any_name_are_all_that_is_offered(family):
    seen = {}

    def loss(student, teacher, **given):
        seen.update(given)
        return squares(student, teacher)

    student, teacher = batch()
    term_of(loss, family)(student, teacher, **offered(family))
    assert sorted(seen) == sorted(OFFERED[family])
    assert seen["epoch"] == 7


@pytest.mark.parametrize("family", ["feature_loss", "relation_loss"])
@pytest.mark.parametrize("keyword", ["y", "temperature"])
def test_losses_on_features_get_neither_labels_nor_temperature(keyword, family):
    student, teacher = batch()
    loss = Recorder("epoch", keyword)
    term_of(loss, family)(student, teacher, **offered("loss"))
    assert loss.given == {"epoch": 7}


@pytest.mark.parametrize(
    "loss",
    [
        with_epoch,
        lambda s, t, epoch: with_epoch(s, t, epoch),
        lambda s, t, *, epoch: with_epoch(s, t, epoch),
        lambda s, t, epoch=1: with_epoch(s, t, epoch),
        functools.partial(lambda scale, s, t, epoch: with_epoch(s, t, epoch), 2.0),
        Methods().loss,
        Methods.static,
    ],
    ids=["def", "lambda", "keyword", "default", "partial", "method", "static"],
)
@EACH_FAMILY
def test_keywords_are_found_however_a_function_is_written(family, loss):
    student, teacher = batch()
    value = term_of(loss, family)(student, teacher, **offered(family))
    assert value == 7 * squares(student, teacher)


@EACH_FAMILY
def test_keywords_of_a_module_are_those_of_its_forward(family):
    student, teacher = batch()
    value = term_of(Scaled(), family)(student, teacher, **offered(family))
    assert value == 14 * squares(student, teacher)


@EACH_FAMILY
def test_a_function_in_c_without_a_signature_gets_no_keywords(family):
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(torch.dist)
    student, teacher = batch()
    value = term_of(torch.dist, family)(student, teacher, **offered(family))
    assert value == torch.dist(student, teacher)


def test_the_two_sides_may_have_any_name():
    student, teacher = batch()
    term = term_of(lambda x, y: squares(x, y))
    assert term(student, teacher, **offered("loss")) == squares(student, teacher)
    assert not term.needs_labels


def test_a_temperature_that_is_bound_stays():
    student, teacher = batch()
    term = term_of(functools.partial(KLLoss(), temperature=5.0))
    assert term(student, teacher, **offered("loss")) == KLLoss(5.0)(student, teacher)


@EACH_FAMILY
def test_rows_of_weight_0_are_hidden_from_a_loss_without_weights(family):
    student, teacher = batch()
    keywords = [k for k in OFFERED[family] if k != "sample_weight"]
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.5, 1e-30])
    kept = [0, 2, 4, 5]
    loss, given = Recorder(*keywords), offered(family, sample_weight=weight)
    value = term_of(loss, family)(student, teacher, **given)
    assert value == squares(student[kept], teacher[kept])
    assert torch.equal(loss.student, student[kept])
    assert torch.equal(loss.teacher, teacher[kept])
    assert loss.given["epoch"] == 7
    if family == "loss":
        assert torch.equal(loss.given["y"], given["y"][kept])
        assert loss.given["temperature"] == 3.0
    value.backward()
    assert (student.grad[[1, 3]] == 0).all()


@EACH_FAMILY
def test_a_loss_with_weights_sees_all_rows(family):
    student, teacher = batch()
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.5, 0.0])
    loss, given = Recorder("sample_weight"), offered(family, sample_weight=weight)
    term_of(loss, family)(student, teacher, **given)
    assert torch.equal(loss.student, student)
    assert torch.equal(loss.given["sample_weight"], weight)


@EACH_FAMILY
def test_a_loss_without_weights_sees_all_rows_where_there_are_none(family):
    student, teacher = batch()
    loss = Recorder()
    term_of(loss, family)(student, teacher, **offered(family, sample_weight=None))
    assert torch.equal(loss.student, student)


@pytest.mark.parametrize(
    ("family", "loss", "expected"),
    [
        ("loss", squares, 1),
        ("feature_loss", squares, 1),
        ("relation_loss", squares, 2),
        ("feature_loss", "hint", 1),
        ("feature_loss", "vid", 1),
        ("feature_loss", "cka", 4),
        ("loss", CKALoss(), 4),
        ("feature_loss", ContrastiveLoss(), 2),
        ("relation_loss", "rkd", 2),
        ("relation_loss", "similarity", 2),
        ("relation_loss", "pkt", 2),
        ("relation_loss", "contrastive", 2),
    ],
)
def test_how_many_rows_a_loss_takes(family, loss, expected):
    assert term_of(loss, family).min_rows == expected


def test_a_loss_can_say_how_many_rows_it_takes():
    loss = Recorder()
    loss.min_rows = 5
    assert term_of(loss, "relation_loss").min_rows == 5
    loss.min_rows = 1
    assert term_of(loss, "relation_loss").min_rows == 1


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("family", "least"), [("loss", 1), ("feature_loss", 1), ("relation_loss", 2)]
)
def test_too_few_rows_count_0(family, least, weighted, requires_grad):
    n_samples = 6 if weighted else least - 1
    weight = (torch.arange(6) < least - 1).double() if weighted else None
    student, teacher = batch(n_samples, requires_grad)
    term = term_of(refuses, family)
    value = term(student, teacher, **offered(family, n_samples, weight))
    assert value == 0
    assert value.shape == ()
    assert value.requires_grad == requires_grad
    if requires_grad:
        value.backward()
        assert (student.grad == 0).all()


@EACH_FAMILY
def test_just_enough_rows_are_compared(family):
    student, teacher = batch(2)
    value = term_of(squares, family)(student, teacher, **offered(family, 2))
    assert value == squares(student, teacher) != 0


@EACH_FAMILY
@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (lambda s: s.square().mean(dim=1), r"Tensor of shape \(6,\)"),
        (lambda s: s.sum().reshape(1), r"Tensor of shape \(1,\)"),
        (lambda s: s.sum().item(), "got float$"),
        (lambda s: s.sum().detach().numpy(), "got (ndarray|float64)$"),
        (lambda s: (s.sum(), s.sum()), "got tuple$"),
        (lambda s: None, "got NoneType$"),
    ],
    ids=["rows", "one-entry", "float", "numpy", "tuple", "None"],
)
def test_what_is_no_scalar_tensor_is_refused(returned, named, family):
    def own_loss(student, teacher):
        return returned(student)

    student, teacher = batch()
    with pytest.raises(TypeError, match=f"{family} own_loss must return .*{named}"):
        term_of(own_loss, family)(student, teacher, **offered(family))


@pytest.mark.parametrize(
    ("loss", "name"), [(squares, "squares"), (KLLoss(), "KLLoss"), ("dkd", "DKDLoss")]
)
def test_a_term_is_called_as_its_loss_is(loss, name):
    assert term_of(loss).name == name


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("kl", False),
        ("dist", False),
        ("dkd", True),
        ("nkd", True),
        (DKDLoss(), True),
        (with_labels, True),
        (with_epoch, False),
        (torch.dist, False),
    ],
)
def test_needs_labels_where_it_names_them(loss, expected):
    assert term_of(loss).needs_labels is expected


@pytest.mark.parametrize("family", ["feature_loss", "relation_loss"])
def test_losses_on_features_need_no_labels(family):
    assert not term_of(with_labels, family).needs_labels


@pytest.mark.parametrize(
    ("family", "loss", "expected"),
    [
        ("feature_loss", "hint", True),
        ("feature_loss", "vid", True),
        ("feature_loss", "cka", False),
        ("feature_loss", squares, False),
        ("relation_loss", "contrastive", True),
        ("relation_loss", "rkd", False),
        ("relation_loss", HintLoss(), True),
        ("loss", HintLoss(), False),
    ],
)
def test_learns_where_a_loss_on_features_can(family, loss, expected):
    assert term_of(loss, family).learns is expected


@pytest.mark.parametrize("name", ["hint", "cosine", "vid"])
def test_the_module_that_learns_stands_in_for_the_loss(name):
    student, teacher = batch()
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.5, 1.0])
    term = term_of(name, "feature_loss")
    module = term.loss.learned(3, 3).double()
    value = replace(term, learned=module)(
        student, teacher, sample_weight=weight, epoch=0
    )
    assert value == module(student, teacher, weight)
    assert value != module(student, teacher)


def test_keywords_are_those_of_the_module_that_learns():
    student, teacher = batch()
    contrast = ContrastiveLoss(n_components=2)
    module = contrast.learned(3, 3).double()
    term = replace(term_of(contrast, "relation_loss"), learned=module)
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0, 0.5, 0.0])
    kept = weight > 0
    value = term(student, teacher, sample_weight=weight, epoch=0)
    assert value == module(student[kept], teacher[kept])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_features_take_the_dtype_of_the_module_that_learns(dtype):
    student, teacher = batch()
    module = HintLoss().learned(3, 3).to(dtype)
    term = replace(term_of("hint", "feature_loss"), learned=module)
    value = term(student, teacher.float(), sample_weight=None, epoch=0)
    assert value.dtype == dtype
    value.backward()
    assert student.grad.dtype == torch.float64
    assert student.grad.abs().max() > 0


def test_a_module_without_parameters_may_stand_in_for_the_loss():
    class Plain(nn.Module):
        def forward(self, student, teacher):
            return squares(student, teacher)

    student, teacher = batch()
    term = replace(term_of(refuses, "feature_loss"), learned=Plain())
    value = term(student, teacher, sample_weight=None, epoch=0)
    assert value == squares(student, teacher)


def test_soft_is_the_weighted_sum():
    student, teacher = batch()
    given = offered("loss", sample_weight=torch.arange(6.0).double())
    y, weight = given["y"], given["sample_weight"]
    parts = {
        "kl": KLLoss()(student, teacher, 3.0, weight),
        "dkd": DKDLoss()(student, teacher, y, 3.0, weight, epoch=7),
        "logit_mse": LogitMSELoss()(student, teacher, weight),
    }
    weights = {"kl": 0.5, "dkd": 2.0, "logit_mse": 3.0}
    value = objective(list(weights.items())).soft(student, teacher, **given)
    expected = sum(weights[name] * part for name, part in parts.items())
    assert value.shape == ()
    assert_allclose(value.detach(), expected.detach(), rtol=1e-12)
    for grad in torch.autograd.grad(value - expected, student):
        assert_allclose(grad, 0, atol=1e-12)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_soft_of_one_term_is_that_term_times_its_weight(weight):
    student, teacher = batch()
    value = objective([("kl", weight), (refuses, 0.0)]).soft(
        student, teacher, **offered("loss")
    )
    assert value == weight * KLLoss()(student, teacher, 3.0)


def test_soft_sums_losses_of_different_dtypes():
    student, teacher = batch()
    terms = [("kl", 1.0), (lambda s, t: squares(s, t).float(), 2.0)]
    value = objective(terms).soft(student, teacher, **offered("loss"))
    expected = KLLoss()(student, teacher, 3.0) + 2 * squares(student, teacher)
    assert_allclose(value.detach(), expected.detach(), rtol=1e-6)


def test_objective_has_what_the_estimator_asks_for():
    schedule = LinearSchedule(8.0, 2.0)
    asked = Objective.of(
        DistilledClassifier(
            temperature=schedule,
            alpha=0.25,
            loss=[("kl", 2.0), (squares, 0.0)],
            feature_loss="hint",
            feature_weight=3,
            relation_loss=[("rkd", 1.0), ("pkt", 30.0)],
            relation_weight=0.5,
            student_layer="hidden",
        )
    )
    assert (asked.temperature, asked.alpha) == (schedule, 0.25)
    assert [(type(t.loss), t.weight) for t in asked.loss] == [(KLLoss, 2.0)]
    assert [type(t.loss) for t in asked.feature_loss] == [HintLoss]
    assert [t.weight for t in asked.relation_loss] == [1.0, 30.0]
    assert (asked.feature_weight, asked.relation_weight) == (3.0, 0.5)
    assert asked.student_layer == "hidden"
    assert asked.is_hidden


@pytest.mark.parametrize(
    ("feature_weight", "relation_weight", "is_hidden"),
    [(1, 1, True), (0, 1, True), (1, 0.0, True), (0, 0, False)],
)
def test_a_family_of_weight_0_is_left_out(feature_weight, relation_weight, is_hidden):
    asked = Objective.of(
        DistilledClassifier(
            feature_loss="hint",
            feature_weight=feature_weight,
            relation_loss="rkd",
            relation_weight=relation_weight,
        )
    )
    assert bool(asked.feature_loss) == (feature_weight > 0)
    assert bool(asked.relation_loss) == (relation_weight > 0)
    assert asked.is_hidden is is_hidden


def test_a_family_of_weight_0_is_checked_all_the_same():
    with pytest.raises(ValueError, match="relation_loss='mse' is not known"):
        Objective.of(DistilledClassifier(relation_loss="mse", relation_weight=0))


def test_by_default_there_is_nothing_hidden():
    asked = Objective.of(DistilledClassifier())
    assert [type(term.loss) for term in asked.loss] == [KLLoss]
    assert not asked.is_hidden


def test_numbers_hold_in_every_epoch_and_schedules_are_asked():
    asked = objective(temperature=3, alpha=LinearSchedule(1.0, 0.0))
    assert [asked.at_epoch("temperature", epoch, 5) for epoch in range(5)] == 5 * [3.0]
    assert [asked.at_epoch("alpha", epoch, 5) for epoch in range(5)] == [
        1.0,
        0.75,
        0.5,
        0.25,
        0.0,
    ]


@pytest.mark.parametrize("name", ["temperature", "alpha"])
@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.5), np.int64(1)], ids=repr)
def test_a_schedule_may_give_any_real_number(number, name):
    value = objective(**{name: lambda epoch, max_epochs: number}).at_epoch(name, 0, 1)
    assert type(value) is float
    assert value == number


@pytest.mark.parametrize(
    ("name", "wanted", "number"),
    [
        *(("temperature", "above 0", number) for number in (0, 0.0, -1.5)),
        *(("alpha", "from 0 to 1", number) for number in (-1e-9, 1.0000001, 2)),
        *(
            (name, wanted, number)
            for name, wanted in [("temperature", "above 0"), ("alpha", "from 0 to 1")]
            for number in (math.nan, math.inf, -math.inf, None, "1", 1j)
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("bad_epoch", [0, 2, 4])
def test_a_schedule_out_of_range_is_refused_with_its_epoch(
    bad_epoch, name, wanted, number
):
    asked = objective(
        "kl", **{name: lambda epoch, n: number if epoch == bad_epoch else 0.5}
    )
    with pytest.raises(ValueError, match=f"^{name} must be {wanted}; ") as error:
        asked.check(5, 5, has_labels=True)
    assert f"gave {number!r} for epoch {bad_epoch} of 5" in str(error.value)


@pytest.mark.parametrize("name", ["temperature", "alpha"])
def test_just_the_epochs_of_the_training_are_checked(name):
    asked_for = []

    def schedule(epoch, max_epochs):
        asked_for.append((epoch, max_epochs))
        return 0.5 if epoch < 3 else -1.0

    asked = objective("kl", **{name: schedule})
    asked.check(3, 3, has_labels=True)
    assert sorted(asked_for) == [(0, 3), (1, 3), (2, 3)]
    with pytest.raises(ValueError, match="for epoch 3 of 4"):
        asked.check(4, 4, has_labels=True)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("dkd", "DKDLoss"),
        (NKDLoss(gamma=2.0), "NKDLoss"),
        (with_labels, "with_labels"),
        ([("kl", 1.0), (with_labels, 0.1)], "with_labels"),
    ],
    ids=["name", "object", "function", "listed"],
)
def test_missing_labels_are_reported_with_the_loss_that_needs_them(loss, name):
    asked = objective(loss, alpha=1.0)
    asked.check(3, 3, has_labels=True)
    with pytest.raises(ValueError, match=f"^loss {name} needs labels, but .* y is Non"):
        asked.check(3, 3, has_labels=False)


@pytest.mark.parametrize(
    "loss",
    ["kl", squares, [("kl", 1.0), ("dkd", 0.0)]],
    ids=["name", "own", "left-out"],
)
def test_labels_are_not_asked_for_where_no_loss_needs_them(loss):
    objective(loss, alpha=1.0).check(3, 3, has_labels=False)


@pytest.mark.parametrize(
    "alpha", [1, 1.0, LinearSchedule(0.0, 1.0), LinearSchedule(1.0, 0.0)], ids=str
)
def test_alpha_1_without_any_loss_has_nothing_to_learn_from(alpha):
    asked = objective([("kl", 0.0)], alpha=alpha)
    with pytest.raises(ValueError, match="nothing to learn from: alpha is 1"):
        asked.check(4, 4, has_labels=True)
    objective("kl", alpha=alpha).check(4, 4, has_labels=True)


@pytest.mark.parametrize("alpha", [0.0, 0.99, LinearSchedule(0.0, 0.9)], ids=str)
def test_without_any_loss_there_are_labels_to_learn_from(alpha):
    objective([("kl", 0.0)], alpha=alpha).check(4, 4, has_labels=True)


@pytest.mark.parametrize(
    ("family", "loss"), [("feature_loss", "hint"), ("relation_loss", "rkd")]
)
def test_a_loss_on_features_alone_is_something_to_learn_from(family, loss):
    hidden = {family: terms_of(family, loss)}
    objective(alpha=1.0, **hidden).check(4, 4, has_labels=False)
