/* http/edge.c - the HTTP edge: which requests are accepted, and by which [http].
 *
 * POST, PUT and PATCH below /api become messages (http/store.c). GET and HEAD are passed on
 * to the backend at once (http/passthrough.c). Everything else is refused.
 */
#include "http/edge.h"
#include "http/passthrough.h"
#include "http/server.h"
#include "http/store.h"
#include "message/message.h"
#include "request/target.h"

#include <string.h>
#include <strings.h>

enum { VALUE_MOST_BYTES = 255 }; /* of a header that is kept */

/* One [http]. */
struct door {
    struct http *http;
    const struct config_http *config;
    char *name;
    bool closing; /* it takes nothing more, and responds so */
    struct http_server *server;
    struct passthrough *passthrough; /* NULL before it is used */
};

struct http {
    uv_loop_t *loop;
    const struct config *config;
    struct queue *queue;
    struct http_store *store;
    struct door **doors;
    size_t door_count;
};

/* ---- what is accepted ---- */

/* What is kept of a header becomes part of one of a request: visible ASCII and blanks. */
static bool is_fit(const char *value, bool may_have_blanks)
{
    size_t bytes = 0;
    for (; value[bytes]; bytes++) {
        unsigned char c = (unsigned char)value[bytes];
        if (c > 0x7e || c < (may_have_blanks ? 0x20 : 0x21))
            return false;
    }
    return bytes > 0 && bytes <= VALUE_MOST_BYTES;
}

static void check_message(struct http_store *store, struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    const char *encoding = http_request_header(request, "Content-Encoding");
    const char *key = http_request_header(request, "Idempotency-Key");
    const char *full = http_store_full(store);
    if (type && *type && !is_fit(type, true))
        http_respond_error(request, 400, 0, "Content-Type is too long, or holds more than visible ASCII");
    else if (key && (!is_fit(key, false) || strlen(key) >= MESSAGE_KEY_BYTES))
        http_respond_error(request, 400, 0, "Idempotency-Key must be 1 to 128 visible ASCII characters");
    else if (encoding && strcasecmp(encoding, "identity") != 0)
        http_respond_error(request, 415, 0,
                           "Content-Encoding is not understood here: send the body as it is");
    else if (full)
        http_send_away(store, request, full);
}

