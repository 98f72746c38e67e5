"""
When the teacher is no better than the net
==========================================

If a small net that learns from the labels is as good as the teacher, there is nothing
to distill. The points show such a case: the student is better than its teacher, but
worse than the same net without a teacher.
"""

# %%
# A teacher that overfits
# -----------------------
# The survey of the magazine Redbook of 1974 asked 6,366 married women, among others,
# about affairs. It is bundled with statsmodels. The label is whether there was one. The
# forest is grown to the end, and overfits.

import matplotlib.pyplot as plt
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold
from statsmodels.datasets import fair

from skdistill import DistilledClassifier
from skdistill.inspection import compare

data = fair.load_pandas().data.sample(3000, random_state=0)
X = data.drop(columns="affairs")
y = (data["affairs"] > 0).to_numpy()

clf = DistilledClassifier(ExtraTreesClassifier(200, random_state=0), random_state=0)
comparison = compare(clf, X, y, cv=StratifiedKFold(4, shuffle=True, random_state=0))
print(comparison)

# %%
# The scores of each split
# ------------------------
# A gray line joins the scores of one split. The verdict below the table draws the
# conclusion: use the net on labels.

colors = {"teacher": "#D55E00", "labels alone": "#E69F00", "student": "#0072B2"}
names = list(colors)
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
titles = {"accuracy": "accuracy", "log_loss": "log loss (less is better)"}
for ax, (metric, title) in zip(axes, titles.items(), strict=True):
    scores = [comparison.results[name][metric] for name in names]
    ax.plot(names, scores, color="0.7", zorder=0)
    for name, score in zip(names, scores, strict=True):
        ax.scatter([name] * len(score), score, s=30, color=colors[name])
    ax.set_ylabel(title)
    ax.margins(x=0.2)
    ax.grid(alpha=0.3)
fig.show()
