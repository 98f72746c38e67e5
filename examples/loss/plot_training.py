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
from skdistill.schedules import LinearSchedule

X, y = load_wine(return_X_y=True)
forest = RandomForestClassifier(300, random_state=0).fit(X, y)
clf = DistilledClassifier(
    forest, temperature=LinearSchedule(4.0, 1.0), random_state=0
).fit(X, y)
columns = ["train_loss_soft", "train_loss_hard", "train_agreement", "temperature"]
history = dict(zip(columns, zip(*clf.history_[:, columns], strict=True), strict=True))
for name, values in history.items():
    print(f"{name:16} first {values[0]:.3f}  last {values[-1]:.3f}")

# %%
# The curves
# ----------
# The soft term is multiplied by the square of the temperature, so that its gradients
# keep their scale while the temperature falls.

fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
axes[0].plot(history["train_loss_soft"], label="soft term")
axes[0].plot(history["train_loss_hard"], "--", label="hard term")
axes[0].set(yscale="log", ylabel="loss")
axes[0].legend()
axes[1].plot(history["train_agreement"])
axes[1].set(ylabel="agreement with the teacher")
axes[2].plot(history["temperature"])
axes[2].set(ylabel="temperature")
for ax in axes:
    ax.set_xlabel("epoch")
    ax.grid(alpha=0.3)
fig.show()
