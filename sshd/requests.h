/*
 * requests: what a client asks for outside of its channels: logging in, forwards, new channels.
 * Thread: its session's.
 */
#ifndef SSHD_REQUESTS_H
#define SSHD_REQUESTS_H

struct session;

/* Sets libssh's callbacks of the session; they live as long as it does. */
void requests_start(struct session *s);

#endif
