/*
 * Unit tests of sshd/command, sshd/command_scan, sshd/flags and sshd/flag_policy: rows Q01 to Q18
 * of spec 5.4, and every flag with good values, bad ones and its limits.
 * Links: tests/unit/policy/fake_host
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sshd/command.h"
#include "sshd/command_scan.h"
#include "tests/unit/policy/fake_host.h"

/* What the scanner made of a line, as text: "positional | --flag=value | --switch". */
static const char *scan_text(struct str line, unsigned version, char *out, size_t cap)
{
    struct command_scan scan;
    struct err e;
    size_t n;

    if (command_scan(str_skip(line, str_find_char(line, ' ')), version, &scan, &e) == -1) {
        (void)snprintf(out, cap, "ERR %u", err_number(e.code));
        return out;
    }
    n = (size_t)snprintf(out, cap, "%.*s", STR_ARG(scan.positional));
    for (size_t i = 0; i < scan.count; i++) {
        const struct flag_use *use = &scan.uses[i];

        if (use->flag->shape == FLAG_SWITCH)
            n += (size_t)snprintf(out + n, cap - n, "|%s=%s", use->flag->name,
                                  use->on ? "true" : "false");
        else
            n += (size_t)snprintf(out + n, cap - n, "|%s=%.*s", use->flag->name,
                                  STR_ARG(use->value));
        assert_true(n < cap);
    }
    return out;
}

struct scan_case {
    const char *id;
    unsigned version;
    struct str line;
    const char *expected;
};

static void check_scans(const struct scan_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512];
        char got[600];
        char want[600];

        (void)scan_text(cases[i].line, cases[i].version, text, sizeof(text));
        (void)snprintf(got, sizeof(got), "%s: %s", cases[i].id, text);
        (void)snprintf(want, sizeof(want), "%s: %s", cases[i].id, cases[i].expected);
        assert_string_equal(got, want);
    }
}

static void command_scan_follows_the_rows_of_the_specification(void **state)
{
    static const struct scan_case cases[] = {
        { "Q01", 2,
          STR_INIT("http --basic-auth username1:password1 --basic-auth username2:password2"),
          "|basic-auth=username1:password1|basic-auth=username2:password2" },
        { "Q02", 2, STR_INIT("http --request-header-add=host: localhost"),
          "|request-header-add=host: localhost" },
        { "Q03", 2,
          STR_INIT("http --request-header-add=is-ngrok: 1 --request-header-add=country: "
                   "${conn.geo.country_code} --request-header-remove=referrer"),
          "|request-header-add=is-ngrok: 1|request-header-add=country: "
          "${conn.geo.country_code}|request-header-remove=referrer" },
        { "Q04", 2, STR_INIT("http --request-header-add='host: localhost'"),
          "|request-header-add=host: localhost" },
        { "Q05", 2, STR_INIT("http --oauth=google"), "|oauth=google" },
        { "Q05", 2, STR_INIT("http --oauth google"), "|oauth=google" },
        { "Q06", 2, STR_INIT("http --response-header-add etag: \"abc\""),
          "|response-header-add=etag: \"abc\"" },
        { "Q07", 2, STR_INIT("http --ua-filter-allow=(foo/(\\d)+.(\\d)+),(bar/(\\d)+.(\\d)+)"),
          "|ua-filter-allow=(foo/(\\d)+.(\\d)+),(bar/(\\d)+.(\\d)+)" },
        { "Q08", 2, STR_INIT("http --compression --circuit-breaker 0.5"),
          "|compression=true|circuit-breaker=0.5" },
        { "Q09", 2, STR_INIT("http --inspect=false"), "|inspect=false" },
        { "Q10", 2, STR_INIT("http --pooling-enabled"), "|pooling-enabled=true" },
        { "Q10", 2, STR_INIT("http --pooling-enabled=true"), "|pooling-enabled=true" },
        { "Q11", 2, STR_INIT("tcp 22"), "22" },
        { "Q12", 2, STR_INIT("http https://localhost:8443 --upstream-tls-verify"),
          "https://localhost:8443|upstream-tls-verify=true" },
        { "Q13", 2, STR_INIT("http --basic-auth a b:c"), "|basic-auth=a b:c" },
        { "Q14", 1, STR_INIT("http -auth=user:password"), "|auth=user:password" },
        { "Q15", 2, STR_INIT("http --nope"), "ERR 1110" },
        { "Q18", 2, STR_INIT("http --help"), "|help=true" },
    };

    (void)state;
    check_scans(cases, sizeof(cases) / sizeof(cases[0]));
}

