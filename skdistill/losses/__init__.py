"""Losses of knowledge distillation, as pure functions on tensors.

They know PyTorch and nothing else of this package, so they serve in a
hand-written training loop as well as in :class:`~skdistill.DistilledClassifier`.
"""

from ._features import cka, cosine, hint
from ._logits import (
    dist,
    distillation,
    dkd,
    jsd,
    kl,
    logit_mse,
    nkd,
    standardised,
)
from ._relations import contrastive, pkt, rkd, similarity

__all__ = [
    "cka",
    "contrastive",
    "cosine",
    "dist",
    "distillation",
    "dkd",
    "hint",
    "jsd",
    "kl",
    "logit_mse",
    "nkd",
    "pkt",
    "rkd",
    "similarity",
    "standardised",
]
