/* config/validate_route.h - what can be checked of [route] and [http] when every file was read. */
#ifndef SLUICE_CONFIG_VALIDATE_ROUTE_H
#define SLUICE_CONFIG_VALIDATE_ROUTE_H

#include "config/internal.h"

/* Each reports what is wrong, and finds the backend of the route. */
void config_check_route(struct config_parser *parser, const struct config_section *section);
void config_check_http(struct config_parser *parser, const struct config_section *section);

#endif
