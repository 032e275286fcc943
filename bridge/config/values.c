/* config/values.c - the types of plain values: texts, numbers, durations, sizes, choices,
 * files and secrets. config/urls.c, config/delivery.c and config/listen.c have the others.
 */
#include "config/values.h"
#include "base/buf.h"
#include "config/errors.h"
#include "config/secret.h"
#include "text/units.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUOTED_BYTES 200 /* of a value in an error message */

void config_value_error(const struct config_value *value, const char *format, ...)
{
    size_t quoted = strlen(value->text);
    const char *more = "";
    va_list args;

    va_start(args, format);
    cleanup_free char *message = xvasprintf(format, args);
    va_end(args);
    if (quoted > QUOTED_BYTES) {
        more = "...";
        quoted = QUOTED_BYTES;
        while ((value->text[quoted] & 0xc0) == 0x80) /* not within a character */
            quoted--;
    }
    config_error(value->parser, value->parser->where, "%s = %.*s%s: %s", value->key->name, (int)quoted,
                 value->text, more, message);
}

char *config_trimmed(const char *text, size_t bytes)
{
    for (; bytes > 0 && (*text == ' ' || *text == '\t'); bytes--)
        text++;
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    return xstrndup(text, bytes);
}

/* ---- numbers, durations, sizes ---- */

static int parse_number(const char *text, int64_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || text[digits])
        return -EINVAL;
    *ret_number = strtoll(text, NULL, 10); /* INT64_MAX where it is larger: beyond every range */
    return 0;
}

typedef int parse_fn(const char *text, int64_t *ret);

/* The end of a range, which the row of the key has as text. */
static int64_t bound(parse_fn *parse, const char *text)
{
    int64_t number = 0;
    int error = parse(text, &number);

    assert(error == 0);
    (void)error;
    return number;
}

/* 0, or -ERANGE where the value is not in the range of its key, or what parse returns. */
static int parse_in_range(const struct config_value *value, parse_fn *parse, int64_t *ret_number)
{
    int error = parse(value->text, ret_number);

    if (error == 0 &&
        (*ret_number < bound(parse, value->key->min) || *ret_number > bound(parse, value->key->max)))
        return -ERANGE;
    return error;
}

static void report_range(const struct config_value *value)
{
    const char *also = value->key->type->also;

    config_value_error(value, "must be from %s to %s%s%s", value->key->min, value->key->max,
                       also ? ", or " : "", also ? also : "");
}

static void set_number(const struct config_value *value)
{
    int64_t number;

    if (parse_in_range(value, parse_number, &number) < 0)
        config_value_error(value, "must be a number from %s to %s", value->key->min, value->key->max);
    else
        *(unsigned *)value->field = (unsigned)number;
}
DEFINE_TYPE(number, .set = set_number);

static bool parse_duration(const struct config_value *value, int64_t *ret_ms)
{
    const char *text = value->text, *also = value->key->type->also;
    int error = parse_in_range(value, units_parse_duration, ret_ms);

    if (error == -EDOM)
        config_value_error(value, "a duration needs a unit, such as %ss or %sm (ms, s, m, h, d, w)", text,
                           text);
    else if (error == -EINVAL)
        config_value_error(
            value, "must be a duration: a whole number and its unit, such as 30s (ms, s, m, h, d, w)%s%s",
            also ? ", or " : "", also ? also : "");
    else if (error < 0)
        report_range(value);
    return error == 0;
}

static void set_duration(const struct config_value *value)
{
    int64_t ms;

    if (parse_duration(value, &ms))
        *(int64_t *)value->field = ms;
}
DEFINE_TYPE(duration, .set = set_duration);

static void set_seconds(const struct config_value *value)
{
    int64_t ms;

    if (!parse_duration(value, &ms))
        return;
    if (ms % 1000 != 0)
        config_value_error(value, "must be whole seconds, such as 30s");
    else
        *(unsigned *)value->field = (unsigned)(ms / 1000);
}
DEFINE_TYPE(seconds, .set = set_seconds);

