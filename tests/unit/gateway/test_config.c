/*
 * Unit tests of gateway/config: every key, every kind of mistake, and limits at N and N + 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/fetch_rules.h"
#include "tunnel/domains.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What a file must have; the mistakes below are appended to it. */
#define MINIMAL                                                                                    \
    "state_dir = \"/s\";\n"                                                                        \
    "domain = \"example.com\";\n"                                                                  \
    "listen = { ssh = [\"127.0.0.1:22\"]; http = [\"127.0.0.1:80\"]; };\n"

enum { PROBLEMS_MAX_BYTES = 64 * 1024 };

/* Parses text that must be refused, and returns the problems; free with mem_free(). */
static char *refuse(const char *text)
{
    struct buf problems;
    struct config *c;
    char *out;

    buf_init(&problems, PROBLEMS_MAX_BYTES);
    c = config_parse("f", text, &problems);
    if (c != NULL)
        fail_msg("accepted: %s", text);
    out = str_dup(buf_str(&problems));
    buf_fini(&problems);
    return out;
}

/* Parses text that must be accepted. */
static struct config *accept(const char *text)
{
    struct buf problems;
    struct config *c;

    buf_init(&problems, PROBLEMS_MAX_BYTES);
    c = config_parse("f", text, &problems);
    if (c == NULL)
        fail_msg("refused: %.*s", STR_ARG(buf_str(&problems)));
    assert_int_equal(problems.len, 0);
    buf_fini(&problems);
    return c;
}

static void config_parse_minimal_file_has_defaults(void **state)
{
    struct config *c = accept(MINIMAL);

    (void)state;
    assert_string_equal(c->file, "f");
    assert_string_equal(c->state_dir, "/s");
    assert_string_equal(c->domain, "example.com");
    assert_true(c->auto_reserve);
    assert_false(c->allow_no_command);
    assert_false(c->ngrok_error_header);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_TEXT);
    assert_int_equal(c->ssh.count, 1);
    assert_int_equal(c->ssh.addrs[0].port, 22);
    assert_int_equal(c->http.count, 1);
    assert_int_equal(c->https.count, 0);
    assert_string_equal(c->server_region, "local");
    assert_int_equal(c->expression_errors, POLICY_EXPRESSION_FAILS);
    assert_null(c->vaults);
    assert_null(c->ip_categories);
    assert_int_equal(c->ip_policy_count, 0);
    assert_int_equal(c->geo_databases.count, 0);
    assert_int_equal(c->policy_count, 0);
    assert_int_equal(fetch_rules_reach(c->fetch_rules, STR("example.com")), FETCH_NOWHERE);
#define LIMIT(name, unit, min, max, preset, text) assert_int_equal(c->name, (preset));
#include "gateway/config.def"
#undef LIMIT
    config_unref(c);
}

static void config_parse_every_key_is_read(void **state)
{
    struct config *c = accept(
        "state_dir = \"/s\"; domain = \"Example.COM\"; extra_suffixes = [\"lan\", \"test\"];\n"
        "auto_reserve = false;\n"
        "domains = ( { name = \"app.example.com\"; account = \"alice\"; },\n"
        "            { name = \"*.bob.example.com\"; account = \"bob\"; } );\n"
        "listen = { ssh = [\"0.0.0.0:22\", \"[::]:22\"]; http = (\"0.0.0.0:80\");\n"
        "           https = [\"[::]:443\"]; admin = [\"127.0.0.1:0\", \"127.0.0.1:0\"]; };\n"
        "authorized_keys = [\"/a\", \"/b\"];\n"
        "workers = 4;\n"
        "tls = { certificates = (\n"
        "    { cert = \"/c1\"; key = \"/k1\"; } ); };\n"
        "log = { level = \"debug\"; format = \"json\"; };\n"
        "allow_no_command = true; compat = { ngrok_error_header = true; };\n"
        "api = { url = \"https://api.example.com:8443\"; origins = [ \"https://a\", \"https://b\" "
        "]; };\n"
        "limits = { hold_ms = 7L; rekey_bytes = 1099511627776; };\n");
    struct domains *domains;

    (void)state;
    assert_string_equal(c->domain, "example.com");
    assert_int_equal(c->extra_suffixes.count, 2);
    assert_string_equal(c->extra_suffixes.items[1], "test");
    assert_false(c->auto_reserve);
    assert_int_equal(c->domain_count, 2);
    assert_string_equal(c->domains[1].account, "bob");
    assert_string_equal(c->domains[1].where, "f:4");
    assert_int_equal(c->ssh.count, 2);
    assert_int_equal(c->ssh.addrs[1].family, 6);
    assert_int_equal(c->https.addrs[0].port, 443);
    assert_int_equal(c->admin.count, 2);
    assert_string_equal(c->authorized_keys.items[0], "/a");
    assert_int_equal(c->workers, 4);
    assert_int_equal(c->certificate_count, 1);
    assert_string_equal(c->certificates[0].cert, "/c1");
    assert_string_equal(c->certificates[0].key, "/k1");
    assert_string_equal(c->certificates[0].where, "f:10");
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_true(c->allow_no_command);
    assert_true(c->ngrok_error_header);
    assert_string_equal(c->api_url, "https://api.example.com:8443");
    assert_int_equal(c->api_origins.count, 2);
    assert_int_equal(c->hold_ms, 7);
    assert_true(c->rekey_bytes == UINT64_C(1099511627776));
    domains = config_domains_new(c);
    assert_non_null(domains);
    domains_free(domains);
    config_unref(c);
}

