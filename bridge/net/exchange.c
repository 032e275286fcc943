/* net/exchange.c - see net/exchange.h. */
#include "net/exchange.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    KEEP_BODY_BYTES = 4096,
    SYSTEM_CA_CACHE_S = 60,
    CONNECT_PARTS = 4, /* of connect_timeout, to look up the name as well */
};

/* Sets an option; a failure would be our own mistake, or want of memory. */
#define SET(easy, option, value)                                                                             \
    do {                                                                                                     \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                              \
        assert(code_ == CURLE_OK);                                                                           \
        (void)code_;                                                                                         \
    } while (0)

/* ---- the response ---- */

/* Whether any of the request may have reached the backend. */
static bool was_sent(CURL *easy)
{
    curl_off_t pretransfer_us = 0;
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer_us);
    return pretransfer_us > 0;
}

static enum transfer_failure certificate_failure(CURL *easy)
{
    enum { NOT_YET_VALID = 9, HAS_EXPIRED = 10 }; /* X509_V_ERR_CERT_..., openssl-verification-options(1) */
    long result = 0;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
    return result == NOT_YET_VALID || result == HAS_EXPIRED ? TRANSFER_CERTIFICATE_TIME : TRANSFER_TLS;
}

/* The authority that issued the certificate is not trusted. */
static bool is_unknown_issuer(CURL *easy)
{
    /* X509_V_ERR_..., openssl-verification-options(1): self-signed, alone or at the end of the chain; no
     * issuer found for a certificate, or for the first one */
    enum { SELF_SIGNED = 18, SELF_SIGNED_IN_CHAIN = 19, NO_ISSUER = 20, NO_ISSUER_OF_FIRST = 21 };
    long result = 0;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
    return result >= SELF_SIGNED && result <= NO_ISSUER_OF_FIRST;
}

/* What to do, after curl's own text. */
static void add_remedy(struct exchange *exchange, CURLcode code)
{
    size_t bytes = strlen(exchange->error);
    if (code == CURLE_PEER_FAILED_VERIFICATION && is_unknown_issuer(exchange->easy))
        snprintf(exchange->error + bytes, sizeof exchange->error - bytes,
                 ": if it is the right one, name the file of its certification authority, or of this "
                 "certificate, with ca_file");
}

/* A connection that breaks in the handshake is no matter of TLS. curl gives one
 * code for both; OpenSSL's own complaints carry an "error:" number. */
static enum transfer_failure handshake_failure(const struct exchange *exchange)
{
    bool complaint = strstr(exchange->error, "error:") && !strstr(exchange->error, "unexpected eof");
    return complaint ? TRANSFER_TLS : TRANSFER_UNREACHABLE;
}

/* In TLS 1.3 a client is through with the handshake before the server has looked at
 * its certificate: that this is missing, or is not the right one, comes as an alert
 * in place of the answer. */
static bool is_certificate_refused(const struct exchange *exchange)
{
    const char *alert = strstr(exchange->error, " alert ");
    return alert &&
           (strstr(alert, "certificate") || strstr(alert, "unknown ca") || strstr(alert, "access denied"));
}

static enum transfer_failure failure_of(const struct exchange *exchange, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return TRANSFER_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return TRANSFER_UNREACHABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
        return certificate_failure(exchange->easy);
    case CURLE_SSL_CONNECT_ERROR:
        return handshake_failure(exchange);
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return TRANSFER_TLS;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return TRANSFER_LOCAL;
    case CURLE_SEND_ERROR: /* newer versions (8.14) then do not give the time that was_sent() asks for */
        return TRANSFER_BROKEN;
    default:
        if (is_certificate_refused(exchange))
            return TRANSFER_TLS;
        return was_sent(exchange->easy) ? TRANSFER_BROKEN : TRANSFER_UNREACHABLE;
    }
}

static unsigned http_version(CURL *easy)
{
    long version = CURL_HTTP_VERSION_NONE;
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    switch (version) {
    case CURL_HTTP_VERSION_NONE:
        return 0;
    case CURL_HTTP_VERSION_2_0:
        return 2;
    default:
        return 1;
    }
}

static const char *response_header(CURL *easy, const char *name)
{
    struct curl_header *header = NULL;
    return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

struct reply exchange_reply(struct exchange *exchange, CURLcode code)
{
    add_remedy(exchange, code);
    long status = 0;
    curl_off_t content_length = -1;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &content_length);
    struct reply reply = {
        .failure = exchange->failed ? TRANSFER_LOCAL : failure_of(exchange, code),
        .status = (int)status,
        .http_version = http_version(exchange->easy),
        .retry_after = response_header(exchange->easy, "Retry-After"),
        .date = response_header(exchange->easy, "Date"),
        .content_type = response_header(exchange->easy, "Content-Type"),
        .body = buf_text(&exchange->answer),
        .body_bytes = exchange->answer.bytes,
        .content_length = content_length,
        .cut = exchange->answer_cut,
        .timed_out = code == CURLE_OPERATION_TIMEDOUT && !exchange->failed,
        .error = "",
    };
    if (code != CURLE_OK)
        reply.error = exchange->error[0] != '\0' ? exchange->error
                      : reply.timed_out          ? exchange->limit_text
                                                 : curl_easy_strerror(code);
    return reply;
}

