"""
New rows for the teacher to label
=================================

The probabilities of a teacher for its own training rows often repeat the labels. Those
for new rows contain more information, so ``fit`` makes new rows for it to label. The
pictures show such rows for three species of iris, and how the log loss of the student
falls with their number.
"""

# %%
# Measured rows and made rows
# ---------------------------
# :class:`~skdistill.augmentation.MUNGE` mixes the values of rows that are close to each
# other. The made rows have no labels: they get the probabilities of the teacher.

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from statsmodels.datasets import randhie

from skdistill import DistilledClassifier
from skdistill.augmentation import MUNGE

X, y = load_iris(return_X_y=True)
X = X[:, 2:]
iris_forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=0).fit(X, y)
made = MUNGE().sample(X, n_rows=10 * len(X), random_state=0)
soft = iris_forest.predict_proba(made)

# %%
# How many rows?
# --------------
# The last picture is for 2,000 people of the Health Insurance Experiment of the RAND
# Corporation, which is bundled with statsmodels: who visits a doctor within a year? The
# forest remembers its training rows, so its soft labels of these rows are of little
# use. The first point is ``augmenter=None``.

data = randhie.load_pandas().data
X_train, X_test, y_train, y_test = train_test_split(
    data.drop(columns="mdvis"), data["mdvis"] > 0, train_size=2000, random_state=0
)
forest = RandomForestClassifier(300, random_state=0).fit(X_train, y_train)
losses = {}
for n_copies in [0, 1, 3, 10, 30]:
    augmenter = MUNGE(n_copies=n_copies) if n_copies else None
    clf = DistilledClassifier(forest, augmenter=augmenter, random_state=0)
    proba = clf.fit(X_train, y_train).predict_proba(X_test)
    losses[n_copies] = log_loss(y_test, proba)
    print(f"{n_copies:2} new rows for each row: log loss {losses[n_copies]:.3f}")

# %%
# The pictures
# ------------
# The color of a made row is the mixture of the colors of the three species by the
# teacher's probabilities.

colors = plt.get_cmap("viridis")([0.0, 0.5, 1.0])[:, :3]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
axes[0].scatter(*X.T, c=colors[y], s=12)
axes[0].set(title="150 rows with labels", ylabel="petal width (cm)")
axes[1].scatter(*made.T, c=soft @ colors, s=4)
axes[1].set(title="1,500 made rows with soft labels")
for ax in axes[:2]:
    ax.set_xlabel("petal length (cm)")
axes[2].plot(range(len(losses)), losses.values(), "o-", color="#0072B2")
axes[2].set_xticks(range(len(losses)), losses)
axes[2].set(
    title="visits to a doctor",
    xlabel="new rows for each row",
    ylabel="log loss of the student",
)
axes[2].grid(alpha=0.3)
fig.show()
