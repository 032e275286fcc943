/* cmd/service.c - see cmd/service.h. */
#include "cmd/service.h"
#include "cmd/account.h"
#include "cmd/args.h"
#include "cmd/cmd.h"
#include "cmd/credential.h"
#include "cmd/place.h"
#include "cmd/sandbox.h"
#include "text/shell.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIT "sluice.service"

struct service {
    struct unit *unit;
    struct sandbox *sandbox;
    char *option; /* of commands in hints: args_config() */
    char *home;   /* the directory of the configuration */
    struct account account;
};

/* ---- its configuration and its user ---- */

/* The configuration that a command line such as "/usr/local/bin/sluice run -c FILE" names. */
static char *named_config(const char *command_line)
{
    const char *option = command_line ? strstr(command_line, " -c") : NULL;
    if (!option)
        return xstrdup(CMD_DEFAULT_CONFIG);
    option += strlen(" -c");
    option += strspn(option, " \"'");
    return xstrndup(option, strcspn(option, " \"'"));
}

static bool same_file(const char *one, const char *other)
{
    struct stat status, other_status;
    if (stat(one, &status) != 0 || stat(other, &other_status) != 0)
        return strcmp(one, other) == 0;
    return status.st_dev == other_status.st_dev && status.st_ino == other_status.st_ino;
}

struct service *service_read(const char *config_path, struct config_errors *errors)
{
    struct service *service = xcalloc(1, sizeof(*service));
    service->unit = unit_read(UNIT);
    cleanup_free char *config = service->unit ? named_config(unit_value(service->unit, "ExecStart")) : NULL;
    if (!config || !same_file(config, config_path) ||
        !account_find(service->unit, &service->account, errors)) {
        service_free(service);
        return NULL;
    }
    service->sandbox = sandbox_new(service->unit);
    cleanup_free char *real = realpath(config_path, NULL);
    service->option = args_config(config_path);
    service->home = xstrdup(dirname(real ? real : config));
    return service;
}

struct service *service_find(const char *config_path, struct config_errors *errors)
{
    struct service *service = service_read(config_path, errors);
    if (service && geteuid() == 0)
        account_take(&service->account);
    return service;
}

void service_free(struct service *service)
{
    if (!service)
        return;
    sandbox_free(service->sandbox);
    unit_free(service->unit);
    free(service->home);
    free(service->option);
    account_done(&service->account);
    free(service);
}

struct config_reader service_reader(const struct service *service)
{
    return (struct config_reader){.user = service->account.uid, .group = service->account.gid};
}

char *service_owner(const struct service *service)
{
    return xasprintf("%s:%s", service->account.user, service->account.group);
}

const struct unit *service_unit(const struct service *service)
{
    return service->unit;
}

const struct sandbox *service_sandbox(const struct service *service)
{
    return service->sandbox;
}

const char *service_state(const struct service *service)
{
    return sandbox_state(service->sandbox);
}

/* Whether access(2) returns what its user may do. */
static bool is_its_user(const struct service *service)
{
    return getuid() == service->account.uid;
}

/* ---- reading ---- */

/* The rule that hides the path, or what it names, or NULL. */
static const struct sandbox_rule *hiding_rule(const struct service *service, const char *path)
{
    cleanup_free char *real = realpath(path, NULL);
    const struct sandbox_rule *rule = sandbox_find(service->sandbox, path);
    if (real && (!rule || rule->access != SANDBOX_HIDDEN))
        rule = sandbox_find(service->sandbox, real);
    return rule && rule->access == SANDBOX_HIDDEN ? rule : NULL;
}

/* The first directory on the way to the path that its user may not enter, or NULL. */
static char *closed_directory(const char *path)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        cleanup_free char *directory = xstrndup(path, (size_t)(slash - path));
        if (access(directory, X_OK) != 0 && errno == EACCES)
            return xstrdup(directory);
    }
    return NULL;
}