static void command_scan_finds_boundaries(void **state)
{
    static const struct scan_case cases[] = {
        { "spaces", 2, STR_INIT("http   8080   --name   a b   --log  false "),
          "8080|name=a b|log=false" },
        { "value up to the end", 2, STR_INIT("http --description a - b -- c -d"),
          "|description=a - b -- c -d" },
        { "not behind a space", 2, STR_INIT("http --description a--name b"),
          "|description=a--name b" },
        { "not a whole name", 2, STR_INIT("http --description a --name, b"),
          "|description=a --name, b" },
        { "equals hides a flag", 2, STR_INIT("http --description=--name"), "|description=--name" },
        { "empty with equals", 2, STR_INIT("http --description= --name x"),
          "|description=|name=x" },
        { "empty in quotes", 2, STR_INIT("http --description '' --name x"),
          "|description=|name=x" },
        { "quotes hide a flag", 2, STR_INIT("http --description 'a --name b' --name c"),
          "|description=a --name b|name=c" },
        { "double quotes", 2, STR_INIT("http --description=\"a --nope b\""),
          "|description=a --nope b" },
        { "quote not closed", 2, STR_INIT("http --description 'a b --name c"),
          "|description='a b|name=c" },
        { "two quoted words", 2, STR_INIT("http --description 'a' and 'b'"),
          "|description='a' and 'b'" },
        { "quote inside", 2, STR_INIT("http --description 'it's fine'"), "|description=it's fine" },
        { "other quotes stay", 2, STR_INIT("http --description '\"a\"'"), "|description=\"a\"" },
        { "no escapes", 2, STR_INIT("http --description a\\ $b `c`"), "|description=a\\ $b `c`" },
        { "single quote alone", 2, STR_INIT("http --description '"), "|description='" },
        { "quoted positional", 2, STR_INIT("http 'http://localhost'"), "http://localhost" },
        { "unknown behind a value", 2, STR_INIT("http --name x: 1 --basic-aut u:p"), "ERR 1110" },
        { "unknown as a value", 2, STR_INIT("http --name --nope"), "ERR 1110" },
        { "unknown behind a positional", 2, STR_INIT("http 8080 --nope"), "ERR 1110" },
        { "unknown behind a switch", 2, STR_INIT("http --compression --nope=1"), "ERR 1110" },
        { "upper case", 2, STR_INIT("http --Name x"), "ERR 1110" },
        { "value missing at the end", 2, STR_INIT("http --name"), "ERR 1110" },
        { "value missing before a flag", 2, STR_INIT("http --name --log false"), "ERR 1110" },
        { "junk behind a switch", 2, STR_INIT("http --compression false"), "ERR 1110" },
        { "switch with a bad value", 2, STR_INIT("http --compression=yes"), "ERR 1110" },
        { "switch with 0", 2, STR_INIT("http --compression=0 --inspect=1"),
          "|compression=false|inspect=true" },
        { "two words", 2, STR_INIT("http 8080 9090"), "ERR 1110" },
        { "reserved", 2, STR_INIT("http -- 8080"), "ERR 1110" },
        { "one dash in v2", 2, STR_INIT("http -auth=user:password"), "ERR 1110" },
        { "one dash in v2 values", 2, STR_INIT("http --name a -log b"), "|name=a -log b" },
        { "-h in v2", 2, STR_INIT("http -h"), "|h=true" },
        { "one dash in v1", 1, STR_INIT("http -name a -log=false --description b"),
          "|name=a|log=false|description=b" },
        { "two dashes for v1 names", 1, STR_INIT("http --auth user:password"),
          "|auth=user:password" },
        { "v1 name in v2", 2, STR_INIT("http --bind-tls true"), "ERR 1110" },
        { "unknown in v1", 1, STR_INIT("http -name a -nope"), "ERR 1110" },
    };

    (void)state;
    check_scans(cases, sizeof(cases) / sizeof(cases[0]));
}

static void command_scan_flags_at_limit(void **state)
{
    struct command_scan scan;
    struct buf line;
    struct err e;

    (void)state;
    buf_init(&line, 64 * 1024);
    for (int i = 0; i < COMMAND_FLAGS_MAX; i++)
        buf_add_str(&line, STR("--name x "));
    assert_int_equal(command_scan(buf_str(&line), 2, &scan, &e), 0);
    assert_int_equal(scan.count, COMMAND_FLAGS_MAX);
    buf_add_str(&line, STR("--name x "));
    assert_int_equal(command_scan(buf_str(&line), 2, &scan, &e), -1);
    assert_int_equal(e.code, E_FLAG_SYNTAX);
    buf_fini(&line);
}

