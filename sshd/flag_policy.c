#include "sshd/flag_policy.h"

#include <assert.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/policy.h"

/* jansson takes no NULL, not even for an empty string. */
static json_t *new_string(struct str s)
{
    return json_stringn(s.n > 0 ? s.p : "", s.n);
}

/* Memory never runs out (base/mem.h) and the text was checked, so only a bug makes these fail; a
 * guard that silently went missing would open the endpoint to everyone. */
static void append(json_t *list, struct str s)
{
    int failed = json_array_append_new(list, new_string(s));

    assert(failed == 0);
    (void)failed;
}

static void put(json_t *object, struct str key, struct str value)
{
    int failed = json_object_setn_new(object, key.p, key.n, new_string(value));

    assert(failed == 0);
    (void)failed;
}

void flag_policy_init(struct flag_policy *p)
{
    p->credentials = json_array();
    p->allow = json_array();
    p->deny = json_array();
    p->agent_allow = json_array();
    p->agent_deny = json_array();
    p->host = json_object();
    p->webhook = json_object();
    p->breaker = json_object();
    p->compression = false;
    p->raw = false;
    for (int side = 0; side < FLAG_SIDES; side++) {
        p->header_add[side] = json_object();
        p->header_remove[side] = json_array();
    }
}

void flag_policy_fini(struct flag_policy *p)
{
    json_decref(p->credentials);
    json_decref(p->allow);
    json_decref(p->deny);
    json_decref(p->agent_allow);
    json_decref(p->agent_deny);
    json_decref(p->host);
    json_decref(p->webhook);
    json_decref(p->breaker);
    for (int side = 0; side < FLAG_SIDES; side++) {
        json_decref(p->header_add[side]);
        json_decref(p->header_remove[side]);
    }
}

/* A password or a key is what it is: "${" in it is no expression, so it is written as "$${". */
static void write_literal(struct buf *out, struct str text)
{
    buf_init(out, SIZE_MAX / 2);
    for (size_t i = 0; i < text.n; i++) {
        if (str_starts(str_skip(text, i), STR("${")))
            buf_add_char(out, '$');
        buf_add_char(out, text.p[i]);
    }
}

static void forget_literal(struct buf *b)
{
    if (b->mem != NULL)
        mem_wipe(b->mem, b->cap);
    buf_fini(b);
}

void flag_policy_add_credential(struct flag_policy *p, struct str pair)
{
    struct buf literal;

    write_literal(&literal, pair);
    append(p->credentials, buf_str(&literal));
    forget_literal(&literal);
}

void flag_policy_add_allow(struct flag_policy *p, struct str cidr)
{
    append(p->allow, cidr);
}

void flag_policy_add_deny(struct flag_policy *p, struct str cidr)
{
    append(p->deny, cidr);
}

void flag_policy_add_agent_allow(struct flag_policy *p, struct str pattern)
{
    append(p->agent_allow, pattern);
}

void flag_policy_add_agent_deny(struct flag_policy *p, struct str pattern)
{
    append(p->agent_deny, pattern);
}

void flag_policy_remove_header(struct flag_policy *p, enum flag_side side, struct str name)
{
    append(p->header_remove[side], name);
}

void flag_policy_set_host(struct flag_policy *p, struct str host)
{
    if (host.p == NULL)
        (void)json_object_clear(p->host); /* it is an object, so this cannot fail */
    else
        put(p->host, STR("host"), host);
}

void flag_policy_set_webhook(struct flag_policy *p, struct str provider)
{
    put(p->webhook, STR("provider"), provider);
}

void flag_policy_set_webhook_secret(struct flag_policy *p, struct str secret)
{
    put(p->webhook, STR("secret"), secret);
}

void flag_policy_set_breaker(struct flag_policy *p, double error_threshold)
{
    /* A number that JSON cannot have is refused by the caller. */
    (void)json_object_set_new(p->breaker, "error_threshold", json_real(error_threshold));
}

void flag_policy_set_compression(struct flag_policy *p, bool on)
{
    p->compression = on;
}

int flag_policy_add_header(struct flag_policy *p, enum flag_side side, struct str field,
                           struct err *e)
{
    size_t colon = str_find_char(field, ':');
    struct str name = str_trim_ows(str_slice(field, 0, colon));
    struct str value = str_trim_ows(str_skip(field, colon + 1));

