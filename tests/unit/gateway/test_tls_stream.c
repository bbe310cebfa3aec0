/*
 * Unit tests of gateway/tls_stream and gateway/tls_client: against a TLS server in memory, over an
 * inner stream that the test moves by hand.
 * Links: tests/unit/tunnel/fake_stream tests/unit/gateway/self_signed
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ev.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "base/worker.h"
#include "gateway/tls_client.h"
#include "gateway/tls_stream.h"
#include "tests/unit/gateway/self_signed.h"
#include "tests/unit/tunnel/fake_stream.h"
#include "tunnel/endpoint.h"

enum { LARGE = 200 * 1024, ALL = 1024 * 1024 };

struct fixture {
    struct worker *worker;
    struct tls_client *client;
    struct endpoint *ep;
    struct fake_stream inner;
    struct stream *stream; /* under test; NULL once closed */
    bool in_call;          /* of the stream under test: no event may come */

    SSL_CTX *server_ctx;
    SSL *server;
    struct buf to_client; /* that the server has sent and inner did not deliver */
    size_t piece;         /* bytes that inner delivers at once */
    struct buf at_server;
    bool server_saw_end;

    struct buf received;
    size_t takes; /* bytes that on_data takes in all */
    bool opened;
    bool eof;
    bool closed;
    unsigned writable;
    enum close_reason why;
    char problem[200];
};

static EVP_PKEY *key;
static X509 *cert;

/* ---- the owner's events ---- */

static void on_open(void *arg)
{
    struct fixture *f = arg;

    assert_false(f->in_call);
    f->opened = true;
}

static size_t on_data(void *arg, struct str data)
{
    struct fixture *f = arg;
    size_t n = data.n < f->takes ? data.n : f->takes;

    assert_false(f->in_call);
    assert_true(f->opened && !f->eof && !f->closed);
    f->takes -= n;
    buf_add(&f->received, data.p, n);
    return n;
}

static void on_writable(void *arg)
{
    struct fixture *f = arg;

    assert_false(f->in_call);
    f->writable++;
}

static void on_eof(void *arg)
{
    struct fixture *f = arg;

    assert_false(f->in_call || f->eof || f->closed);
    f->eof = true;
}

static void on_closed(void *arg, enum close_reason why)
{
    struct fixture *f = arg;

    assert_false(f->in_call || f->closed);
    f->closed = true;
    f->why = why;
}

static const struct stream_events events = { on_open, on_data, on_writable, on_eof, on_closed };

static void on_problem(void *arg, struct endpoint *ep, const char *problem)
{
    struct fixture *f = arg;

    assert_ptr_equal(ep, f->ep);
    (void)snprintf(f->problem, sizeof(f->problem), "%s", problem);
}

/* ---- the server ---- */

static int make_certificate(void **state)
{
    (void)state;
    self_signed_new(&key, &cert);
    return 0;
}

static int free_certificate(void **state)
{
    (void)state;
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                       const unsigned char *in, unsigned in_bytes, void *arg)
{
    (void)ssl;
    (void)arg;
    assert_true(in_bytes > 1);
    *out = in + 1; /* the client's first choice */
    *n = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    f->worker = worker_new("test", 0);
    f->client = tls_client_new();
    f->ep = endpoint_new();
    f->ep->upstream.tls = true;
    endpoint_set(&f->ep->upstream.tls_host, STR("up.test"));
    fake_stream_init(&f->inner, ALL);
    buf_init(&f->to_client, ALL);
    buf_init(&f->at_server, ALL);
    buf_init(&f->received, ALL);
    f->takes = ALL;
    f->piece = ALL;
    f->server_ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(f->server_ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(f->server_ctx, key), 1);
    SSL_CTX_set_alpn_select_cb(f->server_ctx, choose_alpn, NULL);
    f->server = SSL_new(f->server_ctx);
    SSL_set_bio(f->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(f->server);
    *state = f;
    return 0;
}

static void close_stream(struct fixture *f, enum close_reason why)
{
    f->in_call = true;
    stream_close(f->stream, why);
    f->in_call = false;
    f->stream = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->stream != NULL)
        close_stream(f, CLOSE_CANCELLED);
    assert_true(f->inner.closed);
    worker_free(f->worker);
    tls_client_free(f->client);
    endpoint_unref(f->ep);
    fake_stream_fini(&f->inner);
    buf_fini(&f->to_client);
    buf_fini(&f->at_server);
    buf_fini(&f->received);
    SSL_free(f->server);
    SSL_CTX_free(f->server_ctx);
    mem_free(f);
    return 0;
}

