/* fuzz_head.c - what a client sends: heads, and bodies in chunks. */
#include "fuzz.h"

#include "http/chunks.h"
#include "http/head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("POST /api/c HTTP/1.1\r\nHost: pi\r\nContent-Length: 2\r\n\r\nab"),
    FUZZ_SEED(
        "POST /api/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n1\nb\n0\r\nT: x\r\n\r\n"),
    FUZZ_SEED("\r\n\r\nGET /api?x HTTP/1.0\nConnection: keep-alive\nExpect: 100-continue\n\n"),
    {NULL, 0},
};

const char *const fuzz_tokens[] = {"\r\n",
                                   "\n",
                                   "\r",
                                   "\n\n",
                                   ":",
                                   " ",
                                   "\t",
                                   "HTTP/1.1",
                                   "HTTP/1.0",
                                   "Content-Length: 3",
                                   "\nContent-Length : 3",
                                   "\nContent-Length:\n 3",
                                   "\nTransfer-Encoding: chunked\n",
                                   "gzip, ",
                                   "ffffffffffffffff",
                                   "0\r\n\r\n",
                                   ";",
                                   "\xff",
                                   NULL};

/* In how many lines this name is followed by a colon. */
static unsigned count(const char *text, const char *name)
{
    unsigned found = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL;)
        if (strncasecmp(++at, name, strlen(name)) == 0 && at[strlen(name)] == ':')
            found++;
    return found;
}

static void judge_head(const char *data, size_t bytes)
{
    cleanup_free char *text = xstrndup(data, bytes), *copy = xstrdup(text);
    struct head head;
    const char *why = NULL;
    int status = head_read(&head, text, &why);
    assert(head.method && head.target);
    if (status != 0) {
        assert((status == 400 || status == 411 || status == 431 || status == 505) && why);
        return;
    }
    assert(strlen(copy) == bytes); /* no NUL */
    unsigned lengths = count(copy, "Content-Length"), encodings = count(copy, "Transfer-Encoding");
    assert(lengths + encodings <= 1 && lengths + encodings >= (head.takes_body ? 1 : 0));
    assert(head.chunked == (encodings == 1) && head.length < UINT64_C(1000000000000000000));
    for (size_t i = 0; i < head.field_count; i++) {
        assert(*head.fields[i].name && !strpbrk(head.fields[i].name, " \t\r\n:"));
        assert(!strpbrk(head.fields[i].value, "\r\n"));
    }
    assert(!strpbrk(head.target, " \t\r\n") && *head.target);
}

static void judge_chunks(const char *data, size_t bytes)
{
    struct chunks chunks = {0};
    for (size_t at = 0; at < bytes && chunks.state != CHUNKS_END;) {
        const char *piece;
        size_t piece_bytes;
        ssize_t used = chunks_read(&chunks, data + at, bytes - at, &piece, &piece_bytes);
        if (used < 0)
            return;
        assert(used > 0 && (size_t)used <= bytes - at);
        assert(piece >= data + at && piece + piece_bytes <= data + at + used);
        at += (size_t)used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;
    size_t skip = head_skip(text, bytes);
    assert(skip <= bytes);
    ssize_t end = head_find_end(text + skip, bytes - skip);
    assert(end <= (ssize_t)(bytes - skip));
    if (end > 0) {
        judge_head(text + skip, (size_t)end);
        judge_chunks(text + skip + end, bytes - skip - (size_t)end);
    } else {
        judge_chunks(text, bytes);
    }
    return 0;
}
