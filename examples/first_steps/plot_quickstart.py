"""
Distill a forest into a small net
=================================

A forest of 500 trees classifies handwritten digits well, but it is large and slow.
This example trains a small net with the forest as its teacher, and compares the two.
"""

# %%
# The teacher
# -----------
# The teacher can be any fitted classifier with ``predict_proba``. This forest is
# trained on half of the digits of scikit-learn.

import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
forest = RandomForestClassifier(500, random_state=0).fit(X_train, y_train)

# %%
# The student
# -----------
# The student learns from the labels and from the probabilities of the forest. For
# comparison, we also train the same net on the labels alone. It holds rows out, and
# keeps the best epoch for these.

distilled = DistilledClassifier(teacher=forest, random_state=0)
distilled.fit(X_train, y_train)

net = make_student(early_stopping=True)
alone = DistilledClassifier(teacher=forest, student=net, alpha=0, random_state=0)
alone.fit(X_train, y_train)

# %%
# Quality, size and speed
# -----------------------
# ``footprint`` measures the size of a file and the time of a prediction. "agreement" is
# the share of rows for which a model predicts the same class as the forest.


def measure(model, costs):
    return {
        "accuracy": model.score(X_test, y_test),
        "log loss": log_loss(y_test, model.predict_proba(X_test)),
        "agreement": accuracy_score(forest.predict(X_test), model.predict(X_test)),
        "bytes": costs["bytes"],
        "us, 1 row": costs["row_us"],
        "us, 1,000 rows": 1e9 / costs["rows_per_s"],
    }


models = {"forest": forest, "labels_alone": alone, "student": distilled}
costs = footprint(models, X_test)
results = {name: measure(model, costs[name]) for name, model in models.items()}

print(f"{'':12}", *(f"{column:>14}" for column in results["forest"]))
for name, row in results.items():
    cells = (f"{v:14.3f}" if v <= 1 else f"{v:14,.0f}" for v in row.values())
    print(f"{name:12}", *cells)

# %%
# The plot shows the accuracy against the size and the time for one row.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
titles = {"bytes": "bytes on disk", "us, 1 row": "microseconds for one row"}
colors = {"forest": "#D55E00", "labels_alone": "#E69F00", "student": "#0072B2"}
for ax, (column, title) in zip(axes, titles.items(), strict=True):
    for name, row in results.items():
        ax.scatter(row[column], row["accuracy"], s=80, color=colors[name])
        ax.annotate(
            name.replace("_", " "),
            (row[column], row["accuracy"]),
            xytext=(10, 0),
            textcoords="offset points",
            verticalalignment="center",
        )
    ax.set(xscale="log", xlabel=title)
    ax.margins(x=0.35, y=0.3)
    ax.grid(alpha=0.3)
axes[0].set_ylabel("accuracy on unseen digits")
fig.savefig("quickstart.png", dpi=150)

# %%
# The file of the student does not contain the forest. It can be loaded wherever
# skdistill is installed.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "student.joblib")
    joblib.dump(distilled, path)
    student = joblib.load(path)
print("predicted by the loaded student:", student.predict(X_test[:5]))
print("labels:", y_test[:5])
