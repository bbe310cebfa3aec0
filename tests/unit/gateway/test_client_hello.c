/*
 * Unit tests of gateway/client_hello and gateway/tls_ja4: real hellos of OpenSSL, hellos that are
 * built field by field, in records of any size, cut anywhere, and wrong in each place.
 * Links: tests/unit/gateway/hello_maker
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/client_hello.h"
#include "gateway/tls_hello.h"
#include "gateway/tls_ja4.h"
#include "tests/unit/gateway/hello_maker.h"

enum { RECORD_HEAD = CLIENT_HELLO_RECORD_HEAD_BYTES, HEAD = CLIENT_HELLO_HEAD_BYTES };

/* What OpenSSL says first. */
static void capture(struct buf *out, const char *name, long max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *written = BIO_new(BIO_s_mem());
    char *p;
    long n;

    assert_int_equal(SSL_set_max_proto_version(ssl, (int)max_version), 1);
    if (name != NULL)
        assert_int_equal(SSL_set_tlsext_host_name(ssl, (void *)(uintptr_t)name), 1);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), written);
    SSL_set_connect_state(ssl);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    n = BIO_get_mem_data(written, &p);
    buf_add(out, p, (size_t)n);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

/* ---- finding ---- */

/* On a copy of exactly n bytes, so that a checker sees every byte too many. */
static enum client_hello_found find(struct str bytes, struct client_hello *hello, size_t *wanted)
{
    char *exact = mem_alloc(bytes.n > 0 ? bytes.n : 1);
    enum client_hello_found found;
    struct str message;

    if (bytes.n > 0)
        memcpy(exact, bytes.p, bytes.n);
    found = client_hello_find(exact, bytes.n, &message, wanted);
    if (found == CLIENT_HELLO_WHOLE && hello != NULL)
        assert_int_equal(client_hello_parse(message, hello), 0);
    mem_free(exact);
    return found;
}

static void find_any_records_any_cut_wants_what_is_missing(void **state)
{
    static const size_t pieces[] = { 1, 2, 3, 4, 5, 7, 64, 1000 };
    struct buf body;
    struct buf raw;
    size_t wanted;

    (void)state;
    buf_init(&body, 65536);
    hello_build(&body, &hello_plain);
    for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
        buf_init(&raw, 65536);
        hello_frame(&raw, buf_str(&body), pieces[k]);
        for (size_t n = 0; n < raw.len; n++) {
            assert_int_equal(find(str_slice(buf_str(&raw), 0, n), NULL, &wanted), CLIENT_HELLO_CUT);
            assert_in_range(wanted, n + 1, raw.len);
        }
        assert_int_equal(find(buf_str(&raw), NULL, &wanted), CLIENT_HELLO_WHOLE);
        buf_fini(&raw);
    }
    buf_fini(&body);
}

/* Who waits for what was wanted looks only a few times, not once a byte. */
static void find_asking_again_needs_few_looks(void **state)
{
    struct buf body;
    struct buf raw;
    size_t wanted = 1;
    size_t looks = 0;

    (void)state;
    buf_init(&body, 65536);
    buf_init(&raw, 65536);
    hello_build(&body, &hello_plain);
    hello_frame(&raw, buf_str(&body), 1000);
    while (find(str_slice(buf_str(&raw), 0, wanted), NULL, &wanted) == CLIENT_HELLO_CUT)
        looks++;
    assert_int_equal(wanted, raw.len);
    assert_in_range(looks, 1, 3);
    buf_fini(&body);
    buf_fini(&raw);
}

static void find_bytes_behind_the_message_stay(void **state)
{
    struct buf body;
    struct buf raw;
    size_t wanted;

    (void)state;
    buf_init(&body, 65536);
    buf_init(&raw, 65536);
    hello_build(&body, &hello_plain);
    hello_frame(&raw, buf_str(&body), 100);
    buf_add_str(&raw, STR("early data"));
    assert_int_equal(find(buf_str(&raw), NULL, &wanted), CLIENT_HELLO_WHOLE);
    buf_fini(&body);
    buf_fini(&raw);
}

static void find_other_protocols_are_none_at_once(void **state)
{
    static const struct str cases[] = {
        STR_INIT("G"),                            /* HTTP */
        STR_INIT("SSH-2.0-x"),                    /* SSH */
        STR_INIT("\x16\x02"),                     /* no version of TLS */
        STR_INIT("\x15\x03\x01\x00\x02"),         /* an alert */
        STR_INIT("\x16\x03\x01\x00\x00"),         /* an empty record */
        STR_INIT("\x16\x03\x01\x40\x01"),         /* a record that is too large */
        STR_INIT("\x16\x03\x01\x00\x02\x02"),     /* a ServerHello */
        STR_INIT("\x80\x2e\x01\x03\x01"),         /* SSL 2 */
        STR_INIT("\x16\x03\x01\x00\x01\x01\x17"), /* data between two pieces */
    };
    size_t wanted;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(find(cases[i], NULL, &wanted), CLIENT_HELLO_NONE);
}

