"""
Distill boosted trees that read a data frame
============================================

The teacher is LightGBM on a data frame with strings and categories. The default
student takes the same data frame, without an encoder. The calibration curves show that
its probabilities are as good as those of its teacher.
"""

# %%
# A table with strings
# --------------------
# The Health Insurance Experiment of the RAND Corporation gave families different
# insurances, and counted their visits to a doctor. The data are in the public domain
# and bundled with statsmodels. We predict whether somebody visits a doctor within a
# year.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from statsmodels.datasets import randhie

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint

data = randhie.load_pandas().data
health = [data["hlthp"] == 1, data["hlthf"] == 1, data["hlthg"] == 1]
X = pd.DataFrame(
    {
        "health": pd.Categorical(np.select(health, ["poor", "fair", "good"], "best")),
        "limitation": data["physlm"],
        "diseases": data["disea"],
        "coinsurance": np.expm1(data["lncoins"]).round(),
        "payment": np.exp(data["lpi"]).round(2),
        "deductible": pd.Categorical(np.where(data["idp"] == 1, "person", "family")),
    }
)
y = np.where(data["mdvis"] > 0, "visit", "no visit")
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=5000, stratify=y, random_state=0
)
X_train.head()

# %%
# Teacher and student
# -------------------
# The teacher gets the data frame as we pass it, and so does the student. The third
# model is the same net without a teacher. It holds out some rows, and keeps its best
# epoch.

teacher = LGBMClassifier(verbose=-1, n_jobs=1).fit(X_train, y_train)
student = DistilledClassifier(teacher, random_state=0).fit(X_train, y_train)

net = make_student(early_stopping=True)
alone = DistilledClassifier(teacher, net, alpha=0, random_state=0).fit(X_train, y_train)

models = {"LightGBM": teacher, "net on labels": alone, "student": student}
for name, model in models.items():
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{name:14} accuracy {model.score(X_test, y_test):.3f}  log loss {loss:.3f}")
print(footprint({"LightGBM": teacher, "student": student}, X_test))

# %%
# Calibration
# -----------
# A point on the diagonal means that, for example, 80 % of the rows with a probability
# of 0.8 are visits.

fig, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
looks = [("s", "#D55E00"), ("v", "#E69F00"), ("^", "#0072B2")]
for (name, model), (marker, color) in zip(models.items(), looks, strict=True):
    CalibrationDisplay.from_estimator(
        model, X_test, y_test, n_bins=8, strategy="quantile",
        pos_label="visit", name=name, ax=ax, marker=marker, color=color,
    )  # fmt: skip
ax.set(xlabel="predicted probability of a visit", ylabel="share of visits")
ax.grid(alpha=0.3)
fig.show()
