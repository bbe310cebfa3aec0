/*
 * A flag is a row of flags.def and, if it works, a setter here that reads its value into the
 * command. What guards or changes traffic is only collected by the setters and becomes a policy at
 * the end, because some of it depends on other flags (spec 5.6).
 */
#include "sshd/flags.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "sshd/command.h"
#include "sshd/flag_policy.h"

enum { NAME_MAX_CHARS = 255, DESCRIPTION_MAX_CHARS = 255, METADATA_MAX_CHARS = 4096 };

/* What the setters fill. */
struct flag_values {
    struct command *command; /* borrowed */
    struct flag_policy policy;
    struct str terminate_at; /* "edge", "upstream", or empty */
    bool has_crt;
    bool has_key;
};

static int set_url(struct flag_values *v, struct str value, struct err *e)
{
    struct command *c = v->command;

    if (c->url_count == COMMAND_URLS_MAX)
        return err_set(e, E_FLAG_SYNTAX, "at most %d are allowed", COMMAND_URLS_MAX);
    c->urls[c->url_count++] = value;
    return 0;
}

/* The old way to name the address of a tcp endpoint. */
static int set_remote_addr(struct flag_values *v, struct str value, struct err *e)
{
    v->command->has_remote_addr = true;
    return set_url(v, value, e);
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
    if (c->input == COMMAND_INPUT_POLICY || c->policy_text.p != NULL)
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

enum { H = 1 << COMMAND_HTTP, C = 1 << COMMAND_TCP, T = 1 << COMMAND_TLS };

static const struct flag flag_rows[] = {
#define ROW(commands, name, status, shape, version, setter, argument, text)                        \
    { name, commands, FLAG_##status, FLAG_##shape, FLAG_##version, setter, argument, text },
#define FLAG(...)     ROW(H, __VA_ARGS__)
#define FLAG_HCT(...) ROW(H | C | T, __VA_ARGS__)
#define FLAG_HT(...)  ROW(H | T, __VA_ARGS__)
#define FLAG_T(...)   ROW(T, __VA_ARGS__)
#define FLAG_C(...)   ROW(C, __VA_ARGS__)
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

static int refuse_flag(const struct flag_use *use, struct err *e)
{
    const struct flag *f = use->flag;

    return err_set(e, E_FLAG_UNSUPPORTED, "%.*s is not available %s%s%s", STR_ARG(use->typed),
                   f->status == FLAG_NEVER ? "over SSH" : "on this gateway yet",
                   f->text[0] != '\0' ? "; " : "", f->text);
}

static int refuse_command(const struct command *c, const struct flag_use *use, struct err *e)
{
    bool http = (use->flag->commands & H) != 0;

    return err_set(e, E_FLAG_UNSUPPORTED, "%.*s does not go with the command %s, only with %s%s%s",
                   STR_ARG(use->typed), command_name(c->kind), http ? "http" : "",
                   http && use->flag->commands != H ? " and " : "",
                   (use->flag->commands & T) != 0   ? "tls"
                   : (use->flag->commands & C) != 0 ? "tcp"
                                                    : "");
}

/* A list may be joined with commas; the blanks around them do not count. */
static int set_list(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    struct str rest = use->value;
    struct str item;

    while (str_next(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.n == 0)
            return err_set(e, E_FLAG_SYNTAX, "an entry of the list is empty");
        if (use->flag->set(v, item, e) == -1)
            return -1;
    }
    return 0;
}

static int set_switch(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    return use->flag->set != NULL ? use->flag->set(v, use->on ? STR("true") : STR("false"), e) : 0;
}

static int apply_one(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    int rc;

    if (use->flag->status > FLAG_ALIAS)
        return refuse_flag(use, e);
    if ((use->flag->commands >> v->command->kind & 1) == 0)
        return refuse_command(v->command, use, e);
    if (use->flag->shape == FLAG_SWITCH)
        return set_switch(v, use, e);
    rc = use->flag->shape == FLAG_LIST ? set_list(v, use, e) : use->flag->set(v, use->value, e);
    return rc == -1 ? err_prefix(e, "%.*s", STR_ARG(use->typed)) : 0;
}

/* What depends on more than one flag. */
static int check_upstream(const struct command *c, struct err *e)
{
    if (c->upstream_tls_verify && (!c->has_upstream || !c->upstream.https))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "verifying needs an upstream that speaks TLS; name it behind the command, "
                       "such as 'http https://localhost:8443 --upstream-tls-verify'");
    return 0;
}

static int check_tls(struct flag_values *v, struct err *e)
{
    struct command *c = v->command;
    bool sends_cas = c->input == COMMAND_INPUT_VISITOR_CAS;

    if (v->has_crt != v->has_key)
        return err_set(e, E_FLAG_SYNTAX, "--crt and --key go together");
    if (!str_eq(v->terminate_at, STR("upstream"))) {
        c->ends_tls = v->has_crt || sends_cas || v->terminate_at.n > 0;
        return 0;
    }
    if (sends_cas)
        return err_set(e, E_MTLS_NOT_HERE,
                       "--mutual-tls-cas: the gateway sees no certificate of a visitor when TLS "
                       "ends at the upstream; give --terminate-at edge");
    if (v->has_crt)
        return err_set(e, E_FLAG_SYNTAX, "--crt: it is of no use when TLS ends at the upstream");
    return 0;
}

/* With what the client sends it has to wait until that is there. */
static int end_tls(struct command *c, const struct policy_engine *engine, struct err *e)
{
    static const struct flag_tls as_it_is = { .certificate = STR_INIT("") };

    if (!c->ends_tls || c->input == COMMAND_INPUT_VISITOR_CAS ||
        c->input == COMMAND_INPUT_CERTIFICATE)
        return 0;
    return flag_policy_end_tls(&as_it_is, engine, &c->flags, e);
}

int flags_apply(const struct flag_use *uses, size_t count, const struct policy_engine *engine,
                struct command *out, struct err *e)
{
    struct flag_values values = { .command = out };
    int rc = 0;

    flag_policy_init(&values.policy);
    values.policy.raw = out->kind != COMMAND_HTTP;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = apply_one(&values, &uses[i], e);
    if (rc == 0)
        rc = check_upstream(out, e);
    if (rc == 0)
        rc = check_tls(&values, e);
    if (rc == 0)
        rc = flag_policy_documents(&values.policy, engine, &out->flags, e);
    if (rc == 0)
        rc = end_tls(out, engine, e);
    flag_policy_fini(&values.policy);
    return rc;
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
