"""Write llms.txt: a list of all pages for assistants, with a link to each text."""

from pathlib import Path

from docutils import nodes

HEAD = """# skdistill

> Knowledge distillation for scikit-learn: train a small, fast net that reproduces the
> probabilities of a large classifier.

## Pages

"""


def pages(env, name):
    """Yield a page and those below it, in the order of the tables of contents."""
    yield name
    for child in env.toctree_includes.get(name, ()):
        yield from pages(env, child)


def first_sentence(doctree):
    """Return how a page begins, in one line."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.Admonition):
            text = " ".join(paragraph.astext().split())
            return text.partition(". ")[0].rstrip(".:") + "."
    return ""


def write_list(app, exception):
    """Write a line for each page: its title, its address and its first sentence."""
    if exception or app.builder.name != "html":
        return
    lines = []
    for name in pages(app.env, "index"):
        # The text of a page of the reference is in its HTML alone.
        api = name.startswith("generated/")
        address = f"{name}.html" if api else f"_sources/{name}.rst.txt"
        about = first_sentence(app.env.get_doctree(name))
        lines.append(f"- [{app.env.titles[name].astext()}]({address}): {about}\n")
    Path(app.outdir, "llms.txt").write_text(HEAD + "".join(lines), "utf-8")


def setup(app):
    app.connect("build-finished", write_list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
