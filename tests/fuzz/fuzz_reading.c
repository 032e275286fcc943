/* fuzz_reading.c - any payload as a device's reading, and any text as the template of an
 * ack_topic. The state of a device must accept every reading that is parsed. */
#include "fuzz.h"

#include "message/body_reading.h"
#include "message/topic.h"
#include "message/topic_template.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("{\"b\":131099,\"s\":17,\"lo\":16,\"age\":3,\"host\":\"wino-0013a2\",\"soil\":512}"),
    FUZZ_SEED("{\"b\":4294967295,\"s\":4294967295,\"lo\":1,\"age\":4294967296}"),
    FUZZ_SEED("{\"s\":1e0,\"lo\":1.0,\"b\":-0}"),
    FUZZ_SEED("garden/{2}/ack"),
    FUZZ_SEED("{1}{99}/a/"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {
    "{", "}",   "\"b\":", "\"s\":", "\"lo\":", "\"age\":", ",", "1", "4294967295",
    "-", "1e9", "{1}",    "{10}",   "/",       "+",        "#", "$", NULL};

static void check_reading(const uint8_t *data, size_t bytes)
{
    static struct device device; /* after all earlier inputs */
    struct device_reading reading;
    const char *why = NULL;
    int r = body_reading_parse(data, bytes, &reading, &why);
    assert(r == 0 || r == -ENOENT || (r == -EINVAL && why && *why));
    if (r != 0)
        return;
    uint64_t stored = device.stored;
    if (device_receive(&device, &reading) == DEVICE_NEW) {
        device_stored(&device, &reading);
        assert(device.stored == stored + 1);
        assert(device_receive(&device, &reading) == DEVICE_KNOWN);
    }
    assert(device_acknowledged(&device, reading.boot) >= reading.oldest - 1);
}

static void check_template(const char *text)
{
    const char *why = NULL;
    if (!topic_template_valid(text, &why)) {
        assert(why && *why);
        return;
    }
    cleanup_free char *filter = topic_template_filter(text);
    assert(topic_filter_valid(filter, &why));
    cleanup_buf struct buf topic;
    buf_init(&topic, 1 << 20);
    int r = topic_template_expand(text, "a/bb/ccc", &topic);
    assert((r == -ENOENT) == (topic_template_highest_level(text) > 3));
    if (r == 0)
        assert(topic_matches(filter, buf_text(&topic)) && topic_filters_meet(filter, buf_text(&topic)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    cleanup_free char *text = xstrndup((const char *)data, bytes);
    check_reading(data, bytes);
    check_template(text);
    return 0;
}
