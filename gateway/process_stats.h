/*
 * process_stats: what the kernel says of this process, under the names that all Prometheus clients use.
 * Thread: any; reading takes a few system calls that wait for nothing.
 */
#ifndef GATEWAY_PROCESS_STATS_H
#define GATEWAY_PROCESS_STATS_H

#include <stdint.h>

struct buf;

struct process_stats {
    uint64_t cpu_us;
    uint64_t start_us; /* since 1970 */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
};

/* What cannot be read is 0. */
void process_stats_read(struct process_stats *out);
/* Appends them in Prometheus' text format. */
void process_stats_add_metrics(const struct process_stats *s, struct buf *out);

#endif
