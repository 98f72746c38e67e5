"""
Find out whether distilling is worth it
=======================================

A distilled student should be better than the same net trained on the labels alone.
Otherwise, the teacher is not needed. This example compares a large ensemble of trees, a
small net trained on the labels, and the same net distilled from the ensemble.
"""

# %%
# One call
# --------
# We pass an unfitted teacher, so that :func:`~skdistill.inspection.compare` fits it on
# the training rows of each split only. The student is a net with one layer of 8 units,
# which needs less than a hundredth of the time of the trees. The net that is trained on
# the labels holds out some of its training rows, and keeps its best epoch.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold

from skdistill import DistilledClassifier, make_student
from skdistill.inspection import compare

X, y = load_digits(return_X_y=True)
trees = ExtraTreesClassifier(100, min_samples_leaf=2)
clf = DistilledClassifier(trees, make_student((8,)), random_state=0)
cv = StratifiedKFold(5, shuffle=True, random_state=0)

plain = compare(clf, X, y, cv=cv)
print(plain)

# %%
# A column is a model. The last column is the share of the gap between the net and the
# teacher that the student closes. It is empty if the teacher is not clearly better than
# the net. Here the teacher is clearly more accurate, but the student is not.
#
# More rows for the student
# -------------------------
# From so few rows, a student learns little of its teacher. The teacher can also label
# new rows, which are made from the training rows.

augmented = compare(clf.set_params(augmenter="auto", temperature=1.0), X, y, cv=cv)
print(augmented.verdict)

# %%
# The teacher and the net on labels are the same in both comparisons, as they have the
# same splits and seeds. The plot shows means and standard errors.

models = {
    "labels alone": plain.to_frame().loc["labels alone"],
    "student": plain.to_frame().loc["student"],
    "student,\nmore rows": augmented.to_frame().loc["student"],
    "teacher": plain.to_frame().loc["teacher"],
}
fig, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for ax, metric in zip(axes, ["accuracy", "agreement", "row_us"], strict=True):
    for name, row in models.items():
        ax.errorbar(row[metric, "mean"], name, xerr=row[metric, "error"], fmt="o")
    ax.set_xlabel(metric)
    ax.grid(alpha=0.3)
axes[2].set(xscale="log", xlabel="microseconds for one row")
axes[0].margins(y=0.2)

# %%
# Do not choose among many settings in this way and report the score of the best one: it
# is too high. Choose with a search, and compare the result on rows that the search has
# not seen.
