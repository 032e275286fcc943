/* daemon/descriptors.c - see daemon/descriptors.h. */
#include "daemon/descriptors.h"
#include "config/file.h"
#include "control/protocol.h"

#include <sys/resource.h>

enum {
    /* Standard streams, event loop, signals, clock, queue and its copy during a salvage, connection
     * to the broker, secret files during a reload: about 30. The rest is a reserve. */
    OF_SLUICE = 64,
    /* A new connection to a backend: the look-up of its name has a thread with two sockets and the
     * files and sockets of the resolver; then an IPv4 and an IPv6 address are tried at once. */
    OF_CONNECTION = 6,
    OF_TRANSFER = 4, /* what libcurl has for all connections to a backend */
    OF_SERVER = 1,   /* a connection that is not taken yet */
};

static size_t of_backend(const struct config_backend *backend)
{
    return OF_TRANSFER + OF_CONNECTION * (size_t)backend->max_connections;
}

static size_t of_http(const struct config *config, const struct config_http *http)
{
    size_t own = OF_SERVER + http->listens.count + (size_t)http->max_connections;
    size_t backend = config->routes[http->route].backend;
    return own + (http->passthrough ? of_backend(&config->backends[backend]) : 0);
}

size_t descriptors_needed(const struct config *config)
{
    size_t needed = OF_SLUICE + 1 + CONTROL_CLIENTS_MOST;
    for (size_t i = 0; i < config->backend_count; i++)
        needed += of_backend(&config->backends[i]);
    for (size_t i = 0; i < config->http_count; i++)
        if (config->https[i].listens.count > 0)
            needed += of_http(config, &config->https[i]);
    return needed;
}

void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

bool descriptors_suffice(const struct config *config, const char *path, struct config_errors *errors)
{
    struct rlimit limit;
    size_t needed = descriptors_needed(config);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || needed <= limit.rlim_max)
        return true;
    config_errors_add(
        errors,
        "%s: sluice may need %zu file descriptors, and the system allows %llu: lower "
        "max_connections of [http] or [backend], or raise the limit (ulimit -Hn; LimitNOFILE= in "
        "the unit)",
        path, needed, (unsigned long long)limit.rlim_max);
    return false;
}

struct config *descriptors_check(struct config *config, const char *path, struct config_errors *errors)
{
    if (!config || descriptors_suffice(config, path, errors))
        return config;
    config_free(config);
    return NULL;
}

struct config *descriptors_load_config(const char *path, struct config_errors *errors)
{
    return descriptors_check(config_file_load(path, errors), path, errors);
}
