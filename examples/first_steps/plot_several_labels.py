"""
Several labels for each row
===========================

A digit may be even, a prime, larger than 4, and may have a loop. A forest learns all
four labels of an image, and so does its student, in one net. A net without a teacher
ranks the images worse.
"""

# %%
# A forest and its student
# ------------------------
# ``y`` has a column for each label, and a row for each of 500 images.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student

X, digit = load_digits(return_X_y=True)
labels = {"even": [0, 2, 4, 6, 8], "prime": [2, 3, 5, 7], "above 4": [5, 6, 7, 8, 9]}
labels["loop"] = [0, 6, 8, 9]
y = np.stack([np.isin(digit, digits) for digits in labels.values()], axis=1)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=500, random_state=0
)
teacher = RandomForestClassifier(300, random_state=0)
student = DistilledClassifier(teacher, random_state=0).fit(X_train, y_train)
alone = make_student(task="multilabel", early_stopping=True).fit(X_train, y_train)

# %%
# How well they rank the images
# -----------------------------
# The average precision of a label is 1 if all images with it are ranked before the
# others.

of_teacher = student.teacher_.predict_proba(X_test)
said = {
    "forest": np.stack([proba[:, 1] for proba in of_teacher], axis=1),
    "student": student.predict_proba(X_test),
    "labels alone": alone.predict_proba(X_test),
}
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
places = np.arange(len(labels))
colors = {"forest": "#D55E00", "student": "#0072B2", "labels alone": "#E69F00"}
for shift, (name, proba) in zip((-0.25, 0, 0.25), said.items(), strict=True):
    scores = average_precision_score(y_test, proba, average=None)
    ax.bar(places + shift, scores, width=0.23, label=name, color=colors[name])
    print(f"{name:12}  {scores.mean():.3f}")
ax.set(ylabel="average precision", ylim=(0.8, 1), title="Four labels of digits")
ax.set_xticks(places, labels)
fig.legend(loc="outside right center")
fig.show()
