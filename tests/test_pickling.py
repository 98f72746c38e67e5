"""A file of a fitted estimator: small, without its teacher, and the same in bits."""

import copy
import io
import os
import pickle
import subprocess
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import default_collate

from skdistill import DistilledClassifier, make_student
from skdistill._training._prediction import is_trimmed
from skdistill.augmentation import MUNGE, Mixture, Mixup
from skdistill.schedules import LinearSchedule
from tests import conftest
from tests.conftest import small_student, tiny_net
from tests.kinds import net

X, y = load_iris(return_X_y=True)
PROBA = 0.7 * np.eye(3)[y] + 0.1


def distilled(teacher=None, student=None, **params):
    student = small_student(max_epochs=3) if student is None else student
    return conftest.distilled(teacher, student, **params)


@pytest.fixture(scope="module")
def forest():
    return RandomForestClassifier(20, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def fitted(forest):
    return distilled(forest).fit(X, y)


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


ROUND_TRIPS = {
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "cloudpickle": lambda e: pickle.loads(cloudpickle.dumps(e)),
    "joblib": by_joblib,
}


@pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_predictions_survive_to_the_bit(fitted, round_trip):
    loaded = round_trip(fitted)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        for rows in (X, X[:1]):
            assert_array_equal(
                getattr(loaded, method)(rows), getattr(fitted, method)(rows)
            )
    assert [e["train_loss"] for e in loaded.history_] == [
        e["train_loss"] for e in fitted.history_
    ]


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.filterwarnings("ignore::FutureWarning:torch")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:torch")  # from Python 3.13 on
def test_a_compiled_student_predicts_the_same_from_a_file():
    net = tiny_net(compile=True, compile__backend="eager", max_epochs=1)
    clf = distilled(student=net).fit(X, y, teacher_proba=PROBA)
    proba = clf.predict_proba(X)
    assert hasattr(clf.student_.criterion_, "_orig_mod")
    logits = clf.student_.forward(X.astype(np.float32)).double()
    assert_allclose(proba, logits.softmax(dim=1), rtol=1e-5)
    assert_array_equal(ROUND_TRIPS["pickle"](clf).predict_proba(X), proba)


@pytest.mark.slow
def test_predictions_in_a_new_process_are_the_same_to_the_bit(fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "student.joblib")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import joblib, numpy as np\n"
        "clf = joblib.load('student.joblib')\n"
        "np.save('proba.npy', clf.predict_proba(np.load('X.npy')))\n"
    )
    same_code = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, env=same_code, check=True)
    assert_array_equal(np.load(tmp_path / "proba.npy"), fitted.predict_proba(X))


@pytest.mark.parametrize("wrap", ["in a pipeline", "best_estimator_"])
def test_the_file_is_little_more_than_the_weights(forest, wrap):
    clf = make_pipeline(distilled(forest, make_student(max_epochs=1)))
    if wrap == "best_estimator_":
        search = GridSearchCV(clf, {"distilledclassifier__alpha": [0.5]}, cv=2)
        clf = search.fit(X, y).best_estimator_
    module = clf.fit(X, y)[-1].student_[-1].module_
    weights = sum(4 * p.numel() for p in module.parameters())
    assert len(pickle.dumps(clf)) < 1.5 * weights + 16 * 1024


def test_the_teacher_fitted_inside_is_not_in_the_file():
    clf = distilled(RandomForestClassifier(5)).fit(X, y)
    assert clf.teacher_.n_features_in_ == X.shape[1]
    loaded = pickle.loads(pickle.dumps(clf))
    assert not hasattr(loaded, "teacher_")
    assert b"RandomForestClassifier" in pickle.dumps(clf)  # its name alone
    assert b"sklearn.ensemble" not in pickle.dumps(clf)


def test_making_a_file_leaves_the_living_estimator_whole(forest, fitted):
    pickle.dumps(fitted)
    assert fitted.teacher is forest
    assert fitted.student_[-1].optimizer_ is not None
    assert fitted.student_[-1].history[0]["batches"]


