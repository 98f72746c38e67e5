"""
One student of several teachers
===============================

An ensemble of different models is often better than each of them, and slow. A list of
teachers becomes one student. The bars compare the log losses of the teachers, of
their mean and of the student, on the wines of scikit-learn.
"""

# %%
# Three teachers of different kinds
# ---------------------------------
# Each is a pipeline with the preprocessing that it needs. The teachers are not fitted,
# so that each split fits them on its training rows alone. The last model but one is the
# net of the student without a teacher.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdistill import DistilledClassifier, make_student

X, y = load_wine(return_X_y=True)
teachers = {
    "trees": ExtraTreesClassifier(200, random_state=0),
    "neighbors": make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
}
models = {
    **teachers,
    "mean of the three": VotingClassifier(list(teachers.items()), voting="soft"),
    "net on labels": DistilledClassifier(
        teachers["trees"], make_student(early_stopping=True), alpha=0, random_state=0
    ),
    "student of the three": DistilledClassifier(
        list(teachers.values()), random_state=0
    ),
}

cv = StratifiedKFold(5, shuffle=True, random_state=0)
scores = {
    name: -cross_val_score(model, X, y, cv=cv, scoring="neg_log_loss")
    for name, model in models.items()
}
for name, score in scores.items():
    print(f"{name:22} log loss {score.mean():.3f}")

# %%
# The log losses
# --------------
# A point is one of five splits.

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for i, (name, score) in enumerate(scores.items()):
    kinds = {"net on labels": "#E69F00", "student of the three": "#0072B2"}
    ax.barh(name, score.mean(), color=kinds.get(name, "#D55E00"))  # or a teacher
    ax.plot(score, np.full(len(score), i), "k.", markersize=5)
ax.invert_yaxis()
ax.set_xlabel("log loss, 5 splits (less is better)")
fig.show()
