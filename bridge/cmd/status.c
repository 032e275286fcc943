/* cmd/status.c - sluice status [--json]: the state of sluice, and what is wrong. */
#include "cmd/args.h"
#include "cmd/broker_files.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/status_facts.h"
#include "cmd/status_print.h"
#include "cmd/terminal.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static void print_json(const struct status_facts *facts)
{
    cJSON *json = cJSON_CreateObject();
    status_add_text(json, STATUS_STATE, status_facts_state(facts));
    cJSON *problems = status_add_list(json, STATUS_PROBLEMS);
    for (size_t i = 0; i < facts->problem_count; i++)
        cJSON_AddItemToArray(problems, cJSON_CreateString(facts->problems[i]));
    if (facts->no_daemon)
        status_add_text(json, STATUS_NO_ANSWER, facts->no_daemon);
    if (facts->no_queue)
        status_add_text(json, STATUS_NO_QUEUE, facts->no_queue);
    if (facts->daemon)
        status_add_reference(json, STATUS_DAEMON, facts->daemon);
    if (facts->queue)
        status_add_reference(json, STATUS_QUEUE, facts->queue);
    cleanup_free char *text = cJSON_Print(json);
    cJSON_Delete(json);
    puts(text);
}

/* An invalid configuration is reported elsewhere. */
static void judge_broker_files(const struct broker_files *files, const char *config_path,
                               struct status_facts *facts)
{
    struct config_errors errors = {0}, problems = {0};
    struct config *config =
        files->acl || files->damaged ? config_file_load_hidden(config_path, &errors) : NULL;
    if (config)
        broker_files_judge(files, config, &problems);
    status_facts_add(facts, &problems);
    config_free(config);
    config_errors_done(&errors);
    config_errors_done(&problems);
}

static int exit_status(const struct status_facts *facts)
{
    if (facts->no_daemon || facts->no_queue)
        return CMD_EXIT_FAILED;
    if (!facts->daemon)
        return CMD_EXIT_NONE;
    return facts->problem_count > 0 ? CMD_EXIT_TROUBLE : CMD_EXIT_OK;
}

static int status(const struct command *command, int argc, char **argv)
{
    struct args args = {.command = "sluice status", .options = command->options, .argc = argc, .argv = argv};
    const char *config_path = CMD_DEFAULT_CONFIG, *value = NULL;
    bool json = false, quiet = false;
    int letter;
    while ((letter = args_next(&args, &value)) != ARGS_END) {
        if (letter == ARGS_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == ARGS_OPERAND)
            return args_wrong(&args, "unexpected '%s'", value);
        config_path = letter == 'c' ? value : config_path;
        json = json || letter == 'j';
        quiet = quiet || letter == 'q';
    }
    struct config_place place;
    struct broker_files files = broker_files_read(CMD_MOSQUITTO); /* before root becomes another user */
    int exit = locate_queue("sluice status", config_path, &place);
    if (exit != CMD_EXIT_OK) {
        broker_files_done(&files);
        return exit;
    }
    struct status_facts facts;
    status_facts_find(&facts, config_path, &place);
    judge_broker_files(&files, config_path, &facts);
    broker_files_done(&files);
    if (json)
        print_json(&facts);
    else if (!quiet)
        status_print(&facts);
    exit = output_close("sluice status") ? exit_status(&facts) : CMD_EXIT_FAILED;
    status_facts_done(&facts);
    config_place_done(&place);
    return exit;
}

const struct command cmd_status = {
    .run = status,
    .options =
        (const struct command_option[]){{'c', NULL, true}, {'j', "json", false}, {'q', "quiet", false}, {0}},
    .help = "Reports whether sluice runs; the states of broker, backends and routes, the\n"
            "reason, and the next try; what waits in the queue, dead letters and drops; disk\n"
            "and clock. Problems come last. It works on a stopped sluice, too.\n"
            "\n"
            "  --json       all of it and more, for programs: see sluice-control(7)\n"
            "  -q, --quiet  print nothing; the exit status is the result\n"
            "  -c FILE      the configuration; default " CMD_DEFAULT_CONFIG "\n"
            "\n"
            "Exit status: 0 it runs without problems, 1 its state is unknown, 2 wrong command\n"
            "line, 3 it is stopped, 4 it runs and something is wrong, 78 the configuration\n"
            "cannot be read.\n",
};
