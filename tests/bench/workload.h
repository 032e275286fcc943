/* workload.h - the messages of the benchmarks, the same in all programs that send them:
 * message number n has exactly `bytes` bytes, and one of `topics` topics in turn.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKLOAD_BYTES_MIN  64
#define WORKLOAD_BYTES_MAX  4096
#define WORKLOAD_TOPIC_SIZE 64

static inline int64_t workload_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A JSON reading, padded to its length; sent_ns is when it was published
 * (CLOCK_MONOTONIC, which all processes of one machine share). */
static inline void workload_payload(char payload[static WORKLOAD_BYTES_MAX + 1], size_t bytes, unsigned n,
                                    int64_t sent_ns)
{
    int head = snprintf(payload, WORKLOAD_BYTES_MAX + 1, "{\"n\":%u,\"sent_ns\":%lld,\"pad\":\"", n,
                        (long long)sent_ns);

    memset(payload + head, 'x', bytes - (size_t)head - 2);
    memcpy(payload + bytes - 2, "\"}", 3);
}

static inline void workload_topic(char topic[static WORKLOAD_TOPIC_SIZE], unsigned n, unsigned topics)
{
    snprintf(topic, WORKLOAD_TOPIC_SIZE, "bench/device-%05u/reading", n % topics);
}

/* A number from the command line; an invalid one ends the program. */
static inline unsigned workload_number(const char *text, unsigned least, unsigned most)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "'%s': must be a number from %u to %u\n", text, least, most);
        exit(2);
    }
    return (unsigned)value;
}

#endif
