/* config/errors.h - the errors that are found while a configuration is read. */
#ifndef SLUICE_CONFIG_ERRORS_H
#define SLUICE_CONFIG_ERRORS_H

#include "config/internal.h"

/* The number of this file in places; adds it to the list. */
size_t config_error_file(struct config_parser *parser, const char *file);
void config_error(struct config_parser *parser, struct config_where where, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Adds an error if the process of the view cannot read this file, which this process has read. */
void config_error_hidden(struct config_parser *parser, struct config_where where, const char *path);
/* Moves the errors into parser->errors, in the order of files and lines. */
void config_errors_finish(struct config_parser *parser);

#endif
