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

fig, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
teachers, students = (m.predict_proba(X[1::2]) for m in (forest, student))
for label, marker in zip(forest.classes_, "osv", strict=True):
    points = teachers[:, label], students[:, label]
    ax.plot(*points, marker, alpha=0.5, label=f"class {label}")
ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
ax.set(xlabel="probability of the forest", ylabel="probability of the student")
ax.legend()
fig.show()
