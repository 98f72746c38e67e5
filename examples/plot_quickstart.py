"""
A forest's small and fast double
================================

A forest of 500 trees reads handwritten digits well, but it is large and slow to ask.
Here it teaches a small net, which takes its place in the same scikit-learn code.
"""

# %%
# The teacher
# -----------
# Any fitted classifier with ``predict_proba`` will do. This one is trained on half of
# the digits that come with scikit-learn.

import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier
from skdistill.deploy import footprint

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
forest = RandomForestClassifier(500, random_state=0).fit(X_train, y_train)

# %%
# The student
# -----------
# It learns from the labels and from the forest's probabilities. With ``alpha=0`` the
# same net learns from the labels alone: the difference is what the teacher adds.

distilled = DistilledClassifier(teacher=forest, random_state=0)
distilled.fit(X_train, y_train)

alone = DistilledClassifier(teacher=forest, alpha=0, random_state=0)
alone.fit(X_train, y_train)

# %%
# What it costs, and what it is worth
# -----------------------------------
# ``footprint`` measures the bytes of a file and the time of a prediction. The
# student's file holds no forest.


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
# The picture: what each of them is worth, against what it costs.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
titles = {"bytes": "bytes on disk", "us, 1 row": "microseconds for one row"}
for ax, (column, title) in zip(axes, titles.items(), strict=True):
    for name, row in results.items():
        ax.scatter(row[column], row["accuracy"], s=80)
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
# The file holds no forest. It is loaded like any other, where skdistill is installed.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "student.joblib")
    joblib.dump(distilled, path)
    student = joblib.load(path)
print(student.predict(X_test[:5]), "is what the loaded student says of", y_test[:5])