static void set_expiry(const struct config_value *value)
{
    if (strcmp(value->text, value->key->type->also) == 0)
        *(uint32_t *)value->field = UINT32_MAX;
    else
        set_seconds(value);
}
_Static_assert(sizeof(config_field_expiry) == sizeof(config_field_seconds), "set_seconds() sets both");
DEFINE_TYPE(expiry, .set = set_expiry, .also = "never");

static void set_size(const struct config_value *value)
{
    const char *text = value->text;
    int64_t bytes;
    int error = parse_in_range(value, units_parse_size, &bytes);

    if (error == -EDOM) {
        bool small = bound(units_parse_size, value->key->max) <= INT64_C(1) << 30;
        config_value_error(value, "a size needs a unit, such as %s%s or %s%s (K, M, G, T)", text,
                           small ? "K" : "M", text, small ? "M" : "G");
    } else if (error == -EINVAL) {
        config_value_error(value, "must be a size: a whole number and its unit, such as 64M (K, M, G, T)");
    } else if (error < 0) {
        report_range(value);
    } else {
        *(int64_t *)value->field = bytes;
    }
}
DEFINE_TYPE(size, .set = set_size);

/* ---- choices ---- */

void config_choice_set(const struct config_value *value)
{
    const struct config_type *type = value->key->type;
    struct buf list cleanup_buf;

    buf_init(&list, 1024);
    for (unsigned i = 0; type->choices[i]; i++) {
        if (strcmp(type->choices[i], value->text) == 0) {
            if (type->bytes == sizeof(bool))
                *(bool *)value->field = i != 0;
            else
                memcpy(value->field, &i, sizeof(i)); /* an enum */
            return;
        }
        buf_printf(&list, "%s%s", i == 0 ? "" : type->choices[i + 1] ? ", " : " or ", type->choices[i]);
    }
    config_value_error(value, "must be %s", buf_text(&list));
}

static void set_yes_no(const struct config_value *value)
{
    bool yes = strcmp(value->text, "yes") == 0;

    if (yes || strcmp(value->text, "no") == 0)
        *(bool *)value->field = yes;
    else
        config_value_error(value, "must be yes or no");
}
DEFINE_TYPE(yes_no, .set = set_yes_no, .choices = {"yes", "no"});

DEFINE_TYPE(clock, .set = config_choice_set, .choices = {"kernel", "trust"});
DEFINE_TYPE(http_version, .set = config_choice_set, .choices = {"auto", "http1.1"});
DEFINE_TYPE(
    mqtt_version, .set = config_choice_set,
    .choices = {
        [CONFIG_PROTOCOL_AUTO] = "auto", [CONFIG_PROTOCOL_V5] = "5", [CONFIG_PROTOCOL_V311] = "3.1.1"});
DEFINE_TYPE(log_level, .set = config_choice_set,
            .choices = {[LOG_LEVEL_ERROR] = "error",
                        [LOG_LEVEL_WARNING] = "warning",
                        [LOG_LEVEL_NOTICE] = "notice",
                        [LOG_LEVEL_INFO] = "info",
                        [LOG_LEVEL_DEBUG] = "debug"});
DEFINE_TYPE(when_full, .set = config_choice_set,
            .choices = {[CONFIG_FULL_HOLD] = "hold",
                        [CONFIG_FULL_DROP_OLDEST] = "drop-oldest",
                        [CONFIG_FULL_DROP_NEWEST] = "drop-newest"});

/* ---- texts ---- */

void config_text_done(void *field)
{
    free(*(char **)field);
    *(char **)field = NULL;
}

bool config_text_equal(const void *one, const void *other)
{
    const char *a = *(char *const *)one, *b = *(char *const *)other;

    return a == b || (a && b && strcmp(a, b) == 0);
}

void config_text_set(const struct config_value *value, char *text)
{
    config_text_done(value->field);
    *(char **)value->field = text;
}

