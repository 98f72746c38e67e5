"""Configuration of the documentation. Building it needs no network."""

import os
import re

# One thread in each process: the examples of the gallery start processes of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import skdistill

project = "skdistill"
author = "The skdistill developers"
copyright = f"2026, {author}"
version = release = skdistill.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "auto_examples/**.md5"]
templates_path = ["_templates"]
default_role = "literal"

html_theme = "pydata_sphinx_theme"
html_title = "skdistill"
html_show_sourcelink = False
html_theme_options = {"secondary_sidebar_items": ["page-toc"]}

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
    # "Distill a forest ..." comes first.
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skdistill",),
    "reference_url": {"skdistill": None},
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}


def drop_foreign_references(app, what, name, obj, options, lines):
    """Remove references to scikit-learn's own documentation, but keep their text."""
    if getattr(obj, "__module__", "").startswith("sklearn"):
        lines[:] = [re.sub(r":ref:`(.+?) <\w+>`", r"\1", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", drop_foreign_references)
