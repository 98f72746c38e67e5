import re
import runpy
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_student_in_c_tells_the_same_species(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "deployment" / "microcontroller.py"))
    printed = capsys.readouterr().out
    (score,) = re.findall(r"student +(\S+)", printed)
    (agreement,) = re.findall(r"agree on (\S+)%", printed)
    assert float(score) > 0.9
    assert float(agreement) > 99
    assert not list(tmp_path.iterdir())
