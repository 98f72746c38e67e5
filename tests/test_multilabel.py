"""Several labels a row, from the parameters of an estimator to what it predicts."""

from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_checks, get_tags
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher, make_student, soft_labels
from skdistill.losses import JSDLoss, KLLoss
from tests.conftest import LIBRARIES, TinyModule
from tests.kinds import perceptron

# They rank these rows better than a forest does.
pytestmark = pytest.mark.filterwarnings("ignore:SKD103")
LINEAR = LogisticRegression(max_iter=1000)


@pytest.fixture(scope="module")
def table():
    """Return 150 rows of 6 numbers, and which of 3 labels hold; read-only."""
    X, y = make_multilabel_classification(150, 6, n_classes=3, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="module")
def forest(table):
    return small_forest().fit(*table)


def small_forest(**params):
    defaults = {"n_estimators": 20, "min_samples_leaf": 3, "random_state": 0}
    return RandomForestClassifier(**defaults | params)


def student(**params):
    return make_student((16,), task="multilabel", **{"max_epochs": 10} | params)


def distilled(teacher=None, net=None, **params):
    """Return an unfitted classifier, by default quick and without made rows."""
    net = student() if net is None else net
    return DistilledClassifier(
        teacher, net, **{"augmenter": None, "random_state": 0} | params
    )


def proba_of(teacher, X):
    said = teacher.predict_proba(X)
    return np.stack([p[:, 1] for p in said], axis=1) if isinstance(said, list) else said


def own_net(kind=NeuralNetClassifier, **params):
    defaults = {
        "module": TinyModule,
        "criterion": nn.BCEWithLogitsLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.03,
        "max_epochs": 20,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return kind(**defaults | params)


def test_defaults_make_a_student_that_ranks_as_its_teacher(table):
    X, y = table
    clf = DistilledClassifier(small_forest(), random_state=0).fit(X[:100], y[:100])
    proba = clf.predict_proba(X[100:])
    teacher = average_precision_score(y[100:], proba_of(clf.teacher_, X[100:]))
    assert average_precision_score(y[100:], proba) > teacher - 0.02
    assert 0 < clf.alpha_ < 1
    assert clf.teacher_temperature_ != 1


def test_predictions_have_the_form_of_those_of_a_perceptron(table):
    X, y = table
    clf, expected = distilled(small_forest()).fit(X, y), perceptron().fit(X, y)
    proba, labels = clf.predict_proba(X), clf.predict(X)
    assert (proba.shape, proba.dtype) == (y.shape, np.float64)
    assert labels.dtype == expected.predict(X).dtype == np.int64
    assert_array_equal(labels, proba > 0.5)
    assert_allclose(np.exp(clf.predict_log_proba(X)), proba)
    assert_array_equal(clf.classes_, expected.classes_)
    assert clf.score(X, y) == (labels == y).all(axis=1).mean()
    assert clf.multilabel_
    assert get_tags(clf).classifier_tags.multi_label


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"teacher": small_forest()}, True),
        ({"teacher": LINEAR}, False),
        ({"teacher": [small_forest(), LINEAR]}, False),
        ({"teacher": small_forest(), "student": make_student()}, False),
        ({"teacher": small_forest(), "student": student()}, True),
        ({}, True),
    ],
)
def test_tags_tell_whether_labels_can_be_learned(params, expected):
    tags = get_tags(DistilledClassifier(**params))
    assert tags.classifier_tags.multi_label is expected


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_classifier_multioutput,
        estimator_checks.check_classifiers_multilabel_output_format_predict,
        estimator_checks.check_classifiers_multilabel_output_format_predict_proba,
    ],
    ids=lambda check: check.__name__,
)
def test_sklearn_checks_of_several_labels(check):
    check("DistilledClassifier", distilled(small_forest(n_estimators=5)))


def test_a_default_student_learns_labels_after_classes(table):
    X, y = table
    clf = DistilledClassifier(small_forest(), augmenter=None, random_state=0)
    assert not clf.fit(X, y[:, 0]).multilabel_
    assert clf.fit(X, y).multilabel_
    assert clf.predict(X).shape == y.shape


