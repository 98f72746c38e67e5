"""
What the temperature does to soft labels
========================================

A temperature above 1 makes small probabilities larger, so that the student also learns
which of the wrong classes are less wrong. The bars show the probabilities of a forest
for one flower, at four temperatures.
"""

# %%
# One flower
# ----------
# The forest has not seen this flower. It is certain that the flower is not an Iris
# setosa, and nearly certain which of the other two species it is. The temperature
# divides the logits, which are the logarithms of the probabilities.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

iris = load_iris()
X_train, X_test, y_train, y_test = train_test_split(
    iris.data, iris.target, test_size=0.5, stratify=iris.target, random_state=0
)
forest = RandomForestClassifier(300, min_samples_leaf=2, random_state=0)
proba = forest.fit(X_train, y_train).predict_proba(X_test)
flower = np.argmin(np.abs(proba.max(axis=1) - 0.95))
logits = np.log(np.clip(proba[flower], 1e-3, None))
print(dict(zip(iris.target_names.tolist(), proba[flower].round(3), strict=True)))

# %%
# Its soft labels
# ---------------
# At temperature 1, the student learns hardly more than the label. At temperature 8, the
# order of the classes is all that is left.

temperatures = [1, 2, 4, 8]
fig, axes = plt.subplots(1, 4, figsize=(10, 2.6), sharey=True, layout="constrained")
for ax, temperature in zip(axes, temperatures, strict=True):
    bars = ax.bar(iris.target_names, softmax(logits / temperature), color="#D55E00")
    ax.bar_label(bars, fmt="%.2f", fontsize=9)
    ax.set(title=f"temperature {temperature}", ylim=(0, 1.1))
    ax.tick_params("x", labelsize=9)
axes[0].set_ylabel("probability")
fig.show()