static void command_syntax_version_reads_user_names(void **state)
{
    static const struct {
        struct str user;
        unsigned version; /* 0: refused */
    } cases[] = {
        { STR_INIT("v2"), 2 },    { STR_INIT("v1"), 1 }, { STR_INIT("v3"), 0 },
        { STR_INIT("v02"), 0 },   { STR_INIT("v0"), 0 }, { STR_INIT("v99999999999999999999"), 0 },
        { STR_INIT("alice"), 2 }, { STR_INIT(""), 2 },   { STR_INIT("v"), 2 },
        { STR_INIT("v2x"), 2 },   { STR_INIT("V1"), 2 }, { STR_INIT("root"), 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = { .code = E_OK };
        unsigned version;
        int rc = command_syntax_version(cases[i].user, &version, &e);

        assert_int_equal(rc, cases[i].version > 0 ? 0 : -1);
        assert_int_equal(e.code, cases[i].version > 0 ? E_OK : E_SYNTAX_VERSION);
        if (rc == 0)
            assert_int_equal(version, cases[i].version);
    }
}

static void expect_refused(struct str line, unsigned version, enum err_code code,
                           const char *needle)
{
    struct command c;
    struct err e = { .code = E_OK };

    assert_int_equal(command_parse(line, version, fake_host_engine(), &c, &e), -1);
    if (strstr(e.msg, needle) == NULL)
        assert_string_equal(e.msg, needle); /* shows both */
    if (e.code != code)
        fail_msg("%.*s: code %u, not %u: %s", STR_ARG(line), err_number(e.code), err_number(code),
                 e.msg);
}

static void parse(const char *line, struct command *out)
{
    struct err e = { .code = E_OK };

    if (command_parse(str_from(line), 2, fake_host_engine(), out, &e) == -1)
        fail_msg("%s: %s", line, e.msg);
}

/* What the flags come to; the caller drops it. */
static struct counted *flag_policy_of(const struct command *c)
{
    const struct policy_document *documents[2];
    struct policy_params params = { .engine = fake_host_engine(),
                                    .limits = &policy_default_limits,
                                    .documents = documents };
    struct policy_problems *problems = policy_problems_new();
    struct counted *policy;

    if (c->flags.front != NULL)
        documents[params.document_count++] = c->flags.front;
    if (c->flags.back != NULL)
        documents[params.document_count++] = c->flags.back;
    policy = policy_compile(&params, problems);
    assert_non_null(policy);
    policy_problems_free(problems);
    return policy;
}

static void command_parse_refuses_with_the_code_of_the_row(void **state)
{
    static const struct {
        const char *id;
        unsigned version;
        struct str line;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "Q03", 2, STR_INIT("http --request-header-add=country: ${conn.nowhere}"), E_FLAG_SYNTAX,
          "--request-header-add: " },
        { "Q05", 2, STR_INIT("http --oauth=google"), E_FLAG_UNSUPPORTED,
          "--oauth is not available on this gateway yet; use --basic-auth" },
        { "Q07", 2, STR_INIT("http --ua-filter-allow=(foo),(bar"), E_AGENT_PATTERN,
          "--ua-filter-allow and --ua-filter-deny: " },
        { "Q08", 2, STR_INIT("http --circuit-breaker 1.5"), E_BREAKER_RATIO, "--circuit-breaker" },
        { "Q09", 2, STR_INIT("http --inspect=false"), E_FLAG_UNSUPPORTED, "--inspect" },
        { "Q13", 2, STR_INIT("http --basic-auth a b:c"), E_AUTH_PASSWORD_LENGTH, "user 'a b'" },
        { "Q15", 2, STR_INIT("http --nope"), E_FLAG_SYNTAX,
          "unknown flag --nope; the nearest one is --name" },
        { "Q16", 2, STR_INIT(""), E_NO_COMMAND, "no command was given; put http" },
        { "Q16", 2, STR_INIT(" \r\n"), E_NO_COMMAND, "no command was given" },
        { "Q17", 2, STR_INIT("ftp"), E_UNKNOWN_COMMAND,
          "unknown command 'ftp'; the nearest one is http" },
        { "case", 2, STR_INIT("HTTP"), E_UNKNOWN_COMMAND, "unknown command 'HTTP'" },
        { "nearest", 2, STR_INIT("versoin"), E_UNKNOWN_COMMAND, "the nearest one is version" },
        { "nearest", 2, STR_INIT("whomai"), E_UNKNOWN_COMMAND, "the nearest one is whoami" },
        { "tcp", 2, STR_INIT("tcp --basic-auth user:password"), E_FLAG_UNSUPPORTED,
          "--basic-auth does not go with the command tcp, only with http" },
        { "tls", 2, STR_INIT("tls --scheme http"), E_FLAG_UNSUPPORTED,
          "--scheme does not go with the command tls, only with http" },
        { "F51", 2, STR_INIT("tls --remote-addr a.example.com:1"), E_FLAG_UNSUPPORTED,
          "only with tcp" },
        { "cidr", 2, STR_INIT("tcp --cidr-deny ::/0"), E_CIDR_DENY_ONLY, "--cidr-deny alone" },
        { "hint", 2, STR_INIT("tcp https://localhost:22"), E_SCHEME, "allowed" },
        { "hint", 2, STR_INIT("tcp localhost"), E_URL_SCHEME_HOST_PORT, "needs a port" },
        { "version", 2, STR_INIT("version now"), E_FLAG_SYNTAX, "not 'now'" },
        { "help", 2, STR_INIT("help ftp"), E_UNKNOWN_COMMAND, "ftp" },
        { "NUL", 2, STR_INIT("http --name a\0b"), E_FLAG_SYNTAX, "NUL" },
        { "UTF-8", 2, STR_INIT("http --name a\xFF"), E_FLAG_SYNTAX, "not valid UTF-8" },
        { "v1", 2, STR_INIT("http -auth=user:password"), E_FLAG_SYNTAX, "flags have two dashes" },
        { "F54", 2, STR_INIT("http --config x"), E_FLAG_UNSUPPORTED,
          "--config is not available over SSH" },
        { "F58", 2, STR_INIT("http --log-level trace"), E_FLAG_SYNTAX,
          "--log-level: 'trace' is not possible; give debug, info, warn, error or crit" },
        { "authtoken", 2, STR_INIT("http --authtoken x"), E_FLAG_UNSUPPORTED, "your SSH key" },
        { "hostname", 1, STR_INIT("http -hostname=a -subdomain b"), E_HOSTNAME_AND_SUBDOMAIN,
          "-subdomain: another flag names the endpoint" },
        { "alias", 2, STR_INIT("http --cidr-alow ::/0"), E_FLAG_SYNTAX, "is --cidr-allow" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].id);
        expect_refused(cases[i].line, cases[i].version, cases[i].code, cases[i].needle);
    }
}

static void command_parse_line_at_limit(void **state)
{
    struct command c;
    struct buf line;

    (void)state;
    buf_init(&line, COMMAND_LINE_MAX_BYTES + 1);
    buf_add_str(&line, STR("http"));
    while (line.len < COMMAND_LINE_MAX_BYTES)
        buf_add_char(&line, ' ');
    assert_int_equal(command_parse(buf_str(&line), 2, fake_host_engine(), &c, NULL), 0);
    command_fini(&c);
    buf_add_char(&line, ' ');
    expect_refused(buf_str(&line), 2, E_FLAG_SYNTAX, "at most 65536");
    buf_fini(&line);
}

