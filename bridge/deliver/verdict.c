/* deliver/verdict.c - what a reply means; see deliver/verdict.h, which has the same in prose. */
#include "deliver/verdict.h"

/* Every status once. The reason phrases are RFC 9110's. */
static const unsigned char by_status[] = {
    [100 ... 199] = VERDICT_MISCONFIGURED, /* an interim response as the final one */
    [200 ... 299] = VERDICT_DELIVERED,
    [300 ... 399] = VERDICT_MISCONFIGURED, /* redirects are never followed */
    [400] = VERDICT_BAD,
    [401 ... 405] = VERDICT_MISCONFIGURED, /* key, payment, permission, path, method */
    [406] = VERDICT_BAD,
    [407] = VERDICT_MISCONFIGURED, /* Proxy Authentication Required */
    [408] = VERDICT_AWAY,          /* Request Timeout */
    [409] = VERDICT_LATER,         /* Conflict */
    [410 ... 424] = VERDICT_BAD,
    [425] = VERDICT_AWAY, /* Too Early */
    [426 ... 428] = VERDICT_BAD,
    [429] = VERDICT_AWAY, /* Too Many Requests */
    [430 ... 450] = VERDICT_BAD,
    [451] = VERDICT_MISCONFIGURED, /* Unavailable For Legal Reasons */
    [452 ... 499] = VERDICT_BAD,
    [500] = VERDICT_AWAY,
    [501] = VERDICT_MISCONFIGURED, /* Not Implemented */
    [502 ... 504] = VERDICT_AWAY,
    [505] = VERDICT_MISCONFIGURED, /* HTTP Version Not Supported */
    [506 ... 510] = VERDICT_AWAY,
    [511] = VERDICT_MISCONFIGURED, /* Network Authentication Required: a captive portal */
    [512 ... 599] = VERDICT_AWAY,
};

static enum verdict verdict_of_status(int status)
{
    /* RFC 9110, section 15: a status that is none counts as a 5xx. */
    if (status < 100 || status >= (int)ARRAY_LEN(by_status))
        return VERDICT_AWAY;
    return (enum verdict)by_status[status];
}

enum verdict verdict_of(enum transfer_failure failure, int status, bool clock_synchronised)
{
    switch (failure) {
    case TRANSFER_OK:
        return verdict_of_status(status);
    case TRANSFER_UNREACHABLE:
    case TRANSFER_BROKEN:
        return VERDICT_AWAY;
    case TRANSFER_CERTIFICATE_TIME:
        return clock_synchronised ? VERDICT_MISCONFIGURED : VERDICT_AWAY;
    case TRANSFER_TLS:
    case TRANSFER_LOCAL:
        break;
    }
    return VERDICT_MISCONFIGURED;
}

static const enum verdict by_meaning[] = {
    [CONFIG_MEANS_DELIVERED] = VERDICT_DELIVERED, [CONFIG_MEANS_DEAD] = VERDICT_BAD,
    [CONFIG_MEANS_LATER] = VERDICT_LATER,         [CONFIG_MEANS_RETRY] = VERDICT_AWAY,
    [CONFIG_MEANS_HOLD] = VERDICT_MISCONFIGURED,
};

bool verdict_override(const struct config_status_rule *rules, size_t count, int status, enum verdict *verdict)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].status == status) {
            *verdict = by_meaning[rules[i].meaning];
            return true;
        }
    return false;
}