static bool is_query(const struct http_request *request)
{
    const char *method = http_request_method(request);
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static void refuse_method(struct http_request *request, bool passthrough)
{
    static const char body[] = "{\"error\":\"this method is not taken here\"}\n";
    http_respond(request, &(struct http_response){.status = 405,
                                                  .body = body,
                                                  .body_bytes = sizeof body - 1,
                                                  .allow = passthrough ? "GET, HEAD, PATCH, POST, PUT"
                                                                       : "PATCH, POST, PUT"});
}

static void on_head(void *context, struct http_request *request)
{
    struct door *door = context;
    const char *target = http_request_target(request), *why = NULL;
    switch (target_check(target, strlen(target), &why)) {
    case TARGET_BAD:
        http_respond_error(request, 400, 0, why);
        return;
    case TARGET_ELSEWHERE:
        http_respond_error(request, 404, 0, "there is nothing here but /api");
        return;
    case TARGET_FINE:
        break;
    }
    if (door->closing)
        http_send_away(door->http->store, request, "sluice is stopping");
    else if (http_request_takes_body(request))
        check_message(door->http->store, request);
    else if (!is_query(request) || !door->config->passthrough)
        refuse_method(request, door->config->passthrough);
}

static void on_whole(void *context, struct http_request *request)
{
    struct door *door = context;
    struct http *http = door->http;
    if (door->closing) {
        http_send_away(http->store, request, "sluice is stopping");
    } else if (http_request_takes_body(request)) {
        http_store_add(http->store, request, door->config, &http->config->routes[door->config->route]);
    } else {
        if (!door->passthrough)
            door->passthrough = passthrough_new(http->loop, http->config, door->config);
        passthrough_start(door->passthrough, request);
    }
}

static void on_round(void *context)
{
    const struct door *door = context;
    http_store_round(door->http->store);
}

/* ---- life ---- */

static const struct http_calls calls = {.head = on_head, .whole = on_whole, .round = on_round};

static struct door *open_door(struct http *http, const struct config_http *config)
{
    struct door *door = xcalloc(1, sizeof *door);
    *door = (struct door){.http = http, .config = config, .name = xstrdup(config->name)};
    door->server = http_server_new(http->loop, config, &calls, door);
    return door;
}

/* Its requests have their responses, which may not be sent yet. */
static void close_door(struct door *door)
{
    door->closing = true;
    http_server_close(door->server);
    http_server_free(door->server);
    free(door->name);
    free(door);
}

/* Responds to all requests: to those for the queue after a commit, to those for the backend
 * without waiting for it. */
static void settle_all(struct http *http)
{
    for (size_t i = 0; i < http->door_count; i++) {
        passthrough_free(http->doors[i]->passthrough);
        http->doors[i]->passthrough = NULL;
    }
    http_store_settle(http->store);
}

static struct door *take_door(struct http *http, const char *name)
{
    for (size_t i = 0; i < http->door_count; i++) {
        struct door *door = http->doors[i];
        if (door && strcmp(door->name, name) == 0) {
            http->doors[i] = NULL;
            return door;
        }
    }
    return NULL;
}

static void open_doors(struct http *http)
{
    struct door **doors = xcalloc(http->config->http_count, sizeof *doors);
    size_t count = 0;
    for (size_t i = 0; i < http->config->http_count; i++) {
        const struct config_http *config = &http->config->https[i];
        if (config->listens.count == 0)
            continue;
        struct door *door = take_door(http, config->name);
        if (door) {
            door->config = config;
            http_server_reconfigure(door->server, config);
        }
        doors[count++] = door;
    }
    for (size_t i = 0; i < http->door_count; i++)
        if (http->doors[i])
            close_door(http->doors[i]);
    /* New ones open after old ones have released their addresses. */
    for (size_t i = 0, next = 0; i < http->config->http_count; i++) {
        if (http->config->https[i].listens.count == 0)
            continue;
        if (!doors[next])
            doors[next] = open_door(http, &http->config->https[i]);
        next++;
    }
    free(http->doors);
    http->doors = doors;
    http->door_count = count;
}

void http_describe(const struct http *http, struct cJSON *array)
{
    const char *full = queue_full(http->queue);
    bool newest = http->config->queue.when_full == CONFIG_FULL_DROP_NEWEST;
    bool holding = queue_hold(http->queue) || (full && newest);
    cleanup_free char *why = holding ? queue_full_text(http->queue) : NULL;
    for (size_t i = 0; i < http->door_count; i++) {
        struct cJSON *to = status_append(array);
        status_add_text(to, STATUS_HTTP_NAME, http->doors[i]->name);
        status_add_text(to, STATUS_HTTP_STATE, holding ? "holding" : "ok");
        status_add_text(to, STATUS_HTTP_WHY, why);
        http_server_describe(http->doors[i]->server, to);
    }
}

void http_reconfigure(struct http *http, const struct config *config)
{
    settle_all(http);
    http->config = config;
    open_doors(http);
}

struct http *http_new(uv_loop_t *loop, const struct config *config, struct intake *intake,
                      struct queue *queue)
{
    struct http *http = xcalloc(1, sizeof *http);
    http->loop = loop;
    http->config = config;
    http->queue = queue;
    http->store = http_store_new(loop, &config->queue, intake, queue);
    open_doors(http);
    return http;
}

void http_hurry(struct http *http)
{
    for (size_t i = 0; i < http->door_count; i++)
        http_server_close(http->doors[i]->server);
    http_store_hurry(http->store);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    settle_all(http);
    for (size_t i = 0; i < http->door_count; i++)
        close_door(http->doors[i]);
    http_store_free(http->store);
    free(http->doors);
    free(http);
}
