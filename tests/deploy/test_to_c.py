import ctypes
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from torch import nn

from skdistill import DistilledClassifier, make_student
from skdistill.deploy import CompiledStudent, _to_c, to_c
from skdistill.deploy._c_tables import Table, tables_of
from skdistill.deploy._parts import parts_of
from tests.conftest import tiny_net
from tests.deploy.c_code import STRICT, build, library, needs_compiler, program, strings
from tests.deploy.conftest import (
    assert_same,
    dates,
    distilled,
    in_pipeline,
    moments,
    quick_student,
    regressed,
)
from tests.deploy.test_c_names import HOSTILE

pytestmark = needs_compiler


class Mixed(nn.Sequential):
    """Linear layers, all activations, layers that do nothing, and a softmax."""

    def __init__(self):
        super().__init__(
            nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Dropout(0.5)),
            nn.Linear(7, 6, bias=False),
            nn.Sigmoid(),
            nn.Linear(6, 5),
            nn.Linear(5, 5),
            nn.ReLU(),
            nn.Identity(),
            nn.Linear(5, 3),
            nn.Softmax(dim=1),
        )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frame_as_it_was_fitted_and_with_what_was_never_seen(
    frame_student, table, tmp_path, library
):
    file = to_c(frame_student, tmp_path / "student.c")
    X = table[0].iloc[:5].copy()
    X["capital-gain"] = [np.nan, 1e30, -1e30, 3e38, -3e38]
    X["home town"] = ["never seen", None, "", "nan", "c"]
    X["variable"] = [None, "never seen", "u", None, "v"]
    for rows in (table[0], X):
        assert_same(
            file, frame_student, rows if library == "pandas" else pl.from_pandas(rows)
        )


@pytest.mark.parametrize("numeric", ["piecewise", "periodic"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_with_missing_and_extreme_numbers(data, tmp_path, numeric, dtype):
    X, y = data[0].astype(dtype), data[1]
    clf = distilled(quick_student(numeric=numeric), X, y)
    X[::7, 1], X[3, 2], X[4, 2], X[5] = np.nan, 1e30, -1e30, 0
    file = to_c(clf, tmp_path / "student.c")
    assert (
        f"const {'float' if dtype == 'float32' else 'double'} *row"
        in (tmp_path / "student.h").read_text()
    )
    assert_same(file, clf, X)


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5])
def test_few_inputs(tmp_path, n_features):
    X = np.random.default_rng(0).normal(size=(60, n_features))
    net = make_student((3,), task="regression", numeric="standard", max_epochs=2)
    reg = regressed(X, X[:, 0], net)
    file = to_c(reg, tmp_path / "student.c")  # compiled with all warnings as errors
    np.testing.assert_allclose(
        CompiledStudent(file).predict(X), reg.predict(X), atol=1e-5
    )


def test_large_numbers_keep_their_small_differences(data, tmp_path):
    X = 1.7e12 + 100 * data[0].astype("float64")
    clf = distilled(quick_student(numeric="piecewise"), X, data[1])
    assert_same(to_c(clf, tmp_path / "student.c"), clf, X)


def test_bins_of_float32_do_not_end_where_the_next_ones_begin(tmp_path):
    X = np.random.default_rng(0).normal(3e4, 2, size=(150, 2)).astype("float32")
    student = make_student((16,), numeric="piecewise", max_epochs=5)
    clf = distilled(student, X, (X[:, 0] > 3e4).astype(int))
    preprocess = clf.student_[0]
    bins = preprocess.sources_[2:] == 0
    starts, widths = preprocess.offsets_[2:][bins], preprocess.scales_[2:][bins]
    gaps = starts[:-1] + widths[:-1].astype("float64") - starts[1:]
    assert np.abs(gaps / widths[:-1]).max() > 1e-4
    edges = np.repeat(starts[:, np.newaxis], 2, axis=1)
    rows = np.concatenate([X, edges, np.nextafter(edges, np.float32(np.inf))])
    assert_same(to_c(clf, tmp_path / "student.c"), clf, rows)


@pytest.mark.parametrize("numeric", ["standard", "piecewise"])
def test_dates_also_before_1970_and_in_another_time_zone(tmp_path, numeric):
    X, y = dates()
    clf = distilled(quick_student(numeric=numeric), X, y)
    file = to_c(clf, tmp_path / "student.c")
    assert_same(file, clf, X)
    X["there"] = X["there"].dt.tz_convert("America/Lima")
    assert_same(file, clf, X)


