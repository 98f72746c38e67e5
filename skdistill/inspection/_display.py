"""The base of the displays, and colors that the color-blind can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from skdistill.utils._optional import require

# From the palette of Okabe and Ito.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, GRAY = "#D55E00", "#CC79A7", "#666666"
MODEL_COLORS = {"student": BLUE, "teacher": VERMILION}
MODEL_MARKERS = {"student": "o", "teacher": "s"}


class Display:
    """Base of the displays. ``plot`` sets ``ax_`` and ``figure_``."""

    ax_: Any
    figure_: Any

    def _start(self, ax: Any) -> Any:
        """Return the axes to draw into, which are new if ``ax`` is None."""
        require("matplotlib", f"{type(self).__name__}.plot", "skdistill[plot]")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5, 3.8), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def legend_above(ax: Any) -> Any:
    """Add a legend above the axes."""
    return ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False
    )


def log_scale(ax: Any) -> None:
    """Make the x-axis logarithmic, with labels that do not run into each other."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator

    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    formatter = LogFormatterSciNotation(minor_thresholds=(1, np.inf))
    ax.xaxis.set_minor_formatter(formatter)


def check_option(name: str, value: str, options: Iterable[str]) -> None:
    """Raise a ValueError unless a value is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
