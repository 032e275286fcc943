/* cmd/mosquitto.h - what the configuration of a Mosquitto on this machine says, and its database.
 *
 * A power cut on ext4 can leave the database with its length and without its content, or without a part: NUL bytes. Then
 * Mosquitto does not start, and only its own log says why. Commands only advise: the messages in it may
 * be worth more to somebody than a broker that runs. */
#ifndef SLUICE_CMD_MOSQUITTO_H
#define SLUICE_CMD_MOSQUITTO_H

#include "config/config.h"

/* A word that begins a line, and the rest, without blanks around it. */
typedef void mosquitto_take_fn(void *context, const char *word, char *rest);

/* Calls take for each line of a file of Mosquitto that is no comment. False: this user cannot read it. */
bool mosquitto_lines(const char *path, mosquitto_take_fn *take, void *context);
/* The same for all settings below this path, "/etc/mosquitto", those of include_dir in their place. */
bool mosquitto_settings(const char *directory, mosquitto_take_fn *take, void *context);

/* Whether the rest of the line of a setting means true, to Mosquitto. */
bool mosquitto_true(const char *rest);

/* The path of its database, if Mosquitto would refuse that; the caller frees it. NULL: it would not, or
 * this user cannot see it. */
char *mosquitto_damaged_database(const char *directory);
/* Adds a line about this database (or NULL), with the remedy, if sluice uses a broker on this machine and
 * nobody listens there. While Mosquitto runs, it replaces the file itself. */
void mosquitto_judge_database(const char *damaged, const struct config_broker *broker,
                              struct config_errors *ret);

#endif
