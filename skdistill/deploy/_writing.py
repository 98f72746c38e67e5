"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Mapping
from pathlib import Path


def write_whole(files: Mapping[str | os.PathLike[str], bytes]) -> None:
    """Write files so that no reader ever sees half of one.

    None of them appears before all of them are written.
    """
    temporary = {}
    try:
        for path, data in files.items():
            target = Path(path).resolve()
            new = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
            temporary[new] = target
            new.write_bytes(data)
            if target.is_dir():  # which none can replace
                raise IsADirectoryError(errno.EISDIR, "it is a folder", str(target))
        for new, target in temporary.items():
            os.replace(new, target)
    finally:
        for new in temporary:
            new.unlink(missing_ok=True)
