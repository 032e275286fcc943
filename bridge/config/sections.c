/* config/sections.c - text to sections and keys.
 *
 * inih takes KEY = VALUE lines apart (blanks, inline comments). Sections are
 * taken apart here, because inih cuts their names to 49 bytes, says nothing about
 * a section without keys, and cannot tell one section that is there twice from
 * two. As Debian builds it, inih gives no line numbers to its handler, drops
 * lines without '=' without naming them, and cuts what is longer than its buffer
 * of 200 bytes into several lines. So it reads through read_line() below, which
 * counts, refuses what is too long, and hands over nothing but lines that should
 * hold a key. Blanks at the start of a line are dropped: an indented line is a
 * line like any other, and never goes on with the value of the line before.
 */
#include "config/sections.h"
#include "base/utf8.h"
#include "config/keys.h"
#include "text/nearest.h"
#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 64 /* of a backend or a route */

struct config_found {
    struct config_where where;
    size_t number; /* keeps errors of one line in the order in which they were found */
    char *words;
};

/* What read_line() walks through. */
struct source {
    struct config_parser *parser;
    const char *next, *end;
    const char *open; /* the line that inih has now; NULL once its key came to on_key() */
    size_t open_bytes;
};

struct config_parser *config_parser_new(struct config_errors *errors, config_secret_fn *secret, void *context)
{
    struct config_parser *parser = xcalloc(1, sizeof(*parser));
    struct config *config = xcalloc(1, sizeof(*config));

    config->daemon.log_level = LOG_LEVEL_INFO;
    config->broker = (struct config_broker){
        .host = xstrdup("localhost"),
        .client_id = xstrdup("sluice"),
        .keepalive_s = 60,
        .session_expiry_s = 30 * 24 * 3600,
    };
    config->queue = (struct config_queue){.path = xstrdup(CONFIG_QUEUE_PATH),
                                          .commit_batch = 1000,
                                          .max_size = INT64_C(1) << 30,
                                          .min_free = INT64_C(64) << 20};
    parser->errors = errors;
    parser->secret = secret;
    parser->context = context;
    parser->config = config;
    parser->current = SIZE_MAX;
    return parser;
}

void config_parser_check_files(struct config_parser *parser, config_readable_fn *readable)
{
    parser->readable = readable;
}

/* -- errors -- */

void config_parser_error(struct config_parser *parser, struct config_where where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *words = xvasprintf(format, args);
    va_end(args);
    parser->found = xrealloc(parser->found, (parser->found_count + 1) * sizeof(*parser->found));
    parser->found[parser->found_count] =
        (struct config_found){.where = where, .number = parser->found_count, .words = words};
    parser->found_count++;
}