static void find_at_and_above_the_largest(void **state)
{
    struct buf body;
    struct buf raw;
    size_t wanted;

    (void)state;
    for (size_t over = 0; over < 2; over++) {
        buf_init(&body, 100000);
        buf_init(&raw, 200000);
        while (body.len < CLIENT_HELLO_MAX_BYTES + over)
            buf_add_char(&body, 'x');
        hello_frame(&raw, buf_str(&body), 16384);
        assert_int_equal(find(buf_str(&raw), NULL, &wanted),
                         over == 0 ? CLIENT_HELLO_WHOLE : CLIENT_HELLO_TOO_LARGE);
        /* Its head is enough to know. */
        assert_int_equal(find(str_slice(buf_str(&raw), 0, RECORD_HEAD + HEAD), NULL, &wanted),
                         over == 0 ? CLIENT_HELLO_CUT : CLIENT_HELLO_TOO_LARGE);
        buf_fini(&body);
        buf_fini(&raw);
    }
}

static void find_too_many_small_records_is_too_large(void **state)
{
    struct buf body;
    struct buf raw;
    size_t wanted;

    (void)state;
    buf_init(&body, 100000);
    buf_init(&raw, 1000000);
    while (body.len < 40000)
        buf_add_char(&body, 'x');
    hello_frame(&raw, buf_str(&body), 1);
    assert_int_equal(find(str_slice(buf_str(&raw), 0, CLIENT_HELLO_RAW_MAX_BYTES), NULL, &wanted),
                     CLIENT_HELLO_TOO_LARGE);
    buf_fini(&body);
    buf_fini(&raw);
}

/* ---- parsing ---- */

static void parse_openssl_hello_has_its_name(void **state)
{
    static const long versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char host[HOST_MAX_BYTES + 1];
        struct client_hello hello;
        struct str message;
        struct buf raw;
        size_t wanted;
        char *copy;

        buf_init(&raw, 65536);
        capture(&raw, "App.Example.COM", versions[i]);
        copy = str_dup(buf_str(&raw));
        assert_int_equal(client_hello_find(copy, raw.len, &message, &wanted), CLIENT_HELLO_WHOLE);
        assert_int_equal(client_hello_parse(message, &hello), 0);
        assert_int_equal(hello.version, 0x0303);
        assert_int_equal(
            tls_hello_server_name((const uint8_t *)hello.server_name.p, hello.server_name.n, host),
            0);
        assert_string_equal(host, "app.example.com");
        assert_int_equal(hello.versions.p != NULL, versions[i] == TLS1_3_VERSION);
        mem_free(copy);
        buf_fini(&raw);
    }
}

/* Each prefix, and each byte that is changed: refused or read, never beyond its end. */
static void parse_damaged_messages_stay_within_bounds(void **state)
{
    struct client_hello hello;
    struct buf body;

    (void)state;
    buf_init(&body, 65536);
    hello_build(&body, &hello_plain);
    for (size_t n = 0; n < body.len; n++) {
        char *exact = mem_alloc(n + 1);

        memcpy(exact, buf_str(&body).p, n);
        /* 43 bytes: all but the extensions, which may be missing. */
        assert_int_equal(client_hello_parse(str_of(exact, n), &hello), n == 43 ? 0 : -1);
        mem_free(exact);
    }
    for (size_t i = 0; i < body.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            char *damaged = str_dup(buf_str(&body));
            char fingerprint[JA4_BYTES];

            damaged[i] = (char)(damaged[i] ^ 1 << bit);
            if (client_hello_parse(str_of(damaged, body.len), &hello) == 0)
                ja4_format(&hello, fingerprint);
            mem_free(damaged);
        }
    }
    buf_fini(&body);
}

static void parse_extension_twice_is_refused(void **state)
{
    static const char *const lists[] = { "0000,0000", "000d,000d", "0010,0010", "002b,002b" };
    struct client_hello hello;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct hello_offer o = hello_plain;
        struct buf body;

        buf_init(&body, 65536);
        o.extensions = lists[i];
        hello_build(&body, &o);
        assert_int_equal(client_hello_parse(buf_str(&body), &hello), -1);
        buf_fini(&body);
    }
}

/* ---- JA4 ---- */

/* The vectors are those of FoxIO's technical_details/JA4.md, and what ja4db.com and
 * tls.browserleaks.com show for the same lists. */
#define CHROME_CIPHERS    "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
#define CHROME_ALGORITHMS "0403,0804,0401,0503,0805,0501,0806,0601"
#define CHROME_EXTENSIONS                                                                          \
    "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"

