/*
 * A flag is a row of flags.def and, if it works, a setter here that reads its value into the
 * command. What guards or changes traffic is only collected by the setters and becomes a policy at
 * the end, because some of it depends on other flags (flags_apply.c; spec 5.6).
 */
#include "sshd/flags_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { NAME_MAX_CHARS = 255, DESCRIPTION_MAX_CHARS = 255, METADATA_MAX_CHARS = 4096 };

/* ---- addresses ---- */

/* One kind of flag names the addresses of a command. */
static int name_by(struct command *c, enum command_naming by, struct err *e)
{
    enum { OLD_PAIR = 1 << COMMAND_NAMED_BY_HOSTNAME | 1 << COMMAND_NAMED_BY_SUBDOMAIN };

    if (c->url_count > 0 && c->naming != by)
        return err_set(
            e, (1 << c->naming | 1 << by) == OLD_PAIR ? E_HOSTNAME_AND_SUBDOMAIN : E_NAMED_TWICE,
            "another flag names the endpoint already; give only one of them");
    c->naming = by;
    return 0;
}

static int set_url(struct flag_values *v, struct str value, struct err *e)
{
    struct command *c = v->command;

    if (name_by(c, COMMAND_NAMED_BY_URL, e) == -1)
        return -1;
    if (c->url_count == COMMAND_URLS_MAX)
        return err_set(e, E_FLAG_SYNTAX, "at most %d are allowed", COMMAND_URLS_MAX);
    c->urls[c->url_count++] = value;
    return 0;
}

/* The flags that --url has replaced name one address. */
static int set_old_name(struct command *c, enum command_naming by, struct str value, struct err *e)
{
    if (name_by(c, by, e) == -1)
        return -1;
    if (c->url_count > 0 && !str_eq(c->urls[0], value))
        return err_set(e, E_FLAG_SYNTAX,
                       "it is given twice; for several forwards give each its --url");
    c->urls[0] = value;
    c->url_count = 1;
    return 0;
}

/* Other than --url they have a bare host. */
static int set_old_host(struct command *c, enum command_naming by, struct str value, struct err *e)
{
    char host[HOST_MAX_BYTES + 1];

    return host_normalize(value, host, e) == -1 ? -1 : set_old_name(c, by, value, e);
}

static int set_domain(struct flag_values *v, struct str value, struct err *e)
{
    return set_old_host(v->command, COMMAND_NAMED_BY_DOMAIN, value, e);
}

static int set_hostname(struct flag_values *v, struct str value, struct err *e)
{
    return set_old_host(v->command, COMMAND_NAMED_BY_HOSTNAME, value, e);
}

static int set_subdomain(struct flag_values *v, struct str value, struct err *e)
{
    return set_old_host(v->command, COMMAND_NAMED_BY_SUBDOMAIN, value, e);
}

static int set_remote_addr(struct flag_values *v, struct str value, struct err *e)
{
    return set_old_name(v->command, COMMAND_NAMED_BY_REMOTE_ADDR, value, e);
}

static int set_binding(struct flag_values *v, struct str value, struct err *e)
{
    return binding_parse(value, &v->command->binding, e);
}

static int set_scheme(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq_nocase(value, STR("http")))
        v->command->schemes[SCHEME_HTTP] = true;
    else if (str_eq_nocase(value, STR("https")))
        v->command->schemes[SCHEME_HTTPS] = true;
    else
        return err_set(e, E_SCHEME, "'%.*s' is not possible; give http, https or http,https",
                       STR_ARG(str_slice(value, 0, 40)));
    return 0;
}

/* The old way to say which schemes: true is https, false is http. */
static int set_bind_tls(struct flag_values *v, struct str value, struct err *e)
{
    bool both = str_eq(value, STR("both"));
    bool https = str_eq(value, STR("true"));

    if (!both && !https && !str_eq(value, STR("false")))
        return err_set(e, E_FLAG_SYNTAX, "'%.*s' is not possible; give true, false or both",
                       STR_ARG(str_slice(value, 0, 40)));
    v->command->schemes[SCHEME_HTTP] = both || !https;
    v->command->schemes[SCHEME_HTTPS] = both || https;
    return 0;
}

static int set_basic_auth(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_add_credential(&v->policy, value);
    return 0;
}

static int set_cidr_allow(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_add_allow(&v->policy, value);
    return 0;
}

static int set_cidr_deny(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_add_deny(&v->policy, value);
    return 0;
}

static int set_ua_filter_allow(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_add_agent_allow(&v->policy, value);
    return 0;
}

static int set_ua_filter_deny(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_add_agent_deny(&v->policy, value);
    return 0;
}

static int set_request_header_add(struct flag_values *v, struct str value, struct err *e)
{
    return flag_policy_add_header(&v->policy, FLAG_REQUEST, value, e);
}

