"""
Run the student on a microcontroller
====================================

:func:`~skdistill.deploy.to_c` writes a student as one file of C, with its
preprocessing: raw values in, probabilities out. The student tells three species of iris
from four lengths in centimeters; the data are bundled with scikit-learn. We compile it
with cc as a program for this computer, and check that it predicts the same species as
the student in Python. A compiler for a device takes the same file.

The example needs a C compiler. It is not run when this page is built.
``python examples/deployment/microcontroller.py`` prints the accuracy of the teacher and
of the student, what the student needs on the device, and the agreement of C and Python:

.. code-block:: text

    forest   0.933
    student  0.947
    float32    644 bytes of flash, 204 of stack, 112 multiply-adds
    int8       388 bytes of flash, 204 of stack, 112 multiply-adds
    C and Python agree on 100.0% of 75 rows
"""

import subprocess
import tempfile
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import CompiledStudent, to_c

# %%
# A student for the device
# ------------------------
#
# Few units suffice. Without bins, ``numeric="standard"``, the tables stay smallest.

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
forest = RandomForestClassifier(300, random_state=0).fit(X_train, y_train)
net = make_student((16,), numeric="standard", max_epochs=100)
student = DistilledClassifier(forest, net, random_state=0).fit(X_train, y_train)
print(f"forest   {forest.score(X_test, y_test):.3f}")
print(f"student  {student.score(X_test, y_test):.3f}")

# %%
# From Python to C
# ----------------
#
# ``to_c`` compiles and compares the code before it writes it. The header says what the
# student needs. ``quantize="int8"`` stores weights of 8 bits.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
for name, quantize in (("float32", None), ("int8", "int8")):
    file = to_c(student, folder / "student.c", quantize=quantize)
    costs = CompiledStudent(file).metadata_["report"]
    print(
        f"{name:8} {costs['bytes']:5,} bytes of flash, {costs['stack_bytes']} of "
        f"stack, {costs['multiply_adds']} multiply-adds"
    )

# %%
# The program reads rows of 4 numbers and prints a species for each.

(folder / "main.c").write_text(
    r"""
    #include <stdio.h>
    #include "student.h"

    int main(void) {
        double row[STUDENT_N_FEATURES];
        int n = 0;
        while (scanf("%lf", &row[n]) == 1) {
            if (++n == STUDENT_N_FEATURES) {
                printf("%s\n", student_classes[student_predict(row)]);
                n = 0;
            }
        }
        return 0;
    }
    """
)
subprocess.run(
    ["cc", "-Os", "main.c", "student.c", "-o", "student", "-lm"],
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
agreement = sum(
    told == str(known)
    for told, known in zip(answers.split(), student.predict(X_test), strict=True)
)
print(f"C and Python agree on {agreement / len(X_test):.1%} of {len(X_test)} rows")
temporary.cleanup()
