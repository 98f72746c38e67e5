"""Losses of distillation, as estimator-like objects.

A loss is called with what the student and the teacher give for the rows of a batch, and
returns a tensor of shape (). So it serves in a training loop of your own as well as in
:class:`~skdistill.DistilledClassifier`. It holds its parameters, so that it can be
cloned, pickled and tuned by a search.

If a class that derives from one of these takes other keywords than its base, the
attribute ``keywords`` must list those of "y", "temperature", "sample_weight" and
"epoch" that it takes.
"""

from skdistill.losses._features import CKALoss, CosineLoss, HintLoss, VIDLoss
from skdistill.losses._logits import (
    DISTLoss,
    DKDLoss,
    JSDLoss,
    KLLoss,
    LogitMSELoss,
    NKDLoss,
    StandardizedLoss,
)
from skdistill.losses._numbers import (
    AbsoluteErrorLoss,
    HuberLoss,
    PoissonLoss,
    SquaredErrorLoss,
    TeacherBoundedLoss,
)
from skdistill.losses._relations import (
    ContrastiveLoss,
    PKTLoss,
    RKDLoss,
    SimilarityLoss,
)

__all__ = [
    "AbsoluteErrorLoss",
    "CKALoss",
    "ContrastiveLoss",
    "CosineLoss",
    "DISTLoss",
    "DKDLoss",
    "HintLoss",
    "HuberLoss",
    "JSDLoss",
    "KLLoss",
    "LogitMSELoss",
    "NKDLoss",
    "PKTLoss",
    "PoissonLoss",
    "RKDLoss",
    "SimilarityLoss",
    "SquaredErrorLoss",
    "StandardizedLoss",
    "TeacherBoundedLoss",
    "VIDLoss",
]
