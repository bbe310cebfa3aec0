/*
 * metrics_page: everything that /metrics shows, in Prometheus' text format.
 * Thread: any worker's.
 * Limits: the page has at most METRICS_PAGE_MAX_BYTES, which is far above what named limits allow.
 */
#ifndef GATEWAY_METRICS_PAGE_H
#define GATEWAY_METRICS_PAGE_H

struct buf;
struct gateway;

enum { METRICS_PAGE_MAX_BYTES = 32 * 1024 * 1024 };

void metrics_page_add(const struct gateway *g, struct buf *out);

#endif
