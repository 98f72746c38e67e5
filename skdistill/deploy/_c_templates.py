"""The text of the C code. In all of it, $p stands for the name of the file."""

HEADER = """\
/*
$about
 */
#ifndef ${P}_H
#define ${P}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ${P}_N_FEATURES $n_features
#define ${P}_N_OUTPUTS $n_outputs
$row
$functions
#ifdef __cplusplus
}
#endif

#endif
"""

LEVELS_OF_HEADER = """
/* What a level is that is not among the known ones. */
#define ${P}_MISSING (-1)
#define ${P}_UNKNOWN (-2)
"""

FUNCTIONS = """
/*
 * Writes $what.
 * Returns 0, or the position of a column, counted from 1, whose value is not allowed:
 * infinite, or beyond the range of float$nan, if the student reads the column. Then
 * nothing is written.
 */
int ${p}_$method($row_type *row, $said_type *$said);

/*
 * Writes the same for some rows, one row after the other. Returns how many there are:
 * fewer than n_rows if the next row has a value as above.
 */
size_t ${p}_${method}_batch($row_type *rows, size_t n_rows, $said_type *$said);
"""

CLASS_FUNCTION = """
/* Returns the position of the most probable class, from 0; -1 for a value as above. */
int ${p}_predict($row_type *row);
"""

DECLARED_DOUBLES = """
/* Writes all probabilities of some rows as double; they sum to 1. Returns how many rows
 * there are, as ${p}_predict_proba_batch does. */
size_t ${p}_proba_as_doubles($row_type *rows, size_t n_rows, double *proba);
"""

LABEL_FUNCTION = """
/* Writes 1 for each label whose probability is above 0.5, and 0 for the others. Returns
 * what predict_proba returns. */
int ${p}_predict($row_type *row, uint8_t *labels);
"""

START = """\
/* Written by skdistill. See ${p}.h. Do not compile with -ffast-math: NaN is a value. */
#include "${p}.h"

#include <math.h>

/* Tables stay in the flash memory of an AVR too, in the GNU C that has __flash. */
#ifndef ${P}_TABLE
#if defined(__FLASH) && !defined(__STRICT_ANSI__) && !defined(__cplusplus)
#define ${P}_TABLE const __flash
#else
#define ${P}_TABLE const
#endif
#endif

#ifdef __cplusplus
#define ${P}_RESTRICT __restrict
#else
#define ${P}_RESTRICT restrict
#endif
"""

LOOKUP = """
static int32_t ${p}_found(const char *const *names, int32_t n_names, const char *name)
{
    int32_t i;
    if (name == NULL)
        return ${P}_MISSING;
    for (i = 0; i < n_names; i++) {
        const char *a = names[i], *b = name;
        while (*a != '\\0' && *a == *b) {
            a++;
            b++;
        }
        if (*a == *b)
            return i;
    }
    return ${P}_UNKNOWN;
}
"""

DATES = """
/* The days before a year that begins in March, since the March of the year 0. */
static int32_t ${p}_year_begin(int32_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400;
}

/*
 * Writes the year, the month from 1, the day of the week from 0 for Monday, the hour
 * and the seconds of a time in seconds since 1970. Returns 1 if it is out of range.
 */
static int ${p}_date(double seconds, double *parts)
{
    /* The days before each month of a year that begins in March. */
    static ${P}_TABLE int32_t begins[12] = {
        0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337};
    double day_number, hour;
    int64_t days, cycle;
    int32_t day, year, month = 11;
    if (seconds != seconds) {
        parts[0] = parts[1] = parts[2] = parts[3] = parts[4] = seconds;
        return 0;
    }
    if (seconds > 9.2e12 || seconds < -9.2e12)
        return 1;
    day_number = floor(seconds / 86400.0);
    hour = floor((seconds - 86400.0 * day_number) / 3600.0);
    days = (int64_t)day_number;
    parts[2] = (double)(((days + 3) % 7 + 7) % 7); /* 1970 began on a Thursday */
    /* 1970 began 719468 days after the March of the year 0; 400 years are a cycle. */
    days += 719468;
    cycle = (days >= 0 ? days : days - 146096) / 146097;
    day = (int32_t)(days - 146097 * cycle);
    year = day / 366;
    while (day >= ${p}_year_begin(year + 1))
        year++;
    day -= ${p}_year_begin(year);
    while (begins[month] > day)
        month--;
    parts[0] = (double)(year + 400 * cycle + (month >= 10 ? 1 : 0));
    parts[1] = (double)(month >= 10 ? month - 9 : month + 3);
    parts[3] = hour;
    parts[4] = seconds;
    return 0;
}
"""

# What follows is the body of the function that reads a row.

