"""A process-wide memory of soft labels, so that a teacher is asked once per data set.

A search over temperature and alpha fits one student after another on the same few
training folds. The labels depend on none of its candidates, so they are kept here, by
what they do depend on: the teacher, the rows, and the way of labeling.
"""

from __future__ import annotations

import itertools
import marshal
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import joblib
import numpy as np
from joblib.hashing import NumpyHasher
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.neighbors import BallTree, KDTree

from skdistill.utils._validation import is_fitted

# Some 100 folds of 50,000 rows x 26 classes of labels.
MAX_BYTES = 512 * 2**20

# Arrays larger than this are told apart by a sample of their elements, about so large.
_SAMPLED_BYTES = 64 * 2**10
_SAMPLE_BYTES = 16 * 2**10


@dataclass(frozen=True)
class Labels:
    """What a teacher says of some rows.

    ``values`` is float32 of shape (n_samples, n_classes): probabilities, or
    log-probabilities where ``are_logits``. ``features`` is float32 of shape
    (n_samples, n_teacher_features), if they were asked for and there are some;
    ``reduction`` is how they were reduced. ``teacher`` is the teacher that was fitted
    to make all this, if one was.
    """

    values: NDArray[np.float32]
    classes: NDArray[Any]
    are_logits: bool = False
    features: NDArray[np.float32] | None = None
    reduction: Any = None
    teacher: Any = None

    @property
    def proba(self) -> NDArray[np.float32]:
        return np.exp(self.values) if self.are_logits else self.values

    @property
    def nbytes(self) -> int:
        reductions = self.reduction
        if not isinstance(reductions, list):
            reductions = [reductions]
        held = [self.values, self.classes, self.features, *reductions]
        return sum(part.nbytes for part in held if part is not None)


class _StampHasher(NumpyHasher):
    """joblib's hash, but arrays count by shape, dtype and a sample of their bytes.

    Hashing all of a 1.5 GB forest takes longer than asking it; a sample of a few
    thousand elements of each of its arrays still sees every refit in place.
    """

    is_fitted = False

    def save(self, obj: Any) -> None:
        if self.is_fitted and isinstance(obj, np.random.RandomState):
            obj = None  # it moves on, and decides nothing any more
        obj = _essence(obj)
        if isinstance(obj, np.ndarray) and not obj.dtype.hasobject:
            sample = obj.ravel(order="K")[:: _step(obj.nbytes)]
            obj = (obj.shape, str(obj.dtype), sample.tobytes())
        super().save(obj)


def _step(n_bytes: int) -> int:
    return n_bytes // _SAMPLE_BYTES if n_bytes > _SAMPLED_BYTES else 1


def _essence(obj: Any) -> Any:
    """Return what of an object decides the predictions, where that is not all of it."""
    if getattr(obj, "__module__", None) == "__main__":
        # Pickled by name, these would look the same when a notebook defines them anew.
        if isinstance(obj, FunctionType):
            raise pickle.PicklingError
        if isinstance(obj, type):
            return obj.__qualname__, [_code(base) for base in obj.__mro__]
    if isinstance(obj, KDTree | BallTree):  # they count how often they are asked
        return tuple(map(np.asarray, obj.get_arrays()))
    if isinstance(obj, np.ma.MaskedArray):  # in the cv_results_ of a search
        return obj.data, obj.mask
    if hasattr(obj, "module_") and hasattr(obj, "evaluation_step"):  # a skorch net
        return type(obj), obj.get_params(deep=False), obj.module_
    if hasattr(type(obj), "named_buffers"):  # a torch module, asked in evaluation mode
        return type(obj), {k: v for k, v in vars(obj).items() if k != "training"}
    if hasattr(obj, "untyped_storage"):  # a torch tensor
        flat = obj.detach().reshape(-1)
        sample = flat[:: _step(obj.nbytes)]
        return tuple(obj.shape), str(obj.dtype), sample.cpu().double().numpy()
    return obj


def _code(cls: type) -> list[bytes]:
    """Return the code of a class's own functions, where a cell may define it anew."""
    if cls.__module__ != "__main__":
        return []
    functions = [
        getattr(value, "fget", getattr(value, "__func__", value))
        for value in vars(cls).values()
    ]
    return [marshal.dumps(f.__code__) for f in functions if isinstance(f, FunctionType)]


def stamp(teacher: Any) -> str | None:
    """Return a fingerprint that changes when the teacher does.

    None where the teacher cannot be pickled: then nothing can be told of it.
    """
    hasher = _StampHasher(hash_name="md5")
    hasher.is_fitted = is_fitted(teacher)
    try:
        return hasher.hash(teacher)
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError):
        return None


