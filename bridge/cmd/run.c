/* cmd/run.c - sluice run: reads the configuration and becomes the daemon. */
#include "base/log.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "daemon/daemon.h"
#include "daemon/descriptors.h"

static int run(const struct command *command, int argc, char **argv)
{
    struct args args = {.command = "sluice run", .options = command->options, .argc = argc, .argv = argv};
    const char *path = CMD_DEFAULT_CONFIG, *value = NULL;
    enum log_level level = LOG_LEVEL_INFO;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == ARGS_OPERAND)
            return args_wrong(&args, "unexpected '%s'", value);
        if (letter == 'c')
            path = value;
        else
            level = LOG_LEVEL_DEBUG;
    }

    log_init(level);
    struct config_errors errors = {0};
    struct config *config = descriptors_load_config(path, &errors);
    for (size_t i = 0; i < errors.count; i++)
        log_error(EVENT_CONFIG_ERROR, "%s", errors.lines[i]);
    config_errors_done(&errors);
    if (!config)
        return CMD_EXIT_CONFIG;
    log_limit(config->daemon.log_level);
    return daemon_run(path, config);
}

const struct command cmd_run = {
    .run = run,
    .options = (const struct command_option[]){{'c', NULL, true}, {'v', NULL, false}, {0}},
    .help = "Takes messages from the MQTT broker, stores them, and delivers them over HTTPS.\n"
            "Logs to standard error. SIGTERM and SIGINT stop it within 5 seconds, and no\n"
            "message is lost; SIGHUP makes it read its backends, routes and limits again.\n"
            "\n"
            "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "  -v       log everything, whatever log_level is\n"
            "\n"
            "Exit status: 0 stopped on request, 1 failed, 2 wrong command line, 78 the\n"
            "configuration is invalid.\n",
};
