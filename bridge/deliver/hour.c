/* deliver/hour.c - see deliver/hour.h. */
#include "deliver/hour.h"

void hour_note(struct hour *hour, const struct hour_count *more, int64_t now_ms)
{
    int64_t part = now_ms / HOUR_PART_MS;
    for (int64_t fresh = part; fresh > hour->part && fresh > part - HOUR_PARTS && fresh >= 0; fresh--)
        hour->parts[fresh % HOUR_PARTS] = (struct hour_count){.dead = 0};
    hour->part = part;
    hour->parts[part % HOUR_PARTS].delivered += more->delivered;
    hour->parts[part % HOUR_PARTS].dead += more->dead;
}

struct hour_count hour_sum(const struct hour *hour, int64_t now_ms)
{
    struct hour_count sum = {.dead = 0};
    int64_t oldest = now_ms / HOUR_PART_MS - HOUR_PARTS + 1;
    for (int64_t part = hour->part; part >= oldest && part > hour->part - HOUR_PARTS && part >= 0; part--) {
        sum.delivered += hour->parts[part % HOUR_PARTS].delivered;
        sum.dead += hour->parts[part % HOUR_PARTS].dead;
    }
    return sum;
}
