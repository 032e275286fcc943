/* manual.c - writes the rows of the keys for people. */
#include "config/manual.h"

#include "config/keys.h"

#include <ctype.h>
#include <string.h>

#define COMMENT_BYTES 88 /* in a line of config/sluice.conf */
#define PAGE_BYTES    78 /* in a line of the source of sluice.conf(5) */

/* ---- what both say ---- */

/* "1 to 1000", "yes or no", or "". */
static void append_range(struct buf *out, const struct config_key *key)
{
    const char *const *choices = key->type->choices;

    if (key->min)
        buf_printf(out, " From %s to %s", key->min, key->max);
    else if (key->max)
        buf_printf(out, " At most %s bytes", key->max);
    for (size_t i = 0; choices[i]; i++)
        buf_printf(out, "%s%s", i == 0 ? " Values: " : choices[i + 1] ? ", " : " or ", choices[i]);
    if (key->type->also)
        buf_printf(out, ", or %s", key->type->also);
    if (key->min || key->max || choices[0])
        buf_append_text(out, ".");
}

/* The range, the default where no text of the key is the default, ... */
static void append_facts(struct buf *out, const struct config_key *key)
{
    append_range(out, key);
    if (key->none)
        buf_printf(out, " Default: %s.", key->none);
    if (key->repeatable)
        buf_append_text(out, " It may have several lines.");
}

/* ---- config/sluice.conf ---- */

/* A comment, in lines of at most COMMENT_BYTES. */
static void append_comment(struct buf *out, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t bytes = strcspn(text, " ");
        if (column == 0 || column + 1 + bytes > COMMENT_BYTES) {
            buf_append_text(out, column == 0 ? ";" : "\n;");
            column = 1;
        }
        buf_append_char(out, ' ');
        buf_append(out, text, bytes);
        column += 1 + bytes;
        text += bytes + strspn(text + bytes, " ");
    }
    buf_append_char(out, '\n');
}

/* "key = value"; the first of several lines may be in force. */
static void append_lines(struct buf *out, const struct config_key *key)
{
    const char *value = key->initial && *key->initial ? key->initial : key->example;

    for (bool first = true; value; first = false) {
        size_t bytes = strcspn(value, "\n");
        buf_printf(out, "%s%s = %.*s\n", key->suggested && first ? "" : ";", key->name, (int)bytes, value);
        value = value[bytes] ? value + bytes + 1 : NULL;
    }
}

void manual_example(struct buf *out)
{
    for (size_t kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        const struct config_keys *table = &config_keys[kind];

        buf_printf(out, "%s; ---- [%s%s] ----\n", kind > 0 ? "\n\n" : "", table->word,
                   table->naming == CONFIG_NAMED ? " NAME" : "");
        append_comment(out, table->brief);
        buf_printf(out, "[%s%s%s]\n", table->word, table->example ? " " : "",
                   table->example ? table->example : "");
        for (size_t i = 0; i < table->count; i++) {
            struct buf text cleanup_buf;
            buf_init(&text, 4096);
            buf_append_text(&text, table->keys[i].brief);
            append_facts(&text, &table->keys[i]);
            buf_append_char(out, '\n');
            append_comment(out, buf_text(&text));
            append_lines(out, &table->keys[i]);
        }
    }
}

/* ---- sluice.conf(5) ---- */

/* One word, with what mdoc takes for its own escaped. *bold says whether it is within
 * backquotes. */
static void append_word(struct buf *out, const char *word, size_t bytes, bool *bold)
{
    for (size_t i = 0; i < bytes; i++) {
        if (word[i] == '`') {
            buf_append_text(out, *bold ? "\\fP" : "\\fB");
            *bold = !*bold;
        } else if (word[i] == '\\') {
            buf_append_text(out, "\\e");
        } else if (i == 0 && (word[i] == '.' || word[i] == '\'')) {
            buf_printf(out, "\\&%c", word[i]);
        } else {
            buf_append_char(out, word[i]);
        }
    }
}