static void command_parse_knows_help_and_version(void **state)
{
    static const struct {
        const char *line;
        enum command_kind kind;
        bool help;
    } cases[] = {
        { "http", COMMAND_HTTP, false },
        { "http --help", COMMAND_HTTP, true },
        { "http -h", COMMAND_HTTP, true },
        { "http --help=false", COMMAND_HTTP, false },
        { "http ftp://x --oauth a --help --basic-auth bad", COMMAND_HTTP, true },
        { "help", COMMAND_HELP, false },
        { "--help", COMMAND_HELP, false },
        { "-h", COMMAND_HELP, false },
        { "help http", COMMAND_HTTP, true },
        { "help policy", COMMAND_POLICY_CHECK, true },
        { "help api", COMMAND_API, true },
        { "help ls", COMMAND_API, true },
        { "api vaults list --limit 'x", COMMAND_API, false },
        { "api", COMMAND_API, false },
        { "ls", COMMAND_API, false },
        { "whoami --help", COMMAND_API, false },
        { "kill ts_1", COMMAND_API, false },
        { "version", COMMAND_VERSION, false },
        { "--version", COMMAND_VERSION, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command c;

        parse(cases[i].line, &c);
        assert_int_equal(c.kind, cases[i].kind);
        assert_int_equal(c.help, cases[i].help);
        assert_null(c.flags.front);
        command_fini(&c);
    }
}

static void command_parse_fills_plain_flags(void **state)
{
    struct command c;

    (void)state;
    parse("http localhost:3000 --url https://a.example.com --url b.example.com --name one "
          "--name two words --description d --metadata {\"a\": 1} --scheme http,https --log stderr "
          "--log-format json",
          &c);
    assert_int_equal(c.url_count, 2);
    assert_true(str_eq(c.urls[0], STR("https://a.example.com")));
    assert_true(str_eq(c.urls[1], STR("b.example.com")));
    assert_string_equal(c.name, "two words");
    assert_string_equal(c.description, "d");
    assert_string_equal(c.metadata, "{\"a\": 1}");
    assert_true(c.schemes[SCHEME_HTTP] && c.schemes[SCHEME_HTTPS]);
    assert_int_equal(c.log, COMMAND_LOG_STDERR);
    assert_int_equal(c.log_format, LOG_JSON);
    assert_null(c.policy_url.p);
    assert_true(c.has_upstream);
    assert_string_equal(c.upstream.host, "localhost");
    assert_int_equal(c.upstream.port, 3000);
    assert_null(c.flags.front);
    assert_null(c.flags.back);
    command_fini(&c);
}

static void command_parse_defaults(void **state)
{
    struct command c;

    (void)state;
    parse("http", &c);
    assert_int_equal(c.url_count, 0);
    assert_false(c.schemes[SCHEME_HTTP] || c.schemes[SCHEME_HTTPS]);
    assert_null(c.name);
    assert_false(c.has_upstream);
    assert_int_equal(c.log, COMMAND_LOG_DEFAULT);
    assert_int_equal(c.log_format, LOG_TEXT);
    command_fini(&c);
}

static void command_parse_reads_schemes(void **state)
{
    static const struct {
        unsigned version;
        struct str line;
        bool http;
        bool https;
    } cases[] = {
        { 2, STR_INIT("http --scheme http"), true, false },
        { 2, STR_INIT("http --scheme=HTTPS"), false, true },
        { 2, STR_INIT("http --schemes https, http"), true, true },
        { 2, STR_INIT("http --scheme http --scheme https"), true, true },
        { 1, STR_INIT("http -bind-tls=true"), false, true },
        { 1, STR_INIT("http -bind-tls false"), true, false },
        { 1, STR_INIT("http -bind-tls=both"), true, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command c;

        assert_int_equal(
            command_parse(cases[i].line, cases[i].version, fake_host_engine(), &c, NULL), 0);
        assert_int_equal(c.schemes[SCHEME_HTTP], cases[i].http);
        assert_int_equal(c.schemes[SCHEME_HTTPS], cases[i].https);
        command_fini(&c);
    }
}

static void command_parse_reads_log(void **state)
{
    struct command c;

    (void)state;
    parse("http --log stdout --log-format term", &c);
    assert_int_equal(c.log, COMMAND_LOG_STDOUT);
    command_fini(&c);
    parse("http --log=false --log-format logfmt", &c);
    assert_int_equal(c.log, COMMAND_LOG_OFF);
    assert_int_equal(c.log_format, LOG_TEXT);
    command_fini(&c);
}

static void command_parse_reads_log_level(void **state)
{
    static const struct {
        const char *line;
        unsigned level;
    } cases[] = {
        { "http", LOG_DEBUG },
        { "http --log-level debug", LOG_DEBUG },
        { "http --log-level info", LOG_INFO },
        { "tcp --log-level=warn", LOG_WARN },
        { "tls --log-level error", LOG_ERROR },
        { "http --log-level crit", COMMAND_LOG_NOTHING },
        { "http --log-level crit --log-level info", LOG_INFO },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command c;

        parse(cases[i].line, &c);
        assert_int_equal(c.log_level, cases[i].level);
        command_fini(&c);
    }
}

static void command_parse_takes_the_url_of_a_policy(void **state)
{
    struct command c;

    (void)state;
    parse("tls --traffic-policy-url HTTPS://a.example/p.yml?x=1 --crt - --key -", &c);
    assert_true(str_eq(c.policy_url, STR("HTTPS://a.example/p.yml?x=1")));
    assert_int_equal(c.input, COMMAND_INPUT_CERTIFICATE); /* beside it */
    command_fini(&c);
}

static void command_parse_of_region_is_ignored_with_a_notice(void **state)
{
    struct command c;

    (void)state;
    parse("http --region eu --name x", &c);
    assert_string_equal(c.ignored->name, "region");
    assert_string_equal(c.name, "x");
    command_fini(&c);
    parse("http", &c);
    assert_null(c.ignored);
    command_fini(&c);
}

static void command_parse_bad_values_are_refused(void **state)
{
    static const struct {
        struct str line;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { STR_INIT("http --scheme tcp"), E_SCHEME, "--scheme: 'tcp' is not possible" },
        { STR_INIT("http --scheme http,"), E_FLAG_SYNTAX, "an entry of the list is empty" },
        { STR_INIT("http --log /tmp/x"), E_FLAG_UNSUPPORTED, "--log: '/tmp/x' would be a file" },
        { STR_INIT("http --log-format xml"), E_FLAG_SYNTAX, "--log-format: 'xml'" },
        { STR_INIT("http --name="), E_FLAG_SYNTAX, "--name: a name has 1 to 255" },
        { STR_INIT("http --name a\tb"), E_FLAG_SYNTAX, "--name: character 2" },
        { STR_INIT("http file:///var/log"), E_FLAG_UNSUPPORTED, "file:// is not supported" },
        { STR_INIT("http tls://localhost"), E_SCHEME, "upstream 'tls://localhost': " },
        { STR_INIT("http --upstream-protocol h2"), E_UPSTREAM_PROTOCOL,
          "--upstream-protocol: 'h2' is not possible" },
        { STR_INIT("http --app-protocol="), E_UPSTREAM_PROTOCOL, "--app-protocol: ''" },
        { STR_INIT("http --upstream-proxy-protocol 3"), E_PROXY_VERSION, "give 1 or 2" },
        { STR_INIT("http --proxy-proto v1"), E_PROXY_VERSION, "--proxy-proto: 'v1'" },
        { STR_INIT("http --upstream-tls-verify"), E_FLAG_UNSUPPORTED, "verifying needs" },
        { STR_INIT("http http://localhost --upstream-tls-verify"), E_FLAG_UNSUPPORTED,
          "verifying needs" },
        { STR_INIT("http --verify-upstream-tls"), E_FLAG_UNSUPPORTED, "verifying needs" },
        { STR_INIT("http localhost:80 --upstream-tls-verify-cas -"), E_FLAG_UNSUPPORTED,
          "verifying needs" },
        { STR_INIT("http https:// --upstream-tls-verify-cas ca.pem"), E_FLAG_UNSUPPORTED,
          "< ca.pem" },
        { STR_INIT("http https:// --upstream-ca-path ca_2abc"), E_FLAG_UNSUPPORTED,
          "stored certificates are not available" },
        { STR_INIT("http https:// --upstream-tls-verify-cas - --traffic-policy-file -"),
          E_FLAG_UNSUPPORTED, "one thing only" },
        { STR_INIT("http ftp://localhost"), E_SCHEME, "upstream 'ftp://localhost': " },
        { STR_INIT("http localhost:99999"), E_PORT_SCHEME, "upstream 'localhost:99999': " },
        { STR_INIT("http --basic-auth user"), E_FLAG_SYNTAX, "--basic-auth: no ':'" },
        { STR_INIT("http --basic-auth :password"), E_AUTH_USER_EMPTY, "--basic-auth: the user" },
        { STR_INIT("http --basic-auth user:abc"), E_AUTH_PASSWORD_LENGTH,
          "--basic-auth: the password of user 'user' has 3 characters, it must have 4 to 128" },
        { STR_INIT("http --basic-auth us\ter:password"), E_AUTH_USER_CHARACTER, "RFC 7617" },
        { STR_INIT("http --basic-auth user:pass\tword"), E_AUTH_PASSWORD_CHARACTER, "RFC 7617" },
        { STR_INIT("http --circuit-breaker half"), E_BREAKER_RATIO, "--circuit-breaker: 'half'" },
        { STR_INIT("http --circuit-breaker -0.1"), E_BREAKER_RATIO, "'-0.1'" },
        { STR_INIT("http --verify-webhook nobody --verify-webhook-secret x"),
          E_POLICY_WEBHOOK_PROVIDER, "--verify-webhook: " },
        { STR_INIT("http --verify-webhook github"), E_WEBHOOK_SECRET_MISSING,
          "--verify-webhook: " },
        { STR_INIT("http --verify-webhook-secret x"), E_FLAG_SYNTAX, "needs --verify-webhook" },
        { STR_INIT("http --traffic-policy a --traffic-policy-file -"), E_POLICY_TWICE,
          "only one policy" },
        { STR_INIT("http --policy-file policy.yml"), E_FLAG_UNSUPPORTED, "< policy.yml" },
        { STR_INIT("http --traffic-policy-url file:///etc/passwd"), E_FLAG_SYNTAX, "no http or" },
        { STR_INIT("http --traffic-policy-url policy.yml"), E_FLAG_SYNTAX, "'policy.yml' is no" },
        { STR_INIT("http --traffic-policy-url="), E_FLAG_SYNTAX, "'' is no http or https URL" },
        { STR_INIT("http --traffic-policy-url https://a.example --traffic-policy-file -"),
          E_POLICY_TWICE, "only one policy" },
        { STR_INIT("http --traffic-policy x --traffic-policy-url https://a.example"),
          E_POLICY_TWICE, "only one policy" },
        { STR_INIT("http --cidr-allow 10.0.0.0/33"), E_CIDR, "--cidr-allow: '10.0.0.0/33'" },
        { STR_INIT("http --cidr-allow 10.0.0.0/8,,::/0"), E_FLAG_SYNTAX, "--cidr-allow: an entry" },
        { STR_INIT("http --allow-cidr x"), E_CIDR, "'x' is not an IP address" },
        { STR_INIT("http --cidr-deny 10.0.0.0/8"), E_CIDR_DENY_ONLY, "--cidr-deny alone" },
        { STR_INIT("http --cidr-deny 10.0.0.0/x --cidr-allow ::/0"), E_CIDR, "'10.0.0.0/x'" },
        { STR_INIT("http --request-header-add x"), E_HEADER_ADD_REQUEST,
          "--request-header-add: expected 'name: value', not 'x'" },
        { STR_INIT("http --response-header-add : x"), E_HEADER_ADD_RESPONSE, "expected" },
        { STR_INIT("http --request-header-add a b: c"), E_HEADER_NAME_REQUEST, "'a b'" },
        { STR_INIT("http --response-header-add a b: c"), E_HEADER_NAME_RESPONSE, "'a b'" },
        { STR_INIT("http --request-header-add a: b\nc"), E_HEADER_VALUE, "control character" },
        { STR_INIT("http --request-header-add a: b --request-header-add a: c"), E_HEADER_TWICE,
          "header 'a' is given twice" },
        { STR_INIT("http --request-header-add a: b --request-header-add A: c"), E_HEADER_TWICE,
          "header 'A' is given twice" },
        { STR_INIT("http --request-header-add user-agent: x"), E_POLICY_INVALID, "(2219)" },
        { STR_INIT("http --request-header-remove user-agent"), E_POLICY_INVALID, "(2219)" },
        { STR_INIT("http --request-header-remove host"), E_HEADER_NEEDS_REPLACEMENT, "host" },
        { STR_INIT("http --request-header-remove a,b c"), E_HEADER_NAME_REQUEST, "'b c'" },
        { STR_INIT("http --response-header-remove a b"), E_HEADER_NAME_RESPONSE, "'a b'" },
        { STR_INIT("http --host-header rewrite"), E_FLAG_UNSUPPORTED,
          "--host-header: rewrite needs to know the upstream" },
        { STR_INIT("http --host-header a b"), E_HEADER_VALUE, "--host-header: the value" },
        { STR_INIT("http --host-header="), E_HEADER_VALUE, "--host-header: the value" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i].line, 2, cases[i].code, cases[i].needle);
}

static void command_parse_reads_how_to_talk_to_the_upstream(void **state)
{
    static const struct {
        struct str line;
        struct command expected;
    } cases[] = {
        { STR_INIT("http"), { .upstream_protocol = UPSTREAM_HTTP1 } },
        { STR_INIT("http HTTPS://Localhost"), { .upstream = { .https = true, .port = 443 } } },
        { STR_INIT("http localhost:443"), { .upstream = { .https = true, .port = 443 } } },
        { STR_INIT("http --upstream-protocol http2 --upstream-proxy-protocol 2"),
          { .upstream_protocol = UPSTREAM_HTTP2, .upstream_proxy_protocol = 2 } },
        { STR_INIT("http --app-protocol http1 --proxy-proto 1"), { .upstream_proxy_protocol = 1 } },
        { STR_INIT("http https://localhost:8443 --upstream-tls-verify"),
          { .upstream = { .https = true, .port = 8443 }, .upstream_tls_verify = true } },
        { STR_INIT("http https://localhost:8443 --verify-upstream-tls=false"),
          { .upstream = { .https = true, .port = 8443 } } },
        { STR_INIT("http https://localhost:8443 --upstream-ca-path -"),
          { .upstream = { .https = true, .port = 8443 },
            .upstream_tls_verify = true,
            .input = COMMAND_INPUT_UPSTREAM_CAS } },
        { STR_INIT("http --upstream-tls-verify=false"), { .upstream_tls_verify = false } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct command *x = &cases[i].expected;
        struct command c;
        struct err e;

        if (command_parse(cases[i].line, 2, fake_host_engine(), &c, &e) == -1)
            fail_msg("%.*s: %s", STR_ARG(cases[i].line), e.msg);
        assert_int_equal(c.upstream.https, x->upstream.https);
        assert_int_equal(c.upstream.port, x->upstream.port);
        assert_int_equal(c.upstream_protocol, x->upstream_protocol);
        assert_int_equal(c.upstream_proxy_protocol, x->upstream_proxy_protocol);
        assert_int_equal(c.upstream_tls_verify, x->upstream_tls_verify);
        assert_int_equal(c.input, x->input);
        command_fini(&c);
    }
}

/* "http", then `count` times `flag`, in which %d counts, then one value of `stretch` characters. */
static void make_line(struct buf *out, const char *head, size_t count, const char *flag,
                      int stretch)
{
    buf_init(out, COMMAND_LINE_MAX_BYTES);
    buf_add_fmt(out, "http %s", head);
    if (stretch > 0)
        buf_add_fmt(out, "%0*d", stretch, 0);
    for (size_t i = 0; i < count; i++)
        buf_add_fmt(out, " %s%zu", flag, i);
    assert_false(buf_failed(out));
}

static void command_parse_limits_hold(void **state)
{
    static const struct {
        const char *head;
        size_t count;
        const char *flag;
        int stretch;
        enum err_code code;
    } cases[] = {
        { "", COMMAND_URLS_MAX, "--url a", 0, E_OK },
        { "", COMMAND_URLS_MAX + 1, "--url a", 0, E_FLAG_SYNTAX },
        { "--name ", 0, "", 255, E_OK },
        { "--name ", 0, "", 256, E_FLAG_SYNTAX },
        { "--description ", 0, "", 255, E_OK },
        { "--description ", 0, "", 256, E_DESCRIPTION_LENGTH },
        { "--metadata ", 0, "", 4096, E_OK },
        { "--metadata ", 0, "", 4097, E_METADATA_LENGTH },
        { "", 10, "--basic-auth u:password", 0, E_OK },
        { "", 11, "--basic-auth u:password", 0, E_AUTH_TOO_MANY },
        { "--basic-auth u:", 0, "", 4, E_OK },
        { "--basic-auth u:", 0, "", 3, E_AUTH_PASSWORD_LENGTH },
        { "--basic-auth u:", 0, "", 128, E_OK },
        { "--basic-auth u:", 0, "", 129, E_AUTH_PASSWORD_LENGTH },
        { "", 11, "--request-header-remove x", 0, E_HEADER_TOO_MANY },
        { "", 11, "--response-header-remove x", 0, E_HEADER_TOO_MANY },
        { "--request-header-add x: ", 0, "", 8192, E_OK },
        { "--request-header-add x: ", 0, "", 8193, E_HEADER_VALUE_LENGTH },
        { "--request-header-remove ", 0, "", 256, E_OK },
        { "--request-header-remove ", 0, "", 257, E_HEADER_NAME_LENGTH },
        { "", 200, "--cidr-allow 10.0.0.", 0, E_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct command c;
        struct buf line;
        struct err e = { .code = E_OK };

        make_line(&line, cases[i].head, cases[i].count, cases[i].flag, cases[i].stretch);
        if (command_parse(buf_str(&line), 2, fake_host_engine(), &c, &e) == 0)
            command_fini(&c);
        if (e.code != cases[i].code)
            fail_msg("case %zu: %s", i, e.msg);
        buf_fini(&line);
    }
}

static void command_parse_added_headers_at_limit(void **state)
{
    struct command c;
    struct buf line;

    (void)state;
    buf_init(&line, COMMAND_LINE_MAX_BYTES);
    buf_add_str(&line, STR("http"));
    for (int i = 0; i < 10; i++)
        buf_add_fmt(&line, " --request-header-add a%d: b --response-header-add a%d: b", i, i);
    assert_int_equal(command_parse(buf_str(&line), 2, fake_host_engine(), &c, NULL), 0);
    command_fini(&c);
    buf_add_str(&line, STR(" --response-header-add z: b"));
    expect_refused(buf_str(&line), 2, E_HEADER_TOO_MANY, "--response-header-add: 11 headers");
    buf_fini(&line);
}

static void command_policy_guards_in_order(void **state)
{
    struct counted *policy;
    struct command c;
    struct fake_host h;

    (void)state;
    parse("http --basic-auth user:pass --cidr-allow 192.0.2.0/24,::/0 --deny-cidr 192.0.2.66", &c);
    policy = flag_policy_of(&c);
    fake_host_init(&h, "192.0.2.66");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_IP_RESTRICTED);
    fake_host_fini(&h);
    fake_host_init(&h, "192.0.2.1");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_RESPOND);
    assert_int_equal(h.response->error, E_CREDENTIALS);
    assert_string_equal(fake_host_answer(&h, "www-authenticate"),
                        "Basic realm=\"sallyport\", charset=\"UTF-8\"");
    fake_host_fini(&h);
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "authorization", "Basic dXNlcjpwYXNz");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    fake_host_fini(&h);
    counted_unref(policy);
    command_fini(&c);
}

static void command_policy_filters_user_agents(void **state)
{
    static const struct {
        const char *line;
        const char *agent;
        enum policy_verdict verdict;
    } cases[] = {
        /* Row Q07. */
        { "http --ua-filter-allow=(foo/(\\d)+.(\\d)+),(bar/(\\d)+.(\\d)+)", "bar/1.2",
          POLICY_CONTINUE },
        { "http --ua-filter-allow=(foo/(\\d)+.(\\d)+),(bar/(\\d)+.(\\d)+)", "baz/1.2",
          POLICY_RESPOND },
        { "http --ua-filter-deny curl --ua-filter-deny wget", "wget/1", POLICY_RESPOND },
        { "http --ua-filter-deny curl --ua-filter-allow curl/8", "curl/8.1", POLICY_CONTINUE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct counted *policy;
        struct command c;
        struct fake_host h;

        parse(cases[i].line, &c);
        policy = flag_policy_of(&c);
        fake_host_init(&h, "192.0.2.1");
        fake_host_add(&h, "user-agent", cases[i].agent);
        assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), cases[i].verdict);
        if (cases[i].verdict == POLICY_RESPOND)
            assert_int_equal(h.response->error, E_USER_AGENT);
        fake_host_fini(&h);
        counted_unref(policy);
        command_fini(&c);
    }
}

