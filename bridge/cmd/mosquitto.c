/* cmd/mosquitto.c - see cmd/mosquitto.h. */
#include "cmd/mosquitto.h"
#include "base/address.h"
#include "text/shell.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- its configuration ---- */

bool mosquitto_lines(const char *path, mosquitto_take_fn *take, void *context)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    if (!file)
        return false;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        for (size_t end = strlen(line); end > 0 && strchr(" \t", line[end - 1]); end--)
            line[end - 1] = '\0';
        char *word = line + strspn(line, " \t"), *rest = word + strcspn(word, " \t");
        if (!*word || *word == '#')
            continue;
        if (*rest)
            *rest++ = '\0';
        take(context, word, rest + strspn(rest, " \t"));
    }
    free(line);
    fclose(file);
    return true;
}

struct reading {
    bool included; /* this is a file of include_dir; Mosquitto obeys include_dir in its main file only */
    mosquitto_take_fn *take;
    void *context;
};

static int is_conf(const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name);
    return bytes > 5 && strcmp(entry->d_name + bytes - 5, ".conf") == 0;
}

static void take_setting(void *context, const char *word, char *rest);

static void read_directory(const struct reading *main, const char *directory)
{
    struct reading reading = {.included = true, .take = main->take, .context = main->context};
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_conf, alphasort);
    for (int i = 0; i < count; i++) {
        cleanup_free char *path = xasprintf("%s/%s", directory, entries[i]->d_name);
        mosquitto_lines(path, take_setting, &reading);
        free(entries[i]);
    }
    free(entries);
}

static void take_setting(void *context, const char *word, char *rest)
{
    struct reading *reading = context;
    if (strcmp(word, "include_dir") != 0)
        reading->take(reading->context, word, rest);
    else if (!reading->included)
        read_directory(reading, rest);
}

bool mosquitto_settings(const char *directory, mosquitto_take_fn *take, void *context)
{
    cleanup_free char *path = xasprintf("%s/mosquitto.conf", directory);
    return mosquitto_lines(path, take_setting, &(struct reading){.take = take, .context = context});
}

bool mosquitto_true(const char *rest)
{
    size_t bytes = strcspn(rest, " ");
    return (bytes == 4 && strncmp(rest, "true", bytes) == 0) || (bytes == 1 && *rest == '1');
}

/* ---- its database ---- */

struct database {
    bool used;
    char *location, *name;
};

static void take_database(void *context, const char *word, char *rest)
{
    struct database *database = context;
    char **text = strcmp(word, "persistence_location") == 0 ? &database->location
                  : strcmp(word, "persistence_file") == 0   ? &database->name
                                                            : NULL;
    if (strcmp(word, "persistence") == 0)
        database->used = mosquitto_true(rest);
    if (!text)
        return;
    free(*text);
    *text = xstrdup(rest);
}

/* Whether it is a file that Mosquitto refuses. It takes an empty one. The head is the magic, 4 bytes
 * of a checksum that nobody reads, and 4 of the version, in all versions: persist.h of Mosquitto. */
static bool is_damaged(const char *path)
{
    static const char magic[] = "\0\xb5\0mosquitto db", none[4] = {0};
    enum { MAGIC = sizeof magic - 1, VERSION = MAGIC + 4 };
    char head[VERSION + sizeof none];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return got > 0 && ((size_t)got < sizeof head || memcmp(head, magic, MAGIC) != 0 ||
                       memcmp(head + VERSION, none, sizeof none) == 0);
}

char *mosquitto_damaged_database(const char *directory)
{
    struct database database = {.used = false};
    char *path = NULL;
    if (mosquitto_settings(directory, take_database, &database) && database.used && database.location) {
        size_t bytes = strlen(database.location);
        while (bytes > 0 && database.location[bytes - 1] == '/')
            bytes--;
        path = xasprintf("%.*s/%s", (int)bytes, database.location,
                         database.name ? database.name : "mosquitto.db");
    }
    free(database.location);
    free(database.name);
    if (path && is_damaged(path))
        return path;
    free(path);
    return NULL;
}

/* ---- whether it runs ---- */

static bool listens(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (fd >= 0)
        close(fd);
    return connected;
}

static bool runs(const struct config_broker *broker)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    cleanup_free char *port = xasprintf("%u", broker->port);
    bool found = getaddrinfo(broker->host, port, &hints, &list) != 0;
    for (struct addrinfo *address = list; address && !found; address = address->ai_next)
        found = listens(address);
    if (list)
        freeaddrinfo(list);
    return found;
}

void mosquitto_judge_database(const char *damaged, const struct config_broker *broker,
                              struct config_errors *ret)
{
    if (!damaged || !address_is_own(broker->host) || runs(broker))
        return;
    cleanup_free char *word = shell_word(damaged);
    config_errors_add(
        ret,
        "broker: Mosquitto cannot start: its database %s is damaged, as after a power cut. Move it away: "
        "sudo mv %s %s-damaged; sudo systemctl restart mosquitto. Then what the broker held is lost",
        damaged, word, word);
}
