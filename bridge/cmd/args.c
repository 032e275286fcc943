/* cmd/args.c - a command's arguments; see cmd/args.h. Not getopt_long(3), which
 * cannot say which option was meant. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "text/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int cmd_args_wrong(const struct cmd_args *args, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *words = xvasprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s (%s --help says more)\n", args->command, words, args->command);
    return CMD_EXIT_USAGE;
}

static int unknown(const struct cmd_args *args, const char *option)
{
    const char *known[32] = {"help"};
    size_t count = 1;
    for (size_t i = 0; i < args->option_count && count < ARRAY_LEN(known); i++)
        if (args->options[i].name)
            known[count++] = args->options[i].name;
    size_t near = strncmp(option, "--", 2) == 0 ? nearest_find(option + 2, known, count) : SIZE_MAX;
    if (near != SIZE_MAX)
        cmd_args_wrong(args, "unknown option '%s'; did you mean '--%s'?", option, known[near]);
    else
        cmd_args_wrong(args, "unknown option '%s'", option);
    return CMD_ARG_WRONG;
}

/* The value is behind the option in the same word, or it is the next word. */
static int take(struct cmd_args *args, const struct cmd_option *option, const char *written,
                const char *attached, const char **ret_value)
{
    if (!option->has_value && attached) {
        cmd_args_wrong(args, "%s takes no value", written);
        return CMD_ARG_WRONG;
    }
    if (option->has_value && !attached && args->at == args->argc) {
        cmd_args_wrong(args, "%s needs a value", written);
        return CMD_ARG_WRONG;
    }
    if (option->has_value)
        *ret_value = attached ? attached : args->argv[args->at++];
    return option->letter;
}

static int take_long(struct cmd_args *args, const char *word, const char **ret_value)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    cleanup_free char *written = xstrndup(word, bytes + 2);
    for (size_t i = 0; i < args->option_count; i++) {
        const struct cmd_option *option = &args->options[i];
        if (option->name && strcmp(option->name, written + 2) == 0)
            return take(args, option, written, equals ? equals + 1 : NULL, ret_value);
    }
    return unknown(args, written);
}

/* -5, -0.25: what sensors measure. */
static bool is_number(const char *word)
{
    return isdigit((unsigned char)word[1]) || (word[1] == '.' && isdigit((unsigned char)word[2]));
}

int cmd_args_next(struct cmd_args *args, const char **ret_value)
{
    if (args->at == args->argc)
        return CMD_ARG_END;
    const char *word = args->argv[args->at++];
    if (!args->end && strcmp(word, "--") == 0) {
        args->end = true;
        return cmd_args_next(args, ret_value);
    }
    if (args->end || word[0] != '-' || word[1] == '\0' || is_number(word)) {
        *ret_value = word;
        return CMD_ARG_OPERAND;
    }
    if (word[1] == '-')
        return take_long(args, word, ret_value);
    const char letter[] = {'-', word[1], '\0'};
    for (size_t i = 0; i < args->option_count; i++)
        if (isalpha((unsigned char)word[1]) && args->options[i].letter == word[1])
            return take(args, &args->options[i], letter, word[2] != '\0' ? word + 2 : NULL, ret_value);
    return unknown(args, word);
}