static const struct {
    struct hello_offer offer;
    const char *fingerprint;
} vectors[] = {
    /* JA4.md, "Example" */
    { { 0x0303, CHROME_CIPHERS, CHROME_EXTENSIONS, CHROME_ALGORITHMS, "0304,0303", "x.test",
        STR_INIT("\x02h2\x08http/1.1") },
      "t13d1516h2_8daaf6152771_e5627efa2ab1" },
    /* The same with GREASE everywhere, in another order. */
    { { 0x0303, "5a5a,002f,0035,009c,009d," CHROME_CIPHERS, "fafa," CHROME_EXTENSIONS ",1a1a",
        "0a0a," CHROME_ALGORITHMS, "0a0a,0304,0303", "x.test", STR_INIT("\x02h2\x08http/1.1") },
      "t13d1916h2_" },
    { { 0x0303, "5a5a," CHROME_CIPHERS, "fafa," CHROME_EXTENSIONS ",1a1a", CHROME_ALGORITHMS,
        "0a0a,0304,0303", "x.test", STR_INIT("\x02h2\x08http/1.1") },
      "t13d1516h2_8daaf6152771_e5627efa2ab1" },
    /* JA4.md, "Extension hash": no signature algorithms */
    { { 0x0303, CHROME_CIPHERS,
        "001b,0000,0033,0010,4469,0017,002d,0005,0023,0012,002b,ff01,000b,000a,0015", "", "0304",
        "x.test", STR_INIT("\x02h2") },
      "t13d1515h2_8daaf6152771_" },
    /* Chrome 143, as tls.browserleaks.com shows it */
    { { 0x0303, CHROME_CIPHERS,
        "002d,0033,0010,fe0d,0017,44cd,0000,000b,000a,002b,ff01,0023,0012,0005,000d,001b",
        CHROME_ALGORITHMS, "0304,0303", "x.test", STR_INIT("\x02h2\x08http/1.1") },
      "t13d1516h2_8daaf6152771_d8a2da3f94cd" },
    /* no extensions */
    { { 0x0302, "002f", NULL, "", "", NULL, STR_INIT("") }, "t11i010000_" },
    { { 0x0302, "0a0a", NULL, "", "", NULL, STR_INIT("") },
      "t11i000000_000000000000_000000000000" },
    /* a version that nobody has; an old one behind a new field */
    { { 0x0303, "002f", "002b", "", "7f1c", NULL, STR_INIT("") }, "t00i010100_" },
    { { 0x0303, "002f", "002b", "", "0302,0301", NULL, STR_INIT("") }, "t11i010100_" },
};

static void fingerprint_of(const struct hello_offer *o, char out[JA4_BYTES])
{
    struct client_hello hello;
    struct buf body;

    buf_init(&body, 65536);
    hello_build(&body, o);
    assert_int_equal(client_hello_parse(buf_str(&body), &hello), 0);
    ja4_format(&hello, out);
    buf_fini(&body);
}

static void ja4_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char got[JA4_BYTES];

        fingerprint_of(&vectors[i].offer, got);
        assert_int_equal(strlen(got), JA4_BYTES - 1);
        got[strlen(vectors[i].fingerprint)] = '\0'; /* some are known in part */
        assert_string_equal(got, vectors[i].fingerprint);
    }
}

/* The examples of JA4.md, "ALPN Extension Value". */
static void ja4_alpn(void **state)
{
    static const struct {
        struct str alpn;
        const char *shown;
    } cases[] = {
        { STR_INIT("\x08http/1.1\x02h2"), "h1" },
        { STR_INIT("\x01x"), "xx" },
        { STR_INIT("\x01\xab"), "ab" },
        { STR_INIT("\x02\xab\xcd"), "ad" },
        { STR_INIT("\x02\x30\xab"), "3b" },
        { STR_INIT("\x04\x30\x31\xab\xcd"), "3d" },
        { STR_INIT("\x04\x30\xab\xcd\x31"), "01" },
        { STR_INIT("\x00"), "00" },
        { STR_INIT("\x05zz"), "00" }, /* longer than it is */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hello_offer o = hello_plain;
        char got[JA4_BYTES];

        o.alpn = cases[i].alpn;
        fingerprint_of(&o, got);
        assert_memory_equal(got + 8, cases[i].shown, 2);
    }
}

static void ja4_of_endless_lists_is_empty(void **state)
{
    struct client_hello hello = { .version = 0x0303 };
    char list[2 * (JA4_LIST_MAX + 1)] = { 0 };
    char got[JA4_BYTES];

    (void)state;
    hello.cipher_suites = str_of(list, sizeof(list) - 2);
    ja4_format(&hello, got);
    got[8] = '\0';
    assert_string_equal(got, "t12i9900");
    hello.cipher_suites = str_of(list, sizeof(list));
    ja4_format(&hello, got);
    assert_string_equal(got, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_any_records_any_cut_wants_what_is_missing),
        cmocka_unit_test(find_asking_again_needs_few_looks),
        cmocka_unit_test(find_bytes_behind_the_message_stay),
        cmocka_unit_test(find_other_protocols_are_none_at_once),
        cmocka_unit_test(find_at_and_above_the_largest),
        cmocka_unit_test(find_too_many_small_records_is_too_large),
        cmocka_unit_test(parse_openssl_hello_has_its_name),
        cmocka_unit_test(parse_damaged_messages_stay_within_bounds),
        cmocka_unit_test(parse_extension_twice_is_refused),
        cmocka_unit_test(ja4_vectors),
        cmocka_unit_test(ja4_alpn),
        cmocka_unit_test(ja4_of_endless_lists_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
