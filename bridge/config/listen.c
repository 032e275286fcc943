/* config/listen.c - the types of [http]: addresses to listen on, and clients to accept. */
#include "config/values.h"
#include <string.h>

static void listens_done(void *field)
{
    struct config_listens *listens = field;

    for (size_t i = 0; i < listens->count; i++)
        free(listens->items[i].text);
    free(listens->items);
    *listens = (struct config_listens){0};
}

static bool is_taken(const struct config *config, const struct config_listen *listen)
{
    for (size_t h = 0; h < config->http_count; h++) {
        const struct config_listens *listens = &config->https[h].listens;
        for (size_t i = 0; i < listens->count; i++)
            if (listens->items[i].port == listen->port &&
                address_equal(&listens->items[i].address, &listen->address))
                return true;
    }
    return false;
}

static void set_listen(const struct config_value *value)
{
    struct config_listen listen = {0};
    const char *why;

    if (strchr(value->text, ',')) {
        config_value_error(value, "a line has one address; write a line listen = ... for each");
        return;
    }
    if (address_parse_endpoint(value->text, &listen.address, &listen.port, &why) < 0) {
        config_value_error(value, "%s", why);
        return;
    }
    if (is_taken(value->parser->config, &listen)) {
        config_value_error(value, "another line has this address and port; delete one of the two");
        return;
    }
    listen.text = xstrdup(value->text);
    config_append((struct config_listens *)value->field, listen);
}
DEFINE_TYPE(listen, .set = set_listen, .done = listens_done);

static void ranges_done(void *field)
{
    struct config_ranges *ranges = field;

    free(ranges->items);
    *ranges = (struct config_ranges){0};
}

static void set_allow(const struct config_value *value)
{
    cleanup_free char *copy = xstrdup(value->text);
    char *next = copy, *word;

    while ((word = strsep(&next, ",")) != NULL) {
        struct address_range range;
        const char *why;
        word += strspn(word, " \t");
        word[strcspn(word, " \t")] = '\0';
        if (address_parse_range(word, &range, &why) < 0) {
            struct config_value shown = *value;
            if (*word)
                shown.text = word;
            config_value_error(&shown, "%s", why);
            return;
        }
        config_append((struct config_ranges *)value->field, range);
    }
}
DEFINE_TYPE(allow, .set = set_allow, .done = ranges_done);
