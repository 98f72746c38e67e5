"""Write formulas as MathML, which browsers show without JavaScript and network."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml


def mathml(node, **options):
    r"""Convert a formula; docutils knows \Bigl and \Bigr, but not \Big alone."""
    tex = re.sub(r"(\\[bB]ig)(?![a-z])", r"\1l", node.astext())
    return tex2mathml(tex, **options)


def visit_math(translator, node):
    translator.body.append(mathml(node))
    raise SkipNode


def visit_math_block(translator, node):
    formula = mathml(node, as_block=True)
    translator.body.append(f'<div class="math-block">{formula}</div>')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
