/* cmd_run.c - sluice run [-c FILE] [-v]: reads the configuration and becomes the
 * daemon. */
#include "cmd.h"
#include "config_file.h"
#include "daemon.h"
#include "log.h"

#include <stdio.h>
#include <unistd.h>

int cmd_run(int argc, char **argv)
{
    const char *path = CMD_DEFAULT_CONFIG;
    enum log_level level = LOG_LEVEL_INFO;
    int option;
    opterr = 0;
    while ((option = getopt(argc, argv, "c:v")) != -1) {
        if (option == 'c') {
            path = optarg;
        } else if (option == 'v') {
            level = LOG_LEVEL_DEBUG;
        } else {
            fprintf(stderr,
                    "sluice run: unknown option or missing value; usage: sluice run [-c FILE] [-v]\n");
            return CMD_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluice run: unexpected '%s'; usage: sluice run [-c FILE] [-v]\n", argv[optind]);
        return CMD_EXIT_USAGE;
    }

    log_init(level);
    struct config_errors errors = {0};
    struct config *config = config_file_load(path, &errors);
    for (size_t i = 0; i < errors.count; i++)
        log_error("%s", errors.lines[i]);
    config_errors_done(&errors);
    if (!config)
        return CMD_EXIT_CONFIG;
    log_limit(config->daemon.log_level);
    return daemon_run(path, config);
}
