"""Losses of distillation: functions on tensors, and estimator-like objects.

They know nothing else of this package, so they serve in a hand-written training
loop as well as in :class:`~skdistill.DistilledClassifier`. A function takes all that
it depends on; its object, such as ``RKDLoss`` for ``rkd``, holds the parameters, so
that it can be cloned, pickled and tuned by a search.
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
from ._objects import (
    CKALoss,
    ContrastiveLoss,
    CosineLoss,
    DISTLoss,
    DKDLoss,
    HintLoss,
    JSDLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
    StandardisedLoss,
    VIDLoss,
)
from ._relations import contrastive, pkt, rkd, similarity

__all__ = [
    "CKALoss",
    "ContrastiveLoss",
    "CosineLoss",
    "DISTLoss",
    "DKDLoss",
    "HintLoss",
    "JSDLoss",
    "KLLoss",
    "LogitMSELoss",
    "NKDLoss",
    "PKTLoss",
    "RKDLoss",
    "SimilarityLoss",
    "StandardisedLoss",
    "VIDLoss",
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
