"""The hidden features of teachers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import issparse
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_array
from sklearn.utils.validation import _num_samples

from skdistill._targets._on_codes import OnCodes
from skdistill._teachers._leaves import LeafReduction, Leaves, leaves_of
from skdistill._teachers._torch import TorchTeacher
from skdistill.utils._activations import ACTIVATIONS
from skdistill.utils._layers import NoFeaturesError, Watch
from skdistill.utils._seeding import seeded
from skdistill.utils._unwrap import unwrapped


@dataclass(frozen=True)
class FeatureQuestion:
    """Asks every teacher for its features in the same way.

    Parameters
    ----------
    how : "auto", str or callable
        As :func:`teacher_features` takes it.
    required : bool
        Whether a teacher without features is an error. Otherwise they are None.
    reduction : LeafReduction or list of them, default=None
        The reduction of earlier rows, or one for each of several teachers, for features
        that are comparable with the earlier ones.
    """

    how: Any
    required: bool
    reduction: Any = None

    def __call__(
        self, teacher: Any, X: Any
    ) -> tuple[NDArray[np.float32] | None, LeafReduction | None]:
        try:
            return teacher_features(teacher, X, self.how, self.reduction)
        except NoFeaturesError:
            if self.required:
                raise
            return None, None

    def of_teacher(self, number: int) -> FeatureQuestion:
        """Return what to ask one teacher of several."""
        if self.reduction is None:
            return self
        return replace(self, reduction=self.reduction[number])

    def held_out(
        self, teacher: Any, X_train: Any, X_test: Any, like: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the features of ``X_test``, turned as those of ``X_train``.

        Two fits of one estimator have their hidden units and leaves in different
        orders. The rotation that brings the features of ``X_train`` nearest to
        ``like`` makes those of ``X_test`` comparable with the features of other folds.
        It preserves distances and angles.
        """
        seen, reduction = teacher_features(teacher, X_train, self.how)
        unseen, _ = teacher_features(teacher, X_test, self.how, reduction)
        if not seen.shape[1] == unseen.shape[1] == like.shape[1]:
            raise ValueError(
                f"teacher_features has width {unseen.shape[1]} in a fold and "
                f"{like.shape[1]} for all rows: out-of-fold features need one width"
            )
        center, target = seen.mean(axis=0), like.mean(axis=0)
        rotation, _ = orthogonal_procrustes(seen - center, like - target)
        turned: NDArray[np.float32] = (unseen - center) @ rotation + target
        return turned.astype(np.float32)


def teacher_features(
    teacher: Any, X: Any, how: Any, reduction: LeafReduction | None = None
) -> tuple[NDArray[np.float32], LeafReduction | None]:
    """Return the features of a fitted teacher, and how its leaves were reduced.

    Parameters
    ----------
    teacher : estimator
        The teacher.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        The rows, as the teacher takes them.
    how : "auto", str or callable
        "auto" for the features that the type of the teacher has, the name of a layer
        of its torch module, or a function of teacher and X.
    reduction : LeafReduction, default=None
        The reduction of an earlier call, for features that are comparable with the
        earlier ones.

    Returns
    -------
    features : ndarray of shape (n_samples, n_teacher_features), float32
        Finite.
    reduction : LeafReduction or None
        The reduction that was fitted on these rows, or that of the earlier call.
    """
    if isinstance(teacher, OnCodes):
        teacher = teacher.estimator
    source = "the function teacher_features"
    if callable(how):
        found = how(teacher, X)
    else:
        source = f"teacher {type(teacher).__name__}"
        found = _find(teacher, X, how)
        if isinstance(found, Leaves):
            if reduction is None:
                reduction = LeafReduction().fit(found)
            found = reduction.transform(found)
    if issparse(found):
        raise ValueError(f"{source} gave a sparse matrix; make it dense by .toarray()")
    features = np.asarray(found)
    n_samples = _num_samples(X)
    if features.ndim < 2 or len(features) != n_samples or not features.size:
        raise ValueError(
            f"{source} gave features of shape {features.shape} for {n_samples} rows, "
            "expected (n_samples, n_features)"
        )
    if features.dtype.kind not in "biuf":
        raise ValueError(f"{source} gave features that are no numbers")
    with np.errstate(over="ignore"):
        values = features.reshape(n_samples, -1).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{source} gave features with NaN, infinity, or values too large for "
            "float32"
        )
    return values, reduction


def _find(teacher: Any, X: Any, how: str) -> Any:
    before, teacher = unwrapped(teacher)
    for _, step in before:
        X = step.transform(X)
    layer = None if how == "auto" else how
    if isinstance(teacher, torch.nn.Module):
        return _of_module(teacher, X, layer)
    if isinstance(teacher, TorchTeacher):
        return teacher.hidden_features(X, layer)
    if hasattr(teacher, "module_") and hasattr(teacher, "forward_iter"):
        return _of_net(teacher, X, layer)
    name = type(teacher).__name__
    if layer is not None:
        raise ValueError(
            f"teacher_features={layer!r} names a layer, and teacher {name} has no "
            "torch module: use 'auto', or a function of the teacher and X"
        )
    if isinstance(teacher, MLPClassifier) and len(teacher.coefs_) > 1:
        return _of_mlp(teacher, X)
    leaves = leaves_of(teacher, X)
    if leaves is None:
        raise NoFeaturesError(
            f"teacher {name} has no features that are known here. Pass "
            "teacher_features= a function of the teacher and X that returns an array "
            "of shape (n_samples, n_features)"
        )
    return leaves


def _of_mlp(mlp: MLPClassifier, X: Any) -> NDArray[Any]:
    """Return the activations of the last hidden layer."""
    hidden = check_array(X, accept_sparse="csr")
    activation = ACTIVATIONS[mlp.activation]()
    for weights, intercepts in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):
        before = torch.from_numpy(np.asarray(hidden @ weights + intercepts))
        hidden = activation(before).numpy()
    return np.asarray(hidden)


def _of_module(module: Any, X: Any, layer: str | None) -> NDArray[Any]:
    """Return the output of a layer of a module that is itself a classifier."""
    watch = Watch(module, layer, "the teacher", "teacher_features")
    with watch:
        module.predict_proba(X)
    return watch.take(_num_samples(X)).detach().cpu().float().numpy()


def _of_net(net: Any, X: Any, layer: str | None) -> NDArray[Any]:
    """Return the output of a layer of a skorch net."""
    watch = Watch(net.module_, layer, "the teacher", "teacher_features")
    parts = []
    with seeded(0), watch:  # its loader draws numbers
        for outputs in net.forward_iter(X):
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            parts.append(watch.take(len(first)).cpu().float().numpy())
    return np.concatenate(parts)
