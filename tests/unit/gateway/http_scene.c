#include "tests/unit/gateway/http_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/fetch_rules.h"
#include "gateway/tls.h"
#include "tunnel/host.h"
#include "tunnel/routes.h"

enum { SCENE_DEADLINE_MS = 20000, SCENE_SILENCE_MS = 50, SCENE_PIECE_BYTES = 64 * 1024 };

static char state_dir[] = "/tmp/http_scene.XXXXXX";

/* ---- building ---- */

static void preset(struct config *c)
{
    ref_init(&c->ref);
#define LIMIT(name, unit, min, max, value, text) c->name = value;
#include "gateway/config.def"
#undef LIMIT
    c->fetch_rules = fetch_rules_new();
    c->tcp.host = mem_strdup("tcp.example.com");
}

static void remove_state_dir(void)
{
    static const char *const files[] = { "ca.crt", "ca.key" };
    char path[64];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", state_dir, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(state_dir), 0);
}

static struct endpoint *make_endpoint(const char *host)
{
    struct endpoint *ep = endpoint_new();

    ep->url = (struct url){ .scheme = SCHEME_HTTP, .binding = BINDING_PUBLIC, .port = 80 };
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    return ep;
}

struct scene *scene_new(void)
{
    static const char *const hosts[SCENE_WORKERS] = { "a.example.com", "b.example.com" };
    struct scene *s = mem_zalloc(sizeof(*s));

    s->config = mem_zalloc(sizeof(*s->config));
    preset(s->config);
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        s->workers[i] = worker_new(i == 0 ? "first" : "second", i);
        s->routes[i] = routes_new();
        s->metrics[i] = worker_metrics(s->workers[i]);
        fake_agent_init(&s->agents[i], s->workers[i]);
        s->endpoints[i] = make_endpoint(hosts[i]);
        s->endpoints[i]->agent = s->agents[i].agent;
    }
    return s;
}

static void make_tls(struct scene *s)
{
    struct buf problems;

    (void)snprintf(state_dir, sizeof(state_dir), "/tmp/http_scene.XXXXXX");
    assert_non_null(mkdtemp(state_dir));
    s->config->state_dir = mem_strdup(state_dir);
    s->config->domain = mem_strdup("example.com");
    buf_init(&problems, 4096);
    s->tls = tls_new(s->config, NULL, &problems);
    if (s->tls == NULL)
        fail_msg("%.*s", STR_ARG(buf_str(&problems)));
    buf_fini(&problems);
}

void scene_start(struct scene *s)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    make_tls(s);
    s->jobs = job_pool_new(1);
    s->suffixes = host_suffixes_new(STR("example.com"), NULL, 0, NULL);
    s->peers = (struct gateway_peers){ .gateways = s->gateways,
                                       .metrics = s->metrics,
                                       .metrics_count = SCENE_WORKERS };
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        const struct gateway_params params = {
            .worker = s->workers[i],
            .peers = &s->peers,
            .routes = s->routes[i],
            .suffixes = s->suffixes,
            .config = s->config,
            .tls = s->tls,
            .jobs = s->jobs,
        };

        for (unsigned k = 0; k < SCENE_WORKERS; k++)
            routes_add(s->routes[i], s->endpoints[k]);
        s->gateways[i] = gateway_new(&params);
    }
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        worker_start(s->workers[i]);
}

static void assert_nothing_left(const struct scene *s)
{
    static const enum metric gauges[] = { METRIC_CONNS, METRIC_RAW_CONNS, METRIC_EXCHANGES,
                                          METRIC_STREAMS, METRIC_RELAYS };

    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        scene_wait_metric(s, gauges[i], 0);
}

static void stop_workers(struct scene *s)
{
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        worker_stop(s->workers[i]);
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        worker_join(s->workers[i]);
}

void scene_cut(struct scene *s, unsigned worker)
{
    s->cut = true;
    worker_stop(s->workers[worker]);
    worker_join(s->workers[worker]);
}

void scene_free(struct scene *s)
{
    if (!s->cut) {
        scene_drain(s);
        scene_wait_drained(s);
        assert_nothing_left(s);
        stop_workers(s);
    }
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        gateway_free(s->gateways[i]);
    job_pool_free(s->jobs);
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        worker_free(s->workers[i]);
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        routes_free(s->routes[i]);
        endpoint_unref(s->endpoints[i]);
        fake_agent_fini(&s->agents[i]);
    }
    host_suffixes_free(s->suffixes);
    tls_unref(s->tls);
    config_unref(s->config);
    remove_state_dir();
    mem_free(s);
}