def test_a_loaded_copy_has_a_repr_parameters_and_clones(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    assert "RandomForestClassifier, left out of the file" in repr(loaded)
    assert "left out of the file" in loaded._repr_html_()
    assert loaded.get_params()["student__net__max_epochs"] == 3
    assert repr(clone(loaded)) == repr(loaded)
    assert clone(loaded).get_params().keys() == loaded.get_params().keys()
    again = pickle.loads(pickle.dumps(loaded))
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("again", [lambda e: e, clone], ids=["itself", "clone"])
def test_refitting_without_the_teacher_says_what_to_do(fitted, again):
    loaded = again(pickle.loads(pickle.dumps(fitted)))
    with pytest.raises(ValueError, match=r"set_params\(teacher=\.\.\.\)"):
        loaded.fit(X, y)


def test_a_loaded_copy_learns_again_from_a_new_teacher(forest, fitted):
    loaded = pickle.loads(pickle.dumps(fitted)).set_params(teacher=forest).fit(X, y)
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_training_a_loaded_copy_on_is_refused():
    clf = distilled(classes=range(3), alpha=1.0).partial_fit(X, teacher_proba=PROBA)
    loaded = pickle.loads(pickle.dumps(clf))
    with pytest.raises(ValueError, match=r"cannot be trained on.*pickle_teacher=True"):
        loaded.partial_fit(X, teacher_proba=PROBA)


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({"teacher": "forest"}, {}),
        ({"teacher": "forest", "feature_loss": "vid"}, {}),
        ({"alpha": LinearSchedule(0.2, 0.9), "classes": range(3)}, {"teacher_proba"}),
    ],
    ids=["labels", "leaves", "teacher_proba"],
)
def test_with_its_teacher_a_copy_is_trained_on_as_the_original(forest, params, given):
    if "teacher" in params:
        params = params | {"teacher": forest}
    here = distilled(**params, pickle_teacher=True)
    there = clone(here)
    for start in range(3):  # of each class, 50 rows follow one another
        rows = slice(start, None, 3)
        proba = dict.fromkeys(given, PROBA[rows])
        here.partial_fit(X[rows], y[rows], **proba)
        # So dask-ml sends an estimator from one worker to another.
        there = pickle.loads(pickle.dumps(there.partial_fit(X[rows], y[rows], **proba)))
    assert len(there.history_) == 3
    assert_array_equal(there.predict_proba(X), here.predict_proba(X))
    small = there.set_params(pickle_teacher=False)
    assert is_trimmed(pickle.loads(pickle.dumps(small)).student_[-1])


def test_with_its_teacher_a_copy_is_fitted_again(forest):
    clf = distilled(clone(forest), pickle_teacher=True).fit(X, y)
    loaded = pickle.loads(pickle.dumps(clf))
    assert_array_equal(loaded.teacher_.predict(X), clf.teacher_.predict(X))
    assert_array_equal(loaded.fit(X, y).predict_proba(X), clf.predict_proba(X))


