/* cmd/unit.c - see cmd/unit.h. */
#include "cmd/unit.h"
#include "base/base.h"
#include "base/buf.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first that has a file wins, for the unit and for each name of a drop-in. */
static const char *const DIRECTORIES[] = {"/etc/systemd/system", "/run/systemd/system",
                                          "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"};

enum { LINE_MOST_BYTES = 1 << 20 };

struct setting {
    char *key, *value;
    size_t file, line;
};

struct unit {
    char **files; /* the main file, then the drop-ins in their order */
    size_t file_count;
    struct setting *settings;
    size_t count;
};

static char *trimmed(const char *text, size_t bytes)
{
    static const char blanks[] = " \t\r\n";
    while (bytes > 0 && strchr(blanks, text[bytes - 1]))
        bytes--;
    size_t start = 0;
    while (start < bytes && strchr(blanks, text[start]))
        start++;
    return xstrndup(text + start, bytes - start);
}

/* Whether an empty value of one of the keys resets the other: they are one list for systemd. */
static bool are_one_list(const char *one, const char *other)
{
    static const char *const lists[][2] = {{"BindPaths", "BindReadOnlyPaths"},
                                           {"LoadCredential", "LoadCredentialEncrypted"},
                                           {"SetCredential", "SetCredentialEncrypted"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t j = 0; j < 2; j++)
            if (strcmp(one, lists[i][j]) == 0 && strcmp(other, lists[i][1 - j]) == 0)
                return true;
    return strcmp(one, other) == 0;
}

/* Removes the values that the key has so far. */
static void reset(struct unit *unit, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < unit->count; i++) {
        struct setting setting = unit->settings[i];
        if (!are_one_list(setting.key, key)) {
            unit->settings[kept++] = setting;
            continue;
        }
        free(setting.key);
        free(setting.value);
    }
    unit->count = kept;
}

static void take_setting(struct unit *unit, const char *line, size_t number)
{
    const char *equals = strchr(line, '=');
    if (!equals)
        return;
    struct setting setting = {.key = trimmed(line, (size_t)(equals - line)),
                              .value = trimmed(equals + 1, strlen(equals + 1)),
                              .file = unit->file_count - 1,
                              .line = number};
    if (!*setting.value) {
        reset(unit, setting.key);
        free(setting.key);
        free(setting.value);
        return;
    }
    unit->settings = xrealloc(unit->settings, (unit->count + 1) * sizeof(*unit->settings));
    unit->settings[unit->count++] = setting;
}

/* A line, joined with those that it continues in, is complete. number: of the first of them. */
static void take_line(struct unit *unit, const char *line, size_t number, bool *in_service)
{
    if (*line == '[')
        *in_service = strncmp(line, "[Service]", 9) == 0;
    else if (*in_service)
        take_setting(unit, line, number);
}

static void take_file(struct unit *unit, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    unit->files = xrealloc(unit->files, (unit->file_count + 1) * sizeof(*unit->files));
    unit->files[unit->file_count++] = xstrdup(path);
    char *line = NULL;
    size_t capacity = 0, number = 0, first = 0;
    bool in_service = false;
    cleanup_buf struct buf joined;
    buf_init(&joined, LINE_MOST_BYTES);
    while (getline(&line, &capacity, file) >= 0) {
        cleanup_free char *text = trimmed(line, strlen(line));
        size_t bytes = strlen(text);
        number++;
        if (*text == '#' || *text == ';') /* also between the parts of a line that continues */
            continue;
        first = joined.bytes > 0 ? first : number;
        if (bytes > 0 && text[bytes - 1] == '\\') {
            text[bytes - 1] = ' ';
            buf_append_text(&joined, text);
            continue;
        }
        buf_append_text(&joined, text);
        take_line(unit, buf_text(&joined), first, &in_service);
        buf_reset(&joined);
    }
    free(line);
    fclose(file);
}

/* ---- drop-ins ---- */

static int is_drop_in(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && end && strcmp(end, ".conf") == 0;
}

