/*
 * Unit tests of gateway/tls (with its certificates and tickets) and of gateway/sock on top of it,
 * against OpenSSL's own client over a socket pair. The test turns the worker's loop itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/worker.h"
#include "gateway/config.h"
#include "gateway/sock.h"
#include "gateway/tls.h"

enum { CERTS_MAX = 4, BIG_BYTES = 3 * 1024 * 1024, PATH_BYTES = 256 };

/* The gateway's side. */
struct server {
    struct stream *stream; /* owned until closed */
    struct sock *sock;
    struct buf got;
    size_t take_max;
    unsigned datas;
    unsigned writables;
    unsigned eofs;
    unsigned secures;
    unsigned closes;
    enum close_reason why;
    char error[128];
};

struct fixture {
    char dir[64];
    struct config config;
    struct config_certificate certs[CERTS_MAX];
    struct buf problems;
    struct tls *tls;
    struct worker *worker;
    struct server s;
    SSL_CTX *client_ctx;
    SSL *client;
    int client_fd;
    SSL_SESSION *ticket;  /* the last one the client got */
    const char *mintable; /* the name that may be minted; NULL: any */
    const char *meant;    /* whatever name the client sends; NULL: that one */
};

/* ---- certificates for the tests ---- */

static char *path_of(const struct fixture *f, const char *name)
{
    char *path = mem_zalloc(PATH_BYTES);

    (void)snprintf(path, PATH_BYTES, "%s/%s", f->dir, name);
    return path;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* Signed by issuer_key in the name of `issuer`; NULL: self-signed. */
static X509 *make_cert(EVP_PKEY *key, const char *name, const char *san, X509 *issuer,
                       EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    (void)X509_set_version(cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject);
    if (san != NULL)
        add_extension(cert, NID_subject_alt_name, san);
    assert_true(X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256()) > 0);
    return cert;
}

static void save_certs(struct fixture *f, const char *file, X509 *first, X509 *second)
{
    char *path = path_of(f, file);
    FILE *out = fopen(path, "w");

    assert_int_equal(PEM_write_X509(out, first), 1);
    if (second != NULL)
        assert_int_equal(PEM_write_X509(out, second), 1);
    assert_int_equal(fclose(out), 0);
    mem_free(path);
}

static void save_key(struct fixture *f, const char *file, EVP_PKEY *key, char *passphrase)
{
    char *path = path_of(f, file);
    FILE *out = fopen(path, "w");

    assert_int_equal(PEM_write_PrivateKey(out, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
                                          NULL, 0, NULL, passphrase),
                     1);
    assert_int_equal(fclose(out), 0);
    mem_free(path);
}

/* A self-signed pair NAME.crt and NAME.key. */
static void make_pair(struct fixture *f, const char *name, const char *san)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, name, san, NULL, NULL);
    char file[64];

    (void)snprintf(file, sizeof(file), "%s.crt", name);
    save_certs(f, file, cert, NULL);
    (void)snprintf(file, sizeof(file), "%s.key", name);
    save_key(f, file, key, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void configure(struct fixture *f, const char *cert, const char *key)
{
    struct config_certificate *c = &f->certs[f->config.certificate_count++];

    c->cert = path_of(f, cert);
    c->key = path_of(f, key);
    c->where = mem_strdup("test.cfg:7");
}

/* ---- the server's side ---- */

static size_t on_data(void *arg, struct str data)
{
    struct server *s = arg;
    size_t n = data.n < s->take_max ? data.n : s->take_max;

    assert_int_equal(s->eofs + s->closes, 0);
    s->datas++;
    buf_add(&s->got, data.p, n);
    return n;
}

static void on_writable(void *arg)
{
    ((struct server *)arg)->writables++;
}

static void on_eof(void *arg)
{
    ((struct server *)arg)->eofs++;
}

static void on_secure(void *arg)
{
    struct server *s = arg;

    assert_int_equal(s->datas, 0);
    s->secures++;
}

static void on_closed(void *arg, enum close_reason why)
{
    struct server *s = arg;

    s->closes++;
    s->why = why;
    (void)snprintf(s->error, sizeof(s->error), "%s", tls_session_error(sock_tls(s->sock)));
    stream_close(s->stream, why);
    s->stream = NULL;
}

static const struct stream_events events = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_closed = on_closed,
};

static bool may_mint(void *arg, struct str host)
{
    const struct fixture *f = arg;

    return f->mintable == NULL || str_eq(host, str_from(f->mintable));
}

static void turn(struct fixture *f)
{
    (void)ev_run(worker_loop(f->worker), EVRUN_NOWAIT);
}

