"""
Five lines
==========

Fit any classifier, and let it teach a small net. The picture shows that the student
gives the probabilities of its teacher for wines that neither has seen.
"""

# %%
# The wines of three cultivars are bundled with scikit-learn. Half of them are for the
# training.
#
# .. landing-start

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from skdistill import DistilledClassifier

X, y = load_wine(return_X_y=True)
forest = RandomForestClassifier(500, random_state=0).fit(X[::2], y[::2])
student = DistilledClassifier(forest, random_state=0).fit(X[::2], y[::2])
print("forest ", forest.score(X[1::2], y[1::2]))
print("student", student.score(X[1::2], y[1::2]))

# %%
# .. landing-end
#
# Teacher and student
# -------------------
# A point is a wine and a cultivar. The forest is not confident enough, so ``fit`` has
# made its probabilities more confident before the student learned them: the points lie
# on a curve.

import matplotlib.pyplot as plt

from skdistill.inspection import FidelityDisplay

fig, ax = plt.subplots(figsize=(5, 4.4), layout="constrained")
FidelityDisplay.from_estimator(student, X[1::2], ax=ax)
fig.show()
