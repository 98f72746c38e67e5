"""Configuration of the documentation. Building it needs no network."""

import os
import re
import sys
from importlib import import_module
from pathlib import Path

# One thread in each process: the examples of the gallery start processes of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import skdistill

project = "skdistill"
author = "The skdistill developers"
copyright = f"2026, {author}"
version = release = skdistill.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "folded",
    "outputs",
    "llms",
]
exclude_patterns = ["_build", "_templates", "auto_examples/**.md5"]
templates_path = ["_templates"]
default_role = "literal"

plot_formats = ["png"]
plot_html_show_formats = False
plot_html_show_source_link = False

html_theme = "pydata_sphinx_theme"
html_title = f"skdistill {version}"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skdistill.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": html_title},
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "header_links_before_dropdown": 6,
}
# Tables are wide on the page of the benchmarks.
html_sidebars = {
    "index": [],
    "install": [],
    "tutorial": [],
    "changelog": [],
    "benchmarks": [],
    "reproductions": [],
}
# "fit()" in the contents of a page, not "DistilledClassifier.fit()".
toc_object_entries_show_parents = "hide"

# The docstrings give the types.
autodoc_typehints = "none"
autosummary_generate = True
# The templates list the members; a second list would repeat them.
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "subsection_order": [
        "../examples/first_steps",
        "../examples/teachers",
        "../examples/transfer_sets",
        "../examples/loss",
        "../examples/numbers",
        "../examples/students",
        "../examples/choosing",
        "../examples/deployment",
    ],
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skdistill",),
    "reference_url": {"skdistill": None},
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}

# Where other projects document an object, by the first part of its name.
FOREIGN = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{name}.html",
    "torch": "https://docs.pytorch.org/docs/stable/generated/{name}.html",
    "joblib": "https://joblib.readthedocs.io/en/stable/generated/{name}.html",
    "skorch": "https://skorch.readthedocs.io/en/stable/{module}.html",
}


def link_to_other_projects(app, env, node, contnode):
    """Link an object of another project by its name, without its inventory."""
    from docutils.nodes import reference

    name = node.get("reftarget", "")
    if node.get("refdomain") != "py" or name.partition(".")[0] not in FOREIGN:
        return None
    path, _, last = name.rpartition(".")
    if not hasattr(import_module(path), last):
        return None
    url = FOREIGN[name.partition(".")[0]]
    module = getattr(import_module(path), last).__module__.partition(".")[2]
    uri = url.format(name=name, module=module)
    return reference("", "", contnode, internal=False, refuri=uri)


def drop_foreign_references(app, what, name, obj, options, lines):
    """Remove references to scikit-learn's own documentation, but keep their text."""
    # Our docstrings have no terms.
    lines[:] = [re.sub(r":term:`(.+?)`", r"``\1``", line) for line in lines]
    if getattr(obj, "__module__", "").startswith("sklearn"):
        lines[:] = [re.sub(r":ref:`(.+?) <\w+>`", r"\1", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", drop_foreign_references)
    app.connect("missing-reference", link_to_other_projects)
