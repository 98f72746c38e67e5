"""
Students of four regressors
===========================

How good is a student of numbers, beside its teacher, and beside the same net without a
teacher? The points are errors of predictions of the progress of diabetes, for teachers
of four kinds. Each student got its teacher unfitted, so that the weight of the teacher
was measured.
"""

# %%
# Four teachers and their students
# --------------------------------
# Scikit-learn's data set has 442 patients. Five splits hold 89 of them out.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledRegressor, make_student

X, y = load_diabetes(return_X_y=True)
kernel = 0.5 * RBF(5.0) + WhiteKernel(0.5)
process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
teachers = {
    "extra trees": ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0),
    "boosted trees": HistGradientBoostingRegressor(max_iter=50, random_state=0),
    "linear": RidgeCV(),
    "Gaussian process": make_pipeline(StandardScaler(), process),
}
alone = DistilledRegressor(
    student=make_student(task="regression", early_stopping=True),
    alpha=0,
    random_state=0,
)
# "The teacher looks worse than nets": the student then follows the nets.
warnings.filterwarnings("ignore", "the teacher looks worse")

errors = {name: [] for name in teachers}
weights = {name: [] for name in teachers}
for train, test in ShuffleSplit(5, test_size=0.2, random_state=0).split(X):
    alone.fit(X[train], y[train], teacher_pred=y[train])
    of_net = root_mean_squared_error(y[test], alone.predict(X[test]))
    for name, teacher in teachers.items():
        student = DistilledRegressor(clone(teacher), random_state=0)
        student.fit(X[train], y[train])
        fitted = clone(teacher).fit(X[train], y[train])
        of_both = [
            root_mean_squared_error(y[test], model.predict(X[test]))
            for model in (fitted, student)
        ]
        errors[name].append([*of_both, of_net])
        weights[name].append(student.alpha_)

# %%
# The errors
# ----------
# A small point is one of five splits.

fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for i, values in enumerate(errors.values()):
    for j, model in enumerate(["teacher", "student", "net without a teacher"]):
        of_model, place = np.array(values)[:, j], i + 0.2 * (j - 1)
        color = ["#D55E00", "#0072B2", "#E69F00"][j]
        ax.plot(of_model, np.full(len(of_model), place), ".", color=color, markersize=4)
        ax.plot(
            of_model.mean(), place, "os^"[j], color=color, label=None if i else model
        )
labels = [f"{name}\nalpha {np.mean(weights[name]):.2f}" for name in errors]
ax.set_yticks(range(len(errors)), labels)
ax.invert_yaxis()
ax.set_xlabel("root mean squared error, 5 splits (less is better)")
fig.legend(loc="outside upper center", ncols=3, frameon=False)
fig.show()