#define turn_until(f, condition)                                                                   \
    do {                                                                                           \
        uint64_t end_ = clock_mono_ms() + 20000;                                                   \
        while (!(condition)) {                                                                     \
            assert_true(clock_mono_ms() < end_);                                                   \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the client's side ---- */

static int on_new_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct fixture *f = SSL_get_app_data(ssl);

    SSL_SESSION_free(f->ticket);
    f->ticket = session;
    return 1;
}

static struct tls *load(struct fixture *f, struct tls *previous)
{
    struct tls *t = tls_new(&f->config, previous, &f->problems);

    if (t == NULL)
        fail_msg("%.*s", STR_ARG(buf_str(&f->problems)));
    return t;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/test_tls.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->config.state_dir = f->dir;
    f->config.certificates = f->certs;
    f->config.minted_certificates_max = 16;
    f->client_fd = -1;
    f->worker = worker_new("test", 0);
    buf_init(&f->problems, 4096);
    make_pair(f, "one", "DNS:one.test,DNS:*.wild.test,DNS:Upper.TEST.");
    make_pair(f, "two", "DNS:exact.wild.test");
    configure(f, "one.crt", "one.key");
    configure(f, "two.crt", "two.key");
    f->tls = load(f, NULL);
    f->client_ctx = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_session_cache_mode(f->client_ctx,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(f->client_ctx, on_new_ticket);
    (void)SSL_CTX_set_mode(f->client_ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *state = f;
    return 0;
}

static void hang_up(struct fixture *f)
{
    if (f->s.stream != NULL)
        stream_close(f->s.stream, CLOSE_CANCELLED);
    if (f->client != NULL) /* else OpenSSL's client gives up its ticket */
        SSL_set_shutdown(f->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(f->client);
    if (f->client_fd != -1)
        (void)close(f->client_fd);
    buf_fini(&f->s.got);
    memset(&f->s, 0, sizeof(f->s));
    f->client = NULL;
    f->client_fd = -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    DIR *dir = opendir(f->dir);
    struct dirent *entry;

    hang_up(f);
    SSL_SESSION_free(f->ticket);
    SSL_CTX_free(f->client_ctx);
    worker_free(f->worker);
    tls_unref(f->tls);
    buf_fini(&f->problems);
    while ((entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(f->dir);
    for (size_t i = 0; i < f->config.certificate_count; i++) {
        mem_free(f->certs[i].cert);
        mem_free(f->certs[i].key);
        mem_free(f->certs[i].where);
    }
    mem_free(f);
    return 0;
}

/* Makes both ends; no byte has moved yet. */
static void dial(struct fixture *f, const char *host)
{
    struct tls_session *session;
    int fds[2];

    hang_up(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    f->client_fd = fds[1];
    f->client = SSL_new(f->client_ctx);
    (void)SSL_set_app_data(f->client, f);
    (void)SSL_set_fd(f->client, fds[1]);
    SSL_set_connect_state(f->client);
    if (host != NULL) {
        char *name = mem_strdup(host); /* OpenSSL's macro takes no const */

        assert_int_equal(SSL_set_tlsext_host_name(f->client, name), 1);
        mem_free(name);
    }
    buf_init(&f->s.got, 8 * BIG_BYTES);
    f->s.take_max = SIZE_MAX;
    session = tls_session_new(f->tls, fds[0], may_mint, f);
    if (f->meant != NULL)
        tls_session_set_host(session, str_from(f->meant));
    f->s.sock = sock_new(f->worker, fds[0], session, &events, &f->s);
    f->s.stream = sock_stream(f->s.sock);
    sock_on_secure(f->s.sock, on_secure, &f->s);
}

/* Returns 0, or the alert that the client got (-1: none). */
static int shake(struct fixture *f)
{
    uint64_t end = clock_mono_ms() + 10000;
    int rc;

    while ((rc = SSL_do_handshake(f->client)) != 1) {
        int why = SSL_get_error(f->client, rc);

        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            unsigned long e = ERR_get_error();

            ERR_clear_error();
            return ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET
                       ? ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET
                       : -1;
        }
        turn(f);
        assert_true(clock_mono_ms() < end);
    }
    turn_until(f, f->s.secures + f->s.closes > 0);
    return 0;
}

static void connect_to(struct fixture *f, const char *host)
{
    dial(f, host);
    assert_int_equal(shake(f), 0);
    assert_int_equal(f->s.secures, 1);
}

/* Reads all there is; *end gets OpenSSL's reason for stopping. */
static size_t client_read(struct fixture *f, struct buf *out, int *end)
{
    static char block[64 * 1024];
    size_t total = 0;
    size_t n;
    int rc;

    ERR_clear_error();
    while ((rc = SSL_read_ex(f->client, block, sizeof(block), &n)) == 1) {
        if (out != NULL)
            buf_add(out, block, n);
        total += n;
    }
    *end = SSL_get_error(f->client, rc);
    ERR_clear_error();
    return total;
}

static void client_write(struct fixture *f, const char *p, size_t n)
{
    while (n > 0) {
        size_t done = 0;
        int rc = SSL_write_ex(f->client, p, n, &done);

        if (rc != 1)
            assert_int_equal(SSL_get_error(f->client, rc), SSL_ERROR_WANT_WRITE);
        p += done;
        n -= done;
        turn(f);
    }
}

static void fill(char *p, size_t n)
{
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
}

static const char *subject_of(struct fixture *f)
{
    static char name[256];
    X509 *cert = SSL_get1_peer_certificate(f->client);

    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
                                    sizeof(name));
    X509_free(cert);
    return name;
}

/* ---- names ---- */

static void handshake_presents_the_certificate_of_the_name(void **state)
{
    static const struct {
        const char *host;
        const char *subject;
    } cases[] = {
        { "one.test", "one" },
        { "ONE.Test", "one" },
        { "one.test.", "one" },
        { "upper.test", "one" },
        { "a.wild.test", "one" },
        { "exact.wild.test", "two" },
        { "minted.test", "minted.test" },
        { "a.b.wild.test", "a.b.wild.test" }, /* a wildcard stands for one label */
        { "wild.test", "wild.test" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_to(f, cases[i].host);
        assert_string_equal(subject_of(f), cases[i].subject);
    }
    assert_true(str_eq(tls_server_name(sock_tls(f->s.sock)), STR("wild.test")));
    assert_string_equal(tls_version(sock_tls(f->s.sock)), "TLSv1.3");
    assert_string_equal(tls_cipher(sock_tls(f->s.sock)), "TLS_AES_128_GCM_SHA256");
}

static void handshake_refused_sends_an_alert(void **state)
{
    static const struct {
        const char *host;
        int alert;
        const char *error;
    } cases[] = {
        { NULL, SSL_AD_HANDSHAKE_FAILURE, "no server name (SNI)" },
        { "other.test", SSL_AD_UNRECOGNIZED_NAME, "no certificate for the server name" },
        { "a b", SSL_AD_UNRECOGNIZED_NAME, "the server name (SNI) is invalid" },
        { "a..b", SSL_AD_UNRECOGNIZED_NAME, "the server name (SNI) is invalid" },
        { "*.wild.test", SSL_AD_UNRECOGNIZED_NAME, "the server name (SNI) is invalid" },
    };
    struct fixture *f = *state;

    f->mintable = "app.test";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dial(f, cases[i].host);
        assert_int_equal(shake(f), cases[i].alert);
        turn_until(f, f->s.closes == 1);
        assert_int_equal(f->s.why, CLOSE_TLS_ERROR);
        assert_string_equal(f->s.error, cases[i].error);
    }
    connect_to(f, "app.test");
}

static void handshake_with_a_name_that_is_set_presents_that_one(void **state)
{
    static const char *const sent[] = { NULL, "localhost", "one.test", "meant.test", "a b" };
    struct fixture *f = *state;

    f->meant = f->mintable = "meant.test";
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        connect_to(f, sent[i]);
        assert_string_equal(subject_of(f), "meant.test");
        assert_true(str_eq(tls_server_name(sock_tls(f->s.sock)), STR("meant.test")));
    }
}

static void covers_knows_the_names_of_the_certificate(void **state)
{
    struct fixture *f = *state;

    connect_to(f, "one.test");
    assert_true(tls_covers(sock_tls(f->s.sock), STR("one.test")));
    assert_true(tls_covers(sock_tls(f->s.sock), STR("x.wild.test")));
    assert_false(tls_covers(sock_tls(f->s.sock), STR("x.y.wild.test")));
    assert_false(tls_covers(sock_tls(f->s.sock), STR("two.test")));
    connect_to(f, "minted.test");
    assert_true(tls_covers(sock_tls(f->s.sock), STR("minted.test")));
    assert_false(tls_covers(sock_tls(f->s.sock), STR("one.test")));
}

/* ---- versions, ciphers, protocols ---- */

static void handshake_speaks_tls12_and_tls13_only(void **state)
{
    static const struct {
        int version;
        int alert;
        const char *name;
    } cases[] = {
        { TLS1_1_VERSION, SSL_AD_PROTOCOL_VERSION, NULL },
        { TLS1_2_VERSION, 0, "TLSv1.2" },
        { TLS1_3_VERSION, 0, "TLSv1.3" },
    };
    struct fixture *f = *state;

    SSL_CTX_set_security_level(f->client_ctx, 0); /* a client that would do 1.1 */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)SSL_CTX_set_min_proto_version(f->client_ctx, cases[i].version);
        (void)SSL_CTX_set_max_proto_version(f->client_ctx, cases[i].version);
        dial(f, "one.test");
        assert_int_equal(shake(f), cases[i].alert);
        if (cases[i].name != NULL)
            assert_string_equal(tls_version(sock_tls(f->s.sock)), cases[i].name);
    }
}

static void handshake_with_weak_ciphers_is_refused(void **state)
{
    struct fixture *f = *state;

    (void)SSL_CTX_set_max_proto_version(f->client_ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(f->client_ctx, "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256");
    dial(f, "one.test");
    assert_int_equal(shake(f), SSL_AD_HANDSHAKE_FAILURE);
}

static void handshake_selects_http_by_alpn(void **state)
{
    static const struct {
        const char *offer;
        const char *chosen;
    } cases[] = {
        { "\x08http/1.1", "http/1.1" },
        { "\x08http/1.1\x02h2", "h2" },
        { "\x02h2", "h2" },
        { "\x08http/1.0", "" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char *chosen;
        unsigned n;

        dial(f, "one.test");
        (void)SSL_set_alpn_protos(f->client, (const unsigned char *)cases[i].offer,
                                  (unsigned)strlen(cases[i].offer));
        assert_int_equal(shake(f), 0);
        SSL_get0_alpn_selected(f->client, &chosen, &n);
        assert_true(str_eq(str_of((const char *)chosen, n), str_from(cases[i].chosen)));
    }
}

/* ---- data ---- */

static void data_passes_both_ways_unchanged(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    struct buf back;

    fill(big, BIG_BYTES);
    for (size_t i = 0; i < 2; i++) {
        size_t taken = 0;
        int end;

        (void)SSL_CTX_set_max_proto_version(f->client_ctx, versions[i]);
        connect_to(f, "one.test");
        client_write(f, big, BIG_BYTES);
        turn_until(f, f->s.got.len == BIG_BYTES);
        assert_memory_equal(buf_str(&f->s.got).p, big, BIG_BYTES);

        buf_init(&back, BIG_BYTES);
        while (back.len < BIG_BYTES) {
            if (taken < BIG_BYTES)
                taken += stream_write(f->s.stream, big + taken, BIG_BYTES - taken);
            turn(f);
            (void)client_read(f, &back, &end);
        }
        assert_memory_equal(buf_str(&back).p, big, BIG_BYTES);
        buf_fini(&back);
    }
    mem_free(big);
}

/* What a caller offers after a short write is its own affair, also when it is less. */
static void write_may_offer_other_bytes_after_a_short_one(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    struct buf back;
    size_t taken;
    int end;

    connect_to(f, "one.test");
    memset(big, 'a', BIG_BYTES);
    taken = stream_write(f->s.stream, big, BIG_BYTES);
    assert_true(taken > 0 && taken < BIG_BYTES);
    assert_int_equal(stream_write(f->s.stream, "b", 1), 0);
    buf_init(&back, BIG_BYTES);
    while (f->s.writables == 0) {
        (void)client_read(f, &back, &end);
        turn(f);
    }
    assert_int_equal(stream_write(f->s.stream, "b", 1), 1);
    while (back.len < taken + 1) {
        (void)client_read(f, &back, &end);
        turn(f);
    }
    assert_memory_equal(buf_str(&back).p, big, taken);
    assert_int_equal(buf_str(&back).p[taken], 'b');
    buf_fini(&back);
    mem_free(big);
}

static void write_taken_whole_is_not_told_writable(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    size_t taken = 0;
    size_t got = 0;
    int end;

    connect_to(f, "one.test");
    /* In small steps, until OpenSSL's bytes do not all fit into the socket. */
    do {
        taken += 1000;
    } while (stream_write(f->s.stream, big, 1000) == 1000);
    taken -= 1000;
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->s.writables, 0);
    while (got < taken || f->s.writables == 0) {
        got += client_read(f, NULL, &end);
        turn(f);
    }
    assert_int_equal(got, taken);
    assert_int_equal(f->s.writables, 1); /* for the one that took nothing */
    mem_free(big);
}

static void data_left_in_tls_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    size_t sent = 0;
    size_t done;

    connect_to(f, "one.test");
    fill(big, BIG_BYTES);
    f->s.take_max = 1000;
    while (SSL_write_ex(f->client, big + sent, BIG_BYTES - sent, &done) == 1)
        sent += done;
    ERR_clear_error();
    assert_true(sent > 100000);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->s.datas, 1);
    /* From here the socket gives no new readiness for what OpenSSL already holds. */
    while (f->s.got.len < sent - sent % 16384) {
        unsigned before = f->s.datas;

        stream_resume(f->s.stream);
        turn_until(f, f->s.datas > before);
    }
    assert_memory_equal(buf_str(&f->s.got).p, big, f->s.got.len);
    mem_free(big);
}

static void data_sent_with_the_handshake_arrives(void **state)
{
    struct fixture *f = *state;
    size_t done;

    (void)SSL_CTX_set_num_tickets(f->client_ctx, 0);
    dial(f, "one.test");
    while (!SSL_is_init_finished(f->client)) {
        (void)SSL_do_handshake(f->client);
        if (!SSL_is_init_finished(f->client))
            turn(f);
    }
    /* The client's Finished and its request lie in the socket together. */
    assert_int_equal(SSL_write_ex(f->client, "GET", 3, &done), 1);
    turn_until(f, f->s.got.len == 3);
    assert_int_equal(f->s.secures, 1);
}

static void key_update_keeps_the_data_flowing(void **state)
{
    struct fixture *f = *state;
    struct buf back;
    int end;

    connect_to(f, "one.test");
    buf_init(&back, 64);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(SSL_key_update(f->client, SSL_KEY_UPDATE_REQUESTED), 1);
        client_write(f, "ping", 4);
        turn_until(f, f->s.got.len == (size_t)4 * i);
        assert_int_equal(stream_write(f->s.stream, "pong", 4), 4);
        (void)client_read(f, &back, &end);
        assert_int_equal(back.len, 4 * i);
    }
    buf_fini(&back);
}

