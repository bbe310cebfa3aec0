/*
 * Unit tests of gateway/tcp_ports: real sockets of two workers, in front of a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/listener.h"
#include "gateway/tcp_ports.h"
#include "tests/unit/gateway/http_scene.h"

struct stage {
    struct scene *scene;
    struct tcp_ports *ports;
    struct port_source source;
    uint16_t number; /* free; that of endpoint 0 */
};

static struct addr address_of(uint16_t number)
{
    return (struct addr){ .family = 4, .port = number, .ip = { 127, 0, 0, 1 } };
}

static uint16_t free_number(void)
{
    struct addr a = address_of(0);
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    int fd = listener_bind(&a, NULL);

    assert_int_not_equal(fd, -1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    (void)close(fd);
    return addr_from_sockaddr((struct sockaddr *)&sa).port;
}

static int setup(void **state)
{
    const struct config_listen addresses = { .addrs = { address_of(0) }, .count = 1 };
    struct stage *st = mem_zalloc(sizeof(*st));

    st->scene = scene_new();
    scene_use_tcp(st->scene);
    st->number = free_number();
    st->scene->endpoints[0]->url.port = st->number;
    st->ports = tcp_ports_new(&addresses, &st->scene->peers, SCENE_WORKERS);
    st->source = tcp_ports_source(st->ports);
    scene_start(st->scene);
    *state = st;
    return 0;
}

static int teardown(void **state)
{
    struct stage *st = *state;

    scene_free(st->scene);
    tcp_ports_free(st->ports);
    mem_free(st);
    return 0;
}

/* ---- what happens on the workers ---- */

struct step {
    void (*fn)(struct port *p, struct worker *w);
    struct port *port;
    atomic_uint left;
};

static void take_step(struct worker *w, void *arg)
{
    struct step *step = arg;

    step->fn(step->port, w);
    atomic_fetch_sub(&step->left, 1);
}

/* On every worker, waiting for it. */
static void on_workers(struct stage *st, void (*fn)(struct port *p, struct worker *w),
                       struct port *port)
{
    struct step step = { .fn = fn, .port = port, .left = SCENE_WORKERS };

    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        worker_post(st->scene->workers[i], take_step, &step);
    for (int ms = 0; ms < 20000 && atomic_load(&step.left) > 0; ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&step.left), 0);
}

static struct port *open_port(struct stage *st)
{
    struct err e = { .code = E_OK };
    struct port *p = st->source.ops->open(st->source.ctx, st->number, &e);

    if (p == NULL)
        fail_msg("%s", e.msg);
    return p;
}

/* A connection, or -1. */
static int reach(const struct stage *st)
{
    const struct addr a = address_of(st->number);
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(&a, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_not_equal(fd, -1);
    if (connect(fd, (struct sockaddr *)&sa, n) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void expect_served(struct stage *st)
{
    int visitor = reach(st);
    int upstream;

    assert_int_not_equal(visitor, -1);
    scene_send(visitor, "hello");
    upstream = scene_accept(st->scene, 0);
    scene_expect(upstream, "hello");
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- tests ---- */

static void port_is_served_by_all_workers_and_closed(void **state)
{
    struct stage *st = *state;
    struct port *p = open_port(st);

    on_workers(st, st->source.ops->serve, p);
    for (int i = 0; i < 20; i++)
        expect_served(st);
    on_workers(st, st->source.ops->stop, p);
    assert_int_equal(reach(st), -1);
    st->source.ops->close(p);
}

static void port_that_is_being_closed_is_opened_again(void **state)
{
    struct stage *st = *state;
    struct port *old = open_port(st);
    struct port *new;

    on_workers(st, st->source.ops->serve, old);
    new = open_port(st);
    on_workers(st, st->source.ops->stop, old);
    on_workers(st, st->source.ops->serve, new);
    st->source.ops->close(old);
    expect_served(st);
    on_workers(st, st->source.ops->stop, new);
    st->source.ops->close(new);
    assert_int_equal(reach(st), -1);
}

static void port_that_was_never_served_is_closed(void **state)
{
    struct stage *st = *state;

    st->source.ops->close(open_port(st));
    assert_int_equal(reach(st), -1);
}

static void port_of_another_program_is_refused(void **state)
{
    struct stage *st = *state;
    const struct addr a = address_of(st->number);
    int other = listener_bind(&a, NULL);
    struct err e;

    assert_int_not_equal(other, -1);
    assert_null(st->source.ops->open(st->source.ctx, st->number, &e));
    assert_int_equal(e.code, E_TCP_OCCUPIED);
    (void)close(other);
    st->source.ops->close(open_port(st));
}

static void port_is_not_served_while_draining(void **state)
{
    struct stage *st = *state;
    struct port *served = open_port(st);

    on_workers(st, st->source.ops->serve, served);
    scene_drain(st->scene);
    scene_wait_drained(st->scene);
    assert_int_equal(reach(st), -1);
    on_workers(st, st->source.ops->stop, served);
    st->source.ops->close(served);
    served = open_port(st);
    on_workers(st, st->source.ops->serve, served);
    assert_int_equal(reach(st), -1);
    st->source.ops->close(served);
}

int main(void)
{
#define WITH_STAGE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_STAGE(port_is_served_by_all_workers_and_closed),
        WITH_STAGE(port_that_is_being_closed_is_opened_again),
        WITH_STAGE(port_that_was_never_served_is_closed),
        WITH_STAGE(port_of_another_program_is_refused),
        WITH_STAGE(port_is_not_served_while_draining),
    };

    return cmocka_run_group_tests_name("gateway/tcp_ports", tests, NULL, NULL);
}
