/* main.c - sluice: a look-up in the table of its commands (cmd/cmd.h). */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const struct command_row rows[] = {
#define ROW(name, synopsis, summary) {#name, synopsis, summary, &cmd_##name},
    COMMANDS(ROW)
#undef ROW
};

static const struct command_table commands = {
    .prefix = "sluice",
    .about = "sluice stores messages from MQTT and HTTP, and delivers them to HTTPS backends.",
    .rows = rows,
    .count = ARRAY_LEN(rows),
    .end = "  sluice --version\n      print the version\n",
};

static void *allocate(size_t bytes)
{
    return xrealloc(NULL, bytes);
}

int main(int argc, char **argv)
{
    /* Out of memory ends the process; otherwise cJSON would leave out fields. */
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate, .free_fn = free});
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("sluice %s\n", SLUICE_VERSION);
        return CMD_EXIT_OK;
    }
    return command_dispatch(&commands, argc, argv);
}
