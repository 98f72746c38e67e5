"""Teachers of every kind that the package promises to take."""

import lightgbm
import torch
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from skdistill import DistilledClassifier, TorchTeacher
from skdistill._teachers._features import teacher_features
from tests.conftest import tiny_net


class WithoutFit:
    """What a wrapper of a foundation model may look like."""

    def __init__(self, fitted):
        self.fitted = fitted

    def predict_proba(self, X):
        return self.fitted.predict_proba(X)


class WithoutFitWithClasses(WithoutFit):
    @property
    def classes_(self):
        return self.fitted.classes_


class NotOfScikitLearn:
    """Fits and predicts, and has no base class of scikit-learn's."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class Tokens(nn.Module):
    """Its linear layer sees several rows for each row, so that it has no features."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, X):
        return self.layer(X.reshape(-1, 2)).reshape(len(X), 2, 3).mean(dim=1)


def small_forest(**params):
    defaults = {"n_estimators": 10, "min_samples_leaf": 3, "random_state": 0}
    return RandomForestClassifier(**defaults | params)


def hist_boosting(**params):
    defaults = {"max_iter": 10, "max_leaf_nodes": 5, "min_samples_leaf": 5}
    return HistGradientBoostingClassifier(**defaults | params, random_state=0)


def lightgbm_classifier(**params):
    defaults = {"n_estimators": 10, "num_leaves": 6, "min_child_samples": 5}
    return lightgbm.LGBMClassifier(**defaults | params, n_jobs=1, verbose=-1)


def xgboost_classifier(**params):
    return xgboost.XGBClassifier(n_estimators=10, max_depth=2, n_jobs=1, **params)


def perceptron(**params):
    """Return an unfitted perceptron that stops soon, and does not mind."""
    defaults = {
        "hidden_layer_sizes": (8,),
        "learning_rate_init": 0.05,
        "tol": 1.0,
        "n_iter_no_change": 30,
        "random_state": 0,
    }
    return MLPClassifier(**defaults | params)


def scaled(*steps):
    return make_pipeline(StandardScaler(), *steps)


def net(**params):
    """Return an unfitted net for rows of 4 features in 3 classes."""
    return tiny_net(**{"module__n_features": 4, "module__n_classes": 3} | params)


def torch_teacher(X, y):
    """Return the torch form of a logistic regression that was fitted on the data."""
    fitted = LogisticRegression().fit(X, y)
    module = nn.Linear(X.shape[1], 3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(fitted.coef_))
        module.bias.copy_(torch.tensor(fitted.intercept_))
    return TorchTeacher(module, classes=fitted.classes_)


def features_of(teacher, X, how="auto", reduction=None):
    return teacher_features(teacher, X, how, reduction)[0]


UNFITTED = {
    "logistic regression": LogisticRegression,
    "naive Bayes": GaussianNB,
    "forest": small_forest,
    "histogram boosting": hist_boosting,
    "LightGBM": lightgbm_classifier,
    "XGBoost": xgboost_classifier,
    "perceptron": perceptron,
    "neighbors by kd_tree": lambda: KNeighborsClassifier(9, algorithm="kd_tree"),
    "neighbors by ball_tree": lambda: KNeighborsClassifier(9, algorithm="ball_tree"),
    "neighbors by brute force": lambda: KNeighborsClassifier(9, algorithm="brute"),
    "pipeline": lambda: scaled(LogisticRegression()),
    "calibrated SVM": lambda: CalibratedClassifierCV(LinearSVC(), cv=3),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    "stack": lambda: StackingClassifier([("lr", LogisticRegression())], cv=2),
    "net": lambda: net(),
    "student": lambda: DistilledClassifier(LogisticRegression(), net(), random_state=0),
}

FITTED = {
    **{kind: lambda X, y, new=new: new().fit(X, y) for kind, new in UNFITTED.items()},
    "frozen": lambda X, y: FrozenEstimator(LogisticRegression().fit(X, y)),
    "TorchTeacher": torch_teacher,
    "without fit": lambda X, y: WithoutFitWithClasses(LogisticRegression().fit(X, y)),
    "not of scikit-learn": lambda X, y: NotOfScikitLearn().fit(X, y),
}
