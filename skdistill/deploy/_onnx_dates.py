"""The numbers that stand for a date, computed in an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from skdistill.deploy._converting import add_prefix

if TYPE_CHECKING:
    import onnx

# 400 years of 146,097 days are a cycle, and 1970 began 719,468 days after the March of
# the year 0. A year that begins in March has its leap day at the end.
_PARTS = """
<ir_version: 10, opset_import: ["" : 21]>
parts (double[batch, 1] seconds) => (
    double[batch, 1] year, double[batch, 1] month, double[batch, 1] weekday,
    double[batch, 1] hour, double[batch, 1] total_seconds
)
<
    double zero = {0}, double nan = {nan},
    int64 two = {2}, int64 three = {3}, int64 four = {4}, int64 five = {5},
    int64 ten = {10}, int64 one = {1}, int64 twelve = {12}, int64 week = {7},
    int64 in_hour = {3600}, int64 in_day = {86400}, int64 shift = {719468},
    int64 in_months = {153}, int64 in_year = {365}, int64 in_4_years = {1460},
    int64 in_100_years = {36524}, int64 in_400_years = {146097}, int64 last = {146096},
    int64 years = {400}, int64 hundred = {100}
>
{
    missing = IsNaN (seconds)
    known = Where (missing, zero, seconds)
    whole_number = Floor (known)
    whole = Cast <to = 7> (whole_number)
    of_day = Mod (whole, in_day)
    midnight = Sub (whole, of_day)
    days = Div (midnight, in_day)
    of_hour = Div (of_day, in_hour)
    from_thursday = Add (days, three)
    of_week = Mod (from_thursday, week)
    shifted = Add (days, shift)
    day = Mod (shifted, in_400_years)
    begin = Sub (shifted, day)
    cycle = Div (begin, in_400_years)
    leap_days = Div (day, in_4_years)
    centuries = Div (day, in_100_years)
    is_last = Div (day, last)
    day_1 = Sub (day, leap_days)
    day_2 = Add (day_1, centuries)
    day_3 = Sub (day_2, is_last)
    year_of_cycle = Div (day_3, in_year)
    year_days = Mul (year_of_cycle, in_year)
    leap_4 = Div (year_of_cycle, four)
    leap_100 = Div (year_of_cycle, hundred)
    day_4 = Sub (day, year_days)
    day_5 = Sub (day_4, leap_4)
    day_of_year = Add (day_5, leap_100)
    five_days = Mul (day_of_year, five)
    five_days_2 = Add (five_days, two)
    from_march = Div (five_days_2, in_months)
    from_january = Add (from_march, two)
    month_0 = Mod (from_january, twelve)
    of_year = Add (month_0, one)
    is_next = Div (from_march, ten)
    cycle_years = Mul (cycle, years)
    year_0 = Add (cycle_years, year_of_cycle)
    year_number = Add (year_0, is_next)
    year_ = Cast <to = 11> (year_number)
    month_ = Cast <to = 11> (of_year)
    weekday_ = Cast <to = 11> (of_week)
    hour_ = Cast <to = 11> (of_hour)
    year = Where (missing, nan, year_)
    month = Where (missing, nan, month_)
    weekday = Where (missing, nan, weekday_)
    hour = Where (missing, nan, hour_)
    total_seconds = Identity (seconds)
}
"""


def with_date(
    model: onnx.ModelProto, column: str, parts: Mapping[str, str], prefix: str
) -> None:
    """Let a model compute the parts of a date, which were inputs of the model.

    ``parts`` are the names of these. In their place comes ``column``, an input of
    dates in seconds since 1970. Other names begin with the prefix.
    """
    from onnx import parser

    own = parser.parse_model(_PARTS)
    add_prefix(own, prefix, {"seconds": column, **parts})
    nodes = [*own.graph.node, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(own.graph.initializer)
