/* text/filling.c - see text/filling.h. */
#include "text/filling.h"
#include "text/units.h"

char *filling_text(int64_t waiting, int64_t dead_letters, int64_t dead_bytes)
{
    char messages[UNITS_BYTES], letters[UNITS_BYTES], bytes[UNITS_BYTES];
    return xasprintf("%s %s, %s %s %s", units_count(waiting, messages),
                     waiting == 1 ? "message waits" : "messages wait", units_count(dead_letters, letters),
                     dead_letters == 1 ? "dead letter takes" : "dead letters take",
                     units_size(dead_bytes, bytes));
}