def test_parts_of_dates_are_those_of_numpy_on_each_day_of_centuries(tmp_path):
    clf = distilled(quick_student(), *dates())
    to_c(clf, tmp_path / "student.c")
    wrapper = tmp_path / "wrapper.c"
    wrapper.write_text(
        '#include "student.c"\nint parts(double, double *);\n'
        "int parts(double s, double *out) { return student_date(s, out); }\n"
    )
    parts = library(wrapper, to=tmp_path / "wrapper.so").parts
    parts.argtypes = [ctypes.c_double, ctypes.c_void_p]
    seconds, expected = moments()
    found = np.empty(expected.shape)
    for row, second in zip(found, seconds.tolist(), strict=True):
        assert parts(second, row.ctypes.data) == 0
    np.testing.assert_array_equal(found, expected)
    assert parts(1e13, found.ctypes.data) == 1


@pytest.mark.parametrize(
    "student",
    [
        tiny_net(module=Mixed, max_epochs=5, criterion=nn.NLLLoss),
        make_pipeline(StandardScaler(), tiny_net(max_epochs=2)),
        make_student((), max_epochs=5),
        make_student((9, 5), activation="logistic", max_epochs=5),
    ],
    ids=["mixed", "scaler", "no hidden layer", "logistic"],
)
def test_nets_of_linear_layers(data, tmp_path, student):
    clf = distilled(student, *data)
    assert_same(to_c(clf, tmp_path / "student.c"), clf, data[0])


def test_a_net_alone_takes_the_numbers_of_a_data_frame(data, tmp_path):
    X = pd.DataFrame(data[0], columns=list("abcd"))
    clf = distilled(tiny_net(max_epochs=2), X, data[1])
    assert_same(to_c(clf, tmp_path / "student.c"), clf, X)


def test_steps_before_the_estimator(data, tmp_path):
    whole = in_pipeline([StandardScaler()], tiny_net(max_epochs=2), *data)
    assert_same(to_c(whole, tmp_path / "student.c"), whole, data[0])


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(with_mean=False)],
        [StandardScaler(with_std=False), MinMaxScaler((-2, 3))],
        [RobustScaler(), SimpleImputer(), MaxAbsScaler()],
        [SimpleImputer(strategy="median"), RobustScaler(with_centering=False)],
        [SimpleImputer(strategy="constant", fill_value=2.5)],
        [MinMaxScaler(), SimpleImputer(), StandardScaler(), SimpleImputer()],
    ],
    ids=lambda steps: "-".join(type(step).__name__ for step in steps),
)
def test_scalers_and_imputers(data, tmp_path, steps):
    X, y = data
    X = X.astype(np.float64) + 3
    if any(isinstance(step, SimpleImputer) for step in steps):
        X[::7, 1] = np.nan
        X[3::7, 2] = np.nan
    clf = distilled(make_pipeline(*steps, tiny_net(max_epochs=2)), X, y)
    assert_same(to_c(clf, tmp_path / "student.c", sample=X), clf, X)


@pytest.mark.parametrize(
    "step",
    [
        MinMaxScaler(clip=True),
        SimpleImputer(add_indicator=True),
        SimpleImputer(missing_values=0),
    ],
    ids=repr,
)
def test_steps_that_are_neither_lines_nor_constants_are_refused(data, tmp_path, step):
    X, y = data
    X = X[:, :3].astype(np.float64)
    if isinstance(step, SimpleImputer) and step.add_indicator:
        X[::7, 1] = np.nan
    net = tiny_net(max_epochs=1, module__n_features=step.fit_transform(X).shape[1])
    clf = distilled(make_pipeline(step, net), X, y)
    with pytest.raises(ValueError, match=r"Imputer of numbers: export pipeline\[-1\]"):
        to_c(clf, tmp_path / "student.c", sample=X)


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("extrapolation", [None, 0.0])
def test_numbers_are_scaled_in_double_precision_and_clipped(
    data, tmp_path, n_targets, extrapolation
):
    X = data[0]
    y = X[:, :n_targets] * [1e3, 1e-3][:n_targets] + [1e9, 5][:n_targets]
    y = y[:, 0] if n_targets == 1 else y
    net = make_student((8,), task="regression", max_epochs=2)
    reg = regressed(X, y, net, extrapolation=extrapolation)
    student = CompiledStudent(to_c(reg, tmp_path / "student.c"))
    far = np.concatenate([X, 100 * X])
    said, expected = student.predict(far), reg.predict(far)
    assert said.shape == expected.shape
    error = np.abs(said - expected).max(axis=0)
    assert (error < 1e-5 * y.std(axis=0)).all()