/* ---- traffic policies ---- */

static const char document_path[] = "/tmp/test_config_policy.yml";

static void write_document(size_t bytes)
{
    FILE *f = fopen(document_path, "w");

    assert_non_null(f);
    for (size_t i = 0; i < bytes; i++)
        (void)fputc('#', f);
    assert_int_equal(fclose(f), 0);
}

static void config_parse_keys_of_policies_are_read(void **state)
{
    struct policy_limits limits;
    struct config *c;

    (void)state;
    write_document(3);
    c = accept(MINIMAL "server_region = \"eu\"; expression_errors = \"no-match\";\n"
                       "http_request = { allow = [\"*.example.org\", \"10.0.0.0/8\"]; };\n"
                       "vaults = \"/v\"; ip_categories = \"/i\";\n"
                       "geo = { databases = [\"/city\", \"/asn\"]; };\n"
                       "ip_policies = ( { name = \"office\"; allow = [\"192.0.2.7/24\"];\n"
                       "                  deny = [\"192.0.2.9\", \"::1\"]; },\n"
                       "                { name = \"ipp_2\"; deny = [\"::/0\"]; } );\n"
                       "policies = ( { file = \"/tmp/test_config_policy.yml\"; },\n"
                       "             { account = \"alice\"; domain = \"*.App.example.com\";\n"
                       "               file = \"/tmp/test_config_policy.yml\"; } );\n"
                       "limits = { policy_rules_max = 7; policy_body_max_bytes = 2048; };\n");
    assert_string_equal(c->server_region, "eu");
    assert_int_equal(c->expression_errors, POLICY_EXPRESSION_NO_MATCH);
    assert_int_equal(fetch_rules_reach(c->fetch_rules, STR("a.example.org")), FETCH_PUBLIC);
    assert_int_equal(fetch_rules_reach(c->fetch_rules, STR("a.example.com")), FETCH_BLOCKS);
    assert_string_equal(c->vaults, "/v");
    assert_string_equal(c->ip_categories, "/i");
    assert_int_equal(c->geo_databases.count, 2);
    assert_string_equal(c->geo_databases.items[1], "/asn");
    assert_int_equal(c->ip_policy_count, 2);
    assert_string_equal(c->ip_policies[0].name, "office");
    assert_int_equal(c->ip_policies[0].allow.count, 1);
    assert_int_equal(c->ip_policies[0].allow.items[0].bits, 24);
    assert_int_equal(c->ip_policies[0].deny.count, 2);
    assert_int_equal(c->ip_policies[1].allow.count, 0);
    assert_int_equal(c->policy_count, 2);
    assert_null(c->policies[0].account);
    assert_null(c->policies[0].domain);
    assert_string_equal(c->policies[0].text, "###");
    assert_string_equal(c->policies[1].account, "alice");
    assert_string_equal(c->policies[1].domain, "*.app.example.com");
    assert_string_equal(c->policies[1].where, "f:12");
    limits = config_policy_limits(c);
    assert_int_equal(limits.policy_rules_max, 7);
    assert_int_equal(limits.policy_body_max_bytes, 2048);
    assert_int_equal(limits.policy_actions_max, c->policy_actions_max);
    config_unref(c);
    (void)unlink(document_path);
}

