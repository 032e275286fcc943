/* config/keys.c - every section and key that there is; see config/keys.h. */
#include "config/keys.h"
#include "config/values.h"
#include <string.h>

#define ROW(struct_name, name_, type_, field, ...)                                                           \
    {.name = #name_,                                                                                         \
     .type = &config_type_##type_,                                                                           \
     .offset = offsetof(struct struct_name, field),                                                          \
     __VA_ARGS__},
#define KEY(...)          ROW(SECTION, __VA_ARGS__)
#define KEY_OF_ROUTE(...) ROW(config_route, __VA_ARGS__, .of_route = true)

static const struct config_key daemon_keys[] = {
#define SECTION config_daemon
#include "config/keys_daemon.h"
#undef SECTION
};

static const struct config_key broker_keys[] = {
#define SECTION config_broker
#include "config/keys_broker.h"
#undef SECTION
};

static const struct config_key queue_keys[] = {
#define SECTION config_queue
#include "config/keys_queue.h"
#undef SECTION
};

static const struct config_key backend_keys[] = {
#define SECTION config_backend
#include "config/keys_backend.h"
#undef SECTION
};

static const struct config_key route_keys[] = {
#define SECTION config_route
#include "config/keys_route.h"
#undef SECTION
};

static const struct config_key http_keys[] = {
#define SECTION config_http
#include "config/keys_http.h"
#undef SECTION
};

_Static_assert(ARRAY_LEN(broker_keys) <= CONFIG_KEYS_MAX && ARRAY_LEN(queue_keys) <= CONFIG_KEYS_MAX &&
                   ARRAY_LEN(backend_keys) <= CONFIG_KEYS_MAX && ARRAY_LEN(route_keys) <= CONFIG_KEYS_MAX &&
                   ARRAY_LEN(http_keys) <= CONFIG_KEYS_MAX,
               "config_section.keys and .faulty are too short");

#define KEYS(rows) .keys = rows, .count = ARRAY_LEN(rows)

const struct config_keys config_keys[CONFIG_KIND_COUNT] = {
    [CONFIG_DAEMON] = {.word = "daemon", KEYS(daemon_keys), .brief = "sluice itself."},
    [CONFIG_BROKER] = {.word = "broker",
                       KEYS(broker_keys),
                       .restart = true,
                       .brief = "The MQTT broker to which the devices publish."},
    [CONFIG_QUEUE] = {.word = "queue", KEYS(queue_keys), .brief = "Where messages wait on the disk."},
    [CONFIG_BACKEND] = {.word = "backend",
                        .naming = CONFIG_NAMED,
                        .example = "garden",
                        KEYS(backend_keys),
                        .brief =
                            "Where messages go. Each backend has a section, with a name that you choose.",
                        .text = "A backend that is away does not delay another one."},
    [CONFIG_ROUTE] = {.word = "route",
                      .naming = CONFIG_NAMED,
                      .example = "sensor",
                      KEYS(route_keys),
                      .brief = "Which messages go there, and how. Each route has a section, with a name "
                               "that you choose.",
                      .text = "A message that matches several routes is delivered once for each of them. "
                              "A message that matches none is not forwarded."},
    [CONFIG_HTTP] = {.word = "http",
                     .naming = CONFIG_MAYBE_NAMED,
                     KEYS(http_keys),
                     .brief = "HTTP without TLS, for clients that post to sluice as they would to the "
                              "backend. It is off while no key is set.",
                     .text = "HTTP CLIENTS below describes requests and responses. The requests of a "
                             "client for one path are delivered in order. Their topic is the address of "
                             "the client and the path. Their route has the name of the section, or "
                             "`http` where the section has no name.\n\n"
                             "More sections, `[http NAME]`, can listen on other addresses and use other "
                             "backends."},
};

size_t config_key_find(enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < config_keys[kind].count; i++)
        if (strcmp(config_keys[kind].keys[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}