static void renegotiation_is_refused(void **state)
{
    struct fixture *f = *state;
    int end = SSL_ERROR_NONE;

    (void)SSL_CTX_set_max_proto_version(f->client_ctx, TLS1_2_VERSION);
    connect_to(f, "one.test");
    assert_int_equal(SSL_renegotiate(f->client), 1);
    (void)SSL_do_handshake(f->client);
    ERR_clear_error();
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    (void)client_read(f, NULL, &end);
    assert_int_equal(end, SSL_ERROR_SSL); /* no_renegotiation ends OpenSSL's client */
    assert_int_equal(f->s.secures, 1);
}

/* ---- ends ---- */

static void close_notify_is_eof_and_writing_goes_on(void **state)
{
    struct fixture *f = *state;
    struct buf back;
    int end;

    connect_to(f, "one.test");
    client_write(f, "bye", 3);
    assert_int_equal(SSL_shutdown(f->client), 0);
    turn_until(f, f->s.eofs == 1);
    assert_false(tls_is_cut(sock_tls(f->s.sock)));
    assert_int_equal(f->s.got.len, 3);
    assert_int_equal(f->s.closes, 0);
    assert_int_equal(stream_write(f->s.stream, "answer", 6), 6);
    stream_end(f->s.stream);
    turn_until(f, f->s.closes == 1);
    assert_int_equal(f->s.why, CLOSE_DONE);
    buf_init(&back, 64);
    (void)client_read(f, &back, &end);
    assert_int_equal(back.len, 6);
    assert_int_equal(end, SSL_ERROR_ZERO_RETURN);
    buf_fini(&back);
}

