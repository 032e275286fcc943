/* deliver/destination.c - a backend's suspicion and budget. See deliver/destination.h. */
#include "deliver/destination.h"

#include <assert.h>

void destination_init(struct destination *destination, unsigned limit_http1, unsigned limit_http2)
{
    *destination = (struct destination){.limit_http1 = limit_http1, .limit_http2 = limit_http2, .window = 1};
}

static unsigned protocol_limit(const struct destination *destination)
{
    switch (destination->http_version) {
    case 0:
        return 1;
    case 1:
        return destination->limit_http1;
    default:
        return destination->limit_http2;
    }
}

unsigned destination_budget(const struct destination *destination)
{
    unsigned limit = protocol_limit(destination);
    return destination->window < limit ? destination->window : limit;
}

bool destination_admits(const struct destination *destination, int64_t now_ms)
{
    if (!scope_admits(&destination->scope, now_ms))
        return false;
    /* A probe is one at a time by itself, and must not wait for requests that
     * were in flight when the suspicion arose and hang. */
    return destination->scope.suspected || destination->in_flight < destination_budget(destination);
}

unsigned destination_started(struct destination *destination)
{
    destination->in_flight++;
    return scope_started(&destination->scope);
}

void destination_ended(struct destination *destination, unsigned http_version)
{
    assert(destination->in_flight > 0);
    destination->in_flight--;
    if (http_version != 0)
        destination->http_version = http_version;
}

bool destination_passed(struct destination *destination, unsigned probe)
{
    if (destination->window < destination->limit_http1 || destination->window < destination->limit_http2)
        destination->window++;
    return scope_passed(&destination->scope, probe);
}

enum scope_step destination_failed(struct destination *destination, enum verdict cause, unsigned probe,
                                   unsigned checks, int64_t now_ms)
{
    enum scope_step step = scope_failed(&destination->scope, cause, probe, checks, now_ms);
    if (step == SCOPE_WAIT)
        destination_slow_down(destination);
    return step;
}

void destination_slow_down(struct destination *destination)
{
    destination->window = 1;
}
