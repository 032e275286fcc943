/* cmd/queue.c - sluice queue: the table of its commands, which work beside a running sluice
 * and on a stopped one. */
#include "cmd/queue.h"
#include "cmd/cmd.h"

static const struct command_row rows[] = {
#define ROW(name, synopsis, summary) {#name, synopsis, summary, &cmd_queue_##name},
    QUEUE_COMMANDS(ROW)
#undef ROW
};

static const struct command_table commands = {
    .prefix = "sluice queue",
    .about = "Looks into the queue and changes it, beside a running sluice or without one.",
    .rows = rows,
    .count = ARRAY_LEN(rows),
    .end = "\n"
           "Exit status: 0 done, 1 failed, 2 wrong command line, 3 there is no message with\n"
           "such an ID (show, retry, drop), 78 the configuration cannot be read.\n",
};

const struct command cmd_queue = {.commands = &commands};