static void tcp_eof_without_close_notify_is_eof(void **state)
{
    struct fixture *f = *state;

    connect_to(f, "one.test");
    client_write(f, "bye", 3);
    assert_int_equal(shutdown(f->client_fd, SHUT_WR), 0);
    turn_until(f, f->s.eofs == 1);
    assert_true(tls_is_cut(sock_tls(f->s.sock)));
    assert_int_equal(f->s.got.len, 3);
    assert_int_equal(f->s.closes, 0);
}

static void end_leaves_the_peer_sending(void **state)
{
    struct fixture *f = *state;
    int end;

    connect_to(f, "one.test");
    stream_end(f->s.stream);
    assert_int_equal(client_read(f, NULL, &end), 0);
    assert_int_equal(end, SSL_ERROR_ZERO_RETURN);
    client_write(f, "still here", 10);
    turn_until(f, f->s.got.len == 10);
    assert_int_equal(f->s.closes, 0);
}

/* The socket is full and TLS holds bytes: all of it must arrive, then close_notify. */
static void close_done_with_held_bytes_delivers_them(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    size_t taken;
    size_t got = 0;
    int end = SSL_ERROR_WANT_READ;

    connect_to(f, "one.test");
    taken = stream_write(f->s.stream, big, BIG_BYTES);
    assert_true(taken < BIG_BYTES);
    stream_close(f->s.stream, CLOSE_DONE);
    f->s.stream = NULL;
    while (end == SSL_ERROR_WANT_READ) {
        got += client_read(f, NULL, &end);
        turn(f);
    }
    assert_int_equal(got, taken);
    assert_int_equal(end, SSL_ERROR_ZERO_RETURN);
    mem_free(big);
}

