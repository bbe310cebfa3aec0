/*
 * process_env: what the process asks of the system before it serves.
 * Thread: main, before any other thread.
 */
#ifndef GATEWAY_PROCESS_ENV_H
#define GATEWAY_PROCESS_ENV_H

#include <stddef.h>

/*
 * Starts the program again, once, with the C library tuned for the many small copies that SSH
 * makes. Returns when there is nothing to do or it cannot be done.
 */
void process_reexec(char **argv);

/* Ignores SIGPIPE and SIGXFSZ and allows as many open descriptors as the system permits. */
void process_prepare(void);

/* CPUs this process may run on, from 1 to max. */
size_t process_cpu_count(size_t max);

#endif
