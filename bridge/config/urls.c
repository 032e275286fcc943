/* config/urls.c - values that speak of HTTP: the URL, the query, headers. */
#include "config/values.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"
#define TOKEN   LETTERS DIGITS "!#$%&'*+-.^_`|~" /* RFC 9110, section 5.6.2 */

/* -- the URL -- */

/* What may be shown of a URL: neither a user name and password before '@' nor a
 * query, which is where keys are. */
static char *url_for_people(const char *url)
{
    const char *authority = strstr(url, "://");
    authority = authority ? authority + 3 : url;
    size_t shown = strcspn(url, "?#");
    const char *at = memrchr(url, '@', shown);
    const char *more = url[shown] ? "..." : "";
    /* The mark that follows is harmless; what stands behind it may not be. */
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
        return "no user name in the URL: use the keys username and password, or bearer";
    if (*authority == '[') {
        const char *close = memchr(authority, ']', bytes);
        size_t inside = strspn(authority + 1, DIGITS "abcdefABCDEF:.");
        if (!close || close == authority + 1 || authority + 1 + inside != close)
            return "this is no IPv6 address; it should be like https://[fd00::1]/api";
        port = close + 1;
    } else {
        size_t host = strspn(authority, LETTERS DIGITS "-._");
        if (host == 0)
            return "the host name is missing; it should be like https://garden.example.org/api";
        port = authority + (host < bytes ? host : bytes);
    }
    if (port == end)
        return NULL;
    if (*port != ':')
        return "the host name contains a character that is not allowed there";
    unsigned number = 0;
    size_t digits = strspn(port + 1, DIGITS);
    for (size_t i = 1; i <= digits && number <= 65535; i++)
        number = number * 10 + (unsigned)(port[i] - '0');
    if (digits == 0 || port + 1 + digits != end || number < 1 || number > 65535)
        return "the port behind ':' must be a number from 1 to 65535";
    return NULL;
}

/* A base path is held to the rules of a route's path, and has no references. */
static bool base_path_valid(const char *path, char **ret_why)
{
    struct path_template *template = NULL;

    if (strpbrk(path, "{}")) {
        *ret_why = xstrdup("topic levels such as {1} belong into the path of a route");
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
        return xstrdup("only https:// is allowed: a request that is not encrypted shows its keys to everyone "
                       "on the way");
    if (strncasecmp(url, "https://", 8) != 0)
        return xstrdup("it must start with https://, such as https://garden.example.org/api");
    if (memchr(url, '#', bytes))
        return xstrdup("a URL for requests has no '#' and nothing behind it");
    if (memchr(url, '?', bytes))
        return xstrdup(
            "no query in the URL: give each parameter a line of its own, query = NAME=VALUE, and a "
            "key as query = NAME=@FILE");
    const char *authority = url + 8;
    size_t authority_bytes = strcspn(authority, "/");
    const char *fault = authority_fault(authority, authority_bytes);
    if (fault)
        return xstrdup(fault);
    char *why = NULL;
    return base_path_valid(authority + authority_bytes, &why) ? NULL : why;
}

void config_set_url(struct config_parser *parser, struct config_section *section,
                    const struct config_key *key, const char *value)
{
    char *why = url_fault(value);

    if (why) {
        cleanup_free char *shown = url_for_people(value);
        config_value_error(parser, key, shown, "%s", why);
        free(why);
        return;
    }
    size_t bytes = strlen(value);
    config_value_replace(parser, section, key, xstrndup(value, value[bytes - 1] == '/' ? bytes - 1 : bytes));
}

void config_set_user(struct config_parser *parser, struct config_section *section,
                     const struct config_key *key, const char *value)
{
    if (strchr(value, ':'))
        config_value_error(parser, key, value, "a user name of basic authentication cannot contain ':'");
    else
        config_value_replace(parser, section, key, xstrdup(value));
}

/* -- pairs -- */

static void pair_add(struct config_pair **pairs, size_t *count, char *name, char *value, bool secret)
{
    *pairs = xrealloc(*pairs, (*count + 1) * sizeof(**pairs));
    (*pairs)[(*count)++] = (struct config_pair){.name = name, .value = value, .secret = secret};
}

void config_set_query(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value)
{
    const char *equals = strchr(value, '=');

    if (!equals || equals == value) { /* not quoted: it may be a key without its name */
        config_parser_error(parser, parser->where,
                            "%s must be NAME=VALUE, such as query = user_key=@/etc/sluice/user_key",
                            key->name);
        return;
    }
    const char *name_end = equals, *text = equals + 1 + strspn(equals + 1, " \t");
    while (name_end > value && (name_end[-1] == ' ' || name_end[-1] == '\t'))
        name_end--;
    bool secret = *text == '@';
    char *copy = secret ? config_value_secret(parser, key, value, text) : xstrdup(text);
    if (!copy)
        return;
    char *name = xstrndup(value, (size_t)(name_end - value));
    struct config *config = parser->config;
    if (section->kind == CONFIG_HTTP) {
        struct config_route *route = &config->routes[config->https[section->index].route];
        pair_add(&route->query, &route->query_count, name, copy, secret);
    } else {
        struct config_backend *backend = &config->backends[section->index];
        pair_add(&backend->query, &backend->query_count, name, copy, secret);
    }
}

/* Headers that are sluice's to set, or that belong to a connection. */
static const char *header_fault(const char *name)
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

    if (strcasecmp(name, "Content-Type") == 0)
        return "this header is set by the key content_type of a route";
    if (strncasecmp(name, "Sluice-", 7) == 0)
        return "headers that start with Sluice- are set by sluice";
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return "this header is set by sluice itself";
    return NULL;
}

void config_set_header(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    struct config_backend *backend = &parser->config->backends[section->index];
    const char *colon = strchr(value, ':');

    if (!colon) { /* not quoted: it may be a key without its name */
        config_parser_error(parser, parser->where,
                            "%s must be NAME: VALUE, such as header = X-Api-Key: @/etc/sluice/key",
                            key->name);
        return;
    }
    cleanup_free char *name = xstrndup(value, (size_t)(colon - value));
    const char *text = colon + 1 + strspn(colon + 1, " \t");
    const char *fault = header_fault(name);
    if (!*name || name[strspn(name, TOKEN)])
        fault = "a header's name consists of letters, digits and '-', and ':' follows it at once";
    else if (!*text)
        fault = "the header has no value; give it one, or delete the line";
    if (fault) {
        config_value_error(parser, key, name, "%s", fault);
        return;
    }
    bool authorization = strcasecmp(name, "Authorization") == 0;
    char *copy = *text == '@' ? config_value_secret(parser, key, value, text) : xstrdup(text);
    if (copy)
        pair_add(&backend->headers, &backend->header_count, xstrdup(name), copy,
                 *text == '@' || authorization);
    if (authorization)
        section->authorization = parser->where;
}

/* type/subtype, and parameters that are not looked into (RFC 9110, section
 * 8.3.1). */
void config_set_content_type(struct config_parser *parser, struct config_section *section,
                             const struct config_key *key, const char *value)
{
    size_t type = strspn(value, TOKEN);
    size_t subtype = value[type] == '/' ? strspn(value + type + 1, TOKEN) : 0;
    const char *rest = subtype > 0 ? value + type + 1 + subtype : value;

    if (type == 0 || subtype == 0 || (*rest && *rest != ';'))
        config_value_error(parser, key, value, "must be like application/json or text/plain; charset=utf-8");
    else
        config_value_replace(parser, section, key, xstrdup(value));
}