static void end_with_held_bytes_delivers_them(void **state)
{
    struct fixture *f = *state;
    char *big = mem_zalloc(BIG_BYTES);
    size_t taken;
    size_t got = 0;
    int end = SSL_ERROR_WANT_READ;

    connect_to(f, "one.test");
    taken = stream_write(f->s.stream, big, BIG_BYTES);
    stream_end(f->s.stream);
    while (end == SSL_ERROR_WANT_READ) {
        got += client_read(f, NULL, &end);
        turn(f);
    }
    assert_int_equal(got, taken);
    assert_int_equal(end, SSL_ERROR_ZERO_RETURN);
    assert_int_equal(f->s.closes, 0);
    mem_free(big);
}

static void close_for_a_failure_sends_no_close_notify(void **state)
{
    static const struct {
        enum close_reason why;
        int end;
    } cases[] = {
        { CLOSE_SESSION_LOST, SSL_ERROR_SSL }, /* unexpected eof: a cut body is seen as cut */
        { CLOSE_IDLE, SSL_ERROR_ZERO_RETURN },
        { CLOSE_DRAIN, SSL_ERROR_ZERO_RETURN },
    };
    struct fixture *f = *state;
    int end;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_to(f, "one.test");
        stream_close(f->s.stream, cases[i].why);
        f->s.stream = NULL;
        (void)client_read(f, NULL, &end);
        assert_int_equal(end, cases[i].end);
    }
}