TEACHERS = {
    "neighbors": KNeighborsClassifier(9),
    "MultiOutputClassifier": MultiOutputClassifier(LINEAR),
    "OneVsRestClassifier": OneVsRestClassifier(LINEAR),
    "ClassifierChain": ClassifierChain(LINEAR),
    "pipeline": make_pipeline(StandardScaler(), perceptron()),
    "list": [small_forest(), KNeighborsClassifier(9)],
}


@pytest.mark.parametrize("name", TEACHERS)
def test_a_student_resembles_each_kind_of_teacher(name, table):
    X, y = table
    clf = distilled(TEACHERS[name], student(max_epochs=60), alpha=1.0, cv=2)
    held_out = clf.set_params(calibrate_teacher="out_of_fold").fit(X, y)
    assert held_out.predict_proba(X).shape == y.shape
    clf = clf.set_params(cv=None, calibrate_teacher=None).fit(X, y)
    teachers = clf.teacher_ if name == "list" else [clf.teacher_]
    said = np.mean([proba_of(one, X) for one in teachers], axis=0)
    assert abs(clf.predict_proba(X) - said).mean() < 0.12
    fitted = clf.teacher_
    again = distilled(fitted, student(max_epochs=60), alpha=1.0).fit(X)  # without y
    assert again.multilabel_
    assert_allclose(again.predict_proba(X), clf.predict_proba(X), atol=1e-5)


def test_weights_of_teachers_count(table, forest):
    X, y = table
    other = KNeighborsClassifier(9).fit(X, y)
    both = distilled([forest, other], teacher_weights=[1, 0], alpha=1.0).fit(X, y)
    one = distilled(forest, alpha=1.0).fit(X, y)
    assert_allclose(both.predict_proba(X), one.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("method", ["in_sample", "out_of_fold", "out_of_bag"])
def test_soft_labels_are_given_as_teacher_proba(method, table):
    X, y = table
    how = {"soft_labels": method, "alpha": 0.5}
    one = distilled(small_forest(), **how).fit(X, y)
    proba = soft_labels(small_forest(), X, y, method=method, random_state=0)
    assert (proba.shape, proba.dtype) == (y.shape, np.float32)
    other = distilled(alpha=0.5).fit(X, y, teacher_proba=proba)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("explicit", [True, False])
def test_teacher_proba_without_y_is_learned(explicit, table, forest):
    X, _ = table
    proba = proba_of(forest, X)
    net = student() if explicit else None
    given = DistilledClassifier(student=net, random_state=0)
    given.fit(X, teacher_proba=pd.DataFrame(proba))
    assert given.multilabel_
    expected = DistilledClassifier(forest, net, augmenter=None, random_state=0).fit(X)
    assert_allclose(given.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    chunks = DistilledClassifier(student=net).partial_fit(X, teacher_proba=proba)
    assert chunks.multilabel_


@pytest.mark.parametrize(
    ("params", "problem"),
    [({}, "make_student\\(task='multilabel'\\)"), ({"classes": [0, 1, 2]}, None)],
)
def test_rows_that_sum_to_1_are_classes_unless_the_student_has_labels(
    params, problem, table
):
    X, y = table
    proba = np.full(y.shape, 1 / 3)
    if problem is None:
        clf = DistilledClassifier(**params, random_state=0).fit(X, teacher_proba=proba)
        assert not clf.multilabel_
    else:
        with pytest.raises(ValueError, match=problem):
            DistilledClassifier(**params).fit(X, teacher_proba=proba)
    assert distilled().fit(X, teacher_proba=proba).multilabel_


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"soft_labels": "out_of_bag"},
        {"cv": 3},
        {"calibrate_teacher": "pair"},
        {"fitted": True},
        {"student_columns": [0, 1, 2]},
        {"X_transfer": True, "augmenter": None},
    ],
    ids=str,
)
def test_alpha_and_temperature_are_measured_as_for_classes(how, table):
    X, y = table
    how, extra = dict(how), {}
    teacher = small_forest()
    if how.pop("fitted", False):
        teacher.fit(X[:100], y[:100])
    if how.get("calibrate_teacher"):
        how["calibrate_teacher"] = (X[100:], y[100:])
    if how.pop("X_transfer", False):
        extra = {"X_transfer": X[100:]}
    clf = distilled(teacher, student(), **{"augmenter": "auto"} | how)
    clf.fit(X[:100], y[:100], **extra)
    assert 0 <= clf.alpha_ <= 1
    assert clf.alpha_ != 0.7
    assert 0.05 < clf.teacher_temperature_ < 20
    columns = how.get("student_columns", slice(None))
    assert average_precision_score(y, clf.predict_proba(X[:, columns])) > 0.6