def object_number(obj: Any) -> int | None:
    """Return a number that no other object of this process gets, or None."""
    try:
        return _numbers.setdefault(obj, next(_next_number))
    except TypeError:  # it has no hash, or takes no weak reference
        return None


_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_next_number = itertools.count()


def content_hash(data: Any) -> str:
    """Hash all of an array, a sparse matrix, a data frame or a list."""
    if issparse(data):
        rows = data.tocsr()
        return joblib.hash((rows.shape, rows.data, rows.indices, rows.indptr))
    if isinstance(data, np.ndarray):
        return joblib.hash(np.asarray(data))  # a memory map counts as its content
    if hasattr(data, "hash_rows"):  # polars
        rows = data.hash_rows().to_numpy()
        return joblib.hash((rows, data.columns, [str(d) for d in data.dtypes]))
    if hasattr(data, "iloc"):
        return joblib.hash(_hashed_columns(data))
    return joblib.hash(data)


def _hashed_columns(data: Any) -> list[Any]:
    """Hash the columns of a pandas object by pandas, whose hash is fast on strings."""
    from pandas.api.types import infer_dtype
    from pandas.util import hash_pandas_object

    columns = (
        [data] if data.ndim == 1 else [data.iloc[:, i] for i in range(data.shape[1])]
    )
    hashed = []
    for column in columns:
        # pandas takes 1 and "1" for the same in a column that mixes them.
        mixed = column.dtype == object and infer_dtype(column) != "string"
        content = column.tolist() if mixed else hash_pandas_object(column, index=False)
        hashed.append(
            (column.name, column.dtype, content if mixed else content.to_numpy())
        )
    return hashed


@dataclass
class LabelCache:
    """Labels by key, within a number of bytes; safe under threads.

    When it is full it takes no more, rather than dropping the oldest: a search goes
    round and round through its folds, and a cache that is one fold too small and drops
    the oldest would never hit. Fitted teachers are kept only where they fit beside the
    labels, and make room for labels.
    """

    max_bytes: int = MAX_BYTES
    _entries: dict[str, Labels] = field(default_factory=dict)
    _teacher_bytes: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _key_locks: dict[str, _KeyLock] = field(
        default_factory=lambda: defaultdict(_KeyLock)
    )

    def get(self, key: str | None, compute: Callable[[], Labels]) -> Labels:
        """Return the labels of ``key``; computed once, also when two threads ask."""
        if key is None:
            return compute()
        with self._locked(key):
            if key not in self._entries:
                labels = compute()
                self._add(key, labels)
                return labels
            return self._entries[key]

    @property
    def nbytes(self) -> int:
        """How many bytes are held."""
        labels = sum(entry.nbytes for entry in self._entries.values())
        return labels + sum(self._teacher_bytes.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._teacher_bytes.clear()

    @contextmanager
    def _locked(self, key: str) -> Any:
        with self._lock:
            key_lock = self._key_locks[key]
            key_lock.users += 1
        try:
            with key_lock.lock:
                yield
        finally:
            with self._lock:
                key_lock.users -= 1
                if not key_lock.users:
                    del self._key_locks[key]

    def _add(self, key: str, labels: Labels) -> None:
        with self._lock:
            while self._teacher_bytes and self.nbytes + labels.nbytes > self.max_bytes:
                self._drop_teacher(next(iter(self._teacher_bytes)))
            room = self.max_bytes - self.nbytes - labels.nbytes
            if room < 0:
                return
            self._entries[key] = replace(labels, teacher=None)
            if labels.teacher is not None:
                size = _pickled_size(labels.teacher, room)
                if size is not None:
                    self._entries[key] = labels
                    self._teacher_bytes[key] = size

    def _drop_teacher(self, key: str) -> None:
        del self._teacher_bytes[key]
        self._entries[key] = replace(self._entries[key], teacher=None)


class _KeyLock:
    """A lock, and how many threads hold it or wait for it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = 0


class _Counter(BytesIO):
    """A file that counts what is written, up to a limit, and keeps nothing."""

    def __init__(self, limit: int) -> None:
        self.size, self.limit = 0, limit

    def write(self, data: Any) -> int:
        n_bytes = memoryview(data).nbytes
        self.size += n_bytes
        if self.size > self.limit:
            raise OverflowError
        return n_bytes


def _pickled_size(obj: Any, limit: int) -> int | None:
    """Return the bytes of a pickle of ``obj``, or None where they exceed ``limit``."""
    counter = _Counter(limit)
    try:
        pickle.Pickler(counter, protocol=5).dump(obj)
    except (OverflowError, pickle.PicklingError, TypeError, AttributeError):
        return None
    return counter.size


cache = LabelCache()