/* ---- moving bytes ---- */

static void turn_loop(struct fixture *f)
{
    ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
}

static void run_server(struct fixture *f)
{
    struct str sent = buf_str(&f->inner.written);
    char bytes[4096];
    int n;

    if (sent.n > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(f->server), sent.p, (int)sent.n), sent.n);
    buf_consume(&f->inner.written, sent.n);
    while ((n = SSL_read(f->server, bytes, sizeof(bytes))) > 0)
        buf_add(&f->at_server, bytes, (size_t)n);
    f->server_saw_end = (SSL_get_shutdown(f->server) & SSL_RECEIVED_SHUTDOWN) != 0;
    while ((n = BIO_read(SSL_get_wbio(f->server), bytes, sizeof(bytes))) > 0)
        buf_add(&f->to_client, bytes, (size_t)n);
}

/* Delivers what the server sent; returns how much was taken. */
static size_t deliver(struct fixture *f)
{
    struct str data = str_slice(buf_str(&f->to_client), 0, f->piece);
    size_t taken;

    if (data.n == 0 || f->inner.closed)
        return 0;
    taken = f->inner.stream.events->on_data(f->inner.stream.arg, data);
    buf_consume(&f->to_client, taken);
    return taken;
}

/* Until nothing moves. */
static void run(struct fixture *f)
{
    size_t moved;

    do {
        moved = f->inner.written.len;
        run_server(f);
        moved += deliver(f);
        turn_loop(f);
    } while (moved > 0);
}

static void start(struct fixture *f, enum tls_client_alpn alpn)
{
    struct err e = { 0 };
    struct tls_stream_params params = {
        .worker = f->worker,
        .inner = &f->inner.stream,
        .ssl = tls_client_session(f->client, f->ep, alpn, &e),
        .handshake_ms = 10000,
        .ep = f->ep,
        .on_problem = on_problem,
        .arg = f,
    };

    if (params.ssl == NULL)
        fail_msg("%s", e.msg);
    f->stream = tls_stream_new(&params, &events, f);
    assert_int_equal(stream_write(f->stream, "early", 5), 0);
    f->inner.stream.events->on_open(f->inner.stream.arg);
    assert_false(f->opened);
}

static void open_stream(struct fixture *f)
{
    start(f, TLS_CLIENT_HTTP1);
    run(f);
    assert_true(f->opened);
    assert_false(f->closed);
}

static size_t write_all(struct fixture *f, const char *p, size_t n)
{
    size_t taken;

    f->in_call = true;
    taken = stream_write(f->stream, p, n);
    f->in_call = false;
    return taken;
}

static void server_sends(struct fixture *f, const char *p, size_t n)
{
    assert_int_equal(SSL_write(f->server, p, (int)n), n);
}

static char large[LARGE];

static void fill_large(void)
{
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 7 + i / 251);
}

/* ---- tests ---- */

static void tls_stream_carries_both_ways(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    assert_int_equal(f->writable, 1); /* for what was offered too early */
    assert_string_equal(SSL_get_servername(f->server, TLSEXT_NAMETYPE_host_name), "up.test");
    assert_true(str_eq(tls_stream_alpn(f->stream), STR("http/1.1")));
    assert_int_equal(write_all(f, large, sizeof(large)), sizeof(large));
    server_sends(f, "hello", 5);
    run(f);
    assert_true(str_eq(buf_str(&f->at_server), str_of(large, sizeof(large))));
    assert_true(str_eq(buf_str(&f->received), STR("hello")));
    close_stream(f, CLOSE_DONE);
    assert_int_equal(f->inner.why, CLOSE_DONE);
    run_server(f);
    assert_true(f->server_saw_end);
}