static int by_place(const void *left, const void *right)
{
    const struct config_found *a = left, *b = right;

    if (a->where.file != b->where.file)
        return a->where.file < b->where.file ? -1 : 1;
    if (a->where.line != b->where.line)
        return a->where.line < b->where.line ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

static void hand_out_errors(struct config_parser *parser)
{
    if (parser->found_count > 0)
        qsort(parser->found, parser->found_count, sizeof(*parser->found), by_place);
    for (size_t i = 0; i < parser->found_count; i++) {
        const struct config_found *found = &parser->found[i];
        const char *file =
            found->where.file < parser->file_count ? parser->files[found->where.file] : "configuration";

        if (found->where.line == CONFIG_WHOLE_FILE)
            config_errors_add(parser->errors, "%s: %s", file, found->words);
        else
            config_errors_add(parser->errors, "%s:%u: %s", file, found->where.line, found->words);
        free(found->words);
    }
    free(parser->found);
}

/* -- sections -- */

static size_t backend_new(struct config *config, const char *name)
{
    config->backends = xrealloc(config->backends, (config->backend_count + 1) * sizeof(*config->backends));
    config->backends[config->backend_count] = (struct config_backend){
        .name = xstrdup(name),
        .max_in_flight = 32,
        .max_connections = 4,
        .timeout_ms = 30 * 1000,
        .connect_timeout_ms = 10 * 1000,
        .retry_min_ms = 1000,
        .retry_max_ms = 5 * 60 * 1000,
        .max_attempts = 10,
    };
    return config->backend_count++;
}

static size_t route_new(struct config *config, const char *name)
{
    config->routes = xrealloc(config->routes, (config->route_count + 1) * sizeof(*config->routes));
    config->routes[config->route_count] =
        (struct config_route){.name = xstrdup(name), .batch_size = 64 * 1024};
    return config->route_count++;
}

static size_t http_new(struct config *config, const char *name)
{
    config->https = xrealloc(config->https, (config->http_count + 1) * sizeof(*config->https));
    config->https[config->http_count] = (struct config_http){
        .name = xstrdup(name),
        .route = SIZE_MAX,
        .accepted_status = 202,
        .passthrough = true,
        .passthrough_size = 1024 * 1024,
        .passthrough_requests = 8,
        .max_body = 1024 * 1024,
        .max_connections = 256,
        .max_connections_per_client = 64,
        .timeout_ms = 30 * 1000,
    };
    return config->http_count++;
}

/* With the first key, for some are its route's. A section without any is one that
 * nobody wants yet. */
static void http_begin(struct config *config, struct config_http *http)
{
    if (http->route != SIZE_MAX)
        return;
    http->route = route_new(config, *http->name ? http->name : "http");
    config->routes[http->route].http = true;
}

/* "" where it has none. */
static const char *section_name(const struct config_parser *parser, const struct config_section *section)
{
    switch (section->kind) {
    case CONFIG_BACKEND:
        return parser->config->backends[section->index].name;
    case CONFIG_ROUTE:
        return parser->config->routes[section->index].name;
    case CONFIG_HTTP:
        return parser->config->https[section->index].name;
    default:
        return "";
    }
}

char *config_section_title(const struct config_parser *parser, const struct config_section *section)
{
    const char *word = config_keys[section->kind].section, *name = section_name(parser, section);

    return *name ? xasprintf("[%s %s]", word, name) : xasprintf("[%s]", word);
}

static size_t section_find(const struct config_parser *parser, enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < parser->section_count; i++) {
        const struct config_section *section = &parser->sections[i];

        if (section->kind == kind && strcmp(section_name(parser, section), name) == 0)
            return i;
    }
    return SIZE_MAX;
}

static void enter(struct config_parser *parser, enum config_kind kind, const char *name)
{
    size_t at = section_find(parser, kind, name);

    if (at != SIZE_MAX) {
        struct config_section *section = &parser->sections[at];

        if (section->where.file == parser->where.file) {
            cleanup_free char *title = config_section_title(parser, section);
            config_parser_error(parser, parser->where,
                                "%s was already opened in line %u; put its keys together", title,
                                section->where.line);
        } else {
            section->where = parser->where;
        }
        parser->current = at;
        return;
    }
    parser->sections = xrealloc(parser->sections, (parser->section_count + 1) * sizeof(*parser->sections));
    struct config_section *section = &parser->sections[parser->section_count];

    *section = (struct config_section){.kind = kind, .where = parser->where};
    if (kind == CONFIG_BACKEND)
        section->index = backend_new(parser->config, name);
    else if (kind == CONFIG_ROUTE)
        section->index = route_new(parser->config, name);
    else if (kind == CONFIG_HTTP)
        section->index = http_new(parser->config, name);
    parser->current = parser->section_count++;
}

static void unknown_section(struct config_parser *parser, const char *word)
{
    const char *known[CONFIG_KIND_COUNT];

    for (size_t i = 0; i < CONFIG_KIND_COUNT; i++)
        known[i] = config_keys[i].section;
    size_t near = nearest_find(word, known, CONFIG_KIND_COUNT);
    if (near != SIZE_MAX)
        config_parser_error(parser, parser->where, "unknown section [%s]; did you mean [%s%s]?", word,
                            known[near], config_keys[near].named ? " NAME" : "");
    else
        config_parser_error(
            parser, parser->where,
            "unknown section [%s]; there are [daemon], [broker], [queue], [backend NAME], [route NAME] and "
            "[http]",
            word);
}

static bool name_valid(const char *name)
{
    size_t bytes = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return bytes > 0 && bytes <= NAME_MAX_BYTES && name[bytes] == '\0';
}

