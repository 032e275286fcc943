/* cmd/inspect.c - see cmd/inspect.h. */
#include "cmd/inspect.h"
#include "cmd/certificates.h"
#include "cmd/owner.h"
#include "config/exposed.h"
#include "text/shell.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct inspection {
    const char *file;
    const char *section; /* "[backend garden]" */
    const struct service *service;
    struct config_errors *errors;
};

/* Takes the reason, and reports it unless it is NULL. Returns whether there was one. */
static bool report(const struct inspection *inspection, const char *key, const char *value, char *why)
{
    if (!why)
        return false;
    config_errors_add(inspection->errors, "%s: %s: %s = %s: %s", inspection->file, inspection->section, key,
                      value, why);
    free(why);
    return true;
}

/* ---- certificates and keys ---- */

static void inspect_tls(const struct inspection *inspection, const char *ca_file, const char *cert_file,
                        const char *key_file)
{
    if (ca_file)
        report(inspection, "ca_file", ca_file, certificates_fault(ca_file));
    if (!cert_file || !key_file)
        return;
    bool faulty = report(inspection, "cert_file", cert_file, certificates_fault(cert_file));
    faulty = report(inspection, "key_file", key_file, certificates_key_fault(key_file)) || faulty;
    if (!faulty)
        report(inspection, "key_file", key_file, certificates_pair_fault(cert_file, key_file));
    exposed_warn(key_file, inspection->service ? service_reader(inspection->service) : exposed_reader());
}

/* ---- the host of the backend ---- */

/* Whether a name is reserved for examples (RFC 2606): no backend can have it. */
static bool is_example(const char *host, size_t bytes)
{
    static const char *const reserved[] = {"example.org", "example.com", "example.net", "example", "invalid"};
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        size_t tail = strlen(reserved[i]);
        if (bytes >= tail && strncasecmp(host + bytes - tail, reserved[i], tail) == 0 &&
            (bytes == tail || host[bytes - tail - 1] == '.'))
            return true;
    }
    return false;
}

static char *host_fault(const char *url)
{
    const char *scheme = url ? strstr(url, "://") : NULL;
    const char *host = scheme ? scheme + 3 : "";
    if (!is_example(host, strcspn(host, ":/")))
        return NULL;
    return xstrdup("this host is only an example; write the host of your backend");
}

/* ---- secrets ---- */

/* Whether it is the usual name of a secret: "api_key", "X-Auth-Token". "monkey" is not. */
static bool names_secret(const char *name)
{
    static const char *const words[] = {"key",    "apikey", "token",         "secret", "password",
                                        "passwd", "auth",   "authorization", "sig"};
    while (*name) {
        size_t bytes = strcspn(name, "-_.");
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (bytes == strlen(words[i]) && strncasecmp(name, words[i], bytes) == 0)
                return true;
        name += bytes + (name[bytes] != '\0');
    }
    return false;
}

static void inspect_pairs(const char *backend, const char *key, const char *separator,
                          const struct config_pairs *pairs, struct config_errors *warnings)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (!pairs->items[i].secret && names_secret(pairs->items[i].name))
            config_errors_add(
                warnings,
                "[backend %s]: %s = %s%s...: if this is a secret, sluice does not know it and may "
                "show it: write it into a file, and here %s%s@/etc/sluice/FILE",
                backend, key, pairs->items[i].name, separator, pairs->items[i].name, separator);
}

void inspect_literals(const struct config *config, struct config_errors *warnings)
{
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct config_backend *backend = &config->backends[i];
        inspect_pairs(backend->name, "query", "=", &backend->query, warnings);
        inspect_pairs(backend->name, "header", ": ", &backend->headers, warnings);
    }
}

/* ---- directories ---- */

/* Whether systemd makes it when the service starts. */
static bool is_made(const struct inspection *inspection, const char *directory)
{
    if (inspection->service)
        return service_makes(inspection->service, directory);
    return strcmp(directory, "/var/lib/sluice") == 0 || strcmp(directory, "/run/sluice") == 0;
}

static char *directory_fault(const char *directory)
{
    struct stat found;
    if (stat(directory, &found) == 0)
        return S_ISDIR(found.st_mode) ? NULL
                                      : xasprintf("%s is not a directory; correct the path", directory);
    cleanup_free char *word = shell_word(directory);
    if (errno == ENOENT || errno == ENOTDIR)
        return xasprintf(
            "there is no directory %s; make it for the user that sluice runs as: sudo install -d "
            "-o sluice -g sluice -m 2750 %s",
            directory, word);
    return xasprintf("%s: %s", directory, strerror(errno));
}

/* The directory in which sluice makes the file. */
static void inspect_place(const struct inspection *inspection, const char *key, const char *path,
                          const char *directory)
{
    const struct service *service = inspection->service;
    if (is_made(inspection, directory)) {
        if (service)
            report(inspection, key, path, service_made_fault(directory));
        return;
    }
    if (service && report(inspection, key, path, service_hidden_fault(service, directory)))
        return;
    if (service && report(inspection, key, path, service_shared_fault(service, key, path, directory)))
        return;
    if (service)
        report(inspection, key, path, service_read_only_fault(service, directory));
    if (!report(inspection, key, path, directory_fault(directory)) && service)
        report(inspection, key, path, service_permission_fault(service, directory));
}

static void inspect_places(struct inspection *inspection, const struct config *config)
{
    const char *path = config->queue.path, *socket = config->daemon.socket;
    cleanup_free char *path_copy = xstrdup(path), *socket_copy = xstrdup(socket);
    const char *directory = dirname(path_copy), *socket_directory = dirname(socket_copy);
    inspection->section = "[queue]";
    inspect_place(inspection, "path", path, directory);
    if (inspection->service)
        report(inspection, "path", path, owner_service_fault(inspection->service, path));
    inspection->section = "[daemon]";
    if (strcmp(directory, socket_directory) != 0)
        inspect_place(inspection, "socket", socket, socket_directory);
}

void inspect_config(const struct config *config, const char *file, const struct service *service,
                    struct config_errors *errors)
{
    struct inspection inspection = {.file = file, .errors = errors, .service = service};
    inspect_places(&inspection, config);
    inspection.section = "[broker]";
    inspect_tls(&inspection, config->broker.ca_file, config->broker.cert_file, config->broker.key_file);
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct config_backend *backend = &config->backends[i];
        cleanup_free char *section = xasprintf("[backend %s]", backend->name);
        inspection.section = section;
        report(&inspection, "url", backend->url, host_fault(backend->url));
        inspect_tls(&inspection, backend->ca_file, backend->cert_file, backend->key_file);
    }
}