static void tls_stream_offers_what_is_asked_for(void **state)
{
    struct fixture *f = *state;

    start(f, TLS_CLIENT_HTTP2);
    run(f);
    assert_true(str_eq(tls_stream_alpn(f->stream), STR("h2")));
}

static void tls_stream_of_an_address_sends_no_name(void **state)
{
    struct fixture *f = *state;

    endpoint_set(&f->ep->upstream.tls_host, STR("127.0.0.1"));
    start(f, TLS_CLIENT_NO_ALPN);
    run(f);
    assert_true(f->opened);
    assert_null(SSL_get_servername(f->server, TLSEXT_NAMETYPE_host_name));
    assert_int_equal(tls_stream_alpn(f->stream).n, 0);
}

static void tls_stream_takes_single_bytes(void **state)
{
    struct fixture *f = *state;

    f->piece = 1;
    open_stream(f);
    server_sends(f, large, 3000);
    run(f);
    assert_true(str_eq(buf_str(&f->received), str_of(large, 3000)));
}

static void tls_stream_slow_inner_holds_the_owner_back(void **state)
{
    struct fixture *f = *state;
    size_t taken;

    open_stream(f);
    f->inner.room = 100;
    f->writable = 0;
    taken = write_all(f, large, sizeof(large));
    assert_in_range(taken, 1, 16 * 1024);
    assert_int_equal(write_all(f, large + taken, 10), 0);
    run_server(f);
    f->inner.room = 100; /* still not all of the record */
    f->inner.stream.events->on_writable(f->inner.stream.arg);
    assert_int_equal(f->writable, 0);
    f->inner.room = ALL;
    f->inner.stream.events->on_writable(f->inner.stream.arg);
    assert_int_equal(f->writable, 1);
    /* Other bytes than were refused may come next. */
    assert_int_equal(write_all(f, "other", 5), 5);
    run(f);
    assert_int_equal(f->at_server.len, taken + 5);
    assert_memory_equal(buf_str(&f->at_server).p, large, taken);
    assert_memory_equal(buf_str(&f->at_server).p + taken, "other", 5);
}

static void tls_stream_slow_owner_holds_inner_back(void **state)
{
    struct fixture *f = *state;
    unsigned resumed;

    open_stream(f);
    f->takes = 10;
    server_sends(f, large, sizeof(large));
    run(f);
    assert_int_equal(f->received.len, 10);
    assert_true(f->to_client.len > sizeof(large) - 40 * 1024); /* one record was decrypted */
    run(f);
    assert_int_equal(f->received.len, 10); /* nothing more without being asked */
    resumed = f->inner.resumed;
    f->takes = ALL;
    f->in_call = true;
    stream_resume(f->stream);
    f->in_call = false;
    turn_loop(f);
    assert_int_equal(f->inner.resumed, resumed + 1);
    run(f);
    assert_true(str_eq(buf_str(&f->received), str_of(large, sizeof(large))));
}

static void tls_stream_half_closes(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    assert_int_equal(write_all(f, "last", 4), 4);
    f->in_call = true;
    stream_end(f->stream);
    f->in_call = false;
    assert_true(f->inner.ended);
    run(f);
    assert_true(f->server_saw_end && str_eq(buf_str(&f->at_server), STR("last")));
    server_sends(f, "answer", 6); /* the other direction goes on */
    (void)SSL_shutdown(f->server);
    run(f);
    assert_true(f->eof && str_eq(buf_str(&f->received), STR("answer")));
    f->inner.stream.events->on_eof(f->inner.stream.arg);
    assert_false(f->closed);
    f->inner.stream.events->on_closed(f->inner.stream.arg, CLOSE_DONE);
    assert_true(f->closed && f->why == CLOSE_DONE);
}

static void tls_stream_half_close_waits_for_what_is_held(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    f->inner.room = 10;
    assert_int_equal(write_all(f, "last", 4), 4);
    stream_end(f->stream);
    assert_false(f->inner.ended);
    f->inner.room = ALL;
    f->inner.stream.events->on_writable(f->inner.stream.arg);
    assert_true(f->inner.ended);
    run(f);
    assert_true(f->server_saw_end && str_eq(buf_str(&f->at_server), STR("last")));
}

