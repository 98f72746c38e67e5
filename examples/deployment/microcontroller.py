"""
Run the student on a microcontroller
====================================

:func:`~skdistill.deploy.to_sklearn` turns a student into an
:class:`~sklearn.neural_network.MLPClassifier`, from which many tools generate C code.
This example uses `emlearn <https://emlearn.org>`_. It generates arrays of weights and a
header of a few hundred lines, without dynamic memory. The student tells three species
of iris from four lengths in centimeters; the data are bundled with scikit-learn. We
compile it with gcc as a program for this computer, and check that it predicts the same
species as the student in Python.

The example needs gcc, and ``pip install emlearn``. It is not run when this page is
built. ``python examples/microcontroller.py`` prints the accuracy of the teacher and of
the student, the size of the weights, and the agreement of C and Python:

.. code-block:: text

    forest   0.933
    student  0.960
    131 weights, 524 bytes
    C and Python agree on 100.0% of 75 rows
"""

import subprocess
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from skdistill import DistilledClassifier
from skdistill.deploy import to_sklearn

# %%
# A student for the device
# ------------------------
#
# The lengths are of similar size, so the student needs no preprocessing, neither here
# nor on the device. Scale other inputs in the same way on both.

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32), y, test_size=0.5, stratify=y, random_state=0
)
forest = RandomForestClassifier(300, random_state=0).fit(X_train, y_train)


class Net(torch.nn.Sequential):
    """4 lengths, 16 hidden units, 3 species."""

    def __init__(self):
        super().__init__(
            torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
        )


net = NeuralNetClassifier(
    Net,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.AdamW,
    lr=0.01,
    max_epochs=200,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)
student = DistilledClassifier(forest, net, random_state=0).fit(X_train, y_train)
print(f"forest   {forest.score(X_test, y_test):.3f}")
print(f"student  {student.score(X_test, y_test):.3f}")

# %%
# From scikit-learn to C
# ----------------------
#
# emlearn generates a function ``student_predict``, which takes one row. The weights are
# constants of 4 bytes each. A compiler for a device puts them into flash memory.

# emlearn makes numpy raise errors on underflow, so import it after the training.
import emlearn

mlp = to_sklearn(student)[-1]
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
with chdir(folder):  # emlearn also compiles, and does not delete its files
    emlearn.convert(mlp, method="inline").save(name="student", file="student.h")
n_weights = sum(w.size for w in mlp.coefs_ + mlp.intercepts_)
print(f"{n_weights} weights, {4 * n_weights} bytes")

# %%
# The program reads rows of 4 numbers and prints a species for each.

(folder / "main.c").write_text(
    r"""
    #include <stdio.h>
    #include "student.h"

    int main(void) {
        float row[4];
        int n = 0;
        while (scanf("%f", &row[n]) == 1) {
            if (++n == 4) {
                printf("%d\n", (int)student_predict(row, 4));
                n = 0;
            }
        }
        return 0;
    }
    """
)
subprocess.run(
    ["gcc", "-Os", f"-I{emlearn.includedir}", "main.c", "-o", "student", "-lm"],
    cwd=folder,
    check=True,
)

# %%
# Comparison with Python
# ----------------------

rows = "\n".join(" ".join(map(str, row)) for row in X_test)
answers = subprocess.run(
    [folder / "student"], input=rows, capture_output=True, text=True, check=True
).stdout
in_c = np.array(answers.split(), dtype=int)
agreement = (in_c == student.predict(X_test)).mean()
print(f"C and Python agree on {agreement:.1%} of {len(in_c)} rows")
temporary.cleanup()