/* What stands between the brackets: "backend", blanks, "garden". */
static void open_section(struct config_parser *parser, char *inside)
{
    char *word = inside + strspn(inside, " \t");
    size_t word_bytes = strcspn(word, " \t");
    char *name = word + word_bytes + strspn(word + word_bytes, " \t");

    for (char *end = name + strlen(name); end > name && (end[-1] == ' ' || end[-1] == '\t'); end--)
        end[-1] = '\0';
    word[word_bytes] = '\0'; /* after name was found: it may be the blank between the two */

    size_t kind = 0;
    while (kind < CONFIG_KIND_COUNT && strcmp(config_keys[kind].section, word) != 0)
        kind++;
    if (kind == CONFIG_KIND_COUNT) {
        unknown_section(parser, word);
        return;
    }
    parser->tried[kind] = true;
    if (config_keys[kind].named && !*name)
        config_parser_error(parser, parser->where, "[%s] needs a name, such as [%s garden]", word, word);
    else if ((config_keys[kind].named || (config_keys[kind].may_be_named && *name)) && !name_valid(name))
        config_parser_error(parser, parser->where,
                            "[%s %s]: a name consists of 1 to %d letters A-Z a-z, digits, '-' and '_'", word,
                            name, NAME_MAX_BYTES);
    else if (!config_keys[kind].named && !config_keys[kind].may_be_named && *name)
        config_parser_error(parser, parser->where, "[%s %s]: there is only one, without a name: [%s]", word,
                            name, word);
    else
        enter(parser, (enum config_kind)kind, name);
}

static void on_section(struct config_parser *parser, const char *line, size_t bytes)
{
    cleanup_free char *text = xstrndup(line, bytes);
    char *close = strchr(text, ']');

    parser->current = SIZE_MAX;
    parser->headless = false;
    if (!close) {
        config_parser_error(parser, parser->where, "%s: ']' is missing at the end of the section's name",
                            text);
        return;
    }
    const char *rest = close + 1 + strspn(close + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#')
        config_parser_error(parser, parser->where, "nothing but a comment may follow ']' in this line");
    *close = '\0';
    open_section(parser, text + 1);
}

/* -- keys -- */

static void unknown_key(struct config_parser *parser, enum config_kind kind, const char *name)
{
    const struct config_keys *table = &config_keys[kind];
    const char *known[CONFIG_KEYS_MAX];

    for (size_t i = 0; i < table->count; i++)
        known[i] = table->keys[i].name;
    size_t near = nearest_find(name, known, table->count);
    if (near != SIZE_MAX) {
        config_parser_error(parser, parser->where, "unknown key '%s' in [%s]; did you mean '%s'?", name,
                            table->section, known[near]);
        return;
    }
    cleanup_free char *list = xstrdup(known[0]);
    for (size_t i = 1; i < table->count; i++) {
        char *longer = xasprintf("%s, %s", list, known[i]);
        free(list);
        list = longer;
    }
    config_parser_error(parser, parser->where, "unknown key '%s' in [%s]; its keys are %s", name,
                        table->section, list);
}

static void set_key(struct config_parser *parser, struct config_section *section, size_t key_index,
                    const char *value)
{
    const struct config_key *key = &config_keys[section->kind].keys[key_index];
    struct config_where *first = &section->keys[key_index];

    if (section->kind == CONFIG_HTTP)
        http_begin(parser->config, &parser->config->https[section->index]);
    if (first->line == 0) {
        *first = parser->where;
    } else if (!key->repeatable) {
        config_parser_error(parser, parser->where, "%s is already set in %s:%u; keep one of the two",
                            key->name, parser->files[first->file], first->line);
        return;
    }
    size_t found_before = parser->found_count;
    if (!*value)
        config_parser_error(parser, parser->where, "%s has no value; give it one, or delete the line",
                            key->name);
    else
        key->set(parser, section, key, value);
    if (parser->found_count > found_before)
        section->faulty |= UINT32_C(1) << key_index;
}

/* inih's handler. */
static int on_key(void *context, const char *unused_section, const char *name, const char *value)
{
    struct source *source = context;
    struct config_parser *parser = source->parser;

    (void)unused_section; /* on_section() knows better */
    source->open = NULL;
    if (parser->current == SIZE_MAX) {
        if (parser->headless)
            config_parser_error(
                parser, parser->where,
                "key '%s' stands before the first section; put it below a line such as [broker]", name);
        return 1; /* otherwise the section's line was reported: one error for it is enough */
    }
    struct config_section *section = &parser->sections[parser->current];
    size_t key_index = config_key_find(section->kind, name);
    if (!*name)
        config_parser_error(parser, parser->where, "the key before '=' is missing");
    else if (key_index == SIZE_MAX)
        unknown_key(parser, section->kind, name);
    else
        set_key(parser, section, key_index, value);
    return 1;
}

/* -- lines -- */

/* inih found no key in the line that it got last. What the line says is not
 * quoted: it may be a stray secret. */
static void report_open_line(struct source *source)
{
    struct config_parser *parser = source->parser;

    if (!source->open)
        return;
    size_t word_bytes = 0;
    while (word_bytes < source->open_bytes && !isspace((unsigned char)source->open[word_bytes]))
        word_bytes++;
    cleanup_free char *word = xstrndup(source->open, word_bytes);
    source->open = NULL;
    if (parser->current == SIZE_MAX && !parser->headless)
        return;
    if (parser->current != SIZE_MAX &&
        config_key_find(parser->sections[parser->current].kind, word) != SIZE_MAX)
        config_parser_error(parser, parser->where, "'=' is missing behind '%s'", word);
    else
        config_parser_error(
            parser, parser->where,
            "this line is no comment, no [section] and no KEY = VALUE; one value takes one line");
}

static bool line_valid(struct config_parser *parser, const char *line, size_t bytes, size_t most_bytes)
{
    if (bytes > most_bytes) {
        config_parser_error(parser, parser->where, "the line has %zu bytes; at most %zu are possible", bytes,
                            most_bytes);
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            config_parser_error(parser, parser->where,
                                "the line contains the control character 0x%02X; remove it", c);
            return false;
        }
    }
    if (!utf8_valid(line, bytes)) {
        config_parser_error(parser, parser->where, "the line is not UTF-8; save the file in that encoding");
        return false;
    }
    return true;
}

