import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_student_in_c_tells_the_same_species(tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "deployment" / "microcontroller.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert not run.returncode, run.stderr
    (score,) = re.findall(r"student +(\S+)", run.stdout)
    (agreement,) = re.findall(r"agree on (\S+)%", run.stdout)
    assert float(score) > 0.9
    assert float(agreement) > 99
    assert not list(tmp_path.iterdir())
