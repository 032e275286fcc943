/* text/json.c - JSON texts as RFC 8259 spells them; see text/json.h.
 *
 * One walk over the bytes, without memory of its own and without recursion: what
 * is open is noted by its closing bracket. It is on the way of every message, so
 * it must be cheap: some twenty instructions a byte.
 */
#include "text/json.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/* -- tokens -- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *digits_end(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

const char *json_number_end(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    const char *whole = at;
    at = digits_end(at, end);
    if (at == whole || (at - whole > 1 && *whole == '0'))
        return NULL;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = digits_end(at, end);
        if (at == fraction)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *exponent = at;
        at = digits_end(at, end);
        if (at == exponent)
            return NULL;
    }
    return at;
}

/* The four hexadecimal digits at `at`, or -1. */
static int32_t read_hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (const char *stop = at + 4; at < stop; at++) {
        char letter = (char)(*at | 0x20);
        if (is_digit(*at))
            value = value * 16 + (*at - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value * 16 + (letter - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The length of the escape whose backslash is at `at`, two of them for a surrogate
 * pair, and what it means; 0 where it is none. */
static size_t read_escape(const char *at, const char *end, uint32_t *ret_code)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return 0;
    if (at[1] != 'u') {
        const char *letter = memchr(letters, at[1], sizeof(letters) - 1);
        if (!letter)
            return 0;
        *ret_code = (unsigned char)meanings[letter - letters];
        return 2;
    }
    int32_t high = read_hex4(at + 2, end);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    if (high < 0xd800 || high > 0xdbff) {
        *ret_code = (uint32_t)high;
        return 6;
    }
    int32_t low = end - at >= 8 && at[6] == '\\' && at[7] == 'u' ? read_hex4(at + 8, end) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_code = 0x10000u + (((uint32_t)high - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
    return 12;
}

bool json_string_is(const char *spelt, size_t bytes, const char *text)
{
    if (bytes > 0 && *spelt != '\\' && *spelt != *text)
        return false; /* most names differ in the first character */
    size_t text_bytes = strlen(text);
    if (!memchr(spelt, '\\', bytes))
        return bytes == text_bytes && memcmp(spelt, text, bytes) == 0;
    const char *at = spelt, *end = spelt + bytes, *text_end = text + text_bytes;
    while (at < end && text < text_end) {
        uint32_t code = 0, wanted = 0;
        size_t length =
            *at == '\\' ? read_escape(at, end, &code) : utf8_sequence(at, (size_t)(end - at), &code);
        size_t step = utf8_sequence(text, (size_t)(text_end - text), &wanted);
        if (length == 0 || step == 0 || code != wanted)
            return false;
        at += length;
        text += step;
    }
    return at == end && text == text_end;
}

/* -- the walk -- */

struct walk {
    const char *start, *at, *end;
    json_member_fn *on_member;
    void *context;
    struct json_member member; /* the one of the outermost object that it is in */
    struct json_fault *fault;
    unsigned depth;
    char closes[JSON_DEPTH_MOST]; /* of each array and object that is open: its end */
};

static bool fail(struct walk *walk, const char *at, const char *what)
{
    *walk->fault = (struct json_fault){.what = what, .at = (size_t)(at - walk->start)};
    return false;
}

static bool fail_here(struct walk *walk)
{
    return fail(walk, walk->at, walk->at < walk->end ? "unexpected character" : "unexpected end");
}

static void skip_space(struct walk *walk)
{
    while (walk->at < walk->end &&
           (*walk->at == ' ' || *walk->at == '\n' || *walk->at == '\r' || *walk->at == '\t'))
        walk->at++;
}

static bool skip_char(struct walk *walk, char c)
{
    if (walk->at == walk->end || *walk->at != c)
        return false;
    walk->at++;
    return true;
}

/* Neither the end of a string, nor an escape, nor a control character, nor more
 * than a byte. */
static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* What is wrong with a string at something that is not plain, and not its end. */
static bool fail_string(struct walk *walk, const char *at)
{
    if (at == walk->end)
        return fail(walk, at, "unexpected end");
    if ((unsigned char)*at >= 0x80)
        return fail(walk, at, "not valid UTF-8");
    if (*at != '\\')
        return fail(walk, at, "unescaped control character");
    if (walk->end - at > 2 && at[1] == 'u' && read_hex4(at + 2, walk->end) >= 0)
        return fail(walk, at, "half a surrogate pair");
    return fail(walk, at, "bad escape");
}

/* Moves past the string whose opening quote it is at. */
static bool walk_string(struct walk *walk)
{
    const char *at = walk->at + 1, *end = walk->end;
    for (;;) {
        while (at < end && is_plain(*at))
            at++;
        if (at < end && *at == '"')
            break;
        uint32_t code;
        size_t length = 0;
        if (at < end && *at == '\\')
            length = read_escape(at, end, &code);
        else if (at < end && (unsigned char)*at >= 0x80)
            length = utf8_sequence(at, (size_t)(end - at), &code);
        if (length == 0)
            return fail_string(walk, at);
        at += length;
    }
    walk->at = at + 1;
    return true;
}

static bool walk_number(struct walk *walk)
{
    const char *end = json_number_end(walk->at, walk->end);
    if (!end)
        return fail(walk, walk->at, "misspelt number");
    walk->at = end;
    return true;
}

static bool walk_word(struct walk *walk)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t bytes = strlen(words[i]);
        if ((size_t)(walk->end - walk->at) >= bytes && memcmp(walk->at, words[i], bytes) == 0) {
            walk->at += bytes;
            return true;
        }
    }
    return fail_here(walk);
}

/* A member's name and the colon after it. */
static bool walk_name(struct walk *walk)
{
    skip_space(walk);
    const char *start = walk->at;
    if (start == walk->end || *start != '"')
        return fail_here(walk);
    if (!walk_string(walk))
        return false;
    if (walk->depth == 1) {
        walk->member.name = start + 1;
        walk->member.name_bytes = (size_t)(walk->at - start) - 2;
    }
    skip_space(walk);
    return skip_char(walk, ':') || fail_here(walk);
}

/* A number, string or word, or an array or object up to the first of those in it,
 * or to its end where there is none. */
static bool walk_value(struct walk *walk)
{
    for (;;) {
        skip_space(walk);
        if (walk->depth == 1)
            walk->member.value = walk->at;
        if (walk->at == walk->end)
            return fail_here(walk);
        char c = *walk->at;
        if (c == '"')
            return walk_string(walk);
        if (c == '-' || is_digit(c))
            return walk_number(walk);
        if (c != '{' && c != '[')
            return walk_word(walk);
        if (walk->depth == JSON_DEPTH_MOST)
            return fail(walk, walk->at, "nested deeper than 1000");
        char closes = c == '{' ? '}' : ']';
        walk->at++;
        skip_space(walk);
        if (skip_char(walk, closes))
            return true;
        walk->closes[walk->depth++] = closes;
        if (c == '{' && !walk_name(walk))
            return false;
    }
}

static void report_member(struct walk *walk)
{
    if (!walk->on_member || walk->closes[0] != '}')
        return;
    walk->member.value_bytes = (size_t)(walk->at - walk->member.value);
    walk->on_member(walk->context, &walk->member);
}

/* What follows a value: ends of arrays and objects, up to a comma, after
 * which there is another value, or the end of the text. */
static bool walk_on(struct walk *walk, bool *ret_another)
{
    while (walk->depth > 0) {
        if (walk->depth == 1)
            report_member(walk);
        skip_space(walk);
        char closes = walk->closes[walk->depth - 1];
        if (skip_char(walk, ',')) {
            *ret_another = true;
            return closes == ']' || walk_name(walk);
        }
        if (!skip_char(walk, closes))
            return fail_here(walk);
        walk->depth--;
    }
    skip_space(walk);
    *ret_another = false;
    return walk->at == walk->end || fail_here(walk);
}

int json_check(const char *text, size_t bytes, json_member_fn *member, void *context,
               struct json_fault *ret_fault)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct walk walk; /* its large array is not cleared: that would cost more than most texts */
    walk.start = walk.at = text;
    walk.end = bytes > 0 ? text + bytes : text;
    walk.on_member = member;
    walk.context = context;
    walk.fault = ret_fault;
    walk.depth = 0;

    if (bytes >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        fail(&walk, text, "byte order mark");
        return -EINVAL;
    }
    bool ok, another = false;
    do {
        ok = walk_value(&walk) && walk_on(&walk, &another);
    } while (ok && another);
    return ok ? 0 : -EINVAL;
}

/* -- writing -- */

static int append_escape(struct buf *out, char c)
{
    static const char shorthand[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *known = c ? strchr(shorthand, c) : NULL;
    if (!known)
        return buf_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
    const char escape[2] = {'\\', letters[known - shorthand]};
    return buf_append(out, escape, 2);
}

int json_append_escaped(struct buf *out, const char *text, size_t bytes)
{
    const char *at = text, *end = text + bytes;
    int r = 0;
    while (at < end && r == 0) {
        const char *start = at;
        while (at < end && is_plain(*at))
            at++;
        if (at > start) {
            r = buf_append(out, start, (size_t)(at - start));
            continue;
        }
        uint32_t code;
        size_t length = utf8_sequence(at, (size_t)(end - at), &code);
        if (length == 0)
            r = buf_append_text(out, "\xef\xbf\xbd");
        else if (length == 1)
            r = append_escape(out, *at);
        else
            r = buf_append(out, at, length);
        at += length ? length : 1;
    }
    return r;
}
