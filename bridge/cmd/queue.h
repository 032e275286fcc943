/* cmd/queue.h - the commands of `sluice queue`.
 *
 *   cmd/queue.c         the table
 *   cmd/queue_list.c    ls, count, export
 *   cmd/queue_show.c    show
 *   cmd/queue_change.c  retry, drop
 *   cmd/queue_forget.c  forget
 *   cmd/queue_open.c    the command line, and the queue that it names
 */
#ifndef SLUICE_CMD_QUEUE_H
#define SLUICE_CMD_QUEUE_H

#include "cmd/command.h"

/* clang-format off */
#define QUEUE_COMMANDS(COMMAND) \
    COMMAND(ls, "[OPTION ...] [ID ...]", "list messages, the newest last") \
    COMMAND(show, "[-c FILE] [--json] ID ...", "print everything about a message") \
    COMMAND(retry, "OPTION ... | ID ...", "deliver dead letters and deferred messages again") \
    COMMAND(drop, "OPTION ... | ID ...", "delete messages for ever") \
    COMMAND(export, "[OPTION ...] [ID ...]", "write messages as JSON, one a line") \
    COMMAND(count, "[OPTION ...] [ID ...]", "print the number of messages") \
    COMMAND(forget, "[-c FILE] CLIENT_ID", "say that a session was removed at the broker")
/* clang-format on */

#define QUEUE_DECLARE(name, synopsis, summary) extern const struct command cmd_queue_##name;
QUEUE_COMMANDS(QUEUE_DECLARE)
#undef QUEUE_DECLARE

#endif
