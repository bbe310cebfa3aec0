/*
 * prefix_stream: a stream that says something before its owner does: the header of the PROXY
 * protocol, in front of whatever is spoken over the stream.
 * Owns:   the stream it is wrapped around, and a copy of the prefix.
 * Thread: that of the stream.
 */
#ifndef GATEWAY_PREFIX_STREAM_H
#define GATEWAY_PREFIX_STREAM_H

#include "base/str.h"
#include "base/worker.h"
#include "tunnel/stream.h"

/*
 * Takes `inner`, which was dialled and has told nothing yet. The stream that is returned opens when
 * inner has opened and taken the prefix; otherwise it is as inner is.
 */
struct stream *prefix_stream_new(struct worker *w, struct stream *inner, struct str prefix,
                                 const struct stream_events *events, void *arg);

#endif