static int set_request_header_remove(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_remove_header(&v->policy, FLAG_REQUEST, value);
    return 0;
}

static int set_response_header_add(struct flag_values *v, struct str value, struct err *e)
{
    return flag_policy_add_header(&v->policy, FLAG_RESPONSE, value, e);
}

static int set_response_header_remove(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_remove_header(&v->policy, FLAG_RESPONSE, value);
    return 0;
}

/* The Host that a client of the upstream itself would send. */
static void set_upstream_host(struct flag_values *v)
{
    const struct upstream_hint *h = &v->command->upstream;
    char text[URL_TEXT_BYTES];
    struct str authority = str_from(upstream_hint_format(h, text));

    authority = str_skip(authority, str_find(authority, STR("://")) + 3);
    if (h->port == scheme_default_port(h->https ? SCHEME_HTTPS : SCHEME_HTTP))
        authority = str_slice(authority, 0, str_rfind_char(authority, ':'));
    flag_policy_set_host(&v->policy, authority);
}

static int set_webhook(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_set_webhook(&v->policy, value);
    return 0;
}

static int set_webhook_secret(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_set_webhook_secret(&v->policy, value);
    return 0;
}

static int set_circuit_breaker(struct flag_values *v, struct str value, struct err *e)
{
    char *text = str_dup(value);
    char *end;
    double ratio = strtod(text, &end);
    bool read = end != text && *end == '\0' && ratio >= 0.0 && ratio <= 1.0;

    mem_free(text);
    if (!read)
        return err_set(e, E_BREAKER_RATIO, "'%.*s' is not possible; give a number from 0.0 to 1.0",
                       STR_ARG(str_slice(value, 0, 40)));
    flag_policy_set_breaker(&v->policy, ratio);
    return 0;
}

static int set_upstream_protocol(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq(value, STR("http1")))
        v->command->upstream_protocol = UPSTREAM_HTTP1;
    else if (str_eq(value, STR("http2")))
        v->command->upstream_protocol = UPSTREAM_HTTP2;
    else
        return err_set(e, E_UPSTREAM_PROTOCOL, "'%.*s' is not possible; give http1 or http2",
                       STR_ARG(str_slice(value, 0, 40)));
    return 0;
}

static int set_upstream_proxy_protocol(struct flag_values *v, struct str value, struct err *e)
{
    if (!str_eq(value, STR("1")) && !str_eq(value, STR("2")))
        return err_set(e, E_PROXY_VERSION, "'%.*s' is not possible; give 1 or 2",
                       STR_ARG(str_slice(value, 0, 40)));
    v->command->upstream_proxy_protocol = value.p[0] == '1' ? 1 : 2;
    return 0;
}

static int set_upstream_tls_verify(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    v->command->upstream_tls_verify = str_eq(value, STR("true"));
    return 0;
}

static int set_input(struct flag_values *v, enum command_input input, struct err *e)
{
    if (v->command->input != COMMAND_INPUT_NONE && v->command->input != input)
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "standard input can carry one thing only; a policy can also be given as "
                       "text, --traffic-policy, and its action terminate-tls takes certificates");
    v->command->input = input;
    return 0;
}

