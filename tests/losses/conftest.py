"""Features of students and teachers, for the tests of all losses."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

SIXTEEN_BITS = [torch.bfloat16, torch.float16]

# Rounded, so that no squares of differences underflow.
entries = st.floats(-30, 30).map(lambda x: round(x, 3))
features = arrays(np.float64, (6, 3), elements=entries).map(torch.tensor)
scales = st.floats(0.01, 100)


def batch(n_samples=8, width=5, teacher_width=5, dtype=torch.float64):
    """Return features of a student and of a teacher, and weights of the rows."""
    rng = np.random.default_rng(n_samples)
    student = rng.normal(size=(n_samples, width))
    teacher = rng.normal(size=(n_samples, teacher_width))
    return (
        torch.tensor(student, dtype=dtype, requires_grad=True),
        torch.tensor(teacher, dtype=dtype),
        torch.tensor(rng.uniform(0, 2, size=n_samples), dtype=dtype),
    )


def call(loss, student, teacher, **given):
    """Call a loss with those keywords that it takes, and with labels if it does."""
    known = {"y": torch.arange(len(student)) % student.shape[1]} | given
    return loss(student, teacher, **{k: known[k] for k in loss.keywords if k in known})


def rotation(width, seed=0):
    normal = np.random.default_rng(seed).normal(size=(width, width))
    return torch.tensor(np.linalg.qr(normal)[0])


def gradient(loss, student):
    return torch.autograd.grad(loss, student)[0]
