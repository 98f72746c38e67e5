"""
One file from raw rows to probabilities
=======================================

A fitted student becomes one ONNX file, which any ONNX runtime runs without torch. The
bars compare the file with the forest that taught it: bytes, the time of one row, and
the memory and the time that a new process needs.
"""

# %%
# From a forest to a file
# -----------------------
# ``to_onnx`` compares the predictions of the file with those of the student before it
# writes it. The rows are the Breast Cancer Wisconsin data of scikit-learn.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier
from skdistill.deploy import OnnxClassifier, footprint, to_onnx

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
forest = RandomForestClassifier(500, random_state=0).fit(X_train, y_train)
student = DistilledClassifier(forest, random_state=0).fit(X_train, y_train)

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "student.onnx")

# %%
# .. landing-start

to_onnx(student, path)
onnx = OnnxClassifier(path)  # needs neither torch nor skorch
costs = footprint({"forest": forest, "student": student, "onnx": onnx}, X_test)
print(costs)

# %%
# .. landing-end
#
# Student and file predict the same:

for name, model in {"forest": forest, "student": student, "onnx": onnx}.items():
    print(f"{name:8} accuracy {model.score(X_test, y_test):.3f}")
folder.cleanup()

# %%
# The costs
# ---------

titles = {
    "bytes": "bytes",
    "row_us": "microseconds for one row",
    "peak_mb": "MB of a new process",
    "start_s": "seconds to start it",
}
fig, axes = plt.subplots(1, 4, figsize=(11, 2.4), sharey=True, layout="constrained")
for ax, (cost, title) in zip(axes, titles.items(), strict=True):
    bars = ax.barh(list(costs), [costs[name][cost] for name in costs], color="#0072B2")
    bars[0].set_color("#D55E00")
    ax.set_xlabel(title)
for ax in axes[:2]:
    ax.set_xscale("log")
axes[0].invert_yaxis()
fig.show()