static int set_upstream_cas(struct flag_values *v, struct str value, struct err *e)
{
    if (str_starts(value, STR("ca_")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "stored certificates are not available on this gateway yet; send them: "
                       "ssh ... http ... --upstream-tls-verify-cas - < ca.pem");
    if (!str_eq(value, STR("-")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "'%.*s' is a file on your machine, which the gateway cannot read; send it: "
                       "ssh ... http ... --upstream-tls-verify-cas - < %.*s",
                       STR_ARG(str_slice(value, 0, 40)), STR_ARG(str_slice(value, 0, 40)));
    v->command->upstream_tls_verify = true;
    return set_input(v, COMMAND_INPUT_UPSTREAM_CAS, e);
}

static int set_compression(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    flag_policy_set_compression(&v->policy, str_eq(value, STR("true")));
    return 0;
}

static int check_one_policy(const struct command *c, struct err *e)
{
    if (c->input == COMMAND_INPUT_POLICY || c->policy_text.p != NULL || c->policy_url.p != NULL)
        return err_set(e, E_POLICY_TWICE, "only one policy can be given; put all rules into it");
    return 0;
}

static int set_traffic_policy(struct flag_values *v, struct str value, struct err *e)
{
    if (check_one_policy(v->command, e) == -1)
        return -1;
    v->command->policy_text = value;
    return 0;
}

static int set_traffic_policy_url(struct flag_values *v, struct str value, struct err *e)
{
    if (!str_starts_nocase(value, STR("https://")) && !str_starts_nocase(value, STR("http://")))
        return err_set(e, E_FLAG_SYNTAX, "'%.*s' is no http or https URL",
                       STR_ARG(str_slice(value, 0, 40)));
    if (check_one_policy(v->command, e) == -1)
        return -1;
    v->command->policy_url = value;
    return 0;
}

static int set_traffic_policy_file(struct flag_values *v, struct str value, struct err *e)
{
    if (!str_eq(value, STR("-")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "'%.*s' is a file on your machine, which the gateway cannot read; send it: "
                       "ssh ... http --traffic-policy-file - < %.*s",
                       STR_ARG(str_slice(value, 0, 40)), STR_ARG(str_slice(value, 0, 40)));
    if (check_one_policy(v->command, e) == -1)
        return -1;
    return set_input(v, COMMAND_INPUT_POLICY, e);
}

/* What the client sends: what a flag that wants a file gets here. `name` is the flag's. */
static int check_sent(struct str value, const char *name, const char *file, struct err *e)
{
    if (str_eq(value, STR("-")))
        return 0;
    return err_set(e, E_FLAG_UNSUPPORTED,
                   "'%.*s' is a file on your machine, which the gateway cannot read; send it: "
                   "ssh ... %s - < %s",
                   STR_ARG(str_slice(value, 0, 40)), name, file);
}

static int set_mutual_tls_cas(struct flag_values *v, struct str value, struct err *e)
{
    if (str_starts(value, STR("ca_")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "this gateway stores no authorities; send them: ssh ... "
                       "--mutual-tls-cas - < ca.pem");
    if (check_sent(value, "--mutual-tls-cas", "ca.pem", e) == -1)
        return -1;
    return set_input(v, COMMAND_INPUT_VISITOR_CAS, e);
}

static int set_terminate_at(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq(value, STR("agent")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "ssh cannot end TLS; give edge, which ends it here, or upstream");
    if (!str_eq(value, STR("edge")) && !str_eq(value, STR("upstream")))
        return err_set(e, E_FLAG_SYNTAX, "'%.*s' is not possible; give edge or upstream",
                       STR_ARG(str_slice(value, 0, 40)));
    v->terminate_at = value;
    return 0;
}

static int set_crt(struct flag_values *v, struct str value, struct err *e)
{
    if (str_starts(value, STR("cert_")))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "this gateway stores no certificates of users; send it: "
                       "cat cert.pem key.pem | ssh ... --crt - --key -");
    if (check_sent(value, "--crt - --key", "cert-and-key.pem", e) == -1)
        return -1;
    v->has_crt = true;
    return set_input(v, COMMAND_INPUT_CERTIFICATE, e);
}

static int set_key(struct flag_values *v, struct str value, struct err *e)
{
    if (check_sent(value, "--crt - --key", "cert-and-key.pem", e) == -1)
        return -1;
    v->has_key = true;
    return set_input(v, COMMAND_INPUT_CERTIFICATE, e);
}

static int set_host_header(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq(value, STR("preserve"))) {
        flag_policy_set_host(&v->policy, STR_NONE);
    } else if (!str_eq(value, STR("rewrite"))) {
        flag_policy_set_host(&v->policy, value);
    } else if (!v->command->has_upstream) {
        return err_set(
            e, E_FLAG_UNSUPPORTED,
            "rewrite needs to know the upstream, and ssh does not tell it; name it behind "
            "the command, such as 'http http://localhost:8080 --host-header rewrite', or "
            "give the host itself");
    } else {
        set_upstream_host(v);
    }
    return 0;
}

/* Names stand in lists and logs, so they have one line. */
static int set_name(struct flag_values *v, struct str value, struct err *e)
{
    if (value.n == 0 || utf8_count(value) > NAME_MAX_CHARS)
        return err_set(e, E_FLAG_SYNTAX, "a name has 1 to %d characters, not %zu", NAME_MAX_CHARS,
                       utf8_count(value));
    for (size_t i = 0; i < value.n; i++) {
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7F)
            return err_set(e, E_FLAG_SYNTAX, "character %zu of the name cannot be printed", i + 1);
    }
    mem_free(v->command->name);
    v->command->name = str_dup(value);
    return 0;
}

static int set_description(struct flag_values *v, struct str value, struct err *e)
{
    if (utf8_count(value) > DESCRIPTION_MAX_CHARS)
        return err_set(e, E_DESCRIPTION_LENGTH, "%zu characters, at most %d are allowed",
                       utf8_count(value), DESCRIPTION_MAX_CHARS);
    mem_free(v->command->description);
    v->command->description = str_dup(value);
    return 0;
}

static int set_metadata(struct flag_values *v, struct str value, struct err *e)
{
    if (utf8_count(value) > METADATA_MAX_CHARS)
        return err_set(e, E_METADATA_LENGTH, "%zu characters, at most %d are allowed",
                       utf8_count(value), METADATA_MAX_CHARS);
    mem_free(v->command->metadata);
    v->command->metadata = str_dup(value);
    return 0;
}

static int set_pooling(struct flag_values *v, struct str value, struct err *e)
{
    (void)e;
    v->command->pooling = str_eq(value, STR("true"));
    return 0;
}

static int set_log(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq(value, STR("stdout")))
        v->command->log = COMMAND_LOG_STDOUT;
    else if (str_eq(value, STR("stderr")))
        v->command->log = COMMAND_LOG_STDERR;
    else if (str_eq(value, STR("false")))
        v->command->log = COMMAND_LOG_OFF;
    else
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "'%.*s' would be a file on the gateway; give stdout, stderr or false, and "
                       "redirect the output of ssh",
                       STR_ARG(str_slice(value, 0, 40)));
    return 0;
}

