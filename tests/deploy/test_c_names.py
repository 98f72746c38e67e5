import re

import pytest

from skdistill.deploy._c_names import comment, identifiers, literal
from tests.deploy.c_code import needs_compiler, program

HOSTILE = [
    'say "no"',
    "two\nlines\r",
    "*/ int x; /*",
    "??/",
    "back\\slash\\",
    "%s %d $p ${p}",
    "ä\u202e中\U0001f600",
    "",
    "x" * 300,
    "\x01\x7f\t",
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["age", "Home Town", "capital-gain"], ["age", "Home_Town", "capital_gain"]),
        (["int", "class", "linux"], ["int_2", "class_2", "linux_2"]),
        (["math_errhandling", "mips"], ["math_errhandling_2", "mips_2"]),
        (["a b", "a-b", "a_b", "a_b_2"], ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]),
        (["", "1", "中", "_x_"], ["column", "column_1", "column_2", "x"]),
        (["A0", "NAN", "INT"], ["a0", "nan", "int_2"]),
        (["Größe"], ["Groe"]),
        (["x" * 300, "x" * 301], ["x" * 40, f"{'x' * 40}_2"]),
    ],
    ids=str,
)
def test_identifiers_are_like_the_names_valid_and_unique(names, expected):
    assert identifiers(names) == expected


def test_identifiers_of_hostile_names_are_plain():
    found = identifiers(HOSTILE)
    assert len(set(found)) == len(HOSTILE)
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) for name in found)


@needs_compiler
def test_strings_are_read_as_they_were(tmp_path):
    source = tmp_path / "main.c"
    lines = "".join(f"    fputs({literal(text)}, stdout);\n" for text in HOSTILE)
    ends = "".join(f"    /* {comment(text)} */\n" for text in HOSTILE)
    source.write_text(f"#include <stdio.h>\nint main(void)\n{{\n{lines}{ends}}}\n")
    options = ("-std=c99", "-trigraphs", "-Wall", "-Werror")
    printed = program(source, to=tmp_path / "main", options=options)
    assert printed == "".join(HOSTILE).replace("\r", "\n")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_comments_have_nothing_that_ends_them(text):
    shown = comment(text)
    assert shown.isprintable()
    assert not set("*\\?$/\n") & set(shown)
    assert len(comment("x" * 300)) < 80


def test_half_of_a_surrogate_pair_has_a_string_too():
    assert literal("\ud800") == '"\\134ud800"'
