"""
Find the smallest student that is good enough
=============================================

A larger student is not always better. This example searches over the size of the
student, and scores both its accuracy and its size. It then selects the smallest student
whose accuracy is within one standard error of the best.
"""

# %%
# A search with two scores
# ------------------------
# We pass an unfitted teacher, so that the search fits it on the training rows of each
# fold only. The integer ``random_state`` of the estimator below makes sure that the
# teacher is fitted once per fold, not once for each student. The question is whether a
# place around Vancouver Island is land or sea; the map of heights is bundled with
# matplotlib (ETOPO1 of the NOAA).

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint
from skdistill.metrics import size_scorer
from skdistill.model_selection import GridSearchCV

with np.load(get_sample_data("topobathy.npz", asfileobj=False)) as file:
    longitude, latitude, height = (file[k] for k in ("longitude", "latitude", "topo"))
X = np.stack(np.meshgrid(longitude, latitude), axis=-1).reshape(-1, 2)
y = np.where(height.ravel() > 0, "land", "sea")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=2000, stratify=y, random_state=0
)
forest = RandomForestClassifier(200, random_state=0)

sizes = [(8,), (16,), (32,), (64,), (32, 32), (64, 64)]

# %%
# The selection
# -------------
# ``refit`` can be a function of the results that returns the index of the selected
# candidate. A candidate is good enough if its mean accuracy is within one standard
# error of the best one. We select the smallest of these candidates.

N_FOLDS = 4


def good_enough(results):
    """Return the lowest accuracy that is good enough."""
    best = results["mean_test_accuracy"].argmax()
    error = results["std_test_accuracy"][best] / np.sqrt(N_FOLDS - 1)
    return results["mean_test_accuracy"][best] - error


def smallest_good(results):
    """Return the index of the smallest good candidate."""
    accuracy = results["mean_test_accuracy"]
    n_bytes = -results["mean_test_size"]
    return next(i for i in n_bytes.argsort() if accuracy[i] >= good_enough(results))


search = GridSearchCV(
    DistilledClassifier(
        teacher=forest, student=make_student(max_epochs=20), random_state=0
    ),
    {"student__net__module__hidden_layer_sizes": sizes},
    scoring={"accuracy": "accuracy", "size": size_scorer},
    refit=smallest_good,
    cv=N_FOLDS,
)
search.fit(X_train, y_train)
print(search.best_params_)

# %%
# The plot shows all candidates. Those above the dashed line are good enough.

results = search.cv_results_
kilobytes = -results["mean_test_size"] / 1e3
accuracy = results["mean_test_accuracy"]

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(kilobytes, accuracy, "o", color="#0072B2")
for layers, x, y in zip(sizes, kilobytes, accuracy, strict=True):
    ax.annotate(
        " + ".join(map(str, layers)),
        (x, y),
        xytext=(0, 12),
        textcoords="offset points",
        horizontalalignment="center",
    )
ax.axhline(good_enough(results), color="gray", linestyle="--", label="good enough")
ax.plot(
    kilobytes[search.best_index_],
    accuracy[search.best_index_],
    "o",
    markersize=16,
    fillstyle="none",
    color="black",
    label="chosen",
)
ax.legend(loc="lower right")
ax.set(xscale="log", xlabel="kilobytes of the student", ylabel="accuracy, 4 folds")
ax.set_xticks([10, 20, 40], ["10", "20", "40"])
ax.minorticks_off()
ax.margins(0.15)
ax.grid(alpha=0.3)
fig.show()

# %%
# Size and speed
# --------------
# The search has trained the selected student again on all training rows. ``footprint``
# compares it with its teacher.

models = {"teacher": forest.fit(X_train, y_train), "student": search.best_estimator_}
print(footprint(models, X_test))
for name, model in models.items():
    print(f"{name}: accuracy {model.score(X_test, y_test):.3f} on unseen places")
