"""
How a student reads numbers
===========================

Trees split a column at thresholds. A small net on standardized inputs changes slowly
along a column, and encoded inputs let it change quickly, too. The maps show students of
the same forest and of the same size with the three encodings of
:func:`~skdistill.make_student`.
"""

# %%
# A coast has many bends
# ----------------------
# The data are a map of heights around Vancouver Island that is bundled with matplotlib
# (ETOPO1 of the NOAA).

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student

with np.load(get_sample_data("topobathy.npz", asfileobj=False)) as file:
    longitude, latitude, height = (file[k] for k in ("longitude", "latitude", "topo"))
longitude = longitude - 360
places = np.stack(np.meshgrid(longitude, latitude), axis=-1).reshape(-1, 2)
land = np.where(height.ravel() > 0, "land", "sea")
X_train, X_test, y_train, y_test = train_test_split(
    places, land, train_size=4000, stratify=land, random_state=0
)
forest = RandomForestClassifier(300, random_state=0).fit(X_train, y_train)

# %%
# Three encodings
# ---------------
# "piecewise" adds an input for each bin of a column, here some 60 for each of the two,
# from which the net learns bends. It is the default, unless nets that learn the labels
# do better without (``numeric="auto"``).
# "periodic" adds waves whose frequencies are learned. "standard" adds nothing.

models = {"forest": forest}
for numeric in ["standard", "piecewise", "periodic"]:
    student = make_student((16,), numeric=numeric)
    clf = DistilledClassifier(forest, student, random_state=0)
    models[numeric] = clf.fit(X_train, y_train)
for name, model in models.items():
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{name:10} accuracy {model.score(X_test, y_test):.3f}  log loss {loss:.3f}")

# %%
# The maps
# --------
# The students have one layer of 16 units.

fig, axes = plt.subplots(1, 4, figsize=(12, 3.2), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    proba = model.predict_proba(places)[:, 0].reshape(height.shape)
    image = ax.pcolormesh(longitude, latitude, proba, cmap="cividis", vmin=0, vmax=1)
    ax.set(title=name, xlabel="longitude")
axes[0].set_ylabel("latitude")
fig.colorbar(image, ax=axes, label="probability of land")
fig.show()
