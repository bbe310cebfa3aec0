/*
 * Unit tests of tunnel/authkeys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "tunnel/authkeys.h"

/* Public keys made by ssh-keygen; nobody has their private parts. */
/* clang-format off */
#define ED \
    "AAAAC3NzaC1lZDI1NTE5AAAAIDOhpt+Y5qI5wQKQa1JUsBavq6C0NgnyozbKSz9GWfzp"
#define EC256 \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBCfusPLRBurxYBaqhXuXKvn1LlXn" \
    "yNUE3V4fxq/h1HwGZPcEamsl87LrwruD+2oxAvRDj11M4KWZ3cLThbIqEH4="
#define EC384 \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBLDsZSfrNXbJyjeQeYkO1Rp3HB1f" \
    "TDXS+Ov+XqSC9syX3lSq2qjrYtG3qOhgEc/+XLtFGi4qaZ7bM/Ax8mi6T7V9f/3tXNfrzTplKV/A+MZn" \
    "QQnEO/5akTyMdQwQCDvDew=="
#define EC521 \
    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACVZqp9ihoPgSPTXjVHY9cd/vHJ" \
    "LxsqOjhcer1ZaJDo8ij40Qt8eY78GNmjFQUMsEBGoV3EmFbhbqgvywCrAux3YABeC4AeXP9VliOzgpyM" \
    "sAHEAeg1JwaE1ADvcZKoVkCb8KtWmedzCH6jEchbc6JT3ZsdMvZrQ9zZNGdWeKEQJymYtQ=="
#define RSA2048 \
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQCnYMGPxPSOCndiI5PSXfJw23PY79X/xOwx6//5VF/2aSPnkN7H" \
    "pLtd4FQ2nq5u4M+fwF7KBwSHeBF2V6Dyx+efeRCBf8OKKv2cvpK3+UcMlAKu2QKsfE/IgMdoGMvrrQxl" \
    "6dyrsgX8t+nSe0H6DZwNggb+8hYjjxjgDQykOthMOyIobSR6Nup+x3dptJ96VevkQtZi5S0JnVn4ySUo" \
    "BtrMvI8/tinNAuYfIwBqBh+qV7jJiBwLQzxXYWVR35/uDrSw6y+mz54F19p8HTqEM3K5Gixn72FVWfk/" \
    "tB8KJ+dgkfYSUhaB6kTCDEeW4me+s3fHRahN39GdiIuoidB/CHIz"
#define SK_ED \
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDOhpt+Y5qI5wQKQa1JUsBavq6C0NgnyozbK" \
    "Sz9GWfzpAAAABHNzaDo="
#define SK_EC \
    "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBCfusPLR" \
    "BurxYBaqhXuXKvn1LlXnyNUE3V4fxq/h1HwGZPcEamsl87LrwruD+2oxAvRDj11M4KWZ3cLThbIqEH4A" \
    "AAAEc3NoOg=="

/* clang-format on */
#define ED_LINE "ssh-ed25519 " ED

/* What "ssh-keygen -l" says of ED. */
static const uint8_t ed_fingerprint[AUTHKEY_FINGERPRINT_BYTES] = {
    0x5f, 0xda, 0x9e, 0xb1, 0x78, 0xf0, 0x9e, 0x82, 0x6a, 0x55, 0x0a, 0x10, 0x27, 0x81, 0xdb, 0xdd,
    0x7b, 0xac, 0x7a, 0xa6, 0x74, 0x24, 0x91, 0x33, 0xbf, 0xee, 0x3c, 0x75, 0x0c, 0xab, 0x68, 0x65,
};

/* Parses text that must be free of problems; the caller drops the set. */
static struct authkeys *parsed(struct str text)
{
    struct authkeys *set = authkeys_new();
    struct buf problems;
    int rc;

    buf_init(&problems, 64 * 1024);
    rc = authkeys_parse(set, "f", text, &problems);
    if (rc == -1)
        print_error("%.*s", STR_ARG(buf_str(&problems)));
    assert_int_equal(rc, 0);
    assert_int_equal(buf_str(&problems).n, 0);
    buf_fini(&problems);
    return set;
}

/* The problems of a text that has some, as a C string that the caller frees. */
static char *problems_of(struct str text)
{
    struct authkeys *set = authkeys_new();
    struct buf problems;
    char *out;

    buf_init(&problems, 64 * 1024);
    assert_int_equal(authkeys_parse(set, "f", text, &problems), -1);
    out = str_dup(buf_str(&problems));
    buf_fini(&problems);
    authkeys_unref(set);
    return out;
}

static void assert_problem(struct str text, const char *expected)
{
    char *problems = problems_of(text);

    assert_string_equal(problems, expected);
    mem_free(problems);
}

