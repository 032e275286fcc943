/* deliver_world.c - time, the fake network, and what happens when. See deliver_world.h. */
#include "deliver/deliver_world.h"

#include "base/log.h"
#include "config/config_text.h"
#include "queue/queue_place.h"

#include <stdarg.h>
#include <sys/random.h>
#include <time.h>

enum {
    RETURNS_MOST = 30,
    STEPS_MOST = 2000 * 1000, /* of one world: more is a loop that never ends */
    TIMEOUT_MS = 30 * 1000,
};

#define BORN_MS INT64_C(1000000) /* uptime when a world begins */
#define WALL_MS INT64_C(1795368796123)

struct world world;

void world_fail(const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (unsigned i = 0; getenv("MODEL_LOG") && i < world.message_count; i++) {
        const struct world_message *message = &world.messages[i];
        if (message->fate == WAITING || message->fate == COMING)
            fprintf(stderr, "message %u of %s waits: poison %d%s%s\n", i, message->topic, message->poison,
                    message->unfit ? ", unfit" : "", message->in_flight ? ", in flight" : "");
    }
    fail_msg("seed %llu, after %lld ms: %s", (unsigned long long)world.seed, (long long)world.now_ms, text);
}

const struct config *world_config(void)
{
    return world.configs[world.config];
}

/* ---- chance, time and words, in place of the machine's ---- */

unsigned world_chance(unsigned below)
{
    world.random = world.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(world.random >> 33) % below;
}

ssize_t getrandom(void *buffer, size_t bytes, unsigned flags)
{
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)world_chance(256);
    return (ssize_t)bytes;
}

static int64_t fake_clock_ms(clockid_t id)
{
    return BORN_MS + world.now_ms + (id == CLOCK_REALTIME ? WALL_MS : 0);
}
#include "fake_clock.h"

/* What a power cut does to the queue is not the subject here. */
int fdatasync(int fd)
{
    return 0;
}

int fsync(int fd)
{
    return 0;
}

void log_write(enum log_level level, enum log_event event, const char *format, ...)
{
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
    if (!world.heard && !getenv("MODEL_LOG"))
        return;
    va_list list;
    va_start(list, format);
    cleanup_free char *line = xvasprintf(format, list);
    va_end(list);
    if (world.heard)
        world.heard(levels[level], line);
    if (getenv("MODEL_LOG"))
        fprintf(stderr, "%8lld %s %s\n", (long long)world.now_ms, levels[level], line);
}

void log_init(enum log_level most)
{
}

bool log_enabled(enum log_level level)
{
    return true;
}

/* ---- the network, in place of net/transfer.c ---- */

struct transfer {
    unsigned backend;
};

void transfer_library_init(void)
{
}

void transfer_library_done(void)
{
}

struct transfer *transfer_new(uv_loop_t *loop, const struct config_backend *backend)
{
    struct transfer *transfer = xcalloc(1, sizeof *transfer);
    assert_ptr_equal(loop, &world.loop);
    transfer->backend = (unsigned)(backend - world_config()->backends);
    return transfer;
}

/* Payloads say which message they are. */
static void find_members(struct call *call, const struct request *request)
{
    static const char mark[] = "m=";
    const char *at = request->body, *end = at + request->body_bytes;
    call->members = xcalloc(request->messages, sizeof call->members[0]);
    while ((at = memmem(at, (size_t)(end - at), mark, strlen(mark)))) {
        unsigned member = 0;
        for (at += strlen(mark); *at >= '0' && *at <= '9'; at++)
            member = member * 10 + (unsigned)(*at - '0');
        if (call->count == request->messages || member >= world.arrived)
            world_fail("message %u is in the body of %u", member, request->messages);
        call->members[call->count++] = member;
    }
    if (call->count != request->messages)
        world_fail("%u messages are in the body of %u", call->count, request->messages);
}

static const struct outage *outage_now(const struct call *call)
{
    const struct world_backend *backend = &world.backends[call->backend];
    for (unsigned i = 0; i < backend->outage_count; i++) {
        const struct outage *outage = &backend->outages[i];
        if (outage->from_ms <= world.now_ms && world.now_ms < outage->to_ms &&
            (outage->route < 0 || (unsigned)outage->route == call->route))
            return outage;
    }
    return NULL;
}

