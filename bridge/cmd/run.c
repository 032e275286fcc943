/* cmd/run.c - sluice run [-c FILE] [-v]: reads the configuration and becomes the
 * daemon. */
#include "base/log.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "config/file.h"
#include "daemon/daemon.h"

static const struct cmd_option options[] = {{'c', NULL, true}, {'v', NULL, false}};

int cmd_run(int argc, char **argv)
{
    struct cmd_args args = {.command = "sluice run",
                            .options = options,
                            .option_count = ARRAY_LEN(options),
                            .argc = argc - 1,
                            .argv = argv + 1};
    const char *path = CMD_DEFAULT_CONFIG, *value = NULL;
    enum log_level level = LOG_LEVEL_INFO;
    int letter;
    while ((letter = cmd_args_next(&args, &value)) != CMD_ARG_END) {
        if (letter == CMD_ARG_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == CMD_ARG_OPERAND)
            return cmd_args_wrong(&args, "unexpected '%s'", value);
        if (letter == 'c')
            path = value;
        else
            level = LOG_LEVEL_DEBUG;
    }

    log_init(level);
    struct config_errors errors = {0};
    struct config *config = config_file_load(path, &errors);
    for (size_t i = 0; i < errors.count; i++)
        log_error(EVENT_CONFIG_ERROR, "%s", errors.lines[i]);
    config_errors_done(&errors);
    if (!config)
        return CMD_EXIT_CONFIG;
    log_limit(config->daemon.log_level);
    return daemon_run(path, config);
}
