"""Tables in plain text."""

from __future__ import annotations


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells as lines: the first column to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        ).rstrip()
        for first, *others in rows
    )