    if (colon == field.n || name.n == 0)
        return err_set(e, side == FLAG_REQUEST ? E_HEADER_ADD_REQUEST : E_HEADER_ADD_RESPONSE,
                       "expected 'name: value', not '%.*s'", STR_ARG(str_slice(field, 0, 64)));
    /* Other cases of the name are found by the action; the same one would replace the first. */
    if (json_object_getn(p->header_add[side], name.p, name.n) != NULL)
        return err_set(e, E_HEADER_TWICE, "header '%.*s' is given twice",
                       STR_ARG(str_slice(name, 0, 64)));
    put(p->header_add[side], name, value);
    return 0;
}

enum {
    FOR_AUTH = 1,
    FOR_CIDR = 2,
    FOR_REQUEST = 4,
    FOR_RESPONSE = 8,
    FOR_BREAKER = 16,
    FOR_WEBHOOK = 32,
    FOR_CAS = 64,
    FOR_CERTIFICATE = 128,
    FOR_AGENT = 256
};
enum { FOR_HEADERS = FOR_REQUEST | FOR_RESPONSE };

/* What users of flags know a problem of the policy engine as (spec 5.6 and 8.3). */
static const struct {
    unsigned flags;
    enum err_code policy;
    enum err_code flag;
} codes[] = {
    { FOR_AUTH, E_AUTH_USER_EMPTY, E_AUTH_USER_EMPTY },
    { FOR_AUTH, E_AUTH_USER_LENGTH, E_AUTH_USER_LENGTH },
    { FOR_AUTH, E_POLICY_TOO_SHORT, E_AUTH_PASSWORD_LENGTH },
    { FOR_AUTH, E_POLICY_TOO_LONG, E_AUTH_PASSWORD_LENGTH },
    { FOR_AUTH, E_POLICY_LIST_LENGTH, E_AUTH_TOO_MANY },
    { FOR_AUTH, E_POLICY_AUTH_USER, E_AUTH_USER_CHARACTER },
    { FOR_AUTH, E_POLICY_AUTH_PASSWORD, E_AUTH_PASSWORD_CHARACTER },
    { FOR_AUTH, E_POLICY_CONFIG, E_FLAG_SYNTAX },
    { FOR_CIDR, E_POLICY_CIDR, E_CIDR },
    { FOR_REQUEST, E_POLICY_HEADER_NAME, E_HEADER_NAME_REQUEST },
    { FOR_RESPONSE, E_POLICY_HEADER_NAME, E_HEADER_NAME_RESPONSE },
    { FOR_HEADERS, E_POLICY_HEADER_VALUE, E_HEADER_VALUE },
    { FOR_HEADERS, E_HEADER_TWICE, E_HEADER_TWICE },
    { FOR_HEADERS, E_POLICY_HEADER_TOO_MANY, E_HEADER_TOO_MANY },
    { FOR_HEADERS, E_POLICY_LIST_LENGTH, E_HEADER_TOO_MANY },
    { FOR_HEADERS, E_POLICY_HEADER_NAME_LENGTH, E_HEADER_NAME_LENGTH },
    { FOR_HEADERS, E_POLICY_HEADER_VALUE_LENGTH, E_HEADER_VALUE_LENGTH },
    { FOR_HEADERS, E_HEADER_NEEDS_REPLACEMENT, E_HEADER_NEEDS_REPLACEMENT },
    { FOR_HEADERS, E_POLICY_HEADER_TEMPLATE, E_FLAG_SYNTAX },
    { FOR_BREAKER, E_POLICY_RANGE, E_BREAKER_RATIO },
    { FOR_BREAKER, E_POLICY_CONFIG, E_BREAKER_RATIO },
    { FOR_CAS, E_MTLS_NO_PEM, E_MTLS_CAS },
    { FOR_CAS, E_CERTIFICATE_PEM, E_MTLS_CAS },
    { FOR_CAS, E_MTLS_NOT_CA, E_MTLS_NOT_CA },
    { FOR_CERTIFICATE, E_POLICY_UNPARSABLE, E_CERTIFICATE_PAIR },
    { FOR_AGENT, E_POLICY_REGEX, E_AGENT_PATTERN },
    { FOR_WEBHOOK, E_POLICY_WEBHOOK_PROVIDER, E_POLICY_WEBHOOK_PROVIDER },
    { FOR_WEBHOOK, E_POLICY_WEBHOOK_SECRET, E_WEBHOOK_SECRET_MISSING },
    { FOR_WEBHOOK, E_POLICY_MISSING, E_WEBHOOK_SECRET_MISSING },
};