void exchange_clear(struct exchange *exchange)
{
    uv_timer_stop(&exchange->limit);
    buf_reset(&exchange->answer);
    if (exchange->answer.limit_bytes > TRANSFER_BODY_BYTES)
        buf_done(&exchange->answer);
    if (exchange->body_capacity > KEEP_BODY_BYTES) {
        free(exchange->body);
        exchange->body = NULL;
        exchange->body_capacity = 0;
    }
}

/* ---- the request ---- */

static void on_limit(uv_timer_t *limit)
{
    struct exchange *exchange = limit->data;
    exchange->late(exchange->late_context, exchange);
}

static void begin_phase(struct exchange *exchange, int64_t limit_ms, const char *what)
{
    snprintf(exchange->limit_text, sizeof exchange->limit_text, "%s took longer than %lld ms", what,
             (long long)limit_ms);
    uv_update_time(exchange->limit.loop);
    uv_timer_start(&exchange->limit, on_limit, (uint64_t)limit_ms, 0);
}

/* The name is known. As curl would open it. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct exchange *exchange = context;
    struct watch_set *watches = exchange->watches;
    if (!exchange->connecting)
        begin_phase(exchange, exchange->backend->connect_timeout_ms, "connecting");
    exchange->connecting = true;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    int error = watch_keep(watches, fd);
    if (error == 0)
        return fd;
    log_error(EVENT_SOCKET_UNWATCHED, "%s", uv_strerror(error));
    close(fd);
    return CURL_SOCKET_BAD;
}

/* There is a connection, and the request is to be sent on it. */
static int on_connected(void *context, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    struct exchange *exchange = context;
    begin_phase(exchange, exchange->backend->timeout_ms, "the response");
    return CURL_PREREQFUNC_OK;
}

static int on_close_socket(void *context, curl_socket_t socket)
{
    struct watch_set *watches = context;
    watch_forget(watches, socket);
    return close(socket);
}

/* Takes what fits, and lets the rest of a long answer pass by, or ends it. */
static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t bytes = size * count, room = exchange->answer.limit_bytes - exchange->answer.bytes;
    exchange->answer_cut = exchange->answer_whole && bytes > room;
    if (exchange->answer_cut)
        return CURL_WRITEFUNC_ERROR;
    buf_append(&exchange->answer, data, bytes < room ? bytes : room);
    return bytes;
}