static bool in_earlier_directory(size_t directory, const char *folder, const char *name)
{
    for (size_t i = 0; i < directory; i++) {
        cleanup_free char *path = xasprintf("%s/%s/%s", DIRECTORIES[i], folder, name);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static int by_file_name(const void *left, const void *right)
{
    return strcmp(strrchr(*(char *const *)left, '/'), strrchr(*(char *const *)right, '/'));
}

/* Takes the files NAME.conf of a folder, such as "sluice.service.d", in the order of their names,
 * whichever directory has them. */
static void take_drop_ins(struct unit *unit, const char *folder)
{
    char **paths = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(DIRECTORIES); i++) {
        cleanup_free char *directory = xasprintf("%s/%s", DIRECTORIES[i], folder);
        struct dirent **entries = NULL;
        int found = scandir(directory, &entries, is_drop_in, NULL);
        for (int j = 0; j < found; j++) {
            if (!in_earlier_directory(i, folder, entries[j]->d_name)) {
                paths = xrealloc(paths, (count + 1) * sizeof(*paths));
                paths[count++] = xasprintf("%s/%s", directory, entries[j]->d_name);
            }
            free(entries[j]);
        }
        free(entries);
    }
    if (count > 0)
        qsort(paths, count, sizeof(*paths), by_file_name);
    for (size_t i = 0; i < count; i++) {
        take_file(unit, paths[i]);
        free(paths[i]);
    }
    free(paths);
}

struct unit *unit_read(const char *name)
{
    struct unit *unit = xcalloc(1, sizeof(*unit));
    for (size_t i = 0; i < ARRAY_LEN(DIRECTORIES) && unit->file_count == 0; i++) {
        cleanup_free char *path = xasprintf("%s/%s", DIRECTORIES[i], name);
        take_file(unit, path);
    }
    if (unit->file_count == 0) {
        unit_free(unit);
        return NULL;
    }
    cleanup_free char *own = xasprintf("%s.d", name);
    take_drop_ins(unit, "service.d"); /* of all services */
    take_drop_ins(unit, own);
    return unit;
}

void unit_free(struct unit *unit)
{
    if (!unit)
        return;
    for (size_t i = 0; i < unit->count; i++) {
        free(unit->settings[i].key);
        free(unit->settings[i].value);
    }
    for (size_t i = 0; i < unit->file_count; i++)
        free(unit->files[i]);
    free(unit->settings);
    free(unit->files);
    free(unit);
}

/* ---- its values ---- */

const char *unit_path(const struct unit *unit)
{
    return unit->files[0];
}

size_t unit_drop_ins(const struct unit *unit)
{
    return unit->file_count - 1;
}

const char *unit_next(const struct unit *unit, const char *key, size_t *at)
{
    while (*at < unit->count) {
        const struct setting *setting = &unit->settings[(*at)++];
        if (strcmp(setting->key, key) == 0)
            return setting->value;
    }
    return NULL;
}

char *unit_origin(const struct unit *unit, size_t at)
{
    const struct setting *setting = &unit->settings[at - 1];
    return xasprintf("%s:%zu", unit->files[setting->file], setting->line);
}

const char *unit_value(const struct unit *unit, const char *key)
{
    const char *last = NULL, *value;
    for (size_t at = 0; (value = unit_next(unit, key, &at));)
        last = value;
    return last;
}

/* What a specifier stands for in every unit of the system, or NULL. */
static const char *specified(char letter)
{
    static const char letters[] = "%tSCLETV";
    static const char *const texts[] = {"%",        "/run", "/var/lib", "/var/cache",
                                        "/var/log", "/etc", "/tmp",     "/var/tmp"};
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? texts[found - letters] : NULL;
}

char *unit_expand(const char *text)
{
    cleanup_buf struct buf expanded;
    buf_init(&expanded, LINE_MOST_BYTES);
    for (const char *at = text; *at; at++) {
        const char *found = *at == '%' ? specified(at[1]) : NULL;
        buf_append(&expanded, found ? found : at, found ? strlen(found) : 1);
        at += found != NULL;
    }
    return xstrdup(buf_text(&expanded));
}

char *unit_word(const char **text)
{
    const char *at = *text + strspn(*text, " \t");
    if (*at == '\0')
        return NULL;
    cleanup_free char *word = xcalloc(1, strlen(at) + 1);
    char quote = '\0';
    for (size_t bytes = 0; *at && (quote || !strchr(" \t", *at)); at++) {
        if (*at == '\\' && at[1] != '\0')
            word[bytes++] = *++at;
        else if (quote ? *at == quote : strchr("\"'", *at) != NULL)
            quote = quote ? '\0' : *at;
        else
            word[bytes++] = *at;
    }
    *text = at;
    return unit_expand(word);
}

char *unit_quote(const char *text)
{
    const char *quote = strpbrk(text, " \t\"'\\") ? "\"" : "";
    cleanup_buf struct buf word;
    buf_init(&word, LINE_MOST_BYTES);
    buf_append_text(&word, quote);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_char(&word, '\\');
        if (*text == '%')
            buf_append_char(&word, '%');
        buf_append_char(&word, *text);
    }
    buf_append_text(&word, quote);
    return xstrdup(buf_text(&word));
}
