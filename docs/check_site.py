"""Check the links inside the built site, and that pictures have alternative text.

python docs/check_site.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, its links, and its pictures without alternative text."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.bare = {""}, [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.update(attrs[key] for key in ("id", "name") if attrs.get(key))
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]
        if tag == "img" and "alt" not in attrs:
            self.bare.append(attrs.get("src"))


def problems(root):
    """Yield a line for each dead link and each picture without alternative text."""
    files = [path for path in root.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path) for path in files}
    for path, page in pages.items():
        name = path.relative_to(root)
        yield from (f"{name}: no alternative text: {src}" for src in page.bare)
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            if not target.exists():
                yield f"{name}: dead link: {link}"
            elif (
                target in pages and unquote(parts.fragment) not in pages[target].anchors
            ):
                yield f"{name}: dead anchor: {link}"


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]).resolve())) or None)