def test_int8_is_smaller_and_keeps_the_labels(wide_student, data, tmp_path):
    sizes = {}
    for quantize in (None, "int8"):
        file = to_c(
            wide_student, tmp_path / "student.c", quantize=quantize, sample=data[0]
        )
        report = CompiledStudent(file).metadata_["report"]
        sizes[quantize] = report["bytes"]
    assert sizes["int8"] < 0.3 * sizes[None]
    assert report["agreement"] > 0.95
    assert 1e-6 < report["max_difference"] < 0.1
    assert report["sample"] == "given"


def test_weights_next_to_zero_become_zero_in_int8():
    weights = np.array([[1e-45, 0], [0, 0], [0.5, -1]], np.float32)
    narrow = Table(weights, np.zeros(2, np.float32), None).quantized()
    assert narrow.weights.tolist() == [[0, 0], [0, 0], [64, -127]]
    assert np.isfinite(narrow.row_scales).all()


def test_tables_are_hardly_larger_than_the_weights_and_few_rows_are_added():
    X = np.random.default_rng(0).normal(size=(90, 16))
    student = make_student((64, 64), numeric="piecewise", max_epochs=1)
    clf = distilled(student, X, X[:, 0] > 0)
    preprocess, net = (step for _, step in clf.student_.steps)
    own = sum(4 * weights.numel() for weights in net.module_.parameters())
    own += preprocess.offsets_.nbytes + preprocess.scales_.nbytes
    tables = tables_of(parts_of(clf))
    assert len(preprocess.sources_) > 200
    assert tables.n_bytes < 1.1 * own
    assert tables.multiply_adds == 32 * 64 + 64 * 64 + 64 * 2


NAMES = ("int", "a b", "a-b", "", "ünïcode 中", "x" * 300)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 6)), columns=list(NAMES))
    X["level"] = rng.choice(np.array([*HOSTILE[:-1], None], object), 120)
    X["nothing"] = np.full(120, None, object)
    y = np.array(HOSTILE[:3])[np.arange(120) % 3]
    clf = distilled(quick_student(), X, y)
    folder = tmp_path_factory.mktemp("hostile")
    return to_c(clf, folder / "student.c"), clf, X


