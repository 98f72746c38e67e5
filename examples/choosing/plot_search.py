"""
Search over temperature and alpha
=================================

The best temperature and alpha depend on the data and on the teacher. This example
searches over both with :class:`~sklearn.model_selection.GridSearchCV`. The heat map
shows the log loss of each pair, and which pairs are about as good as the best one.
"""

# %%
# The search
# ----------
# The teacher is not fitted, so that the scores are honest: a fold is never seen by the
# teacher of its students. With an integer ``random_state``, the teacher is fitted once
# per fold, and not for each of the nine pairs. The data are the wines of scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skdistill import DistilledClassifier

X, y = load_wine(return_X_y=True)
temperatures, alphas = [1.0, 2.0, 4.0], [0.1, 0.5, 0.9]
search = GridSearchCV(
    DistilledClassifier(RandomForestClassifier(100, random_state=0), random_state=0),
    {"temperature": temperatures, "alpha": alphas},
    scoring="neg_log_loss",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
).fit(X, y)
print(search.best_params_)

# %%
# The scores
# ----------
# The frame is the best pair. A dot is a pair within one standard error of it.

results = search.cv_results_
order = np.lexsort((results["param_temperature"], results["param_alpha"]))
shape = len(alphas), len(temperatures)
loss = -results["mean_test_score"][order].reshape(shape)
error = results["std_test_score"][search.best_index_] / np.sqrt(search.n_splits_ - 1)

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
image = ax.imshow(loss, cmap="cividis_r", aspect="auto")
for (i, j), value in np.ndenumerate(loss):
    mark = "\n●" if value <= loss.min() + error else ""
    dark = value > loss.mean()
    ax.text(
        j, i, f"{value:.3f}{mark}", ha="center", va="center",
        color="white" if dark else "black",
    )  # fmt: skip
i, j = np.unravel_index(loss.argmin(), shape)
ax.add_patch(plt.Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, lw=2.5))
ax.set_xticks(range(len(temperatures)), temperatures)
ax.set_yticks(range(len(alphas)), alphas)
ax.set(xlabel="temperature", ylabel="alpha")
fig.colorbar(image, label="log loss, 3 folds")
fig.show()