static void command_policy_takes_a_password_as_it_is(void **state)
{
    struct counted *policy;
    struct command c;
    struct fake_host h;

    (void)state;
    parse("http --basic-auth user:${x}$$", &c);
    policy = flag_policy_of(&c);
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "authorization", "Basic dXNlcjoke3h9JCQ="); /* user:${x}$$ */
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    fake_host_fini(&h);
    counted_unref(policy);
    command_fini(&c);
}

static void command_policy_changes_headers(void **state)
{
    struct counted *policy;
    struct command c;
    struct fake_host h;

    (void)state;
    parse("http --request-header-add X-A: 1:2 --request-header-remove x-a,x-b "
          "--request-header-remove x-c --response-header-remove server "
          "--response-header-add server: me",
          &c);
    policy = flag_policy_of(&c);
    fake_host_init(&h, "192.0.2.1");
    fake_host_add(&h, "x-a", "old");
    fake_host_add(&h, "x-b", "old");
    fake_host_add(&h, "x-c", "old");
    fake_host_add(&h, "server", "old");
    fake_host_add_response(&h, "server", "old");
    assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
    assert_string_equal(fake_host_values(&h, "x-a"), "1:2");
    assert_null(fake_host_values(&h, "x-b"));
    assert_null(fake_host_values(&h, "x-c"));
    assert_string_equal(fake_host_values(&h, "server"), "old");
    assert_int_equal(fake_host_next(&h, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&h, "server"), "me");
    fake_host_fini(&h);
    counted_unref(policy);
    command_fini(&c);
}

