/* config/urls.c - the types of HTTP: the URL, users, queries, headers, content types. */
#include "config/errors.h"
#include "config/values.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"
#define TOKEN   LETTERS DIGITS "!#$%&'*+-.^_`|~" /* RFC 9110, section 5.6.2 */

/* -- the URL -- */

/* What errors may show of a URL: no user name and password, which precede '@', and no query,
 * because keys are often there. */
static char *url_for_people(const char *url)
{
    const char *authority = strstr(url, "://");
    authority = authority ? authority + 3 : url;
    size_t shown = strcspn(url, "?#");
    const char *at = memrchr(url, '@', shown);
    const char *more = url[shown] ? "..." : "";
    /* The '?' or '#' is harmless; what follows it may not be. */
    int tail = (int)(url[shown] ? shown + 1 : shown);

    if (!at || at < authority)
        return xasprintf("%.*s%s", tail, url, more);
    return xasprintf("%.*s...%.*s%s", (int)(authority - url), url, tail - (int)(at - url), at, more);
}

/* What is wrong with "host[:port]", or NULL. Static text. */
static const char *authority_fault(const char *authority, size_t bytes)
{
    const char *end = authority + bytes, *port;

    if (memchr(authority, '@', bytes))
        return "the URL must not have a user name: use the keys username and password, or bearer";
    if (*authority == '[') {
        const char *close = memchr(authority, ']', bytes);
        size_t inside = strspn(authority + 1, DIGITS "abcdefABCDEF:.");
        if (!close || close == authority + 1 || authority + 1 + inside != close)
            return "this is not an IPv6 address; write one such as https://[fd00::1]/api";
        port = close + 1;
    } else {
        size_t host = strspn(authority, LETTERS DIGITS "-._");
        if (host == 0)
            return "the host name is missing; write a URL such as https://garden.example.org/api";
        port = authority + (host < bytes ? host : bytes);
    }
    if (port == end)
        return NULL;
    if (*port != ':')
        return "the host name contains a character that is not allowed";
    unsigned number = 0;
    size_t digits = strspn(port + 1, DIGITS);
    for (size_t i = 1; i <= digits && number <= 65535; i++)
        number = number * 10 + (unsigned)(port[i] - '0');
    if (digits == 0 || port + 1 + digits != end || number < 1 || number > 65535)
        return "the port after ':' must be a number from 1 to 65535";
    return NULL;
}

/* A base path follows the rules of a route's path, and has no references. */
static bool base_path_valid(const char *path, char **ret_why)
{
    struct path_template *template = NULL;

    if (strpbrk(path, "{}")) {
        *ret_why = xstrdup("topic levels such as {1} can only be in the path of a route");
        return false;
    }
    if (path_template_parse(path, &template, ret_why) < 0)
        return false;
    path_template_free(template);
    return true;
}

static char *url_fault(const char *url)
{
    size_t bytes = strlen(url);

    if (strncasecmp(url, "http://", 7) == 0)
        return xstrdup(
            "only https:// is allowed: without encryption, everyone on the way can read the keys in "
            "a request");
    if (strncasecmp(url, "https://", 8) != 0)
        return xstrdup("it must start with https://, such as https://garden.example.org/api");
    if (memchr(url, '#', bytes))
        return xstrdup("the URL must not have a '#'; delete it and what follows");
    if (memchr(url, '?', bytes))
        return xstrdup(
            "the URL must not have a query: write each parameter as a line query = NAME=VALUE, and a secret "
            "one as query = NAME=@FILE");
    const char *authority = url + 8;
    size_t authority_bytes = strcspn(authority, "/");
    const char *fault = authority_fault(authority, authority_bytes);
    if (fault)
        return xstrdup(fault);
    char *why = NULL;
    return base_path_valid(authority + authority_bytes, &why) ? NULL : why;
}

static void set_url(const struct config_value *value)
{
    const char *text = value->text;
    cleanup_free char *why = url_fault(text);
    size_t bytes = strlen(text);

    if (!why) {
        config_text_set(value, xstrndup(text, text[bytes - 1] == '/' ? bytes - 1 : bytes));
        return;
    }
    cleanup_free char *harmless = url_for_people(text);
    struct config_value shown = *value;
    shown.text = harmless;
    config_value_error(&shown, "%s", why);
}
DEFINE_TEXT_TYPE(url, set_url);

