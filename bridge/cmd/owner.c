/* cmd/owner.c - see cmd/owner.h. */
#include "cmd/owner.h"
#include "daemon/kept_config.h"
#include "queue/access.h"

#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool owns_place(uid_t user, const char *queue)
{
    cleanup_free char *copy = xstrdup(queue);
    struct stat found;
    return stat(dirname(copy), &found) == 0 && found.st_uid == user;
}

char *owner_service_fault(const struct service *service, const char *queue)
{
    cleanup_free char *copy = xstrdup(queue), *owner = service_owner(service);
    cleanup_free char *kept = kept_config_path(queue, service_state(service));
    if (service_reader(service).user != getuid())
        return NULL;
    bool enters = access(dirname(copy), X_OK) == 0;
    cleanup_free char *remedy = enters ? queue_access_remedy(queue, kept, owner) : NULL;
    if (!remedy)
        return service_permission_fault(service, queue);
    return xasprintf("the user %.*s of the service may not use all files of the queue; %s",
                     (int)strcspn(owner, ":"), owner, remedy);
}

char *owner_fault(const char *queue)
{
    cleanup_free char *remedy = owns_place(getuid(), queue) ? queue_access_remedy(queue, NULL, NULL) : NULL;
    return remedy ? xasprintf("sluice's user may not use all of its files; %s", remedy) : NULL;
}

/* sd_booted(3) */
static bool runs_systemd(void)
{
    struct stat found;
    return lstat("/run/systemd/system", &found) == 0 && S_ISDIR(found.st_mode);
}

uid_t owner_service_user(const char *config_path)
{
    struct config_errors errors = {0}; /* of the unit, which has no part in this */
    struct service *service = service_read(config_path, &errors);
    uid_t user = service ? service_reader(service).user : 0;
    service_free(service);
    config_errors_done(&errors);
    return user;
}

char *owner_run_fault(const char *config_path, const char *queue)
{
    uid_t user = geteuid() == 0 && runs_systemd() ? owner_service_user(config_path) : 0;
    if (user == 0 || !owns_place(user, queue))
        return NULL;
    return xasprintf("%s: this is the queue of the service, which could not use the files that root makes in "
                     "it; sudo systemctl start sluice, or use a configuration with another queue",
                     queue);
}

char *owner_store_fault(uid_t service, const char *queue)
{
    if (geteuid() != 0 || service == 0 || !runs_systemd())
        return NULL;
    return xasprintf(
        "%s: the service could not use a queue that root makes there: sudo sluice check reports what "
        "to correct; then sudo systemctl restart sluice",
        queue);
}
