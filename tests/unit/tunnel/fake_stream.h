/*
 * fake_stream: a stream in memory, for tests: what is written to it gathers in a buffer that takes
 * only so much, and the test raises its events by hand.
 */
#ifndef TESTS_UNIT_TUNNEL_FAKE_STREAM_H
#define TESTS_UNIT_TUNNEL_FAKE_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "tunnel/stream.h"

struct fake_stream {
    struct stream stream; /* first */
    struct buf written;
    size_t room;      /* bytes that writes still take */
    unsigned resumed; /* times */
    bool ended;
    bool closed;
    enum close_reason why;
};

void fake_stream_init(struct fake_stream *f, size_t room);
void fake_stream_fini(struct fake_stream *f);

#endif
