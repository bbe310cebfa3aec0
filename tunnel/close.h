/*
 * close: why a stream, connection, session or endpoint ended; one row each in close.def.
 * Thread: any; pure.
 */
#ifndef TUNNEL_CLOSE_H
#define TUNNEL_CLOSE_H

#include "base/err.h"

enum close_reason {
#define CLOSE(symbol, name, error, text) symbol,
#include "tunnel/close.def"
#undef CLOSE
    CLOSE_REASON_COUNT
};

const char *close_name(enum close_reason why);
const char *close_text(enum close_reason why);
/* The error an exchange answers when its upstream ended so before the response head. */
enum err_code close_error(enum close_reason why);

#endif
