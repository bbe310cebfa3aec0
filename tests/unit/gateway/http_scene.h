/*
 * http_scene: the HTTP side of a gateway with two workers, for tests that play the visitor and the
 * upstream. Endpoint "a.example.com" is held by a session of worker 0, "b.example.com" by one of
 * worker 1. The visitor's address is 192.0.2.7:4711.
 * Thread: the test's.
 */
#ifndef TESTS_UNIT_GATEWAY_HTTP_SCENE_H
#define TESTS_UNIT_GATEWAY_HTTP_SCENE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/job.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/gateway.h"
#include "tests/unit/gateway/fake_agent.h"
#include "tunnel/endpoint.h"

enum { SCENE_WORKERS = 2, SCENE_PORT = 20000 };

/* What the gateway adds to a request for a.example.com. */
#define SCENE_FORWARDED                                                                            \
    "x-forwarded-for: 192.0.2.7\r\n"                                                               \
    "x-forwarded-proto: http\r\n"                                                                  \
    "x-forwarded-host: a.example.com\r\n"
#define SCENE_GET "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
/* SCENE_GET as the upstream sees it. */
#define SCENE_GET_UP "GET / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED "\r\n"
#define SCENE_OK     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

struct scene {
    struct config *config; /* of the start; scene_new() has filled in the presets */
    struct gateway_peers peers;
    struct gateway *gateways[SCENE_WORKERS];
    struct worker *workers[SCENE_WORKERS];
    struct routes *routes[SCENE_WORKERS];
    struct endpoint *endpoints[SCENE_WORKERS];
    struct fake_agent agents[SCENE_WORKERS];
    const struct metrics *metrics[SCENE_WORKERS];
    struct host_suffixes *suffixes;
    struct tls *tls;
    struct job_pool *jobs;
    atomic_uint drained; /* gateways that are */
    bool draining[SCENE_WORKERS];
    bool cut;
};

/* The test may change s->config and the endpoints before scene_start(). */
struct scene *scene_new(void);
void scene_start(struct scene *s);
/* Drains, checks that nothing is left, and frees. The test has closed its descriptors. */
void scene_free(struct scene *s);

/* A connection to the gateway of a worker; blocking. */
int scene_visit(struct scene *s, unsigned worker);
/* The same to the port of a TCP endpoint. */
int scene_visit_port(struct scene *s, unsigned worker, uint16_t port);
/* Before scene_start(): makes the endpoints TCP endpoints, with the ports SCENE_PORT and the next. */
void scene_use_tcp(struct scene *s);
/* An endpoint goes offline, on both workers. */
void scene_remove(struct scene *s, unsigned endpoint);
/* The upstream's end of the next stream to an endpoint. */
int scene_accept(struct scene *s, unsigned endpoint);
/* Gives both workers a changed copy of the config. */
void scene_reconfigure(struct scene *s, void (*change)(struct config *c));
/* Drains both workers, or what is left of them after scene_drain_worker(); scene_wait_drained() waits. */
void scene_drain(struct scene *s);
void scene_drain_worker(struct scene *s, unsigned worker);
void scene_wait_drained(struct scene *s);

/* Ends a worker with what it has; scene_free() then neither drains nor checks. */
void scene_cut(struct scene *s, unsigned worker);

int64_t scene_metric(const struct scene *s, enum metric id);
void scene_wait_metric(const struct scene *s, enum metric id, int64_t value);

/* ---- bytes on a descriptor; all fail the test after a while ---- */

void scene_send(int fd, const char *text);
void scene_send_bytes(int fd, const char *p, size_t n);
/* The next bytes are exactly these. */
void scene_expect(int fd, const char *text);
/* Bytes up to and with `end` come, and are thrown away. */
void scene_expect_until(int fd, const char *end);
/* The next bytes begin with `start`; they are thrown away with all up to and with `end`. */
void scene_expect_head(int fd, const char *start);
/* Nothing comes for a moment. */
void scene_expect_silence(int fd);
/* The end comes: closed, half-closed or reset. Closes fd. */
void scene_expect_end(int fd);
/* The peer's sending direction has ended; fd stays open. */
void scene_expect_eof(int fd);
/* Writes or reads n bytes of a pattern that begins at `from`. */
void scene_send_pattern(int fd, size_t from, size_t n);
void scene_expect_pattern(int fd, size_t from, size_t n);
/* Writes the pattern as long as the socket takes it, and gives up when it did not for a moment;
 * returns how many bytes it took. */
size_t scene_stuff(int fd);

#endif