static void set_user(const struct config_value *value)
{
    if (strchr(value->text, ':'))
        config_value_error(value, "a user name for basic authentication cannot contain ':'");
    else
        config_text_set(value, xstrdup(value->text));
}
DEFINE_TEXT_TYPE(user, set_user);

/* -- pairs -- */

static void pairs_done(void *field)
{
    struct config_pairs *pairs = field;

    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].name);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (struct config_pairs){0};
}

/* Adds a pair; the value is text, or the secret that "@FILE" names. Takes over the name. */
static void add_pair(const struct config_value *value, char *name, const char *text, bool secret)
{
    struct config_pair pair = {.name = name, .secret = secret || *text == '@'};

    pair.value = *text == '@' ? config_value_secret(value, text) : xstrdup(text);
    if (pair.value)
        config_append((struct config_pairs *)value->field, pair);
    else
        free(name);
}

static void set_query(const struct config_value *value)
{
    const char *equals = strchr(value->text, '=');

    if (!equals || equals == value->text) { /* not quoted: it may be a key without its name */
        config_error(value->parser, value->parser->where,
                     "query must be NAME=VALUE, such as query = user_key=@/etc/sluice/user_key");
        return;
    }
    char *name = config_trimmed(value->text, (size_t)(equals - value->text));
    add_pair(value, name, equals + 1 + strspn(equals + 1, " \t"), false);
}
DEFINE_TYPE(query, .set = set_query, .done = pairs_done);

/* What is wrong with a header's name or value, or NULL. */
static const char *header_fault(const char *name, const char *text)
{
    static const char *const own[] = {"Host",
                                      "Content-Length",
                                      "Transfer-Encoding",
                                      "Connection",
                                      "Proxy-Connection",
                                      "Keep-Alive",
                                      "Upgrade",
                                      "TE",
                                      "Trailer",
                                      "Expect",
                                      "Idempotency-Key"};

    if (!*name || name[strspn(name, TOKEN)])
        return "the name of a header consists of letters, digits and '-', and ':' follows at once";
    if (!*text)
        return "the header has no value; give it one, or delete the line";
    if (strcasecmp(name, "Content-Type") == 0)
        return "set this header with the key content_type of a route";
    if (strncasecmp(name, "Sluice-", 7) == 0)
        return "sluice itself sets the headers that start with Sluice-";
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return "sluice itself sets this header";
    return NULL;
}

static void set_header(const struct config_value *value)
{
    const char *colon = strchr(value->text, ':');

    if (!colon) { /* not quoted: it may be a key without its name */
        config_error(value->parser, value->parser->where,
                     "header must be NAME: VALUE, such as header = X-Api-Key: @/etc/sluice/key");
        return;
    }
    char *name = xstrndup(value->text, (size_t)(colon - value->text));
    const char *text = colon + 1 + strspn(colon + 1, " \t");
    const char *fault = header_fault(name, text);
    if (fault) {
        struct config_value shown = *value;
        shown.text = name; /* the header's value may be a secret */
        config_value_error(&shown, "%s", fault);
        free(name);
        return;
    }
    bool authorization = strcasecmp(name, "Authorization") == 0;
    if (authorization)
        value->section->authorization = value->parser->where;
    add_pair(value, name, text, authorization);
}
DEFINE_TYPE(header, .set = set_header, .done = pairs_done);

/* type/subtype, and parameters that are not checked (RFC 9110, section 8.3.1). */
static void set_content_type(const struct config_value *value)
{
    const char *text = value->text;
    size_t type = strspn(text, TOKEN);
    size_t subtype = text[type] == '/' ? strspn(text + type + 1, TOKEN) : 0;
    const char *rest = subtype > 0 ? text + type + 1 + subtype : text;

    if (type == 0 || subtype == 0 || (*rest && *rest != ';'))
        config_value_error(value, "must be like application/json or text/plain; charset=utf-8");
    else
        config_text_set(value, xstrdup(text));
}
DEFINE_TEXT_TYPE(content_type, set_content_type);
