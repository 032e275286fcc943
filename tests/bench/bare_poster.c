/* bare_poster.c - the program with which sluice's delivery is compared: it uses libcurl's
 * multi interface and nothing else. It makes a workload in memory and posts it, one request
 * for each message, with as many headers as sluice sends. It reuses its easy handles. It has
 * no queue, no order and no retries: any failure ends it.
 *
 *     bare_poster URL CA_FILE COUNT BYTES TOPICS http2|http1.1 IN_FLIGHT
 *
 * With HTTP/2, IN_FLIGHT requests share one connection; with HTTP/1.1, each has
 * its own. After a 2xx response to every message it waits for SIGTERM, so that its CPU time
 * and memory can be read, and ends with status 0.
 */
#include "workload.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdbool.h>

struct slot {
    CURL *easy;
    struct curl_slist *headers;
    char payload[WORKLOAD_BYTES_MAX + 1];
};

struct poster {
    CURLM *multi;
    const char *url;
    const char *ca_file;
    unsigned count;
    unsigned bytes;
    unsigned topics;
    bool http2;
    unsigned started;
    unsigned responses;
};

static size_t discard(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static void header(struct slot *slot, const char *text)
{
    struct curl_slist *longer = curl_slist_append(slot->headers, text);

    if (longer == NULL)
        abort();
    slot->headers = longer;
}

/* The headers that sluice sends, of the same lengths. They are made for each message,
 * because most of them differ from message to message. */
static void start_next(struct poster *poster, struct slot *slot)
{
    char topic[WORKLOAD_TOPIC_SIZE];
    char text[WORKLOAD_TOPIC_SIZE + 64];
    unsigned n = poster->started++;

    workload_topic(topic, n, poster->topics);
    workload_payload(slot->payload, poster->bytes, n, workload_now_ns());
    curl_slist_free_all(slot->headers);
    slot->headers = NULL;
    header(slot, "Content-Type: application/json");
    snprintf(text, sizeof(text), "Idempotency-Key: 0123456789abcdef-%u", n + 1);
    header(slot, text);
    snprintf(text, sizeof(text), "Sluice-Topic: %s", topic);
    header(slot, text);
    header(slot, "Sluice-Received: 2026-11-22T17:33:16.123Z");
    snprintf(text, sizeof(text), "Sluice-Age: %u", 10000 + n);
    header(slot, text);

    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->payload);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)poster->bytes);
    curl_multi_add_handle(poster->multi, slot->easy);
}

static void slot_init(struct poster *poster, struct slot *slot)
{
    slot->easy = curl_easy_init();
    if (slot->easy == NULL)
        abort();
    curl_easy_setopt(slot->easy, CURLOPT_URL, poster->url);
    curl_easy_setopt(slot->easy, CURLOPT_CAINFO, poster->ca_file);
    curl_easy_setopt(slot->easy, CURLOPT_USERAGENT, "sluice/0.1.0");
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION,
                     poster->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(slot->easy, CURLOPT_PIPEWAIT, poster->http2 ? 1L : 0L);
}

/* Returns false when a request failed. */
static bool take_responses(struct poster *poster)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(poster->multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        struct slot *slot = NULL;
        long status = 0;

        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
        if (result != CURLE_OK || status / 100 != 2) {
            fprintf(stderr, "bare_poster: %s, status %ld\n", curl_easy_strerror(result), status);
            return false;
        }
        poster->responses++;
        curl_multi_remove_handle(poster->multi, easy);
        if (poster->started < poster->count)
            start_next(poster, slot);
    }
    return true;
}

static bool post_all(struct poster *poster)
{
    int running;

    while (poster->responses < poster->count) {
        if (curl_multi_perform(poster->multi, &running) != CURLM_OK)
            return false;
        unsigned before = poster->started;
        if (!take_responses(poster))
            return false;
        /* A request that was just added can be sent at once. */
        if (poster->started == before)
            curl_multi_poll(poster->multi, NULL, 0, 1000, NULL);
    }
    return true;
}

static void await_sigterm(void)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigwait(&set, &number);
}

int main(int argc, char **argv)
{
    sigset_t set;

    if (argc != 8) {
        fprintf(stderr, "usage: bare_poster URL CA_FILE COUNT BYTES TOPICS http2|http1.1 IN_FLIGHT\n");
        return 2;
    }
    struct poster poster = {
        .url = argv[1],
        .ca_file = argv[2],
        .count = workload_number(argv[3], 1, 100000000),
        .bytes = workload_number(argv[4], WORKLOAD_BYTES_MIN, WORKLOAD_BYTES_MAX),
        .topics = workload_number(argv[5], 1, 99999),
        .http2 = strcmp(argv[6], "http2") == 0,
    };
    unsigned slots = workload_number(argv[7], 1, 1000);

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    poster.multi = curl_multi_init();
    struct slot *slot = calloc(slots, sizeof(*slot));
    if (poster.multi == NULL || slot == NULL)
        abort();
    curl_multi_setopt(poster.multi, CURLMOPT_MAX_HOST_CONNECTIONS, poster.http2 ? 1L : (long)slots);
    for (unsigned i = 0; i < slots; i++) {
        slot_init(&poster, &slot[i]);
        if (poster.started < poster.count)
            start_next(&poster, &slot[i]);
    }
    if (!post_all(&poster))
        return 1;
    await_sigterm();

    for (unsigned i = 0; i < slots; i++) {
        curl_easy_cleanup(slot[i].easy);
        curl_slist_free_all(slot[i].headers);
    }
    curl_multi_cleanup(poster.multi);
    free(slot);
    curl_global_cleanup();
    return 0;
}
