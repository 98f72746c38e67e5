"""
Compare the losses on logits
============================

Seven losses compare the probabilities of student and teacher in different ways. The
points show what each of them changes, compared with the default, "kl": on a small data
set, most differences are no larger than their standard errors.
"""

# %%
# Seven parties and a forest
# --------------------------
# The American National Election Studies of 1996 asked 944 people which of seven grades
# between Democrat and Republican they feel. The data are bundled with statsmodels. Many
# people answer differently than their other answers suggest, so there is noise, and the
# order of the classes is informative.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from statsmodels.datasets import anes96

from skdistill import DistilledClassifier
from skdistill.losses import DKDLoss

data = anes96.load_pandas().data
X, y = data.drop(columns=["PID", "vote"]), data["PID"].astype(int)
losses = {
    "kl": "kl",
    "jsd": "jsd",
    "dist": "dist",
    "nkd": "nkd",
    "logit_mse": "logit_mse",
    "standardized": [("standardized", 9.0)],
    "dkd": DKDLoss(warmup_epochs=3),
}

# %%
# Four splits
# -----------
# All students of a split have the same teacher. ``fit`` asks it only once, and reuses
# its soft labels.

n_splits = 4
scores = np.zeros((2, len(losses), n_splits))
for seed in range(n_splits):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=seed
    )
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=seed)
    forest.fit(X_train, y_train)
    for row, loss in enumerate(losses.values()):
        clf = DistilledClassifier(forest, loss=loss, random_state=seed)
        proba = clf.fit(X_train, y_train).predict_proba(X_test)
        scores[0, row, seed] = 100 * clf.score(X_test, y_test)
        scores[1, row, seed] = log_loss(y_test, proba)

# %%
# The differences to "kl"
# -----------------------
# A line is the standard error over the splits.

gains = scores - scores[:, :1]
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
titles = ["points of accuracy (more is better)", "log loss (less is better)"]
for ax, gain, title in zip(axes, gains, titles, strict=True):
    error = gain.std(axis=1) / np.sqrt(n_splits - 1)
    ax.errorbar(gain.mean(axis=1), list(losses), xerr=error, fmt="o", color="#0072B2")
    ax.axvline(0, color="0.6", linewidth=1)
    ax.set_xlabel(title)
    ax.grid(alpha=0.3)
axes[0].invert_yaxis()
fig.show()