static void tls_stream_cut_is_a_reset(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    server_sends(f, "half", 4);
    f->takes = 1; /* also when the owner is behind */
    run(f);
    f->inner.stream.events->on_eof(f->inner.stream.arg);
    f->inner.stream.events->on_closed(f->inner.stream.arg, CLOSE_DONE);
    assert_false(f->eof || f->closed);
    f->takes = ALL;
    stream_resume(f->stream);
    turn_loop(f);
    assert_true(str_eq(buf_str(&f->received), STR("half")));
    assert_true(!f->eof && f->closed && f->why == CLOSE_RESET);
}

static void tls_stream_reason_of_inner_is_passed_on(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    f->inner.stream.events->on_closed(f->inner.stream.arg, CLOSE_SESSION_LOST);
    assert_true(f->closed && f->why == CLOSE_SESSION_LOST);
}

static void tls_stream_refused_inner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_stream_params params = {
        .worker = f->worker,
        .inner = &f->inner.stream,
        .ssl = tls_client_session(f->client, f->ep, TLS_CLIENT_HTTP1, NULL),
        .ep = f->ep,
        .on_problem = on_problem,
        .arg = f,
    };

    f->stream = tls_stream_new(&params, &events, f);
    f->inner.stream.events->on_closed(f->inner.stream.arg, CLOSE_REFUSED);
    assert_true(f->closed && f->why == CLOSE_REFUSED);
    assert_string_equal(f->problem, "");
}

static void tls_stream_failed_handshakes_are_told(void **state)
{
    struct fixture *f = *state;

    start(f, TLS_CLIENT_HTTP1);
    buf_add_str(&f->to_client, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    (void)deliver(f);
    assert_true(f->closed && !f->opened && f->why == CLOSE_TLS_ERROR);
    assert_string_not_equal(f->problem, "");
}

static void tls_stream_end_in_the_handshake_is_told(void **state)
{
    struct fixture *f = *state;

    start(f, TLS_CLIENT_HTTP1);
    f->inner.stream.events->on_eof(f->inner.stream.arg);
    assert_true(f->closed && f->why == CLOSE_TLS_ERROR);
    assert_string_equal(f->problem, "the upstream closed the connection during the handshake");
}

static void tls_stream_garbage_behind_the_handshake_is_told(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    buf_add_str(&f->to_client, STR("garbage that is no record"));
    (void)deliver(f);
    assert_true(f->closed && f->why == CLOSE_TLS_ERROR);
    assert_int_equal(write_all(f, "x", 1), 1); /* dropped */
}

static void verify_with(struct fixture *f, const char *host, bool knows_ca)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *pem;
    long n;

    assert_int_equal(PEM_write_bio_X509(out, cert), 1);
    n = BIO_get_mem_data(out, &pem);
    f->ep->upstream.tls_verify = true;
    if (knows_ca)
        endpoint_set(&f->ep->upstream.tls_cas, str_of(pem, (size_t)n));
    endpoint_set(&f->ep->upstream.tls_host, str_from(host));
    BIO_free(out);
    start(f, TLS_CLIENT_HTTP1);
    run(f);
}

static void tls_stream_verifies_a_good_certificate(void **state)
{
    struct fixture *f = *state;

    verify_with(f, "up.test", true);
    assert_true(f->opened && !f->closed);
}

static void tls_stream_verifies_an_address(void **state)
{
    struct fixture *f = *state;

    verify_with(f, "127.0.0.1", true);
    assert_true(f->opened && !f->closed);
}

static void tls_stream_refuses_another_name(void **state)
{
    struct fixture *f = *state;

    verify_with(f, "other.test", true);
    assert_true(!f->opened && f->closed && f->why == CLOSE_TLS_UNVERIFIED);
    assert_string_equal(f->problem, "hostname mismatch");
}

static void tls_stream_refuses_another_address(void **state)
{
    struct fixture *f = *state;

    verify_with(f, "127.0.0.2", true);
    assert_true(!f->opened && f->closed && f->why == CLOSE_TLS_UNVERIFIED);
    assert_string_equal(f->problem, "IP address mismatch");
}