static const struct authkey *find_ed(const struct authkeys *set)
{
    const struct authkey *key = authkeys_find(set, ed_fingerprint);

    assert_non_null(key);
    return key;
}

static void parse_plain_key_has_defaults(void **state)
{
    struct authkeys *set = parsed(STR(ED_LINE " a comment \n"));
    const struct authkey *key = find_ed(set);

    (void)state;
    assert_string_equal(key->type, "ssh-ed25519");
    assert_string_equal(key->account, "default");
    assert_string_equal(key->comment, "a comment");
    assert_string_equal(key->where, "f:1");
    assert_int_equal(key->acl.bind.count, 0);
    assert_int_equal(key->acl.connect.count, 0);
    assert_int_equal(key->from_count, 0);
    assert_int_equal(key->expires_wall_ms, 0);
    authkeys_unref(set);
}

static void parse_every_supported_type(void **state)
{
    struct authkeys *set = parsed(STR("ssh-ed25519 " ED "\n"
                                      "ecdsa-sha2-nistp256 " EC256 "\n"
                                      "ecdsa-sha2-nistp384 " EC384 "\n"
                                      "ecdsa-sha2-nistp521 " EC521 "\n"
                                      "sk-ssh-ed25519@openssh.com " SK_ED "\n"
                                      "sk-ecdsa-sha2-nistp256@openssh.com " SK_EC "\n"
                                      "ssh-rsa " RSA2048 "\n"));

    (void)state;
    assert_int_equal(authkeys_count(set), 7);
    authkeys_unref(set);
}

static void parse_odd_but_good_layouts(void **state)
{
    static const struct str cases[] = {
        STR_INIT(ED_LINE),        /* no final newline */
        STR_INIT(ED_LINE "\r\n"), /* Windows */
        STR_INIT("\r\n\n  # comment\r\n\t \n" ED_LINE "\n\n"),
        STR_INIT("  " ED_LINE " \t\n"),
        STR_INIT("ssh-ed25519 \t " ED "\tcomment"),
        STR_INIT("account=\"default\"\t  ssh-ed25519 " ED),
        STR_INIT("ACCOUNT=\"default\" ssh-ed25519 " ED),
        STR_INIT(ED_LINE " # no comment of the file, but the key's"),
        STR_INIT(ED_LINE " \xc3\xa4"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct authkeys *set = parsed(cases[i]);

        (void)find_ed(set);
        assert_int_equal(authkeys_count(set), 1);
        authkeys_unref(set);
    }
}

static void parse_empty_text_has_no_keys(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""), STR_INIT("\n"), STR_INIT("#"), { .p = NULL, .n = 0 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct authkeys *set = parsed(cases[i]);

        assert_int_equal(authkeys_count(set), 0);
        assert_null(authkeys_find(set, ed_fingerprint));
        authkeys_unref(set);
    }
}

static void parse_options_are_kept(void **state)
{
    struct authkeys *set = parsed(STR(
        "account=\"team-a.b_1\",bind=\"*.example.com\",bind=\"app.example.org\","
        "connect=\"DB.internal:5432\",connect=\"*\","
        "expiry-time=\"20300102030405Z\",from=\"10.1.2.3/8,2001:db8::/32,192.0.2.1\" " ED_LINE));
    const struct authkey *key = find_ed(set);
    char text[CIDR_TEXT_BYTES];

    (void)state;
    assert_string_equal(key->account, "team-a.b_1");
    assert_int_equal(key->acl.bind.count, 2);
    assert_string_equal(key->acl.bind.values[0], "*.example.com");
    assert_string_equal(key->acl.bind.values[1], "app.example.org");
    assert_int_equal(key->acl.connect.count, 2);
    assert_string_equal(key->acl.connect.values[0], "db.internal:5432");
    assert_string_equal(key->acl.connect.values[1], "*");
    assert_true(key->expires_wall_ms == 1893553445000);
    assert_int_equal(key->from_count, 3);
    assert_string_equal(cidr_format(&key->from[0], text), "10.0.0.0/8");
    assert_string_equal(cidr_format(&key->from[1], text), "2001:db8::/32");
    assert_string_equal(cidr_format(&key->from[2], text), "192.0.2.1/32");
    authkeys_unref(set);
}