/* A problem without a code of its own is an invalid policy; the engine's number is in the text. */
static int refuse(const char *flag, unsigned which, const struct err *why, struct err *e)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if ((codes[i].flags & which) != 0 && codes[i].policy == why->code)
            return err_set(e, codes[i].flag, "%s: %s", flag, why->msg);
    }
    return err_set(e, E_POLICY_INVALID, "%s: %s (%u)", flag, why->msg, err_number(why->code));
}

/* While documents are made. All borrowed. */
struct maker {
    const struct policy_engine *engine;
    struct flag_documents *out;
    struct err *e;
};

/* Checks one action and puts it into the document. Takes `config`. */
static int add_action(struct maker *m, struct policy_document **document, const char *flag,
                      unsigned which, enum policy_phase phase, const char *action, json_t *config)
{
    struct err why;

    if (policy_check_action(m->engine, phase, action, config, &why) == -1) {
        json_decref(config);
        return refuse(flag, which, &why, m->e);
    }
    if (*document == NULL)
        *document = policy_document_new(STR("flags"));
    policy_document_add(*document, phase, action, config);
    return 0;
}

static int add_restrict_ips(const struct flag_policy *p, struct maker *m)
{
    const char *flag =
        json_array_size(p->deny) > 0 ? "--cidr-allow and --cidr-deny" : "--cidr-allow";

    if (json_array_size(p->allow) + json_array_size(p->deny) == 0)
        return 0;
    if (json_array_size(p->allow) == 0)
        return err_set(m->e, E_CIDR_DENY_ONLY,
                       "--cidr-deny alone admits nobody; add who may come in, such as "
                       "--cidr-allow 0.0.0.0/0,::/0 for everyone else");
    return add_action(m, &m->out->front, flag, FOR_CIDR,
                      p->raw ? POLICY_ON_TCP_CONNECT : POLICY_ON_HTTP_REQUEST, "restrict-ips",
                      json_pack("{s:O, s:O}", "allow", p->allow, "deny", p->deny));
}

static int add_agent_filter(const struct flag_policy *p, struct maker *m)
{
    if (json_array_size(p->agent_allow) + json_array_size(p->agent_deny) == 0)
        return 0;
    return add_action(m, &m->out->front, "--ua-filter-allow and --ua-filter-deny", FOR_AGENT,
                      POLICY_ON_HTTP_REQUEST, "user-agent-filter",
                      json_pack("{s:O, s:O}", "allow", p->agent_allow, "deny", p->agent_deny));
}

static int add_webhook(const struct flag_policy *p, struct maker *m)
{
    if (json_object_size(p->webhook) == 0)
        return 0;
    if (json_object_get(p->webhook, "provider") == NULL)
        return err_set(m->e, E_FLAG_SYNTAX, "--verify-webhook-secret needs --verify-webhook");
    return add_action(m, &m->out->front, "--verify-webhook", FOR_WEBHOOK, POLICY_ON_HTTP_REQUEST,
                      "verify-webhook", json_incref(p->webhook));
}

static int add_breaker(const struct flag_policy *p, struct maker *m)
{
    if (json_object_size(p->breaker) == 0)
        return 0;
    return add_action(m, &m->out->front, "--circuit-breaker", FOR_BREAKER, POLICY_ON_HTTP_REQUEST,
                      "circuit-breaker", json_incref(p->breaker));
}

static int add_basic_auth(const struct flag_policy *p, struct maker *m)
{
    if (json_array_size(p->credentials) == 0)
        return 0;
    return add_action(m, &m->out->front, "--basic-auth", FOR_AUTH, POLICY_ON_HTTP_REQUEST,
                      "basic-auth",
                      json_pack("{s:O, s:s}", "credentials", p->credentials, "realm", "sallyport"));
}

static bool is_host(struct str name)
{
    return str_eq_nocase(name, STR("host"));
}

static bool replaces_host(const struct flag_policy *p)
{
    json_t *added = p->header_add[FLAG_REQUEST];

    for (void *it = json_object_iter(added); it != NULL; it = json_object_iter_next(added, it)) {
        if (is_host(str_of(json_object_iter_key(it), json_object_iter_key_len(it))))
            return true;
    }
    return json_object_size(p->host) > 0;
}

