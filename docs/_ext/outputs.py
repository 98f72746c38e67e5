"""Show what the code of a page prints, where the page has an ellipsis in its place.

A number that differs between machines is written as ``0.4...``, for the doctest.
Readers see the number of the machine that built the site.
"""

import doctest

from docutils import nodes
from sphinx.errors import ExtensionError

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Recorder(doctest.DocTestRunner):
    """Keeps what each example printed."""

    def report_success(self, out, test, example, got):
        example.want = got


def shown(example):
    """Return an example as a session of the interpreter."""
    first, *others = example.source.splitlines()
    lines = [f">>> {first}", *(f"... {line}".rstrip() for line in others)]
    return "\n".join([*lines, *example.want.splitlines()])


def show_outputs(app, doctree):
    """Run the code of a page if a result of it has an ellipsis."""
    blocks = list(doctree.findall(nodes.doctest_block))
    parser, name, names, failures = doctest.DocTestParser(), app.env.docname, {}, []
    tests = [parser.get_doctest(b.astext(), names, name, name, 0) for b in blocks]
    if not any("..." in example.want for test in tests for example in test.examples):
        return
    for block, test in zip(blocks, tests, strict=True):
        test.globs = names
        Recorder(verbose=False, optionflags=FLAGS).run(
            test, out=failures.append, clear_globs=False
        )
        text = "\n".join(map(shown, test.examples))
        block[:] = [nodes.Text(text)]
        block.rawsource = text
    if failures:
        raise ExtensionError("".join(failures))


def setup(app):
    app.connect("doctree-read", show_outputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
