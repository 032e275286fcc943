/* cmd/cmd.h - the commands of sluice, and their exit statuses.
 *
 * Each command NAME is in cmd/NAME.c, which defines cmd_NAME. A row is one line, because
 * config/man_pages.cmake reads it.
 *
 *     COMMAND(name, "synopsis", "summary")
 */
#ifndef SLUICE_CMD_H
#define SLUICE_CMD_H

#include "cmd/command.h"

#define CMD_DEFAULT_CONFIG "/etc/sluice/sluice.conf"
#define CMD_MOSQUITTO      "/etc/mosquitto" /* the configuration of the broker on this machine */

/* clang-format off */
#define COMMANDS(COMMAND) \
    COMMAND(run, "[-c FILE] [-v]", "carry messages until stopped") \
    COMMAND(status, "[-c FILE] [--json | -q]", "report how sluice works, and what is wrong") \
    COMMAND(reload, "[-c FILE]", "put a changed configuration in force") \
    COMMAND(queue, "COMMAND [OPTION ...] [ID ...]", "look into the queue, and change it") \
    COMMAND(send, "[-c FILE] TOPIC PAYLOAD | - | -l", "put a message into the queue") \
    COMMAND(check, "[[-c] FILE]", "report every error in a configuration")
/* clang-format on */

#define CMD_DECLARE(name, synopsis, summary) extern const struct command cmd_##name;
COMMANDS(CMD_DECLARE)
#undef CMD_DECLARE

enum cmd_exit {
    CMD_EXIT_OK = 0,      /* done, or stopped on request */
    CMD_EXIT_FAILED = 1,  /* it failed while it ran, or a check found errors */
    CMD_EXIT_USAGE = 2,   /* wrong command line */
    CMD_EXIT_NONE = 3,    /* status: sluice is stopped; queue: there is no such message */
    CMD_EXIT_TROUBLE = 4, /* status: sluice runs, and something is wrong */
    CMD_EXIT_DATA = 65,   /* send: no route takes the topic, or it is invalid (EX_DATAERR) */
    CMD_EXIT_AGAIN = 75,  /* send: it could not be stored now (EX_TEMPFAIL) */
    CMD_EXIT_CONFIG = 78, /* the configuration is invalid (EX_CONFIG of sysexits.h) */
};

#endif
