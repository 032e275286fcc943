/* cmd/sandbox.c - see cmd/sandbox.h. */
#include "cmd/sandbox.h"
#include "base/base.h"

#include <string.h>
#include <strings.h>

struct sandbox {
    struct sandbox_rule *rules;
    size_t count;
};

/* What a value of a key means. word: one of these, and the first stands for all words of yes. */
static const struct {
    const char *key, *words, *paths;
    enum sandbox_access access;
    bool empty;
} PRESETS[] = {
    {"ProtectHome", "yes", "/home /root /run/user", SANDBOX_HIDDEN, false},
    {"ProtectHome", "tmpfs", "/home /root /run/user", SANDBOX_HIDDEN, true},
    {"ProtectHome", "read-only", "/home /root /run/user", SANDBOX_READ, false},
    {"PrivateTmp", "yes disconnected", "/tmp /var/tmp", SANDBOX_HIDDEN, true},
    {"ProtectSystem", "yes full", "/usr /boot /efi", SANDBOX_READ, false},
    {"ProtectSystem", "full", "/etc", SANDBOX_READ, false},
    {"ProtectSystem", "strict", "/", SANDBOX_READ, false},
};

/* Keys whose values are paths, or names of directories that systemd makes below a certain one. */
static const struct {
    const char *key, *below;
    enum sandbox_access access;
    bool empty, bound;
} LISTS[] = {
    {"StateDirectory", "/var/lib/", SANDBOX_WRITE, false, false},
    {"CacheDirectory", "/var/cache/", SANDBOX_WRITE, false, false},
    {"LogsDirectory", "/var/log/", SANDBOX_WRITE, false, false},
    {"RuntimeDirectory", "/run/", SANDBOX_WRITE, false, false},
    {"ReadWritePaths", "", SANDBOX_WRITE, false, false},
    {"ReadOnlyPaths", "", SANDBOX_READ, false, false},
    {"InaccessiblePaths", "", SANDBOX_HIDDEN, false, false},
    {"TemporaryFileSystem", "", SANDBOX_HIDDEN, true, false},
    {"BindPaths", "", SANDBOX_WRITE, false, true},
    {"BindReadOnlyPaths", "", SANDBOX_READ, false, true},
};

/* Calls take with each word of the text. */
static void each_word(const char *text, void (*take)(void *context, char *word), void *context)
{
    char *word;
    while ((word = unit_word(&text))) {
        take(context, word);
        free(word);
    }
}

/* ---- making the rules ---- */

struct making {
    struct sandbox *sandbox;
    struct sandbox_rule rule; /* without its path */
    const char *below;
};

static void add_path(struct making *making, const char *path)
{
    struct sandbox *sandbox = making->sandbox;
    sandbox->rules = xrealloc(sandbox->rules, (sandbox->count + 1) * sizeof(*sandbox->rules));
    struct sandbox_rule *rule = &sandbox->rules[sandbox->count++];
    *rule = making->rule;
    rule->path = xstrdup(path);
    for (size_t bytes = strlen(path); bytes > 1 && path[bytes - 1] == '/'; bytes--)
        rule->path[bytes - 1] = '\0';
}

/* systemd follows symbolic links, so the rule holds for what they name, too. */
static void add_rule(void *context, char *path)
{
    struct making *making = context;
    cleanup_free char *real = realpath(path, NULL);
    add_path(making, path);
    if (real && strcmp(real, path) != 0)
        add_path(making, real);
}

/* A word of a list: "-/path", "SOURCE:PATH:OPTIONS", "NAME:LINK" or "/path:OPTIONS". */
static void add_word(void *context, char *word)
{
    struct making *making = context;
    char *colon = strchr(word, ':');
    if (colon)
        *colon = '\0';
    if (colon && making->rule.bound && colon[1] == '/') {
        word = colon + 1;
        word[strcspn(word, ":")] = '\0';
    }
    word += strspn(word, "-+");
    cleanup_free char *path = xasprintf("%s%s", making->below, word);
    add_rule(making, path);
}

struct wanted {
    const char *word;
    bool found;
};

static void compare(void *context, char *word)
{
    struct wanted *wanted = context;
    wanted->found = wanted->found || strcasecmp(word, wanted->word) == 0;
}

static bool has_word(const char *words, const char *word)
{
    struct wanted wanted = {.word = word};
    each_word(words, compare, &wanted);
    return wanted.found;
}

struct sandbox *sandbox_new(const struct unit *unit)
{
    struct sandbox *sandbox = xcalloc(1, sizeof(*sandbox));
    for (size_t i = 0; i < ARRAY_LEN(PRESETS); i++) {
        const char *key = PRESETS[i].key, *value = unit_value(unit, key);
        struct making making = {
            .sandbox = sandbox,
            .rule = {.access = PRESETS[i].access, .empty = PRESETS[i].empty, .key = key, .word = value}};
        if (value && has_word(PRESETS[i].words, has_word("1 y t true on", value) ? "yes" : value))
            each_word(PRESETS[i].paths, add_rule, &making);
    }
    for (size_t i = 0; i < ARRAY_LEN(LISTS); i++) {
        const char *key = LISTS[i].key, *value;
        struct making making = {
            .sandbox = sandbox,
            .below = LISTS[i].below,
            .rule = {
                .access = LISTS[i].access, .empty = LISTS[i].empty, .bound = LISTS[i].bound, .key = key}};
        for (size_t at = 0; (value = unit_next(unit, key, &at));) {
            making.rule.word = value;
            each_word(value, add_word, &making);
        }
    }
    return sandbox;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    for (size_t i = 0; i < sandbox->count; i++)
        free(sandbox->rules[i].path);
    free(sandbox->rules);
    free(sandbox);
}

/* ---- finding ---- */

static bool is_below(const char *path, const char *directory)
{
    size_t bytes = strlen(directory);
    return strcmp(directory, "/") == 0 ||
           (strncmp(path, directory, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0'));
}

/* Whether what `one` gives is seen although `hiding` hides a directory above or below it. */
static bool shows(const struct sandbox_rule *one, const struct sandbox_rule *hiding)
{
    return hiding->empty && one->bound && strlen(one->path) >= strlen(hiding->path);
}

static bool overrules(const struct sandbox_rule *one, const struct sandbox_rule *other)
{
    bool hides = one->access == SANDBOX_HIDDEN, other_hides = other->access == SANDBOX_HIDDEN;
    if (hides != other_hides)
        return hides ? !shows(other, one) : shows(one, other);
    return strlen(one->path) >= strlen(other->path);
}

const struct sandbox_rule *sandbox_find(const struct sandbox *sandbox, const char *path)
{
    const struct sandbox_rule *best = NULL;
    for (size_t i = 0; i < sandbox->count; i++) {
        const struct sandbox_rule *rule = &sandbox->rules[i];
        if (is_below(path, rule->path) && (!best || overrules(rule, best)))
            best = rule;
    }
    return best;
}

static bool is_made(const struct sandbox_rule *rule)
{
    size_t bytes = strlen(rule->key);
    return bytes > 9 && strcmp(rule->key + bytes - 9, "Directory") == 0;
}

const char *sandbox_state(const struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->count; i++)
        if (strcmp(sandbox->rules[i].key, "StateDirectory") == 0)
            return sandbox->rules[i].path;
    return NULL;
}

bool sandbox_makes(const struct sandbox *sandbox, const char *directory)
{
    for (size_t i = 0; i < sandbox->count; i++)
        if (is_made(&sandbox->rules[i]) && strcmp(sandbox->rules[i].path, directory) == 0)
            return true;
    return false;
}
