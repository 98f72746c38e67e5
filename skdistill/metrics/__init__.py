"""Measure how close a student comes to its teacher, and what a model costs.

The scorers can be passed to searches and to cross-validation, alone or together with
those of scikit-learn.
"""

from skdistill.metrics._costs import latency_scorer, size_scorer
from skdistill.metrics._fidelity import agreement, gap_closed, kl_to_teacher
from skdistill.metrics._scorer import fidelity_scorer

__all__ = [
    "agreement",
    "fidelity_scorer",
    "gap_closed",
    "kl_to_teacher",
    "latency_scorer",
    "size_scorer",
]