def test_a_good_teacher_gets_more_trust_than_one_that_guesses(table):
    X, y = table

    class Guesses(KNeighborsClassifier):
        def predict_proba(self, X):
            draws = np.random.default_rng(0)
            return [np.tile([1 - p, p], (len(X), 1)) for p in draws.uniform(size=3)]

    how = {"augmenter": "auto", "net": student(max_epochs=2)}
    good = distilled(MultiOutputClassifier(LINEAR), **how).fit(X, y)
    with pytest.warns(UserWarning, match="area under the ROC curve"):
        bad = distilled(Guesses(), **how).fit(X, y)
    assert bad.alpha_ < 0.2 < 0.3 < good.alpha_


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_is_always_the_same_is_predicted(value, table):
    X, y = table
    y = y.copy()
    y[:, 1] = value
    clf = distilled(small_forest(), augmenter="auto").fit(X, y)
    assert abs(clf.predict_proba(X)[:, 1] - value).max() < 0.05
    said = soft_labels(small_forest(), X, y, cv=3)
    assert_array_equal(said[:, 1], value)


def test_a_teacher_that_needs_both_values_says_which_label_lacks_one(table):
    X, y = table
    with pytest.raises(ValueError, match="at least 2 classes") as error:
        distilled(MultiOutputClassifier(LINEAR)).fit(X, y * [1, 0, 1])
    assert "3 labels, of which [1] are the same in all rows" in error.value.__notes__[0]


def test_a_teacher_of_a_single_label_says_what_makes_one_of_several(table):
    with pytest.raises(ValueError, match="y should be a 1d array") as error:
        distilled(LINEAR).fit(*table)
    assert "MultiOutputClassifier makes one of several" in error.value.__notes__[0]


def test_a_label_of_a_single_row_is_learned(table):
    X, y = table
    y = y.copy()
    y[:, 2] = np.arange(len(y)) == 7
    clf = distilled(KNeighborsClassifier(), cv=3, augmenter="auto").fit(X, y)
    assert clf.predict_proba(X)[:, 2].max() < 0.9


def test_two_rows_are_enough(table):
    X, y = table
    clf = distilled(small_forest(), augmenter="auto").fit(X[:2], y[:2])
    assert clf.predict(X[:2]).shape == (2, 3)


def test_rows_without_weight_do_not_count(table, forest):
    X, y = table
    weight = np.r_[np.ones(100), np.zeros(50)]
    wrong = np.r_[y[:100], 1 - y[100:]]
    clf = distilled(forest, alpha=0.5)
    one, other = (
        clone(clf).fit(X, labels, sample_weight=weight).predict_proba(X)
        for labels in (y, wrong)
    )
    assert_allclose(one, other, atol=1e-6)
    other = clone(clf).fit(X, wrong).predict_proba(X)
    assert abs(one - other).max() > 0.1


