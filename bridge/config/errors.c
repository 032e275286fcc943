/* config/errors.c - collects errors with their places, and sorts them. */
#include "config/errors.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void config_errors_add(struct config_errors *errors, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *line = xvasprintf(format, args);
    va_end(args);
    errors->lines = xrealloc(errors->lines, (errors->count + 1) * sizeof(*errors->lines));
    errors->lines[errors->count++] = line;
}

void config_errors_done(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free(errors->lines[i]);
    free(errors->lines);
    *errors = (struct config_errors){0};
}

size_t config_error_file(struct config_parser *parser, const char *file)
{
    parser->files = xrealloc(parser->files, (parser->file_count + 1) * sizeof(*parser->files));
    parser->files[parser->file_count] = xstrdup(file);
    return parser->file_count++;
}

void config_error(struct config_parser *parser, struct config_where where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    parser->found = xrealloc(parser->found, (parser->found_count + 1) * sizeof(*parser->found));
    parser->found[parser->found_count] =
        (struct config_error){.where = where, .number = parser->found_count, .message = message};
    parser->found_count++;
}

void config_error_hidden(struct config_parser *parser, struct config_where where, const char *path)
{
    const struct config_view *view = parser->view;
    cleanup_free char *why = view ? view->fault(view->context, path) : NULL;

    if (why && where.line != CONFIG_WHOLE_FILE)
        config_error(parser, where, "%s: %s", path, why);
    else if (why)
        config_error(parser, where, "%s", why);
}

static int by_place(const void *left, const void *right)
{
    const struct config_error *a = left, *b = right;

    if (a->where.file != b->where.file)
        return a->where.file < b->where.file ? -1 : 1;
    if (a->where.line != b->where.line)
        return a->where.line < b->where.line ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void config_errors_finish(struct config_parser *parser)
{
    if (parser->found_count > 0)
        qsort(parser->found, parser->found_count, sizeof(*parser->found), by_place);
    for (size_t i = 0; i < parser->found_count; i++) {
        const struct config_error *error = &parser->found[i];
        const char *file =
            error->where.file < parser->file_count ? parser->files[error->where.file] : "configuration";

        if (error->where.line == CONFIG_WHOLE_FILE)
            config_errors_add(parser->errors, "%s: %s", file, error->message);
        else
            config_errors_add(parser->errors, "%s:%u: %s", file, error->where.line, error->message);
        free(error->message);
    }
    free(parser->found);
    for (size_t i = 0; i < parser->file_count; i++)
        free(parser->files[i]);
    free(parser->files);
}
