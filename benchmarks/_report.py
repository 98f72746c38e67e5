"""Keep results as CSV files in results/, and as tables in RESULTS.md."""

import argparse
import datetime
import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from filelock import FileLock

PACKAGES = ["numpy", "scikit-learn", "skorch", "torch", "lightgbm", "skdistill"]


def argument_parser(description):
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent,
        help="the folder of RESULTS.md and results/",
    )
    return parser


def chosen_target(targets):
    """Return the module of the target, which knows the other choices."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--target", default="classes", choices=targets)
    return targets[parser.parse_known_args()[0].target]


def store(folder, name, record, key):
    """Add a record to results/NAME.csv, in place of one with the same key.

    Several processes may do so at the same time.
    """
    path = folder / "results" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        records = pd.DataFrame([record])
        if path.exists():
            records = pd.concat([pd.read_csv(path), records])
        records = records.drop_duplicates(key, keep="last").sort_values(key)
        _replace(path, records.to_csv(index=False))


def report(folder, tables, note="", variant=""):
    """Print tables by title, and replace the section of this script in RESULTS.md.

    A script that runs in variants has a section for each.
    Each table is also kept in results/ as SCRIPT_TITLE.csv, which the docs show.
    """
    script = Path(sys.argv[0]).stem
    results, path = folder / "results", folder / "RESULTS.md"
    results.mkdir(parents=True, exist_ok=True)
    parts = [_origin(), note]
    for title, table in tables.items():
        name = "_".join([script, *title.replace(",", "").split()])
        _replace(results / f"{name}.csv", table.to_csv(index=False))
        markdown = table.to_markdown(index=False, disable_numparse=True)
        parts += [f"### {title}", markdown]
    section = "\n\n".join(filter(None, parts))
    print(section, flush=True)
    with FileLock(f"{results / 'RESULTS.md'}.lock"):
        old = path.read_text() if path.exists() else "# Results\n"
        head, *sections = old.rstrip().split("\n\n## ")
        sections = dict(one.split("\n\n", 1) for one in sections)
        sections[f"{script}.py {variant}".rstrip()] = section
        written = [f"## {name}\n\n{text}" for name, text in sorted(sections.items())]
        _replace(path, "\n\n".join([head.rstrip(), *written]) + "\n")


def spread(values):
    """Return the mean and the standard deviation."""
    if values.isna().all():
        return ""
    digits = 3 if values.abs().max() < 10 else 0
    return f"{values.mean():,.{digits}f} ± {values.std(ddof=0):,.{digits}f}"


def median_range(values, digits=2):
    """Return the median, and the least and the largest value."""
    values = pd.Series(values)
    low, high = values.min(), values.max()
    return f"{values.median():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _origin():
    """Say when, how and where the numbers were measured."""
    command = shlex.join(["python", *sys.argv])
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.date.today()}, `{command}`; {_processor()}, {os.cpu_count()} "
        f"cores, {_memory_gib():.0f} GiB, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}."
    )


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [x.partition(": ")[2] for x in lines if x.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _replace(path, text):
    """Write a file at once, so that no reader finds half of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)
