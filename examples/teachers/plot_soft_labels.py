"""
Why a forest should not label its own training rows
===================================================

Trees that are grown to the end remember their training rows: they predict them with a
probability of 1, so their soft labels add nothing to the labels. Out-of-fold soft
labels say how certain the teacher is about rows that it has not seen. The histograms
show the difference.
"""

# %%
# Three ways to label the same rows
# ---------------------------------
# :func:`~skdistill.soft_labels` returns the soft labels that ``fit`` would use. The
# rows are the Breast Cancer Wisconsin data of scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import entropy
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdistill import soft_labels

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
trees = ExtraTreesClassifier(300, random_state=0)
forest = RandomForestClassifier(300, random_state=0)

labels = {
    "in-sample": soft_labels(trees.fit(X_train, y_train), X_train),
    "out-of-fold": soft_labels(trees, X_train, y_train, method="out_of_fold", cv=5),
    "out-of-bag (random forest)": soft_labels(
        forest, X_train, y_train, method="out_of_bag"
    ),
    "rows that the trees have not seen": trees.predict_proba(X_test),
}

# %%
# The entropy of a soft label is 0 if the teacher is certain.

for name, proba in labels.items():
    print(f"{name:34} mean entropy {entropy(proba, axis=1).mean():.3f}")

# %%
# The probabilities
# -----------------

fig, axes = plt.subplots(2, 2, figsize=(8, 4.5), sharex=True, layout="constrained")
for ax, (name, proba) in zip(axes.flat, labels.items(), strict=True):
    share = np.full(len(proba), 1 / len(proba))
    ax.hist(proba[:, 1], bins=20, range=(0, 1), weights=share, color="#D55E00")
    ax.set_title(name, fontsize=10)
for ax in axes[1]:
    ax.set_xlabel("probability of benign")
for ax in axes[:, 0]:
    ax.set_ylabel("share of rows")
fig.show()
