/*
 * Unit tests of gateway/upstream_http2_session and its pool: an upstream with TLS that is offered HTTP/2
 * and chooses HTTP/1.1, over real workers and a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene tests/unit/gateway/self_signed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "tests/unit/gateway/http_scene.h"
#include "tests/unit/gateway/self_signed.h"

struct server {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static int setup(void **state)
{
    struct scene *s = scene_new();

    s->endpoints[0]->upstream.protocol = UPSTREAM_HTTP2;
    s->endpoints[0]->upstream.tls = true;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return 0;
}

static int choose_http1(SSL *ssl, const unsigned char **out, unsigned char *n,
                        const unsigned char *in, unsigned in_bytes, void *arg)
{
    static const unsigned char http1[] = "http/1.1";

    (void)ssl;
    (void)arg;
    assert_true(in_bytes > 3 && memcmp(in, "\2h2", 3) == 0);
    *out = http1;
    *n = sizeof(http1) - 1;
    return SSL_TLSEXT_ERR_OK;
}

static void server_init(struct server *server, struct scene *s)
{
    EVP_PKEY *key;
    X509 *cert;

    self_signed_new(&key, &cert);
    server->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server->ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->ctx, key), 1);
    SSL_CTX_set_alpn_select_cb(server->ctx, choose_http1, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    server->fd = scene_accept(s, 0);
    server->ssl = SSL_new(server->ctx);
    assert_int_equal(SSL_set_fd(server->ssl, server->fd), 1);
}

static void server_fini(struct server *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->ctx);
    (void)close(server->fd);
}

static void serve(struct server *server)
{
    char request[1024];
    int n = SSL_read(server->ssl, request, sizeof(request));

    assert_true(n > 4);
    assert_memory_equal(request, "GET ", 4);
    assert_int_equal(SSL_write(server->ssl, SCENE_OK, sizeof(SCENE_OK) - 1), sizeof(SCENE_OK) - 1);
}

/* Waits until the endpoint has so many owners. */
static void wait_owners(struct endpoint *ep, unsigned count)
{
    const struct timespec moment = { .tv_nsec = 1000 * 1000 };

    for (unsigned i = 0; i < 10000 && atomic_load(&ep->ref.count) != count; i++)
        (void)nanosleep(&moment, NULL);
    assert_int_equal(atomic_load(&ep->ref.count), count);
}

static void upstream_that_chooses_http1_gets_it(void **state)
{
    struct scene *s = *state;
    struct server server;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET SCENE_GET);
    server_init(&server, s);
    assert_int_equal(SSL_accept(server.ssl), 1);
    for (int i = 0; i < 2; i++) {
        serve(&server);
        scene_expect(visitor, SCENE_OK);
    }
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    (void)close(visitor);
    server_fini(&server);
}

static void endpoint_that_went_during_the_handshake_is_not_kept(void **state)
{
    struct scene *s = *state;
    struct endpoint *ep = s->endpoints[0];
    struct server server;
    unsigned owners;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    server_init(&server, s);
    owners = atomic_load(&ep->ref.count);
    scene_remove(s, 0);
    wait_owners(ep, owners - SCENE_WORKERS - 1); /* the routes of both, and the pool */
    assert_int_equal(SSL_accept(server.ssl), 1);
    serve(&server);
    scene_expect_until(visitor, "\r\n\r\nok");
    (void)close(visitor);
    wait_owners(ep, 1);
    server_fini(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(upstream_that_chooses_http1_gets_it, setup, teardown),
        cmocka_unit_test_setup_teardown(endpoint_that_went_during_the_handshake_is_not_kept, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
