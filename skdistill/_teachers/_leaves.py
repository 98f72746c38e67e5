"""The leaves of trees as hidden features, reduced to a few columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.utils import gen_batches

from skdistill.utils._frames import is_frame

# The width that the leaves of an ensemble of trees are reduced to.
N_LEAF_FEATURES = 64

# The number of columns that the leaves are hashed into first, and the odd numbers of
# the hash. Inner products of one-hot rows then have an error of 1 / 128, as 128 is the
# root of the number of columns.
_HASHED_WIDTH = 2**14
_HASH_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64
)

# The number of rows whose leaves are hashed at once.
_BATCH_SIZE = 4096


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

    def transform(self, leaves: Leaves) -> NDArray[np.float32]:
        """Return features of shape (n_samples, N_LEAF_FEATURES).

        Their mean square is 1 over the rows of ``fit``.
        """
        reduced = self.svd.transform(leaves.hashed()) / self.scale
        padding = N_LEAF_FEATURES - reduced.shape[1]
        return np.pad(reduced, [(0, 0), (0, padding)]).astype(np.float32)


@dataclass(frozen=True)
class Leaves:
    """The leaf of each row in each tree: integers of shape (n_samples, n_trees)."""

    numbers: NDArray[np.int64]

    def hashed(self) -> csr_matrix:
        """Return the leaves as one-hot columns, each under a random sign."""
        # In batches, as intermediate arrays take several times as much memory.
        batches = gen_batches(len(self.numbers), _BATCH_SIZE)
        return vstack([self._hashed(self.numbers[rows]) for rows in batches], "csr")

    @staticmethod
    def _hashed(numbers: NDArray[np.int64]) -> csr_matrix:
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
    numbers = _leaf_numbers(teacher, X)
    if numbers is None:
        return None
    return Leaves(numbers.reshape(len(numbers), -1).astype(np.int64))


def _leaf_numbers(teacher: Any, X: Any) -> NDArray[Any] | None:
    """Return a column of leaf numbers for each tree."""
    if isinstance(teacher, GradientBoostingClassifier) and is_frame(X):
        X = np.asarray(X, dtype=np.float32)  # its trees would warn of the names
    # Trees, forests, gradient boosting and XGBoost, whose linear models have no leaves.
    if hasattr(teacher, "apply") and getattr(teacher, "booster", "") != "gblinear":
        return np.asarray(teacher.apply(X))
    if hasattr(teacher, "booster_"):  # LightGBM
        return np.asarray(teacher.predict(X, pred_leaf=True))
    if isinstance(teacher, HistGradientBoostingClassifier):
        return _leaf_values(teacher, X)
    return None


def _leaf_values(teacher: Any, X: Any) -> NDArray[np.int64]:
    """Return the value that each leaf adds, as this class does not number leaves."""
    stages = [np.reshape(z, (len(z), -1)) for z in teacher.staged_decision_function(X)]
    added = np.diff(np.stack(stages), axis=0, prepend=0.0)
    # The sums over the earlier trees have different rounding errors in different rows.
    rounded = np.round(np.concatenate(added, axis=1), 9) + 0.0  # of -0.0 makes 0.0
    return rounded.view(np.int64)
