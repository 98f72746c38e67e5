"""A C compiler, where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

# What the code is compiled with before it is compared with the student.
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")


def compiler() -> list[str] | None:
    """Return the command of a C compiler, or None if there is none.

    The environment variable ``CC`` may name it, as for make.
    """
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return command if shutil.which(command[0]) else None


def compiled(source: Path, folder: str, *options: str) -> Path:
    """Compile a file into a shared library in a folder.

    Raises
    ------
    FileNotFoundError
        If there is no compiler.
    ValueError
        If it fails. The message is the compiler's.
    """
    command = compiler()
    if command is None:
        raise FileNotFoundError(
            "there is no C compiler: install one as cc, or name one in the environment "
            "variable CC"
        )
    library = Path(folder, f"{source.stem}.so")
    command += [*options, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise ValueError(
            f"{command[0]} cannot compile {source.name}:\n{done.stderr[-2000:]}"
        )
    return library
