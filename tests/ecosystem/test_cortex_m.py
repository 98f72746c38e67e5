"""The C code on an emulated Cortex-M3: the same answers, flash, stack, instructions.

``pytest tests/ecosystem/test_cortex_m.py -s`` prints the figures. It needs the packages
gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm of Debian.
"""

import json
import shutil
import subprocess

import numpy as np
import pytest

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import to_c

TOOLS = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm", "cc")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"these are missing: {MISSING}")

MEMORY = """
MEMORY { flash (rx) : ORIGIN = 0x00000000, LENGTH = 4M
         ram (rwx) : ORIGIN = 0x20000000, LENGTH = 64K }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.ARM.exidx*) } > flash
    .data : { data_start = .; *(.data*) data_end = .; } > ram AT > flash
    data_load = LOADADDR(.data);
    .bss : { bss_start = .; *(.bss*) *(COMMON) bss_end = .; } > ram
    stack_top = ORIGIN(ram) + LENGTH(ram);
}
"""

# Begins without a system, answers some rows, and prints JSON by semihosting. Each
# instruction takes a nanosecond of qemu's time (-icount shift=0), and the timer of the
# board counts 25 million ticks a second.
MAIN = r"""
#include <math.h>
#include <string.h>
#include "student.h"

extern char data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];
int main(void);
void reset(void);

__attribute__((section(".vectors"), used)) static const void *vectors[] = {
    stack_top, (const void *)reset};

static int host(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *text) { host(4, text); }

static void say_number(uint32_t number)
{
    char digits[12];
    int at = 11;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    say(digits + at);
}

void reset(void)
{
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    main();
    host(0x18, (const void *)0x20026); /* the end of the program */
}

static const double rows[N_ROWS][STUDENT_N_FEATURES] = {ROWS};

#define CONTROL (*(volatile uint32_t *)0xE000E010)
#define RELOAD (*(volatile uint32_t *)0xE000E014)
#define COUNT (*(volatile uint32_t *)0xE000E018)

__attribute__((noinline)) static uint32_t stack_used(void)
{
    char *end, *at = bss_end;
    float proba[STUDENT_N_OUTPUTS];
    __asm__ volatile("mov %0, sp" : "=r"(end));
    memset(at, 0x5A, (size_t)(end - 64 - at)); /* which has a stack of its own */
    student_predict_proba(rows[0], proba);
    while (*at == 0x5A)
        at++;
    return (uint32_t)(end - at);
}

int main(void)
{
    static float proba[N_ROWS * STUDENT_N_OUTPUTS];
    uint32_t ticks, stack = stack_used();
    int i;
    RELOAD = 0xFFFFFF;
    COUNT = 0;
    CONTROL = 5;
    ticks = COUNT;
    student_predict_proba_batch(rows[0], N_ROWS, proba);
    ticks -= COUNT;
    say("{\"instructions\": ");
    say_number((ticks & 0xFFFFFF) * 40 / N_ROWS);
    say(", \"stack\": ");
    say_number(stack);
    say(", \"bits\": [");
    for (i = 0; i < N_ROWS * STUDENT_N_OUTPUTS; i++) {
        uint32_t bits;
        memcpy(&bits, proba + i, 4);
        if (i)
            say(", ");
        say_number(bits);
    }
    say("]}\n");
    return 0;
}
"""


def on_device(file, X):
    """Return the answers for rows, and the costs, on the emulated board."""
    folder = file.parent
    values = ",".join(
        "{" + ",".join("NAN" if np.isnan(v) else repr(v) for v in row) + "}"
        for row in X.tolist()
    )
    main = MAIN.replace("ROWS}", f"{values}}}").replace("N_ROWS", str(len(X)))
    (folder / "main.c").write_text(main)
    (folder / "memory.ld").write_text(MEMORY)
    program = folder / "program.elf"
    options = ["-mcpu=cortex-m3", "-mthumb", "-O2", "-std=gnu99", "-Wall", "-Werror"]
    options += ["-DSTUDENT_NO_NAMES", "-ffunction-sections", "-nostartfiles"]
    options += ["-Wl,--gc-sections", "-T", str(folder / "memory.ld")]
    options += ["--specs=nosys.specs"]
    sources = [str(folder / "main.c"), str(file)]
    command = ["arm-none-eabi-gcc", *options, *sources, "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size = subprocess.run(
        ["arm-none-eabi-size", str(program)], capture_output=True, text=True, check=True
    )
    text, data = map(int, size.stdout.splitlines()[1].split()[:2])
    command = ["qemu-system-arm", "-M", "mps2-an385", "-icount", "shift=0"]
    command += ["-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(
        [*command, "-kernel", str(program)], capture_output=True, text=True, timeout=60
    )
    said = json.loads(done.stdout or done.stderr)
    bits = np.array(said.pop("bits"), np.uint32)
    flash = text + data - X.nbytes  # the rows are not part of the student
    return bits.view(np.float32).reshape(len(X), -1), {"flash": flash} | said


@pytest.fixture(scope="module")
def student():
    """Return a student of the default size on 16 columns, and rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 16))
    X[::9, 3], X[5, 4] = np.nan, 1e30
    y = (np.nan_to_num(X[:, 3]) + X[:, 0] > 0).astype(int)
    clf = DistilledClassifier(
        student=make_student((64, 64), numeric="piecewise", max_epochs=5),
        alpha=1,
        random_state=0,
        classes=[0, 1],
    )
    return clf.fit(X, teacher_proba=np.eye(2)[y] * 0.8 + 0.1), X


@pytest.mark.parametrize(
    ("quantize", "most_flash", "tolerance"),
    [(None, 128_000, 1e-5), ("int8", 40_000, 0.05)],
    ids=["float32", "int8"],
)
def test_answers_flash_and_stack(student, tmp_path, quantize, most_flash, tolerance):
    clf, X = student
    file = to_c(clf, tmp_path / "student.c", quantize=quantize)
    said, costs = on_device(file, X[:10])
    print(quantize, costs)
    np.testing.assert_allclose(said, clf.predict_proba(X[:10]), rtol=0, atol=tolerance)
    assert costs["flash"] < most_flash
    assert 0 < costs["stack"] < 2000
    assert costs["instructions"] > 1000
