/* cmd/unit_lines.c - see cmd/unit_lines.h.
 *
 * The rules are those of systemd.exec(5) and systemd.service(5), and each was tried with systemd 252. One is
 * not in the manual: a missing path is no fault if the path is in a directory that is inaccessible, or if
 * the next path above it has the same key, because systemd leaves out such a mount. */
#include "cmd/unit_lines.h"
#include "base/base.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct line;

struct kind {
    const char *key;
    const char *status; /* with which the service fails, as systemd shows it */
    void (*look)(const struct line *line);
    enum { VALUE, WORDS, FIRST_WORD, AFTER_COLON } path; /* what the path is */
    bool of_system; /* also with RootDirectory= the path is one of this system */
};

/* A path in a line. */
struct line {
    const struct service *service;
    struct config_errors *errors;
    const struct kind *kind;
    const char *origin; /* "FILE:LINE" */
    const char *text;   /* the value, or the word, which has the path */
    const char *path;   /* at the end of the text */
};

static const char MAKE[] = "make it, or correct the line";
static const char MAKE_OR_MINUS[] =
    "make it, correct the line, or write - before the path if it may be missing";
static const char PERMIT[] = "correct its permissions, or the line";
static const char INSTALL[] = "install it again, or correct the line";

static void add(const struct line *line, const char *why, const char *remedy)
{
    config_errors_add(line->errors, "%s: %s=%s: %s, so the service does not start (%s); %s", line->origin,
                      line->kind->key, line->text, why, line->kind->status, remedy);
}

static bool has_prefix(const struct line *line, char prefix)
{
    return memchr(line->text, prefix, (size_t)(line->path - line->text));
}

/* Not so if this user may not see whether it is there. */
static bool is_missing(const char *path)
{
    struct stat found;
    return stat(path, &found) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP);
}

/* Adds a fault, and returns true, if the service sees an empty directory above the path, or nothing. */
static bool look_hidden(const struct line *line)
{
    const struct sandbox_rule *rule = sandbox_find(service_sandbox(line->service), line->path);
    if (!rule || rule->access != SANDBOX_HIDDEN || (rule->empty && strcmp(rule->path, line->path) == 0))
        return false;
    cleanup_free char *why = xasprintf("the unit hides %s (%s=%s)", rule->path, rule->key, rule->word);
    add(line, why, "choose another path");
    return true;
}

/* Whether the user of the service may enter the directory, or run the program. */
static bool may_use(const struct line *line)
{
    return service_reader(line->service).user != getuid() || access(line->path, X_OK) == 0;
}

/* ---- paths of the sandbox ---- */

/* Whether the path is the directory, or is above it. */
static bool holds(const char *path, const char *directory)
{
    size_t bytes = strlen(path);
    return strncmp(directory, path, bytes) == 0 && (directory[bytes] == '/' || directory[bytes] == '\0');
}

/* Whether systemd makes it before it needs it. */
static bool is_made(const struct line *line)
{
    static const char *const keys[][2] = {{"StateDirectory", "/var/lib"},
                                          {"CacheDirectory", "/var/cache"},
                                          {"LogsDirectory", "/var/log"},
                                          {"RuntimeDirectory", "/run"},
                                          {"ConfigurationDirectory", "/etc"}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *names;
        for (size_t at = 0; (names = unit_next(service_unit(line->service), keys[i][0], &at));) {
            char *name;
            while ((name = unit_word(&names))) {
                name[strcspn(name, ":")] = '\0';
                cleanup_free char *path = xasprintf("%s/%s", keys[i][1], name);
                free(name);
                if (holds(line->path, path))
                    return true;
            }
        }
    }
    return false;
}

/* Whether the next path above has the same effect. */
static bool is_redundant(const struct line *line)
{
    cleanup_free char *copy = xstrdup(line->path);
    const struct sandbox_rule *above = sandbox_find(service_sandbox(line->service), dirname(copy));
    if (!above || above->access == SANDBOX_HIDDEN)
        return above && !above->empty;
    bool same = strcmp(above->key, line->kind->key) == 0;
    if (strcmp(line->kind->key, "ReadOnlyPaths") == 0)
        return same || (above->access == SANDBOX_READ && !above->bound);
    return same && strcmp(line->kind->key, "ReadWritePaths") == 0;
}

static void look_at_path(const struct line *line)
{
    const struct sandbox_rule *rule = sandbox_find(service_sandbox(line->service), line->path);
    if (has_prefix(line, '-') || is_made(line) || is_redundant(line) || (rule && rule->bound))
        return;
    bool of_own = rule && strcmp(rule->key, line->kind->key) == 0; /* InaccessiblePaths hides what is there */
    if (!of_own && look_hidden(line))
        return;
    if (is_missing(line->path))
        add(line, "there is no such file or directory", MAKE_OR_MINUS);
}

/* SOURCE, SOURCE:PATH or SOURCE:PATH:OPTIONS. The source is a path of the system, whatever the unit hides. */
static void look_at_bind(const struct line *line)
{
    cleanup_free char *source = xstrndup(line->path, strcspn(line->path, ":"));
    if (!has_prefix(line, '-') && is_missing(source))
        add(line, "there is no such file or directory", MAKE_OR_MINUS);
}

