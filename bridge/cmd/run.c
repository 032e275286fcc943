/* cmd/run.c - sluice run: reads the configuration and becomes the daemon. */
#include "base/log.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/owner.h"
#include "daemon/daemon.h"
#include "daemon/descriptors.h"
#include "daemon/kept_config.h"
#include "text/units.h"

#include <unistd.h>

static void log_errors(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        log_error(EVENT_CONFIG_ERROR, "%s", errors->lines[i]);
    config_errors_done(errors);
}

/* At a terminal there is a person, who corrects the files. */
static struct config *load(const char *path, int64_t *ret_kept_ms)
{
    struct config_errors errors = {0};
    char time[UNITS_BYTES];
    struct config *config = descriptors_load_config(path, &errors);
    log_errors(&errors);
    if (config || isatty(STDERR_FILENO))
        return config;
    config = kept_config_load(path, &errors, ret_kept_ms);
    log_errors(&errors);
    if (config)
        log_error(
            EVENT_CONFIG_FALLBACK,
            "%s: sluice starts with the last configuration that was in force, of %s: correct the errors, "
            "then reload",
            path, units_time(*ret_kept_ms, false, time));
    return config;
}

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
    int64_t kept_ms = 0;
    struct config *config = load(path, &kept_ms);
    if (!config)
        return CMD_EXIT_CONFIG;
    cleanup_free char *why = owner_run_fault(path, config->queue.path);
    if (why) {
        log_error(EVENT_QUEUE_UNUSABLE, "%s", why);
        config_free(config);
        return CMD_EXIT_FAILED;
    }
    log_limit(config->daemon.log_level);
    return daemon_run(path, config, kept_ms);
}

const struct command cmd_run = {
    .run = run,
    .options = (const struct command_option[]){{'c', NULL, true}, {'v', NULL, false}, {0}},
    .help = "Takes messages from the MQTT broker, stores them, and delivers them over HTTPS.\n"
            "Logs to standard error. SIGTERM and SIGINT stop it within 5 seconds, and no\n"
            "message is lost; SIGHUP makes it read its backends, routes and limits again.\n"
            "If the configuration has errors, it uses the last one that was in force, unless\n"
            "standard error is a terminal.\n"
            "\n"
            "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "  -v       log everything, whatever log_level is\n"
            "\n"
            "Exit status: 0 stopped on request, 1 failed, 2 wrong command line, 78 the\n"
            "configuration is invalid.\n",
};
