#include "base/peek.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { PEEK_TAKE_BYTES = 1024 };

enum peek peek_read(int fd, char *p, size_t room, size_t *n)
{
    ssize_t got;

    do {
        got = recv(fd, p, room, MSG_PEEK);
    } while (got == -1 && errno == EINTR);
    *n = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return PEEK_OK;
    return got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK) ? PEEK_MORE : PEEK_ENDED;
}

static void set_low_mark(int fd, size_t bytes)
{
    int mark = (int)bytes;

    /* Fails only for sockets that are none. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
}

/* They may have come since the last look. */
static bool has_bytes(int fd, size_t bytes)
{
    int waiting = 0;

    return ioctl(fd, FIONREAD, &waiting) == 0 && (size_t)waiting >= bytes;
}

enum peek peek_await(int fd, size_t bytes)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    set_low_mark(fd, bytes);
    return poll(&p, 1, 0) == 0 || has_bytes(fd, bytes) ? PEEK_MORE : PEEK_ENDED;
}

void peek_end(int fd)
{
    set_low_mark(fd, 1);
}

int peek_take(int fd, size_t n)
{
    char waste[PEEK_TAKE_BYTES];

    while (n > 0) {
        ssize_t got = recv(fd, waste, n < sizeof(waste) ? n : sizeof(waste), 0);

        if (got > 0)
            n -= (size_t)got;
        else if (got == 0 || errno != EINTR)
            return -1;
    }
    return 0;
}