static void config_parse_keys_of_events_become_a_plan(void **state)
{
    struct config *c;
    const struct event_plan *p;

    (void)state;
    c = accept(
        MINIMAL
        "events = { destinations = (\n"
        "  { name = \"d\"; type = \"file\"; path = \"/x\"; queue_max = 5; },\n"
        "  { name = \"h\"; type = \"http\"; url = \"http://127.0.0.1/\";\n"
        "    headers = [ \"A:  b c \" ]; timeout_ms = 500; batch_max = 7; } );\n"
        "  subscriptions = ( { destinations = [ \"d\", \"h\" ]; types = [ \"domain_*\" ]; },\n"
        "    { destinations = [ \"h\" ]; types = [ \"tcp_connection_closed.v0\" ];\n"
        "      filter = \"ev.conn.bytes_in > 5\"; fields = [ \"conn.bytes_in\" ]; } );\n"
        "  normalize_headers = false; };\n");
    p = c->events;
    assert_int_equal(c->event_headers, EVENT_HEADER_AS_SENT);
    assert_int_equal(p->destination_count, 2);
    assert_int_equal(p->destinations[0].target, EVENT_TARGET_FILE);
    assert_int_equal(p->destinations[0].queue_max, 5);
    assert_int_equal(p->destinations[0].batch_max, 100);
    assert_true(str_eq(p->destinations[1].headers[0].value, STR("b c")));
    assert_int_equal(p->destinations[1].timeout_ms, 500);
    assert_false(p->destinations[1].public_only);
    assert_int_equal(p->subscription_count, 2);
    assert_int_equal(p->subscriptions[0].source_count, 3);
    assert_int_equal(p->subscriptions[0].destination_count, 2);
    assert_true(str_eq(p->subscriptions[1].sources[0].filter, STR("ev.conn.bytes_in > 5")));
    config_unref(c);
    c = accept(MINIMAL);
    assert_int_equal(c->events->destination_count, 0);
    assert_int_equal(c->event_headers, EVENT_HEADER_NORMAL);
    config_unref(c);
}

#define FILE_D "destinations = ( { name = \"d\"; type = \"file\"; path = \"/x\"; } );"
#define SUBSCRIPTION(rest)                                                                         \
    "events = { " FILE_D " subscriptions = ( { destinations = [ \"d\" ]; " rest " } ); };"

static void config_parse_mistake_in_events_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        { "events = { destinations = ( { name = \"d\"; } ); };",
          "f:4: events.destinations.type is missing; add: " },
        { "events = { destinations = ( { name = \"d\"; type = \"syslog\"; } ); };",
          "it must be one of \"file\", \"http\"" },
        { "events = { destinations = ( { name = \"d\"; type = \"file\"; } ); };",
          "f:4: events: the path is missing; add: " },
        { "events = { destinations = ( { name = \"d\"; type = \"file\"; path = \"x\"; } ); };",
          "the path of the file is not absolute" },
        { "events = { destinations = ( { name = \"d\"; type = \"http\"; } ); };",
          "the url is missing; add: " },
        { "events = { destinations = ( { name = \"d\"; type = \"http\"; url = \"x\"; } ); };",
          "the URL is not one of http or https" },
        { "events = { destinations = ( { name = \"d\"; type = \"http\"; url = \"http://x\";"
          " headers = [ \"X\" ]; } ); };",
          "a header is not \"Name: value\"" },
        { "events = { destinations = ( { name = \"d\"; type = \"file\"; path = \"/x\";"
          " url = \"http://x\"; } ); };",
          "a destination of type \"file\" has no url and no headers" },
        { "events = { destinations = ( { name = \"d\"; type = \"file\"; path = \"/x\"; },\n"
          " { name = \"e\"; type = \"file\"; path = \"/x\"; } ); };",
          "f:5: events: two destinations have the same path" },
        { "events = { destinations = ( { name = \"d\"; type = \"file\"; path = \"/x\"; },\n"
          " { name = \"d\"; type = \"file\"; path = \"/y\"; } ); };",
          "f:5: events: the destination \"d\" is given twice" },
        { SUBSCRIPTION("types = [ \"http_request\" ];"),
          "f:4: events: there is no event type \"http_request\"; did you mean" },
        { SUBSCRIPTION("types = [ \"nothing*\" ];"), "no event type begins as one of types says" },
        { SUBSCRIPTION("types = [ ];"), "types is empty" },
        { SUBSCRIPTION("types = [ \"*\", \"domain_*\" ];"), "given more than once" },
        { SUBSCRIPTION("types = [ \"*\" ]; filter = \"true\";"), "cannot be filtered" },
        { SUBSCRIPTION("types = [ \"http*\" ]; filter = \"ev.nothing\";"),
          "the filter is wrong at byte " },
        { SUBSCRIPTION("types = [ \"http*\" ]; fields = [ \"x\" ];"), "has no field \"x\"" },
        { "events = { " FILE_D " subscriptions = ( { destinations = [ \"e\" ];"
          " types = [ \"*\" ]; } ); };",
          "there is no destination \"e\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1024];
        char *problems;

        (void)snprintf(text, sizeof(text), "%s%s\n", MINIMAL, cases[i].text);
        problems = refuse(text);
        if (strstr(problems, cases[i].problem) == NULL)
            fail_msg("%s\n%s", cases[i].text, problems);
        mem_free(problems);
    }
}

