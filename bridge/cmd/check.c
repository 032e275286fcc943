/* cmd/check.c - sluice check: reads the configuration as `run` does, with its secrets and
 * files, and reports every error in one round. The configuration of the service must be right for the
 * service, which sees less than root does (cmd/service.h). */
#include "base/disk.h"
#include "base/log.h"
#include "cmd/args.h"
#include "cmd/broker_files.h"
#include "cmd/cmd.h"
#include "cmd/inspect.h"
#include "cmd/service.h"
#include "cmd/unit_lines.h"
#include "daemon/descriptors.h"

#include <stdio.h>

/* What keeps messages out, or may lose them, though the configuration itself is right. */
static void warn(const char *path, const struct config *config, const struct broker_files *files, bool ok)
{
    struct config_errors warnings = {0};
    broker_files_judge(files, config, &warnings);
    inspect_literals(config, &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        fprintf(stderr, "%s: warning: %s\n", path, warnings.lines[i]);
    if (ok && disk_volatile(config->queue.path))
        fprintf(stderr, "%s: warning: [queue]: path = %s: %s\n", path, config->queue.path,
                disk_volatile(config->queue.path));
    config_errors_done(&warnings);
}

/* seen: how it was checked, or NULL. */
static void print_ok(const char *path, const struct config *config, const char *seen)
{
    cleanup_free char *counts = config_counts(config);
    printf("%s: ok: %s%s%s\n", path, counts, seen ? "; " : "", seen ? seen : "");
}

/* Prints all that is wrong. Returns an exit status. */
static int examine(const char *path)
{
    struct config_errors errors = {0};
    bool valid = false;
    struct broker_files files = broker_files_read(CMD_MOSQUITTO);
    struct service *service = service_find(path, &errors);
    struct config_view view = service ? service_view(service) : (struct config_view){0};
    struct config *config = config_file_examine(path, service ? &view : NULL, &errors, &valid);
    cleanup_free char *seen = service ? service_describe(service) : NULL;
    if (config)
        inspect_config(config, path, service, &errors);
    if (service)
        unit_lines_inspect(service, &errors);
    if (valid)
        descriptors_suffice(config, path, &errors);
    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    if (config)
        warn(path, config, &files, errors.count == 0);
    if (errors.count == 0)
        print_ok(path, config, seen);
    else if (seen)
        fprintf(stderr, "%s: %s\n", path, seen);
    int status = errors.count == 0 ? CMD_EXIT_OK : CMD_EXIT_FAILED;
    config_free(config);
    service_free(service);
    broker_files_done(&files);
    config_errors_done(&errors);
    return status;
}

static int check(const struct command *command, int argc, char **argv)
{
    struct args args = {.command = "sluice check", .options = command->options, .argc = argc, .argv = argv};
    const char *given = NULL, *value = NULL;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (given)
            return args_wrong(&args, "unexpected '%s': one file at a time", value);
        given = value;
    }
    log_init(LOG_LEVEL_INFO);
    return examine(given ? given : CMD_DEFAULT_CONFIG);
}

const struct command cmd_check = {
    .run = check,
    .options = (const struct command_option[]){{'c', NULL, true}, {0}},
    .help = "Reads a configuration with its conf.d, its secrets and the files that it names.\n"
            "Prints each error as FILE:LINE: what is wrong, and what would be right. A route\n"
            "that the ACL of Mosquitto on this machine makes useless is a warning, and so is\n"
            "a damaged database of Mosquitto. Root checks the service's configuration as\n"
            "sluice.service sees it: with its user, its sandbox and its credentials. A line\n"
            "of this unit that keeps the service from starting is an error, too.\n"
            "\n"
            "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "\n"
            "Exit status: 0 it is valid, 1 it is not, 2 wrong command line.\n",
};
