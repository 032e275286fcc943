/* text/units.c - numbers, durations, sizes and times as text; see text/units.h. */
#include "text/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct unit {
    const char *name; /* NULL ends a table */
    int64_t factor;
};

/* The largest first. */
static const struct unit durations[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},      {"ms", 1},       {NULL, 0}};
static const struct unit sizes[] = {
    {"T", INT64_C(1) << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {NULL, 0}};

const char *units_count(int64_t number, char text[static UNITS_BYTES])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)(number < 0 ? -number : number));
    char *out = text;
    if (number < 0)
        *out++ = '-';
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

const char *units_duration(int64_t ms, char text[static UNITS_BYTES])
{
    static const struct unit units[] = {
        {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (i < ARRAY_LEN(units) - 1 && ms < units[i].factor)
        i++;
    long long whole = ms / units[i].factor;
    long long rest = i + 1 < ARRAY_LEN(units) - 1 ? ms % units[i].factor / units[i + 1].factor : 0;
    if (rest > 0)
        snprintf(text, UNITS_BYTES, "%lld %s %lld %s", whole, units[i].name, rest, units[i + 1].name);
    else
        snprintf(text, UNITS_BYTES, "%lld %s", whole, units[i].name);
    return text;
}

const char *units_size(int64_t bytes, char text[static UNITS_BYTES])
{
    static const char *const names[] = {"kB", "MB", "GB", "TB"};
    if (bytes < 1000) {
        snprintf(text, UNITS_BYTES, "%lld bytes", (long long)bytes);
        return text;
    }
    double value = (double)bytes / 1000;
    size_t unit = 0;
    for (; value >= 999.95 && unit + 1 < ARRAY_LEN(names); unit++)
        value /= 1000;
    snprintf(text, UNITS_BYTES, "%.1f %s", value, names[unit]);
    return text;
}

const char *units_time(int64_t wall_ms, bool brief, char text[static UNITS_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local;
    if (!localtime_r(&seconds, &local) ||
        strftime(text, UNITS_BYTES, brief ? "%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(text, UNITS_BYTES, "%lld s", (long long)seconds);
    return text;
}

static const char *exact(int64_t number, const struct unit *unit, char text[static UNITS_BYTES])
{
    while (unit->name && number % unit->factor != 0)
        unit++;
    snprintf(text, UNITS_BYTES, "%lld%s", (long long)(unit->name ? number / unit->factor : number),
             unit->name ? unit->name : "");
    return text;
}

const char *units_exact_duration(int64_t ms, char text[static UNITS_BYTES])
{
    return exact(ms, ms == 0 ? durations + 4 : durations, text); /* "0s", not "0w" */
}

const char *units_exact_size(int64_t bytes, char text[static UNITS_BYTES])
{
    return exact(bytes, bytes == 0 ? sizes + 4 : sizes, text); /* "0", not "0T" */
}

static int parse(const char *text, const struct unit *unit, int64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");
    int64_t number = 0;
    if (digits == 0)
        return -EINVAL;
    if (text[digits] == '\0')
        return -EDOM;
    while (unit->name && strcmp(unit->name, text + digits) != 0)
        unit++;
    if (!unit->name)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text[i] - '0', &number))
            return -ERANGE;
    if (__builtin_mul_overflow(number, unit->factor, &number))
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int units_parse_duration(const char *text, int64_t *ret_ms)
{
    return parse(text, durations, ret_ms);
}

int units_parse_size(const char *text, int64_t *ret_bytes)
{
    if (strcmp(text, "0") != 0)
        return parse(text, sizes, ret_bytes);
    *ret_bytes = 0;
    return 0;
}
