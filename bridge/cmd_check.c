/* cmd_check.c - sluice check [FILE], or -c FILE as with the other commands: reads the
 * configuration as `run` would, with its secrets and files, and says everything that
 * is wrong with it. */
#include "cmd.h"
#include "config_file.h"
#include "log.h"
#include <stdio.h>
#include <string.h>

int cmd_check(int argc, char **argv)
{
    int at = 1;

    if (at < argc && (strcmp(argv[at], "--") == 0 || (strcmp(argv[at], "-c") == 0 && argc - at > 1))) {
        at++;
    } else if (at < argc && argv[at][0] == '-') {
        fprintf(stderr, "sluice check: unknown option '%s'; usage: sluice check [FILE]\n", argv[at]);
        return CMD_EXIT_USAGE;
    }
    if (argc - at > 1) {
        fprintf(stderr, "sluice check: one file at a time; usage: sluice check [FILE]\n");
        return CMD_EXIT_USAGE;
    }
    const char *path = at < argc ? argv[at] : CMD_DEFAULT_CONFIG;
    struct config_errors errors = {0};

    log_init(LOG_LEVEL_INFO);
    struct config *config = config_file_load(path, &errors);
    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    if (config)
        printf("%s: ok: %zu backends, %zu routes\n", path, config->backend_count, config->route_count);
    int status = config ? CMD_EXIT_OK : CMD_EXIT_FAILED;
    config_free(config);
    config_errors_done(&errors);
    return status;
}
