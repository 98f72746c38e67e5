"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(files: Mapping[str | os.PathLike[str], bytes]) -> None:
    """Write files so that no reader ever sees half of one.

    None of them appears before all of them are written.
    """
    temporary = {}
    try:
        for path, data in files.items():
            target = Path(path).resolve()
            # Systems limit the length of a name, so it does not get longer.
            new = target.with_name(f"{target.name[:40]}.{uuid.uuid4().hex}")
            temporary[new] = target
            with _naming(path):
                new.write_bytes(data)
                if target.is_dir():  # which none can replace
                    raise IsADirectoryError(errno.EISDIR, "it is a folder")
        for path, (new, target) in zip(files, temporary.items(), strict=True):
            with _naming(path):
                os.replace(new, target)
    finally:
        for new in temporary:
            with suppress(OSError):  # it is renamed, or was never there
                new.unlink()


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name a path in errors, which would name the file that would have replaced it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
