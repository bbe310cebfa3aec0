/*
 * decode_filter: a filter that undoes a content coding while a body streams.
 * Thread: that of the exchange.
 */
#ifndef POLICY_DECODE_FILTER_H
#define POLICY_DECODE_FILTER_H

#include "policy/coding.h"
#include "policy/filter.h"

/* NULL if the library has no memory. */
struct policy_filter *decode_filter_new(enum coding c);

#endif
