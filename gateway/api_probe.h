/*
 * api_probe: tries a database again that took a change no more, as nobody else may have one to make. It
 * looks once a second, and writes only while the last change failed (api_is_well()).
 * Owns:   its timer. Borrows the API and its threads.
 * Thread: start on a worker's; new, stop and free on main, while no worker runs.
 */
#ifndef GATEWAY_API_PROBE_H
#define GATEWAY_API_PROBE_H

struct api;
struct api_probe;
struct job_pool;
struct worker;

struct api_probe *api_probe_new(struct api *api, struct job_pool *jobs);
/* From now on, on this worker. */
void api_probe_start(struct api_probe *p, struct worker *w);
/* Before that worker is freed. NULL is fine. */
void api_probe_stop(struct api_probe *p);
/* When its last messages have run. NULL is fine. */
void api_probe_free(struct api_probe *p);

#endif