void transfer_start(struct transfer *transfer, const struct request *request, transfer_done_fn *done,
                    void *context)
{
    const struct world_backend *backend = &world.backends[transfer->backend];
    struct call *call = xcalloc(1, sizeof *call);
    *call = (struct call){.done = done,
                          .context = context,
                          .backend = transfer->backend,
                          .body_bytes = request->body_bytes,
                          .number = ++world.started};
    find_members(call, request);
    call->route = world.messages[call->members[0]].route;
    if (world_config()->routes[call->route].backend != call->backend)
        world_fail("message %u goes to another backend", call->members[0]);
    const struct outage *outage = outage_now(call);
    call->hung = outage && outage->hangs;
    for (unsigned i = 0; i < call->count; i++)
        call->hung = call->hung || world.messages[call->members[i]].poison == POISON_HANGS;
    call->due_ms = world.now_ms + (call->hung ? TIMEOUT_MS : 1 + world_chance((unsigned)backend->slow_ms));
    log_debug(EVENT_READY, "request %llu: %u from %u, backend %u, route %u", (unsigned long long)call->number,
              call->count, call->members[0], call->backend, call->route);
    for (unsigned i = 1; i < call->count; i++)
        log_debug(EVENT_READY, "... and %u", call->members[i]);
    rules_start(call);
    world.largest = call->count > world.largest ? call->count : world.largest;
    TAILQ_INSERT_TAIL(&world.calls, call, others);
}

static void call_free(struct call *call)
{
    TAILQ_REMOVE(&world.calls, call, others);
    free(call->members);
    free(call);
}

void transfer_free(struct transfer *transfer, void (*drop_context)(void *context))
{
    struct call *call, *next;
    for (call = TAILQ_FIRST(&world.calls); call; call = next) {
        next = TAILQ_NEXT(call, others);
        if (call->backend != transfer->backend)
            continue;
        drop_context(call->context);
        call_free(call);
    }
    free(transfer);
}

/* ---- responses ---- */

static struct response noise(void)
{
    static const struct response responses[] = {
        {TRANSFER_OK, 500, 0}, {TRANSFER_OK, 503, 1}, {TRANSFER_OK, 403, 0},        {TRANSFER_OK, 400, 0},
        {TRANSFER_OK, 409, 0}, {TRANSFER_OK, 429, 2}, {TRANSFER_UNREACHABLE, 0, 0}, {TRANSFER_BROKEN, 0, 0},
        {TRANSFER_TLS, 0, 0},  {TRANSFER_OK, 404, 0}, {TRANSFER_OK, 422, 0},
    };
    return responses[world_chance(ARRAY_LEN(responses))];
}

static struct response response_to(const struct call *call)
{
    const struct world_backend *backend = &world.backends[call->backend];
    const struct outage *outage = outage_now(call);
    if (call->hung)
        return (struct response){TRANSFER_BROKEN, 0, 0};
    if (outage)
        return outage->response;
    for (unsigned i = 0; i < call->count; i++) {
        int poison = world.messages[call->members[i]].poison;
        if (poison == POISON_BREAKS || poison == POISON_HANGS)
            return (struct response){TRANSFER_BROKEN, 0, 0};
        if (poison != POISON_NONE)
            return (struct response){TRANSFER_OK, poison, 0};
    }
    if (call->body_bytes > backend->body_most)
        return (struct response){TRANSFER_OK, 413, 0};
    if (world.now_ms < backend->noise_to_ms && world_chance(100) < backend->noise_percent)
        return noise();
    return (struct response){TRANSFER_OK, 200, 0};
}

static void end_call(struct call *call, const struct response *response)
{
    char retry_after[16];
    snprintf(retry_after, sizeof retry_after, "%u", response->retry_after_s);
    const struct reply reply = {
        .failure = response->failure,
        .status = response->status,
        .http_version = response->failure == TRANSFER_OK ? world.backends[call->backend].http_version : 0,
        .retry_after = response->retry_after_s > 0 ? retry_after : NULL,
        .body = "",
        .timed_out = call->hung,
        .error = response->failure == TRANSFER_OK ? "" : "it failed",
    };
    log_debug(EVENT_READY, "response %llu: %d, %d", (unsigned long long)call->number, response->failure,
              response->status);
    rules_end(call, response);
    call->done(call->context, &reply);
    rules_acted(call, response);
    call_free(call);
}

