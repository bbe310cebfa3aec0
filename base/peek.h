/*
 * peek: looks at the first bytes of a connection without taking them, so that whoever reads it
 * afterwards finds all of them.
 * Bytes that stay in the socket keep it readable, and a loop that is told of levels would spin. So
 * whoever needs more of them says from how many on the socket counts as readable (SO_RCVLOWAT);
 * that also makes the kernel's buffer large enough for them. The end of the data makes a socket
 * readable whatever it holds, and so does a kernel that is short of memory.
 * Thread: that of the connection.
 */
#ifndef BASE_PEEK_H
#define BASE_PEEK_H

#include <stddef.h>

enum peek {
    PEEK_OK,
    PEEK_MORE,  /* when the socket is readable again */
    PEEK_ENDED, /* the peer has ended, or the socket failed */
};

/* Copies what waits in a non-blocking socket, up to `room` bytes; *n becomes how many. PEEK_MORE:
 * none waits. */
enum peek peek_read(int fd, char *p, size_t room, size_t *n);

/* What waits does not do: makes the socket readable from `bytes` on. PEEK_MORE or PEEK_ENDED. */
enum peek peek_await(int fd, size_t bytes);

/* Looking is over: the socket is readable from one byte on. */
void peek_end(int fd);

/* Takes n bytes that peek_read() has shown. Returns 0 or -1. */
int peek_take(int fd, size_t n);

#endif