/* The limit of a document's size holds wherever it stands. */
static void config_parse_document_at_the_limit_and_one_more(void **state)
{
    static const char text[] =
        MINIMAL "policies = ( { file = \"/tmp/test_config_policy.yml\"; } );\n"
                "limits = { policy_document_max_bytes = 1024; };\n";
    char *problems;

    (void)state;
    write_document(1024);
    config_unref(accept(text));
    write_document(1025);
    problems = refuse(text);
    assert_non_null(
        strstr(problems, "f:4: policies: /tmp/test_config_policy.yml: it has more than"));
    mem_free(problems);
    (void)unlink(document_path);
}

static void config_parse_mistake_is_refused_with_its_line(void **state)
{
    /* Each is appended to MINIMAL, so its first line is line 4. */
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        { "workerz = 1;", "f:4: workerz is not a key; did you mean workers?" },
        { "\nquite_unknown_thing = 1;", "f:5: quite_unknown_thing is not a key; remove it" },
        { "workers = \"four\";", "f:4: workers must be a whole number of threads" },
        { "workers = 1.5;", "f:4: workers must be a whole number" },
        { "workers = -1;", "f:4: workers is -1; it must be from 0 to 256" },
        { "workers = 257;", "f:4: workers is 257; it must be from 0 to 256" },
        { "auto_reserve = 1;", "f:4: auto_reserve must be true or false" },
        { "authorized_keys = \"/a\";", "f:4: authorized_keys must be a list of strings; write: " },
        { "authorized_keys = [1];", "f:4: authorized_keys must be a list of strings" },
        { "authorized_keys = [\"\"];", "f:4: authorized_keys is empty" },
        { "log = { level = \"loud\"; };",
          "f:4: log.level is \"loud\"; it must be one of \"debug\"" },
        { "log = { format = \"xml\"; };",
          "f:4: log.format is \"xml\"; it must be one of \"text\"" },
        { "log = \"info\";", "f:4: log must be a group; write: log = {" },
        { "log = {\n colour = true; };", "f:5: log.colour is not a key" },
        { "api = { public = true; };",
          "f:4: api.public needs the name that it is served at; add: url = "
          "\"https://api.example.com\";" },
        { "api = { url = \"api.example.com\"; };",
          "f:4: api.url: \"api.example.com\" is not scheme, host and port alone; write: url = "
          "\"https://api.example.com\";" },
        { "api = { url = \"https://api.example.com/\"; };",
          "f:4: api.url: \"https://api.example.com/\" is not scheme, host and port alone; write: "
          "url = "
          "\"https://api.example.com\";" },
        { "compat = { ngrok_error_header = \"yes\"; };",
          "f:4: compat.ngrok_error_header must be true or false" },
        { "limits = { hold_ms = 86400001; };",
          "f:4: limits.hold_ms is 86400001; it must be from 0 to 86400000 ms" },
        { "limits = { max_forwards = 0; };",
          "f:4: limits.max_forwards is 0; it must be from 1 to 10000 forwards" },
        /* libconfig alone would read these as 1 and 0. */
        { "limits = { hold_ms = 4294967297; };", "f:4: limits.hold_ms is 4294967297; it must be" },
        { "workers = 0x100000000;", "f:4: workers is 4294967296; it must be from 0 to 256" },
        { "workers = 99999999999999999999;", "f:4: workers is 9223372036854775807; it must be" },
        { "@include \"other.cfg\"", "f:4: @include is not supported" },
        { "limits = { hold_ms = \"1s\"; };", "f:4: limits.hold_ms must be a whole number of ms" },
        { "limits = { hold = 1; };",
          "f:4: limits.hold is not a key; did you mean limits.hold_ms?" },
        { "limits = { hold_ms = 1; hold_ms = 2; };", "f:4: duplicate setting name" },
        { "extra_suffixes = [\"*.lan\"];", "f:4: extra_suffixes is a name without '*'" },
        { "extra_suffixes = [\"la..n\"];", "f:4: extra_suffixes: " },
        { "domains = ( { name = \"a.example.com\"; } );",
          "f:4: domains.account is missing; add: " },
        { "domains = ( { name = \"a..b\"; account = \"x\"; } );", "f:4: domains: " },
        { "domains = ( { name = \"a.example.com\"; account = \"x\"; },\n"
          "            { name = \"a.example.com\"; account = \"y\"; } );",
          "f:5: domains: " },
        { "domains = ( 1 );", "f:4: domains must be a list of groups" },
        { "tls = { certificates = ( { cert = \"/c\"; } ); };",
          "f:4: tls.certificates.key is missing; add: " },
        { "tls = { certificates = ( { cert = \"/c\"; key = 1; } ); };",
          "f:4: tls.certificates.key must be a string" },
        { "tls = { certificates = { }; };", "f:4: tls.certificates must be a list of groups" },
        { "expression_errors = \"maybe\";",
          "f:4: expression_errors is \"maybe\"; it must be one of \"error\", \"no-match\"" },
        { "server_region = \"\";", "f:4: server_region is empty" },
        { "http_request = { allow = [\"10.0.0.0/33\"]; };", "f:4: http_request.allow: " },
        { "http_request = { allow = [\"a..b\"]; };", "f:4: http_request.allow: " },
        { "http_request = { allow = \"a.example\"; };",
          "f:4: http_request.allow must be a list of host names and CIDR blocks" },
        { "http_request = { deny = []; };", "f:4: http_request.deny is not a key" },
        { "vaults = [\"/v\"];", "f:4: vaults must be a string" },
        { "geo = [\"/city\"];", "f:4: geo must be a group" },
        { "geo = { databases = \"/city\"; };", "f:4: geo.databases must be a list of strings" },
        { "ip_policies = ( { allow = [\"::/0\"]; } );", "f:4: ip_policies.name is missing; add: " },
        { "ip_policies = ( { name = \"a\"; } );", "f:4: ip_policies: \"a\" is empty; add: " },
        { "ip_policies = ( { name = \"a\"; allow = [\"1.2.3\"]; } );", "f:4: ip_policies.allow: " },
        { "ip_policies = ( { name = \"a\"; allow = [\"::/0\"]; },\n"
          "                { name = \"a\"; deny = [\"::/0\"]; } );",
          "f:5: ip_policies: \"a\" is given twice" },
        { "policies = ( { account = \"a\"; } );", "f:4: policies.file is missing; add: " },
        { "policies = ( { domain = \"a..b\"; file = \"/x\"; } );", "f:4: policies.domain: " },
        { "policies = ( { file = \"/nonexistent/p.yml\"; } );",
          "f:4: policies: /nonexistent/p.yml: cannot open it" },
        { "limits = { policy_rules_max = 0; };",
          "f:4: limits.policy_rules_max is 0; it must be from 1 to 100000 rules" },
        { "domain = \"again.example\";", "f:4: duplicate setting name" },
        { "x = ;", "f:4: syntax error" },
        { "limits = {", "f:5: syntax error" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1024];
        char *problems;

        (void)snprintf(text, sizeof(text), "%s%s\n", MINIMAL, cases[i].text);
        problems = refuse(text);
        if (strncmp(problems, cases[i].problem, strlen(cases[i].problem)) != 0)
            fail_msg("%s\n  gave:     %s  expected: %s", cases[i].text, problems, cases[i].problem);
        mem_free(problems);
    }
}

