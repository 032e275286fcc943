/* config/file.c - files and secrets for the parser. */
#include "config/file.h"
#include "base/utf8.h"
#include "config/errors.h"
#include "config/secret.h"
#include "config/validate.h"
#include "config/whole_file.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MAX_BYTES (1024 * 1024)
#define SOURCE_MAX_BYTES (64 * 1024 * 1024)

/* -- the configuration's own files -- */

static struct config_where whole_file(struct config_parser *parser, const char *path)
{
    return (struct config_where){.file = config_error_file(parser, path), .line = CONFIG_WHOLE_FILE};
}

static int load_one(struct config_parser *parser, const char *path)
{
    char *text;
    size_t bytes;
    mode_t mode;

    int error = whole_file_read(path, CONFIG_MAX_BYTES, &text, &bytes, &mode);
    if (error < 0)
        return error;
    config_parser_text(parser, path, text, bytes);
    free(text);
    config_error_hidden(parser, whole_file(parser, path), path);
    return 0;
}

static void report_file(struct config_parser *parser, const char *path, int error)
{
    cleanup_free char *why = whole_file_reason(error);

    config_error(parser, whole_file(parser, path), "%s", why);
}

static int is_conf(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);

    return entry->d_name[0] != '.' && bytes > 5 && strcmp(entry->d_name + bytes - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); /* alphasort() depends on the locale */
}

static void load_neighbours(struct config_parser *parser, const char *path)
{
    const char *slash = strrchr(path, '/');
    int folder_bytes = slash ? (int)(slash - path) + 1 : 0;
    cleanup_free char *folder = xasprintf("%.*sconf.d", folder_bytes, path);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_conf, by_bytes);

    if (count < 0 && errno != ENOENT)
        report_file(parser, folder, -errno);
    if (count >= 0)
        config_error_hidden(parser, whole_file(parser, folder), folder);
    for (int i = 0; i < count; i++) {
        cleanup_free char *neighbour = xasprintf("%s/%s", folder, entries[i]->d_name);
        int error = load_one(parser, neighbour);

        if (error < 0)
            report_file(parser, neighbour, error);
        free(entries[i]);
    }
    free(entries);
}

/* This machine's name. It goes into JSON, so it must be text, whatever the kernel has. */
static char *machine_name(void)
{
    char name[HOST_NAME_MAX + 1] = "";

    if (gethostname(name, sizeof(name)) < 0 || !*name || !utf8_valid(name, strlen(name)))
        return xstrdup("localhost");
    return xstrdup(name);
}

/* Why the main file cannot be read, and what to do; the caller frees it. */
static char *main_file_reason(const char *path, int error)
{
    if (error == -ENOENT)
        return xasprintf("%s: there is no such file; give the path of the configuration, or copy the example "
                         "sluice.conf",
                         path);
    if ((error == -EACCES || error == -EPERM) && geteuid() != 0)
        return xasprintf(
            "%s: it cannot be read: %s; use sudo; members of the group sluice can read it (sudo usermod "
            "-aG sluice $USER, and log in again); the user that sluice runs as must be able to read it, too",
            path, strerror(-error));
    cleanup_free char *why = whole_file_reason(error);
    return xasprintf("%s: %s", path, why);
}

/* Frees the parser, and its errors unseen. */
static void drop_parser(struct config_parser *parser)
{
    struct config_errors none = {0};

    parser->errors = &none;
    config_free(config_parser_finish(parser));
    config_errors_done(&none);
}

/* Files that keys name, such as ca_file. */
static int file_readable(void *context, const char *path, char **ret_why)
{
    struct stat found = {0};
    int fd = whole_file_open(path, &found);

    (void)context;
    if (fd < 0) {
        *ret_why = whole_file_reason(fd);
        return fd;
    }
    close(fd);
    return 0;
}

/* Reads the configuration's own files. If it cannot, it reports why, and frees the parser. */
static int read_all(struct config_parser *parser, const char *path, struct config_errors *errors)
{
    int error = load_one(parser, path);
    if (error == 0) {
        load_neighbours(parser, path);
        return 0;
    }
    /* One error is enough: of a file that was not read, everything is missing. */
    drop_parser(parser);
    cleanup_free char *why = main_file_reason(path, error);
    config_errors_add(errors, "%s", why);
    return error;
}

static struct config *load(struct config_parser *parser, const char *path, struct config_errors *errors)
{
    return read_all(parser, path, errors) == 0 ? config_parser_finish(parser) : NULL;
}