/* The names to remove; without host where another flag replaces it, which is the same thing. */
static json_t *names_to_remove(const struct flag_policy *p, enum flag_side side)
{
    bool host_is_replaced = side == FLAG_REQUEST && replaces_host(p);
    json_t *names = json_array();

    for (size_t i = 0; i < json_array_size(p->header_remove[side]); i++) {
        const json_t *item = json_array_get(p->header_remove[side], i);
        struct str name = str_of(json_string_value(item), json_string_length(item));

        if (!host_is_replaced || !is_host(name))
            append(names, name);
    }
    return names;
}

static int add_headers(const struct flag_policy *p, struct maker *m, enum flag_side side)
{
    static const struct {
        enum policy_phase phase;
        unsigned which;
        const char *remove;
        const char *add;
    } sides[FLAG_SIDES] = {
        [FLAG_REQUEST] = { POLICY_ON_HTTP_REQUEST, FOR_REQUEST, "--request-header-remove",
                           "--request-header-add" },
        [FLAG_RESPONSE] = { POLICY_ON_HTTP_RESPONSE, FOR_RESPONSE, "--response-header-remove",
                            "--response-header-add" },
    };
    json_t *names = names_to_remove(p, side);
    json_t *config = json_pack("{s:o}", "headers", names);

    if (json_array_size(names) == 0)
        json_decref(config);
    else if (add_action(m, &m->out->back, sides[side].remove, sides[side].which, sides[side].phase,
                        "remove-headers", config) == -1)
        return -1;
    if (json_object_size(p->header_add[side]) == 0)
        return 0;
    return add_action(m, &m->out->back, sides[side].add, sides[side].which, sides[side].phase,
                      "add-headers", json_pack("{s:O}", "headers", p->header_add[side]));
}

static int add_host(const struct flag_policy *p, struct maker *m)
{
    if (json_object_size(p->host) == 0)
        return 0;
    return add_action(m, &m->out->back, "--host-header", FOR_REQUEST, POLICY_ON_HTTP_REQUEST,
                      "add-headers", json_pack("{s:O}", "headers", p->host));
}

static int add_compression(const struct flag_policy *p, struct maker *m)
{
    if (!p->compression)
        return 0;
    return add_action(m, &m->out->back, "--compression", FOR_RESPONSE, POLICY_ON_HTTP_RESPONSE,
                      "compress-response", json_object());
}

int flag_policy_documents(const struct flag_policy *p, const struct policy_engine *engine,
                          struct flag_documents *out, struct err *e)
{
    struct maker m = { .engine = engine, .out = out, .e = e };

    *out = (struct flag_documents){ 0 };
    /* The order is that of the specification: who may come in is asked before who they are. */
    if (add_restrict_ips(p, &m) == 0 && add_agent_filter(p, &m) == 0 && add_webhook(p, &m) == 0 &&
        add_breaker(p, &m) == 0 && add_basic_auth(p, &m) == 0 &&
        add_headers(p, &m, FLAG_REQUEST) == 0 && add_host(p, &m) == 0 &&
        add_headers(p, &m, FLAG_RESPONSE) == 0 && add_compression(p, &m) == 0)
        return 0;
    flag_documents_fini(out);
    return -1;
}

int flag_policy_end_tls(const struct flag_tls *tls, const struct policy_engine *engine,
                        struct flag_documents *out, struct err *e)
{
    struct maker m = { .engine = engine, .out = out, .e = e };
    bool has_certificate = tls->certificate.n > 0;
    const char *flag = has_certificate          ? "--crt and --key"
                       : tls->authorities.n > 0 ? "--mutual-tls-cas"
                                                : "--terminate-at";
    json_t *config = json_object();
    struct buf literal;

    write_literal(&literal, has_certificate ? tls->certificate : tls->authorities);
    if (has_certificate) {
        /* Each field takes what it wants of the one text. */
        put(config, STR("server_certificate"), buf_str(&literal));
        put(config, STR("server_private_key"), buf_str(&literal));
    } else if (literal.len > 0) {
        put(config, STR("mutual_tls_certificate_authorities"), buf_str(&literal));
    }
    forget_literal(&literal);
    return add_action(&m, &out->tls, flag, FOR_CAS | FOR_CERTIFICATE, POLICY_ON_TCP_CONNECT,
                      "terminate-tls", config);
}

void flag_documents_fini(struct flag_documents *d)
{
    policy_document_free(d->tls);
    policy_document_free(d->front);
    policy_document_free(d->back);
    *d = (struct flag_documents){ 0 };
}
