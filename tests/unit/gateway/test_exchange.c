/*
 * Unit tests of gateway/exchange: how one request and its response pass, over real workers and a fake
 * agent; the exact bytes on both sides.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"

#define UPGRADE                                                                                    \
    "GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
#define SWITCH "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"

static int setup(void **state)
{
    *state = scene_new();
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return 0;
}

/* ---- messages ---- */

struct passage {
    const char *request;  /* of the visitor */
    const char *up;       /* what the upstream gets */
    const char *response; /* of the upstream */
    const char *down;     /* what the visitor gets */
};

#define HOST    "Host: a.example.com\r\n"
#define UP_HOST "host: a.example.com\r\n"

static const struct passage passages[] = {
    { SCENE_GET, SCENE_GET_UP, SCENE_OK, SCENE_OK },
    { "POST /p?q HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
      "POST /p?q HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "content-length: 5\r\n\r\nhello",
      "HTTP/1.1 201 Made\r\nX: y\r\nContent-Length: 3\r\n\r\nyes",
      "HTTP/1.1 201 Made\r\nX: y\r\ncontent-length: 3\r\n\r\nyes" },
    { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
      "POST / HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "content-length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" },
    /* Chunks, extensions, and trailers both ways. */
    { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
      "5;a=b\r\nhello\r\n0\r\nT: up\r\nHost: evil\r\n\r\n",
      "POST / HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "transfer-encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\nT: up\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\nT: down\r\nSallyport-Error-Code: ERR_SALLYPORT_1\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: down\r\n\r\n" },
    /* Without content, whatever the fields say. */
    { "HEAD / HTTP/1.1\r\n" HOST "\r\n", "HEAD / HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n" },
    { "HEAD / HTTP/1.1\r\n" HOST "\r\n", "HEAD / HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n" },
    { SCENE_GET, SCENE_GET_UP, "HTTP/1.1 204 None\r\n\r\n", "HTTP/1.1 204 None\r\n\r\n" },
    { SCENE_GET, SCENE_GET_UP, "HTTP/1.1 304 Same\r\nContent-Length: 9\r\nETag: x\r\n\r\n",
      "HTTP/1.1 304 Same\r\nETag: x\r\ncontent-length: 9\r\n\r\n" },
    /* Interim responses pass, and are not the last. */
    { SCENE_GET, SCENE_GET_UP,
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nNgrok-Error-Code: 1\r\n\r\n"
      "HTTP/1.1 102 Processing\r\n\r\n" SCENE_OK,
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" SCENE_OK },
    /* An upgrade that the upstream does not want. */
    { UPGRADE,
      "GET / HTTP/1.1\r\n" UP_HOST SCENE_FORWARDED "connection: upgrade\r\nupgrade: chat\r\n\r\n",
      SCENE_OK, SCENE_OK },
    /* What the visitor says of the connection is its own. */
    { "GET / HTTP/1.1\r\n" HOST "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 3\r\n\r\n",
      SCENE_GET_UP, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      SCENE_OK },
};

static void exchange_messages_pass_byte_for_byte(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0); /* one connection for all: each response ends where it should */
    for (size_t i = 0; i < sizeof(passages) / sizeof(passages[0]); i++) {
        int upstream;

        scene_send(visitor, passages[i].request);
        upstream = scene_accept(s, 0);
        scene_expect(upstream, passages[i].up);
        scene_send(upstream, passages[i].response);
        scene_expect(visitor, passages[i].down);
        scene_wait_metric(s, METRIC_EXCHANGES, 0);
        (void)close(upstream);
        scene_wait_metric(s, METRIC_STREAMS, 0);
    }
    (void)close(visitor);
}

/* A response that ends with its connection gets chunks, and the visitor's connection goes on. */
static void exchange_response_until_close_is_chunked(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    for (int i = 0; i < 2; i++) {
        scene_send(visitor, SCENE_GET);
        upstream = scene_accept(s, 0);
        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, "HTTP/1.0 200 OK\r\n\r\nabc");
        scene_expect(visitor, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
        (void)close(upstream);
        scene_expect(visitor, "0\r\n\r\n");
    }
    (void)close(visitor);
}

static void exchange_pieces_are_passed_at_once(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "1\r\na\r\n");
    scene_send(upstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    scene_expect(visitor, "1\r\nx\r\n");
    scene_send(visitor, "1\r\nb\r\n");
    scene_expect(upstream, "1\r\nb\r\n");
    scene_send(upstream, "1\r\ny\r\n");
    scene_expect(visitor, "1\r\ny\r\n");
    scene_send(visitor, "0\r\n\r\n");
    scene_expect(upstream, "0\r\n\r\n");
    scene_send(upstream, "0\r\n\r\n");
    scene_expect(visitor, "0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- early responses and bad bodies ---- */

static void exchange_early_response_ends_both_connections(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\nabc");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "abc");
    scene_send(upstream, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno");
    scene_expect(visitor, "HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno");
    scene_expect_end(visitor); /* the rest of the body must not be taken for a request */
    scene_expect_end(upstream);
}

static void exchange_request_that_breaks_is_400_and_never_whole(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "1\r\na\r\n");
    scene_send(visitor, "x");
    scene_expect_end(upstream);
    scene_expect_head(visitor, "HTTP/1.1 400 Bad Request\r\n");
    scene_expect_until(visitor, "size\n");
    scene_expect_end(visitor);
}

/* ---- tunnels ---- */

/* With `change`, other limits are in force when the upstream agrees. */
static int open_tunnel_after(struct scene *s, int *upstream, void (*change)(struct config *c))
{
    int visitor = scene_visit(s, 0);

    scene_send(visitor, UPGRADE "early");
    *upstream = scene_accept(s, 0);
    scene_expect_head(*upstream, "GET / HTTP/1.1\r\n");
    scene_expect_silence(*upstream); /* what follows an upgrade request waits for the answer */
    if (change != NULL)
        scene_reconfigure(s, change);
    scene_send(*upstream, SWITCH "first");
    scene_expect(visitor, "HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nfirst");
    scene_expect(*upstream, "early");
    return visitor;
}

static int open_tunnel(struct scene *s, int *upstream)
{
    return open_tunnel_after(s, upstream, NULL);
}

static void exchange_tunnel_half_closed_by_the_visitor_goes_on(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = open_tunnel(s, &upstream);
    scene_send(visitor, "last");
    (void)shutdown(visitor, SHUT_WR);
    scene_expect(upstream, "last");
    scene_expect_eof(upstream);
    scene_send(upstream, "later");
    scene_expect(visitor, "later");
    (void)close(upstream);
    scene_expect_end(visitor);
}

static void exchange_tunnel_half_closed_by_the_upstream_goes_on(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = open_tunnel(s, &upstream);
    scene_send(upstream, "last");
    (void)shutdown(upstream, SHUT_WR);
    scene_expect(visitor, "last");
    scene_expect_eof(visitor);
    scene_send(visitor, "later");
    scene_expect(upstream, "later");
    (void)close(visitor);
    scene_expect_end(upstream);
}

/* The visitor's end came while the 101 was awaited. */
static void exchange_tunnel_half_closed_before_it_began_ends(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, UPGRADE);
    (void)shutdown(visitor, SHUT_WR);
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_expect_silence(upstream);
    scene_send(upstream, SWITCH);
    scene_expect_head(visitor, "HTTP/1.1 101 Yes\r\n");
    scene_expect_eof(upstream);
    scene_send(upstream, "bye");
    scene_expect(visitor, "bye");
    (void)close(upstream);
    scene_expect_end(visitor);
}

/* The upgrade request had a body: its end is not the visitor's half-close. */
static void exchange_tunnel_after_a_body_is_whole(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "2\r\nhi\r\n0\r\n\r\n");
    scene_send(upstream, SWITCH);
    scene_expect_head(visitor, "HTTP/1.1 101 Yes\r\n");
    (void)shutdown(upstream, SHUT_WR);
    scene_expect_eof(visitor);
    scene_send(visitor, "raw");
    scene_expect(upstream, "raw");
    (void)shutdown(visitor, SHUT_WR);
    scene_expect_end(upstream);
    scene_expect_end(visitor);
}

static void exchange_switch_before_the_body_is_whole_is_refused(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n"
                        "Content-Length: 3\r\n\r\nab");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_send(upstream, SWITCH);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    scene_expect_until(visitor, "unasked\n");
    scene_expect_end(visitor);
    (void)close(upstream);
}

/* Both directions have ended, but the upstream has not read all yet: somewhere among the sizes, what its
 * socket did not take waits in the gateway. */
static void exchange_tunnel_ends_after_the_last_byte(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    for (size_t n = 128 * 1024; n <= 256 * 1024; n += 16 * 1024) {
        int upstream;
        int visitor = open_tunnel(s, &upstream);

        (void)shutdown(upstream, SHUT_WR);
        scene_expect_eof(visitor);
        scene_send_pattern(visitor, 0, n);
        (void)shutdown(visitor, SHUT_WR);
        (void)usleep(20000);
        scene_expect_pattern(upstream, 0, n);
        scene_expect_end(upstream);
        (void)close(visitor);
    }
}

static void short_limits(struct config *c)
{
    c->stall_timeout_ms = 50;
    c->response_head_timeout_ms = 50;
}

static void exchange_tunnel_is_silent_as_long_as_it_likes(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = open_tunnel_after(s, &upstream, short_limits);
    (void)usleep(200000);
    scene_send(upstream, "still");
    scene_expect(visitor, "still");
    (void)close(visitor);
    scene_expect_end(upstream);
}

static void exchange_tunnel_idle_limit_holds(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->upgrade_idle_timeout_ms = 200;
    scene_start(s);
    visitor = open_tunnel(s, &upstream);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* Half of it is gone and the other half says nothing: no peer waits there any more. */
static void exchange_half_closed_tunnel_may_not_stall(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->stall_timeout_ms = 200;
    s->config->response_head_timeout_ms = 10000;
    scene_start(s);
    visitor = open_tunnel(s, &upstream);
    (void)shutdown(visitor, SHUT_WR);
    scene_expect_eof(upstream);
    scene_expect_end(visitor);
    (void)close(upstream);
}

/* ---- timeouts ---- */

static void no_timeout(struct config *c)
{
    c->response_head_timeout_ms = 0;
}

static void exchange_missing_response_is_504(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->response_head_timeout_ms = 100;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect_head(visitor, "HTTP/1.1 504 Gateway Timeout\r\n");
    scene_expect_until(visitor, "no response\n");
    (void)close(upstream);
    /* The request was whole: the connection goes on. */
    scene_reconfigure(s, no_timeout);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_stalled_request_body_is_408(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->stall_timeout_ms = 100;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc");
    upstream = scene_accept(s, 0);
    scene_expect_head(visitor, "HTTP/1.1 408 Request Timeout\r\n");
    scene_expect_until(visitor, "in time\n");
    scene_expect_end(visitor);
    (void)close(upstream);
}

/* The visitor would send on, but the upstream does not read. */
static void exchange_stalled_upstream_is_504(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->stall_timeout_ms = 2500; /* until then the upstream must be stuffed */
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\n");
    upstream = scene_accept(s, 0);
    (void)scene_stuff(visitor);
    scene_expect_head(visitor, "HTTP/1.1 504 Gateway Timeout\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void exchange_stalled_response_body_is_cut(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->stall_timeout_ms = 100;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* The timer runs with the old limit when a reload takes the limit away. */
static void exchange_limit_taken_away_by_a_reload_is_gone(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    s->config->response_head_timeout_ms = 2500;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_reconfigure(s, no_timeout);
    (void)usleep(2600 * 1000);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- what policies make of heads ---- */

/* Adds 600,000 bytes of headers to the message of the phase. */
static enum policy_verdict fatten(struct policy_run *run)
{
    static char value[4001];
    enum policy_message m = run->phase == POLICY_ON_HTTP_REQUEST ? POLICY_REQUEST : POLICY_RESPONSE;

    memset(value, 'v', sizeof(value) - 1);
    for (size_t i = 0; i < 150; i++)
        run->host->header_add(run->ctx, m, STR("x-fat"), str_from(value));
    return POLICY_CONTINUE;
}

static void exchange_request_overgrown_by_a_policy_is_431(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->request_head_max_bytes = 1024;
    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_REQUEST, fatten, NULL);
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    scene_expect_head(visitor, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    (void)close(visitor);
}

static void exchange_response_overgrown_by_a_policy_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->response_head_max_bytes = 1024;
    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_RESPONSE, fatten, NULL);
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(exchange_messages_pass_byte_for_byte),
        WITH_SCENE(exchange_response_until_close_is_chunked),
        WITH_SCENE(exchange_pieces_are_passed_at_once),
        WITH_SCENE(exchange_early_response_ends_both_connections),
        WITH_SCENE(exchange_request_that_breaks_is_400_and_never_whole),
        WITH_SCENE(exchange_tunnel_half_closed_by_the_visitor_goes_on),
        WITH_SCENE(exchange_tunnel_half_closed_by_the_upstream_goes_on),
        WITH_SCENE(exchange_tunnel_half_closed_before_it_began_ends),
        WITH_SCENE(exchange_tunnel_after_a_body_is_whole),
        WITH_SCENE(exchange_switch_before_the_body_is_whole_is_refused),
        WITH_SCENE(exchange_tunnel_ends_after_the_last_byte),
        WITH_SCENE(exchange_tunnel_is_silent_as_long_as_it_likes),
        WITH_SCENE(exchange_tunnel_idle_limit_holds),
        WITH_SCENE(exchange_half_closed_tunnel_may_not_stall),
        WITH_SCENE(exchange_missing_response_is_504),
        WITH_SCENE(exchange_stalled_request_body_is_408),
        WITH_SCENE(exchange_stalled_upstream_is_504),
        WITH_SCENE(exchange_stalled_response_body_is_cut),
        WITH_SCENE(exchange_limit_taken_away_by_a_reload_is_gone),
        WITH_SCENE(exchange_request_overgrown_by_a_policy_is_431),
        WITH_SCENE(exchange_response_overgrown_by_a_policy_is_502),
    };

    return cmocka_run_group_tests_name("gateway/exchange", tests, NULL, NULL);
}