static bool ends_sentence(const char *word, size_t bytes)
{
    return bytes > 0 && strchr(".?", word[bytes - 1]) &&
           (bytes < 2 || isalnum((unsigned char)word[bytes - 2]) || strchr("`)]", word[bytes - 2]));
}

/* Text in lines of about PAGE_BYTES, each sentence in a line of its own. */
static void append_text(struct buf *out, const char *text, size_t text_bytes)
{
    size_t column = 0;
    bool bold = false;

    for (const char *end = text + text_bytes; text < end;) {
        size_t bytes = strcspn(text, " \n");
        if (text + bytes > end)
            bytes = (size_t)(end - text);
        if (column > 0 && column + 1 + bytes > PAGE_BYTES) {
            buf_append_char(out, '\n');
            column = 0;
        }
        if (column > 0)
            buf_append_char(out, ' ');
        append_word(out, text, bytes, &bold);
        column += 1 + bytes;
        if (ends_sentence(text, bytes)) {
            buf_append_char(out, '\n');
            column = 0;
        }
        text += bytes;
        text += strspn(text, " ");
    }
    if (column > 0)
        buf_append_char(out, '\n');
}

/* A paragraph: text, and perhaps a list after it. */
static void append_paragraph(struct buf *out, const char *text, size_t bytes)
{
    const char *end = text + bytes;
    bool list = false;

    while (text < end) {
        size_t line = strcspn(text, "\n");
        if (text + line > end)
            line = (size_t)(end - text);
        if (strncmp(text, "- ", 2) == 0) {
            size_t label = (size_t)(strstr(text, ": ") - text);
            buf_printf(out, "%s.It ", list ? "" : ".Bl -tag -width Ds -compact\n");
            list = true;
            append_text(out, text + 2, label - 2);
            append_text(out, text + label + 2, line - label - 2);
        } else {
            append_text(out, text, line);
        }
        text += line;
        text += *text == '\n' && text < end;
    }
    if (list)
        buf_append_text(out, ".El\n");
}

static void append_paragraphs(struct buf *out, const char *text)
{
    while (text && *text) {
        const char *end = strstr(text, "\n\n");
        append_paragraph(out, text, end ? (size_t)(end - text) : strlen(text));
        text = end ? end + 2 : NULL;
        if (text)
            buf_append_text(out, ".Pp\n");
    }
}

static void append_key(struct buf *out, const struct config_key *key)
{
    struct buf facts cleanup_buf;

    buf_init(&facts, 4096);
    append_facts(&facts, key);
    if (key->required)
        buf_append_text(&facts, " It is required.");
    if (key->initial && *key->initial)
        buf_printf(&facts, " Default: %s.", key->initial);
    if (key->restart)
        buf_append_text(&facts, " Only a restart puts a change in force.");
    if (key->live)
        buf_append_text(&facts, " A reload puts a change in force, for the next connection.");
    buf_printf(out, ".It Ic %s\n", key->name);
    append_text(out, key->brief, strlen(key->brief));
    append_paragraphs(out, key->text);
    if (facts.bytes > 0)
        append_text(out, buf_text(&facts) + 1, facts.bytes - 1);
}

void manual_page(struct buf *out)
{
    for (size_t kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        const struct config_keys *table = &config_keys[kind];

        buf_printf(out, ".Ss [%s%s]\n", table->word, table->naming == CONFIG_NAMED ? " NAME" : "");
        append_text(out, table->brief, strlen(table->brief));
        append_paragraphs(out, table->text);
        if (table->restart)
            append_text(out, "Only a restart puts a change in force.", 38);
        buf_append_text(out, ".Bl -tag -width Ds\n");
        for (size_t i = 0; i < table->count; i++)
            append_key(out, &table->keys[i]);
        buf_append_text(out, ".El\n");
    }
}