/* ---- what happens on the workers ---- */

struct visit {
    struct gateway *gateway;
    int fd;
    enum scheme scheme;
    uint16_t port;
};

static void open_conn(struct worker *w, void *arg)
{
    const struct addr peer = { .family = 4, .port = 4711, .ip = { 192, 0, 2, 7 } };
    struct visit *v = arg;

    (void)w;
    conn_open(v->gateway, v->fd, v->scheme, v->port, &peer);
    mem_free(v);
}

static int visit(struct scene *s, unsigned worker, enum scheme scheme, uint16_t port)
{
    struct visit *v = mem_zalloc(sizeof(*v));
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_not_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), -1);
    v->gateway = s->gateways[worker];
    v->fd = fds[0];
    v->scheme = scheme;
    v->port = port;
    worker_post(s->workers[worker], open_conn, v);
    return fds[1];
}

int scene_visit(struct scene *s, unsigned worker)
{
    return visit(s, worker, SCHEME_HTTP, 80);
}

int scene_visit_port(struct scene *s, unsigned worker, uint16_t port)
{
    return visit(s, worker, SCHEME_TCP, port);
}

void scene_use_tcp(struct scene *s)
{
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        struct url *u = &s->endpoints[i]->url;

        u->scheme = SCHEME_TCP;
        u->port = (uint16_t)(SCENE_PORT + i);
        (void)snprintf(u->host, sizeof(u->host), "%s", s->config->tcp.host);
    }
}

struct removal {
    struct routes *routes;
    struct endpoint *endpoint;
};

static void remove_route(struct worker *w, void *arg)
{
    struct removal *r = arg;

    (void)w;
    routes_remove(r->routes, r->endpoint);
    mem_free(r);
}

void scene_remove(struct scene *s, unsigned endpoint)
{
    endpoint_withdraw(s->endpoints[endpoint]);
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        struct removal *r = mem_zalloc(sizeof(*r));

        r->routes = s->routes[i];
        r->endpoint = s->endpoints[endpoint];
        worker_post(s->workers[i], remove_route, r);
    }
}

int scene_accept(struct scene *s, unsigned endpoint)
{
    return fake_agent_accept(&s->agents[endpoint]);
}

struct reload {
    struct scene *scene;
    struct config *config;
};

static void configure(struct worker *w, void *arg)
{
    struct reload *r = arg;

    gateway_configure(r->scene->gateways[worker_id(w)], r->config, r->scene->tls, NULL);
    config_unref(r->config);
    mem_free(r);
}

void scene_reconfigure(struct scene *s, void (*change)(struct config *c))
{
    struct config *c = mem_zalloc(sizeof(*c));

    preset(c);
    change(c);
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        struct reload *r = mem_zalloc(sizeof(*r));

        config_ref(c);
        r->scene = s;
        r->config = c;
        worker_post(s->workers[i], configure, r);
    }
    config_unref(c);
}

static void on_drained(struct worker *w, void *arg)
{
    struct scene *s = arg;

    (void)w;
    atomic_fetch_add(&s->drained, 1);
}

static void drain(struct worker *w, void *arg)
{
    struct scene *s = arg;

    gateway_drain(s->gateways[worker_id(w)], on_drained, s);
}

void scene_drain_worker(struct scene *s, unsigned worker)
{
    if (!s->draining[worker])
        worker_post(s->workers[worker], drain, s);
    s->draining[worker] = true;
}

void scene_drain(struct scene *s)
{
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        scene_drain_worker(s, i);
}

void scene_wait_drained(struct scene *s)
{
    for (int ms = 0; ms < SCENE_DEADLINE_MS && atomic_load(&s->drained) < SCENE_WORKERS; ms++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&s->drained), SCENE_WORKERS);
}

int64_t scene_metric(const struct scene *s, enum metric id)
{
    return metrics_sum(s->metrics, SCENE_WORKERS, id);
}

