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
# the training rows of each split only. The data are the digits of scikit-learn. The
# student is a net with one layer of 8 units,
# which needs less than a hundredth of the time of the trees. The net that is trained on
# the labels holds out some of its training rows, and keeps its best epoch.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold

from skdistill import DistilledClassifier, make_student
from skdistill.inspection import ComparisonDisplay, compare

X, y = load_digits(return_X_y=True)
cv = StratifiedKFold(10, shuffle=True, random_state=0)

# %%
# .. landing-start

trees = ExtraTreesClassifier(100, min_samples_leaf=2)  # not fitted
clf = DistilledClassifier(trees, make_student((8,)), random_state=0)
comparison = compare(clf, X, y, cv=cv)
print(comparison)

# %%
# .. landing-end
#
# A column is a model. The last column is the share of the gap between the net and the
# teacher that the student closes. It is "-" where the teacher is not clearly better
# than the net: the trees are more accurate, but their probabilities are not, because
# they are not confident enough. ``comparison.verdict`` is the text below the table.
#
# A picture
# ---------
# The bars are standard errors. They take into account that the training rows of the
# splits overlap. ``comparison.to_frame()`` returns the table as a data frame.

fig, axes = plt.subplots(1, 3, figsize=(12, 2.8), layout="constrained")
for ax, metric in zip(axes, ["accuracy", "log_loss", "row_us"], strict=True):
    ComparisonDisplay.from_comparison(comparison, metric=metric, ax=ax)
fig.show()

# %%
# Do not choose among many settings in this way and report the score of the best one: it
# is too high. Choose with a search, and compare the result on rows that the search has
# not seen.