static void parse_admin_is_an_option_without_a_value(void **state)
{
    struct authkeys *set = parsed(STR("admin,account=\"ops\" " ED_LINE));

    (void)state;
    assert_true(find_ed(set)->is_admin);
    assert_string_equal(find_ed(set)->account, "ops");
    authkeys_unref(set);
    set = parsed(STR("account=\"ops\",Admin " ED_LINE));
    assert_true(find_ed(set)->is_admin);
    authkeys_unref(set);
    set = parsed(STR(ED_LINE));
    assert_false(find_ed(set)->is_admin);
    authkeys_unref(set);
    assert_problem(STR("admin=\"yes\" " ED_LINE), "f:1: option admin takes no value\n");
    assert_problem(STR("admin,admin " ED_LINE), "f:1: option admin is given twice\n");
}

static void parse_problems_name_line_and_reason(void **state)
{
    static const struct {
        struct str text;
        const char *problems;
    } cases[] = {
        { STR_INIT("\n\nno-pty " ED_LINE), "f:3: unknown option 'no-pty'; options are account, "
                                           "admin, bind, connect, expiry-time, from\n" },
        { STR_INIT("command=\"x\" " ED_LINE), "f:1: unknown option 'command'; options are account, "
                                              "admin, bind, connect, expiry-time, from\n" },
        { STR_INIT("account " ED_LINE),
          "f:1: option account needs a value in quotes: account=\"NAME\"\n" },
        { STR_INIT("account=a " ED_LINE),
          "f:1: option account needs a value in quotes: account=\"NAME\"\n" },
        { STR_INIT("account=\"a " ED_LINE), "f:1: option account lacks its closing quote\n" },
        { STR_INIT("account=\"a\\\" " ED_LINE), "f:1: option account lacks its closing quote\n" },
        { STR_INIT("account=\"a\\\"b\" " ED_LINE),
          "f:1: an account has letters, digits, '.', '_' and '-' only\n" },
        { STR_INIT("account=\"\" " ED_LINE), "f:1: an account has 1 to 64 characters\n" },
        { STR_INIT("account=\"a\",account=\"a\" " ED_LINE),
          "f:1: option account is given twice\n" },
        { STR_INIT("account=\"a\", bind=\"*\" " ED_LINE),
          "f:1: there is no space after the ',' between options\n" },
        { STR_INIT("account=\"a\","), "f:1: there is no space after the ',' between options\n" },
        { STR_INIT("account=\"a\"x " ED_LINE),
          "f:1: a ',' or a space is expected after an option\n" },
        { STR_INIT("account=\"a\""), "f:1: the key is missing after the options\n" },
        { STR_INIT(",account=\"a\" " ED_LINE),
          "f:1: an option or a key type is expected; options are account, admin, bind, connect, "
          "expiry-time, from\n" },
        { STR_INIT("from=\"\" " ED_LINE), "f:1: from lists no address\n" },
        { STR_INIT("from=\"!10.0.0.1\" " ED_LINE),
          "f:1: from does not take '!'; list the addresses that are allowed\n" },
        { STR_INIT("from=\"10.0.0.1,\" " ED_LINE), "f:1: '' is not an IP address or CIDR block\n" },
        { STR_INIT("from=\"*.example.com\" " ED_LINE),
          "f:1: '*.example.com' is not an IP address or CIDR block\n" },
        { STR_INIT("from=\"10.0.0.1/33\" " ED_LINE),
          "f:1: '10.0.0.1/33' has no valid prefix length (0-32)\n" },
        { STR_INIT("ssh-dss AAAA"),
          "f:1: key type 'ssh-dss' is not supported; there are ssh-ed25519, "
          "ecdsa-sha2-nistp256/384/521, ssh-rsa and their sk- forms\n" },
        { STR_INIT("ssh-ed25519"), "f:1: the key is missing after its type\n" },
        { STR_INIT("ssh-ed25519 A"), "f:1: the key is not valid base64\n" },
        { STR_INIT("ssh-ed25519 AAAA"), "f:1: the key is cut off\n" },
        { STR_INIT("ssh-rsa " ED), "f:1: the line says ssh-rsa, but the key is of another type\n" },
        { STR_INIT("ssh-ed25519 " RSA2048),
          "f:1: the line says ssh-ed25519, but the key is of another type\n" },
        { STR_INIT(ED_LINE "\n" ED_LINE " again"), "f:2: the same key stands at f:1\n" },
        { STR_INIT("ssh-ed25519 " ED " a\0b\n"), "f:1: control character 0x00 in the line\n" },
        { STR_INIT(ED_LINE "\rssh-rsa"), "f:1: control character 0x0d in the line\n" },
        { STR_INIT("a\x1b[2J"), "f:1: control character 0x1b in the line\n" },
        { STR_INIT("x " ED_LINE "\ny " ED_LINE "\n"),
          "f:1: unknown option 'x'; options are account, admin, bind, connect, expiry-time, from\n"
          "f:2: unknown option 'y'; options are account, admin, bind, connect, expiry-time, "
          "from\n" },
        { STR_INIT("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n"),
          "f:1: this is a private key; list public keys here\n" },
        { STR_INIT("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"),
          "f:1: an option or a key type is expected; options are account, admin, bind, connect, "
          "expiry-time, from\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_problem(cases[i].text, cases[i].problems);
}

static void parse_rule_that_is_refused_is_a_problem(void **state)
{
    static const struct str cases[] = { STR_INIT("bind=\"\" " ED_LINE),
                                        STR_INIT("bind=\"a..b\" " ED_LINE),
                                        STR_INIT("connect=\"\" " ED_LINE),
                                        STR_INIT("connect=\"example.com\" " ED_LINE) };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        mem_free(problems_of(cases[i]));
}

static void parse_good_lines_stay_beside_bad_ones(void **state)
{
    struct authkeys *set = authkeys_new();
    struct buf problems;

    (void)state;
    buf_init(&problems, 1024);
    assert_int_equal(authkeys_parse(set, "f", STR("x\n" ED_LINE "\n"), &problems), -1);
    assert_int_equal(authkeys_parse(set, "g", STR(ED_LINE "\n"), &problems), -1);
    assert_true(str_ends(buf_str(&problems), STR("g:1: the same key stands at f:2\n")));
    assert_int_equal(authkeys_count(set), 1);
    buf_fini(&problems);
    authkeys_unref(set);
}

/* ---- limits ---------------------------------------------------------------------------- */

/* Appends n times `what` to b. */
static void repeat(struct buf *b, struct str what, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_str(b, what);
}

static void parse_line_at_the_limit(void **state)
{
    struct buf line;

    (void)state;
    buf_init(&line, 2 * AUTHKEYS_LINE_MAX_BYTES);
    buf_add_str(&line, STR(ED_LINE " "));
    repeat(&line, STR("c"), AUTHKEYS_LINE_MAX_BYTES - line.len);
    authkeys_unref(parsed(buf_str(&line)));
    buf_add_str(&line, STR("\r\n")); /* does not count */
    authkeys_unref(parsed(buf_str(&line)));
    buf_clear(&line);
    repeat(&line, STR("c"), AUTHKEYS_LINE_MAX_BYTES + 1);
    assert_problem(buf_str(&line), "f:1: the line is longer than 16384 bytes\n");
    buf_fini(&line);
}

static void parse_account_at_the_limit(void **state)
{
    struct buf line;

    (void)state;
    buf_init(&line, AUTHKEYS_LINE_MAX_BYTES);
    for (size_t n = 64; n <= 65; n++) {
        buf_clear(&line);
        buf_add_str(&line, STR("account=\""));
        repeat(&line, STR("a"), n);
        buf_add_str(&line, STR("\" " ED_LINE));
        if (n == 64)
            authkeys_unref(parsed(buf_str(&line)));
        else
            assert_problem(buf_str(&line), "f:1: an account has 1 to 64 characters\n");
    }
    buf_fini(&line);
}

static void parse_from_at_the_limit(void **state)
{
    struct buf line;

    (void)state;
    buf_init(&line, AUTHKEYS_LINE_MAX_BYTES);
    for (size_t n = AUTHKEY_FROM_MAX; n <= AUTHKEY_FROM_MAX + 1; n++) {
        buf_clear(&line);
        buf_add_str(&line, STR("from=\"::1"));
        repeat(&line, STR(",10.0.0.1"), n - 1);
        buf_add_str(&line, STR("\" " ED_LINE));
        if (n == AUTHKEY_FROM_MAX)
            authkeys_unref(parsed(buf_str(&line)));
        else
            assert_problem(buf_str(&line), "f:1: from has more than 64 addresses\n");
    }
    buf_fini(&line);
}

static void parse_prefix_length_with_many_zeros_is_not_cut(void **state)
{
    struct authkeys *set = parsed(STR("from=\"10.1.2.3/0000000000000000000000000000000000000000000"
                                      "0000000000000000000000000000008\" " ED_LINE));

    (void)state;
    assert_int_equal(find_ed(set)->from[0].bits, 8);
    authkeys_unref(set);
}

/* ---- key blobs ------------------------------------------------------------------------- */

static void put_string(struct buf *b, struct str s)
{
    char n[4] = { 0, 0, (char)(s.n >> 8), (char)(s.n & 0xff) };

    buf_add(b, n, 4);
    buf_add_str(b, s);
}

/* The line "type base64(blob)"; the caller frees it. */
static char *line_of(const char *type, const struct buf *blob)
{
    struct str bytes = buf_str(blob);
    size_t cap = strlen(type) + bytes.n * 2 + 16;
    char *text = mem_zalloc(cap);
    int n = snprintf(text, cap, "%s ", type);

    (void)EVP_EncodeBlock((unsigned char *)text + n, (const unsigned char *)bytes.p, (int)bytes.n);
    return text;
}

/* An ssh-rsa line whose modulus has `zeros` zero bytes, then `top`, then n - 1 other bytes. */
static char *rsa_line(struct str exponent, size_t zeros, unsigned char top, size_t n)
{
    struct buf blob;
    struct buf modulus;
    char *line;

    buf_init(&blob, 8192);
    buf_init(&modulus, 8192);
    repeat(&modulus, STR("\0"), zeros);
    buf_add_char(&modulus, (char)top);
    repeat(&modulus, STR("\x01"), n - 1);
    put_string(&blob, STR("ssh-rsa"));
    put_string(&blob, exponent);
    put_string(&blob, buf_str(&modulus));
    line = line_of("ssh-rsa", &blob);
    buf_fini(&modulus);
    buf_fini(&blob);
    return line;
}

static void parse_rsa_key_sizes(void **state)
{
    static const struct {
        size_t zeros;
        unsigned char top;
        size_t n;
        const char *problem; /* NULL: none */
    } cases[] = {
        { 1, 0x80, 256, NULL },
        { 0, 0x7f, 256, "f:1: the RSA key has 2047 bits; it must have 2048 to 16384\n" },
        { 0, 0x01, 257, NULL },
        { 1, 0x80, 128, "f:1: the RSA key has 1024 bits; it must have 2048 to 16384\n" },
        { 1, 0x80, 2048, NULL },
        { 0, 0x01, 2049, "f:1: the RSA key has 16385 bits; it must have 2048 to 16384\n" },
        { 0, 0x80, 256, "f:1: the RSA key is damaged\n" }, /* negative */
        { 2, 0x80, 256, "f:1: the RSA key is damaged\n" }, /* not the normal form */
        { 1, 0x7f, 256, "f:1: the RSA key is damaged\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *line = rsa_line(STR("\x01\0\x01"), cases[i].zeros, cases[i].top, cases[i].n);

        if (cases[i].problem == NULL)
            authkeys_unref(parsed(str_from(line)));
        else
            assert_problem(str_from(line), cases[i].problem);
        mem_free(line);
    }
}

static void parse_rsa_exponent_of_zero_is_refused(void **state)
{
    static const struct str cases[] = { STR_INIT(""), STR_INIT("\0") };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *line = rsa_line(cases[i], 1, 0x80, 256);

        assert_problem(str_from(line), "f:1: the RSA key is damaged\n");
        mem_free(line);
    }
}

/* A line of `type` with its name, up to two more strings, and `tail`. */
static char *blob_line(const char *type, struct str first, struct str second, struct str tail)
{
    struct buf blob;
    char *line;

    buf_init(&blob, 8192);
    put_string(&blob, str_from(type));
    put_string(&blob, first);
    if (second.p != NULL)
        put_string(&blob, second);
    buf_add_str(&blob, tail);
    line = line_of(type, &blob);
    buf_fini(&blob);
    return line;
}

#define P32 "0123456789abcdef0123456789abcdef"

static void parse_damaged_blobs_are_refused(void **state)
{
    static const struct {
        const char *type;
        struct str first;
        struct str second;
        struct str tail;
        const char *problem;
    } cases[] = {
        { "ssh-ed25519", STR_INIT(P32 "x"), { 0 }, { 0 }, "the ssh-ed25519 key is damaged" },
        { "ssh-ed25519", STR_INIT("short"), { 0 }, { 0 }, "the ssh-ed25519 key is damaged" },
        { "ssh-ed25519",
          STR_INIT(P32),
          { 0 },
          STR_INIT("x"),
          "the ssh-ed25519 key is followed by other bytes" },
        { "ssh-ed25519",
          STR_INIT(P32),
          STR_INIT(""),
          { 0 },
          "the ssh-ed25519 key is followed by other bytes" },
        { "sk-ssh-ed25519@openssh.com",
          STR_INIT(P32),
          { 0 },
          { 0 },
          "the sk-ssh-ed25519@openssh.com key is cut off" },
        { "sk-ssh-ed25519@openssh.com",
          STR_INIT(P32),
          { 0 },
          STR_INIT("\xff\xff\xff\xff"
                   "ssh:"),
          "the sk-ssh-ed25519@openssh.com key is cut off" },
        { "ecdsa-sha2-nistp256",
          STR_INIT("nistp384"),
          STR_INIT("\x04" P32 P32),
          { 0 },
          "the ecdsa-sha2-nistp256 key is damaged" },
        { "ecdsa-sha2-nistp256",
          STR_INIT("nistp256"),
          STR_INIT("\x02" P32 P32),
          { 0 },
          "the ecdsa-sha2-nistp256 key is damaged" },
        { "ecdsa-sha2-nistp256",
          STR_INIT("nistp256"),
          STR_INIT("\x04" P32),
          { 0 },
          "the ecdsa-sha2-nistp256 key is damaged" },
        { "ecdsa-sha2-nistp256",
          STR_INIT("nistp256"),
          { 0 },
          STR_INIT("\0\0\0\x41\x04"),
          "the ecdsa-sha2-nistp256 key is damaged" },
        { "ssh-rsa", STR_INIT("\x01\0\x01"), { 0 }, { 0 }, "the RSA key is damaged" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *line = blob_line(cases[i].type, cases[i].first, cases[i].second, cases[i].tail);
        char expected[128];

        (void)snprintf(expected, sizeof(expected), "f:1: %s\n", cases[i].problem);
        assert_problem(str_from(line), expected);
        mem_free(line);
    }
}

/* ---- expiry ---------------------------------------------------------------------------- */

static uint64_t expiry_of(const char *value)
{
    char line[512];
    struct authkeys *set;
    uint64_t when;

    (void)snprintf(line, sizeof(line), "expiry-time=\"%s\" %s", value, ED_LINE);
    set = parsed(str_from(line));
    when = find_ed(set)->expires_wall_ms;
    authkeys_unref(set);
    return when;
}

static void parse_expiry_forms(void **state)
{
    (void)state;
    assert_true(expiry_of("20240229Z") == 1709164800000);
    assert_true(expiry_of("202402291530Z") == 1709220600000);
    assert_true(expiry_of("20240229153059Z") == 1709220659000);
    assert_true(expiry_of("19700101Z") == 1); /* long ago, and not "never" */
    assert_int_equal(setenv("TZ", "XXX-2", 1), 0);
    tzset();
    assert_true(expiry_of("20240229") == 1709157600000); /* local time, two hours ahead of UTC */
    assert_true(expiry_of("19700101") == 1);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
}

static void parse_expiry_that_is_no_time_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "Z",
        "2024",
        "2024022",
        "202402290",
        "2024022915",
        "202402291530590",
        "20230229Z",
        "20240431",
        "20241301",
        "20240001",
        "20240100",
        "20240132",
        "202401012400",
        "202401010060",
        "20240101000060",
        "19691231",
        "2024-2-29",
        "20240229z",
        "20240229 Z",
        "+0240229",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[512];
        char expected[256];

        (void)snprintf(line, sizeof(line), "expiry-time=\"%s\" %s", cases[i], ED_LINE);
        (void)snprintf(expected, sizeof(expected),
                       "f:1: '%s' is not a time; write YYYYMMDD[HHMM[SS]] and Z behind it for "
                       "UTC\n",
                       cases[i]);
        assert_problem(str_from(line), expected);
    }
}

/* ---- checks ---------------------------------------------------------------------------- */

static struct addr ip(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(str_from(text), &a), 0);
    return a;
}

