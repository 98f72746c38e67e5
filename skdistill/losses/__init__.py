"""Losses of knowledge distillation, as pure functions on tensors.

They know PyTorch and nothing else of this package, so they serve in a
hand-written training loop as well as in :class:`~skdistill.DistilledClassifier`.
"""

from ._logits import distillation, kl

__all__ = ["distillation", "kl"]
