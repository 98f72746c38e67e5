"""What the documentation promises: its code runs, and it names all that is public."""

import csv
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

import skdistill
from skdistill import DistilledClassifier, make_student
from tests.pages import code_blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MODULES = [
    "skdistill",
    *(
        f"skdistill.{module.name}"
        for module in pkgutil.iter_modules(skdistill.__path__)
        if not module.name.startswith("_") and module.name != "utils"
    ),
]
READMES = ["README.md", "README.zh-CN.md"]


def text(name):
    return ROOT.joinpath(name).read_text("utf-8")


def blocks(name):
    """Return the code blocks of a page in Markdown, as pairs of language and code."""
    return re.findall(r"```(\w+)\n(.*?)```", text(name), re.DOTALL)


def test_the_code_of_the_readme_prints_what_stands_below_it(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    code, expected = (
        part for language, part in blocks("README.md") if language in ("python", "text")
    )
    exec(code, {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    for got, want in zip(printed, map(str.split, expected.splitlines()), strict=True):
        assert [got[0], got[3]] == [want[0], want[3]]
        assert_allclose(float(got[1]), float(want[1]), atol=0.015)
        assert_allclose(float(got[2]), float(want[2]), rtol=0.1)


def test_the_code_with_a_model_of_keras_runs():
    X, y = load_iris(return_X_y=True)
    proba = GaussianNB().fit(X, y).predict_proba
    names = {"keras_model": SimpleNamespace(predict=proba)}
    (code,) = code_blocks("howto/own_loop.rst")
    exec(code, names)
    assert_array_equal(names["teacher"].predict_proba(X), proba(X))


def test_the_code_with_a_foundation_model_runs(monkeypatch, tmp_path):
    X, y = load_iris(return_X_y=True)
    model = SimpleNamespace(TabPFNClassifier=GaussianNB)
    monkeypatch.setitem(sys.modules, "tabpfn", model)
    monkeypatch.chdir(tmp_path)
    names = {"X": X, "y": y}
    (code,) = code_blocks("howto/foundation_model.rst")
    exec(code, names)
    assert names["clf"].score(X, y) > 0.9
    assert any(tmp_path.joinpath("soft_labels").iterdir())


def test_the_code_with_a_progress_bar_runs(capsys):
    pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    X, y = load_iris(return_X_y=True)
    teacher, student = GaussianNB().fit(X, y), make_student((8,), max_epochs=2)
    clf = DistilledClassifier(teacher, student, augmenter=None)
    (code,) = code_blocks("guide/training.rst")
    exec(code, {"clf": clf, "X_train": X, "y_train": y})
    assert "DistilledClassifier" in capsys.readouterr().out


def test_all_other_code_of_the_documentation_is_a_doctest():
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.rst")]
    with_code = {page for page in pages if code_blocks(page)}
    assert with_code == {
        "guide/training.rst",
        "howto/cluster.rst",  # runs with the tests of dask
        "howto/foundation_model.rst",
        "howto/own_loop.rst",
    }


def test_both_readmes_have_the_same_code_and_table():
    assert blocks("README.md") == blocks("README.zh-CN.md")
    tables = [re.findall(r"^\|.*$", text(name), re.MULTILINE) for name in READMES]
    assert tables[0] == tables[1] != []


def test_the_table_of_the_readme_has_rows_of_the_one_that_was_measured():
    path = "benchmarks/results/quality_costs_blend_64-64_8000_rows.csv"
    _, *measured = csv.reader(text(path).splitlines())
    _, _, *shown = re.findall(r"^\| (.*) \|$", text("README.md"), re.MULTILINE)
    rows = [row.split(" | ") for row in shown]
    assert rows == [row for row in measured if row in rows] != []


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(name):
    links = re.findall(r"\]\(([^):]+)\)", text(name))
    assert links or name == "CONTRIBUTING.md"
    assert [link for link in links if not ROOT.joinpath(link).exists()] == []


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_lists_each_public_name(module):
    public = importlib.import_module(module).__all__
    parts = re.split(r"currentmodule:: (\S+)", text("docs/api.rst"))
    sections = zip(parts[1::2], parts[2::2], strict=True)
    names = "".join(names for name, names in sections if name == module)
    modules = {name.rpartition(".")[2] for name in MODULES}
    assert set(public) - modules == set(re.findall(r"^   (\w+)$", names, re.MULTILINE))


def test_pictures_of_the_documentation_have_alternative_text():
    pages = [
        page
        for folder in [".", "guide", "howto"]
        for page in DOCS.glob(f"{folder}/*.rst")
    ]
    picture = re.compile(r"\.\. (?:image|figure):: .*(?:\n +:.*)*")
    pictures = [
        found for page in pages for found in picture.findall(page.read_text("utf-8"))
    ]
    assert pictures
    assert [found for found in pictures if ":alt:" not in found] == []


def test_each_page_of_the_guide_has_a_picture():
    pages = sorted(page.stem for page in DOCS.glob("guide/*.rst"))
    with_picture = [
        page for page in pages if ".. figure::" in text(f"docs/guide/{page}.rst")
    ]
    assert set(pages) - set(with_picture) == {"index"}


def test_the_chooser_names_each_parameter_once():
    table = text("docs/guide/choosing.rst").partition(".. _parameters:")[2]
    named = re.findall(r"``(\w+)``", table)
    assert sorted(named) == sorted(DistilledClassifier().get_params(deep=False))