/* ---- odd peers ---- */

static void garbage_is_a_tls_error(void **state)
{
    static const char cases[][32] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\xff\xff\x01\x02\x03\x04\x05",
        "\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dial(f, "one.test");
        assert_true(send(f->client_fd, cases[i], sizeof(cases[i]), MSG_NOSIGNAL) > 0);
        (void)shutdown(f->client_fd, SHUT_WR);
        turn_until(f, f->s.closes == 1);
        assert_int_equal(f->s.why, CLOSE_TLS_ERROR);
        assert_true(f->s.error[0] != '\0');
    }
}

static void peer_gone_in_the_handshake_is_a_tls_error(void **state)
{
    struct fixture *f = *state;

    dial(f, "one.test");
    (void)SSL_do_handshake(f->client); /* sends the ClientHello */
    assert_int_equal(shutdown(f->client_fd, SHUT_WR), 0);
    turn_until(f, f->s.closes == 1);
    assert_int_equal(f->s.why, CLOSE_TLS_ERROR);
    assert_string_equal(f->s.error, "the peer closed the connection in the handshake");
}

static void garbage_after_the_handshake_is_a_tls_error(void **state)
{
    struct fixture *f = *state;

    connect_to(f, "one.test");
    assert_true(send(f->client_fd, "\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37, 0) >
                0);
    turn_until(f, f->s.closes == 1);
    assert_int_equal(f->s.why, CLOSE_TLS_ERROR);
}

static void handshake_byte_by_byte_succeeds(void **state)
{
    struct fixture *f = *state;
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());

    dial(f, "one.test");
    SSL_set_bio(f->client, in, out);
    while (f->s.secures == 0) {
        char block[4096];
        ssize_t n;
        char c;

        (void)SSL_do_handshake(f->client);
        while (BIO_read(out, &c, 1) == 1) {
            assert_int_equal(send(f->client_fd, &c, 1, MSG_NOSIGNAL), 1);
            turn(f);
            turn(f);
        }
        while ((n = recv(f->client_fd, block, sizeof(block), 0)) > 0)
            (void)BIO_write(in, block, (int)n);
        assert_int_equal(f->s.closes, 0);
    }
}

static void write_and_end_before_the_handshake_wait_for_it(void **state)
{
    struct fixture *f = *state;
    int end;

    dial(f, "one.test");
    assert_int_equal(stream_write(f->s.stream, "x", 1), 0);
    assert_int_equal(shake(f), 0);
    assert_int_equal(f->s.writables, 1);
    dial(f, "one.test");
    stream_end(f->s.stream);
    assert_int_equal(shake(f), 0);
    assert_int_equal(client_read(f, NULL, &end), 0);
    assert_int_equal(end, SSL_ERROR_ZERO_RETURN);
}

static void attach_moves_a_session_with_its_data(void **state)
{
    struct fixture *f = *state;
    struct worker *old = f->worker;
    char *big = mem_zalloc(BIG_BYTES);
    int end;

    connect_to(f, "one.test");
    f->s.take_max = 10;
    client_write(f, big, 100000);
    turn_until(f, f->s.datas == 1);
    sock_detach(f->s.sock);
    f->worker = worker_new("other", 1);
    sock_attach(f->s.sock, f->worker);
    worker_free(old);
    f->s.take_max = SIZE_MAX;
    turn_until(f, f->s.got.len == 100000);
    assert_int_equal(stream_write(f->s.stream, "x", 1), 1);
    assert_int_equal(client_read(f, NULL, &end), 1);
    mem_free(big);
}