static void config_parse_tcp_is_read(void **state)
{
    struct config *none = accept(MINIMAL);
    struct config *c = accept(MINIMAL "tcp = { ports = \"30000-39999\"; };");

    (void)state;
    assert_string_equal(none->tcp.host, "example.com");
    assert_int_equal(none->tcp.ports.first, 0);
    assert_int_equal(c->tcp.ports.first, 30000);
    assert_int_equal(c->tcp.ports.last, 39999);
    assert_int_equal(c->tcp.fixed_ports.first, 0);
    assert_int_equal(c->tcp.listen.count, 1);
    assert_int_equal(c->tcp.listen.addrs[0].family, 4);
    config_unref(none);
    config_unref(c);
    c = accept(MINIMAL "tcp = { host = \"TCP.example.com\"; fixed_ports = \"1 - 65535\";\n"
                       "listen = [\"127.0.0.1\", \"::1\"]; };");
    assert_string_equal(c->tcp.host, "tcp.example.com");
    assert_int_equal(c->tcp.fixed_ports.first, 1);
    assert_int_equal(c->tcp.fixed_ports.last, 65535);
    assert_int_equal(c->tcp.listen.count, 2);
    assert_int_equal(c->tcp.listen.addrs[1].family, 6);
    config_unref(c);
}

