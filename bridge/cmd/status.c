/* cmd/status.c - sluice status [--json]: the state of sluice, and what is wrong. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/locate.h"
#include "cmd/status_facts.h"
#include "cmd/status_print.h"
#include "cmd/terminal.h"

#include <cjson/cJSON.h>
#include <stdio.h>

static const struct cmd_option options[] = {{'c', NULL, true}, {'j', "json", false}, {'q', "quiet", false}};

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

static int exit_status(const struct status_facts *facts)
{
    if (facts->no_daemon || facts->no_queue)
        return CMD_EXIT_FAILED;
    if (!facts->daemon)
        return CMD_EXIT_NONE;
    return facts->problem_count > 0 ? CMD_EXIT_TROUBLE : CMD_EXIT_OK;
}

int cmd_status(int argc, char **argv)
{
    struct cmd_args args = {.command = "sluice status",
                            .options = options,
                            .option_count = ARRAY_LEN(options),
                            .argc = argc - 1,
                            .argv = argv + 1};
    const char *config_path = CMD_DEFAULT_CONFIG, *value = NULL;
    bool json = false, quiet = false;
    int letter;
    while ((letter = cmd_args_next(&args, &value)) != CMD_ARG_END) {
        if (letter == CMD_ARG_WRONG)
            return CMD_EXIT_USAGE;
        if (letter == CMD_ARG_OPERAND)
            return cmd_args_wrong(&args, "unexpected '%s'", value);
        config_path = letter == 'c' ? value : config_path;
        json = json || letter == 'j';
        quiet = quiet || letter == 'q';
    }
    struct config_place place;
    int status = locate_queue("sluice status", config_path, &place);
    if (status != CMD_EXIT_OK)
        return status;
    struct status_facts facts;
    status_facts_find(&facts, &place);
    if (json)
        print_json(&facts);
    else if (!quiet)
        status_print(&facts);
    status = cmd_output_ended("sluice status") ? exit_status(&facts) : CMD_EXIT_FAILED;
    status_facts_done(&facts);
    config_place_done(&place);
    return status;
}