static void set_options(struct exchange *exchange)
{
    const struct config_backend *backend = exchange->backend;
    CURL *easy = exchange->easy;
    SET(easy, CURLOPT_PRIVATE, exchange);
    SET(easy, CURLOPT_ERRORBUFFER, exchange->error);
    SET(easy, CURLOPT_WRITEFUNCTION, on_answer);
    SET(easy, CURLOPT_WRITEDATA, exchange);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(easy, CURLOPT_OPENSOCKETDATA, exchange);
    SET(easy, CURLOPT_PREREQFUNCTION, on_connected);
    SET(easy, CURLOPT_PREREQDATA, exchange);
    SET(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    SET(easy, CURLOPT_CLOSESOCKETDATA, exchange->watches);
    SET(easy, CURLOPT_PROTOCOLS_STR, "https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, ""); /* nor from the environment */
    SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(easy, CURLOPT_PATH_AS_IS, 1L);
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* libcurl keeps the authorities for a day, and a person may correct the file meanwhile. To read
     * the many of the system takes longer. */
    SET(easy, CURLOPT_CA_CACHE_TIMEOUT, backend->ca_file ? 0L : (long)SYSTEM_CA_CACHE_S);
    if (backend->ca_file) {
        SET(easy, CURLOPT_CAINFO, backend->ca_file);
        SET(easy, CURLOPT_CAPATH, NULL); /* this authority and no other */
    }
    if (backend->cert_file) {
        SET(easy, CURLOPT_SSLCERT, backend->cert_file);
        SET(easy, CURLOPT_SSLKEY, backend->key_file);
        SET(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* a session has the certificate of its beginning */
        SET(easy, CURLOPT_KEYPASSWD, ""); /* or OpenSSL asks at the terminal, and all waits for the answer */
    }
    SET(easy, CURLOPT_HTTP_VERSION,
        (long)(backend->http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    SET(easy, CURLOPT_PIPEWAIT, 1L); /* rather wait for the connection's protocol than open another */
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_QUICK_EXIT, 1L); /* do not join a thread that looks up a name */
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_PARTS * backend->connect_timeout_ms));
    /* A request that waits for the connection of another one has none of these limits. */
    SET(easy, CURLOPT_TIMEOUT_MS, (long)(CONNECT_PARTS * backend->connect_timeout_ms + backend->timeout_ms));
    SET(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
}

struct exchange *exchange_new(uv_loop_t *loop, const struct config_backend *backend,
                              struct watch_set *watches, exchange_late_fn *late, void *context)
{
    struct exchange *exchange = xcalloc(1, sizeof *exchange);
    exchange->backend = backend;
    exchange->watches = watches;
    exchange->late = late;
    exchange->late_context = context;
    uv_timer_init(loop, &exchange->limit);
    exchange->limit.data = exchange;
    buf_init(&exchange->lines, REQUEST_HEADERS_BYTES);
    exchange->easy = curl_easy_init();
    if (!exchange->easy)
        abort();
    set_options(exchange);
    return exchange;
}

/* The header lines as curl wants them: a list, whose nodes are an array and point
 * into our own copy of the lines. One more ("Expect:") keeps curl from a round
 * trip before a large body. */
static void set_headers(struct exchange *exchange, const struct buf *lines)
{
    static char no_expect[] = "Expect:";
    size_t count = 1;
    for (size_t i = 0; i < lines->bytes; i++)
        count += lines->data[i] == '\0';
    if (count > exchange->header_capacity) {
        exchange->headers = xrealloc(exchange->headers, count * sizeof *exchange->headers);
        exchange->header_capacity = count;
    }
    buf_reset(&exchange->lines);
    buf_append(&exchange->lines, buf_text(lines), lines->bytes);
    char *line = exchange->lines.data;
    for (size_t i = 0; i + 1 < count; i++) {
        exchange->headers[i] = (struct curl_slist){.data = line, .next = &exchange->headers[i + 1]};
        line += strlen(line) + 1;
    }
    exchange->headers[count - 1] = (struct curl_slist){.data = no_expect};
}

static void set_body(struct exchange *exchange, const void *body, size_t bytes)
{
    if (bytes > exchange->body_capacity || !exchange->body) {
        exchange->body = xrealloc(exchange->body, bytes + 1);
        exchange->body_capacity = bytes;
    }
    if (bytes > 0)
        memcpy(exchange->body, body, bytes);
}

static void set_method(struct exchange *exchange, const char *method)
{
    bool get = strcmp(method, "GET") == 0, head = strcmp(method, "HEAD") == 0;
    if (strcmp(exchange->method, method) == 0)
        return;
    SET(exchange->easy, CURLOPT_NOBODY, head ? 1L : 0L);
    if (get)
        SET(exchange->easy, CURLOPT_HTTPGET, 1L);
    else if (!head)
        SET(exchange->easy, CURLOPT_POST, 1L);
    SET(exchange->easy, CURLOPT_CUSTOMREQUEST, get || head || strcmp(method, "POST") == 0 ? NULL : method);
    snprintf(exchange->method, sizeof exchange->method, "%s", method);
}

/* Neither GET nor HEAD has a body here. */
static void set_content(struct exchange *exchange, const struct request *request)
{
    const char *method = request->method[0] != '\0' ? request->method : "POST";
    set_method(exchange, method);
    if (method[0] == 'G' || method[0] == 'H')
        return;
    set_body(exchange, request->body, request->body_bytes);
    SET(exchange->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    SET(exchange->easy, CURLOPT_POSTFIELDS, exchange->body);
}

void exchange_prepare(struct exchange *exchange, const struct request *request)
{
    exchange->error[0] = '\0';
    exchange->connecting = exchange->failed = false;
    exchange->answer_whole = request->response_most > 0;
    exchange->answer_cut = false;
    exchange->answer.limit_bytes = request->response_most > 0 ? request->response_most : TRANSFER_BODY_BYTES;
    set_headers(exchange, &request->headers);
    set_content(exchange, request);

    SET(exchange->easy, CURLOPT_URL, buf_text(&request->url));
    SET(exchange->easy, CURLOPT_HTTPHEADER, exchange->headers);
}

void exchange_fail(struct exchange *exchange, const char *why)
{
    snprintf(exchange->error, sizeof exchange->error, "%s", why);
    exchange->failed = true;
    uv_timer_start(&exchange->limit, on_limit, 0, 0);
}

static void on_closed(uv_handle_t *limit)
{
    free(limit->data);
}

void exchange_free(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    free(exchange->headers);
    free(exchange->body);
    buf_done(&exchange->lines);
    buf_done(&exchange->answer);
    uv_close((uv_handle_t *)&exchange->limit, on_closed);
}
