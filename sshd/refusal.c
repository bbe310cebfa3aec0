#include "sshd/refusal.h"

/* The reason codes of RFC 4254 section 5.1. */
enum {
    OPEN_PROHIBITED = 1,
    OPEN_CONNECT_FAILED = 2,
    OPEN_UNKNOWN_TYPE = 3,
    OPEN_RESOURCE_SHORTAGE = 4,
};

/* Takes the text up to `end` from *rest, which must start with `start`. */
static bool take_number(struct str *rest, struct str start, char end, uint32_t *out)
{
    uint64_t value;
    size_t n;

    if (!str_starts(*rest, start))
        return false;
    *rest = str_skip(*rest, start.n);
    n = str_find_char(*rest, end);
    if (n == rest->n || str_to_u64(str_slice(*rest, 0, n), UINT32_MAX, &value) == -1)
        return false;
    *rest = str_skip(*rest, n);
    *out = (uint32_t)value;
    return true;
}

bool refusal_parse(struct str text, struct refusal *out)
{
    struct refusal r;

    if (!take_number(&text, STR("Channel opening failure: channel "), ' ', &r.channel) ||
        !take_number(&text, STR(" error ("), ')', &r.code))
        return false;
    *out = r;
    return true;
}

enum close_reason refusal_reason(uint32_t code)
{
    switch (code) {
    case OPEN_PROHIBITED:
    case OPEN_UNKNOWN_TYPE:
        return CLOSE_PROHIBITED;
    case OPEN_RESOURCE_SHORTAGE:
        return CLOSE_BUSY;
    case OPEN_CONNECT_FAILED:
        return CLOSE_REFUSED;
    }
    return CLOSE_REFUSED;
}