/* ---- resumption ---- */

/* One connection that gets a ticket. */
static void get_ticket(struct fixture *f, const char *host)
{
    int end;

    SSL_SESSION_free(f->ticket);
    f->ticket = NULL;
    connect_to(f, host);
    (void)client_read(f, NULL, &end);
    assert_non_null(f->ticket);
}

/* Whether a new connection to the host resumes with the ticket. */
static bool resumes(struct fixture *f, const char *host)
{
    SSL_SESSION *ticket = f->ticket;
    bool reused;

    f->ticket = NULL;
    dial(f, host);
    (void)SSL_set_session(f->client, ticket);
    assert_int_equal(shake(f), 0);
    reused = SSL_session_reused(f->client) == 1;
    SSL_SESSION_free(f->ticket);
    f->ticket = ticket;
    return reused;
}

static void resumption_works_in_both_versions(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        (void)SSL_CTX_set_max_proto_version(f->client_ctx, versions[i]);
        get_ticket(f, "one.test");
        assert_true(resumes(f, "one.test"));
        assert_true(str_eq(tls_server_name(sock_tls(f->s.sock)), STR("one.test")));
        assert_true(tls_covers(sock_tls(f->s.sock), STR("a.wild.test")));
        get_ticket(f, "minted.test");
        assert_true(resumes(f, "minted.test"));
    }
}

static void resumption_under_another_name_is_a_full_handshake(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        (void)SSL_CTX_set_max_proto_version(f->client_ctx, versions[i]);
        get_ticket(f, "one.test");
        assert_false(resumes(f, "exact.wild.test"));
        assert_string_equal(subject_of(f), "two");
        assert_true(str_eq(tls_server_name(sock_tls(f->s.sock)), STR("exact.wild.test")));
    }
}

static void resumption_of_a_name_that_went_is_refused(void **state)
{
    struct fixture *f = *state;

    get_ticket(f, "minted.test");
    f->mintable = "only.test";
    dial(f, "minted.test");
    (void)SSL_set_session(f->client, f->ticket);
    assert_int_equal(shake(f), SSL_AD_UNRECOGNIZED_NAME);
}

static void reload_keeps_tickets_and_authority(void **state)
{
    struct fixture *f = *state;
    struct tls *next;

    get_ticket(f, "minted.test");
    next = load(f, f->tls);
    tls_unref(f->tls);
    f->tls = next;
    assert_true(resumes(f, "minted.test"));
    /* Another process has other keys. */
    next = load(f, NULL);
    tls_unref(f->tls);
    f->tls = next;
    assert_false(resumes(f, "minted.test"));
}

static void reload_leaves_running_sessions_alone(void **state)
{
    struct fixture *f = *state;
    struct tls *next;

    connect_to(f, "one.test");
    next = load(f, f->tls);
    tls_unref(f->tls);
    f->tls = next;
    client_write(f, "hello", 5);
    turn_until(f, f->s.got.len == 5);
    assert_true(tls_covers(sock_tls(f->s.sock), STR("one.test")));
}

/* ---- configured certificates ---- */

/* Loads with one more certificate, which must be refused. */
static void expect_problem(struct fixture *f, const char *cert, const char *key, const char *text)
{
    struct config_certificate *c = &f->certs[f->config.certificate_count];
    struct str said;

    configure(f, cert, key);
    buf_clear(&f->problems);
    assert_null(tls_new(&f->config, NULL, &f->problems));
    said = buf_str(&f->problems);
    if (!str_starts(said, STR("test.cfg:7: ")) || str_find(said, str_from(text)) == said.n)
        fail_msg("\"%s\" is not in \"%.*s\"", text, STR_ARG(said));
    mem_free(c->cert);
    mem_free(c->key);
    mem_free(c->where);
    *c = (struct config_certificate){ 0 };
    f->config.certificate_count--;
}

static void write_text(struct fixture *f, const char *file, const char *text)
{
    char *path = path_of(f, file);
    FILE *out = fopen(path, "w");

    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    mem_free(path);
}

