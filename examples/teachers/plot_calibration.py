"""
Calibrate a teacher before it teaches
=====================================

A forest is not confident enough, and naive Bayes is too confident. ``fit`` divides the
teacher's logits by one number, so that a student does not learn the wrong confidence.
The bars show the log loss of teachers and students with and without it.
"""

# %%
# Two teachers that are wrong in opposite ways
# --------------------------------------------
# With ``calibrate_teacher="out_of_fold"``, the number is the one that minimizes the log
# loss of held-out rows. With "auto", the default, nets that are trained on the labels
# estimate it. ``teacher_temperature_`` is the number. The rows are the Breast Cancer
# Wisconsin data of scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from skdistill import DistilledClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
teachers = {
    "random forest": RandomForestClassifier(300, min_samples_leaf=3, random_state=0),
    "naive Bayes": GaussianNB(),
}
ways = {"None": None, '"auto"': "auto", '"out_of_fold"': "out_of_fold"}

losses = {}
for name, teacher in teachers.items():
    losses[name, "teacher"] = log_loss(
        y_test, teacher.fit(X_train, y_train).predict_proba(X_test)
    )
    for way, value in ways.items():
        student = DistilledClassifier(
            teacher, calibrate_teacher=value, random_state=0
        ).fit(X_train, y_train)
        losses[name, way] = log_loss(y_test, student.predict_proba(X_test))
        temperature = getattr(student, "teacher_temperature_", 1.0)
        print(f"{name:14} {way:14} divided by {temperature:.2f}")

# %%
# The log losses
# --------------

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
bars = ["teacher", *ways]
colors = ["#D55E00", "#9ECAE1", "#4292C6", "#0072B2"]  # shades of blue for students
for i, (bar, color) in enumerate(zip(bars, colors, strict=True)):
    label = bar if bar == "teacher" else f"student, calibrate_teacher={bar}"
    ax.barh(
        np.arange(2) + 0.2 * i, [losses[t, bar] for t in teachers], 0.18,
        color=color, label=label,
    )  # fmt: skip
ax.set_yticks(np.arange(2) + 0.3, teachers)
ax.set_xlabel("log loss of rows that no model has seen")
ax.invert_yaxis()
ax.legend(fontsize=9)
fig.show()
