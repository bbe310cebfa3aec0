/*
 * Unit tests of tunnel/url and tunnel/upstream_hint: the tables of the spec's sections 2.5 and 2.6, a row
 * each, under the ids of the spec. Its section 5.3 is in tests/unit/sshd/test_exec_address.c.
 * Links: tests/unit/tunnel/spec_rows
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/tunnel/spec_rows.h"
#include "tunnel/domains.h"
#include "tunnel/registry.h"
#include "tunnel/url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OWNER        STR("owner")

#define A10 "aaaaaaaaaa"
#define A61 A10 A10 A10 A10 A10 A10 "a"
#define A63 A61 "aa"
#define A64 A63 "a"
/* Three labels of 63 with their dots: 192 characters. */
#define A192 A63 "." A63 "." A63 "."

struct fixture {
    struct host_suffixes *suffixes;
    struct domains *domains;
};

static int setup(void **state)
{
    static const struct str extra[] = { STR_INIT("ngrok.io"), STR_INIT("ngrok-free.app") };
    static const char *const owned[] = {
        "example.ngrok.app",    "example.party",           "app.example.com",
        "*.example.com",        "bar.example.com",         "your-subdomain-here.ngrok-free.app",
        "1.tcp.ngrok.io:12345", "1.tcp.eu.ngrok.io:12345", "1.tcp.ngrok.io:27210",
        "your-name.ngrok.app",  "endpoint-example2.com",
    };
    static struct fixture f;
    struct err e;

    f.suffixes = host_suffixes_new(STR("ngrok.app"), extra, COUNT(extra), &e);
    assert_non_null(f.suffixes);
    f.domains = domains_new(STR("ngrok.app"), false);
    for (size_t i = 0; i < COUNT(owned); i++)
        assert_int_equal(domains_add(f.domains, str_from(owned[i]), OWNER, &e), 0);
    assert_int_equal(domains_add(f.domains, STR("taken.other.com"), STR("other"), &e), 0);
    assert_int_equal(domains_add(f.domains, STR("1.tcp.ngrok.io:11111"), STR("other"), &e), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    host_suffixes_free(f->suffixes);
    domains_free(f->domains);
    return 0;
}

/* ---- 2.5 endpoint URLs ---- */

struct url_row {
    const char *id;
    const char *input;
    enum url_command command;
    enum binding asked;
    const char *url;      /* expected; NULL: an error. "https://" stands for a random name */
    enum binding binding; /* expected */
    enum err_code code;   /* expected; E_OK: none */
    const char *text;     /* the error's message has this */
};

#define HTTP     URL_COMMAND_HTTP
#define TCP      URL_COMMAND_TCP
#define TLS      URL_COMMAND_TLS
#define CLOUD    URL_COMMAND_CLOUD
#define ANY      BINDING_UNSET
#define PUBLIC   BINDING_PUBLIC
#define INTERNAL BINDING_INTERNAL

/* clang-format off */
#define YES(id, input, command, asked, text, got) \
    { id, input, command, asked, text, got, E_OK, "" }
#define NO(id, input, command, asked, code, text) \
    { id, input, command, asked, NULL, BINDING_UNSET, code, text }

static const struct url_row url_rows[] = {
    YES("U001", "https://example.ngrok.app", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    YES("U002", "http://example.ngrok.app", HTTP, ANY, "http://example.ngrok.app", PUBLIC),
    YES("U003", "example.ngrok.app", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    YES("U004", "app.example.com", HTTP, ANY, "https://app.example.com", PUBLIC),
    YES("U005", "https://example.internal", HTTP, ANY, "https://example.internal", INTERNAL),
    YES("U006", "https://example.internal:1234", HTTP, ANY, "https://example.internal:1234", INTERNAL),
    YES("U007", "http://example.internal", HTTP, ANY, "http://example.internal", INTERNAL),
    YES("U008", "foo.internal", HTTP, ANY, "https://foo.internal", INTERNAL),
    YES("U009", "", HTTP, ANY, "https://", PUBLIC),
    YES("U010", "http://example.ngrok.app:80", HTTP, ANY, "http://example.ngrok.app", PUBLIC),
    YES("U011", "http://example.party", HTTP, ANY, "http://example.party", PUBLIC),
    NO("U012", "http://example.ngrok.app:81", HTTP, ANY, E_PORT_SCHEME, "port 81 is not allowed for http; allowed: 80"),
    NO("U013", "http://example.doesnotexist", HTTP, ANY, E_HOST_SUFFIX, ".doesnotexist"),
    NO("U014", "http://example.internal", HTTP, PUBLIC, E_HOST_SUFFIX, ".internal"),
    YES("U015", "https://example.internal", HTTP, INTERNAL, "https://example.internal", INTERNAL),
    YES("U016", "https://example.internal", HTTP, ANY, "https://example.internal", INTERNAL),
    YES("U017", "*.example.com", HTTP, ANY, "https://*.example.com", PUBLIC),
    YES("U018", "https://*.example.com", HTTP, ANY, "https://*.example.com", PUBLIC),
    YES("U019", "https://example.foo.bar.internal", HTTP, ANY, "https://example.foo.bar.internal", INTERNAL),
    YES("U020", "https://example.internal:12345", HTTP, ANY, "https://example.internal:12345", INTERNAL),
    YES("U021", "tls://example.internal", TLS, ANY, "tls://example.internal", INTERNAL),
    YES("U022", "tls://example.internal:12345", TLS, ANY, "tls://example.internal:12345", INTERNAL),
    YES("U023", "tcp://example.internal:12345", TCP, ANY, "tcp://example.internal:12345", INTERNAL),
    NO("U024", "tcp://example.internal", TCP, ANY, E_URL_SCHEME_HOST_PORT, "needs a port"),
    NO("U025", "", HTTP, INTERNAL, E_INTERNAL_NO_HOST, "needs a name"),
    YES("U026", "https://your-name.ngrok.app", CLOUD, ANY, "https://your-name.ngrok.app", PUBLIC),
    NO("U027", "your-name.ngrok.app", CLOUD, ANY, E_CLOUD_SCHEME, "https://your-name.ngrok.app"),
    NO("U028", "https://", CLOUD, ANY, E_CLOUD_URL, "needs a name"),
    YES("U029", "https://example.ngrok.app:443", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    YES("U030", "https://example.party", HTTP, ANY, "https://example.party", PUBLIC),
    NO("U031", "https://example.ngrok.app:8443", HTTP, ANY, E_PORT_SCHEME, "port 8443 is not allowed for https; allowed: 443 (or leave it out)"),
    NO("U032", "https://example.nosuchtld", HTTP, ANY, E_HOST_SUFFIX, ".nosuchtld"),
    NO("U033", "https://example.internal", HTTP, PUBLIC, E_HOST_SUFFIX, ".internal"),
    YES("U034", "tls://example.ngrok.app", TLS, ANY, "tls://example.ngrok.app", PUBLIC),
    YES("U035", "example.ngrok.app", TLS, ANY, "tls://example.ngrok.app", PUBLIC),
    YES("U036", "tls://example.ngrok.app:443", TLS, ANY, "tls://example.ngrok.app", PUBLIC),
    NO("U037", "tls://example.ngrok.app:8443", TLS, ANY, E_PORT_SCHEME, "allowed: 443"),
    YES("U038", "tcp://1.tcp.ngrok.io:12345", TCP, ANY, "tcp://1.tcp.ngrok.io:12345", PUBLIC),
    YES("U039", "tcp://1.tcp.eu.ngrok.io:12345", TCP, ANY, "tcp://1.tcp.eu.ngrok.io:12345", PUBLIC),
    NO("U040", "tcp://1.tcp.ngrok.io", TCP, ANY, E_URL_SCHEME_HOST_PORT, "tcp://1.tcp.ngrok.io:PORT"),
    NO("U041", "tcp://example.ngrok.app:12345", TCP, ANY, E_TCP_NOT_RESERVED, "example.ngrok.app:12345"),
    NO("U042", "tcp://your-domain.com:12345", TCP, ANY, E_TCP_NOT_RESERVED, "your-domain.com:12345"),
    YES("U043", "1.tcp.ngrok.io:27210", TCP, ANY, "tcp://1.tcp.ngrok.io:27210", PUBLIC),
    YES("U044", "", TCP, ANY, "tcp://", PUBLIC),
    YES("U045", "tcp://", TCP, ANY, "tcp://", PUBLIC),
    YES("U046", "https://", HTTP, ANY, "https://", PUBLIC),
    YES("U047", "http://", HTTP, ANY, "http://", PUBLIC),
    YES("U048", "tls://", TLS, ANY, "tls://", PUBLIC),
    YES("U049", "", TLS, ANY, "tls://", PUBLIC),
    YES("U050", "https://foo.example.com", HTTP, ANY, "https://foo.example.com", PUBLIC),
    YES("U051", "https://foo.bar.baz.example.com", HTTP, ANY, "https://foo.bar.baz.example.com", PUBLIC),
    NO("U052", "https://app.*.example.com", HTTP, ANY, E_HOST_CHARACTER, "'*'"),
    NO("U053", "https://*-app.example.com", HTTP, ANY, E_HOST_CHARACTER, "'*'"),
    NO("U054", "https://*.foo.example.com", HTTP, ANY, E_WILDCARD_TOO_WIDE, "reserved itself"),
    NO("U055", "https://*.other.com", HTTP, ANY, E_WILDCARD_NOT_RESERVED, "*.other.com"),
    NO("U056", "https://custom.other.com", HTTP, ANY, E_HOST_NOT_RESERVED, "custom.other.com"),
    NO("U057", "https://taken.other.com", HTTP, ANY, E_HOST_TAKEN, "another account"),
    NO("U058", "https://sub.taken.other.com", HTTP, ANY, E_HOST_TAKEN, "another account"),
    NO("U059", "https://a.b.ngrok.app", HTTP, ANY, E_NESTED_NAME, "'a-b.ngrok.app'"),
    NO("U060", "ftp://example.ngrok.app", HTTP, ANY, E_SCHEME, "allowed: http, https"),
    NO("U061", "tcp://1.tcp.ngrok.io:12345", HTTP, ANY, E_SCHEME, "allowed: http, https"),
    NO("U062", "https://example.ngrok.app/", HTTP, ANY, E_URL_SLASH, ": https://example.ngrok.app"),
    NO("U063", "https://example.ngrok.app/path", HTTP, ANY, E_URL_PART, "path"),
    NO("U064", "https://example.ngrok.app?x=1", HTTP, ANY, E_URL_PART, "query"),
    NO("U065", "https://example.ngrok.app#f", HTTP, ANY, E_URL_PART, "fragment"),
    NO("U066", "https://user:pw@example.ngrok.app", HTTP, ANY, E_URL_PART, "userinfo"),
    NO("U067", "https://example.ngrok.app:abc", HTTP, ANY, E_PORT_SYNTAX, "'abc'"),
    NO("U068", "https://example.internal:0", HTTP, ANY, E_INTERNAL_PORT, "1 to 65535"),
    YES("U069", "https://example.internal:65535", HTTP, ANY, "https://example.internal:65535", INTERNAL),
    NO("U070", "https://example.internal:65536", HTTP, ANY, E_INTERNAL_PORT, "1 to 65535"),
    YES("U071", "https://example.internal:1", HTTP, ANY, "https://example.internal:1", INTERNAL),
    YES("U072", "https://a.b.c.d.e.internal", HTTP, ANY, "https://a.b.c.d.e.internal", INTERNAL),
    NO("U073", "https://a.b.c.d.e.f.internal", HTTP, ANY, E_INTERNAL_DEPTH, "6 parts"),
    YES("U074", "https://*.example.internal", HTTP, ANY, "https://*.example.internal", INTERNAL),
    YES("U075", "https://*.internal", HTTP, ANY, "https://*.internal", INTERNAL),
    NO("U076", "https://internal", HTTP, ANY, E_INTERNAL_SUFFIX, "NAME.internal"),
    NO("U077", "https://example.com", HTTP, INTERNAL, E_INTERNAL_SUFFIX, "'example.com'"),
    NO("U078", "https://my_app.example.com", HTTP, ANY, E_HOST_UNDERSCORE, "'_'"),
    NO("U079", "https://a..example.com", HTTP, ANY, E_HOST_EMPTY_LABEL, "empty"),
    NO("U080", "https://-a.example.com", HTTP, ANY, E_HOST_LABEL_START, "'-a'"),
    NO("U081", "https://a-.example.com", HTTP, ANY, E_HOST_LABEL_END, "'a-'"),
    NO("U082", "https://ab--c.example.com", HTTP, ANY, E_HOST_DASHES, "'ab--c'"),
    YES("U083", "https://xn--bcher-kva.example.com", HTTP, ANY, "https://xn--bcher-kva.example.com", PUBLIC),
    /* The spec writes seven z, which happen to be the punycode of three Han characters. */
    NO("U084", "https://xn--zzzzzz.example.com", HTTP, ANY, E_HOST_PUNYCODE, "'xn--zzzzzz'"),
    YES("U085", "https://b\xc3\xbc" "cher.example.com", HTTP, ANY, "https://xn--bcher-kva.example.com", PUBLIC),
    NO("U086", "https://" A64 ".example.com", HTTP, ANY, E_HOST_LABEL_LENGTH, "64"),
    YES("U086", "https://" A63 ".example.com", HTTP, ANY, "https://" A63 ".example.com", PUBLIC),
    NO("U087", "https://" A192 A10 A10 A10 A10 A10 ".example.com", HTTP, ANY, E_HOST_LENGTH, "253"),
    YES("U087", "https://" A192 A10 A10 A10 A10 "aaaaaaaaa.example.com", HTTP, ANY, "https://" A192 A10 A10 A10 A10 "aaaaaaaaa.example.com", PUBLIC),
    YES("U088", "HTTPS://Example.NGROK.app", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    NO("U089", "https://exa!mple.com", HTTP, ANY, E_HOST_CHARACTER, "'!'"),
    NO("U090", "https://192.0.2.1", HTTP, ANY, E_HOST_SUFFIX, ".1"),
    NO("U091", "https://[::1]", HTTP, ANY, E_HOST_SYNTAX, "IP address"),
    NO("U092", "https://ngrok.app", HTTP, ANY, E_HOST_SUFFIX, "'ngrok.app'"),
    YES("U093", "http://device1.gateway1.internal:443", HTTP, ANY, "http://device1.gateway1.internal:443", INTERNAL),
    YES("U094", "tcp://device1.gateway1.internal:443", TCP, ANY, "tcp://device1.gateway1.internal:443", INTERNAL),
    YES("U095", "tcp://postgres.internal:5432", TCP, ANY, "tcp://postgres.internal:5432", INTERNAL),
    YES("U096", "https://endpoint-example2.com:443", CLOUD, ANY, "https://endpoint-example2.com", PUBLIC),
    NO("U097", "tcp://1.tcp.ngrok.io", CLOUD, ANY, E_CLOUD_NO_PORT, "tcp://1.tcp.ngrok.io:PORT"),
    NO("U098", "https://unowned.example.org", CLOUD, ANY, E_HOST_NOT_RESERVED, "unowned.example.org"), /* 18006 in the API */
    NO("U099", "https://app.example.com:8443", CLOUD, ANY, E_CLOUD_PORT, "allowed: 443"),
    YES("cloud tls", "tls://app.example.com", CLOUD, ANY, "tls://app.example.com", PUBLIC),
    YES("cloud tcp", "tcp://1.tcp.ngrok.io:12345", CLOUD, ANY, "tcp://1.tcp.ngrok.io:12345", PUBLIC),
    YES("cloud internal", "http://api.internal:81", CLOUD, ANY, "http://api.internal:81", INTERNAL),
    NO("cloud scheme", "ftp://app.example.com", CLOUD, ANY, E_CLOUD_SCHEME, "allowed: http, https, tcp, tls"),
    YES("U109", "https://api.internal", HTTP, ANY, "https://api.internal", INTERNAL),
    YES("U110", "http://example.ngrok.app", HTTP, ANY, "http://example.ngrok.app", PUBLIC),
    YES("U110", "https://example.ngrok.app", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    YES("U111", "https://your-subdomain-here.ngrok-free.app", HTTP, ANY, "https://your-subdomain-here.ngrok-free.app", PUBLIC),

    /* Rules of the sections around the table that no row shows. */
    YES("2.3.1 trim", " \texample.ngrok.app\r\n", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    YES("2.3.4 zeros", "https://example.ngrok.app:00443", HTTP, ANY, "https://example.ngrok.app", PUBLIC),
    NO("2.3.4 none", "https://example.ngrok.app:", HTTP, ANY, E_PORT_SYNTAX, "no port"),
    NO("2.3.4 huge", "https://example.internal:99999999999999999999999", HTTP, ANY, E_INTERNAL_PORT, ""),
    NO("2.3.4 zero", "https://example.ngrok.app:0", HTTP, ANY, E_PORT_SCHEME, "443"),
    NO("2.3.4 tcp", "tcp://1.tcp.ngrok.io:0", TCP, ANY, E_PORT_SCHEME, "1 to 65535"),
    NO("2.3.4 sign", "https://example.internal:+1", HTTP, ANY, E_PORT_SYNTAX, "'+1'"),
    NO("2.3.7 port", "tcp://:1234", TCP, ANY, E_URL_SCHEME_HOST_PORT, "address"),
    NO("2.3.9 star", "https://*.com", HTTP, ANY, E_WILDCARD_NOT_RESERVED, "*.com"),
    NO("2.3.9 star", "https://*.co.uk", HTTP, ANY, E_WILDCARD_NOT_RESERVED, "public suffix"),
    NO("2.3.9 base", "https://*.ngrok.app", HTTP, ANY, E_WILDCARD_NOT_RESERVED, "not reserved"),
    NO("2.3.9 listed", "https://co.uk", HTTP, ANY, E_HOST_SUFFIX, "'co.uk'"),
    NO("2.3.9 single", "https://example", HTTP, ANY, E_HOST_SUFFIX, "'example'"),
    NO("2.3.9 alone", "https://*", HTTP, ANY, E_HOST_SUFFIX, "'*'"),
    NO("2.3.10 other", "tcp://1.tcp.ngrok.io:11111", TCP, ANY, E_TCP_TAKEN, "another account"),
    NO("2.3.11 deep", "https://*.b.c.d.e.f.internal", HTTP, ANY, E_INTERNAL_DEPTH, ""),
    NO("2.4 dot", "https://example.ngrok.app.", HTTP, ANY, E_HOST_SYNTAX, "ends in '.'"),
    NO("2.4 colons", "https://::1", HTTP, ANY, E_HOST_SYNTAX, "':'"),
    NO("2.4 bracket", "https://[::1", HTTP, ANY, E_HOST_SYNTAX, ""),
    NO("2.4 bracket", "https://[::1]x:443", HTTP, ANY, E_HOST_SYNTAX, ""),
    NO("2.3.3 empty", "://example.ngrok.app", HTTP, ANY, E_URL_SYNTAX, "in front of"),
    NO("2.3.3 space", "https://exam ple.ngrok.app", HTTP, ANY, E_URL_SYNTAX, "space"),
    NO("2.3.3 later", "example.ngrok.app/?u=http://x", HTTP, ANY, E_URL_PART, "path"),
    NO("2.3.3 slashes", "//example.ngrok.app", HTTP, ANY, E_URL_PART, "path"),
    NO("2.3.3 user", "https://me:secret@example.ngrok.app/", HTTP, ANY, E_URL_PART, "userinfo"),
};
/* clang-format on */

/* Prints what differs and returns 1, or returns 0. */
static unsigned expect(const char *id, int rc, const struct err *e, const char *got,
                       const char *url, enum err_code code, const char *text)
{
    if (rc == 0 && url != NULL && strcmp(got, url) == 0)
        return 0;
    if (rc == -1 && code != E_OK && e->code == code && strstr(e->msg, text) != NULL)
        return 0;
    if (rc == 0)
        print_error("%s: got '%s', expected %s%u\n", id, got, url != NULL ? url : "E",
                    err_number(code));
    else
        print_error("%s: got E%u '%s', expected %s E%u '%s'\n", id, err_number(e->code), e->msg,
                    url != NULL ? url : "", err_number(code), text);
    return 1;
}

static void url_parse_table_of_the_spec(void **state)
{
    const struct fixture *f = *state;
    unsigned failed = 0;

    for (size_t i = 0; i < COUNT(url_rows); i++) {
        const struct url_row *row = &url_rows[i];
        struct url_context ctx = { row->command, row->asked, f->suffixes };
        char text[URL_TEXT_BYTES] = "";
        struct err e = { 0 };
        struct url u = { 0 };
        int rc = url_parse(str_from(row->input), &ctx, &u, &e);

        if (rc == 0)
            rc = domains_check(f->domains, &u, OWNER, &e);
        if (rc == 0)
            url_format(&u, 80, 443, text);
        failed += expect(row->id, rc, &e, text, row->url, row->code, row->text);
        if (rc == 0 && u.binding != row->binding) {
            print_error("%s: binding %d, expected %d\n", row->id, u.binding, row->binding);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* ---- what is about a binding that is not to be had, or about two endpoints ---- */

/* The spec gives what ngrok says of these URLs; here the binding is refused before any is looked at. */
static const struct {
    const char *id;
    const char *input;
    enum url_command command;
} kubernetes_rows[] = {
    { "U101", "http://app.example", HTTP },   { "U102", "http://app.example:12345", HTTP },
    { "U103", "tcp://app.example:443", TCP }, { "U104", "tcp://app.example:12345", TCP },
    { "U105", "https://app.example", HTTP },  { "U106", "tls://app.example:12345", TLS },
    { "U107", "http://app.foo.bar", HTTP },   { "U108", "tcp://app.example", TCP },
};

static void kubernetes_rows_are_refused_for_their_binding(void **state)
{
    const struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(kubernetes_rows); i++) {
        struct url_context ctx = { kubernetes_rows[i].command, BINDING_UNSET, f->suffixes };
        struct err e = { 0 };
        struct url u;

        print_message("%s\n", kubernetes_rows[i].id);
        assert_int_equal(binding_parse(STR("kubernetes"), &ctx.binding, &e), -1);
        assert_int_equal(e.code, E_BINDING);
        assert_non_null(strstr(e.msg, "'kubernetes'"));
        assert_int_equal(ctx.binding, BINDING_UNSET);
        /* Nor do these names become public ones without it. */
        if (url_parse(str_from(kubernetes_rows[i].input), &ctx, &u, &e) == 0)
            assert_int_equal(domains_check(f->domains, &u, OWNER, &e), -1);
    }
}

static void binding_parse_reads_the_two_that_there_are(void **state)
{
    static const char *const bad[] = { "", "Public", "public,internal", "private", "internal " };
    enum binding binding;
    struct err e;

    (void)state;
    assert_int_equal(binding_parse(STR("public"), &binding, &e), 0);
    assert_int_equal(binding, BINDING_PUBLIC);
    assert_int_equal(binding_parse(STR("internal"), &binding, &e), 0);
    assert_int_equal(binding, BINDING_INTERNAL);
    assert_string_equal(binding_name(BINDING_INTERNAL), "internal");
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(binding_parse(str_from(bad[i]), &binding, &e), -1);
}

static const struct pair_row {
    const char *id;
    const char *input[2];
    const char *account[2];
    enum err_code code; /* of the second */
} pair_rows[] = {
    { "U100",
      { "https://a.example.com", "https://a.example.com" },
      { "owner", "owner" },
      E_ENDPOINT_ONLINE },
    { "U109", { "https://api.internal", "https://api.internal" }, { "owner", "other" }, E_OK },
    { "U110",
      { "http://example.ngrok.app", "https://example.ngrok.app" },
      { "owner", "owner" },
      E_OK },
};

static enum err_code put_online(struct registry *r, const struct fixture *f,
                                const struct pair_row *row, size_t i)
{
    static const struct agent_ops agent_ops; /* of sessions, which are never asked */
    const struct url_context ctx = { HTTP, ANY, f->suffixes };
    struct endpoint *ep = endpoint_new();
    struct endpoint *displaced;
    struct err e = { .code = E_OK };

    assert_int_equal(url_parse(str_from(row->input[i]), &ctx, &ep->url, &e), 0);
    endpoint_set(&ep->account, str_from(row->account[i]));
    ep->key[0] = (char)('a' + i); /* another key, which takes nothing over */
    ep->agent = (struct agent){ .ops = &agent_ops, .session = i + 1 };
    (void)registry_add(r, ep, 0, &displaced, &e);
    assert_null(displaced);
    endpoint_unref(ep);
    return e.code;
}

static void registry_add_pairs_of_the_spec(void **state)
{
    const struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(pair_rows); i++) {
        const struct registry_params params = { .base_domain = STR("ngrok.app"),
                                                .domains = f->domains };
        struct registry *r = registry_new(&params);
        struct endpoint *ep;

        print_message("%s\n", pair_rows[i].id);
        assert_int_equal(put_online(r, f, &pair_rows[i], 0), E_OK);
        assert_int_equal(put_online(r, f, &pair_rows[i], 1), pair_rows[i].code);
        while ((ep = registry_take(r)) != NULL)
            endpoint_unref(ep);
        registry_free(r);
    }
}

static void domains_check_internal_name_of_two_accounts_is_allowed(void **state)
{
    const struct fixture *f = *state;
    struct url_context ctx = { URL_COMMAND_HTTP, BINDING_UNSET, f->suffixes };
    struct url u;
    struct err e;

    assert_int_equal(url_parse(STR("https://api.internal"), &ctx, &u, &e), 0);
    assert_int_equal(domains_check(f->domains, &u, OWNER, &e), 0);
    assert_int_equal(domains_check(f->domains, &u, STR("other"), &e), 0);
}

static void url_parse_of_a_password_never_repeats_it(void **state)
{
    static const char *const inputs[] = {
        "https://me:secret@example.ngrok.app",
        "https://me:secret@example.ngrok.app/",
        "me:secret@example.ngrok.app:443/path",
        "https://me:secret@[::1]",
    };
    const struct fixture *f = *state;
    struct url_context ctx = { URL_COMMAND_HTTP, BINDING_UNSET, f->suffixes };
    struct url u;
    struct err e;

    for (size_t i = 0; i < COUNT(inputs); i++) {
        assert_int_equal(url_parse(str_from(inputs[i]), &ctx, &u, &e), -1);
        assert_null(strstr(e.msg, "secret"));
    }
}

static void url_parse_below_base_localhost_is_accepted(void **state)
{
    struct host_suffixes *s = host_suffixes_new(STR("localhost"), NULL, 0, NULL);
    struct url_context ctx = { URL_COMMAND_HTTP, BINDING_UNSET, s };
    char text[URL_TEXT_BYTES];
    struct url u;
    struct err e;

    (void)state;
    assert_non_null(s);
    assert_int_equal(url_parse(STR("https://app.localhost"), &ctx, &u, &e), 0);
    assert_string_equal(url_format(&u, 8080, 8443, text), "https://app.localhost:8443");
    assert_int_equal(url_parse(STR("http://app.localhost"), &ctx, &u, &e), 0);
    assert_string_equal(url_format(&u, 8080, 8443, text), "http://app.localhost:8080");
    assert_int_equal(url_parse(STR("https://localhost"), &ctx, &u, &e), -1);
    assert_int_equal(e.code, E_HOST_SUFFIX);
    host_suffixes_free(s);
}

static void url_format_shows_listener_ports_of_public_urls_only(void **state)
{
    static const struct {
        struct url url;
        uint16_t http_port;
        uint16_t https_port;
        const char *text;
    } rows[] = {
        { { SCHEME_HTTPS, BINDING_PUBLIC, 443, "a.b" }, 8080, 443, "https://a.b" },
        { { SCHEME_TLS, BINDING_PUBLIC, 443, "a.b" }, 8080, 8443, "tls://a.b:8443" },
        { { SCHEME_HTTP, BINDING_PUBLIC, 80, "a.b" }, 443, 80, "http://a.b:443" },
        { { SCHEME_HTTPS, BINDING_INTERNAL, 443, "a.internal" }, 8080, 8443, "https://a.internal" },
        { { SCHEME_HTTPS, BINDING_INTERNAL, 80, "a.internal" }, 80, 80, "https://a.internal:80" },
        { { SCHEME_TCP, BINDING_PUBLIC, 443, "a.b" }, 8080, 8443, "tcp://a.b:443" },
        { { SCHEME_HTTPS, BINDING_PUBLIC, 443, "" }, 8080, 8443, "https://" },
    };
    char text[URL_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(url_format(&rows[i].url, rows[i].http_port, rows[i].https_port, text),
                            rows[i].text);
}

/* ---- 2.6 upstream hints ---- */

struct hint_row {
    const char *id;
    const char *input;
    const char *url; /* expected; NULL: an error */
    enum url_command command;
    enum err_code code;
};

/* clang-format off */
static const struct hint_row hint_rows[] = {
    { "P01", "http://localhost:1234", "http://localhost:1234", HTTP, E_OK },
    { "P02", "https://localhost:1234", "https://localhost:1234", HTTP, E_OK },
    { "P03", "localhost:1234", "http://localhost:1234", HTTP, E_OK },
    { "P04", "1234", "http://localhost:1234", HTTP, E_OK },
    { "P05", "localhost:443", "https://localhost:443", HTTP, E_OK },
    { "P06", "443", "https://localhost:443", HTTP, E_OK },
    { "P07", "192.168.1.2:80", "http://192.168.1.2:80", HTTP, E_OK },
    { "P08", "http://192.168.1.2", "http://192.168.1.2:80", HTTP, E_OK },
    { "P09", "https://localhost:8443", "https://localhost:8443", HTTP, E_OK },
    /* Section 5.5: over SSH the gateway serves no directories, so file:// is E1109. */
    { "P10", "file:///var/log", NULL, HTTP, E_FLAG_UNSUPPORTED },
    { "P11", "file://C:\\Users\\alan\\Directory Name", NULL, HTTP, E_FLAG_UNSUPPORTED },
    { "P12", "8080", "http://localhost:8080", HTTP, E_OK },
    { "P12", "80", "http://localhost:80", HTTP, E_OK },
    { "P13", "http://localhost:443", "http://localhost:443", HTTP, E_OK },
    { "P14", "foo.local:443", "https://foo.local:443", HTTP, E_OK },
    { "P15", "example.org", "http://example.org:80", HTTP, E_OK },
    { "P16", "https://example.org", "https://example.org:443", HTTP, E_OK },
    { "P17", "https://", "https://localhost:443", HTTP, E_OK },
    { "P18", "http://", "http://localhost:80", HTTP, E_OK },
    { "P19", "[::1]:80", "http://[::1]:80", HTTP, E_OK },
    { "P20", "https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", HTTP, E_OK },
    { "P21", "22", "tcp://localhost:22", TCP, E_OK },
    { "P22", "192.168.1.2:5432", "tcp://192.168.1.2:5432", TCP, E_OK },
    { "P23", "example.org", NULL, TCP, E_URL_SCHEME_HOST_PORT },
    { "P24", "443", "tcp://localhost:443", TLS, E_OK },
    { "P25", "tls://localhost:443", "tls://localhost:443", TLS, E_OK },
    { "P26", "file://relative/dir", NULL, HTTP, E_FLAG_UNSUPPORTED },

    { "case", "HTTP://LocalHost:1", "http://localhost:1", HTTP, E_OK },
    { "no host", ":8080", "http://localhost:8080", HTTP, E_OK },
    { "container", "my_app:3000", "http://my_app:3000", HTTP, E_OK },
    { "last port", "65535", "http://localhost:65535", HTTP, E_OK },
    { "port", "65536", NULL, HTTP, E_PORT_SCHEME },
    { "port", "0", NULL, HTTP, E_PORT_SCHEME },
    { "port", "localhost:http", NULL, HTTP, E_PORT_SYNTAX },
    { "scheme", "tls://localhost", NULL, HTTP, E_SCHEME },
    { "scheme", "http://localhost:80", NULL, TCP, E_SCHEME },
    { "slash", "http://localhost:80/", NULL, HTTP, E_URL_SLASH },
    { "path", "localhost:80/x", NULL, HTTP, E_URL_PART },
    { "character", "http://a*b", NULL, HTTP, E_HOST_CHARACTER },
    { "character", "http://b\xc3\xbc" "cher", NULL, HTTP, E_HOST_CHARACTER },
    { "label", "http://a..b", NULL, HTTP, E_HOST_EMPTY_LABEL },
    { "label", "http://" A64, NULL, HTTP, E_HOST_LABEL_LENGTH },
    { "name", "http://" A192 A61 "a", NULL, HTTP, E_HOST_LENGTH },
    { "name", "http://" A192 A61, "http://" A192 A61 ":80", HTTP, E_OK },
    { "ip", "[::zz]:80", NULL, HTTP, E_HOST_SYNTAX },
    { "ip", "::1", NULL, HTTP, E_HOST_SYNTAX },
    { "empty", "", NULL, TLS, E_URL_SCHEME_HOST_PORT },
};
/* clang-format on */

static void upstream_hint_parse_table_of_the_spec(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(hint_rows); i++) {
        const struct hint_row *row = &hint_rows[i];
        char text[URL_TEXT_BYTES] = "";
        struct upstream_hint h;
        struct err e = { 0 };
        int rc = upstream_hint_parse(str_from(row->input), row->command, &h, &e);

        if (rc == 0)
            upstream_hint_format(&h, text);
        failed += expect(row->id, rc, &e, text, row->url, row->code, "");
    }
    assert_int_equal(failed, 0);
}

static void tables_have_every_row_of_the_spec(void **state)
{
    struct spec_rows rows = { .prefix = 'U', .digits = 3, .count = 111 };
    struct spec_rows hints = { .prefix = 'P', .digits = 2, .count = 26 };

    (void)state;
    for (size_t i = 0; i < COUNT(url_rows); i++)
        spec_rows_see(&rows, url_rows[i].id);
    for (size_t i = 0; i < COUNT(kubernetes_rows); i++)
        spec_rows_see(&rows, kubernetes_rows[i].id);
    for (size_t i = 0; i < COUNT(pair_rows); i++)
        spec_rows_see(&rows, pair_rows[i].id);
    for (size_t i = 0; i < COUNT(hint_rows); i++)
        spec_rows_see(&hints, hint_rows[i].id);
    assert_int_equal(spec_rows_missing(&rows), 0);
    assert_int_equal(spec_rows_missing(&hints), 0);
}

/* ---- forwards ---- */

struct forward_row {
    const char *id;
    const char *host;
    uint32_t port;
    enum url_command command;
    const char *flag_url;
    const char *url; /* expected; NULL: an error */
    enum err_code code;
};

/* clang-format off */
static const struct forward_row forward_rows[] = {
    { "case", "App.Example.COM", 443, HTTP, "", "https://app.example.com", E_OK },
    { "case", "FOO.Internal", 1234, HTTP, "", "https://foo.internal:1234", E_OK },
    { "port", "localhost", 65536, HTTP, "", NULL, E_FORWARD_PORT },
    { "port", "foo.internal", 65536, HTTP, "", NULL, E_FORWARD_PORT },
    { "port", "1.tcp.ngrok.io", UINT32_MAX, TCP, "", NULL, E_FORWARD_PORT },
    { "port", "foo.internal", 65535, HTTP, "", "https://foo.internal:65535", E_OK },
    { "syntax", "a b.example.com", 443, HTTP, "", NULL, E_HOST_CHARACTER },
    { "syntax", "192.0.2.1", 443, HTTP, "", NULL, E_HOST_SUFFIX },
    { "syntax", "2001:db8::1", 443, HTTP, "", NULL, E_HOST_CHARACTER },
    { "owner", "taken.other.com", 443, HTTP, "", NULL, E_HOST_TAKEN },
    { "--url scheme", "a.example.com", 0, HTTP, "http://", "http://a.example.com", E_OK },
    { "--url scheme", "localhost", 80, HTTP, "http://", "http://", E_OK },
    { "--url scheme", "a.example.com", 443, HTTP, "http://", NULL, E_FORWARD_PORT },
    { "--url scheme", "localhost", 443, HTTP, "tcp://", NULL, E_SCHEME },
    { "--url name", "localhost", 80, HTTP, "a.example.com", "http://a.example.com", E_OK },
    { "--url name", "localhost", 443, HTTP, "a.example.com", "https://a.example.com", E_OK },
    { "--url port", "localhost", 0, HTTP, "https://foo.internal:1234", "https://foo.internal:1234", E_OK },
    { "--url port", "localhost", 1234, HTTP, "https://foo.internal:1234", "https://foo.internal:1234", E_OK },
    { "--url port", "localhost", 443, HTTP, "https://foo.internal:1234", NULL, E_FORWARD_PORT },
    { "--url port", "a.example.com", 443, HTTP, ":443", NULL, E_NAME_TWICE },
    { "--url equal", "a.example.com", 443, HTTP, "https://a.example.com", NULL, E_NAME_TWICE },
    { "--url tcp", "localhost", 12345, TCP, "tcp://1.tcp.ngrok.io:12345", "tcp://1.tcp.ngrok.io:12345", E_OK },
    { "--url tcp", "localhost", 12345, TCP, "tcp://", NULL, E_TCP_PORT_WITHOUT_ADDRESS },
    { "--url bad", "localhost", 443, HTTP, "https://a.example.com/", NULL, E_URL_SLASH },
};
/* clang-format on */

static void url_from_forward_checks_name_and_port(void **state)
{
    const struct fixture *f = *state;
    unsigned failed = 0;

    for (size_t i = 0; i < COUNT(forward_rows); i++) {
        const struct forward_row *row = &forward_rows[i];
        struct url_context ctx = { row->command, BINDING_UNSET, f->suffixes };
        char text[URL_TEXT_BYTES] = "";
        struct err e = { 0 };
        struct url u = { 0 };
        int rc =
            url_from_forward(str_from(row->host), row->port, str_from(row->flag_url), &ctx, &u, &e);

        if (rc == 0)
            rc = domains_check(f->domains, &u, OWNER, &e);
        if (rc == 0)
            url_format(&u, 80, 443, text);
        failed += expect(row->id, rc, &e, text, row->url, row->code, "");
    }
    assert_int_equal(failed, 0);
}

static void url_is_unnamed_bind_knows_every_form(void **state)
{
    static const char *const unnamed[] = { "",   "*",   "localhost", "LocalHost", "127.0.0.1",
                                           "::", "::1", "0.0.0.0",   "127.1.2.3" };
    static const char *const named[] = {
        "a", "localhost.", "*.localhost", "app.localhost", "0.0.0.1", "::2", " "
    };

    (void)state;
    for (size_t i = 0; i < COUNT(unnamed); i++)
        assert_true(url_is_unnamed_bind(str_from(unnamed[i])));
    for (size_t i = 0; i < COUNT(named); i++)
        assert_false(url_is_unnamed_bind(str_from(named[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_parse_table_of_the_spec),
        cmocka_unit_test(kubernetes_rows_are_refused_for_their_binding),
        cmocka_unit_test(binding_parse_reads_the_two_that_there_are),
        cmocka_unit_test(registry_add_pairs_of_the_spec),
        cmocka_unit_test(tables_have_every_row_of_the_spec),
        cmocka_unit_test(domains_check_internal_name_of_two_accounts_is_allowed),
        cmocka_unit_test(url_parse_of_a_password_never_repeats_it),
        cmocka_unit_test(url_parse_below_base_localhost_is_accepted),
        cmocka_unit_test(url_format_shows_listener_ports_of_public_urls_only),
        cmocka_unit_test(upstream_hint_parse_table_of_the_spec),
        cmocka_unit_test(url_from_forward_checks_name_and_port),
        cmocka_unit_test(url_is_unnamed_bind_knows_every_form),
    };

    return cmocka_run_group_tests_name("tunnel/url", tests, setup, teardown);
}
