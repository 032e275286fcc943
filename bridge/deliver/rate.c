/* deliver/rate.c - see deliver/rate.h. */
#include "deliver/rate.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)

static uint32_t *slot(struct rate *rate, int64_t ms)
{
    return &rate->window[(uint64_t)ms % RATE_WINDOW_MS];
}

/* Moves the window's end to now. A time that steps back moves nothing. */
static void advance(struct rate *rate, int64_t now_ms)
{
    if (now_ms <= rate->window_end_ms)
        return;
    if ((uint64_t)now_ms - (uint64_t)rate->window_end_ms >= RATE_WINDOW_MS) {
        memset(rate->window, 0, sizeof rate->window);
        rate->in_window = 0;
    } else {
        for (int64_t ms = rate->window_end_ms + 1; ms <= now_ms; ms++) {
            rate->in_window -= *slot(rate, ms);
            *slot(rate, ms) = 0;
        }
    }
    rate->window_end_ms = now_ms;
}

void rate_init(struct rate *rate, unsigned per_s, int64_t now_ms)
{
    *rate = (struct rate){.per_s = per_s, .window_end_ms = now_ms, .next_us = INT64_MIN};
}

unsigned rate_most(const struct rate *rate)
{
    return rate->per_s > 0 ? rate->per_s : UINT_MAX;
}

/* Until the window has room for them. */
static int64_t window_wait_ms(struct rate *rate, unsigned messages)
{
    uint64_t left = rate->in_window;
    int64_t wait_ms = 0;
    while (left + messages > rate->per_s) {
        wait_ms++;
        left -= *slot(rate, rate->window_end_ms + wait_ms);
    }
    return wait_ms;
}

int64_t rate_wait_ms(struct rate *rate, unsigned messages, int64_t now_ms)
{
    assert(messages <= rate_most(rate));
    if (rate->per_s == 0)
        return 0;
    advance(rate, now_ms);
    int64_t wait_ms = window_wait_ms(rate, messages), late_ms = rate->window_end_ms - now_ms;
    int64_t even_us = rate->next_us > now_ms * US_PER_MS ? rate->next_us - now_ms * US_PER_MS : 0;
    int64_t even_ms = (even_us + US_PER_MS - 1) / US_PER_MS;
    wait_ms = wait_ms > 0 ? wait_ms + late_ms : 0;
    return wait_ms > even_ms ? wait_ms : even_ms;
}

void rate_take(struct rate *rate, unsigned messages, int64_t now_ms)
{
    if (rate->per_s == 0)
        return;
    int64_t wait_ms = rate_wait_ms(rate, messages, now_ms);
    assert(wait_ms == 0);
    (void)wait_ms;
    *slot(rate, rate->window_end_ms) += messages;
    rate->in_window += messages;
    int64_t now_us = now_ms * US_PER_MS, pause_us = (int64_t)messages * US_PER_S / rate->per_s;
    /* What rounding to milliseconds cost counts for the next one. */
    bool on_time = rate->next_us > now_us - US_PER_MS;
    rate->next_us = (on_time ? rate->next_us : now_us) + pause_us;
}
