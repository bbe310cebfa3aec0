/*
 * upstream_int: what the upstream codecs have in common. For upstream*.c only.
 * Thread: that of the exchange.
 */
#ifndef GATEWAY_UPSTREAM_INT_H
#define GATEWAY_UPSTREAM_INT_H

#include "gateway/upstream.h"

/* The functions of upstream.h, by codec. */
struct upstream_ops {
    void (*send_body)(struct upstream *u, struct str data);
    bool (*is_blocked)(struct upstream *u);
    bool (*is_flushed)(struct upstream *u);
    void (*send_end)(struct upstream *u, const struct http_headers *trailers);
    void (*flush)(struct upstream *u);
    void (*resume)(struct upstream *u);
    bool (*is_reused)(struct upstream *u);
    enum upstream_fate (*fate)(struct upstream *u);
    bool (*is_untouched)(struct upstream *u);
    void (*close)(struct upstream *u, enum close_reason why);
};

/* Embedded as the first member of each codec's own. */
struct upstream {
    const struct upstream_ops *ops; /* borrowed: static */
    struct gateway *gateway;        /* borrowed: outlives us */
    struct exchange *exchange;      /* borrowed: outlives our life as a stream's receiver */
    struct endpoint *endpoint;      /* counted */
};

void upstream_init(struct upstream *u, const struct upstream_ops *ops,
                   const struct upstream_params *params);
void upstream_fini(struct upstream *u);

/* upstream_http1.c, upstream_http2.c */
struct upstream *upstream_http1_new(const struct upstream_params *params);
struct upstream *upstream_http2_new(const struct upstream_params *params);

#endif
