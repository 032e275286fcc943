/* http/response.c - an answer, as libmicrohttpd wants it. See http/response.h. */
#include "http/response.h"
#include "base/log.h"

#include <microhttpd.h>
#include <stdlib.h>

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && MHD_add_response_header(response, name, value) != MHD_YES)
        log_debug(EVENT_HTTP_RESPONSE_FAILED, "the response lacks the header %s", name);
}

/* Never called: to a HEAD, no body is sent. */
static ssize_t no_body(void *context, uint64_t position, char *buffer, size_t bytes)
{
    (void)context;
    (void)position;
    (void)buffer;
    (void)bytes;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

struct MHD_Response *httpd_response_new(const struct httpd_answer *answer)
{
    struct MHD_Response *response;
    if (answer->body_bytes > 0 && !answer->body)
        response = MHD_create_response_from_callback(answer->body_bytes, 1024, no_body, NULL, NULL);
    else /* its parameter is not const, and it copies */
        response = MHD_create_response_from_buffer(answer->body_bytes, (void *)(uintptr_t)answer->body,
                                                   MHD_RESPMEM_MUST_COPY);
    if (!response)
        abort();
    if (answer->body_bytes > 0)
        add_header(response, "Content-Type",
                   answer->content_type ? answer->content_type : "application/json");
    add_header(response, "Allow", answer->allow);
    if (answer->close)
        add_header(response, "Connection", "close");
    if (answer->retry_after_s > 0) {
        cleanup_free char *seconds = xasprintf("%u", answer->retry_after_s);
        add_header(response, "Retry-After", seconds);
    }
    return response;
}
