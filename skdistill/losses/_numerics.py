"""Checks and arithmetic that the losses of several families share."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def weighted_mean(per_row: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean over the samples, weighted if there are weights."""
    if sample_weight is None:
        return per_row.mean()
    return (shares(sample_weight, per_row) * per_row).sum()


def shares(sample_weight: Tensor, per_row: Tensor) -> Tensor:
    """Weights that sum to 1, or are all 0."""
    if sample_weight.shape != per_row.shape:
        raise ValueError(
            f"sample_weight must have shape {tuple(per_row.shape)}, one weight per "
            f"sample, got {tuple(sample_weight.shape)}."
        )
    dtype = at_least_float32(per_row.dtype)
    weight = sample_weight.to(per_row.device, dtype)
    # The clamp makes 0 / 0 a 0 without asking the device for the sum.
    return weight / weight.sum().clamp_min(torch.finfo(dtype).tiny)


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Return float32 in place of a 16-bit type, else the type itself."""
    return torch.promote_types(dtype, torch.float32)


def widened_pair(
    student: Tensor, teacher: Tensor, min_rows: int = 1, same_width: bool = False
) -> tuple[Tensor, Tensor]:
    """Check both features and cast them to float32 or better; detach the teacher's."""
    problem = None
    if student.ndim != 2 or teacher.ndim != 2:
        problem = "be of shape (n_samples, n_features), so call .flatten(1) on others"
    elif len(student) != len(teacher):
        problem = "have the same number of rows"
    elif 0 in (student.shape[1], teacher.shape[1]):
        problem = "have columns"
    elif same_width and student.shape[1] != teacher.shape[1]:
        problem = "have the same width, so project the student's features first"
    if problem:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"student and teacher must {problem}, got {shapes}.")
    if len(student) < min_rows:
        raise ValueError(f"A batch needs at least {min_rows} rows, got {len(student)}.")
    if not teacher.isfinite().all():
        raise ValueError(
            "teacher must have finite features; clip probabilities away from 0 first."
        )
    dtype = at_least_float32(student.dtype)
    return student.to(dtype), teacher.detach().to(student.device, dtype)


def rescaled(features: Tensor) -> Tensor:
    """Divide features by the largest entry, a constant to the gradient.

    It changes nothing in a loss that is invariant to scale, but no square of a
    feature overflows, and only those of negligible ones underflow.
    """
    largest = features.detach().abs().amax()
    return features / torch.where(largest > smallest_norm(features), largest, 1)


def unit(vectors: Tensor, floor: Tensor | float) -> Tensor:
    """Divide vectors along the last axis by their norm, or by 1 up to the floor.

    So a vector of zeros stays one, and its gradient is that of the identity, where
    dividing by a small constant would have multiplied it by 1e12.
    """
    norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / torch.where(norm > floor, norm, 1)


def unit_rows(features: Tensor) -> Tensor:
    """Scale each row to norm 1, whatever its magnitude; rows of zeros stay so."""
    floor = smallest_norm(features)
    largest = features.detach().abs().amax(dim=1, keepdim=True)
    return unit(features / torch.where(largest > floor, largest, 1), floor)


def smallest_norm(features: Tensor) -> float:
    """Smallest norm whose square is a normal number in the dtype of the features."""
    return float(torch.finfo(features.dtype).tiny ** 0.5)


def rounding(features: Tensor) -> float:
    """Relative size up to which a difference of features is taken for rounding."""
    return 32 * torch.finfo(features.dtype).eps


def without_autocast(features: Tensor) -> AbstractContextManager[object]:
    """Keep autocast from computing matrix products in 16 bits."""
    device = features.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