static void check_expires_at_its_moment(void **state)
{
    struct authkeys *set = parsed(STR("expiry-time=\"20240229Z\" " ED_LINE));
    struct addr client = ip("192.0.2.1");
    struct err e;

    (void)state;
    assert_int_equal(authkey_check(find_ed(set), &client, 1709164799999, &e), 0);
    assert_int_equal(authkey_check(find_ed(set), &client, 1709164800000, &e), -1);
    assert_int_equal(e.code, E_CREDENTIAL_REVOKED);
    assert_string_equal(e.msg, "this key expired at 2024-02-29T00:00:00.000Z");
    authkeys_unref(set);
}

static void check_from_allows_listed_addresses_only(void **state)
{
    static const struct {
        const char *client;
        enum err_code code;
    } cases[] = {
        { "10.0.0.1", E_OK },
        { "::ffff:10.9.9.9", E_OK }, /* the same in another form */
        { "2001:db8::9", E_OK },
        { "11.0.0.1", E_CREDENTIAL_ADDRESS },
        { "2001:db9::", E_CREDENTIAL_ADDRESS },
        { "::1", E_CREDENTIAL_ADDRESS },
    };
    struct authkeys *set = parsed(STR("from=\"10.0.0.0/8,2001:db8::/32\" " ED_LINE));

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr client = ip(cases[i].client);
        struct err e = { .code = E_OK };
        int rc = authkey_check(find_ed(set), &client, 0, &e);

        assert_int_equal(e.code, cases[i].code);
        assert_int_equal(rc, cases[i].code == E_OK ? 0 : -1);
    }
    authkeys_unref(set);
}

