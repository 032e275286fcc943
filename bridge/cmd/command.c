/* cmd/command.c - see cmd/command.h. */
#include "cmd/command.h"
#include "cmd/cmd.h"
#include "text/nearest.h"

#include <stdio.h>
#include <string.h>

static const struct command_row *find(const struct command_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    return NULL;
}

/* Reports a command that belongs to another one: "retry" is "queue retry". */
static bool report_inner(const struct command_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct command_table *inner = table->rows[i].command->commands;
        if (!inner || !find(inner, name))
            continue;
        fprintf(stderr, "%s: unknown command '%s'; did you mean '%s %s'?\n", table->prefix, name,
                table->rows[i].name, name);
        return true;
    }
    return false;
}

static int report_unknown(const struct command_table *table, const char *name)
{
    if (report_inner(table, name))
        return CMD_EXIT_USAGE;
    const char **known = xcalloc(table->count + 1, sizeof *known);
    for (size_t i = 0; i < table->count; i++)
        known[i] = table->rows[i].name;
    known[table->count] = "help";
    size_t near = nearest_find(name, known, table->count + 1);
    if (near != SIZE_MAX)
        fprintf(stderr, "%s: unknown command '%s'; did you mean '%s'?\n", table->prefix, name, known[near]);
    else
        fprintf(stderr, "%s: unknown command '%s'; %s --help lists them\n", table->prefix, name,
                table->prefix);
    free(known);
    return CMD_EXIT_USAGE;
}

/* ---- help ---- */

static void print_table(const struct command_table *table, FILE *out)
{
    fprintf(out, "%s\n\nusage:\n", table->about);
    for (size_t i = 0; i < table->count; i++)
        fprintf(out, "  %s %s %s\n      %s\n", table->prefix, table->rows[i].name, table->rows[i].synopsis,
                table->rows[i].summary);
    fprintf(out, "  %s help [COMMAND]\n      describe a command\n%s", table->prefix, table->end);
}

static int print_help(const struct command_table *table, const char *name)
{
    if (!name || strcmp(name, "help") == 0) {
        print_table(table, stdout);
        return CMD_EXIT_OK;
    }
    const struct command_row *row = find(table, name);
    if (!row)
        return report_unknown(table, name);
    if (row->command->commands)
        print_table(row->command->commands, stdout);
    else
        printf("usage: %s %s %s\n\n%s", table->prefix, row->name, row->synopsis, row->command->help);
    return CMD_EXIT_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_for_help(char **arguments)
{
    if (arguments[0] && strcmp(arguments[0], "-h") == 0)
        return true;
    for (; *arguments && strcmp(*arguments, "--") != 0; arguments++)
        if (strcmp(*arguments, "--help") == 0)
            return true;
    return false;
}

/* ---- completion ---- */

static void print_completions(const struct command_table *table, char **words)
{
    const struct command_row *row = *words ? find(table, *words) : NULL;
    if (row && row->command->commands) {
        print_completions(row->command->commands, words + 1);
    } else if (row) {
        for (const struct command_option *option = row->command->options; option->letter; option++)
            if (option->name)
                printf("--%s\n", option->name);
            else
                printf("-%c\n", option->letter);
        puts("--help");
    } else {
        for (size_t i = 0; i < table->count; i++)
            puts(table->rows[i].name);
        puts("help");
    }
}

int command_dispatch(const struct command_table *table, int argc, char **argv)
{
    if (argc < 2) {
        print_table(table, stderr);
        return CMD_EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        if (argc == 2 || strcmp(argv[2], "--complete") != 0)
            return print_help(table, argv[2]);
        print_completions(table, argv + 3);
        return CMD_EXIT_OK;
    }
    const struct command_row *row = find(table, argv[1]);
    if (!row)
        return report_unknown(table, argv[1]);
    if (row->command->commands)
        return command_dispatch(row->command->commands, argc - 1, argv + 1);
    if (asks_for_help(argv + 2))
        return print_help(table, argv[1]);
    return row->command->run(row->command, argc - 1, argv + 1);
}
