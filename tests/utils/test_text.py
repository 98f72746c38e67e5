from skdistill.utils._text import aligned


def test_the_first_column_is_to_the_left_and_others_to_the_right():
    rows = [["", "a", "bb"], ["wide", "123", "4"], ["x", "", ""]]
    assert aligned(rows) == "        a  bb\nwide  123   4\nx"