class TestTheCode:
    """What C programs see of the student of a table with hostile names."""

    def test_says_the_same(self, hostile):
        assert_same(*hostile)

    def test_members_are_named_after_the_columns(self, hostile):
        header = hostile[0].with_suffix(".h").read_text(encoding="utf-8")
        for member in ("int_2", "a_b", "a_b_2", "column", "unicode", "x" * 40, "level"):
            assert f" {member}; /* " in header
        assert 'Not read: "nothing"' in header

    def test_names_are_strings_and_nothing_else(self, hostile, tmp_path):
        file, clf, _ = hostile
        code = library(file, to=tmp_path / "student.so")
        assert strings(code, "student_classes", 3) == clf.classes_.tolist()
        known = [v for v in clf.student_[0].levels_[6] if v is not None]
        assert strings(code, "student_levels_level", len(known)) == known
        lookup = code.student_level_level
        lookup.argtypes = [ctypes.c_char_p]
        codes = [lookup(text.encode()) for text in known]
        assert codes == list(range(len(known)))
        assert lookup(b"never seen") == -2
        assert lookup(b"two") == -2
        assert lookup(None) == -1

    @pytest.mark.parametrize(
        ("using", "options"),
        [
            ("gcc", (*STRICT, "-Wshadow", "-trigraphs")),
            ("clang", STRICT),
            ("g++", ("-x", "c++", "-Wall", "-Wextra", "-Wconversion", "-Werror")),
            ("clang++", ("-x", "c++", "-Wall", "-Wextra", "-Werror")),
            ("avr-gcc", (*STRICT, "-mmcu=atmega2560")),
        ],
    )
    def test_other_compilers_have_no_warnings(self, hostile, tmp_path, using, options):
        if shutil.which(using) is None:
            pytest.skip(f"there is no {using}")
        build(
            hostile[0], to=tmp_path / "student.o", using=using, options=[*options, "-c"]
        )

    def test_tables_stay_in_the_flash_of_an_avr(self, hostile, tmp_path):
        if shutil.which("avr-gcc") is None:
            pytest.skip("there is no avr-gcc")
        to = tmp_path / "student.o"
        options = ["-mmcu=atmega2560", "-Os", "-c", "-DSTUDENT_NO_NAMES"]
        build(hostile[0], to=to, using="avr-gcc", options=options)
        told = subprocess.run(["avr-objdump", "-h", to], capture_output=True, text=True)
        lines = [line.split() for line in told.stdout.splitlines()]
        sizes = {line[1]: int(line[2], 16) for line in lines if len(line) == 7}
        assert sizes[".progmem.data"] > 1000
        assert sizes[".data"] == sizes[".bss"] == sizes.get(".rodata", 0) == 0

    def test_names_can_be_left_out(self, hostile, tmp_path):
        to = tmp_path / "student.o"
        build(hostile[0], to=to, options=[*STRICT, "-c", "-DSTUDENT_NO_NAMES"])
        assert b"two" not in to.read_bytes()

    def test_refused_values_are_told_by_their_column(
        self, data, array_student, tmp_path
    ):
        file = to_c(array_student, tmp_path / "student.c")
        code = library(file, to=tmp_path / "student.so")
        rows = data[0][:5].copy()
        rows[3, 2] = np.inf
        proba = np.full((5, 3), -1, np.float32)
        row, said = rows[3].ctypes.data, proba.ctypes.data
        ask = code.student_predict_proba
        ask.argtypes = [ctypes.c_void_p] * 2
        assert ask(row, said) == 3
        assert (proba == -1).all()
        code.student_predict.argtypes = [ctypes.c_void_p]
        assert code.student_predict(row) == -1
        many = code.student_predict_proba_batch
        many.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        assert many(rows.ctypes.data, 5, said) == 3
        expected = array_student.predict_proba(data[0][:3])
        np.testing.assert_allclose(proba[:3], expected, atol=1e-5)
        assert (proba[3:] == -1).all()

    def test_sanitizers_find_nothing_in_strange_rows(self, hostile, tmp_path):
        main = tmp_path / "main.c"
        main.write_text(FUZZ)
        sanitize = [
            *STRICT,
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
        ]
        probe = tmp_path / "probe.c"
        probe.write_text("int main(void) { return 0; }\n")
        command = ["cc", *sanitize, str(probe), "-o", str(tmp_path / "probe")]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("there are no sanitizers")
        options = [*sanitize, f"-I{hostile[0].parent}"]
        to = tmp_path / "main"
        printed = program(main, hostile[0], to=to, options=options)
        assert int(printed) > 1000


# Rows of all values that a number and a code of a level can have. Prints how many rows
# had an answer.
FUZZ = """
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "student.h"

int main(void)
{
    static const double values[] = {0.0, -0.0, 1.5, -1e30, 3e38, 1e39, -1e300,
                                    INFINITY, NAN, 1e-310, 0.1, -0.7};
    static const int32_t codes[] = {0, 1, 5, 8, 9, 100, -1, -2, -3,
                                    INT32_MAX, INT32_MIN};
    uint32_t state = 1;
    int i, answered = 0;
    for (i = 0; i < 20000; i++) {
        student_row row;
        float proba[STUDENT_N_OUTPUTS];
        double numbers[6];
        int j;
        for (j = 0; j < 6; j++) {
            state = state * 1664525u + 1013904223u;
            numbers[j] = values[(state >> 16) % 12u];
        }
        memcpy(&row, numbers, sizeof numbers);
        row.level = codes[(state >> 8) % 11u];
        if (student_predict_proba(&row, proba) == 0) {
            float sum = 0.0f;
            for (j = 0; j < STUDENT_N_OUTPUTS; j++)
                sum += proba[j];
            if (!(sum > 0.999f && sum < 1.001f) || student_predict(&row) < 0)
                return 1;
            answered++;
        }
    }
    printf("%d", answered);
    return 0;
}
"""


