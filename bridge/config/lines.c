/* config/lines.c - text to lines, and lines to sections and keys.
 *
 * A line is empty, a comment (its first character is ';' or '#'), a [section], or
 * KEY = VALUE; ':' separates as well as '='. Blanks at both ends of a line, a key and a
 * value are dropped, also before a key: every line stands alone, and none continues the
 * line before it. A ';' after a blank begins a comment.
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "config/errors.h"
#include "config/keys.h"
#include "config/section.h"
#include "config/values.h"
#include "text/nearest.h"
#include <assert.h>
#include <string.h>

#define LINE_MAX_BYTES 8192
#define NAME_MAX_BYTES 64 /* of a backend, a route or an [http] */

/* ---- values and defaults ---- */

static void set_field(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *text)
{
    struct config *config = parser->config;
    char *fields = key->of_route ? (char *)&config->routes[config->https[section->index].route]
                                 : config_section_fields(config, section->kind, section->index);
    struct config_value value = {
        .parser = parser, .section = section, .key = key, .field = fields + key->offset, .text = text};

    key->type->set(&value);
}

/* Of the keys whose field is in the section's route, or of the others. */
static void set_defaults(struct config_parser *parser, struct config_section *section, bool of_route)
{
    size_t found_before = parser->found_count;

    for (size_t i = 0; i < section->table->count; i++) {
        const struct config_key *key = &section->table->keys[i];
        if (key->initial && key->of_route == of_route)
            set_field(parser, section, key, key->initial);
    }
    assert(parser->found_count == found_before);
    (void)found_before;
}

static void add_section(struct config_parser *parser, enum config_kind kind, const char *name)
{
    set_defaults(parser, config_section_new(parser, kind, &config_keys[kind], name), false);
}

/* An [http] gets its route with its first key; without any key it is not used. */
static void begin_http(struct config_parser *parser, struct config_section *section)
{
    struct config_http *http = &parser->config->https[section->index];

    if (http->route != SIZE_MAX)
        return;
    http->route = config_section_new_route(parser->config, *http->name ? http->name : "http");
    parser->config->routes[http->route].http = true;
    struct config_section route = {
        .kind = CONFIG_ROUTE, .table = &config_keys[CONFIG_ROUTE], .index = http->route};
    set_defaults(parser, &route, false);
    set_defaults(parser, section, true);
}

/* ---- sections ---- */

static void enter_section(struct config_parser *parser, enum config_kind kind, const char *name)
{
    size_t at = config_section_find(parser, kind, name);

    if (at == SIZE_MAX) {
        at = parser->section_count;
        add_section(parser, kind, name);
    }
    struct config_section *section = &parser->sections[at];
    if (section->where.line != 0 && section->where.file == parser->where.file) {
        cleanup_free char *title = config_section_title(parser, section);
        config_error(parser, parser->where, "line %u has %s already; write its keys below that line",
                     section->where.line, title);
    } else {
        section->where = parser->where;
    }
    parser->current = at;
}

static void report_unknown_section(struct config_parser *parser, const char *word)
{
    const char *known[CONFIG_KIND_COUNT];

    for (size_t i = 0; i < CONFIG_KIND_COUNT; i++)
        known[i] = config_keys[i].word;
    size_t near = nearest_find(word, known, CONFIG_KIND_COUNT);
    if (near != SIZE_MAX)
        config_error(parser, parser->where, "unknown section [%s]; did you mean [%s%s]?", word, known[near],
                     config_keys[near].naming == CONFIG_NAMED ? " NAME" : "");
    else
        config_error(
            parser, parser->where,
            "unknown section [%s]; there are [daemon], [broker], [queue], [backend NAME], [route NAME] "
            "and [http]",
            word);
}

static bool is_name(const char *name)
{
    size_t bytes = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return bytes > 0 && bytes <= NAME_MAX_BYTES && name[bytes] == '\0';
}

