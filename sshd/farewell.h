/*
 * farewell: the rest of a connection that was closed with a last message. A close with unread input
 * makes the kernel reset the connection, and the reset would overtake the message; so the input is
 * read and dropped until the client has closed, or FAREWELL_MS have passed.
 * Thread: its worker's.
 * Limits: that of a client that never logged in counts among the connections without a login, else
 *         strangers could hold any number of sockets.
 */
#ifndef SSHD_FAREWELL_H
#define SSHD_FAREWELL_H

struct sshd;

enum { FAREWELL_MS = 2000 };

enum farewell_to { FAREWELL_TO_STRANGER, FAREWELL_TO_USER };

/* Takes fd, and shuts its write side. */
void farewell_start(struct sshd *front, int fd, enum farewell_to to);
/* Ends them all at once. */
void farewells_stop(struct sshd *front);

#endif