void scene_wait_metric(const struct scene *s, enum metric id, int64_t value)
{
    for (int ms = 0; ms < SCENE_DEADLINE_MS && scene_metric(s, id) != value; ms++)
        (void)poll(NULL, 0, 1);
    if (scene_metric(s, id) != value)
        fail_msg("%s is %lld, not %lld", metrics_name(id), (long long)scene_metric(s, id),
                 (long long)value);
}

/* ---- bytes ---- */

static void wait_readable(int fd, const char *for_what)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    if (poll(&ready, 1, SCENE_DEADLINE_MS) != 1)
        fail_msg("nothing came; awaited was: %s", for_what);
}

void scene_send_bytes(int fd, const char *p, size_t n)
{
    while (n > 0) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };
        ssize_t sent;

        if (poll(&ready, 1, SCENE_DEADLINE_MS) != 1)
            fail_msg("%zu bytes are not taken", n);
        sent = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == -1 && errno == EAGAIN)
            continue;
        if (sent == -1)
            fail_msg("sending failed: %s", strerror(errno));
        p += sent;
        n -= (size_t)sent;
    }
}

void scene_send(int fd, const char *text)
{
    scene_send_bytes(fd, text, strlen(text));
}

/* Reads n bytes; fails when fewer come. */
static void read_exactly(int fd, char *p, size_t n, const char *for_what)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got;

        wait_readable(fd, for_what);
        got = read(fd, p + have, n - have);
        if (got <= 0)
            fail_msg("it ended after %zu bytes '%.*s'; awaited was: %s", have, (int)have, p,
                     for_what);
        have += (size_t)got;
    }
}

void scene_expect(int fd, const char *text)
{
    size_t n = strlen(text);
    char *got = mem_zalloc(n + 1);

    read_exactly(fd, got, n, text);
    assert_string_equal(got, text);
    mem_free(got);
}

void scene_expect_until(int fd, const char *end)
{
    struct buf got;

    buf_init(&got, 64 * 1024 * 1024);
    while (!str_ends(buf_str(&got), str_from(end))) {
        char c;

        read_exactly(fd, &c, 1, end);
        buf_add_char(&got, c);
    }
    buf_fini(&got);
}

void scene_expect_head(int fd, const char *start)
{
    scene_expect(fd, start);
    scene_expect_until(fd, "\r\n\r\n");
}

void scene_expect_silence(int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    if (poll(&ready, 1, SCENE_SILENCE_MS) != 0) {
        char got[128] = "";
        ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_PEEK);

        fail_msg("%zd bytes came: '%s'", n, got);
    }
}

void scene_expect_eof(int fd)
{
    char got[128];
    ssize_t n;

    wait_readable(fd, "the end");
    n = read(fd, got, sizeof(got));
    if (n > 0)
        fail_msg("instead of the end came '%.*s'", (int)n, got);
}

void scene_expect_end(int fd)
{
    scene_expect_eof(fd);
    (void)close(fd);
}

static void fill_pattern(char *p, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((from + i) * 2654435761U >> 24);
}

void scene_send_pattern(int fd, size_t from, size_t n)
{
    static char piece[SCENE_PIECE_BYTES];

    while (n > 0) {
        size_t k = n < sizeof(piece) ? n : sizeof(piece);

        fill_pattern(piece, from, k);
        scene_send_bytes(fd, piece, k);
        from += k;
        n -= k;
    }
}

void scene_expect_pattern(int fd, size_t from, size_t n)
{
    static char piece[SCENE_PIECE_BYTES];
    static char wanted[SCENE_PIECE_BYTES];

    while (n > 0) {
        size_t k = n < sizeof(piece) ? n : sizeof(piece);

        read_exactly(fd, piece, k, "the pattern");
        fill_pattern(wanted, from, k);
        assert_memory_equal(piece, wanted, k);
        from += k;
        n -= k;
    }
}

size_t scene_stuff(int fd)
{
    static char piece[SCENE_PIECE_BYTES];
    size_t total = 0;

    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };
        ssize_t sent;

        if (poll(&ready, 1, 4 * SCENE_SILENCE_MS) != 1)
            return total;
        fill_pattern(piece, total, sizeof(piece));
        sent = send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == -1 && errno == EAGAIN)
            return total;
        if (sent == -1)
            fail_msg("sending failed: %s", strerror(errno));
        total += (size_t)sent;
    }
}