/* Levels of request lines: see request_line_level(). */
static int set_log_level(struct flag_values *v, struct str value, struct err *e)
{
    static const struct {
        const char *name;
        unsigned level;
    } levels[] = { { "debug", LOG_DEBUG },
                   { "info", LOG_INFO },
                   { "warn", LOG_WARN },
                   { "error", LOG_ERROR },
                   { "crit", COMMAND_LOG_NOTHING } };

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (str_eq(value, str_from(levels[i].name))) {
            v->command->log_level = levels[i].level;
            return 0;
        }
    }
    return err_set(e, E_FLAG_SYNTAX,
                   "'%.*s' is not possible; give debug, info, warn, error or crit",
                   STR_ARG(str_slice(value, 0, 40)));
}

static int set_log_format(struct flag_values *v, struct str value, struct err *e)
{
    if (str_eq(value, STR("term")) || str_eq(value, STR("logfmt")))
        v->command->log_format = LOG_TEXT;
    else if (str_eq(value, STR("json")))
        v->command->log_format = LOG_JSON;
    else
        return err_set(e, E_FLAG_SYNTAX, "'%.*s' is not possible; give term, logfmt or json",
                       STR_ARG(str_slice(value, 0, 40)));
    return 0;
}

static const struct flag flag_rows[] = {
#define ROW(commands, name, status, shape, version, setter, argument, text)                        \
    { name, commands, FLAG_##status, FLAG_##shape, FLAG_##version, setter, argument, text },
#define FLAG(...)     ROW(FLAG_HTTP, __VA_ARGS__)
#define FLAG_HCT(...) ROW(FLAG_HTTP | FLAG_TCP | FLAG_TLS, __VA_ARGS__)
#define FLAG_HT(...)  ROW(FLAG_HTTP | FLAG_TLS, __VA_ARGS__)
#define FLAG_T(...)   ROW(FLAG_TLS, __VA_ARGS__)
#define FLAG_C(...)   ROW(FLAG_TCP, __VA_ARGS__)
#include "sshd/flags.def"
#undef FLAG
#undef FLAG_HCT
#undef FLAG_HT
#undef FLAG_T
#undef FLAG_C
#undef ROW
};

enum { FLAG_ROWS = sizeof(flag_rows) / sizeof(flag_rows[0]) };

static bool is_in_version(const struct flag *f, unsigned version)
{
    return f->version == FLAG_ANY || version == 1;
}

const struct flag *flag_find(struct str name, unsigned version)
{
    for (size_t i = 0; i < FLAG_ROWS; i++) {
        if (is_in_version(&flag_rows[i], version) && str_eq(name, str_from(flag_rows[i].name)))
            return &flag_rows[i];
    }
    return NULL;
}

const struct flag *flag_nearest(struct str name, unsigned version)
{
    const struct flag *best = NULL;
    size_t best_distance = SIZE_MAX;

    for (size_t i = 0; i < FLAG_ROWS; i++) {
        const struct flag *f = &flag_rows[i];
        size_t distance = str_distance(name, str_from(f->name));

        if (f->status > FLAG_ALIAS || !is_in_version(f, version) || distance >= best_distance)
            continue;
        best = f;
        best_distance = distance;
    }
    return best;
}

bool flag_is_help(const struct flag *flag)
{
    return str_eq(str_from(flag->name), STR("help")) || str_eq(str_from(flag->name), STR("h"));
}

void flags_help(enum command_kind kind, struct buf *out)
{
    enum { COLUMN = 40 };

    for (size_t i = 0; i < FLAG_ROWS; i++) {
        const struct flag *f = &flag_rows[i];
        size_t start = out->len;

        if (f->status != FLAG_WORKS || (f->commands >> kind & 1) == 0)
            continue;
        buf_add_fmt(out, "  --%s %s", f->name, f->argument);
        while (!buf_failed(out) && out->len < start + COLUMN)
            buf_add_char(out, ' ');
        buf_add_fmt(out, "  %s\n", f->text);
    }
}
