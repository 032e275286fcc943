/* config_text.h - parses configurations from texts, without a file system. */
#ifndef SLUICE_CONFIG_TEXT_H
#define SLUICE_CONFIG_TEXT_H

#include "unit.h"

#include "config/config.h"

#include <errno.h>
#include <string.h>

#define BACKEND "[backend garden]\nurl = https://h/api\n"
#define ROUTE   "[route sensor]\ntopic = garden/+/sensor\n"

/* Secrets by name: "key" is "s3cret", "text:..." is what follows the colon. */
static inline int fake_secret(void *context, const char *name, char **ret_value, char **ret_why)
{
    if (strcmp(name, "key") == 0) {
        *ret_value = xstrdup("s3cret");
        return 0;
    }
    if (strncmp(name, "text:", 5) == 0) {
        *ret_value = xstrdup(name + 5);
        return 0;
    }
    if (strcmp(name, "lines") == 0) {
        *ret_value = xstrdup("s3cret\r\nX-Injected: 1");
        return 0;
    }
    *ret_why = xstrdup("no such secret");
    return -ENOENT;
}

static inline struct config *parse(const char *text, struct config_errors *errors)
{
    struct config_parser *parser = config_parser_new(errors, fake_secret, NULL);

    config_parser_text(parser, "a.conf", text, strlen(text));
    return config_parser_finish(parser);
}

/* Of a configuration that must be valid. */
static inline struct config *parsed(const char *text)
{
    struct config_errors errors = {0};
    struct config *config = parse(text, &errors);

    if (!config)
        fail_msg("%s\n-- in --\n%s", errors.lines[0], text);
    assert_int_equal(errors.count, 0);
    return config;
}

/* The text must cause exactly one error, which starts with "a.conf:" and this start, and
 * quotes no secret. */
static inline void expect_error(const char *text, const char *start)
{
    struct config_errors errors = {0};
    cleanup_free char *whole = xasprintf("a.conf:%s", start);

    assert_null(parse(text, &errors));
    if (errors.count != 1)
        fail_msg("%zu errors, the last: %s\n-- in --\n%s", errors.count, errors.lines[errors.count - 1],
                 text);
    if (strncmp(errors.lines[0], whole, strlen(whole)) != 0)
        fail_msg("\"%s\" does not start with \"%s\"", errors.lines[0], whole);
    assert_null(strstr(errors.lines[0], "s3cret"));
    config_errors_done(&errors);
}

#endif
