/* cmd/reload.c - sluice reload: makes a running sluice read its configuration again, and waits
 * for the outcome. */
#include "cmd/args.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"

#include <errno.h>
#include <stdio.h>

static int report_failure(int error, const char *socket)
{
    if (error == -ENOENT || error == -ECONNREFUSED) {
        fprintf(stderr, "sluice reload: sluice is stopped, or does not listen at %s\n", socket);
        return CMD_EXIT_NONE;
    }
    cleanup_free char *why = client_why(error, socket, 0);
    fprintf(stderr, "sluice reload: %s; its log has the outcome\n", why);
    return CMD_EXIT_FAILED;
}

static int reload(const struct command *command, int argc, char **argv)
{
    struct args args = {.command = "sluice reload", .options = command->options, .argc = argc, .argv = argv};
    const char *config_path = CMD_DEFAULT_CONFIG, *value = NULL;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == ARGS_OPERAND)
            return args_wrong(&args, "unexpected '%s'", value);
        config_path = value;
    }
    struct config_place place;
    int exit = locate_queue("sluice reload", config_path, &place);
    if (exit != CMD_EXIT_OK)
        return exit;
    bool refused = false;
    cleanup_free char *lines = NULL;
    int error = client_reload(&place, &refused, &lines);
    if (error != 0)
        exit = report_failure(error, place.socket);
    else
        fputs(lines, stderr);
    if (refused) {
        fputs("sluice reload: refused; the earlier configuration stays in force\n", stderr);
        exit = CMD_EXIT_FAILED;
    }
    config_place_done(&place);
    return exit;
}

const struct command cmd_reload = {
    .run = reload,
    .options = (const struct command_option[]){{'c', NULL, true}, {0}},
    .help = "Makes a running sluice read its configuration again, and waits until it is in\n"
            "force. If it has errors, prints them, and nothing changes. Changes that need a\n"
            "restart are printed, too.\n"
            "\n"
            "  -c FILE  the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "\n"
            "Exit status: 0 the configuration is in force, 1 it has errors or the outcome is\n"
            "unknown, 2 wrong command line, 3 sluice is stopped, 78 the configuration cannot\n"
            "be read.\n",
};
