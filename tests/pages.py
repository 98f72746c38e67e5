"""The pages of the documentation."""

import re
import textwrap
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(
    r"^( *)\.\. code-block:: python\n((?:\1 +\S.*\n|\s*\n)+)", re.MULTILINE
)


def code_blocks(page):
    """Return the blocks of Python code of a page that are no doctests."""
    text = _DOCS.joinpath(page).read_text("utf-8")
    return [textwrap.dedent(code) for _, code in _BLOCK.findall(text)]
