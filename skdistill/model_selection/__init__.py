"""Searches that train their candidates together."""

from skdistill.model_selection._search import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)

__all__ = ["GridSearchCV", "HalvingGridSearchCV", "RandomizedSearchCV"]
