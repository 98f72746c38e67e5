"""The files of pinned versions that are installed together agree."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def pinned(name):
    """Return the names of the packages of a file."""
    lines = ROOT.joinpath(name).read_text("utf-8").splitlines()
    return {line.partition("==")[0] for line in lines if not line.startswith("#")}


def test_no_package_is_pinned_twice():
    assert pinned("constraints.txt") & pinned("constraints-ecosystem.txt") == set()
