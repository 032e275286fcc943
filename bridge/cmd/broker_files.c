/* cmd/broker_files.c - see cmd/broker_files.h. */
#include "cmd/broker_files.h"
#include "cmd/mosquitto.h"

struct broker_files broker_files_read(const char *directory)
{
    return (struct broker_files){.acl = broker_acl_read(directory),
                                 .damaged = mosquitto_damaged_database(directory)};
}

void broker_files_done(struct broker_files *files)
{
    broker_acl_free(files->acl);
    free(files->damaged);
}

void broker_files_judge(const struct broker_files *files, const struct config *config,
                        struct config_errors *ret)
{
    mosquitto_judge_database(files->damaged, &config->broker, ret);
    broker_acl_judge(files->acl, config, ret);
}