static void config_parse_wrong_tcp_is_refused(void **state)
{
    static const char *const ranges[] = {
        "30000", "0-1", "2-1", "1-65536", "a-b", "-", "1-", "-1", "1-2-3",
    };
    static const struct {
        const char *tcp;
        const char *problem;
    } cases[] = {
        { "{ }", "f:4: tcp has neither ports nor fixed_ports; add: " },
        { "{ ports = \"1-9\"; fixed_ports = \"9-10\"; }", "f:4: tcp.ports and tcp.fixed_ports " },
        { "{ ports = \"1-9\"; listen = []; }", "f:4: tcp.listen is empty; write: " },
        { "{ ports = \"1-9\"; listen = [\"1.2.3.4:80\"]; }", "f:4: tcp.listen: " },
        { "{ ports = 30000; }", "f:4: tcp.ports " },
        { "{ ports = \"1-9\"; host = \"a b\"; }", "f:4: tcp.host" },
    };
    char text[1024];
    char *problems;

    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        (void)snprintf(text, sizeof(text), MINIMAL "tcp = { ports = \"%s\"; };", ranges[i]);
        problems = refuse(text);
        if (strstr(problems, "f:4: tcp.ports: ") != problems)
            fail_msg("%s: %s", ranges[i], problems);
        mem_free(problems);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(text, sizeof(text), MINIMAL "tcp = %s;", cases[i].tcp);
        problems = refuse(text);
        if (strstr(problems, cases[i].problem) != problems)
            fail_msg("%s: %s", cases[i].tcp, problems);
        mem_free(problems);
    }
}

static void config_parse_wrong_listener_is_refused(void **state)
{
    static const struct {
        const char *listen;
        const char *problem;
    } cases[] = {
        { "{ ssh = [\"1.2.3.4\"]; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh: " },
        { "{ ssh = [\"example.com:22\"]; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh: " },
        { "{ ssh = [\"1.2.3.4:65536\"]; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh: " },
        { "{ ssh = [\"::1:22\"]; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh: " },
        { "{ ssh = \"1.2.3.4:22\"; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh must be a list" },
        { "{ ssh = [22]; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh must be a list" },
        { "{ ssh = [\"1.2.3.4:22\"]; http = [\"1.2.3.4:22\"]; }",
          "f:3: listen.http: 1.2.3.4:22 is listened on twice" },
        { "{ ssh = [\"1.2.3.4:22\", \"[::ffff:1.2.3.4]:22\"]; http = [\"1.2.3.4:80\"]; }",
          "f:3: listen.ssh: [::ffff:1.2.3.4]:22 is listened on twice" },
        { "{ http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh is missing; add: " },
        { "{ ssh = []; http = [\"1.2.3.4:80\"]; }", "f:3: listen.ssh is empty; write: " },
        { "{ ssh = [\"1.2.3.4:22\"]; }", "f:3: listen has neither http nor https; add: " },
        { "{ ssh = [\"1.2.3.4:22\"]; https = []; }",
          "f:3: listen.http and listen.https are empty" },
        { "{ ssh = [\"1.2.3.4:22\"]; http = [\"1.2.3.4:80\"]; htps = [\"1.2.3.4:443\"]; }",
          "f:3: listen.htps is not a key; did you mean listen.https?" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1024];
        char *problems;

        (void)snprintf(text, sizeof(text),
                       "state_dir = \"/s\";\ndomain = \"example.com\";\nlisten = %s;\n",
                       cases[i].listen);
        problems = refuse(text);
        if (strncmp(problems, cases[i].problem, strlen(cases[i].problem)) != 0)
            fail_msg("%s\n  gave:     %s  expected: %s", cases[i].listen, problems,
                     cases[i].problem);
        mem_free(problems);
    }
}

static void config_parse_empty_file_names_all_that_is_missing(void **state)
{
    char *problems = refuse("");

    (void)state;
    assert_string_equal(problems,
                        "f:1: state_dir is missing; add: state_dir = \"/var/lib/sallyport\";\n"
                        "f:1: domain is missing; add: domain = \"example.com\";\n"
                        "f:1: listen is missing; add: listen = { ssh = [ \"0.0.0.0:22\" ]; "
                        "https = [ \"0.0.0.0:443\" ]; };\n");
    mem_free(problems);
}

static void config_parse_reports_every_problem_at_once(void **state)
{
    char *problems = refuse("state_dir = 1;\nworkers = \"x\";\nnothing = 2;\ndomain = \"-\";\n");
    size_t lines = 0;

    (void)state;
    for (const char *p = problems; *p != '\0'; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 5); /* the four above, and listen is missing */
    mem_free(problems);
}

