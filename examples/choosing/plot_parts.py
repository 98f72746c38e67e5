"""
What each part of the default does
==================================

The default student reads numbers by pieces, learns from made rows, and has a calibrated
teacher. This example adds these parts one after the other. The bars show the log loss
after each step, for the visits to a doctor in the Health Insurance Experiment.
"""

# %%
# From a plain net to the default
# -------------------------------
# The data are in the public domain and bundled with statsmodels. The teacher is a
# forest that is grown to the end.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from statsmodels.datasets import randhie

from skdistill import DistilledClassifier, make_student

data = randhie.load_pandas().data.sample(2000, random_state=0)
X, y = data.drop(columns="mdvis"), (data["mdvis"] > 0).to_numpy()
forest = RandomForestClassifier(100, random_state=0)

bare = {"augmenter": None, "calibrate_teacher": None}
plain = make_student(numeric="standard")
early = make_student(numeric="standard", early_stopping=True)
steps = {
    "teacher": forest,
    "net on labels": DistilledClassifier(forest, early, alpha=0, random_state=0),
    "distilled": DistilledClassifier(forest, plain, **bare, random_state=0),
    "+ piecewise encoding": DistilledClassifier(forest, **bare, random_state=0),
    "+ made rows": DistilledClassifier(forest, calibrate_teacher=None, random_state=0),
    "+ calibration = default": DistilledClassifier(forest, random_state=0),
}

# %%
# The scores
# ----------

cv = StratifiedKFold(3, shuffle=True, random_state=0)
losses = {
    name: -cross_val_score(model, X, y, cv=cv, scoring="neg_log_loss")
    for name, model in steps.items()
}
for name, loss in losses.items():
    print(f"{name:24} log loss {loss.mean():.3f}")

fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for i, (name, loss) in enumerate(losses.items()):
    color = {"teacher": "#D55E00", "net on labels": "#E69F00"}.get(name, "#0072B2")
    ax.barh(name, loss.mean(), color=color)
    ax.plot(loss, np.full(len(loss), i), "k.")
ax.invert_yaxis()
ax.set_xlabel("log loss, 3 splits (less is better)")
fig.show()