@pytest.mark.parametrize("kind", [sparse.csr_matrix, list, np.float64, np.bool_])
def test_labels_may_have_any_form(kind, table):
    X, y = table
    given = y.tolist() if kind is list else kind(y)
    found = distilled(small_forest()).fit(X, given).predict_proba(X)
    assert_array_equal(found, distilled(small_forest()).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("library", LIBRARIES)
def test_data_frames_of_labels(library, table):
    frame = pytest.importorskip(library).DataFrame
    X, y = table
    names = dict(zip("abc", y.T, strict=True))
    clf = distilled(small_forest()).fit(X, frame(names))
    assert_array_equal(clf.predict(X), distilled(small_forest()).fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda X, y: (X, 2 * y), "indicator matrix of 0 and 1"),
        (lambda X, y: (X, y + np.arange(3)), "MultiOutputClassifier"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y[:, :2]), "gives 3 labels for each row, and y has 2"),
    ],
)
def test_labels_that_cannot_be_learned(change, problem, table, forest):
    with pytest.raises(ValueError, match=problem):
        distilled(forest).fit(*change(*table))


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"classes": [0, 1, 2]}, "classes is about a class for each row"),
        ({"class_weight": {1: 2}}, "or a list .* for each of the 3 labels"),
        ({"class_weight": [{1: 2}]}, "for each of the 3 labels"),
        ({"class_weight": [{2: 2}] * 3}, "weights of 0 and 1"),
        ({"class_weight": [{1: -1}] * 3}, "finite weights"),
    ],
)
def test_parameters_about_classes_are_refused(params, problem, table, forest):
    with pytest.raises(ValueError, match=problem):
        distilled(forest, **params).fit(*table)


RARE = [{1: 20}, {}, {0: 3, 1: 1}]


def test_a_heavy_label_is_predicted_more_often_and_no_other(table):
    X, y = table
    plain, heavy = (
        distilled(
            small_forest(), student(max_epochs=60), alpha=0.0, class_weight=weights
        )
        for weights in (None, RARE)
    )
    before, after = (
        clf.fit(X, y).predict_proba(X).mean(axis=0) for clf in (plain, heavy)
    )
    assert after[0] > before[0] + 0.1
    assert abs(after[1] - before[1]) < 0.05
    assert after[2] < before[2] - 0.1


@pytest.mark.parametrize("how", [{"alpha": 0.0}, {"alpha": 0.5}, {"cv": 2}], ids=str)
def test_equal_weights_change_nothing(how, table):
    X, y = table
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    one, other = (
        distilled(tree, class_weight=weights, **how).fit(X, y)
        for weights in (None, [{0: 2.0, 1: 2.0}] * 3)
    )
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


def test_balanced_labels_have_the_weights_of_scikit_learn(table, forest):
    X, y = table
    y = np.column_stack([y[:, :2], np.zeros(len(y), int)])  # and one never holds
    present = y[:, :2].mean(axis=0)
    pairs = [{0: 0.5 / (1 - p), 1: 0.5 / p} for p in present]
    one, other = (
        distilled(forest, alpha=0.5, class_weight=weights).fit(X, y)
        for weights in ("balanced", [*pairs, {}])
    )
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("rows", ["made", "chunks", "without labels"])
def test_a_student_follows_its_teacher_most_closely_on_a_heavy_label(
    rows, table, forest
):
    X, y = table

    def errors(class_weight):
        how = {"alpha": 1.0, "calibrate_teacher": None, "class_weight": class_weight}
        clf = distilled(forest, **how)
        if rows == "made":
            clf.set_params(augmenter="auto").fit(X, y)
        elif rows == "chunks":
            for _ in range(10):
                clf.partial_fit(X, y)
        else:
            clf.fit(X)
        return abs(clf.predict_proba(X) - proba_of(forest, X)).mean(axis=0)

    plain, heavy = (errors(w) for w in (None, [{0: 50, 1: 50}, {}, {}]))
    assert heavy[0] < 0.95 * plain[0]
    assert (heavy[1:] > plain[1:]).all()


def test_balanced_weights_need_labels(table, forest):
    with pytest.raises(ValueError, match="requires y"):
        distilled(forest, class_weight="balanced").fit(table[0])


def test_a_class_for_each_row_has_no_list_of_weights(table):
    X, y = table
    with pytest.raises(ValueError, match="pass a dict of weights by class"):
        distilled(LINEAR, make_student(), class_weight=RARE).fit(X, y[:, 0])


def test_an_unfitted_teacher_needs_labels(table):
    with pytest.raises(ValueError, match="requires y"):
        DistilledClassifier(small_forest()).fit(table[0])


def test_a_teacher_of_classes_is_none_of_labels(table):
    X, y = table
    teacher = small_forest().fit(X, y[:, 0])
    for call in (distilled(teacher).fit, partial(soft_labels, teacher)):
        for labels in (y, y[:, :2]):
            with pytest.raises(ValueError, match="gives the classes of one label"):
                call(X, labels)
    with pytest.raises(ValueError, match="for several outputs"):
        DistilledClassifier(small_forest().fit(X, y)).fit(X, y[:, 0])