/* inih's reader: the next line that should hold a key, or NULL at the end. */
static char *read_line(char *buffer, int capacity, void *context)
{
    struct source *source = context;
    struct config_parser *parser = source->parser;

    report_open_line(source);
    while (source->next < source->end) {
        const char *line = source->next;
        const char *newline = memchr(line, '\n', (size_t)(source->end - line));
        const char *end = newline ? newline : source->end;

        source->next = newline ? newline + 1 : source->end;
        parser->where.line++;
        while (end > line && strchr("\r \t", end[-1]) && end[-1] != '\0')
            end--;
        while (line < end && (*line == ' ' || *line == '\t'))
            line++;
        size_t bytes = (size_t)(end - line);
        if (bytes == 0 || *line == ';' || *line == '#' ||
            !line_valid(parser, line, bytes, (size_t)capacity - 1))
            continue;
        if (*line == '[') {
            on_section(parser, line, bytes);
            continue;
        }
        memcpy(buffer, line, bytes);
        buffer[bytes] = '\0';
        source->open = line;
        source->open_bytes = bytes;
        return buffer;
    }
    return NULL;
}

size_t config_parser_file(struct config_parser *parser, const char *file)
{
    parser->files = xrealloc(parser->files, (parser->file_count + 1) * sizeof(*parser->files));
    parser->files[parser->file_count] = xstrdup(file);
    return parser->file_count++;
}

void config_parser_text(struct config_parser *parser, const char *file, const char *text, size_t bytes)
{
    struct source source = {.parser = parser, .next = text, .end = text + bytes};

    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        source.next += 3; /* the mark with which some editors on Windows start a file */
    parser->where = (struct config_where){.file = config_parser_file(parser, file)};
    parser->current = SIZE_MAX;
    parser->headless = true;
    ini_parse_stream(read_line, &source, on_key, &source);
}

struct config *config_parser_finish(struct config_parser *parser)
{
    struct config *config = parser->config;

    config_finish_check(parser);
    if (parser->found_count > 0) {
        config_free(config);
        config = NULL;
    }
    hand_out_errors(parser);
    for (size_t i = 0; i < parser->section_count; i++) {
        free(parser->sections[i].backend);
        free(parser->sections[i].add);
    }
    free(parser->sections);
    for (size_t i = 0; i < parser->file_count; i++)
        free(parser->files[i]);
    free(parser->files);
    free(parser);
    return config;
}