static void new_with_a_bad_file_says_what_is_wrong(void **state)
{
    static const struct {
        const char *cert;
        const char *key;
        const char *text;
    } cases[] = {
        { "none.crt", "one.key", "none.crt: No such file or directory" },
        { "one.crt", "none.key", "none.key: No such file or directory" },
        { "one.key", "one.crt", "holds a private key and no certificate; are cert and key exch" },
        { "one.crt", "one.crt", "holds a certificate and no private key; are cert and key exch" },
        { "one.crt", "two.key", "two.key does not belong to the certificate " },
        { "empty", "one.key", "empty holds no certificate in PEM form" },
        { "one.crt", "empty", "empty holds no private key in PEM form" },
        { "broken.crt", "one.key", "broken.crt: certificate 1 is damaged" },
        { "one.crt", "locked.key", "is encrypted; take the passphrase off" },
        { "nosan.crt", "nosan.key", "has no DNS name in its subjectAltName" },
        { "order.crt", "one.key", "certificate 1 is not signed by certificate 2" },
        { "weak.crt", "weak.key", "weak.crt cannot be used: ee key too small" },
    };
    struct fixture *f = *state;
    char passphrase[] = "secret";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    X509 *root = make_cert(key, "root", NULL, NULL, NULL);
    X509 *leaf = make_cert(weak, "weak", "DNS:weak.test", NULL, NULL);

    write_text(f, "empty", "\n");
    write_text(f, "broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    save_key(f, "locked.key", key, passphrase);
    make_pair(f, "nosan", NULL);
    save_certs(f, "order.crt", leaf, root);
    save_certs(f, "weak.crt", leaf, NULL);
    save_key(f, "weak.key", weak, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_problem(f, cases[i].cert, cases[i].key, cases[i].text);
    X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(key);
    EVP_PKEY_free(weak);
}

static void new_with_two_bad_files_says_both(void **state)
{
    struct fixture *f = *state;
    struct str said;

    configure(f, "none.crt", "one.key");
    configure(f, "one.crt", "none.key");
    assert_null(tls_new(&f->config, f->tls, &f->problems));
    said = buf_str(&f->problems);
    assert_true(str_find(said, STR("none.crt")) < said.n);
    assert_true(str_find(said, STR("none.key")) < said.n);
}

static void handshake_presents_the_whole_chain(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *root_key = EVP_EC_gen("P-256");
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *root = make_cert(root_key, "root", NULL, NULL, NULL);
    X509 *leaf = make_cert(key, "leaf", "DNS:chain.test", root, root_key);
    struct tls *next;

    save_certs(f, "chain.crt", leaf, root);
    save_key(f, "chain.key", key, NULL);
    configure(f, "chain.crt", "chain.key");
    next = load(f, f->tls);
    tls_unref(f->tls);
    f->tls = next;
    connect_to(f, "chain.test");
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(f->client)), 2);
    assert_string_equal(subject_of(f), "leaf");
    X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(key);
}

#define with_tls(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_tls(handshake_presents_the_certificate_of_the_name),
        with_tls(handshake_refused_sends_an_alert),
        with_tls(handshake_with_a_name_that_is_set_presents_that_one),
        with_tls(covers_knows_the_names_of_the_certificate),
        with_tls(handshake_speaks_tls12_and_tls13_only),
        with_tls(handshake_with_weak_ciphers_is_refused),
        with_tls(handshake_selects_http_by_alpn),
        with_tls(data_passes_both_ways_unchanged),
        with_tls(write_may_offer_other_bytes_after_a_short_one),
        with_tls(write_taken_whole_is_not_told_writable),
        with_tls(data_left_in_tls_is_not_forgotten),
        with_tls(data_sent_with_the_handshake_arrives),
        with_tls(key_update_keeps_the_data_flowing),
        with_tls(renegotiation_is_refused),
        with_tls(close_notify_is_eof_and_writing_goes_on),
        with_tls(tcp_eof_without_close_notify_is_eof),
        with_tls(end_leaves_the_peer_sending),
        with_tls(close_done_with_held_bytes_delivers_them),
        with_tls(end_with_held_bytes_delivers_them),
        with_tls(close_for_a_failure_sends_no_close_notify),
        with_tls(garbage_is_a_tls_error),
        with_tls(peer_gone_in_the_handshake_is_a_tls_error),
        with_tls(garbage_after_the_handshake_is_a_tls_error),
        with_tls(handshake_byte_by_byte_succeeds),
        with_tls(write_and_end_before_the_handshake_wait_for_it),
        with_tls(attach_moves_a_session_with_its_data),
        with_tls(resumption_works_in_both_versions),
        with_tls(resumption_under_another_name_is_a_full_handshake),
        with_tls(resumption_of_a_name_that_went_is_refused),
        with_tls(reload_keeps_tickets_and_authority),
        with_tls(reload_leaves_running_sessions_alone),
        with_tls(new_with_a_bad_file_says_what_is_wrong),
        with_tls(new_with_two_bad_files_says_both),
        with_tls(handshake_presents_the_whole_chain),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* for OpenSSL's own socket BIO in the client */
    return cmocka_run_group_tests_name("gateway/tls", tests, NULL, NULL);
}