READ_START = """
/* Writes the rows of the first layer that are added, and their factors. */
static int ${p}_read($row_type *row, ${p}_index *rows, float *by)
{
    int n = 0;
"""

READ_NUMBERS = """
    for (i = 0; i < $n_numbers; i++) {
        $missing
            return -1 - (int)${p}_columns[i];
    }
"""

IMPUTE = """if (x[i] != x[i])
            x[i] = ${p}_medians[i];
        else if (x[i] > $largest || x[i] < -$largest)"""

REFUSE_NAN = "if (!(x[i] <= $largest && x[i] >= -$largest))"

READ_LINEAR = """
    for (i = 0; i < $n_linear; i++) {
        $number z = (x[i] - ${p}_means[i]) / ${p}_scales[i];
        if (z > $bound)
            z = $bound;
        if (z < -$bound)
            z = -$bound;
        rows[n] = (${p}_index)i;
        by[n++] = (float)z;
    }
"""

READ_BINNED = """
    for (i = 0; i < $n_binned; i++) {
        const int32_t zero = ${p}_zeros[i];
        int32_t low = ${p}_first_knot[i], k;
        int32_t span = ${p}_first_knot[i + 1] - low - 1;
        double value = (double)x[$n_linear + i];
        float share;
        if (value < ${p}_knots[low])
            value = ${p}_knots[low];
        if (value > ${p}_knots[low + span])
            value = ${p}_knots[low + span];
        while (span > 1) {
            const int32_t half = span / 2;
            low += ${p}_knots[low + half] <= value ? half : 0;
            span -= half;
        }
        share = (float)((value - ${p}_knots[low])
                        / (${p}_knots[low + 1] - ${p}_knots[low]));
        for (k = low; k < low + 2; k++) {
            if (k != zero) {
                rows[n] = (${p}_index)($n_linear + k - i - (k > zero ? 1 : 0));
                by[n++] = k == low ? 1.0f - share : share;
            }
        }
    }
"""

READ_LEVELS = """
    for (i = 0; i < $n_level_columns; i++) {
        const int32_t first = ${p}_first_level[i], n_names = ${p}_n_names[i];
        int32_t place = levels[i] < n_names ? levels[i] : ${P}_UNKNOWN;
        if (place == ${P}_MISSING)
            place = n_names;
        if (place >= 0 && place < ${p}_first_level[i + 1] - first) {
            rows[n] = (${p}_index)(first + place);
            by[n++] = 1.0f;
        }
    }
"""

EMBED = """
    for (i = 0; i < $n_linear; i++) {
        float waves[2 * $n_frequencies];
        int j, k;
        for (j = 0; j < $n_frequencies; j++) {
            const float angle = by[i] * ${p}_frequencies[i * $n_frequencies + j];
            waves[j] = cosf(angle);
            waves[$n_frequencies + j] = sinf(angle);
        }
        for (k = 0; k < $n_embedded; k++) {
            float sum = ${p}_embedding_bias[i * $n_embedded + k];
            for (j = 0; j < 2 * $n_frequencies; j++)
                sum += waves[j]
                       * ${p}_embedding[(i * 2 * $n_frequencies + j) * $n_embedded + k];
            if (sum > 0.0f) {
                rows[n] = (${p}_index)($first_embedded + i * $n_embedded + k);
                by[n++] = sum;
            }
        }
    }
"""

READ_END = """
    return n;
}
"""

# Compilers warn of it in a layer that never adds so many rows.
BY_FOUR = """\
    for (; i + 4 <= n; i += 4) {
        ${P}_TABLE $weight *a = ${p}_weights_$k + (size_t)rows[i] * $width;
        ${P}_TABLE $weight *b = ${p}_weights_$k + (size_t)rows[i + 1] * $width;
        ${P}_TABLE $weight *c = ${p}_weights_$k + (size_t)rows[i + 2] * $width;
        ${P}_TABLE $weight *d = ${p}_weights_$k + (size_t)rows[i + 3] * $width;
        const float p = $factor_0, q = $factor_1;
        const float r = $factor_2, s = $factor_3;
        for (j = 0; j < $width; j++)
            out[j] += p * (float)a[j] + q * (float)b[j] + r * (float)c[j]
                      + s * (float)d[j];
    }
"""

LAYER = """
/* Writes the bias of a layer, and the sum of some rows of its table times factors. */
static void ${p}_layer_$k(const ${p}_index *rows, const float *by, int n,
                          float *${P}_RESTRICT out)
{
    int i = 0, j;
    for (j = 0; j < $width; j++)
        out[j] = ${p}_bias_$k[j];
$by_four    for (; i < n; i++) {
        ${P}_TABLE $weight *a = ${p}_weights_$k + (size_t)rows[i] * $width;
        const float p = $factor_0;
        for (j = 0; j < $width; j++)
            out[j] += p * (float)a[j];
    }
}
"""

