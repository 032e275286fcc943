/* cmd/args.c - see cmd/args.h. What getopt_long(3) alone does not do: negative numbers are
 * operands, as sensors measure them; an unknown option is reported with the nearest known
 * one; and long options have no abbreviations, because a later version may make one
 * ambiguous. */
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "text/nearest.h"
#include "text/shell.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS_MOST = 16 };

int args_wrong(const struct args *args, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *message = xvasprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s (see %s --help)\n", args->command, message, args->command);
    return CMD_EXIT_USAGE;
}

static int report_unknown(const struct args *args, const char *option)
{
    const char *known[OPTIONS_MOST + 1] = {"help"};
    size_t count = 1;
    for (const struct command_option *o = args->options; o->letter; o++)
        if (o->name)
            known[count++] = o->name;
    size_t near = strncmp(option, "--", 2) == 0 ? nearest_find(option + 2, known, count) : SIZE_MAX;
    if (near != SIZE_MAX)
        args_wrong(args, "unknown option '%s'; did you mean '--%s'?", option, known[near]);
    else
        args_wrong(args, "unknown option '%s'", option);
    return ARGS_WRONG;
}

/* -5, -0.25, -.5 */
static bool is_negative_number(const char *word)
{
    return word[0] == '-' &&
           (isdigit((unsigned char)word[1]) || (word[1] == '.' && isdigit((unsigned char)word[2])));
}

static int next_option(const struct args *args)
{
    char letters[2 * OPTIONS_MOST + 3] = "-:"; /* operands in their place; ':' for a missing value */
    struct option names[OPTIONS_MOST + 1] = {{0}};
    size_t letter_count = 2, name_count = 0;
    for (const struct command_option *o = args->options; o->letter; o++) {
        letters[letter_count++] = o->letter;
        if (o->has_value)
            letters[letter_count++] = ':';
        if (o->name)
            names[name_count++] = (struct option){o->name, o->has_value, NULL, o->letter};
    }
    opterr = 0;
    return getopt_long(args->argc, args->argv, letters, names, NULL);
}

int args_next(struct args *args, const char **ret_value)
{
    const char *word = args->argv[optind]; /* NULL at the end */
    if (!word)
        return ARGS_END;
    if (args->ended || is_negative_number(word)) {
        *ret_value = args->argv[optind++];
        return ARGS_OPERAND;
    }
    int letter = next_option(args);
    bool is_long = strncmp(word, "--", 2) == 0;
    size_t bytes = is_long ? strcspn(word, "=") : 2;
    cleanup_free char *written = is_long ? xstrndup(word, bytes) : xasprintf("-%c", optopt);
    switch (letter) {
    case 1:
        *ret_value = optarg;
        return ARGS_OPERAND;
    case -1:
        args->ended = true;
        return args_next(args, ret_value);
    case ':':
        args_wrong(args, "%s needs a value", written);
        return ARGS_WRONG;
    case '?':
        if (!is_long || optopt == 0)
            return report_unknown(args, written);
        args_wrong(args, "%s takes no value", written);
        return ARGS_WRONG;
    default:
        break;
    }
    for (const struct command_option *o = args->options; is_long && o->letter; o++)
        if (o->letter == letter && strcmp(o->name, written + 2) != 0)
            return report_unknown(args, written);
    *ret_value = optarg;
    return letter;
}

char *args_config(const char *config_path)
{
    cleanup_free char *word = shell_word(config_path);
    return strcmp(config_path, CMD_DEFAULT_CONFIG) == 0 ? xstrdup("") : xasprintf(" -c %s", word);
}
