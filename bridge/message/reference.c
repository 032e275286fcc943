/* message/reference.c - references in templates; see message/reference.h. */
#include "message/reference.h"

#include "text/nearest.h"

#include <string.h>

static const struct {
    const char *name;
    bool bare;
} names[] = {
#define REFERENCE_NAME(kind, name, bare, meaning) [REFERENCE_##kind] = {name, bare},
    REFERENCES(REFERENCE_NAME)
#undef REFERENCE_NAME
};

enum { FIRST_NAME = REFERENCE_USER + 1 };

static const char user[] = "user.";
#define USER_BYTES (sizeof(user) - 1)

const char *reference_parse(const char *text, const char *end, struct reference *ret)
{
    const char *close = text < end && *text == '{' ? memchr(text, '}', (size_t)(end - text)) : NULL;
    if (!close)
        return NULL;
    const char *word = text + 1;
    size_t bytes = (size_t)(close - word);
    for (size_t i = FIRST_NAME; i < ARRAY_LEN(names); i++) {
        if (strlen(names[i].name) == bytes && memcmp(names[i].name, word, bytes) == 0) {
            *ret = (struct reference){.kind = (enum reference_kind)i};
            return close + 1;
        }
    }
    if (bytes > USER_BYTES && memcmp(word, user, USER_BYTES) == 0) {
        *ret = (struct reference){
            .kind = REFERENCE_USER, .name = word + USER_BYTES, .bytes = bytes - USER_BYTES};
        return close + 1;
    }
    unsigned level = 0;
    for (; word < close && level <= REFERENCE_LEVEL_MOST && *word >= '0' && *word <= '9'; word++)
        level = level * 10 + (unsigned)(*word - '0');
    if (word < close || text[1] == '0' || level == 0 || level > REFERENCE_LEVEL_MOST)
        return NULL;
    *ret = (struct reference){.kind = REFERENCE_LEVEL, .level = level};
    return close + 1;
}

unsigned reference_parse_level(const char *text, const char **ret_end)
{
    struct reference reference;
    const char *end = reference_parse(text, text + strlen(text), &reference);
    if (!end || reference.kind != REFERENCE_LEVEL)
        return 0;
    *ret_end = end;
    return reference.level;
}

/* As a reason lists them; the caller frees it. */
static char *all_names(void)
{
    char *all = xasprintf("{1} to {%u}", REFERENCE_LEVEL_MOST);
    for (size_t i = FIRST_NAME; i < ARRAY_LEN(names); i++) {
        char *longer = xasprintf("%s, {%s}", all, names[i].name);
        free(all);
        all = longer;
    }
    char *whole = xasprintf("%s and {user.NAME}", all);
    free(all);
    return whole;
}

char *reference_fault(const char *text, const char *end)
{
    const char *close = memchr(text, '}', (size_t)(end - text));
    cleanup_free char *word = xstrndup(text + 1, (size_t)(close - text - 1));
    if (*word != '\0' && word[strspn(word, "0123456789")] == '\0')
        return xasprintf("{%s} is no topic level: they are {1} to {%u}", word, REFERENCE_LEVEL_MOST);
    const char *known[ARRAY_LEN(names) - FIRST_NAME];
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        known[i] = names[FIRST_NAME + i].name;
    size_t near = nearest_find(word, known, ARRAY_LEN(known));
    cleanup_free char *all = all_names();
    if (near != SIZE_MAX)
        return xasprintf("{%s} is unknown; did you mean {%s}? There are %s", word, known[near], all);
    return xasprintf("{%s} is unknown; there are %s", word, all);
}

bool reference_is_bare(enum reference_kind kind)
{
    return names[kind].bare;
}
