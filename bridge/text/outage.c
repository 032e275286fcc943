/* text/outage.c - see text/outage.h. */
#include "text/outage.h"

#include "base/buf.h"
#include "text/units.h"

char *outage_text(const struct outage *outage)
{
    char text[UNITS_BYTES];
    struct buf line cleanup_buf;
    buf_init(&line, BUF_MOST_BYTES);
    buf_append_text(&line, outage->state);
    if (outage->since_ms > 0)
        buf_printf(&line, " since %s", units_time(outage->since_ms, true, text));
    if (outage->why)
        buf_printf(&line, " (%s)", outage->why);
    if (outage->waiting >= 0)
        buf_printf(&line, ", %s message%s waiting%s", units_count(outage->waiting, text),
                   outage->waiting == 1 ? "" : "s", outage->in_all ? " in all" : "");
    if (outage->trying)
        buf_append_text(&line, outage->probes ? ", probing" : ", trying");
    else if (outage->wait_ms > 0)
        buf_printf(&line, ", next %s in %s", outage->probes ? "probe" : "try",
                   units_duration(outage->wait_ms, text));
    return xstrdup(buf_text(&line));
}