static void set_text(const struct config_value *value)
{
    const char *max = value->key->max;

    if (max && (int64_t)strlen(value->text) > bound(parse_number, max))
        config_value_error(value, "must have at most %s bytes", max);
    else
        config_text_set(value, xstrdup(value->text));
}
DEFINE_TEXT_TYPE(text, set_text);

static void set_host(const struct config_value *value)
{
    const char *text = value->text, *colon = strchr(text, ':');

    if (strstr(text, "://"))
        config_value_error(value, "give only the name or address of the broker, such as localhost");
    else if (colon && !strchr(colon + 1, ':')) /* an IPv6 address has more than one */
        config_value_error(value, "the port has its own key: write host = %.*s and port = %s",
                           (int)(colon - text), text, colon + 1);
    else if (text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:%")])
        config_value_error(value, "this is not a host name or an address; write one such as localhost");
    else
        config_text_set(value, xstrdup(text));
}
DEFINE_TEXT_TYPE(host, set_host);

/* ---- files and secrets ---- */

static bool check_absolute(const struct config_value *value)
{
    if (*value->text == '/' && value->text[strlen(value->text) - 1] != '/')
        return true;
    config_value_error(value, "give the whole path of a file, starting with '/'");
    return false;
}

static void set_path(const struct config_value *value)
{
    if (check_absolute(value))
        config_text_set(value, xstrdup(value->text));
}
DEFINE_TEXT_TYPE(path, set_path);

static void set_file(const struct config_value *value)
{
    struct config_parser *parser = value->parser;
    cleanup_free char *why = NULL;

    if (!check_absolute(value))
        return;
    if (parser->readable && parser->readable(parser->context, value->text, &why) < 0)
        config_value_error(value, "%s", why);
    else
        config_text_set(value, xstrdup(value->text));
    if (!why)
        config_error_hidden(parser, parser->where, value->text);
}
DEFINE_TEXT_TYPE(file, set_file);

/* Where the reason goes why this secret cannot be used; NULL: it is an error. */
static char **fault_of(const struct config_value *value)
{
    struct config *config = value->parser->config;
    size_t index = value->section->index;

    if (!value->parser->has_faults)
        return NULL;
    switch (value->section->kind) {
    case CONFIG_BROKER:
        return &config->broker.fault;
    case CONFIG_BACKEND:
        return &config->backends[index].fault;
    case CONFIG_HTTP: /* its query is that of its route */
        return &config->routes[config->https[index].route].fault;
    default:
        return NULL;
    }
}

/* Returns what stands for the secret. */
static char *report_secret(const struct config_value *value, const char *why)
{
    char **fault = fault_of(value);

    if (fault && !*fault)
        *fault = xasprintf("%s = %s: %s", value->key->name, value->text, why);
    if (fault)
        return xstrdup("");
    config_value_error(value, "%s", why);
    return NULL;
}

char *config_value_secret(const struct config_value *value, const char *reference)
{
    struct config_parser *parser = value->parser;
    cleanup_free char *why = NULL;
    char *secret = NULL;

    if (!reference[1]) {
        config_value_error(value, "name a file after '@', such as @/etc/sluice/%s", value->key->name);
        return NULL;
    }
    if (parser->secret(parser->context, reference + 1, &secret, &why) < 0)
        return report_secret(value, why);
    if (reference[1] == '/') /* systemd reads the credentials */
        config_error_hidden(parser, parser->where, reference + 1);
    const char *fault = secret_fault(secret);
    if (!fault)
        return secret;
    free(secret);
    return report_secret(value, fault);
}

static void set_secret(const struct config_value *value)
{
    const char *name = value->key->name;

    if (*value->text != '@') {
        config_error(value->parser, value->parser->where,
                     "%s must not be written into this file; write it into a file of its own and name "
                     "that: %s = @/etc/sluice/%s",
                     name, name, name);
        return;
    }
    char *secret = config_value_secret(value, value->text);
    if (secret)
        config_text_set(value, secret);
}
DEFINE_TEXT_TYPE(secret, set_secret);
