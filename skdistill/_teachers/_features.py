"""The hidden features of teachers, of which some are the leaves of trees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import csr_matrix, issparse, vstack
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import _num_samples

from skdistill._targets._on_codes import OnCodes
from skdistill._teachers._torch import TorchTeacher, to_numpy
from skdistill.utils._activations import ACTIVATIONS
from skdistill.utils._arrays import Array, Floats, Ints
from skdistill.utils._frames import is_frame
from skdistill.utils._layers import NoFeaturesError, Watch
from skdistill.utils._seeding import seeded
from skdistill.utils._unwrap import unwrapped

# The width that the leaves of an ensemble of trees are reduced to.
N_LEAF_FEATURES = 64

# The number of columns that the leaves are hashed into first, and the odd numbers of
# the hash. Inner products of one-hot rows then have an error of 1 / 128, as 128 is the
# root of the number of columns.
_HASHED_WIDTH = 2**14
_HASH_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64
)

# Those whose trees know no names of columns, and those that do not number leaves.
_NAMELESS = (GradientBoostingClassifier, GradientBoostingRegressor)
_NUMBERLESS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)

# The number of rows whose leaves are hashed at once.
_BATCH_SIZE = 4096


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
    ) -> tuple[Floats | None, LeafReduction | None]:
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

    def held_out(self, teacher: Any, X_train: Any, X_test: Any, like: Floats) -> Floats:
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
        turned: Floats = (unseen - center) @ rotation + target
        return turned.astype(np.float32)


def teacher_features(
    teacher: Any, X: Any, how: Any, reduction: LeafReduction | None = None
) -> tuple[Floats, LeafReduction | None]:
    """Return the features of a fitted teacher, and how its leaves were reduced.

    Parameters
    ----------
    teacher, X : estimator, {array-like, sparse matrix, dataframe}
        The teacher, and the rows as it takes them.
    how : "auto", str or callable
        "auto" for the features that the type of the teacher has, the name of a layer
        of its torch module, or a function of teacher and X.
    reduction : LeafReduction, default=None
        The reduction of an earlier call, for features that are comparable with the
        earlier ones. By default, one is fitted on these rows.

    Returns
    -------
    features : ndarray of shape (n_samples, n_teacher_features), float32
        Finite.
    reduction : LeafReduction or None
        None if the features are no leaves.
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
    features = to_numpy(found)
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
    if isinstance(teacher, MLPClassifier | MLPRegressor) and len(teacher.coefs_) > 1:
        return _of_mlp(teacher, X)
    leaves = leaves_of(teacher, X)
    if leaves is None:
        raise NoFeaturesError(
            f"teacher {name} has no features that are known here: pass "
            "teacher_features=, a function of the teacher and X that returns an array"
        )
    return leaves


def _of_mlp(mlp: MLPClassifier | MLPRegressor, X: Any) -> Array:
    """Return the activations of the last hidden layer."""
    hidden = check_array(X, accept_sparse="csr")
    activation = ACTIVATIONS[mlp.activation]()
    for weights, intercepts in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):
        before = torch.from_numpy(np.asarray(hidden @ weights + intercepts))
        hidden = activation(before).numpy()
    return np.asarray(hidden)


def _of_module(module: Any, X: Any, layer: str | None) -> Array:
    """Return the output of a layer of a module that is itself an estimator."""
    watch = Watch(module, layer, "the teacher", "teacher_features")
    with watch:
        (getattr(module, "predict_proba", None) or module.predict)(X)
    return watch.take(_num_samples(X)).detach().cpu().float().numpy()


def _of_net(net: Any, X: Any, layer: str | None) -> Array:
    """Return the output of a layer of a skorch net."""
    watch = Watch(net.module_, layer, "the teacher", "teacher_features")
    parts = []
    with seeded(0), watch:  # its loader draws numbers
        for outputs in net.forward_iter(X):
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            parts.append(watch.take(len(first)).cpu().float().numpy())
    return np.concatenate(parts)