class Heavy(GaussianNB):
    """Carries a table as heavy as a forest."""

    def fit(self, X, y):
        self.table_ = np.zeros(100 * 10**6 // 8)
        return super().fit(X, y)


def test_a_heavy_teacher_that_travels_again_warns_of_its_size():
    heavy = Heavy().fit(X, y)
    pickle.dumps(DistilledClassifier(heavy))
    for again in (DistilledClassifier(heavy), DistilledClassifier([heavy])):
        with pytest.warns(
            UserWarning, match=r"Heavy .* 100 MB .*GridSearchCV.*teacher_proba="
        ):
            pickle.dumps(again)


@pytest.mark.filterwarnings("error")
def test_what_is_light_or_stays_here_warns_of_no_size(forest):
    heavy = Heavy().fit(X, y)
    clf = distilled(heavy).fit(X, y)
    for _ in range(3):
        copy.deepcopy(clf)
        pickle.dumps(clf)
        pickle.dumps(DistilledClassifier(forest))
        pickle.dumps(DistilledClassifier(Heavy()))
    pickle.dumps(DistilledClassifier(heavy))  # once, as to a file


class Big:
    """A function of features that holds something heavy."""

    def __init__(self):
        self.table = np.zeros(10**6)

    def __call__(self, teacher, X):
        return X


def own_loss(student, teacher):
    return (student.mean(dim=1) - teacher.mean(dim=1)).square().mean()


def test_a_file_is_free_of_code_that_training_alone_needs(forest, fitted):
    clf = distilled(
        forest,
        loss=[(lambda s, t: (s - t).square().mean(), 1.0), ("kl", 0.5)],
        relation_loss=own_loss,
        teacher_features=Big(),
        temperature=lambda epoch, n_epochs: 2.0,
        alpha=LinearSchedule(0.5, 1.0),
    ).fit(X, y)
    file = pickle.dumps(clf)
    assert len(file) < len(pickle.dumps(fitted)) + 4096
    loaded = pickle.loads(file)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.alpha.stop == 1.0
    assert loaded.loss[1] == ("kl", 0.5)
    assert repr(loaded.relation_loss) == "<own_loss, left out of the file>"
    assert clf.relation_loss is own_loss

    again = clone(loaded).set_params(teacher=forest, temperature=2.0)
    missing = (
        r"its loss, relation_loss, teacher_features\. .*set_params\(loss=\.\.\., re"
    )
    with pytest.raises(ValueError, match=missing):
        again.fit(X, y)
    params = {"loss": "kl", "relation_loss": None, "teacher_features": "auto"}
    again.set_params(**params).fit(X, y)


def test_a_generator_of_batches_is_left_out_of_the_file(forest):
    student = small_student(max_epochs=2)
    student.set_params(net__iterator_train__generator=torch.Generator())
    clf = distilled(forest, student=student).fit(X, y)

    loaded = pickle.loads(pickle.dumps(clf))

    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert "Generator, left out of the file" in repr(loaded.student)


MARK = np.full(5000, 0.123)  # data of the person's own


class Own:
    """Does what a person's own loss, schedule, augmenter and the like do."""

    n_copies = 1

    def __init__(self):
        self.data = MARK

    def __call__(self, *args):
        if len(args) == 2 and isinstance(args[0], int):  # the epoch, and their number
            return 0.5
        return own_loss(*args) if isinstance(args[0], torch.Tensor) else args[1]

    def sample(self, X, n_rows, random_state):
        return X[:n_rows]


class OwnFolds(KFold):
    """A splitter with data."""

    def __init__(self):
        super().__init__(3)
        self.data = MARK


class OwnAdam(torch.optim.Adam):
    """An optimizer of the person's own."""


class OwnCriterion(nn.CrossEntropyLoss):
    """A criterion of the person's own."""


class OwnCallback(Callback):
    """A callback with data."""

    def __init__(self, data=MARK):
        self.data = data


def own_collate(items):
    return default_collate(items)


def linear_net(**params):
    """Return a net whose module is wherever a file is read."""
    return tiny_net(
        module=nn.Sequential(nn.Linear(4, 64), nn.Linear(64, 3)), max_epochs=1, **params
    )


def own_net():
    return linear_net(
        callbacks=[("own", OwnCallback())],
        criterion=OwnCriterion,
        optimizer=OwnAdam,
        iterator_train__collate_fn=own_collate,
        train_split=predefined_split(
            Dataset(MARK.reshape(-1, 4).astype("f4"), [0] * 1250)
        ),
    )


HOLDS = {
    "student": own_net,
    **dict.fromkeys(["temperature", "alpha", "loss", "teacher_features"], Own),
    **dict.fromkeys(["feature_loss", "relation_loss", "augmenter"], Own),
    "cv": OwnFolds,
    "calibrate_teacher": lambda: (MARK[:600].reshape(-1, 4).tolist(), [0, 1, 2] * 50),
    "memory": lambda: "a_folder_of_mine",
}
HOLDS_NO_OTHERS = {
    *("teacher", "feature_weight", "relation_weight", "student_layer", "soft_labels"),
    *("teacher_weights", "classes", "class_weight", "proba_clip", "pickle_teacher"),
    *("n_jobs", "random_state", "verbose", "student_columns"),
}


class Elsewhere(pickle.Unpickler):
    """Loads where the modules of the tests are not."""

    def find_class(self, module, name):
        assert module.partition(".")[0] != "tests", name
        return super().find_class(module, name)


@pytest.mark.filterwarnings("ignore::UserWarning:tests")
@pytest.mark.parametrize("name", HOLDS)
def test_a_file_holds_nothing_of_a_parameter_that_prediction_needs(
    name, forest, tmp_path
):
    given = HOLDS[name]()
    params = {"student": linear_net(), "relation_loss": "rkd", name: given}
    clf = distilled(forest, **params)
    if name == "memory":
        clf.memory = str(tmp_path / given)
    clf.fit(X, y)
    file = pickle.dumps(clf)
    loaded = Elsewhere(io.BytesIO(file)).load()
    for secret in (MARK[:9].tobytes(), MARK[:9].astype("f4").tobytes(), b"_of_mine"):
        assert secret not in file
    assert len(file) < 30_000
    assert getattr(clf, name) is given or name == "memory"
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    if name != "memory":
        with pytest.raises(ValueError, match=rf"without its .*{name}.*{name}.*=\.\.\."):
            loaded.set_params(teacher=clf.teacher).fit(X, y)


class Watch:
    """A callback of scikit-learn with data."""

    def __init__(self):
        self.data = MARK

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = on_fit_task_end = setup


@pytest.mark.skipif(
    not hasattr(DistilledClassifier, "set_callbacks"),
    reason="scikit-learn has callbacks since 1.9",
)
def test_a_file_holds_no_callbacks_of_scikit_learn(forest):
    clf = distilled(forest).set_callbacks(Watch()).fit(X, y)
    file = pickle.dumps(clf)
    loaded = Elsewhere(io.BytesIO(file)).load()
    assert len(file) < 30_000
    loaded.set_params(teacher=forest).fit(X, y)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_it_is_known_of_each_parameter_whether_a_file_holds_it():
    assert HOLDS.keys() | HOLDS_NO_OTHERS == DistilledClassifier().get_params().keys()


def test_what_a_file_holds_of_a_parameter_trains_a_copy_as_before(forest):
    params = {"cv": KFold(3, shuffle=True, random_state=0), "alpha": 0.5}
    augmenter = Mixture([MUNGE(p=0.2), Mixup()], n_copies=2)
    clf = distilled(forest, augmenter=augmenter, **params).fit(X, y)
    loaded = pickle.loads(pickle.dumps(clf)).set_params(teacher=forest)
    proba = loaded.predict_proba(X)
    assert_array_equal(loaded.fit(X, y).predict_proba(X), proba)
    holding = clf.set_params(augmenter=Mixture([MUNGE(), Own()]))
    loaded = pickle.loads(pickle.dumps(holding))
    assert repr(loaded.augmenter) == "<Mixture, left out of the file>"


@pytest.mark.parametrize("missing", [False, True])
def test_a_loaded_copy_takes_missing_values_as_before(missing):
    teacher = make_pipeline(SimpleImputer(), GaussianNB()).fit(X, y)
    rows = X.copy()
    rows[::7, 2] = np.nan if missing else 0.0
    clf = distilled(teacher).fit(rows, y)
    loaded = pickle.loads(pickle.dumps(clf))
    assert get_tags(loaded).input_tags.allow_nan is missing
    assert_array_equal(loaded.predict(rows), clf.predict(rows))


def test_an_unfitted_estimator_pickles_whole(forest):
    loaded = pickle.loads(pickle.dumps(DistilledClassifier(forest)))
    assert_array_equal(loaded.teacher.predict_proba(X), forest.predict_proba(X))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_in_this_process_keep_the_teacher(fitted, copied):
    new = copied(fitted)
    assert type(new.teacher) is RandomForestClassifier
    assert_array_equal(new.predict_proba(X), fitted.predict_proba(X))


def test_a_deep_copy_of_what_holds_itself_holds_the_copy(fitted):
    clf = copy.copy(fitted)
    clf.own = clf
    new = copy.deepcopy(clf)
    assert new.own is new


@pytest.mark.parametrize(
    ("criterion", "last"),
    [(nn.CrossEntropyLoss, nn.Identity()), (nn.NLLLoss, nn.Softmax(dim=1))],
)
def test_a_loaded_student_gives_probabilities_by_itself(criterion, last):
    module = nn.Sequential(nn.Linear(4, 3), last)
    net = tiny_net(module=module, criterion=criterion, max_epochs=2)
    clf = distilled(GaussianNB().fit(X, y), net).fit(X, y)
    student = pickle.loads(pickle.dumps(clf)).student_
    proba = student.predict_proba(X.astype(np.float32))
    assert_allclose(proba, clf.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("whole", [False, True])
def test_another_version_warns_at_loading(fitted, monkeypatch, whole):
    clf = copy.copy(fitted).set_params(pickle_teacher=whole)
    file = pickle.dumps(clf)
    monkeypatch.setattr(torch, "__version__", "0.4.1")
    with pytest.warns(
        UserWarning, match=r"pickled with torch .* loaded with .* 0\.4\.1"
    ):
        pickle.loads(file)


def test_another_build_of_the_same_version_does_not_warn(fitted, monkeypatch):
    file = pickle.dumps(fitted)
    public = torch.__version__.partition("+")[0]
    monkeypatch.setattr(torch, "__version__", f"{public}+cu999")
    pickle.loads(file)


@pytest.mark.parametrize("piped", [False, True])
def test_a_prototype_that_was_fitted_does_not_make_the_file_larger(forest, piped):
    fitted = net().fit(X.astype(np.float32), y)
    sizes = []
    for student in (clone(fitted), fitted):
        student = make_pipeline(StandardScaler(), student) if piped else student
        clf = distilled(forest, student).fit(X, y)
        sizes.append(len(pickle.dumps(clf)))
    assert sizes[1] == pytest.approx(sizes[0], abs=20)
    assert fitted.initialized_
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X), clf.predict(X))
