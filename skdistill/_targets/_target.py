"""The kinds of target. Other modules know a target by this name only."""

from __future__ import annotations

from typing import TypeAlias

from skdistill._targets._classes import Classes

# A further kind has the methods of Classes. With `Target = Classes | Numbers`, mypy
# checks each call of a method for both kinds.
Target: TypeAlias = Classes
