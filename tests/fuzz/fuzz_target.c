/* fuzz_target.c - the target of any request. */
#include "fuzz.h"

#include "request/target.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("/api/collections/sensor?user_key=k%20&limit=5"),
    FUZZ_SEED("/api?x"),
    FUZZ_SEED("/api/a.b/..c/%41%25;v=1,2(x)!$'*+:@~_-/"),
    FUZZ_SEED("/"),
    FUZZ_SEED("http://h/api/x"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {"/",   "//",    ".",         "..",         "/../", "/./",  "%",
                                   "%2e", "/%2e/", "/.%2E/",    "%2F",        "%5c",  "%00",  "%25",
                                   "?",   "&",     "=",         "#",          "\\",   " ",    "\t",
                                   "\r",  "/api",  "user_key=", "user%5fkey", "\n",   "\xff", NULL};

/* Reads a path as the most lenient server does: decodes the escapes, then splits it at both
 * kinds of slashes. */
static void judge_path(const char *path, size_t bytes)
{
    cleanup_free char *text = xstrndup(path, bytes);
    size_t length = strlen(text);
    assert(length == bytes); /* no NUL */
    size_t out = 0;
    for (size_t at = 0; at < length; at++, out++) {
        text[out] = text[at];
        if (text[at] != '%')
            continue;
        assert(isxdigit((unsigned char)text[at + 1]) && isxdigit((unsigned char)text[at + 2]));
        const char digits[] = {text[at + 1], text[at + 2], '\0'};
        text[out] = (char)strtoul(digits, NULL, 16);
        assert(text[out] != '\0');
        at += 2;
    }
    text[out] = '\0';
    char *next = text, *segment;
    unsigned segments = 0;
    while ((segment = strsep(&next, "/\\")) != NULL) {
        assert(strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0);
        if (segments == 0)
            assert(!*segment);
        else if (segments == 1)
            assert(strcmp(segment, "api") == 0);
        else
            assert(*segment || !next);
        segments++;
    }
    assert(segments >= 2);
}

static void judge_url(const char *target)
{
    static struct config_pair pairs[] = {{.name = "user_key", .value = "s&c#et"}, {.name = "x", .value = ""}};
    static const char base[] = "https://h/base";
    struct buf url cleanup_buf;
    buf_init(&url, 10000);
    buf_append_text(&url, base);
    target_append(&url, target);
    target_append_query(&url, pairs, ARRAY_LEN(pairs));
    const char *text = buf_text(&url), *rest = text + strlen(base);
    assert(strncmp(text, base, strlen(base)) == 0 && (*rest == '/' || *rest == '?' || *rest == '\0'));
    assert(strncmp(rest, target + strlen(TARGET_BASE), strlen(target + strlen(TARGET_BASE))) == 0);
    for (const char *at = text; *at; at++)
        assert(*at > 0x20 && *at < 0x7f && *at != '#' && *at != '\\');
    const char *mark = strchr(text, '?');
    const char *added = rest + strlen(target) - strlen(TARGET_BASE);
    assert(!*added || *added == (strchr(target, '?') ? '&' : '?') || added[-1] == '&' || added - 1 == mark);
    assert(mark && (strcasestr(mark, "user") || strstr(mark, "s%26c%23et")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *target = (const char *)data, *why = NULL;
    enum target_verdict verdict = target_check(target, bytes, &why);
    assert((verdict == TARGET_BAD) == (why != NULL));
    if (verdict == TARGET_FINE) {
        cleanup_free char *text = xstrndup(target, bytes);
        judge_path(text, strcspn(text, "?"));
        judge_url(text);
    }
    return 0;
}
