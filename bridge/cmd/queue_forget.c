/* cmd/queue_forget.c - sluice queue forget: a session at the broker was removed. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/owner.h"
#include "cmd/queue.h"
#include "queue/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char name[] = "sluice queue forget";

static int forget_in(const char *path, const char *client_id)
{
    struct queue_admin *admin = NULL;
    cleanup_free char *why = NULL;
    if (queue_admin_open(path, true, &admin, &why) != 0) {
        cleanup_free char *owner = owner_fault(path);
        fprintf(stderr, "%s: %s%s%s\n", name, owner ? path : "", owner ? ": " : "", owner ? owner : why);
        return CMD_EXIT_FAILED;
    }
    int error = queue_admin_forget_session(admin, client_id);
    if (error == -ENOENT)
        fprintf(stderr, "%s: %s: no such session was left behind\n", name, client_id);
    else if (error != 0)
        fprintf(stderr, "%s: %s\n", name, queue_admin_error(admin));
    int sync_error = queue_admin_close(admin);
    if (error == 0 && sync_error != 0)
        fprintf(stderr, "%s: %s: the change is not safe on the disk: %s\n", name, path,
                strerror(-sync_error));
    return error == -ENOENT ? CMD_EXIT_NONE : error != 0 || sync_error != 0 ? CMD_EXIT_FAILED : CMD_EXIT_OK;
}

static int forget(const struct command *command, int argc, char **argv)
{
    struct args args = {.command = name, .options = command->options, .argc = argc, .argv = argv};
    const char *config_path = CMD_DEFAULT_CONFIG, *client_id = NULL, *value = NULL;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == ARGS_OPERAND && client_id)
            return args_wrong(&args, "unexpected '%s'", value);
        client_id = letter == ARGS_OPERAND ? value : client_id;
        config_path = letter == 'c' ? value : config_path;
    }
    cleanup_free char *option = args_config(config_path);
    if (!client_id)
        return args_wrong(&args, "which session? Give its client_id; sluice status%s shows it", option);
    struct config_place place;
    int status = locate_queue(name, config_path, &place);
    if (status == CMD_EXIT_OK)
        status = forget_in(place.queue, client_id);
    config_place_done(&place);
    return status;
}

const struct command cmd_queue_forget = {
    .run = forget,
    .options = (const struct command_option[]){{'c', NULL, true}, {0}},
    .help = "Forgets a session that the configuration had before: it was removed at the broker,\n"
            "so sluice status must not report it any longer. It does not remove the session.\n\n"
            "  CLIENT_ID       its client_id, as sluice status shows it\n"
            "  -c FILE         the configuration; default " CMD_DEFAULT_CONFIG "\n",
};