class LeafReduction:
    """Reduces the leaves of rows to a few features, by their co-occurrence.

    Rows that share many leaves get similar features: the inner product of two rows is
    near the share of trees in which they share a leaf, up to a common factor. The
    leaves of all trees are hashed into one sparse one-hot matrix, and a truncated
    singular value decomposition keeps its largest components.
    """

    @property
    def nbytes(self) -> int:
        return self.svd.components_.nbytes

    def fit(self, leaves: Leaves) -> LeafReduction:
        one_hot = leaves.hashed()
        # A decomposition has at most as many components as rows. transform pads them.
        n_components = min(N_LEAF_FEATURES, len(leaves.numbers))
        self.svd = TruncatedSVD(n_components, random_state=0)
        self.svd.set_output(transform="default")  # whatever scikit-learn is set to give
        with np.errstate(invalid="ignore", divide="ignore"):  # of no variance at all
            self.svd.fit(one_hot)
        mean_square = np.square(self.svd.transform(one_hot)).mean()
        self.scale = np.sqrt(mean_square * n_components / N_LEAF_FEATURES)
        return self

    def transform(self, leaves: Leaves) -> Floats:
        """Return features of shape (n_samples, N_LEAF_FEATURES).

        Their mean square is 1 over the rows of ``fit``.
        """
        reduced = self.svd.transform(leaves.hashed()) / self.scale
        padding = N_LEAF_FEATURES - reduced.shape[1]
        return np.pad(reduced, [(0, 0), (0, padding)]).astype(np.float32)


@dataclass(frozen=True)
class Leaves:
    """The leaf of each row in each tree: integers of shape (n_samples, n_trees)."""

    numbers: Ints

    def hashed(self) -> csr_matrix:
        """Return the leaves as one-hot columns, each under a random sign."""
        # In batches, as intermediate arrays take several times as much memory.
        batches = gen_batches(len(self.numbers), _BATCH_SIZE)
        return vstack([self._hashed(self.numbers[rows]) for rows in batches], "csr")

    @staticmethod
    def _hashed(numbers: Ints) -> csr_matrix:
        n_samples, n_trees = numbers.shape
        trees = np.arange(n_trees, dtype=np.uint64)
        mixed = numbers.astype(np.uint64) * _HASH_FACTORS[0]
        mixed = (mixed + trees + np.uint64(1)) * _HASH_FACTORS[1]
        mixed ^= mixed >> np.uint64(29)
        mixed *= _HASH_FACTORS[2]
        signs = np.where(mixed >> np.uint64(63), 1, -1).astype(np.float32)
        columns = (mixed >> np.uint64(40)) % np.uint64(_HASHED_WIDTH)
        starts = np.arange(0, n_samples * n_trees + 1, n_trees)
        return csr_matrix(
            (signs.ravel(), columns.ravel().astype(np.int32), starts),
            shape=(n_samples, _HASHED_WIDTH),
        )


def leaves_of(teacher: Any, X: Any) -> Leaves | None:
    """Return the leaves of rows; None if the teacher has no trees."""
    if isinstance(teacher, _NAMELESS) and is_frame(X):
        X = np.asarray(X, dtype=np.float32)  # its trees would warn of the names
    # Trees, forests, gradient boosting and XGBoost, whose linear models have no leaves.
    if hasattr(teacher, "apply") and getattr(teacher, "booster", "") != "gblinear":
        numbers = np.asarray(teacher.apply(X))
    elif hasattr(teacher, "booster_"):  # LightGBM
        numbers = np.asarray(teacher.predict(X, pred_leaf=True))
    elif isinstance(teacher, _NUMBERLESS):
        numbers = _leaf_values(teacher, X)
    else:
        return None
    return Leaves(numbers.reshape(len(numbers), -1).astype(np.int64))


def _leaf_values(teacher: Any, X: Any) -> Ints:
    """Return the value that each leaf adds, as these classes do not number leaves."""
    regresses = isinstance(teacher, HistGradientBoostingRegressor)
    staged = teacher.staged_predict if regresses else teacher.staged_decision_function
    sums = np.stack([np.reshape(stage, (len(stage), -1)) for stage in staged(X)])
    if regresses and teacher.loss in ("poisson", "gamma"):
        sums = np.log(sums)  # which are what their trees add up
    added = np.diff(sums, axis=0, prepend=0.0) / (np.abs(sums).max() or 1.0)
    # The sums over the earlier trees have different rounding errors in different rows.
    rounded = np.round(np.concatenate(added, axis=1), 11) + 0.0  # of -0.0 makes 0.0
    return rounded.view(np.int64)
