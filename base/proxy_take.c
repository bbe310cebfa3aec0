#include "base/proxy_take.h"

#include "base/peek.h"

static enum proxy_take ended(size_t seen, struct err *e)
{
    (void)err_set(e, E_SYNTAX,
                  seen > 0 ? "the connection ended in its PROXY header"
                           : "the connection ended without a PROXY header");
    return PROXY_TAKE_FAILED;
}

enum proxy_take proxy_take(int fd, struct proxy_header *out, struct err *e)
{
    char bytes[PROXY_PROTOCOL_MAX_BYTES];
    ptrdiff_t header;
    size_t n;

    switch (peek_read(fd, bytes, sizeof(bytes), &n)) {
    case PEEK_MORE:
        return PROXY_TAKE_MORE;
    case PEEK_ENDED:
        return ended(n, e);
    case PEEK_OK:
        break;
    }
    header = proxy_protocol_parse(str_of(bytes, n), out, e);
    if (header == 0)
        return peek_await(fd, n + 1) == PEEK_MORE ? PROXY_TAKE_MORE : ended(n, e);
    if (header < 0)
        return PROXY_TAKE_FAILED;
    peek_end(fd);
    return peek_take(fd, (size_t)header) == 0 ? PROXY_TAKE_DONE : ended(n, e);
}
