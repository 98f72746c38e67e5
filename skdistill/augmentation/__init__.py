"""Rows beyond the training rows, for the teacher to label.

An augmenter makes new rows from the training rows. The teacher labels them, and the
student learns from these soft labels. An augmenter of your own is any object with a
method ``sample(X, n_rows, random_state)`` that returns rows like those of ``X``.
"""

from skdistill.augmentation._augmenters import MUNGE, Mixture, Mixup

__all__ = ["MUNGE", "Mixture", "Mixup"]