static void config_parse_problems_beyond_the_buffer_still_refuse(void **state)
{
    struct buf problems;

    (void)state;
    buf_init(&problems, 8);
    assert_null(config_parse("f", "workers = \"x\";", &problems));
    buf_fini(&problems);
}

/* Writes MINIMAL with n entries of listen.admin; port 0 may stand any number of times. */
static char *with_admin_listeners(unsigned n)
{
    struct buf text;
    char *out;

    buf_init(&text, PROBLEMS_MAX_BYTES);
    buf_add_str(&text,
                STR("state_dir = \"/s\"; domain = \"example.com\";\n"
                    "listen = { ssh = [\"1.2.3.4:22\"]; http = [\"1.2.3.4:80\"]; admin = ["));
    for (unsigned i = 0; i < n; i++)
        buf_add_fmt(&text, "%s\"127.0.0.1:0\"", i == 0 ? "" : ", ");
    buf_add_str(&text, STR("]; };\n"));
    out = str_dup(buf_str(&text));
    buf_fini(&text);
    return out;
}

static void config_parse_listeners_at_limit(void **state)
{
    char *text = with_admin_listeners(CONFIG_LISTEN_MAX);
    struct config *c = accept(text);
    char *problems;

    (void)state;
    assert_int_equal(c->admin.count, CONFIG_LISTEN_MAX);
    config_unref(c);
    mem_free(text);

    text = with_admin_listeners(CONFIG_LISTEN_MAX + 1);
    problems = refuse(text);
    assert_string_equal(problems, "f:2: listen.admin has 17 entries; at most 16 are allowed\n");
    mem_free(problems);
    mem_free(text);
}

static void config_parse_string_at_limit(void **state)
{
    enum { TEXT_BYTES = CONFIG_STRING_MAX_BYTES + 256 };
    char *dir = mem_zalloc(CONFIG_STRING_MAX_BYTES + 2);
    char *text = mem_alloc(TEXT_BYTES);
    char *problems;

    (void)state;
    memset(dir, 'd', CONFIG_STRING_MAX_BYTES);
    (void)snprintf(text, TEXT_BYTES, MINIMAL "authorized_keys = [\"%s\"];", dir);
    config_unref(accept(text));
    dir[CONFIG_STRING_MAX_BYTES] = 'd';
    (void)snprintf(text, TEXT_BYTES, MINIMAL "authorized_keys = [\"%s\"];", dir);
    problems = refuse(text);
    assert_string_equal(problems, "f:4: authorized_keys is longer than 3072 bytes; shorten it\n");
    mem_free(problems);
    mem_free(text);
    mem_free(dir);
}

static void config_parse_limits_hold_at_their_bounds(void **state)
{
    (void)state;
#define LIMIT(name, unit, min, max, preset, text)                                                  \
    {                                                                                              \
        char file[1024];                                                                           \
        struct config *c;                                                                          \
                                                                                                   \
        (void)snprintf(file, sizeof(file), MINIMAL "limits = { " #name " = %lluL; };",             \
                       (unsigned long long)(max));                                                 \
        c = accept(file);                                                                          \
        assert_true(c->name == (uint64_t)(max));                                                   \
        config_unref(c);                                                                           \
        (void)snprintf(file, sizeof(file), MINIMAL "limits = { " #name " = %lluL; };",             \
                       (unsigned long long)(max) + 1);                                             \
        mem_free(refuse(file));                                                                    \
        (void)snprintf(file, sizeof(file), MINIMAL "limits = { " #name " = %lld; };",              \
                       (long long)(min)-1);                                                        \
        mem_free(refuse(file));                                                                    \
    }
#include "gateway/config.def"
#undef LIMIT
}

static void note_kept(void *arg, const char *key)
{
    struct buf *keys = arg;

    buf_add_fmt(keys, "%s ", key);
}