static void unref_set_lives_as_long_as_a_holder(void **state)
{
    struct authkeys *set = parsed(STR(ED_LINE));

    (void)state;
    authkeys_ref(set);
    authkeys_unref(set);
    assert_string_equal(find_ed(set)->account, "default");
    authkeys_unref(set);
    authkeys_unref(NULL);
}

/* ---- files ----------------------------------------------------------------------------- */

struct dir {
    char path[64];
    char file[2][80];
};

static void write_file(const char *path, struct str text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    assert_int_equal(fclose(f), 0);
}

static void dir_new(struct dir *d)
{
    char path[] = "/tmp/test_authkeys.XXXXXX";

    assert_non_null(mkdtemp(path));
    (void)snprintf(d->path, sizeof(d->path), "%s", path);
    for (int i = 0; i < 2; i++)
        (void)snprintf(d->file[i], sizeof(d->file[i]), "%s/%c", path, 'a' + i);
}

static void dir_free(struct dir *d)
{
    for (int i = 0; i < 2; i++)
        (void)unlink(d->file[i]);
    assert_int_equal(rmdir(d->path), 0);
}

/* Loads both files and returns the problems for the caller to free; *set may be NULL. */
static char *load(struct dir *d, struct authkeys **set)
{
    const char *const files[] = { d->file[0], d->file[1] };
    struct buf problems;
    char *out;

    buf_init(&problems, 4096);
    *set = authkeys_load(files, 2, &problems);
    out = str_dup(buf_str(&problems));
    buf_fini(&problems);
    return out;
}

