/*
 * session_event: what is told of a session's login and its end (agent_session_start.v0 and
 * agent_session_stop.v0, spec endpoints 9.6), if anybody subscribed to it.
 * Thread: its session's.
 */
#ifndef SSHD_SESSION_EVENT_H
#define SSHD_SESSION_EVENT_H

struct session;

/* It has logged in. */
void session_event_start(struct session *s);
/* It had logged in and ends. */
void session_event_stop(struct session *s);

#endif