static void config_keep_fixed_changed_keys_are_kept_and_named(void **state)
{
    struct config *old = accept(MINIMAL);
    struct config *same = accept(MINIMAL "limits = { hold_ms = 1; };");
    struct config *new = accept("state_dir = \"/t\"; domain = \"example.org\"; workers = 2;\n"
                                "extra_suffixes = [\"lan\"];\n"
                                "listen = { ssh = [\"127.0.0.1:23\"]; https = [\"[::1]:443\"]; };\n"
                                "tcp = { ports = \"1-2\"; listen = [\"127.0.0.1\"]; };\n"
                                "api = { url = \"http://x\"; public = true; origins = [\"a\"]; };\n"
                                "limits = { hold_ms = 5; api_threads = 9; };\n");
    struct buf keys;

    (void)state;
    buf_init(&keys, 1024);
    config_keep_fixed(same, old, note_kept, &keys);
    assert_int_equal(keys.len, 0);
    assert_int_equal(same->hold_ms, 1);
    config_keep_fixed(new, old, note_kept, &keys);
    buf_add_char(&keys, '\0');
    assert_string_equal(buf_str(&keys).p, "state_dir tcp.ports tcp.listen domain listen.ssh "
                                          "listen.http listen.https extra_suffixes api.url "
                                          "api.origins api.public limits.api_threads workers ");
    assert_null(new->api_url);
    assert_int_equal(new->api_origins.count, 0);
    assert_int_equal(new->api_threads, old->api_threads);
    assert_string_equal(new->tcp.host, "example.com");
    assert_int_equal(new->tcp.ports.first, 0);
    assert_string_equal(new->state_dir, "/s");
    assert_string_equal(new->domain, "example.com");
    assert_int_equal(new->ssh.addrs[0].port, 22);
    assert_int_equal(new->https.count, 0);
    assert_int_equal(new->extra_suffixes.count, 0);
    assert_int_equal(new->workers, 0);
    assert_int_equal(new->hold_ms, 5);
    buf_fini(&keys);
    config_unref(old);
    config_unref(same);
    config_unref(new);
}

static void config_load_missing_file_is_refused(void **state)
{
    struct buf problems;

    (void)state;
    buf_init(&problems, PROBLEMS_MAX_BYTES);
    assert_null(config_load("/nonexistent/sallyport.cfg", &problems));
    assert_true(
        str_starts(buf_str(&problems), STR("/nonexistent/sallyport.cfg:1: cannot open it")));
    buf_fini(&problems);
}

/* Writes bytes to a new file; its path is in `path`. */
static void write_file(char path[32], const char *bytes, size_t n)
{
    int fd;

    (void)snprintf(path, 32, "/tmp/test_config.XXXXXX");
    fd = mkstemp(path);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static void config_load_reads_a_file(void **state)
{
    char path[32];
    struct buf problems;
    struct config *c;

    (void)state;
    buf_init(&problems, PROBLEMS_MAX_BYTES);
    write_file(path, MINIMAL, strlen(MINIMAL));
    c = config_load(path, &problems);
    assert_non_null(c);
    assert_string_equal(c->file, path);
    config_unref(c);
    (void)unlink(path);
    buf_fini(&problems);
}

static void config_load_file_with_nul_is_refused(void **state)
{
    char path[32];
    struct buf problems;

    (void)state;
    buf_init(&problems, PROBLEMS_MAX_BYTES);
    write_file(path, "a\0b", 3);
    assert_null(config_load(path, &problems));
    assert_int_not_equal(str_find(buf_str(&problems), STR("NUL byte")), problems.len);
    (void)unlink(path);
    buf_fini(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_parse_minimal_file_has_defaults),
        cmocka_unit_test(config_parse_every_key_is_read),
        cmocka_unit_test(config_parse_keys_of_policies_are_read),
        cmocka_unit_test(config_parse_keys_of_events_become_a_plan),
        cmocka_unit_test(config_parse_mistake_in_events_is_refused),
        cmocka_unit_test(config_parse_document_at_the_limit_and_one_more),
        cmocka_unit_test(config_parse_mistake_is_refused_with_its_line),
        cmocka_unit_test(config_parse_tcp_is_read),
        cmocka_unit_test(config_parse_wrong_tcp_is_refused),
        cmocka_unit_test(config_parse_wrong_listener_is_refused),
        cmocka_unit_test(config_parse_empty_file_names_all_that_is_missing),
        cmocka_unit_test(config_parse_reports_every_problem_at_once),
        cmocka_unit_test(config_parse_problems_beyond_the_buffer_still_refuse),
        cmocka_unit_test(config_parse_listeners_at_limit),
        cmocka_unit_test(config_parse_string_at_limit),
        cmocka_unit_test(config_parse_limits_hold_at_their_bounds),
        cmocka_unit_test(config_keep_fixed_changed_keys_are_kept_and_named),
        cmocka_unit_test(config_load_missing_file_is_refused),
        cmocka_unit_test(config_load_reads_a_file),
        cmocka_unit_test(config_load_file_with_nul_is_refused),
    };

    return cmocka_run_group_tests_name("gateway/config", tests, NULL, NULL);
}