static void load_reads_all_files(void **state)
{
    struct authkeys *set;
    struct dir d;
    char *problems;

    (void)state;
    dir_new(&d);
    write_file(d.file[0], STR(ED_LINE "\n"));
    write_file(d.file[1], STR("ssh-rsa " RSA2048 "\n"));
    problems = load(&d, &set);
    assert_string_equal(problems, "");
    assert_int_equal(authkeys_count(set), 2);
    mem_free(problems);
    authkeys_unref(set);
    dir_free(&d);
}

static void load_problems_of_all_files_are_told(void **state)
{
    struct authkeys *set;
    struct dir d;
    char *problems;
    char expected[512];

    (void)state;
    dir_new(&d);
    write_file(d.file[1], STR("ssh-rsa A\n"));
    problems = load(&d, &set);
    (void)snprintf(expected, sizeof(expected),
                   "%s:1: it cannot be opened: No such file or directory\n"
                   "%s:1: the key is not valid base64\n",
                   d.file[0], d.file[1]);
    assert_string_equal(problems, expected);
    assert_null(set);
    mem_free(problems);
    dir_free(&d);
}

static void load_what_is_no_file_is_refused(void **state)
{
    struct authkeys *set;
    struct dir d;
    char *problems;
    char expected[512];

    (void)state;
    dir_new(&d);
    assert_int_equal(mkfifo(d.file[0], 0600), 0);
    write_file(d.file[1], STR(""));
    problems = load(&d, &set);
    (void)snprintf(expected, sizeof(expected), "%s:1: it is not a regular file\n", d.file[0]);
    assert_string_equal(problems, expected);
    assert_null(set);
    mem_free(problems);
    dir_free(&d);
}