/* A header "[backend garden]", which has a ']'. */
static void take_header(struct config_parser *parser, const char *line)
{
    cleanup_free char *inside = config_trimmed(line + 1, strcspn(line + 1, "]"));
    size_t word_bytes = strcspn(inside, " \t"), kind = 0;
    cleanup_free char *word = xstrndup(inside, word_bytes);
    const char *name = inside + word_bytes + strspn(inside + word_bytes, " \t");

    while (kind < CONFIG_KIND_COUNT && strcmp(config_keys[kind].word, word) != 0)
        kind++;
    if (kind == CONFIG_KIND_COUNT) {
        report_unknown_section(parser, word);
        return;
    }
    enum config_naming naming = config_keys[kind].naming;
    parser->seen[kind] = true;
    if (naming == CONFIG_NAMED && !*name)
        config_error(parser, parser->where, "[%s] needs a name, such as [%s %s]", word, word,
                     config_keys[kind].example);
    else if (naming == CONFIG_UNNAMED && *name)
        config_error(parser, parser->where, "[%s %s]: this section has no name; write [%s]", word, name,
                     word);
    else if (*name && !is_name(name))
        config_error(parser, parser->where,
                     "[%s %s]: a name consists of 1 to %d letters A-Z a-z, digits, '-' and '_'", word, name,
                     NAME_MAX_BYTES);
    else
        enter_section(parser, (enum config_kind)kind, name);
}

static void take_section(struct config_parser *parser, const char *line)
{
    const char *close = strchr(line, ']');

    parser->current = SIZE_MAX;
    parser->headless = false;
    if (!close) {
        config_error(parser, parser->where, "%s: ']' is missing after the name of the section", line);
        return;
    }
    const char *rest = close + 1 + strspn(close + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#')
        config_error(parser, parser->where, "only a comment may follow ']' in a line");
    take_header(parser, line);
}

/* ---- keys ---- */

static void report_unknown_key(struct config_parser *parser, const struct config_keys *table,
                               const char *name)
{
    const char *known[CONFIG_KEYS_MAX];
    struct buf list cleanup_buf;

    buf_init(&list, LINE_MAX_BYTES);
    for (size_t i = 0; i < table->count; i++) {
        known[i] = table->keys[i].name;
        buf_printf(&list, "%s%s", i > 0 ? ", " : "", known[i]);
    }
    size_t near = nearest_find(name, known, table->count);
    if (near != SIZE_MAX)
        config_error(parser, parser->where, "unknown key '%s' in [%s]; did you mean '%s'?", name, table->word,
                     known[near]);
    else
        config_error(parser, parser->where, "unknown key '%s' in [%s]; its keys are %s", name, table->word,
                     buf_text(&list));
}

static void set_key(struct config_parser *parser, struct config_section *section, size_t index,
                    const char *text)
{
    const struct config_key *key = &section->table->keys[index];
    struct config_where *first = &section->keys[index];
    size_t found_before = parser->found_count;

    if (section->kind == CONFIG_HTTP)
        begin_http(parser, section);
    if (first->line == 0) {
        *first = parser->where;
    } else if (!key->repeatable) {
        config_error(parser, parser->where, "%s is already set in %s:%u; delete one of the two", key->name,
                     parser->files[first->file], first->line);
        return;
    }
    if (!*text)
        config_error(parser, parser->where, "%s has no value; give it one, or delete the line", key->name);
    else
        set_field(parser, section, key, text);
    if (parser->found_count > found_before)
        section->faulty |= UINT32_C(1) << index;
}

static void take_key(struct config_parser *parser, const char *name, const char *text)
{
    if (parser->current == SIZE_MAX) {
        if (parser->headless)
            config_error(parser, parser->where,
                         "key '%s' comes before the first section; write it below a line such as [broker]",
                         name);
        return; /* otherwise the header was reported, and one error is enough */
    }
    struct config_section *section = &parser->sections[parser->current];
    size_t index = config_key_find(section->kind, name);
    if (!*name)
        config_error(parser, parser->where, "the key before '=' is missing");
    else if (index == SIZE_MAX)
        report_unknown_key(parser, section->table, name);
    else
        set_key(parser, section, index, text);
}

/* A line without '='. It is not quoted, because it may be a stray secret. */
static void report_no_key(struct config_parser *parser, const char *line)
{
    cleanup_free char *word = xstrndup(line, strcspn(line, " \t"));

    if (parser->current == SIZE_MAX && !parser->headless)
        return;
    if (parser->current != SIZE_MAX &&
        config_key_find(parser->sections[parser->current].kind, word) != SIZE_MAX)
        config_error(parser, parser->where, "'=' is missing after '%s'", word);
    else
        config_error(parser, parser->where,
                     "this line is not a comment, a [section] or KEY = VALUE; a value cannot continue in the "
                     "next line");
}

/* ---- lines ---- */

static bool check_bytes(struct config_parser *parser, const char *line, size_t bytes)
{
    if (bytes > LINE_MAX_BYTES) {
        config_error(parser, parser->where, "the line has %zu bytes; at most %d are allowed", bytes,
                     LINE_MAX_BYTES);
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            config_error(parser, parser->where, "the line contains the control character 0x%02X; delete it",
                         c);
            return false;
        }
    }
    if (!utf8_valid(line, bytes)) {
        config_error(parser, parser->where, "the line is not UTF-8; save the file in that encoding");
        return false;
    }
    return true;
}

