"""
Five lines
==========

Fit any classifier, and let it teach a small net. The picture shows that the student
gives the probabilities of its teacher for wines that neither has seen.
"""

# %%
# Wines of three cultivars, which are bundled with scikit-learn:

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

# %%
# .. landing-start

from skdistill import DistilledClassifier

forest = RandomForestClassifier(500, random_state=0).fit(X_train, y_train)
student = DistilledClassifier(forest, random_state=0).fit(X_train, y_train)
print(f"forest   {forest.score(X_test, y_test):.3f}")
print(f"student  {student.score(X_test, y_test):.3f}")

# %%
# .. landing-end
#
# Teacher and student
# -------------------
# A point is a wine and a cultivar. The forest is not confident enough, so ``fit`` has
# made its probabilities more confident before the student learned them: the points lie
# on a curve.

fig, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
teachers, students = forest.predict_proba(X_test), student.predict_proba(X_test)
for label, marker in zip(forest.classes_, "osv", strict=True):
    points = teachers[:, label], students[:, label]
    ax.plot(*points, marker, alpha=0.5, label=f"class {label}")
ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
ax.set(xlabel="probability of the forest", ylabel="probability of the student")
ax.legend()
fig.show()
