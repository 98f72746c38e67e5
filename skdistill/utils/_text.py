"""Tables in plain text and in HTML."""

from __future__ import annotations

from html import escape


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells as lines: the first column to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        ).rstrip()
        for first, *others in rows
    )


def html_table(rows: list[list[str]]) -> str:
    """Return rows of cells as a table, of which the first row and column are heads."""
    lines = [
        "".join(
            f"<{tag}>{escape(cell)}</{tag}>"
            for column, cell in enumerate(row)
            for tag in ["td" if number and column else "th"]
        )
        for number, row in enumerate(rows)
    ]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
