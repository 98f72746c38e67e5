import runpy
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_student_in_c_tells_the_same_digits(capsys, tmp_path, monkeypatch):
    pytest.importorskip("emlearn")
    monkeypatch.chdir(tmp_path)
    result = runpy.run_path(str(EXAMPLES / "microcontroller.py"))
    assert result["agreement"] > 0.99
    assert result["student"].score(result["X_test"], result["y_test"]) > 0.9
    assert "C and Python agree on" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