static void command_policy_sets_the_host(void **state)
{
    static const struct {
        const char *line;
        const char *host;
    } cases[] = {
        { "http --host-header app.local", "app.local" },
        { "http --host-header preserve --request-header-add x: y", "public" },
        { "http http://localhost --host-header rewrite", "localhost" },
        { "http localhost:8080 --host-header rewrite", "localhost:8080" },
        { "http --host-header rewrite http://127.0.0.1:3000", NULL },
        { "http http://[::1]:3000 --host-header rewrite", "[::1]:3000" },
        { "http --host-header a --host-header b", "b" },
        { "http --request-header-add host: a --host-header b", "b" },
        { "http --request-header-add host: a --request-header-remove Host", "a" },
        { "http --request-header-remove host,x --host-header b", "b" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct counted *policy;
        struct command c;
        struct fake_host h;

        if (cases[i].host == NULL) {
            assert_int_equal(
                command_parse(str_from(cases[i].line), 2, fake_host_engine(), &c, NULL), -1);
            continue;
        }
        parse(cases[i].line, &c);
        if (c.flags.back == NULL) {
            command_fini(&c); /* preserve alone asks for nothing */
            continue;
        }
        policy = flag_policy_of(&c);
        fake_host_init(&h, "192.0.2.1");
        fake_host_add(&h, "host", "public");
        assert_int_equal(fake_host_run(&h, policy, POLICY_ON_HTTP_REQUEST), POLICY_CONTINUE);
        assert_string_equal(fake_host_values(&h, "host"), cases[i].host);
        fake_host_fini(&h);
        counted_unref(policy);
        command_fini(&c);
    }
}

static void flags_of_the_specification_are_all_known(void **state)
{
    static const char *const names[] = {
        "url",
        "binding",
        "name",
        "description",
        "metadata",
        "pooling-enabled",
        "traffic-policy-url",
        "traffic-policy-file",
        "policy-file",
        "basic-auth",
        "oauth",
        "oauth-allow-email",
        "oauth-allow-domain",
        "oauth-client-id",
        "oauth-client-secret",
        "oauth-scope",
        "oidc",
        "oidc-client-id",
        "oidc-client-secret",
        "oidc-scope",
        "cidr-allow",
        "cidr-deny",
        "ua-filter-allow",
        "ua-filter-deny",
        "verify-webhook",
        "verify-webhook-secret",
        "circuit-breaker",
        "compression",
        "websocket-tcp-converter",
        "request-header-add",
        "request-header-remove",
        "response-header-add",
        "response-header-remove",
        "host-header",
        "mutual-tls-cas",
        "terminate-at",
        "crt",
        "key",
        "upstream-protocol",
        "app-protocol",
        "upstream-proxy-protocol",
        "proxy-proto",
        "upstream-tls-verify",
        "upstream-tls-verify-cas",
        "verify-upstream-tls",
        "upstream-ca-path",
        "scheme",
        "schemes",
        "domain",
        "hostname",
        "subdomain",
        "remote-addr",
        "inspect",
        "region",
        "authtoken",
        "config",
        "log",
        "log-format",
        "log-level",
        "help",
        "h",
        "label",
        "allow-cidr",
        "deny-cidr",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct flag *f = flag_find(str_from(names[i]), 2);

        if (f == NULL)
            print_message("--%s is not known\n", names[i]);
        assert_non_null(f);
        if (f != NULL && f->status > FLAG_IGNORED) {
            struct buf line;

            buf_init(&line, 256);
            buf_add_fmt(&line, "http --%s%s", names[i], f->shape == FLAG_SWITCH ? "" : " x");
            expect_refused(buf_str(&line), 2, E_FLAG_UNSUPPORTED, "is not available");
            buf_fini(&line);
        }
    }
    assert_null(flag_find(STR("auth"), 2));
    assert_non_null(flag_find(STR("auth"), 1));
    assert_non_null(flag_find(STR("bind-tls"), 1));
}

static void command_help_lists_what_works(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 16 * 1024);
    command_help(COMMAND_HTTP, &out);
    assert_true(str_find(buf_str(&out), STR("  --basic-auth USER:PASSWORD ")) < out.len);
    assert_true(str_find(buf_str(&out), STR("--help")) < out.len);
    assert_int_equal(str_find(buf_str(&out), STR("--oauth")), out.len);
    assert_int_equal(str_find(buf_str(&out), STR("--allow-cidr")), out.len);
    assert_true(str_ends(buf_str(&out), STR("\n")));
    buf_clear(&out);
    command_help(COMMAND_HELP, &out);
    assert_true(str_find(buf_str(&out), STR("version")) < out.len);
    buf_clear(&out);
    command_usage(&out);
    assert_true(str_find(buf_str(&out), STR("ssh -R 443:localhost:8080 v2@GATEWAY http\n")) <
                out.len);
    assert_false(buf_failed(&out));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_scan_follows_the_rows_of_the_specification),
        cmocka_unit_test(command_scan_finds_boundaries),
        cmocka_unit_test(command_scan_flags_at_limit),
        cmocka_unit_test(command_syntax_version_reads_user_names),
        cmocka_unit_test(command_parse_refuses_with_the_code_of_the_row),
        cmocka_unit_test(command_parse_line_at_limit),
        cmocka_unit_test(command_parse_knows_help_and_version),
        cmocka_unit_test(command_parse_fills_plain_flags),
        cmocka_unit_test(command_parse_defaults),
        cmocka_unit_test(command_parse_reads_schemes),
        cmocka_unit_test(command_parse_reads_log),
        cmocka_unit_test(command_parse_reads_log_level),
        cmocka_unit_test(command_parse_takes_the_url_of_a_policy),
        cmocka_unit_test(command_parse_of_region_is_ignored_with_a_notice),
        cmocka_unit_test(command_parse_bad_values_are_refused),
        cmocka_unit_test(command_parse_reads_how_to_talk_to_the_upstream),
        cmocka_unit_test(command_parse_limits_hold),
        cmocka_unit_test(command_parse_added_headers_at_limit),
        cmocka_unit_test(command_policy_guards_in_order),
        cmocka_unit_test(command_policy_filters_user_agents),
        cmocka_unit_test(command_policy_takes_a_password_as_it_is),
        cmocka_unit_test(command_policy_changes_headers),
        cmocka_unit_test(command_policy_sets_the_host),
        cmocka_unit_test(flags_of_the_specification_are_all_known),
        cmocka_unit_test(command_help_lists_what_works),
    };

    return cmocka_run_group_tests_name("sshd/command", tests, NULL, NULL);
}
