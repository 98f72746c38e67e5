"""The kinds of target. Other modules know a target by this name only."""

from __future__ import annotations

from typing import TypeAlias

from skdistill._targets._classes import Classes

# A further kind has the methods of Classes: `Target = Classes | Numbers`. Then mypy checks
# every call of a method for both.
Target: TypeAlias = Classes