/* A connection that breaks takes along everything that is on it. */
static void break_others(unsigned backend)
{
    const struct response broken = {TRANSFER_BROKEN, 0, 0};
    struct call *call, *next;
    for (call = TAILQ_FIRST(&world.calls); call; call = next) {
        next = TAILQ_NEXT(call, others);
        if (call->backend == backend)
            end_call(call, &broken);
    }
}

static void end_due(struct call *call)
{
    struct response response = response_to(call);
    unsigned backend = call->backend;
    bool all =
        response.failure == TRANSFER_BROKEN && !call->hung && world.backends[backend].http_version == 2;
    end_call(call, &response);
    if (all)
        break_others(backend);
}

/* ---- what arrives ---- */

static struct message made(unsigned at, char *payload, size_t bytes)
{
    static const char *const names[ROUTES_MOST] = {"r0", "r1", "r2", "r3"};
    const struct world_message *message = &world.messages[at];
    snprintf(payload, bytes, message->object ? "{\"is\":\"m=%u\",\"pad\":\"%*s\"}" : "m=%u is no object%*s",
             at, (int)message->padding, "");
    struct message made = reading(message->topic, payload, strlen(payload));
    made.route = names[message->route];
    return made;
}

static void arrive(void)
{
    static char payload[4096];
    int64_t last = 0;
    assert_int_equal(queue_begin(world.queue), 0);
    for (; world.arrived < world.message_count && world.messages[world.arrived].at_ms <= world.now_ms;
         world.arrived++) {
        struct message message = made(world.arrived, payload, sizeof payload);
        last = append(world.queue, &message);
        assert_int_equal(last, world.arrived + 1);
        world.messages[world.arrived].fate = WAITING;
    }
    assert_int_equal(queue_commit(world.queue), 0);
    queue_confirm(world.queue, last);
    if (world.engine)
        deliver_released(world.engine);
}

static void restart(void)
{
    rules_look();
    world.config++;
    rules_restart();
    deliver_restart(world.engine, world_config());
}

/* A person removes one that waits. */
static void remove_one(void)
{
    unsigned at = world.arrived > 0 ? world_chance(world.arrived) : 0;
    world.remove_ms = 0;
    rules_look();
    if (world.arrived == 0 || world.messages[at].fate != WAITING)
        return;
    cleanup_free char *sql = xasprintf("delete from message where id = %u", at + 1);
    execute(world.eye, sql);
    world.messages[at].fate = REMOVED;
}

/* A person brings the first dead letter behind a random one back, as queue/admin/change.c
 * does it, now corrected in most cases. */
static void return_one(void)
{
    rules_look();
    unsigned start = world.arrived > 0 ? world_chance(world.arrived) : 0, at = 0;
    for (unsigned i = 0; i < world.arrived; i++)
        if (world.messages[at = (start + i) % world.arrived].fate == DEAD)
            break;
    bool corrected = world_chance(4) > 0;
    world.return_ms += 1 + world_chance(world_chance(2) ? 100 : 20000);
    if (world.arrived == 0 || world.messages[at].fate != DEAD || world.returned == RETURNS_MOST)
        return;
    world.returned++;
    cleanup_free char *sql = xasprintf(
        "begin; insert into message (id, run, route, topic, uptime_ms, source, packet_id, payload)"
        " select id, run, route, topic, uptime_ms, source, packet_id, payload from dead_letter where id = %u;"
        " delete from dead_letter where id = %u; insert into rescan values (1, %u); commit",
        at + 1, at + 1, at + 1);
    execute(world.eye, sql);
    log_debug(EVENT_READY, "message %u is back", at);
    if (corrected)
        world.messages[at].poison = POISON_NONE;
    rules_returned(&world.messages[at]);
    int64_t lowest = queue_rescan_take(world.queue);
    assert_int_equal(lowest, at + 1);
    deliver_look_again(world.engine, lowest);
}

/* ---- one thing after the other ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t next_event_ms(void)
{
    const struct call *call;
    int64_t next = INT64_MAX;
    TAILQ_FOREACH(call, &world.calls, others)
        next = earlier(next, call->due_ms);
    if (world.arrived < world.message_count)
        next = earlier(next, world.messages[world.arrived].at_ms);
    if (world.config + 1 < world.config_count)
        next = earlier(next, world.restart_ms[world.config + 1]);
    if (world.remove_ms > 0)
        next = earlier(next, world.remove_ms);
    if (world.return_ms > 0 && world.returned < RETURNS_MOST)
        next = earlier(next, world.return_ms);
    return next;
}

static void act(void)
{
    struct call *call;
    if (world.arrived < world.message_count && world.messages[world.arrived].at_ms <= world.now_ms)
        arrive();
    if (world.remove_ms > 0 && world.remove_ms <= world.now_ms)
        remove_one();
    if (world.return_ms > 0 && world.return_ms <= world.now_ms)
        return_one();
    if (world.config + 1 < world.config_count && world.restart_ms[world.config + 1] <= world.now_ms)
        restart();
    TAILQ_FOREACH(call, &world.calls, others)
        if (call->due_ms <= world.now_ms) {
            end_due(call);
            return;
        }
}

/* One round of the loop; when it has nothing to do at once, time goes on. False: nothing
 * is going to happen any more. */
