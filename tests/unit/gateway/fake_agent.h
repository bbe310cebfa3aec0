/*
 * fake_agent: an agent for tests, whose upstream is the test itself. Each stream that is opened is one
 * end of a socketpair; the test takes the other with fake_agent_accept().
 * Thread: fake_agent_open() and the streams on the agent's worker; all else on the test's.
 */
#ifndef TESTS_UNIT_GATEWAY_FAKE_AGENT_H
#define TESTS_UNIT_GATEWAY_FAKE_AGENT_H

#include <stdatomic.h>

#include "base/worker.h"
#include "tunnel/agent.h"

enum fake_open {
    FAKE_OPENS,   /* the stream opens */
    FAKE_REFUSES, /* on_closed(CLOSE_REFUSED) */
    FAKE_FAILS,   /* open() returns NULL with CLOSE_BUSY */
    FAKE_WAITS,   /* nothing happens */
};

struct fake_stream_of_agent;

struct fake_agent {
    struct agent agent;                   /* for the endpoint */
    atomic_int mode;                      /* enum fake_open, for the streams to come */
    int accepted[2];                      /* pipe of the test's descriptors */
    struct fake_stream_of_agent *streams; /* list; the worker's */
};

void fake_agent_init(struct fake_agent *f, struct worker *w);
void fake_agent_fini(struct fake_agent *f);

/* The upstream's end of the next stream, blocking; fails the test after a while. */
int fake_agent_accept(struct fake_agent *f);
/* True when no stream waits to be accepted. */
bool fake_agent_is_quiet(struct fake_agent *f);
/* The session is lost: all streams are told so. */
void fake_agent_lose(struct fake_agent *f);

#endif
