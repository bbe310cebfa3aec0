/*
 * direct: a channel that a client opens to an internal endpoint of its account (direct-tcpip, RFC 4254
 * section 7.2), as `ssh -L`, `-W`, `-J` and `-D` do. It is joined to a stream of tunnel/inside.h.
 * Everything else is refused: what is not internal, so that the gateway is nobody's proxy; what the key
 * may not connect to; what is not online. Whether a name belongs to another account or to nobody makes
 * no difference to what is looked at, nor to the answer.
 * Owns:   the channel's stream until the splice has it; a direct frees itself when both are closed.
 * Thread: that of its session.
 * Limits: settings.max_direct_channels a session; bytes wait as they do on channels to upstreams.
 */
#ifndef SSHD_DIRECT_H
#define SSHD_DIRECT_H

#include <libssh/server.h>

struct session;
struct sshd;

/* The request to open one. In a libssh callback: 0 when it was accepted, 1 for libssh's refusal. */
int direct_on_request(struct session *s, ssh_message m);
/* The front goes, and all sessions have gone: ends what is left. */
void directs_stop(struct sshd *front);

#endif
