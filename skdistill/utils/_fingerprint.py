"""Checksums of objects, which tell whether they have changed."""

from __future__ import annotations

import functools
import hashlib
import pickle
import sys
import sysconfig
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import metadata
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from sklearn.neighbors import BallTree, KDTree

from skdistill.utils._locks import ForkSafeLock

try:
    import cloudpickle
except ImportError:  # joblib below 1.6 brings its own
    from joblib.externals import cloudpickle

# Code in these folders does not change while a process runs.
_STANDARD_LIBRARY = tuple({sysconfig.get_path(n) for n in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_ROOT = __name__.partition(".")[0]

# Modules that were found to be installed, by name. To look at thousands of them again
# would take longer than most checksums.
_NOT_OWN: dict[str, ModuleType] = {}

# Pickling by value is a setting of cloudpickle that holds for the whole process.
_ONE_AT_A_TIME = ForkSafeLock()

# From this size on, threads save more time than it takes to start them.
_MANY_BYTES = 32 * 2**20

# Attributes of a skorch net that only a further training reads.
_OF_TRAINING = ("history_", "optimizer_", "callbacks_")

# Attributes of modules that are left out: the mode, and submodules, which come later.
_OF_MODULES = ("training", "_modules")


@dataclass(frozen=True)
class Fingerprint:
    """A checksum, and whether another process would compute the same.

    ``is_lasting`` is False if the checksum covers code of the user: a later process
    cannot tell whether that code is still the same.
    """

    checksum: str
    is_lasting: bool


# The checksums of objects that do not change for a while, by the id of the object.
_known: ContextVar[dict[int, Fingerprint]] = ContextVar("known", default={})  # noqa: B039


@contextmanager
def unchanged(objects: Sequence[Any]) -> Iterator[None]:
    """Compute the checksums of objects once, as they do not change meanwhile."""
    marks = {id(one): mark for one in objects if (mark := fingerprint(one))}
    token = _known.set(_known.get() | marks)
    try:
        yield
    finally:
        _known.reset(token)


def fingerprint(*objects: Any) -> Fingerprint | None:
    """Return a checksum of all that the objects hold, or None if one cannot be pickled.

    It covers every byte of every array, the parameters and attributes of estimators,
    the versions of the installed packages that their classes come from, and the code of
    other functions and classes, with the global variables that this code names. So it
    changes with every refit, every change in place and every upgrade. Equal objects may
    have different checksums, as where two attributes are one list in one object and two
    equal lists in the other.

    The objects are pickled, but not copied: large arrays are summed where they lie, by
    a CRC-32 of each array, several arrays at a time.
    """
    stream = _Stream()
    try:
        with _ONE_AT_A_TIME, _own_code_by_value():
            pickler = _Pickler(stream, protocol=5, buffer_callback=stream.add)
            pickler.dump(objects)
            stream.write(repr(sorted(map(_versioned, pickler.packages))).encode())
    except Exception:  # an object may refuse to be pickled with any error
        return None
    return Fingerprint(stream.checksum(), not pickler.met_own_code)


class _Stream:
    """Sums the bytes of a pickle, and of the arrays that are not copied into it."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._arrays: list[memoryview] = []

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return memoryview(data).nbytes

    def add(self, array: pickle.PickleBuffer) -> None:
        self._arrays.append(array.raw())

    def checksum(self) -> str:
        sums: Iterator[int] = map(zlib.crc32, self._arrays)
        if sum(array.nbytes for array in self._arrays) > _MANY_BYTES:
            with ThreadPoolExecutor() as pool:  # zlib lets other threads run meanwhile
                sums = iter(list(pool.map(zlib.crc32, self._arrays)))
        for array, crc in zip(self._arrays, sums, strict=True):
            self._digest.update(b"%d %d," % (array.nbytes, crc))
        return self._digest.hexdigest()


class _Pickler(cloudpickle.Pickler):
    """Pickles what predictions depend on, and nothing that predictions change."""

    met_own_code = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.packages: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        if known := _known.get().get(id(obj)):
            self.met_own_code |= not known.is_lasting
            return _contents, (known.checksum,)
        if isinstance(obj, type | FunctionType | BuiltinFunctionType):
            self.packages.add(str(obj.__module__).partition(".")[0])
        if isinstance(obj, type | FunctionType):
            self.met_own_code |= _is_own(obj.__module__)
            return super().reducer_override(obj)
        if isinstance(obj, KDTree | BallTree):
            # The integers in its state are sizes, and counts of what it was asked.
            state = [part for part in obj.__getstate__() if not isinstance(part, int)]
            return _contents, (type(obj), state)
        if hasattr(obj, "module_") and hasattr(obj, "evaluation_step"):  # a skorch net
            attributes = {
                name: _without_mode(value)
                for name, value in vars(obj).items()
                if name not in _OF_TRAINING
            }
            return _contents, (type(obj), attributes)
        torch = sys.modules.get("torch")  # it is not imported for what needs none
        if torch is not None and isinstance(obj, torch.Tensor):
            flat = obj.detach().cpu().contiguous().reshape(-1)
            array = flat.view(torch.uint8).numpy()
            return _contents, (type(obj), str(obj.dtype), tuple(obj.shape), array)
        return super().reducer_override(obj)


def _versioned(package: str) -> tuple[str, str]:
    """Return an installed package with its version, "" if it tells none."""
    version = getattr(sys.modules.get(package), "__version__", None)
    return package, _of_distribution(package) if version is None else str(version)


@functools.cache
def _of_distribution(package: str) -> str:
    """Return the version of the distribution that has the name of a package."""
    if package in sys.stdlib_module_names:
        return ""
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _contents(*parts: Any) -> None:
    """Replace a constructor in a pickle that is never loaded."""


def _without_mode(value: Any) -> Any:
    """Return the attributes of a module without its mode, which predictions change."""
    if isinstance(value, type) or not hasattr(value, "named_modules"):
        return value
    return [
        (
            name,
            type(part),
            {k: v for k, v in vars(part).items() if k not in _OF_MODULES},
        )
        for name, part in value.named_modules()
    ]


@contextmanager
def _own_code_by_value() -> Iterator[None]:
    """Let cloudpickle include the code of modules that are not installed."""
    known = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    modules = [
        module
        for name, module in list(sys.modules.items())
        if _NOT_OWN.get(name) is not module
        and isinstance(module, ModuleType)
        and module.__name__ == name  # a module may be known under several names
        and name not in known
        and _is_own(name)
    ]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _is_own(name: str | None) -> bool:
    """Tell whether a module is code of the user, which may be edited and reloaded."""
    if name is None or name == "__main__" or name not in sys.modules:
        return True
    module = sys.modules[name]
    # runpy keeps a path as it is
    file = str(getattr(module, "__file__", None) or "")
    is_own = (
        name.partition(".")[0] != _ROOT
        and name not in sys.builtin_module_names
        and not _is_installed(file)
    )
    if not is_own:
        _NOT_OWN[name] = module
    return is_own


@functools.cache
def _is_installed(file: str) -> bool:
    """Tell whether a file is part of Python, or of an installed package."""
    if not file or any(folder in file for folder in _INSTALLED):
        return True
    return file.startswith(_STANDARD_LIBRARY)