# Students


@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNet])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_a_net_of_a_persons_own_learns_labels(kind, alpha, table, forest):
    X, y = table
    net = own_net(kind, module__n_features=6, module__n_classes=3)
    clf = distilled(forest, make_pipeline(StandardScaler(), net), alpha=alpha)
    X = X.astype(np.float32)
    clf.fit(X, y)
    proba = clf.predict_proba(X)
    assert average_precision_score(y, proba) > 0.75
    assert (proba.sum(axis=1) != 1).all()


def test_widths_of_a_persons_module_are_set(table, forest):
    X, y = table
    clf = distilled(forest, own_net()).fit(X.astype(np.float32), y)
    assert clf.student_.module_[-1].out_features == 3


@pytest.mark.parametrize("weights", [None, RARE, "rows"], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_skorch_trains_the_same_student_as_the_loop(alpha, weights, table, forest):
    class ByHand(NeuralNetClassifier):
        def get_loss(self, *args, **kwargs):
            return super().get_loss(*args, **kwargs)

    X, y = table
    weight, class_weight = None, weights
    if weights == "rows":
        weight, class_weight = np.linspace(0, 1, len(y)), None
    how = {"alpha": alpha, "temperature": 2.0, "class_weight": class_weight}
    options = {"max_epochs": 3, "iterator_train__shuffle": False}
    one, other = (
        distilled(forest, own_net(kind, **options), **how).fit(
            X.astype(np.float32), y, sample_weight=weight
        )
        for kind in (NeuralNetClassifier, ByHand)
    )
    assert_allclose(
        one.predict_proba(X.astype(np.float32)),
        other.predict_proba(X.astype(np.float32)),
        atol=1e-4,
    )
    for name in ("train_loss", "train_agreement"):
        assert_allclose(one.history_[:, name], other.history_[:, name], rtol=1e-4)


def test_alpha_0_learns_the_labels_alone(table):
    X, y = table
    clf = distilled(alpha=0.0).fit(X, y, teacher_proba=0.4 + 0.1 * y)
    other = distilled(alpha=0.0).fit(X, y, teacher_proba=0.9 * y)
    assert_array_equal(clf.predict_proba(X), other.predict_proba(X))
    last = clf.history_[-1]
    assert last["train_loss"] == pytest.approx(last["train_loss_hard"])


@pytest.mark.parametrize(
    ("net", "problem"),
    [
        (make_student(), "BCEWithLogitsLoss"),
        (own_net(criterion=nn.BCELoss), "BCEWithLogitsLoss"),
        (own_net(NeuralNetBinaryClassifier), "a skorch.NeuralNet with an output for e"),
        (TinyModule(6, 3), "wrap it in a net"),
    ],
    ids=["classes", "probabilities", "binary", "module"],
)
def test_other_nets_are_refused(net, problem, table, forest):
    with pytest.raises(TypeError, match=problem):
        distilled(forest, net).fit(*table)


def test_nets_of_labels_are_refused_for_classes(table):
    X, y = table
    with pytest.raises(TypeError, match="make_student"):
        distilled(small_forest()).fit(X, y[:, 0])


def test_default_net_can_be_fitted_by_itself(table):
    X, y = table
    net = student(max_epochs=40).fit(X, y)
    assert (net.predict(X) == y).mean() > 0.7
    assert_allclose(net.predict_proba(X) > 0.5, net.predict(X))


def test_early_stopping_holds_rows_out(table, forest):
    X, y = table
    clf = distilled(forest, student(early_stopping=True)).fit(X, y)
    assert "valid_loss" in clf.history_[-1]
    net = own_net(train_split=make_student(early_stopping=True)[-1].train_split)
    clf = distilled(forest, net).fit(X.astype(np.float32), y)
    assert "valid_acc" in clf.history_[-1]


@pytest.mark.parametrize("loss", ["jsd", "logit_mse", "dkd", KLLoss(2.0), JSDLoss()])
def test_other_losses_compare_the_two_classes_of_a_label(loss, table, forest):
    X, y = table
    clf = distilled(forest, loss=loss, alpha=0.9).fit(X, y)
    assert average_precision_score(y, clf.predict_proba(X)) > 0.7


def test_losses_on_features_and_relations(table, forest):
    X, y = table
    how = {"feature_loss": "hint", "relation_loss": "similarity"}
    clf = distilled(forest, **how).fit(X, y)
    assert clf.history_[-1]["train_loss_relation"] > 0
    assert average_precision_score(y, clf.predict_proba(X)) > 0.7


# Further trainings


def test_partial_fit_goes_on_with_chunks(table, forest):
    X, y = table
    clf = distilled(forest, alpha=0.5)
    for _ in range(5):
        clf.partial_fit(X[:75], y[:75]).partial_fit(X[75:], y[75:])
    assert average_precision_score(y, clf.predict_proba(X)) > 0.7
    before = clf.predict_proba(X)
    for other in (y[:, 0], y[:, :2]):
        with pytest.raises(ValueError, match=r"indicator matrix|there are 2 labels"):
            clf.partial_fit(X, other)
    assert_array_equal(clf.predict_proba(X), before)


def test_partial_fit_takes_teacher_proba(table):
    X, y = table
    clf = distilled(alpha=0.5)
    for _ in range(3):
        clf.partial_fit(X, y, teacher_proba=0.9 * y)
    clf.set_params(alpha=1.0).partial_fit(X, teacher_proba=0.9 * y)
    assert clf.predict_proba(X).shape == y.shape


def test_a_warm_student_keeps_its_labels(table, forest):
    X, y = table
    clf = distilled(alpha=0.5).set_params(student__net__warm_start=True)
    clf.fit(X, y, teacher_proba=0.9 * y).fit(X, y, teacher_proba=0.9 * y)
    assert len(clf.history_) == 20
    with pytest.raises(ValueError, match="must keep its labels: it had 3"):
        clf.fit(X, y[:, :2], teacher_proba=0.9 * y[:, :2])
    clf.set_params(student=make_student((16,)).set_params(net__warm_start=True))
    with pytest.raises(TypeError, match="one of several labels"):
        clf.fit(X, y[:, 0], teacher_proba=np.eye(2)[y[:, 0]])


def test_files_hold_what_prediction_needs(table, forest, tmp_path):
    X, y = table
    clf = distilled(forest).fit(X, y)
    joblib.dump(clf, tmp_path / "student")
    loaded = joblib.load(tmp_path / "student")
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.predict_log_proba(X), clf.predict_log_proba(X))
    assert (tmp_path / "student").stat().st_size < 50_000


