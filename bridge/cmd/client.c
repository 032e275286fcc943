/* cmd/client.c - asks a running sluice; see cmd/client.h. */
#include "cmd/client.h"
#include "base/buf.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_MS = 5000, ANSWER_MOST_BYTES = 16 * 1024 * 1024 };

int cmd_control_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

/* All that it says until it hangs up. */
static int read_answer(int fd, struct buf *answer)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = poll(&ready, 1, WAIT_MS);
        if (count == 0)
            return -ETIMEDOUT;
        if (count < 0 && errno == EINTR)
            continue;
        char piece[16 * 1024];
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        if (buf_append(answer, piece, (size_t)got) != 0)
            return -EBADMSG;
    }
}

static int ask(const char *path, const char *question, struct buf *answer)
{
    int fd = cmd_control_connect(path);
    if (fd < 0)
        return fd;
    size_t bytes = strlen(question);
    int error = send(fd, question, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -EIO;
    if (error == 0)
        error = read_answer(fd, answer);
    close(fd);
    return error;
}

int cmd_control_status(const char *path, struct report **ret)
{
    struct buf answer cleanup_buf;
    buf_init(&answer, ANSWER_MOST_BYTES);
    int error = ask(path, "status\n", &answer);
    if (error != 0)
        return error;
    struct report *report = report_parse(buf_text(&answer), answer.bytes);
    if (!report)
        return -EBADMSG;
    *ret = report;
    return 0;
}

void cmd_control_poke(const char *path)
{
    struct buf answer cleanup_buf;
    buf_init(&answer, ANSWER_MOST_BYTES);
    ask(path, "look\n", &answer);
}