static void load_file_at_the_limit(void **state)
{
    struct dir d;

    (void)state;
    dir_new(&d);
    write_file(d.file[1], STR(""));
    for (int over = 0; over < 2; over++) {
        struct authkeys *set;
        char *problems;

        write_file(d.file[0], STR(""));
        assert_int_equal(truncate(d.file[0], AUTHKEYS_FILE_MAX_BYTES + over), 0);
        problems = load(&d, &set);
        assert_null(set); /* NULs in any case */
        assert_true(strstr(problems, over ? "larger than 16777216 bytes" : "longer than") != NULL);
        mem_free(problems);
    }
    dir_free(&d);
}

/* ---- keys of the store ------------------------------------------------------------------ */

static struct authkey_stored stored_ed(const char *id)
{
    static const struct str rules[] = { STR_INIT("bind:a.com"), STR_INIT("connect:b.internal") };

    return (struct authkey_stored){ .id = str_from(id),
                                    .account = STR("bob"),
                                    .public_key = STR(" " ED_LINE " of the store\n"),
                                    .acl = rules,
                                    .acl_count = 2 };
}

static void add_keeps_what_the_store_says(void **state)
{
    const struct authkey_stored from = stored_ed("sshcr_1");
    struct authkeys *set = authkeys_new();
    const struct authkey *key;
    struct err e;

    (void)state;
    assert_int_equal(authkeys_add(set, &from, &e), 0);
    key = find_ed(set);
    assert_string_equal(key->id, "sshcr_1");
    assert_string_equal(key->where, "sshcr_1");
    assert_string_equal(key->account, "bob");
    assert_string_equal(key->comment, "of the store");
    assert_int_equal(key->acl.bind.count, 1);
    assert_int_equal(key->acl.connect.count, 1);
    authkeys_unref(set);
}

