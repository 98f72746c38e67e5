"""Compiles C code for tests, and runs it."""

import ctypes
import shutil
import subprocess

import pytest

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2")

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc")


def build(*sources, to, using="cc", options=STRICT):
    """Compile sources to a file, or fail with what the compiler says."""
    command = [using, *options, *map(str, sources), "-o", str(to)]
    command += [] if "-c" in options else ["-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return to


def library(*sources, to, **options):
    """Return the functions of sources."""
    flags = (*options.pop("options", STRICT), "-shared", "-fPIC")
    return ctypes.CDLL(str(build(*sources, to=to, options=flags, **options)))


def program(*sources, to, args=(), **options):
    """Return what a program prints."""
    build(*sources, to=to, **options)
    done = subprocess.run([to, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def strings(functions, name, n):
    """Return an array of strings of a library."""
    return [text.decode() for text in (ctypes.c_char_p * n).in_dll(functions, name)]
