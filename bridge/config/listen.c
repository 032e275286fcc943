/* config/listen.c - values of [http]: where sluice listens, and who may come. */
#include "config/values.h"
#include <string.h>

void config_set_listen(struct config_parser *parser, struct config_section *section,
                       const struct config_key *key, const char *value)
{
    struct config_http *http = &parser->config->https[section->index];
    struct config_listen listen = {0};
    const char *why;

    if (strchr(value, ',')) {
        config_value_error(parser, key, value, "one address in a line; write as many lines of it as needed");
        return;
    }
    if (address_parse_endpoint(value, &listen.address, &listen.port, &why) < 0) {
        config_value_error(parser, key, value, "%s", why);
        return;
    }
    for (size_t h = 0; h < parser->config->http_count; h++) {
        const struct config_http *other = &parser->config->https[h];
        for (size_t i = 0; i < other->listen_count; i++) {
            if (other->listens[i].port == listen.port &&
                address_equal(&other->listens[i].address, &listen.address)) {
                config_value_error(parser, key, value,
                                   "this address and port are listened on already; keep one of the two");
                return;
            }
        }
    }
    listen.text = xstrdup(value);
    http->listens = xrealloc(http->listens, (http->listen_count + 1) * sizeof(*http->listens));
    http->listens[http->listen_count++] = listen;
}

/* One or more ranges in a line. */
void config_set_allow(struct config_parser *parser, struct config_section *section,
                      const struct config_key *key, const char *value)
{
    struct config_http *http = &parser->config->https[section->index];
    cleanup_free char *copy = xstrdup(value);
    char *next = copy, *word;

    while ((word = strsep(&next, ",")) != NULL) {
        struct address_range range;
        const char *why;
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        if (address_parse_range(word, &range, &why) < 0) {
            config_value_error(parser, key, *word ? word : value, "%s", why);
            return;
        }
        http->allow = xrealloc(http->allow, (http->allow_count + 1) * sizeof(*http->allow));
        http->allow[http->allow_count++] = range;
    }
}