static bool is_at_home(const struct service *service, const char *path)
{
    size_t bytes = strlen(service->home);
    return strncmp(path, service->home, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
}

/* Whether nobody else may lose a file, or a directory, that gets sluice's group: it is with the configuration, in
 * a directory of sluice, and its group is root's. */
static bool may_change_group(const struct service *service, const char *path)
{
    struct stat found;
    return is_at_home(service, path) && !place_is_common(service->home) && stat(path, &found) == 0 &&
           found.st_gid == 0;
}

/* A copy for sluice. In its own directory it needs another name. */
static char *copy_remedy(const struct service *service, const char *path)
{
    cleanup_free char *copy = xstrdup(path), *file = shell_word(path);
    const char *directory = place_is_common(service->home) ? "/etc/sluice" : service->home;
    bool same = strcmp(dirname(copy), directory) == 0;
    cleanup_free char *target = same ? xasprintf("%s-for-sluice", path) : xasprintf("%s/", directory);
    cleanup_free char *word = shell_word(target);
    return xasprintf("copy it, and name the copy: sudo install %s-m 640 -g %s %s %s",
                     place_is_common(service->home) ? "-D " : "", service->account.group, file, word);
}

/* What makes a file readable that is in the way: the file itself, or a directory that it is in. */
static char *remedy(const struct service *service, const char *path, const char *obstacle)
{
    struct stat found;
    cleanup_free char *what = shell_word(obstacle);
    if (!may_change_group(service, obstacle))
        return copy_remedy(service, path);
    const char *mode = stat(obstacle, &found) == 0 && S_ISDIR(found.st_mode) ? "g+rx" : "g+r";
    return xasprintf("sudo chgrp %s %s && sudo chmod %s %s", service->account.group, what, mode, what);
}

static char *hidden_fault(const struct service *service, const char *path, const struct sandbox_rule *rule)
{
    cleanup_free char *what =
        is_at_home(service, path)
            ? xstrdup("keep the configuration in another directory, such as /etc/sluice")
            : remedy(service, path, path);
    return xasprintf("the service does not see it, because its unit hides %s (%s=%s); %s", rule->path,
                     rule->key, rule->word, what);
}

static char *view_fault(void *context, const char *path)
{
    const struct service *service = context;
    cleanup_free char *real = realpath(path, NULL);
    struct stat found;
    const struct sandbox_rule *rule = hiding_rule(service, path);
    if (rule)
        return hidden_fault(service, real ? real : path, rule);
    if (!real || stat(path, &found) != 0 || !is_its_user(service))
        return NULL;
    if (access(path, S_ISDIR(found.st_mode) ? R_OK | X_OK : R_OK) == 0)
        return NULL;
    int error = errno;
    cleanup_free char *closed = closed_directory(path);
    if (!closed)
        closed = closed_directory(real);
    cleanup_free char *what = remedy(service, real, closed ? closed : real);
    if (closed)
        return xasprintf("the user %s of the service may not enter %s; %s", service->account.user, closed,
                         what);
    return xasprintf("the user %s of the service cannot read it: %s; %s", service->account.user,
                     strerror(error), what);
}

static int view_credential(void *context, const char *name, char **ret_path)
{
    const struct service *service = context;
    return credential_find(service->unit, name, ret_path);
}

struct config_view service_view(struct service *service)
{
    return (struct config_view){.reader = service_reader(service),
                                .fault = view_fault,
                                .credential = view_credential,
                                .context = service};
}

/* ---- writing ---- */

bool service_makes(const struct service *service, const char *directory)
{
    return sandbox_makes(service->sandbox, directory);
}

char *service_made_fault(const char *directory)
{
    struct stat found;
    cleanup_free char *real = realpath(directory, NULL);
    if (lstat(directory, &found) != 0 || !S_ISLNK(found.st_mode))
        return NULL;
    return xasprintf(
        "%s is a symbolic link, and systemd does not start %s with one in the place of a directory "
        "that it makes; delete the link, and name the directory in the configuration: %s",
        directory, UNIT, real ? real : "it is not there");
}

static char *elsewhere(const struct service *service)
{
    const char *state = service_state(service);
    return xasprintf("choose another directory%s%s", state ? ", such as " : "", state ? state : "");
}

char *service_hidden_fault(const struct service *service, const char *directory)
{
    const struct sandbox_rule *rule = hiding_rule(service, directory);
    cleanup_free char *what = elsewhere(service);
    if (rule)
        return xasprintf("the service does not see %s, because its unit hides %s (%s=%s); %s", directory,
                         rule->path, rule->key, rule->word, what);
    cleanup_free char *closed = is_its_user(service) ? closed_directory(directory) : NULL;
    if (closed)
        return xasprintf("the user %s of the service may not enter %s; %s", service->account.user, closed,
                         what);
    return NULL;
}

static const struct sandbox_rule *read_only_rule(const struct service *service, const char *directory)
{
    cleanup_free char *real = realpath(directory, NULL);
    const struct sandbox_rule *rule = sandbox_find(service->sandbox, real ? real : directory);
    return rule && rule->access == SANDBOX_READ ? rule : NULL;
}

/* How the unit lets the service write to the directory. */
static char *open_remedy(const char *directory)
{
    cleanup_free char *word = unit_quote(directory);
    return xasprintf("sudo systemctl edit sluice, and write the two lines [Service] and ReadWritePaths=%s",
                     word);
}

char *service_read_only_fault(const struct service *service, const char *directory)
{
    const struct sandbox_rule *rule = read_only_rule(service, directory);
    if (!rule)
        return NULL;
    cleanup_free char *what = open_remedy(directory);
    return xasprintf("the unit of the service lets it only read %s (%s=%s); %s", directory, rule->key,
                     rule->word, what);
}

char *service_permission_fault(const struct service *service, const char *path)
{
    struct stat found;
    cleanup_free char *closed = is_its_user(service) ? closed_directory(path) : NULL;
    if (!is_its_user(service) || closed || stat(path, &found) != 0)
        return NULL;
    if (access(path, S_ISDIR(found.st_mode) ? R_OK | W_OK | X_OK : R_OK | W_OK) == 0)
        return NULL;
    if (errno != EACCES)
        return xasprintf("the service cannot write to %s: %s", path, strerror(errno));
    cleanup_free char *real = realpath(path, NULL), *word = shell_word(real ? real : path);
    return xasprintf("the user %s of the service may not write to %s; sudo chown -h %s:%s %s",
                     service->account.user, path, service->account.user, service->account.group, word);
}

/* How it gets a directory of its own instead: below this one, if that is possible and the directory is not private. */
static char *own_remedy(const struct service *service, const char *key, const char *file,
                        const char *directory)
{
    bool enters = !is_its_user(service) || access(directory, X_OK) == 0;
    cleanup_free char *below = enters ? place_below(directory, service->home) : NULL;
    const char *state = service_state(service);
    const char *own = strcmp(key, "socket") == 0 ? "/run/sluice" : below ? below : state;
    if (!own)
        own = "/var/lib/sluice";
    if (sandbox_makes(service->sandbox, own))
        return xasprintf("write %s = %s/%s", key, own, file);
    cleanup_free char *word = shell_word(own);
    cleanup_free char *open = read_only_rule(service, own) ? open_remedy(own) : NULL;
    return xasprintf(
        "make a directory of its own: sudo install -d -o %s -g %s -m 2750 %s; %s%swrite %s = %s/%s",
        service->account.user, service->account.group, word, open ? open : "", open ? "; " : "", key, own,
        file);
}

char *service_shared_fault(const struct service *service, const char *key, const char *path,
                           const char *directory)
{
    cleanup_free char *real = realpath(directory, NULL), *copy = xstrdup(path);
    cleanup_free char *permission = service_permission_fault(service, directory);
    const char *file = basename(copy);
    if (!real || (!permission && !read_only_rule(service, real)) ||
        place_is_own(real, file, service->home, service->account.uid))
        return NULL;
    cleanup_free char *what = own_remedy(service, key, file, real);
    return xasprintf("the service may not write to %s, which others use too; %s", directory, what);
}

char *service_describe(const struct service *service)
{
    size_t drop_ins = unit_drop_ins(service->unit);
    cleanup_free char *more =
        drop_ins > 0 ? xasprintf(" and %zu drop-in%s", drop_ins, drop_ins == 1 ? "" : "s") : xstrdup("");
    cleanup_free char *user =
        is_its_user(service)
            ? xasprintf("user %s", service->account.user)
            : xasprintf("but with your permissions; sudo sluice check%s takes those of its user %s",
                        service->option, service->account.user);
    return xasprintf("checked as " UNIT " sees it (%s%s; %s)", unit_path(service->unit), more, user);
}
