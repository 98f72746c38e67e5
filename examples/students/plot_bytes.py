"""
How good is a student of so many bytes?
=======================================

``make_student(max_bytes=...)`` makes the student that fits into a number of bytes: its
weights and the tables of its preprocessing. This example draws its log loss from 1 kB
to 512 kB, beside that of boosted trees of as many bytes.
"""

# %%
# The teacher
# -----------
# The question is whether a place around Vancouver Island is land or sea; the map of
# heights is bundled with matplotlib (ETOPO1 of the NOAA). The teacher is a forest.

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMClassifier
from matplotlib.cbook import get_sample_data
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint

with np.load(get_sample_data("topobathy.npz", asfileobj=False)) as file:
    longitude, latitude, height = (file[k] for k in ("longitude", "latitude", "topo"))
X = np.stack(np.meshgrid(longitude, latitude), axis=-1).reshape(-1, 2)
y = np.where(height.ravel() > 0, "land", "sea")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=2000, stratify=y, random_state=0
)
forest = ExtraTreesClassifier(300, min_samples_leaf=2, random_state=0)
forest.fit(X_train, y_train)
soft = forest.predict_proba(X_train)

# %%
# Boosted trees of as many bytes
# ------------------------------
# A tree of 8 leaves needs at least 88 bytes: 8 for each inner node, and 4 for each
# leaf. To learn from the soft labels, the trees get each row once for each class, with
# its probability as the weight.

N_LEAVES, TREE_BYTES = 8, 88


def boosted(n_bytes, X, y, sample_weight=None):
    n_trees = min(n_bytes // TREE_BYTES, 1000)  # more of them overfit
    trees = LGBMClassifier(
        n_estimators=n_trees,
        num_leaves=N_LEAVES,
        learning_rate=float(np.clip(15 / n_trees, 0.05, 0.3)),
        random_state=0,
        verbose=-1,
    )
    return trees.fit(X, y, sample_weight=sample_weight)


def loss(model):
    return log_loss(y_test, model.predict_proba(X_test), labels=model.classes_)


# %%
# From 1 kB to 512 kB
# -------------------
# The forest labels the made rows once: the integer ``random_state`` makes sure that all
# students learn from the same rows.

kilobytes = [1, 2, 4, 8, 32, 128, 512]
losses = {"student": [], "LightGBM, labels": [], "LightGBM, soft labels": []}
on_soft = (np.repeat(X_train, 2, axis=0), np.tile(forest.classes_, 2000), soft.ravel())
for size in kilobytes:
    student = make_student(max_bytes=1000 * size)
    clf = DistilledClassifier(forest, student, random_state=0).fit(X_train, y_train)
    losses["student"].append(loss(clf))
    on_labels = boosted(1000 * size, X_train, y_train)
    losses["LightGBM, labels"].append(loss(on_labels))
    losses["LightGBM, soft labels"].append(loss(boosted(1000 * size, *on_soft)))
    layers = clf.student_[-1].get_params()["module__hidden_layer_sizes"]
    print(f"{size:3} kB: layers {layers}, log loss {losses['student'][-1]:.3f}")

colors = {
    "student": "#0072B2",
    "LightGBM, labels": "#009E73",
    "LightGBM, soft labels": "#999999",
}
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in losses.items():
    ax.plot(kilobytes, values, "o-", color=colors[name], label=name)
n_bytes = footprint(forest, X_test)["bytes"]
ax.axhline(
    loss(forest),
    color="#D55E00",
    linestyle="--",
    label=f"forest, {n_bytes / 1e6:.0f} MB",
)
ax.set(xscale="log", xlabel="kilobytes", ylabel="log loss, unseen places")
ax.set_xticks(kilobytes, [str(size) for size in kilobytes])
ax.minorticks_off()
ax.legend()
ax.grid(alpha=0.3)
fig.show()