class RankedTeacher(ClassifierMixin, BaseEstimator):
    """A wrapper of a model that gives an array, and has no attributes."""

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-X[:, :3]))


def test_a_wrapper_without_attributes_teaches_labels_by_y(table):
    X, y = table
    clf = distilled(RankedTeacher(), alpha=1.0, calibrate_teacher=None)
    with pytest.warns(UserWarning, match="area under the ROC curve"):
        clf.fit(X, y[::-1])
    assert clf.predict_proba(X).shape == y.shape


def test_scores_of_a_cross_validation(table):
    X, y = table
    clf = distilled(small_forest())
    scores = cross_val_score(clf, X, y, cv=2, scoring="average_precision")
    assert (scores > 0.6).all()


def test_a_torch_module_teaches_labels(table):
    X, _ = table
    module = nn.Linear(6, 3).double()
    teacher = TorchTeacher(module, output="label_logits")
    logits = module(torch.tensor(X)).detach().numpy()
    assert_allclose(teacher.predict_proba(X), 1 / (1 + np.exp(-logits)))
    assert_array_equal(teacher.predict(X), logits > 0)
    assert teacher.score(X, logits > 0) == 1
    assert get_tags(teacher).classifier_tags.multi_label
    assert not hasattr(teacher, "classes_")
    clf = distilled(teacher, student(max_epochs=60), alpha=1.0).fit(X)
    assert (clf.predict(X) == (logits > 0)).mean() > 0.9
