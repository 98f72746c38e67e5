"""
A few labels and many rows without
==================================

Labels are often expensive, and rows are not. A teacher that is fitted on the labeled
rows can label all other rows for the student. The curves show the log loss against the
number of labels: who visits a doctor within a year?
"""

# %%
# People with and without labels
# ------------------------------
# The data are from the Health Insurance Experiment of the RAND Corporation, which is in
# the public domain and bundled with statsmodels. We know the labels of a few people
# only, and the other columns of all.

import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from statsmodels.datasets import randhie

from skdistill import DistilledClassifier, make_student

data = randhie.load_pandas().data
X_known, X_test, y_known, y_test = train_test_split(
    data.drop(columns="mdvis"), data["mdvis"] > 0, train_size=7000, random_state=0
)

# %%
# Three nets
# ----------
# ``X_transfer`` takes the rows without labels. ``augmenter=None`` makes no further
# rows. For each number of labels, we draw the labeled rows three times.

names = ["teacher", "net on labels", "student of labeled rows", "student of all rows"]
numbers = [300, 1000, 3000]
losses = np.zeros((len(names), len(numbers), 3))
for (column, n), seed in itertools.product(enumerate(numbers), range(3)):
    X, X_rest, y, _ = train_test_split(
        X_known, y_known, train_size=n, stratify=y_known, random_state=seed
    )
    teacher = RandomForestClassifier(200, random_state=seed).fit(X, y)
    net = make_student(early_stopping=True)
    alone = DistilledClassifier(teacher, net, alpha=0, random_state=seed)
    student = DistilledClassifier(teacher, augmenter=None, random_state=seed)
    models = [
        teacher,
        alone.fit(X, y),
        clone(student).fit(X, y),
        clone(student).fit(X, y, X_transfer=X_rest),
    ]
    losses[:, column, seed] = [
        log_loss(y_test, m.predict_proba(X_test)) for m in models
    ]

# %%
# The curves
# ----------
# The log losses are means over the three draws.

fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
colors = ["#D55E00", "#E69F00", "#56B4E9", "#0072B2"]
for name, style, color, loss in zip(
    names, ["--", "v-", "s-", "o-"], colors, losses, strict=True
):
    ax.plot(numbers, loss.mean(axis=1), style, color=color, label=name)
ax.set(xscale="log", xlabel="labeled rows", ylabel="log loss of unseen people")
ax.set_xticks(numbers, map(str, numbers))
ax.minorticks_off()
ax.grid(alpha=0.3)
fig.legend(loc="outside right center")
fig.show()
