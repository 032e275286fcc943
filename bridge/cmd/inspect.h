/* cmd/inspect.h - what `sluice check` looks at beyond the configuration itself: the content of the
 * files that it names, the directories that it needs, and what is still as in the example.
 *
 * The daemon does not need this to start. It reports such a fault when it meets it, as a backend
 * or a broker that is misconfigured, and continues with the other parts. */
#ifndef SLUICE_CMD_INSPECT_H
#define SLUICE_CMD_INSPECT_H

#include "cmd/service.h"

/* Adds an error, "FILE: [SECTION]: KEY = VALUE: what is wrong", for each fault. A key that every
 * user can read is logged as a warning. file: the configuration, for the errors. service: what it must be
 * able to use, or NULL. Required fields of the configuration may be NULL. */
void inspect_config(const struct config *config, const char *file, const struct service *service,
                    struct config_errors *errors);

/* Adds what is valid, and probably not meant: a secret that stands in the configuration itself. */
void inspect_literals(const struct config *config, struct config_errors *warnings);

#endif
