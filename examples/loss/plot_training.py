"""
Watch the two terms of the loss
===============================

The loss has a soft term, which compares the student with its teacher, and a hard term,
which compares it with the labels. ``history_`` has both for each epoch. The curves show
when a student has learned what its teacher says, for the wines of scikit-learn.
"""

# %%
# A history
# ---------
# ``agreement`` is the share of rows for which student and teacher predict the same
# class. The temperature falls during the training: a schedule takes the place of the
# number.

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from skdistill import DistilledClassifier
from skdistill.inspection import TrainingDisplay
from skdistill.schedules import LinearSchedule

X, y = load_wine(return_X_y=True)
forest = RandomForestClassifier(300, random_state=0).fit(X, y)
clf = DistilledClassifier(
    forest, temperature=LinearSchedule(4.0, 1.0), random_state=0
).fit(X, y)
clf.history_.to_frame().iloc[[0, 1, -1]]

# %%
# The curves
# ----------
# The soft term is multiplied by the square of the temperature, so that its gradients
# keep their scale while the temperature falls.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
TrainingDisplay.from_estimator(clf, ax=axes[0])
TrainingDisplay.from_estimator(clf, kind="agreement", ax=axes[1])
axes[2].plot(clf.history_[:, "temperature"], color="0.3")
axes[2].set(xlabel="epoch", ylabel="temperature")
fig.show()
