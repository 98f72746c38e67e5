"""The two files of C code, from the tables of a student."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdistill.deploy import _c_templates as templates
from skdistill.deploy._c_names import comment, identifiers, literal
from skdistill.deploy._c_tables import DATE, LEVEL, NUMBER, UNUSED, Tables
from skdistill.deploy._outputs import (
    ClassOutput,
    LabelOutput,
    LogOutput,
    Output,
    QuantileOutput,
)
from skdistill.utils._dates import PARTS

_TYPES = {"f8": "double", "f4": "float", "i1": "int8_t", "i4": "int32_t"}


@dataclass(frozen=True)
class Source:
    """Writes the C code of a student.

    Parameters
    ----------
    prefix : str
        What all names begin with: an identifier, which is also that of the files.
    tables : Tables
        The numbers.
    output : ClassOutput or NumberOutput
        What the last layer stands for.
    metadata : mapping of str to object
        What :class:`CompiledStudent` reads, for JSON.
    """

    prefix: str
    tables: Tables
    output: Output
    metadata: Mapping[str, Any]

    def header(self, about: str) -> str:
        """Return the header file, with some lines about it."""
        return self._filled(
            templates.HEADER,
            about=about,
            row=self._row_type(),
            functions=self._declared_functions() + self._declared_names(),
        )

    def code(self) -> str:
        """Return the file with the functions."""
        parts = [templates.START, self._declared_tables(), self._names()]
        if self.reading.zones:
            parts.append(templates.DATES)
        parts += [self._read(), *map(self._layer, range(len(self.layers)))]
        parts += [self._forward(), self._link()]
        return "".join(map(self._filled, parts))

    @property
    def reading(self) -> Any:
        return self.tables.reading

    @property
    def layers(self) -> list[Any]:
        return self.tables.layers

    @cached_property
    def members(self) -> dict[int, str]:
        """The member of the structure of a row, for each column that is read."""
        names = self.reading.names
        n_features = self.reading.n_features
        found = identifiers(names or [f"column_{i}" for i in range(n_features)])
        kinds = self.reading.kinds
        return {i: name for i, name in enumerate(found) if kinds[i] != UNUSED}

    @property
    def stack_bytes(self) -> int:
        """The bytes of the arrays in the functions."""
        reading, widths = self.reading, [table.width for table in self.layers]
        index = 2 if self._index == "uint16_t" else 4
        numbers = len(reading.origins) * np.dtype(reading.dtype).itemsize
        waves = 0 if self.tables.embedding is None else 64
        dates = 8 * len(PARTS) if reading.zones else 0
        reads = numbers + 4 * len(reading.levels) + dates + waves
        hidden = 4 * max([0, *widths[:-1]])
        return self._n_terms * (index + 4) + hidden + reads + 4 * widths[-1]

    def _n_added(self, k: int) -> int:
        """Return the largest number of rows that a layer adds."""
        return self.layers[k - 1].width if k else self.tables.n_terms

    @property
    def _n_terms(self) -> int:
        """The largest number of rows that any does; an array has one element."""
        return max(1, *map(self._n_added, range(len(self.layers))))

    @property
    def _index(self) -> str:
        n_rows = max(len(table.weights) for table in self.layers)
        return "uint16_t" if n_rows < 2**16 else "uint32_t"

    def _filled(self, text: str, **values: Any) -> str:
        reading = self.reading
        is_float = reading.dtype is np.float32
        number = "float" if is_float else "double"
        row = number if reading.is_array else f"{self.prefix}_row"
        nan = "" if reading.medians is not None else ", or missing"
        says = ("predict", "double", "y")
        if isinstance(self.output, ClassOutput):
            says = ("predict_proba", "float", "proba")
        return Template(text).safe_substitute(
            p=self.prefix,
            P=self.prefix.upper(),
            number=number,
            nan=nan,
            method=says[0],
            said_type=says[1],
            said=says[2],
            row_type=f"const {row}",
            stride=reading.n_features if reading.is_array else 1,
            n_features=reading.n_features,
            n_outputs=self.layers[-1].width,
            n_terms=self._n_terms,
            n_linear=self.tables.n_linear,
            n_binned=len(self.tables.knots),
            n_level_columns=len(reading.levels),
            **values,
        )

    def _row_type(self) -> str:
        """Return the structure of a row, if it is none of numbers alone."""
        reading = self.reading
        names = reading.names or [str(i) for i in range(reading.n_features)]
        kinds = reading.kinds
        if reading.is_array:
            return ""
        members = []
        for i, member in self.members.items():
            kind = "int32_t" if kinds[i] == LEVEL else "double"
            note = _NOTES[kinds[i]]
            if reading.zones.get(i):
                note += f" by the clock of {comment(reading.zones[i])}"
            members.append(f"    {kind} {member}; /* {comment(names[i])}{note} */")
        unused = [comment(n) for n, k in zip(names, kinds, strict=True) if k == UNUSED]
        if unused:
            members.append(f"    /* Not read: {', '.join(unused[:20])} */")
        lines = "\n".join(members)
        row = f"\ntypedef struct {{\n{lines}\n}} {self.prefix}_row;\n"
        return row + (
            self._filled(templates.LEVELS_OF_HEADER) if reading.levels else ""
        )

    def _declared_functions(self) -> str:
        what, own = "the prediction of each target", ""
        if isinstance(self.output, QuantileOutput):
            what = "the quantiles, the smallest first"
        if isinstance(self.output, ClassOutput):
            what, own = "all probabilities", templates.CLASS_FUNCTION
        if isinstance(self.output, LabelOutput):
            own = templates.LABEL_FUNCTION
        return self._filled(templates.FUNCTIONS + own, what=what)

    def _declared_names(self) -> str:
        p, P = self.prefix, self.prefix.upper()
        lines = [f"\n#ifndef {P}_NO_NAMES"]
        if isinstance(self.output, ClassOutput):
            lines.append(f"extern const char *const {p}_classes[{P}_N_OUTPUTS];")
        for i, names in self.reading.level_names.items():
            member = self.members[i]
            lines.append(f"/* The levels of {member}, and the code of a string. */")
            if names:
                lines.append(
                    f"extern const char *const {p}_levels_{member}[{len(names)}];"
                )
            lines.append(f"int32_t {p}_level_{member}(const char *name);")
        if isinstance(self.output, ClassOutput):
            lines.append(self._filled(templates.DECLARED_DOUBLES).strip("\n"))
        lines.append(f"const char *{p}_metadata(void);\n#endif\n")
        return "\n".join(lines)

    def _names(self) -> str:
        """Return the strings: of classes and levels, and for CompiledStudent."""
        p, P = self.prefix, self.prefix.upper()
        text = [f"\n#ifndef {P}_NO_NAMES\n"]
        if isinstance(self.output, ClassOutput):
            labels = [str(label) for label in self.output.classes.tolist()]
            text.append(_strings(f"{p}_classes", labels))
        text.append(templates.LOOKUP if self.reading.levels else "")
        for i, names in self.reading.level_names.items():
            member = self.members[i]
            table = f"{p}_levels_{member}" if names else "NULL"
            text.append(_strings(table, names) if names else "")
            text.append(
                f"\nint32_t {p}_level_{member}(const char *name)\n{{\n"
                f"    return {p}_found({table}, {len(names)}, name);\n}}\n"
            )
        told = literal(json.dumps(self.metadata, default=np.generic.item))
        text.append(
            f"\nconst char *{p}_metadata(void)\n{{\n    return {told};\n}}\n#endif\n"
        )
        # A dollar in a name is octal, so that it is none of a template.
        return "".join(text)

    def _declared_tables(self) -> str:
        tables, reading, p = self.tables, self.reading, self.prefix
        order = tables.order
        sizes = [len(knots) for knots in tables.knots]
        starts = np.cumsum([0, *sizes])
        n_rows = tables.n_linear + sum(sizes) - len(sizes)
        counts = [len(known) for known in reading.levels.values()]
        arrays: dict[str, tuple[str, Any]] = {
            "columns": ("i4", [reading.origins[i][0] for i in order]),
            "knots": ("f8", np.concatenate([[], *tables.knots])),
            "first_knot": ("i4", starts if sizes else []),
            "zeros": ("i4", starts[:-1] + np.array(tables.zeros, int)),
            "first_level": ("i4", n_rows + np.cumsum([0, *counts]) if counts else []),
            "n_names": ("i4", [*map(len, reading.level_names.values())]),
        }
        for name, values in tables.values.items():
            arrays[name] = (values.dtype.str[1:], values)
        if (embedding := tables.embedding) is not None:
            arrays["frequencies"] = ("f4", embedding.frequencies)
            arrays["embedding"] = ("f4", embedding.weights)
            arrays["embedding_bias"] = ("f4", embedding.bias)
        for k, table in enumerate(self.layers):
            kind = table.weights.dtype.str[1:]
            arrays[f"weights_{k}"] = (kind, table.weights)
            arrays[f"bias_{k}"] = ("f4", table.bias)
            if table.row_scales is not None:
                arrays[f"row_scales_{k}"] = ("f4", table.row_scales)
        if not isinstance(self.output, ClassOutput):
            arrays["y_mean"] = ("f8", self.output.mean)
            arrays["y_scale"] = ("f8", self.output.scale)
            if (bounds := self.output.bounds) is not None:
                arrays["y_low"], arrays["y_high"] = ("f8", bounds[0]), ("f8", bounds[1])
        return f"\ntypedef {self._index} {p}_index;\n" + "".join(
            self._table(name, kind, values)
            for name, (kind, values) in arrays.items()
            if np.size(values)
        )

    def _table(self, name: str, kind: str, values: ArrayLike) -> str:
        declared = f"{self.prefix.upper()}_TABLE {_TYPES[kind]}"
        numbers = _numbers(np.asarray(values).astype(kind).ravel())
        return f"\nstatic {declared} {self.prefix}_{name}[] = {{\n{numbers}}};\n"

    def _read(self) -> str:
        """Return the function that reads a row."""
        tables, reading = self.tables, self.reading
        suffix = "f" if reading.dtype is np.float32 else ""
        n_numbers = len(tables.order)
        values = {
            "n_numbers": n_numbers,
            "largest": f"{np.finfo(np.float32).max!s}{suffix}",
            "bound": f"{float(reading.bound)!r}{suffix}",
        }
        text = templates.READ_START
        text += f"    $number x[{n_numbers}];\n" * bool(n_numbers)
        text += f"    int32_t levels[{len(reading.levels)}];\n" * bool(reading.levels)
        text += f"    double parts[{len(PARTS)}];\n" * bool(reading.zones)
        text += "    int i;\n" + self._gathered()
        if n_numbers:
            imputes = reading.medians is not None
            missing = templates.IMPUTE if imputes else templates.REFUSE_NAN
            text += templates.READ_NUMBERS.replace("$missing", missing)
        text += templates.READ_LINEAR * bool(tables.n_linear)
        text += templates.READ_BINNED * bool(tables.knots)
        text += templates.READ_LEVELS * bool(reading.levels)
        if (embedding := tables.embedding) is not None:
            n_outputs = embedding.bias.shape[1]
            values["n_frequencies"] = embedding.frequencies.shape[1]
            values["n_embedded"] = n_outputs
            n_rows = len(self.layers[0].weights) - embedding.n_outputs
            values["first_embedded"] = n_rows
            text += templates.EMBED
        return self._filled(text + templates.READ_END, **values)

    def _gathered(self) -> str:
        """Return lines that take the numbers and levels from a row."""
        reading, order = self.reading, self.tables.order
        if reading.is_array:
            return (
                f"    for (i = 0; i < {len(order)}; i++)\n"
                f"        x[i] = row[{self.prefix}_columns[i]];\n"
            )
        lines, places = [], {number: place for place, number in enumerate(order)}
        for number, (column, part) in enumerate(reading.origins):
            if part is None:
                lines.append(f"x[{places[number]}] = row->{self.members[column]};")
        for column in reading.zones:
            member = self.members[column]
            lines.append(f"if ({self.prefix}_date(row->{member}, parts))")
            lines.append(f"    return -1 - {column};")
            for number, (origin, part) in enumerate(reading.origins):
                if origin == column:
                    lines.append(f"x[{places[number]}] = parts[{PARTS.index(part)}];")
        for place, column in enumerate(reading.levels):
            lines.append(f"levels[{place}] = row->{self.members[column]};")
        return "".join(f"    {line}\n" for line in lines)

    def _layer(self, k: int) -> str:
        table = self.layers[k]
        factors = {}
        for i in range(4):
            at = f"i + {i}" if i else "i"
            scale = f" * {self.prefix}_row_scales_{k}[rows[{at}]]"
            narrow = table.row_scales is not None
            factors[f"factor_{i}"] = f"by[{at}]{scale if narrow else ''}"
        weight = _TYPES[table.weights.dtype.str[1:]]
        values = {"k": k, "width": table.width, "weight": weight, **factors}
        adds_four = self._n_added(k) >= 4
        by_four = self._filled(templates.BY_FOUR, **values) if adds_four else ""
        return self._filled(templates.LAYER, by_four=by_four, **values)

    def _forward(self) -> str:
        steps, hidden = "", ""
        for k, table in enumerate(self.layers[:-1]):
            activated = templates.ACTIVATED[str(table.activation)]
            step = templates.STEP.replace("$activated", activated)
            steps += self._filled(step, k=k, width=table.width)
        if steps:
            largest = max(table.width for table in self.layers[:-1])
            hidden = f"    float hidden[{largest}];\n    int i;\n"
        last = len(self.layers) - 1
        steps += f"    {self.prefix}_layer_{last}(rows, by, n, out);\n"
        return self._filled(templates.FORWARD, hidden=hidden, steps=steps)

    def _link(self) -> str:
        """Return the functions from the last layer to what the student says."""
        output, values = self.output, {"variables": ""}
        if isinstance(output, LabelOutput):
            values |= {"activated": templates.LOGISTIC, "normalized": ""}
            template = templates.PROBA + templates.BATCH + templates.LABELS
            template += templates.DOUBLES
        elif isinstance(output, ClassOutput):
            values = {
                "variables": templates.SOFTMAX_VARIABLES,
                "activated": templates.SOFTMAX,
                "normalized": " / total",
            }
            template = templates.PROBA + templates.BATCH + templates.CLASS
            template += templates.DOUBLES
        else:
            is_log = isinstance(output, LogOutput)
            values = {
                "value": "exp((double)out[i])" if is_log else "(double)out[i]",
                "bounded": templates.BOUNDED * (output.bounds is not None),
                "sorted": templates.SORTED * isinstance(output, QuantileOutput),
            }
            template = templates.NUMBERS + templates.BATCH
        return Template(template).safe_substitute(values)


_NOTES = {NUMBER: "", LEVEL: ", a level", DATE: ", seconds since 1970"}


def _strings(name: str, strings: list[str]) -> str:
    """Return an array of strings."""
    lines = "".join(f"    {literal(text)},\n" for text in strings)
    return f"\nconst char *const {name}[{len(strings)}] = {{\n{lines}}};\n"


def _numbers(values: NDArray[Any]) -> str:
    """Return numbers as lines of C."""
    if values.dtype.kind == "i":
        texts = [str(value) for value in values.tolist()]
    elif values.dtype == np.float32:
        texts = [f"{_with_point(f'{value:.9g}')}f" for value in values.tolist()]
    else:
        texts = [_with_point(repr(value)) for value in values.tolist()]
    lines = [", ".join(texts[i : i + 8]) for i in range(0, len(texts), 8)]
    return "".join(f"    {line},\n" for line in lines)


def _with_point(text: str) -> str:
    """Return a number that C takes for a floating one."""
    return text if "." in text or "e" in text else f"{text}.0"
