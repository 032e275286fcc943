/* text/html.c - see text/html.h. */
#include "text/html.h"
#include "base/buf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool begins_with(const char *text, const char *end, const char *word)
{
    size_t bytes = strlen(word);
    return (size_t)(end - text) >= bytes && strncasecmp(text, word, bytes) == 0;
}

bool html_is(const char *content_type, const char *body, size_t bytes)
{
    if (content_type && strncasecmp(content_type, "text/html", strlen("text/html")) == 0)
        return true;
    const char *end = body + bytes;
    while (body < end && isspace((unsigned char)*body))
        body++;
    return begins_with(body, end, "<!doctype html") || begins_with(body, end, "<html");
}

/* The byte after `until`, which a case-insensitive search finds, or end. */
static const char *after(const char *at, const char *end, const char *until)
{
    for (; at < end; at++)
        if (begins_with(at, end, until))
            return at + strlen(until);
    return end;
}

/* at: a '<'. The byte after the tag, and after all that it contains where that is no text. */
static const char *after_tag(const char *at, const char *end)
{
    if (begins_with(at, end, "<!--"))
        return after(at + 4, end, "-->");
    if (begins_with(at, end, "<script"))
        return after(after(at, end, "</script"), end, ">");
    if (begins_with(at, end, "<style"))
        return after(after(at, end, "</style"), end, ">");
    return after(at, end, ">");
}

static void append_space(struct buf *text)
{
    if (text->bytes > 0 && text->data[text->bytes - 1] != ' ')
        buf_append_char(text, ' ');
}

/* at: an '&'. Appends the character that it stands for; returns the byte after it. What is
 * no reference that is known here stays as it is. */
static const char *decode(struct buf *text, const char *at, const char *end)
{
    static const struct {
        const char *reference, *character;
    } known[] = {
        {"&amp;", "&"}, {"&lt;", "<"},   {"&gt;", ">"},   {"&quot;", "\""},
        {"&#39;", "'"}, {"&#x27;", "'"}, {"&apos;", "'"},
    };
    if (begins_with(at, end, "&nbsp;")) {
        append_space(text);
        return at + strlen("&nbsp;");
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (begins_with(at, end, known[i].reference)) {
            buf_append_text(text, known[i].character);
            return at + strlen(known[i].reference);
        }
    buf_append_char(text, '&');
    return at + 1;
}

/* A tag inside a word (<b>) parts nothing; all others part their neighbours. */
static bool is_inline(const char *at, const char *end)
{
    static const char *const names[] = {"b", "i", "em", "strong", "code", "span", "a", "u", "tt", "small"};
    at += at + 1 < end && at[1] == '/' ? 2 : 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (begins_with(at, end, names[i]) && at + strlen(names[i]) < end &&
            !isalnum((unsigned char)at[strlen(names[i])]))
            return true;
    return false;
}

char *html_text(const char *body, size_t bytes)
{
    const char *end = body + bytes;
    struct buf text cleanup_buf;
    buf_init(&text, bytes + 1);
    while (body < end) {
        if (*body == '<') {
            if (!is_inline(body, end))
                append_space(&text);
            body = after_tag(body, end);
        } else if (*body == '&') {
            body = decode(&text, body, end);
        } else if (isspace((unsigned char)*body)) {
            append_space(&text);
            body++;
        } else {
            buf_append_char(&text, *body++);
        }
    }
    if (text.bytes > 0 && text.data[text.bytes - 1] == ' ')
        buf_cut(&text, text.bytes - 1);
    return xstrndup(buf_text(&text), text.bytes);
}