/* The end of a key or a value: one of these characters, a comment, or the end of the line. */
static const char *find_end(const char *text, const char *characters)
{
    bool after_blank = false;

    while (*text && !strchr(characters, *text) && !(after_blank && *text == ';')) {
        after_blank = *text == ' ' || *text == '\t';
        text++;
    }
    return text;
}

/* A line without blanks at its ends. */
static void take_line(struct config_parser *parser, const char *line)
{
    if (*line == '[') {
        take_section(parser, line);
        return;
    }
    const char *separator = find_end(line, "=:");
    if (*separator != '=' && *separator != ':') {
        report_no_key(parser, line);
        return;
    }
    cleanup_free char *name = config_trimmed(line, (size_t)(separator - line));
    const char *text = separator + 1;
    cleanup_free char *value = config_trimmed(text, (size_t)(find_end(text, "") - text));
    take_key(parser, name, value);
}

/* ---- the parser ---- */

struct config_parser *config_parser_new(struct config_errors *errors, config_secret_fn *secret, void *context)
{
    struct config_parser *parser = xcalloc(1, sizeof(*parser));

    parser->errors = errors;
    parser->secret = secret;
    parser->context = context;
    parser->config = xcalloc(1, sizeof(*parser->config));
    parser->current = SIZE_MAX;
    buf_init(&parser->source, BUF_MOST_BYTES);
    for (size_t i = 0; i < CONFIG_KIND_COUNT; i++)
        if (config_keys[i].naming == CONFIG_UNNAMED)
            add_section(parser, (enum config_kind)i, "");
    return parser;
}

void config_parser_text(struct config_parser *parser, const char *file, const char *text, size_t bytes)
{
    const char *end = text + bytes;

    buf_printf(&parser->source, "%zu %s\n", bytes, file); /* config/source.c reads this */
    buf_append(&parser->source, text, bytes);
    buf_append_char(&parser->source, '\n');
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* the mark with which some editors on Windows begin a file */
    parser->where = (struct config_where){.file = config_error_file(parser, file)};
    parser->current = SIZE_MAX;
    parser->headless = true;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line = text, *line_end = newline ? newline : end;

        text = newline ? newline + 1 : end;
        parser->where.line++;
        while (line_end > line && (line_end[-1] == '\r' || line_end[-1] == ' ' || line_end[-1] == '\t'))
            line_end--;
        while (line < line_end && (*line == ' ' || *line == '\t'))
            line++;
        if (line == line_end || *line == ';' || *line == '#' ||
            !check_bytes(parser, line, (size_t)(line_end - line)))
            continue;
        cleanup_free char *copy = xstrndup(line, (size_t)(line_end - line));
        take_line(parser, copy);
    }
}
