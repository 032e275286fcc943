/* cmd/check.c - sluice check [[-c] FILE]: reads the configuration as `run` would, with
 * its secrets and files, and says everything that is wrong with it. */
#include "base/log.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "config/file.h"

#include <stdio.h>

static const struct cmd_option options[] = {{'c', NULL, true}};

int cmd_check(int argc, char **argv)
{
    struct cmd_args args = {.command = "sluice check",
                            .options = options,
                            .option_count = ARRAY_LEN(options),
                            .argc = argc - 1,
                            .argv = argv + 1};
    const char *given = NULL, *value = NULL;
    int letter;
    while ((letter = cmd_args_next(&args, &value)) != CMD_ARG_END) {
        if (letter == CMD_ARG_WRONG)
            return CMD_EXIT_USAGE;
        if (given)
            return cmd_args_wrong(&args, "unexpected '%s': one file at a time", value);
        given = value;
    }
    const char *path = given ? given : CMD_DEFAULT_CONFIG;
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
