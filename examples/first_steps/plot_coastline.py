"""
What a student learns from its teacher
======================================

A forest learns from 4,000 places around Vancouver Island where land is. A small net
learns it from the forest. The maps show that the student gives the probabilities of
its teacher, without the noise, and that the same net draws a simpler coast if it
learns from the labels alone.
"""

# %%
# The labels
# ----------
# The heights of a grid of places are bundled with matplotlib. They are from the model
# ETOPO1 of the NOAA. A label says only whether a place is land or sea.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import footprint

with np.load(get_sample_data("topobathy.npz", asfileobj=False)) as file:
    longitude, latitude, height = (file[k] for k in ("longitude", "latitude", "topo"))
longitude = longitude - 360
places = np.stack(np.meshgrid(longitude, latitude), axis=-1).reshape(-1, 2)
land = np.where(height.ravel() > 0, "land", "sea")

X_train, X_test, y_train, y_test = train_test_split(
    places, land, train_size=4000, stratify=land, random_state=0
)

# %%
# The teacher and the student
# ---------------------------
# The student learns from the labels and from the probabilities of the teacher. The
# teacher also labels places that nobody has measured: by default, ``fit`` makes five of
# them for each training row. For comparison, we train the same net on the labels
# alone.

forest = RandomForestClassifier(300, random_state=0).fit(X_train, y_train)

student = DistilledClassifier(forest, random_state=0).fit(X_train, y_train)
net = make_student(early_stopping=True)
alone = DistilledClassifier(forest, net, alpha=0, random_state=0).fit(X_train, y_train)

models = {"forest": forest, "net on labels": alone, "student": student}
for name, model in models.items():
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{name:14} accuracy {model.score(X_test, y_test):.3f}  log loss {loss:.3f}")
print(footprint({"forest": forest, "student": student}, X_test))

# %%
# The maps
# --------
# Yellow is land, and blue is sea. In between, a model is uncertain.

fig, axes = plt.subplots(1, 4, figsize=(12, 3.2), sharey=True, layout="constrained")
colors = (y_train == "land").astype(float)
axes[0].scatter(*X_train.T, c=colors, s=3, cmap="cividis")
axes[0].set(title="labels", xlabel="longitude", ylabel="latitude")
for ax, (name, model) in zip(axes[1:], models.items(), strict=True):
    proba = model.predict_proba(places)[:, 0].reshape(height.shape)
    image = ax.pcolormesh(longitude, latitude, proba, cmap="cividis", vmin=0, vmax=1)
    ax.set(title=name, xlabel="longitude")
fig.colorbar(image, ax=axes, label="probability of land")
fig.show()
