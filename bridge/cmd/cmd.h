/* cmd/cmd.h - the subcommands, one per file cmd_NAME.c. Each gets the arguments from
 * its own name on (argv[0] is "run") and returns the exit status. */
#ifndef SLUICE_CMD_H
#define SLUICE_CMD_H

#include <stdio.h>

#define CMD_DEFAULT_CONFIG "/etc/sluice/sluice.conf"

enum cmd_exit {
    CMD_EXIT_OK = 0,      /* done, or stopped on request */
    CMD_EXIT_FAILED = 1,  /* it failed while it ran, or a check found errors */
    CMD_EXIT_USAGE = 2,   /* wrong command line */
    CMD_EXIT_NONE = 3,    /* status: it does not run; queue: there is no such message */
    CMD_EXIT_TROUBLE = 4, /* status: it runs, and something is wrong */
    CMD_EXIT_DATA = 65,   /* send: nothing takes this topic, or it is none (EX_DATAERR) */
    CMD_EXIT_AGAIN = 75,  /* send: it could not be stored now (EX_TEMPFAIL) */
    CMD_EXIT_CONFIG = 78, /* the configuration is invalid (EX_CONFIG of sysexits.h) */
};

int cmd_run(int argc, char **argv);   /* sluice run [-c FILE] [-v] */
int cmd_check(int argc, char **argv); /* sluice check [[-c] FILE] */

int cmd_status(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_send(int argc, char **argv);

/* Commands with commands of their own print their help themselves. */
void cmd_queue_help(FILE *out);

#endif
