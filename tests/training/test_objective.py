"""The terms of a loss, their weights and schedules, and what is checked beforehand."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skdistill import DistilledClassifier
from skdistill._training._objective import Objective, Term, terms_of
from skdistill.losses import CKALoss, DKDLoss, HintLoss, KLLoss, NKDLoss
from skdistill.losses._base import as_loss
from skdistill.schedules import LinearSchedule
from tests.conftest import tiny_net

FAMILIES = ["loss", "feature_loss", "relation_loss"]
EACH_FAMILY = pytest.mark.parametrize("family", FAMILIES)

STUDENT = torch.arange(12.0).reshape(4, 3)
TEACHER = STUDENT.flip(0)


def squares(student, teacher):
    return (student - teacher).square().mean()


def with_labels(student, teacher, y):
    return squares(student, teacher)


def refuses(student, teacher):
    raise AssertionError("called")


def objective(**params):
    return Objective.of(DistilledClassifier(**params))


def check(asked, n_epochs=4, has_labels=True, **net):
    asked.check(tiny_net(max_epochs=4, **net), n_epochs, has_labels)


# What a parameter stands for


@EACH_FAMILY
def test_a_single_loss_is_a_term_of_weight_1(family):
    (term,) = terms_of(family, squares)
    assert (term.loss.given, term.weight, term.place) == (squares, 1.0, f"{family}_0")


@EACH_FAMILY
def test_a_list_makes_a_term_of_each_pair_in_its_order(family):
    first, second = KLLoss(), CKALoss()
    pairs = [(first, 2), [squares, 0.5], (second, np.float32(1.5))]
    terms = terms_of(family, pairs)
    assert [term.loss.given for term in terms] == [first, squares, second]
    assert [term.weight for term in terms] == [2.0, 0.5, 1.5]
    assert all(type(term.weight) is float for term in terms)
    assert terms_of(family, tuple(pairs))[2].loss is second


@EACH_FAMILY
def test_weight_0_leaves_a_term_out_and_the_others_in_their_place(family):
    terms = terms_of(family, [(refuses, 0), (squares, 1e-300)])
    assert [(t.loss.given, t.place) for t in terms] == [(squares, f"{family}_1")]
    assert terms_of(family, [(squares, 0.0)]) == ()


@EACH_FAMILY
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_losses_of_a_list_are_checked_whatever_their_weight(weight, family):
    with pytest.raises(ValueError, match=f"{family}='mse' is not known"):
        terms_of(family, [("mse", weight)])
    with pytest.raises(TypeError, match="a function or object"):
        terms_of(family, [(3.0, weight)])


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


@EACH_FAMILY
@pytest.mark.parametrize("weight", [-1e-9, math.nan, math.inf, "1", None, 1j], ids=str)
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


def test_objective_has_what_the_estimator_asks_for():
    schedule = LinearSchedule(8.0, 2.0)
    asked = objective(
        temperature=schedule,
        alpha=0.25,
        loss=[("kl", 2.0), (squares, 0.0)],
        feature_loss="hint",
        feature_weight=3,
        relation_loss=[("rkd", 1.0), ("pkt", 30.0)],
        relation_weight=0.5,
        student_layer="hidden",
    )
    assert (asked.temperature, asked.alpha) == (schedule, 0.25)
    assert [(type(t.loss), t.weight) for t in asked.loss] == [(KLLoss, 2.0)]
    assert [type(t.loss) for t in asked.feature_loss] == [HintLoss]
    assert [t.weight for t in asked.relation_loss] == [1.0, 30.0]
    assert (asked.feature_weight, asked.relation_weight) == (3.0, 0.5)
    assert asked.student_layer == "hidden"
    assert [term.place for term in asked.learning] == ["feature_loss_0"]


@pytest.mark.parametrize(
    ("feature_weight", "relation_weight", "is_hidden"),
    [(1, 1, True), (0, 1, True), (1, 0.0, True), (0, 0, False)],
)
def test_a_family_of_weight_0_is_left_out(feature_weight, relation_weight, is_hidden):
    asked = objective(
        feature_loss="hint",
        feature_weight=feature_weight,
        relation_loss="contrastive",
        relation_weight=relation_weight,
    )
    assert bool(asked.feature_loss) == (feature_weight > 0)
    assert bool(asked.relation_loss) == (relation_weight > 0)
    assert asked.is_hidden is is_hidden
    assert len(asked.learning) == (feature_weight > 0) + (relation_weight > 0)


@pytest.mark.parametrize("name", ["feature_weight", "relation_weight"])
@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, "1"])
def test_a_weight_of_a_family_is_a_number_from_0_on(weight, name):
    with pytest.raises(ValueError, match=f"^{name} must be a finite number"):
        objective(**{name: weight})


def test_a_family_of_weight_0_is_checked_all_the_same():
    with pytest.raises(ValueError, match="relation_loss='mse' is not known"):
        objective(relation_loss="mse", relation_weight=0)


def test_by_default_there_is_the_kl_divergence_alone():
    asked = objective()
    assert [type(term.loss) for term in asked.loss] == [KLLoss]
    assert not asked.is_hidden


# What a term computes


def value_of(loss, family="loss", weight=1.0, rows=4, **offered):
    term = Term(as_loss(family, loss), weight, f"{family}_0")
    known = {"y": torch.arange(4) % 3, "temperature": 3.0, "epoch": 7}
    known = known | {"sample_weight": None} | offered
    return term(term.loss, STUDENT[:rows], TEACHER[:rows], **known)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_a_term_is_the_weighted_value_of_its_loss(weight):
    expected = weight * KLLoss()(STUDENT, TEACHER, temperature=3.0)
    assert_close(value_of("kl", weight=weight), expected)


WEIGHT = torch.tensor([1.0, 0.0, 1e-30, 0.0])


def test_rows_of_weight_0_are_hidden_from_a_loss_without_weights():
    seen = {}

    def own(student, teacher, y):
        seen.update(student=student, teacher=teacher, y=y)
        return student.sum()

    value_of(own, sample_weight=WEIGHT)
    rows = [0, 2]
    expected = {"student": STUDENT[rows], "teacher": TEACHER[rows], "y": rows}
    assert_close(seen, expected | {"y": (torch.arange(4) % 3)[rows]})


def test_a_loss_with_weights_sees_all_rows():
    def own(student, teacher, sample_weight):
        assert sample_weight is WEIGHT
        return student.sum()

    assert value_of(own, sample_weight=WEIGHT) == STUDENT.sum()


@pytest.mark.parametrize(
    ("family", "least"), [("loss", 1), ("feature_loss", 1), ("relation_loss", 2)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_too_few_rows_count_0(weighted, family, least):
    few = {"rows": least - 1}
    if weighted:
        few = {"sample_weight": (torch.arange(4) < least - 1).float()}
    value = value_of(refuses, family, **few)
    assert value == 0
    assert value.shape == ()
    assert value_of(squares, family, rows=least) > 0


@EACH_FAMILY
@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (lambda s: s.square().mean(dim=1), r"Tensor of shape \(4,\)"),
        (lambda s: s.sum().reshape(1), r"Tensor of shape \(1,\)"),
        (lambda s: s.sum().item(), "got float$"),
        (lambda s: (s.sum(), s.sum()), "got tuple$"),
        (lambda s: None, "got NoneType$"),
    ],
    ids=["rows", "one-entry", "float", "tuple", "None"],
)
def test_what_is_no_scalar_tensor_is_refused(returned, named, family):
    def own_loss(student, teacher):
        return returned(student)

    with pytest.raises(TypeError, match=f"{family} own_loss must return .*{named}"):
        value_of(own_loss, family)


# Numbers and schedules


def test_numbers_hold_in_every_epoch_and_schedules_are_asked():
    asked = objective(temperature=3, alpha=LinearSchedule(1.0, 0.0))
    assert [asked.at_epoch("temperature", epoch, 5) for epoch in range(5)] == 5 * [3.0]
    alphas = [asked.at_epoch("alpha", epoch, 5) for epoch in range(5)]
    assert alphas == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("name", ["temperature", "alpha"])
@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.5), np.int64(1)], ids=repr)
def test_a_schedule_may_give_any_real_number(number, name):
    asked = objective(**{name: lambda epoch, max_epochs: number})
    value = asked.at_epoch(name, 0, 1)
    assert type(value) is float
    assert value == number


NO_NUMBERS = (math.nan, math.inf, -math.inf, None, "1", 1j)


@pytest.mark.parametrize("bad_epoch", [0, 3])
@pytest.mark.parametrize(
    ("name", "wanted", "number"),
    [
        *(("temperature", "above 0", number) for number in (0, -1.5, *NO_NUMBERS)),
        *(("alpha", "from 0 to 1", number) for number in (-1e-9, 1.1, *NO_NUMBERS)),
    ],
    ids=str,
)
def test_a_schedule_out_of_range_is_refused_with_its_epoch(
    name, wanted, number, bad_epoch
):
    asked = objective(**{name: lambda epoch, n: number if epoch == bad_epoch else 0.5})
    with pytest.raises(ValueError, match=f"^{name} must be {wanted}; ") as error:
        check(asked)
    assert f"gave {number!r} for epoch {bad_epoch} of 4" in str(error.value)


@pytest.mark.parametrize("name", ["temperature", "alpha"])
def test_just_the_epochs_of_the_training_are_checked(name):
    asked_for = []

    def schedule(epoch, max_epochs):
        asked_for.append((epoch, max_epochs))
        return 0.5 if epoch < 3 else -1.0

    check(objective(**{name: schedule}), n_epochs=3)
    assert asked_for == [(0, 4), (1, 4), (2, 4)]
    with pytest.raises(ValueError, match="for epoch 3 of 4"):
        check(objective(**{name: schedule}))


@pytest.mark.parametrize("schedule", [lambda: 1.0, lambda epoch: 1.0])
def test_a_schedule_that_does_not_take_two_numbers_is_refused(schedule):
    with pytest.raises(TypeError, match=r"how many there are; alpha=.* does not take"):
        check(objective(alpha=schedule))


def test_a_schedule_without_a_signature_is_taken():
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(min)
    check(objective(alpha=min), n_epochs=2)


# What is checked before the training


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
    asked = objective(loss=loss, alpha=1.0)
    check(asked)
    with pytest.raises(ValueError, match=f"^loss {name} needs labels, but .* y is Non"):
        check(asked, has_labels=False)


@pytest.mark.parametrize("loss", ["kl", squares, [("kl", 1.0), (DKDLoss(), 0.0)]])
def test_labels_are_not_asked_for_where_no_loss_needs_them(loss):
    check(objective(loss=loss), has_labels=False)


NO_SOFT_TERM = [("kl", 0.0)]


@pytest.mark.parametrize("alpha", [1, LinearSchedule(0.0, 1.0)], ids=str)
def test_alpha_1_without_any_loss_has_nothing_to_learn_from(alpha):
    with pytest.raises(ValueError, match="nothing to learn from: alpha is 1"):
        check(objective(loss=NO_SOFT_TERM, alpha=alpha))
    check(objective(alpha=alpha))


@pytest.mark.parametrize("alpha", [0.0, 0.99, LinearSchedule(0.0, 0.9)], ids=str)
def test_without_any_loss_there_are_labels_to_learn_from(alpha):
    asked = objective(loss=NO_SOFT_TERM, alpha=alpha)
    check(asked)
    with pytest.raises(ValueError, match="nothing to learn from"):
        check(asked, has_labels=False)


@pytest.mark.parametrize("family", [{"feature_loss": "hint"}, {"relation_loss": "rkd"}])
def test_a_loss_on_features_alone_is_something_to_learn_from(family):
    check(objective(loss=NO_SOFT_TERM, alpha=1.0, **family), has_labels=False)


@pytest.mark.parametrize(
    ("family", "least"),
    [
        ({"relation_loss": "rkd"}, 2),
        ({"relation_loss": squares}, 2),
        ({"feature_loss": [("hint", 1.0), ("cka", 1.0)]}, 4),
    ],
    ids=["rkd", "own", "cka"],
)
@pytest.mark.parametrize("name", ["batch_size", "iterator_train__batch_size"])
def test_batches_too_small_for_a_loss_are_refused(name, family, least):
    asked = objective(**family)
    with pytest.raises(
        ValueError, match=f"batch_size is {least - 1}: it takes {least}"
    ):
        check(asked, **{name: least - 1})
    check(asked, **{name: least})
    check(asked, batch_size=-1)


def test_batches_of_the_persons_own_sampler_are_not_judged():
    asked = objective(relation_loss="rkd")
    check(asked, batch_size=1, iterator_train__batch_sampler=[[0, 1]])
