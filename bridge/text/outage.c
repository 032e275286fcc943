/* text/outage.c - see text/outage.h. */
#include "text/outage.h"

#include "text/words.h"

char *words_outage(const struct outage *outage)
{
    char text[WORDS_BYTES];
    struct buf words cleanup_buf;
    buf_init(&words, SIZE_MAX / 4);
    buf_append_text(&words, outage->state);
    if (outage->since_ms > 0)
        buf_printf(&words, " since %s", words_time(outage->since_ms, true, text));
    if (outage->why)
        buf_printf(&words, " (%s)", outage->why);
    if (outage->waiting >= 0)
        buf_printf(&words, ", %s message%s waiting%s", words_number(outage->waiting, text),
                   outage->waiting == 1 ? "" : "s", outage->in_all ? " in all" : "");
    if (outage->trying)
        buf_append_text(&words, outage->probes ? ", probing" : ", trying");
    else if (outage->wait_ms > 0)
        buf_printf(&words, ", next %s in %s", outage->probes ? "probe" : "try",
                   words_duration(outage->wait_ms, text));
    return xstrdup(buf_text(&words));
}