/* Gives the configuration what comes from the machine. It may be NULL. */
static struct config *finish(struct config *config, struct secret_reader *reader)
{
    if (config) {
        config->gateway = machine_name();
        config->secrets = reader->all;
    } else {
        secrets_done(&reader->all);
    }
    return config;
}

static struct config *load_with(struct secret_reader reader, const char *path, struct config_errors *errors)
{
    struct config_parser *parser = config_parser_new(errors, secret_fetch, &reader);

    parser->readable = file_readable;
    return finish(load(parser, path, errors), &reader);
}

struct config *config_file_load(const char *path, struct config_errors *errors)
{
    return load_with((struct secret_reader){.looks = false}, path, errors);
}

struct config *config_file_look(const char *path, struct config_errors *errors)
{
    return load_with((struct secret_reader){.looks = true}, path, errors);
}

struct config *config_file_examine(const char *path, const struct config_view *view,
                                   struct config_errors *errors, bool *ret_valid)
{
    struct secret_reader reader = {.view = view};
    struct config_parser *parser = config_parser_new(errors, secret_fetch, &reader);
    struct config *config = NULL;

    parser->readable = file_readable;
    parser->view = view;
    if (read_all(parser, path, errors) == 0)
        config = config_parser_finish_partial(parser, ret_valid);
    return finish(config, &reader);
}

struct config *config_file_load_source(const char *source_path, const char *path,
                                       struct config_errors *errors)
{
    struct secret_reader reader = {.looks = false};
    char *text = NULL;
    size_t bytes;
    mode_t mode;
    struct config_parser *parser = config_parser_new(errors, secret_fetch, &reader);

    parser->has_faults = true;
    int error = whole_file_read(source_path, SOURCE_MAX_BYTES, &text, &bytes, &mode);
    if (error == 0)
        error = config_parser_source(parser, path, text, bytes);
    free(text);
    if (error == 0)
        return finish(config_parser_finish(parser), &reader);
    drop_parser(parser);
    secrets_done(&reader.all);
    config_errors_add(errors, "%s: %s", source_path,
                      error == -EBADMSG ? "it is damaged, or of another configuration" : strerror(-error));
    return NULL;
}

struct config *config_file_refresh(const struct config *config, const char *path)
{
    struct secret_reader reader = {.looks = true, .before = &config->secrets};
    struct config_errors none = {0};
    struct config *next = NULL;
    struct config_parser *parser = config_parser_new(&none, secret_fetch, &reader);

    parser->has_faults = true; /* as config_file_load_source(), which may have given this configuration */
    if (config_parser_source(parser, path, config->source, config->source_bytes) == 0)
        next = finish(config_parser_finish(parser), &reader);
    else
        drop_parser(parser);
    if (!next)
        secrets_done(&reader.all);
    config_errors_done(&none);
    if (next && !secrets_equal(&next->secrets, &config->secrets))
        return next;
    config_free(next);
    return NULL;
}

/* -- without secrets -- */

static int hide_secret(void *context, const char *name, char **ret_value, char **ret_why)
{
    (void)context;
    (void)name;
    (void)ret_why;
    *ret_value = xstrdup(CONFIG_FILE_HIDDEN);
    return 0;
}

/* A value that is written in the configuration itself may be a key, too. */
static void hide_pairs(struct config_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].value);
        pairs->items[i].value = xstrdup(CONFIG_FILE_HIDDEN);
    }
}

struct config *config_file_load_hidden(const char *path, struct config_errors *errors)
{
    struct config *config = load(config_parser_new(errors, hide_secret, NULL), path, errors);
    for (size_t i = 0; config && i < config->backend_count; i++) {
        hide_pairs(&config->backends[i].query);
        hide_pairs(&config->backends[i].headers);
    }
    for (size_t i = 0; config && i < config->route_count; i++)
        hide_pairs(&config->routes[i].query);
    return config;
}

int config_file_place(const char *path, struct config_place *ret, char **ret_why)
{
    struct config_errors none = {0};
    struct config_parser *parser = config_parser_new(&none, hide_secret, NULL);
    int error = load_one(parser, path);

    if (error == 0) {
        load_neighbours(parser, path);
        config_finish_socket(parser);
        *ret = (struct config_place){.queue = xstrdup(parser->config->queue.path),
                                     .socket = xstrdup(parser->config->daemon.socket)};
    } else {
        *ret_why = main_file_reason(path, error);
    }
    drop_parser(parser);
    return error;
}

void config_place_done(struct config_place *place)
{
    free(place->queue);
    free(place->socket);
}
