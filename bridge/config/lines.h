/* config/lines.h - what reads the text of a configuration; see also config/config.h. */
#ifndef SLUICE_CONFIG_LINES_H
#define SLUICE_CONFIG_LINES_H

#include "config/internal.h"

/* Lets the parser also check that files such as ca_file can be read. */
void config_parser_check_files(struct config_parser *parser, config_readable_fn *readable);

#endif