FORWARD = """
/* Writes what the last layer says. Returns 0, or -1 - the position of a bad column. */
static int ${p}_outputs($row_type *row, float *out)
{
    ${p}_index rows[$n_terms];
    float by[$n_terms];
$hidden    int n = ${p}_read(row, rows, by);
    if (n < 0)
        return n;
$steps    return 0;
}
"""

STEP = """\
    ${p}_layer_$k(rows, by, n, hidden);
    n = 0;
    for (i = 0; i < $width; i++) {
$activated
    }
"""

# A unit that is 0 adds nothing to the next layer.
ACTIVATED = {
    "relu": """\
        rows[n] = (${p}_index)i;
        by[n] = hidden[i];
        n += hidden[i] > 0.0f ? 1 : 0;""",
} | {
    name: f"""\
        rows[n] = (${{p}}_index)i;
        by[n++] = {function};"""
    for name, function in (
        ("identity", "hidden[i]"),
        ("logistic", "1.0f / (1.0f + expf(-hidden[i]))"),
        ("tanh", "tanhf(hidden[i])"),
    )
}

PROBA = """
int ${p}_predict_proba($row_type *row, float *proba)
{
    int i, refused = ${p}_outputs(row, proba);
$variables    if (refused)
        return -refused;
$activated    return 0;
}
"""

BATCH = """
size_t ${p}_${method}_batch($row_type *rows, size_t n_rows, $said_type *$said)
{
    size_t i;
    for (i = 0; i < n_rows; i++)
        if (${p}_$method(rows + i * $stride, $said + i * $n_outputs))
            break;
    return i;
}
"""

# What CompiledStudent calls.
DOUBLES = """
#ifndef ${P}_NO_NAMES
size_t ${p}_proba_as_doubles($row_type *rows, size_t n_rows, double *proba)
{
    size_t k;
    for (k = 0; k < n_rows; k++) {
        float said[$n_outputs];
        double total = 0.0;
        int i;
        if (${p}_predict_proba(rows + k * $stride, said))
            break;
        for (i = 0; i < $n_outputs; i++)
            total += (double)said[i];
        if (total != total)
            break;
        for (i = 0; i < $n_outputs; i++)
            proba[k * $n_outputs + (size_t)i] = (double)said[i]$normalized;
    }
    return k;
}
#endif
"""

SOFTMAX_VARIABLES = """\
    float largest, sum = 0.0f;
"""

SOFTMAX = """\
    largest = proba[0];
    for (i = 1; i < $n_outputs; i++)
        largest = proba[i] > largest ? proba[i] : largest;
    for (i = 0; i < $n_outputs; i++) {
        proba[i] = expf(proba[i] - largest);
        sum += proba[i];
    }
    for (i = 0; i < $n_outputs; i++)
        proba[i] /= sum;
"""

LOGISTIC = """\
    for (i = 0; i < $n_outputs; i++)
        proba[i] = 1.0f / (1.0f + expf(-proba[i]));
"""

CLASS = """
int ${p}_predict($row_type *row)
{
    float out[$n_outputs];
    int i, best = 0;
    if (${p}_outputs(row, out))
        return -1;
    for (i = 1; i < $n_outputs; i++)
        best = out[i] > out[best] ? i : best;
    return best;
}
"""

LABELS = """
int ${p}_predict($row_type *row, uint8_t *labels)
{
    float proba[$n_outputs];
    int i, refused = ${p}_predict_proba(row, proba);
    if (refused)
        return refused;
    for (i = 0; i < $n_outputs; i++)
        labels[i] = proba[i] > 0.5f ? 1 : 0;
    return 0;
}
"""

NUMBERS = """
int ${p}_predict($row_type *row, double *y)
{
    float out[$n_outputs];
    int i, refused = ${p}_outputs(row, out);
    if (refused)
        return -refused;
    for (i = 0; i < $n_outputs; i++) {
        y[i] = $value * ${p}_y_scale[i] + ${p}_y_mean[i];$bounded
    }
$sorted    return 0;
}
"""

SORTED = """\
    for (i = 1; i < $n_outputs; i++) {
        const double value = y[i];
        int k = i;
        for (; k > 0 && y[k - 1] > value; k--)
            y[k] = y[k - 1];
        y[k] = value;
    }
"""

BOUNDED = """
        if (y[i] < ${p}_y_low[i])
            y[i] = ${p}_y_low[i];
        if (y[i] > ${p}_y_high[i])
            y[i] = ${p}_y_high[i];"""
