/*
 * http2_budget: a token bucket: how often a peer may do what costs us more than it.
 * Thread: that of its owner; pure.
 */
#ifndef GATEWAY_HTTP2_BUDGET_H
#define GATEWAY_HTTP2_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct http2_budget {
    uint64_t left;
    uint64_t burst;
    uint64_t per_second;
    uint64_t filled_ms; /* up to when time was turned into tokens */
};

/* Starts full. Both numbers are at most 2^32. */
void http2_budget_init(struct http2_budget *b, uint64_t burst, uint64_t per_second,
                       uint64_t now_ms);
/* Takes one; false when there is none. */
bool http2_budget_take(struct http2_budget *b, uint64_t now_ms);
/* Gives back what useful work is worth; never more than the burst is kept. */
void http2_budget_earn(struct http2_budget *b, uint64_t tokens);

#endif
