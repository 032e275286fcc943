/* cmd/account.c - see cmd/account.h. */
#include "cmd/account.h"
#include "base/base.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct search {
    const struct unit *unit;
    struct config_errors *errors;
    bool complete; /* nothing is missing */
};

/* at: as unit_next() left it. status: with which the service fails, as systemd shows it. */
static void add_missing(struct search *search, size_t at, const char *key, const char *name, const char *kind,
                        const char *status)
{
    cleanup_free char *origin = unit_origin(search->unit, at);
    search->complete = false;
    config_errors_add(search->errors,
                      "%s: %s=%s: there is no such %s, so the service does not start (%s); install sluice "
                      "again, make the %s, or correct the line",
                      origin, key, name, kind, status, kind);
}

static bool is_number(const char *name)
{
    return *name && name[strspn(name, "0123456789")] == '\0';
}

static const struct passwd *passwd_of(const char *name)
{
    return is_number(name) ? getpwuid((uid_t)strtoul(name, NULL, 10)) : getpwnam(name);
}

static const struct group *group_of(const char *name)
{
    return is_number(name) ? getgrgid((gid_t)strtoul(name, NULL, 10)) : getgrnam(name);
}

/* Whether systemd makes the user. */
static bool is_dynamic(const struct unit *unit)
{
    const char *value = unit_value(unit, "DynamicUser");
    return value && (strchr("1yYtT", *value) || strcasecmp(value, "on") == 0);
}

/* The last value of the key, and where it is. */
static const char *last_value(const struct unit *unit, const char *key, size_t *ret_at)
{
    const char *last = NULL, *value;
    for (size_t at = 0; (value = unit_next(unit, key, &at));) {
        last = value;
        *ret_at = at;
    }
    return last;
}

static void find_user(struct search *search, struct account *account)
{
    size_t at = 0;
    const char *name = last_value(search->unit, "User", &at);
    const char *other = is_dynamic(search->unit) ? "sluice" : "root"; /* the name of the unit */
    const struct passwd *entry = passwd_of(name ? name : other);
    if (entry) {
        account->user = xstrdup(entry->pw_name);
        account->uid = entry->pw_uid;
        account->gid = entry->pw_gid;
    } else if (name && !is_dynamic(search->unit)) {
        add_missing(search, at, "User", name, "user", "217/USER");
    } else {
        search->complete = false;
    }
}

static void find_group(struct search *search, struct account *account)
{
    size_t at = 0;
    const char *name = last_value(search->unit, "Group", &at);
    const struct group *entry = name ? group_of(name) : getgrgid(account->gid);
    if (entry)
        account->gid = entry->gr_gid;
    else if (name)
        add_missing(search, at, "Group", name, "group", "216/GROUP");
    account->group = entry ? xstrdup(entry->gr_name) : xasprintf("%u", account->gid);
}

static void find_groups(struct search *search, struct account *account)
{
    int count = ACCOUNT_GROUPS_MOST;
    if (account->user && getgrouplist(account->user, account->gid, account->groups, &count) >= 0)
        account->group_count = (size_t)count;
    const char *names;
    for (size_t at = 0; (names = unit_next(search->unit, "SupplementaryGroups", &at));) {
        char *name;
        while ((name = unit_word(&names))) {
            const struct group *entry = group_of(name);
            if (!entry)
                add_missing(search, at, "SupplementaryGroups", name, "group", "216/GROUP");
            else if (account->group_count < ACCOUNT_GROUPS_MOST)
                account->groups[account->group_count++] = entry->gr_gid;
            free(name);
        }
    }
}

bool account_find(const struct unit *unit, struct account *ret, struct config_errors *errors)
{
    struct search search = {.unit = unit, .errors = errors, .complete = true};
    *ret = (struct account){0};
    find_user(&search, ret);
    find_group(&search, ret);
    find_groups(&search, ret);
    return search.complete;
}

void account_done(struct account *account)
{
    free(account->user);
    free(account->group);
}

void account_take(const struct account *account)
{
    if (setgroups(account->group_count, account->groups) == 0 && setregid(account->gid, (gid_t)-1) == 0)
        (void)!setreuid(account->uid, (uid_t)-1);
}
