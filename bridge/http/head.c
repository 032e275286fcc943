/* http/head.c - see http/head.h. */
#include "http/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- characters (RFC 9110, section 5.6.2) ---- */

static bool is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

static size_t token_bytes(const char *text)
{
    size_t bytes = 0;
    while (is_token_char((unsigned char)text[bytes]))
        bytes++;
    return bytes;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ---- */

size_t head_skip(const char *data, size_t bytes)
{
    size_t skip = 0;
    while (skip < bytes) {
        if (data[skip] == '\n')
            skip += 1;
        else if (data[skip] == '\r' && skip + 1 < bytes && data[skip + 1] == '\n')
            skip += 2;
        else
            break;
    }
    return skip;
}

ssize_t head_find_end(const char *data, size_t bytes)
{
    const char *end = data + bytes;
    /* For example the first byte of TLS. A CR may become an empty line. */
    if (bytes > 0 && !is_token_char((unsigned char)data[0]) && (data[0] != '\r' || bytes > 1))
        return -EINVAL;
    for (const char *at = data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        at++;
        if (at < end && *at == '\n')
            return at + 1 - data;
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
            return at + 2 - data;
    }
    return 0;
}

/* Ends the line at *at with a NUL instead of its LF or CR LF, and sets *at to the next one.
 * Returns NULL if the line holds a control character. */
static char *take_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (!end)
        return NULL; /* a NUL precedes it */
    *at = end + 1;
    if (end > line && end[-1] == '\r')
        end--;
    *end = '\0';
    for (const char *c = line; c < end; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return NULL;
    return line;
}

/* ---- the request line (RFC 9112, section 3) ---- */

static int read_request_line(struct head *head, char *line, bool *ret_is_1_0, const char **ret_why)
{
    static const char form[] = "the request line is not of the form METHOD TARGET HTTP/1.1";
    *ret_why = form;
    size_t method = token_bytes(line);
    if (method == 0 || line[method] != ' ')
        return 400;
    char *target = line + method + 1, *version = strrchr(target, ' ');
    if (!version || version == target)
        return 400;
    *version++ = '\0';
    if (strncmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' || version[6] != '.' ||
        version[7] < '0' || version[7] > '9' || version[8] != '\0')
        return 400;
    if (target[strcspn(target, " \t")] != '\0') {
        *ret_why = "the target holds a blank";
        return 400;
    }
    if (version[5] != '1') {
        *ret_why = "only HTTP/1.0 and HTTP/1.1 are understood here";
        return 505;
    }
    line[method] = '\0';
    head->method = line;
    head->target = target;
    *ret_is_1_0 = version[7] == '0';
    return 0;
}

/* ---- header lines (RFC 9112, section 5) ---- */

static const char *read_field(struct head_field *field, char *line)
{
    size_t name = token_bytes(line);
    if (is_blank(line[0]))
        return "a header goes on in a second line";
    if (name == 0 || line[name] != ':')
        return is_blank(line[name]) ? "a header has a blank before its colon" : "a header has no valid name";
    line[name] = '\0';
    char *value = line + name + 1;
    value += strspn(value, " \t");
    size_t bytes = strlen(value);
    while (bytes > 0 && is_blank(value[bytes - 1]))
        bytes--;
    value[bytes] = '\0';
    *field = (struct head_field){.name = line, .value = value};
    return NULL;
}

static int read_fields(struct head *head, char *at, const char **ret_why)
{
    for (;;) {
        char *line = take_line(&at);
        if (!line) {
            *ret_why = "a header holds a control character";
            return 400;
        }
        if (!*line)
            return 0;
        if (head->field_count == HEAD_FIELDS) {
            *ret_why = "there are too many headers";
            return 431;
        }
        *ret_why = read_field(&head->fields[head->field_count], line);
        if (*ret_why)
            return 400;
        head->field_count++;
    }
}

const char *head_value(const struct head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (strcasecmp(head->fields[i].name, name) == 0)
            return head->fields[i].value;
    return NULL;
}

/* Whether a header of this name has this word in its list (RFC 9110, section 5.6.1). */
static bool lists(const struct head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, name) != 0)
            continue;
        for (const char *at = head->fields[i].value; *at; at += strspn(at, ", \t")) {
            size_t bytes = strcspn(at, ", \t");
            if (bytes == strlen(word) && strncasecmp(at, word, bytes) == 0)
                return true;
            at += bytes;
        }
    }
    return false;
}

/* ---- the length of the body (RFC 9112, section 6) ---- */

static bool parse_length(const char *text, uint64_t *ret)
{
    enum { DIGITS = 18 }; /* of a number that a uint64_t holds in any case */
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS || text[digits] != '\0')
        return false;
    *ret = 0;
    for (size_t i = 0; i < digits; i++)
        *ret = *ret * 10 + (uint64_t)(text[i] - '0');
    return true;
}

static int read_framing(struct head *head, bool is_1_0, const char **ret_why)
{
    unsigned lengths = 0, encodings = 0;
    bool valid = true;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct head_field *field = &head->fields[i];
        if (strcasecmp(field->name, "Content-Length") == 0) {
            lengths++;
            valid = parse_length(field->value, &head->length);
        } else if (strcasecmp(field->name, "Transfer-Encoding") == 0) {
            encodings++;
            head->chunked = strcasecmp(field->value, "chunked") == 0;
        }
    }
    const char *why = lengths > 1                   ? "there is more than one Content-Length"
                      : lengths && encodings        ? "there are both Content-Length and Transfer-Encoding"
                      : !valid                      ? "Content-Length is no number of at most 18 digits"
                      : encodings > 1               ? "there is more than one Transfer-Encoding"
                      : encodings && !head->chunked ? "Transfer-Encoding is not 'chunked'"
                      : encodings && is_1_0         ? "HTTP/1.0 has no Transfer-Encoding"
                      : !head->takes_body && (head->chunked || head->length > 0)
                          ? "only POST, PUT and PATCH have a body here"
                          : NULL;
    *ret_why = why ? why : "Content-Length is missing";
    return why ? 400 : head->takes_body && lengths + encodings == 0 ? 411 : 0;
}

/* ---- the head ---- */

int head_read(struct head *ret, char *text, const char **ret_why)
{
    *ret = (struct head){.method = "", .target = ""};
    char *at = text, *line = take_line(&at);
    bool is_1_0 = false;
    *ret_why = "the request line holds a control character";
    int status = line ? read_request_line(ret, line, &is_1_0, ret_why) : 400;
    if (status == 0)
        status = read_fields(ret, at, ret_why);
    if (status != 0)
        return status;
    ret->takes_body = strcmp(ret->method, "POST") == 0 || strcmp(ret->method, "PUT") == 0 ||
                      strcmp(ret->method, "PATCH") == 0;
    ret->keep_alive =
        !lists(ret, "Connection", "close") && (!is_1_0 || lists(ret, "Connection", "keep-alive"));
    ret->expects = !is_1_0 && lists(ret, "Expect", "100-continue");
    return read_framing(ret, is_1_0, ret_why);
}