static bool step(void)
{
    uv_run(&world.loop, UV_RUN_NOWAIT);
    int timer_ms = uv_backend_timeout(&world.loop);
    int64_t next = next_event_ms();
    if (timer_ms >= 0)
        next = earlier(next, world.now_ms + timer_ms);
    if (next == INT64_MAX)
        return false;
    if (next > world.now_ms)
        world.now_ms = next;
    act();
    return true;
}

void world_run(bool (*is_over)(void), int64_t most_ms)
{
    if (world.messages[0].at_ms == 0)
        arrive();
    world.engine = deliver_new(&world.loop, world.queue, world_config(), &world.metrics);
    rules_restart();
    world_resume(is_over, most_ms);
}

void world_resume(bool (*is_over)(void), int64_t most_ms)
{
    for (unsigned steps = 0; !is_over(); steps++) {
        if (steps == STEPS_MOST || world.now_ms > most_ms)
            world_fail("it does not come to an end");
        if (!step() && !is_over())
            world_fail("nothing is going to happen any more");
    }
}

/* ---- begin and end ---- */

void world_begin(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.seed = world.random = seed;
    for (int i = 0; i < 4; i++)
        world_chance(2);
    TAILQ_INIT(&world.calls);
    for (unsigned i = 0; i < BACKENDS_MOST; i++)
        world.backends[i] = (struct world_backend){.http_version = 2, .body_most = SIZE_MAX, .slow_ms = 1};
    make_place(NULL);
    world.queue = open_queue();
    world.eye = look(SQLITE_OPEN_READWRITE);
    assert_int_equal(uv_loop_init(&world.loop), 0);
}

void world_configure(const char *text, int64_t at_ms)
{
    assert_true(world.config_count < CONFIGS_MOST);
    world.restart_ms[world.config_count] = at_ms;
    world.configs[world.config_count++] = parsed(text);
    log_debug(EVENT_READY, "configuration from %lld on:\n%s", (long long)at_ms, text);
}

struct world_message *world_add(unsigned route, unsigned topic, int64_t at_ms)
{
    assert_true(world.message_count < MESSAGES_MOST);
    struct world_message *message = &world.messages[world.message_count++];
    assert_true(topic < LANES);
    *message = (struct world_message){.route = route, .key = topic, .object = true, .at_ms = at_ms};
    snprintf(message->topic, sizeof message->topic, "r%u/%u", route, topic);
    return message;
}

static void on_idle(void *context)
{
    world.ended = true;
}

static void compare(const char *table, enum fate fate)
{
    int count = 0;
    for (unsigned i = 0; i < world.arrived; i++)
        count += world.messages[i].fate == fate;
    cleanup_free char *sql = xasprintf("select count(*) from %s", table);
    cleanup_free char *found = ask_with(world.eye, sql);
    cleanup_free char *expected = xasprintf("%d", count);
    if (strcmp(found, expected) != 0)
        world_fail("%s: %s instead of %s", table, found, expected);
}

void world_end(void)
{
    for (unsigned i = world.config + 1; i < world.config_count; i++)
        world.restart_ms[i] = INT64_MAX;
    deliver_pause(world.engine, true, on_idle, NULL);
    while (!world.ended)
        if (!step() && !world.ended)
            world_fail("it does not stop");
    rules_look();
    compare("message", WAITING);
    compare("dead_letter", DEAD);
    deliver_free(world.engine);
    while (uv_run(&world.loop, UV_RUN_NOWAIT))
        ;
    assert_int_equal(uv_loop_close(&world.loop), 0);
    sqlite3_close(world.eye);
    queue_close(world.queue);
    remove_place(NULL);
    for (unsigned i = 0; i < world.config_count; i++)
        config_free(world.configs[i]);
}
