"""
Search over temperature and alpha
=================================

The best temperature and alpha depend on the data and on the teacher. This example
searches over both with :class:`~skdistill.model_selection.GridSearchCV`. The heat map
shows the log loss of each pair, and which pairs are about as good as the best one.
"""

# %%
# The search
# ----------
# The teacher is not fitted, so that the scores are honest: a fold is never seen by the
# teacher of its students. With an integer ``random_state``, the teacher is fitted once
# per fold, and not for each of the nine pairs. This search is scikit-learn's, but
# trains the students of all pairs together. The data are the wines of scikit-learn.

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold

from skdistill import DistilledClassifier
from skdistill.inspection import TemperatureAlphaDisplay
from skdistill.model_selection import GridSearchCV

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
# The solid frame is the best pair. The dashed ones are pairs within one standard error
# of it.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
TemperatureAlphaDisplay.from_cv_results(search.cv_results_, ax=ax)
fig.show()