static void look_at_root(const struct line *line)
{
    if (!has_prefix(line, '-') && is_missing(line->path))
        add(line, "there is no such file or directory", MAKE);
}

/* ---- other files ---- */

/* ID:PATH. systemd reads it as root. With a value of SetCredential= it needs no file. */
static void look_at_credential(const struct line *line)
{
    const char *value;
    if (!is_missing(line->path))
        return;
    size_t bytes = (size_t)(line->path - line->text); /* of "ID:" */
    for (size_t at = 0; (value = unit_next(service_unit(line->service), "SetCredential", &at));)
        if (strncmp(value, line->text, bytes) == 0)
            return;
    add(line, "there is no such file", MAKE);
}

static void look_at_environment(const struct line *line)
{
    bool is_pattern = strpbrk(line->path, "*?[");
    if (!has_prefix(line, '-') && !is_pattern && is_missing(line->path))
        add(line, "there is no such file", MAKE_OR_MINUS);
}

static void look_at_directory(const struct line *line)
{
    struct stat found;
    if (has_prefix(line, '-') || is_made(line) || look_hidden(line))
        return;
    if (is_missing(line->path))
        add(line, "there is no such directory", MAKE_OR_MINUS);
    else if (stat(line->path, &found) == 0 && !S_ISDIR(found.st_mode))
        add(line, "this is not a directory", "correct the line");
    else if (!may_use(line))
        add(line, "the user of the service may not enter it", PERMIT);
}

/* ---- programs ---- */

static bool is_program(const char *path)
{
    struct stat found;
    return stat(path, &found) != 0 || (S_ISREG(found.st_mode) && (found.st_mode & 0111));
}

static void look_at_program(const struct line *line)
{
    if (is_missing(line->path))
        add(line, "there is no such program", INSTALL);
    else if (!is_program(line->path))
        add(line, "this is not a program", INSTALL);
    else if (has_prefix(line, '+') || look_hidden(line))
        return;
    else if (!has_prefix(line, '!') && !may_use(line))
        add(line, "the user of the service may not run it", PERMIT);
}

/* A failure of such a program is ignored after '-'. */
static void look_at_other_program(const struct line *line)
{
    if (!has_prefix(line, '-'))
        look_at_program(line);
}

/* ---- all lines ---- */

static const struct kind KINDS[] = {
    {"ReadWritePaths", "226/NAMESPACE", look_at_path, WORDS, false},
    {"ReadOnlyPaths", "226/NAMESPACE", look_at_path, WORDS, false},
    {"InaccessiblePaths", "226/NAMESPACE", look_at_path, WORDS, false},
    {"ExecPaths", "226/NAMESPACE", look_at_path, WORDS, false},
    {"NoExecPaths", "226/NAMESPACE", look_at_path, WORDS, false},
    {"BindPaths", "226/NAMESPACE", look_at_bind, WORDS, true},
    {"BindReadOnlyPaths", "226/NAMESPACE", look_at_bind, WORDS, true},
    {"RootDirectory", "226/NAMESPACE", look_at_root, VALUE, true},
    {"RootImage", "226/NAMESPACE", look_at_root, VALUE, true},
    {"LoadCredential", "243/CREDENTIALS", look_at_credential, AFTER_COLON, true},
    {"LoadCredentialEncrypted", "243/CREDENTIALS", look_at_credential, AFTER_COLON, true},
    {"EnvironmentFile", "resources", look_at_environment, VALUE, true},
    {"WorkingDirectory", "200/CHDIR", look_at_directory, VALUE, false},
    {"ExecStart", "203/EXEC", look_at_program, FIRST_WORD, false},
    {"ExecCondition", "203/EXEC", look_at_other_program, FIRST_WORD, false},
    {"ExecStartPre", "203/EXEC", look_at_other_program, FIRST_WORD, false},
    {"ExecStartPost", "203/EXEC", look_at_other_program, FIRST_WORD, false},
};

/* Only at a whole path. */
static void look(struct line *line, const char *text)
{
    size_t before = line->kind->path == AFTER_COLON ? strcspn(text, ":") + 1 : strspn(text, "-+@:!|");
    if (before > strlen(text) || text[before] != '/' || strpbrk(text + before, "\\%"))
        return;
    line->text = text;
    line->path = text + before;
    line->kind->look(line);
}

static void look_at_value(struct line *line, const char *value)
{
    bool has_words = line->kind->path == WORDS || line->kind->path == FIRST_WORD;
    char *text = has_words ? unit_word(&value) : unit_expand(value);
    while (text) {
        look(line, text);
        free(text);
        text = line->kind->path == WORDS ? unit_word(&value) : NULL;
    }
}

void unit_lines_inspect(const struct service *service, struct config_errors *errors)
{
    const struct unit *unit = service_unit(service);
    bool has_root = unit_value(unit, "RootDirectory") || unit_value(unit, "RootImage");
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        const char *value;
        for (size_t at = 0; (value = unit_next(unit, KINDS[i].key, &at));) {
            cleanup_free char *origin = unit_origin(unit, at);
            struct line line = {.service = service, .errors = errors, .kind = &KINDS[i], .origin = origin};
            if (!has_root || KINDS[i].of_system)
                look_at_value(&line, value);
        }
    }
}
