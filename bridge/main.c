/* main.c - sluice: a table of subcommands, and a look-up in it.
 *
 * Exit statuses (cmd/cmd.h): 0 done or stopped on request, 1 failed, 2 wrong command
 * line, 78 `run` found the configuration invalid.
 */
#include "base/base.h"
#include "cmd/cmd.h"
#include "text/nearest.h"
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *synopsis;
    const char *summary;
    const char *help;
} commands[] = {
    {"run", cmd_run, "run [-c FILE] [-v]", "carry messages until stopped",
     "Takes messages from the MQTT broker, stores them, and delivers them over HTTPS.\n"
     "Logs to standard error. SIGTERM and SIGINT stop it within 5 seconds without\n"
     "losing anything; SIGHUP makes it read its backends and routes again.\n"
     "\n"
     "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
     "  -v       log everything, whatever log_level says\n"
     "\n"
     "Exit status: 0 stopped on request, 1 it failed while running, 2 wrong command\n"
     "line, 78 the configuration is invalid.\n"},
    {"status", cmd_status, "status [--json]", "say how it is, and what is wrong",
     "Says whether sluice runs, how broker, backends and routes are, why, and until\n"
     "when; what waits in the queue, what was set aside or dropped, and how disk and\n"
     "clock are. What is wrong comes last. Works on a stopped sluice, too.\n"
     "\n"
     "  --json       the same and more, for programs\n"
     "  -q, --quiet  print nothing; the exit status says it\n"
     "  -c FILE      the configuration; default " CMD_DEFAULT_CONFIG "\n"
     "\n"
     "Exit status: 0 it runs and all is well, 1 that cannot be told, 2 wrong command\n"
     "line, 3 it is stopped, 4 it runs and something is wrong, 78 the configuration\n"
     "cannot be read.\n"},
    {"queue", cmd_queue, "queue COMMAND ...", "look into the queue and mend it", NULL},
    {"send", cmd_send, "send TOPIC [PAYLOAD | - | -l]", "put a message into the queue",
     "Puts a message into the queue as if it had come by MQTT: through a running\n"
     "sluice, or into the queue of one that is stopped. Ends with 0 only when it is\n"
     "on the disk.\n"
     "\n"
     "  TOPIC    goes to every route whose topic filter matches\n"
     "  PAYLOAD  as it is, at most 1 MiB; default: none; after -- if it begins with -\n"
     "  -        the payload is standard input, all of it\n"
     "  -l       each line of standard input is a payload, until it ends, as in\n"
     "               sluice send -l garden/usb/sensor </dev/ttyUSB0\n"
     "           Blank lines are left out. What cannot be stored now is tried again;\n"
     "           where sluice ends before it answers, a line may be stored twice.\n"
     "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
     "\n"
     "Exit status: 0 stored, 1 it failed, 2 wrong command line, 65 no route takes the\n"
     "topic, it is none, or the payload is too long, 75 not stored now: try again, 78\n"
     "the configuration cannot be read.\n"},
    {"check", cmd_check, "check [[-c] FILE]", "say all that is wrong in a configuration",
     "Reads a configuration with its conf.d, its secrets and the files it names, and\n"
     "prints every error as FILE:LINE: what is wrong and what would be right.\n"
     "\n"
     "  FILE     the configuration; default " CMD_DEFAULT_CONFIG "\n"
     "\n"
     "Exit status: 0 it is valid, 1 it is not, 2 wrong command line.\n"},
};

static size_t find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static void print_help(FILE *out)
{
    fputs("sluice carries messages from an MQTT broker to HTTPS backends, and loses none.\n\nusage:\n", out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  sluice %-30s %s\n", commands[i].synopsis, commands[i].summary);
    fputs("  sluice help [COMMAND]                 say more about a command\n"
          "  sluice --version                      print the version\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *known[ARRAY_LEN(commands) + 1];

    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        known[i] = commands[i].name;
    known[ARRAY_LEN(commands)] = "help";
    size_t near = nearest_find(name, known, ARRAY_LEN(known));
    if (near != SIZE_MAX)
        fprintf(stderr, "sluice: unknown command '%s'; did you mean '%s'?\n", name, known[near]);
    else
        fprintf(stderr, "sluice: unknown command '%s'; sluice --help lists them\n", name);
    return CMD_EXIT_USAGE;
}

static int help(const char *name)
{
    if (!name || strcmp(name, "help") == 0) {
        print_help(stdout);
        return CMD_EXIT_OK;
    }
    size_t i = find(name);
    if (i == SIZE_MAX)
        return unknown_command(name);
    if (commands[i].help)
        printf("usage: sluice %s\n\n%s", commands[i].synopsis, commands[i].help);
    else
        cmd_queue_help(stdout);
    return CMD_EXIT_OK;
}

static void *allocate(size_t bytes)
{
    return xrealloc(NULL, bytes);
}

int main(int argc, char **argv)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate, .free_fn = free}); /* nothing is left out */
    if (argc < 2) {
        print_help(stderr);
        return CMD_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0) {
        printf("sluice %s\n", SLUICE_VERSION);
        return CMD_EXIT_OK;
    }
    size_t i = find(argv[1]);
    if (i == SIZE_MAX)
        return unknown_command(argv[1]);
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return help(argv[1]);
    return commands[i].run(argc - 1, argv + 1);
}