static void tls_stream_refuses_an_unknown_authority(void **state)
{
    struct fixture *f = *state;

    verify_with(f, "up.test", false);
    assert_true(!f->opened && f->closed && f->why == CLOSE_TLS_UNVERIFIED);
    assert_string_equal(f->problem, "self-signed certificate");
}

static void tls_stream_closed_while_bytes_are_held_sends_them(void **state)
{
    struct fixture *f = *state;

    open_stream(f);
    f->inner.room = 10;
    assert_int_equal(write_all(f, "last", 4), 4);
    close_stream(f, CLOSE_DONE);
    assert_false(f->inner.closed);
    buf_add_str(&f->to_client, STR("whatever"));
    assert_int_equal(deliver(f), 8); /* nobody reads any more */
    f->inner.room = ALL;
    f->inner.stream.events->on_writable(f->inner.stream.arg);
    assert_true(f->inner.closed && f->inner.why == CLOSE_DONE);
    run_server(f);
    assert_true(f->server_saw_end && str_eq(buf_str(&f->at_server), STR("last")));
}

static void tls_client_contexts_are_kept_and_bounded(void **state)
{
    struct fixture *f = *state;
    SSL *first = tls_client_session(f->client, f->ep, TLS_CLIENT_HTTP1, NULL);
    SSL *second = tls_client_session(f->client, f->ep, TLS_CLIENT_HTTP2, NULL);
    BIO *out = BIO_new(BIO_s_mem());
    char *pem;

    assert_int_equal(PEM_write_bio_X509(out, cert), 1);
    assert_true(BIO_get_mem_data(out, &pem) > 0);
    assert_ptr_equal(SSL_get_SSL_CTX(first), SSL_get_SSL_CTX(second));
    f->ep->upstream.tls_verify = true;
    for (int i = 0; i < 2 * TLS_CLIENT_CONTEXTS_MAX; i++) {
        char cas[4096];
        SSL *ssl;

        (void)snprintf(cas, sizeof(cas), "%d\n%.*s", i, (int)BIO_get_mem_data(out, &pem), pem);
        endpoint_set(&f->ep->upstream.tls_cas, str_from(cas));
        ssl = tls_client_session(f->client, f->ep, TLS_CLIENT_HTTP1, NULL);
        assert_non_null(ssl);
        tls_client_session_free(ssl);
    }
    tls_client_session_free(first);
    tls_client_session_free(second);
    BIO_free(out);
    f->ep->upstream.tls_verify = false;
    open_stream(f);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(tls_stream_carries_both_ways),
        WITH_FIXTURE(tls_stream_offers_what_is_asked_for),
        WITH_FIXTURE(tls_stream_of_an_address_sends_no_name),
        WITH_FIXTURE(tls_stream_takes_single_bytes),
        WITH_FIXTURE(tls_stream_slow_inner_holds_the_owner_back),
        WITH_FIXTURE(tls_stream_slow_owner_holds_inner_back),
        WITH_FIXTURE(tls_stream_half_closes),
        WITH_FIXTURE(tls_stream_half_close_waits_for_what_is_held),
        WITH_FIXTURE(tls_stream_cut_is_a_reset),
        WITH_FIXTURE(tls_stream_reason_of_inner_is_passed_on),
        WITH_FIXTURE(tls_stream_refused_inner_is_refused),
        WITH_FIXTURE(tls_stream_failed_handshakes_are_told),
        WITH_FIXTURE(tls_stream_end_in_the_handshake_is_told),
        WITH_FIXTURE(tls_stream_garbage_behind_the_handshake_is_told),
        WITH_FIXTURE(tls_stream_verifies_a_good_certificate),
        WITH_FIXTURE(tls_stream_verifies_an_address),
        WITH_FIXTURE(tls_stream_refuses_another_name),
        WITH_FIXTURE(tls_stream_refuses_another_address),
        WITH_FIXTURE(tls_stream_refuses_an_unknown_authority),
        WITH_FIXTURE(tls_stream_closed_while_bytes_are_held_sends_them),
        WITH_FIXTURE(tls_client_contexts_are_kept_and_bounded),
    };

    fill_large();
    return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}
