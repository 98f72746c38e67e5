"""
A student's predictions against its teacher's
=============================================

How close is a student of numbers to what happens, and how close to its teacher? A point
is a patient that neither has seen, and the line is where both sides are the same.
"""

# %%
# A forest and its student
# ------------------------
# Both learn from 342 patients, and predict the progress of 100 others.

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import train_test_split

from skdistill import DistilledRegressor
from skdistill.inspection import PredictionDisplay

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=100, random_state=0)
forest = RandomForestRegressor(500, min_samples_leaf=3, random_state=0)
forest.fit(X_train, y_train)
student = DistilledRegressor(forest, random_state=0).fit(X_train, y_train)
print(f"R2 of the forest  {forest.score(X_test, y_test):.2f}")
print(f"R2 of the student {student.score(X_test, y_test):.2f}")
print(f"alpha, as it was measured: {student.alpha_:.2f}")

# %%
# The predictions
# ---------------
# On the left, those of the student against what happened; on the right, against those
# of the forest.

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
PredictionErrorDisplay.from_estimator(
    student,
    X_test,
    y_test,
    kind="actual_vs_predicted",
    ax=left,
    scatter_kwargs={"color": "#0072B2"},
)
left.set(xlabel="student's prediction", ylabel="true progress")
display = PredictionDisplay.from_estimator(student, X_test, ax=right)
print(display.alt_text)
fig.show()
