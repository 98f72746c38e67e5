from skdistill.utils._text import aligned, html_table


def test_the_first_column_is_to_the_left_and_others_to_the_right():
    rows = [["", "a", "bb"], ["wide", "123", "4"], ["x", "", ""]]
    assert aligned(rows) == "        a  bb\nwide  123   4\nx"


def test_html_has_heads_in_the_first_row_and_column():
    assert html_table([["", "a"], ["<b>", "1"]]) == (
        "<table><tr><th></th><th>a</th></tr>"
        "<tr><th>&lt;b&gt;</th><td>1</td></tr></table>"
    )