class TestBadInput:
    @pytest.mark.parametrize(
        "name", ["student", "student.h", "2nd.c", "my student.c", 'a"b.c', "ä.c", ".c"]
    )
    def test_names_of_files_that_are_no_identifiers(self, net_student, tmp_path, name):
        with pytest.raises(ValueError, match=r"path must end in '\.c', after a name"):
            to_c(net_student, tmp_path / name)
        assert not [*tmp_path.iterdir()]

    def test_folders_that_are_missing(self, net_student, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"student\.c'$"):
            to_c(net_student, tmp_path / "missing" / "student.c")

    def test_files_are_replaced_together_or_not_at_all(self, net_student, tmp_path):
        (tmp_path / "student.c").write_text("old")
        (tmp_path / "student.h").mkdir()
        with pytest.raises(IsADirectoryError, match=r"student\.h"):
            to_c(net_student, tmp_path / "student.c")
        assert (tmp_path / "student.c").read_text() == "old"
        assert len([*tmp_path.iterdir()]) == 2

    def test_code_that_differs_is_refused_and_files_are_kept(
        self, net_student, tmp_path, monkeypatch
    ):
        (tmp_path / "student.c").write_text("old")

        def changed(parts):
            tables = tables_of(parts)
            tables.layers[-1].bias[0] += 0.1
            return tables

        monkeypatch.setattr(_to_c, "tables_of", changed)
        with pytest.raises(
            ValueError, match=r"in row \d+ .* made up .* more than 1e-05"
        ):
            to_c(net_student, tmp_path / "student.c")
        assert (tmp_path / "student.c").read_text() == "old"
        assert len([*tmp_path.iterdir()]) == 1

    @pytest.mark.parametrize("quantize", [None, "int8"])
    def test_without_a_compiler_it_says_that_it_was_not_compared(
        self, net_student, tmp_path, monkeypatch, quantize
    ):
        with monkeypatch.context() as patched:
            patched.setenv("CC", "no-such-compiler")
            with pytest.warns(UserWarning, match=r"no C compiler.* not compared"):
                file = to_c(net_student, tmp_path / "student.c", quantize=quantize)
            with pytest.raises(AttributeError, match="no C compiler"):
                _ = CompiledStudent(file).classes_
        assert "It was not compared" in file.with_suffix(".h").read_text()
        report = CompiledStudent(file).metadata_["report"]
        assert set(report) == {"bytes", "stack_bytes", "multiply_adds"}

    def test_a_compiler_that_fails(self, net_student, tmp_path, monkeypatch):
        script = "import sys; sys.exit('it is out of order')"
        monkeypatch.setenv("CC", f'"{sys.executable}" -c "{script}"')
        with pytest.raises(
            ValueError, match=r"cannot compile student\.c:\nit is out of"
        ):
            to_c(net_student, tmp_path / "student.c")
        assert not [*tmp_path.iterdir()]

    def test_quantize_of_another_kind(self, net_student, tmp_path):
        with pytest.raises(ValueError, match="must be 'int8' or None, got 'float16'"):
            to_c(net_student, tmp_path / "student.c", quantize="float16")

    def test_layers_of_another_kind(self, image_student, tmp_path):
        with pytest.raises(TypeError, match=r"the C code has Linear .*Conv2d.*to_onnx"):
            to_c(image_student[0], tmp_path / "student.c")

    def test_preprocessing_of_another_kind(self, data, tmp_path):
        net = tiny_net(max_epochs=1, module__n_features=2)
        clf = distilled(make_pipeline(PCA(2), net), *data)
        with pytest.raises(
            ValueError, match=r"\['PCA'\], and the C code has .*to_onnx"
        ):
            to_c(clf, tmp_path / "student.c")

    def test_not_fitted(self, tmp_path):
        with pytest.raises(NotFittedError):
            to_c(DistilledClassifier(), tmp_path / "student.c")
        with pytest.raises(TypeError, match="expected a fitted DistilledClassifier"):
            to_c(StandardScaler().fit([[1.0]]), tmp_path / "student.c")


def test_a_student_of_fewer_columns_than_its_teacher(table, tmp_path):
    X, y = table
    clf = DistilledClassifier(
        student=quick_student(), student_columns=["1", "variable"], random_state=0
    )
    proba = np.where(np.unique(y) == y[:, None], 0.8, 0.2)
    clf.fit(X, y, teacher_proba=proba)
    file = to_c(clf, tmp_path / "student.c")
    assert_same(file, clf, X[["1", "variable"]])
    assert CompiledStudent(file).feature_names_in_.tolist() == ["1", "variable"]