static void add_refuses_what_cannot_be_used(void **state)
{
    static const struct str bad_rule = STR_INIT("admin");
    struct authkey_stored from = stored_ed("sshcr_1");
    struct authkeys *set = authkeys_new();
    struct err e;

    (void)state;
    from.public_key = STR("ssh-ed25519 AAAA");
    assert_int_equal(authkeys_add(set, &from, &e), -1);
    from = stored_ed("sshcr_1");
    from.acl = &bad_rule;
    from.acl_count = 1;
    assert_int_equal(authkeys_add(set, &from, &e), -1);
    assert_int_equal(authkeys_count(set), 0);
    from = stored_ed("sshcr_1");
    assert_int_equal(authkeys_add(set, &from, &e), 0);
    from = stored_ed("sshcr_2");
    assert_int_equal(authkeys_add(set, &from, &e), -1);
    assert_string_equal(e.msg, "the same key stands at sshcr_1");
    authkeys_unref(set);
}

static void note_twin(void *arg, const struct authkey *kept, const struct authkey *unused)
{
    assert_string_equal(kept->id, "");
    assert_string_equal(unused->id, "sshcr_1");
    (*(size_t *)arg)++;
}

static void over_finds_keys_of_files_first(void **state)
{
    const struct authkey_stored from = stored_ed("sshcr_1");
    struct authkeys *files = parsed(STR("account=\"alice\" " ED_LINE "\n"));
    struct authkeys *none = authkeys_new();
    struct authkeys *stored = authkeys_new();
    struct authkeys *both;
    struct authkeys *alone;
    size_t twins = 0;
    struct err e;

    (void)state;
    assert_int_equal(authkeys_add(stored, &from, &e), 0);
    both = authkeys_over(files, stored);
    alone = authkeys_over(none, stored);
    authkeys_unref(files);
    authkeys_unref(stored);
    authkeys_unref(none);
    assert_string_equal(find_ed(both)->account, "alice");
    assert_string_equal(find_ed(alone)->account, "bob");
    assert_int_equal(authkeys_count(both), 2);
    assert_int_equal(authkeys_each_twin(both, note_twin, &twins), 1);
    assert_int_equal(authkeys_each_twin(alone, note_twin, &twins), 0);
    assert_int_equal(twins, 1);
    authkeys_unref(both);
    authkeys_unref(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_plain_key_has_defaults),
        cmocka_unit_test(parse_every_supported_type),
        cmocka_unit_test(parse_odd_but_good_layouts),
        cmocka_unit_test(parse_empty_text_has_no_keys),
        cmocka_unit_test(parse_options_are_kept),
        cmocka_unit_test(parse_admin_is_an_option_without_a_value),
        cmocka_unit_test(parse_problems_name_line_and_reason),
        cmocka_unit_test(parse_rule_that_is_refused_is_a_problem),
        cmocka_unit_test(parse_good_lines_stay_beside_bad_ones),
        cmocka_unit_test(parse_line_at_the_limit),
        cmocka_unit_test(parse_account_at_the_limit),
        cmocka_unit_test(parse_from_at_the_limit),
        cmocka_unit_test(parse_prefix_length_with_many_zeros_is_not_cut),
        cmocka_unit_test(parse_rsa_key_sizes),
        cmocka_unit_test(parse_rsa_exponent_of_zero_is_refused),
        cmocka_unit_test(parse_damaged_blobs_are_refused),
        cmocka_unit_test(parse_expiry_forms),
        cmocka_unit_test(parse_expiry_that_is_no_time_is_refused),
        cmocka_unit_test(check_expires_at_its_moment),
        cmocka_unit_test(check_from_allows_listed_addresses_only),
        cmocka_unit_test(unref_set_lives_as_long_as_a_holder),
        cmocka_unit_test(load_reads_all_files),
        cmocka_unit_test(load_problems_of_all_files_are_told),
        cmocka_unit_test(load_what_is_no_file_is_refused),
        cmocka_unit_test(load_file_at_the_limit),
        cmocka_unit_test(add_keeps_what_the_store_says),
        cmocka_unit_test(add_refuses_what_cannot_be_used),
        cmocka_unit_test(over_finds_keys_of_files_first),
    };

    return cmocka_run_group_tests_name("tunnel/authkeys", tests, NULL, NULL);
}
