/* cmd/broker_acl.h - whether the ACL of a Mosquitto on this machine fits the routes.
 *
 * Mosquitto drops a message that its sender may not publish, and grants a subscription to what may
 * not be read. Neither side sees an error: messages just never arrive. So the rules of its file are
 * compared with the topics of the configuration. The format of the file: mosquitto.conf(5). */
#ifndef SLUICE_CMD_BROKER_ACL_H
#define SLUICE_CMD_BROKER_ACL_H

#include "config/config.h"

struct broker_acl;

/* Reads the ACL that Mosquitto's configuration below this path names: "/etc/mosquitto". NULL when
 * there is none, when this user cannot read it, or when the rules come from elsewhere (several
 * ACLs, a plug-in). To be freed by broker_acl_free(), which takes NULL. */
struct broker_acl *broker_acl_read(const char *directory);
void broker_acl_free(struct broker_acl *acl);

/* Adds a line for each topic and ack_topic of a route that the rules make useless, with the remedy.
 * Nothing for a broker on another machine. acl may be NULL. */
void broker_acl_judge(const struct broker_acl *acl, const struct config *config, struct config_errors *ret);

#endif
