"""Draw what a student of the default gains, from the measurements of quality.py."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import t

TEACHER, LABELS, STUDENT = "#D55E00", "#E69F00", "#0072B2"
ROOT = next(p for p in Path.cwd().parents if (p / "benchmarks").exists())

records = pd.read_csv(ROOT / "benchmarks/results/quality.csv", dtype={"hidden": str})
records = records[
    (records["teacher"] == "blend")
    & (records["hidden"] == "64-64")
    & (records["max rows"] == 8000)
]
wide = records.pivot(index=["data", "seed"], columns="model", values="accuracy") * 100
gains = wide.sub(wide["labels alone"], axis=0)[["teacher", "default"]].dropna()
size = records.groupby(["data", "model"])["bytes"].mean().unstack()
means = gains.groupby("data").mean()

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for model, color, marker, label in [
    ("teacher", TEACHER, "s", "teacher"),
    ("labels alone", LABELS, "D", "labels alone"),
    ("default", STUDENT, "o", "student"),
]:
    points = means.get(model, 0 * means["teacher"])
    left.scatter(
        size.loc[means.index, model], points, 30, color, marker=marker, label=label
    )
left.set(xscale="log", xlabel="bytes of the file")
left.set_ylabel("points of accuracy above labels alone")
left.legend()
left.grid(alpha=0.3)

gap = means["teacher"]
gap = gap[gap >= 1].sort_values()
for place, (data, of_teacher) in enumerate(gap.items()):
    closed = 100 * gains.loc[data, "default"] / of_teacher
    half = t.ppf(0.975, len(closed) - 1) * closed.std() / len(closed) ** 0.5
    right.errorbar(closed.mean(), place, xerr=half, fmt="o", color=STUDENT, capsize=4)
right.axvline(0, color=LABELS)
right.axvline(100, color=TEACHER)
right.set_yticks(range(len(gap)), gap.index)
right.set(xlim=(-50, 350), xlabel="% of the gap closed, with 95 % intervals over seeds")
right.set_title("0 %: labels alone, 100 %: teacher", fontsize="medium")
right.grid(alpha=0.3)
