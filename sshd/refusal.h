/*
 * refusal: why the client refused a channel. libssh tells it in its error text only.
 * Thread: any; pure.
 */
#ifndef SSHD_REFUSAL_H
#define SSHD_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "tunnel/close.h"

struct refusal {
    uint32_t channel; /* libssh's own number of the channel */
    uint32_t code;    /* RFC 4254 section 5.1 */
};

/*
 * Reads "Channel opening failure: channel N error (R) text"; false when the text is another one.
 */
bool refusal_parse(struct str text, struct refusal *out);

/* What an unsuccessful open means to the one who asked for the stream (spec 8.6). */
enum close_reason refusal_reason(uint32_t code);

#endif
