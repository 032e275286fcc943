/* control/protocol.c - see control/protocol.h. */
#include "control/protocol.h"

#include <string.h>

static const char *const words[CONTROL_RESULTS] = {
    [CONTROL_STORED] = "stored",     [CONTROL_DROPPED] = "dropped", [CONTROL_AHEAD] = "ahead",
    [CONTROL_UNROUTED] = "unrouted", [CONTROL_WRONG] = "wrong",     [CONTROL_FULL] = "full",
    [CONTROL_FAILED] = "failed",
};

const char *control_result_word(enum control_result result)
{
    return words[result];
}

enum control_result control_result_parse(const char *line, const char **ret_reason)
{
    size_t bytes = strcspn(line, " ");
    *ret_reason = line + bytes + (line[bytes] == ' ');
    enum control_result result = CONTROL_STORED;
    while (result < CONTROL_RESULTS &&
           (strlen(words[result]) != bytes || strncmp(words[result], line, bytes) != 0))
        result++;
    return result;
}
