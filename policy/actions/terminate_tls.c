/*
 * terminate-tls: ends TLS of a connection here, with settings of the policy (spec traffic-policy 6.25).
 * What is literal is parsed when the policy is loaded, only to say what is wrong with it; the gateway
 * parses it once more and keeps it. Stored authorities ("ca_...") do not exist here: such an entry is
 * named in the warnings of the result and trusts nobody.
 */
#include <assert.h>

#include "base/mem.h"
#include "policy/action.h"
#include "policy/pem.h"
#include "policy/result.h"

enum { TERMINATE_TLS_AUTHORITIES_MAX = 100 };

static const char *const version_names[] = { "1.2", "1.3", NULL };
static const char *const strategy_names[] = { "require-and-verify", "require-any", "request",
                                              NULL };
static const enum policy_tls_verify strategies[] = { POLICY_TLS_REQUIRE_AND_VERIFY,
                                                     POLICY_TLS_REQUIRE_ANY, POLICY_TLS_REQUEST };

struct terminate_tls {
    enum policy_tls_version min_version;
    enum policy_tls_version max_version;
    enum policy_tls_verify verify;
    struct template *certificate;  /* owned; NULL: that of the gateway */
    struct template *key;          /* owned */
    struct template **authorities; /* owned */
    size_t authority_count;
};

/* ---- config ---------------------------------------------------------------------------------- */

static void read_versions(const struct fields *c, struct terminate_tls *t)
{
    struct field min = fields_find(c, "min_version");
    struct field max = fields_find(c, "max_version");
    unsigned low = POLICY_TLS_1_2;
    unsigned high = POLICY_TLS_1_3;

    (void)field_choice(&min, version_names, &low);
    (void)field_choice(&max, version_names, &high);
    if (low > high)
        (void)field_problem(&min, E_POLICY_RANGE, "%s is above max_version, which is %s",
                            version_names[low], version_names[high]);
    t->min_version = (enum policy_tls_version)low;
    t->max_version = (enum policy_tls_version)high;
}

/* The text of a field that is given and literal. */
static bool is_literal(const struct template *t, struct str *out)
{
    return t != NULL && template_is_literal(t, out);
}

static void check_certificate(const struct field *certificate, const struct field *key,
                              const struct terminate_tls *t)
{
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *private_key = NULL;
    struct str text;
    struct err e;

    if (is_literal(t->certificate, &text)) {
        chain = pem_parse_chain(text, "the text", &e);
        if (chain == NULL)
            (void)field_problem(certificate, E_POLICY_UNPARSABLE, "%s", e.msg);
    }
    if (is_literal(t->key, &text)) {
        private_key = pem_parse_user_key(text, "the text", &e);
        if (private_key == NULL)
            (void)field_problem(key, E_POLICY_UNPARSABLE, "%s", e.msg);
    }
    if (chain != NULL && private_key != NULL && !pem_is_pair(sk_X509_value(chain, 0), private_key))
        (void)field_problem(key, E_POLICY_UNPARSABLE,
                            "it is not the key of the certificate in server_certificate");
    EVP_PKEY_free(private_key);
    pem_chain_free(chain);
}

static void read_certificate(const struct fields *c, struct terminate_tls *t)
{
    struct field certificate = fields_find(c, "server_certificate");
    struct field key = fields_find(c, "server_private_key");

    t->certificate = field_template(&certificate);
    t->key = field_template(&key);
    if (field_is_given(&certificate) && !field_is_given(&key))
        (void)field_problem(&key, E_POLICY_FIELDS_TOGETHER,
                            "server_certificate needs it, the private key of the certificate");
    else if (field_is_given(&key) && !field_is_given(&certificate))
        (void)field_problem(&certificate, E_POLICY_FIELDS_TOGETHER,
                            "server_private_key needs it, the certificate of the key");
    else
        check_certificate(&certificate, &key, t);
}

/* "ca_..." names an authority that was stored. */
static bool is_id(struct str text)
{
    return str_starts(text, STR("ca_"));
}

static void check_authority(const struct field *f, const struct template *t, STACK_OF(X509) * all)
{
    struct str text;
    struct err e;

    if (!is_literal(t, &text))
        return;
    text = str_trim(text);
    if (is_id(text))
        field_warn(f,
                   "this gateway stores no authorities, so '%.*s' lets nobody in; give it as PEM",
                   STR_ARG(str_slice(text, 0, 64)));
    else if (pem_parse_authorities(text, "the text", all, &e) == -1)
        (void)field_problem(f, e.code, "%s", e.msg);
}

/* One text stands for a list of one (spec traffic-policy 1.10). */
static void read_authorities(const struct fields *c, struct terminate_tls *t)
{
    struct field list = fields_find(c, "mutual_tls_certificate_authorities");
    bool is_single = field_is_given(&list) && list.node->kind == DOC_SCALAR;
    STACK_OF(X509) *all = sk_X509_new_null();

    assert(all != NULL);
    if (is_single)
        t->authority_count = 1;
    else
        (void)field_list(&list, 1, TERMINATE_TLS_AUTHORITIES_MAX, &t->authority_count);
    t->authorities = mem_zalloc_array(t->authority_count, sizeof(struct template *));
    for (size_t i = 0; i < t->authority_count; i++) {
        struct field item = is_single ? list : field_item(&list, i);

        t->authorities[i] = field_template(&item);
        check_authority(&item, t->authorities[i], all);
    }
    pem_chain_free(all);
}

static void read_verification(const struct fields *c, struct terminate_tls *t)
{
    struct field strategy = fields_find(c, "mutual_tls_verification_strategy");
    struct field list = fields_find(c, "mutual_tls_certificate_authorities");
    unsigned which = 0;

    read_authorities(c, t);
    if (field_choice(&strategy, strategy_names, &which) == -1)
        return;
    if (field_is_given(&strategy) || field_is_given(&list))
        t->verify = strategies[which];
    if (t->verify == POLICY_TLS_REQUIRE_AND_VERIFY && !field_is_given(&list))
        (void)field_problem(&list, E_POLICY_FIELDS_TOGETHER,
                            "require-and-verify needs it, who may sign visitors' certificates");
}

void *terminate_tls_compile(const struct fields *c)
{
    static const char *const known[] = { "min_version",
                                         "max_version",
                                         "server_private_key",
                                         "server_certificate",
                                         "mutual_tls_certificate_authorities",
                                         "mutual_tls_verification_strategy",
                                         NULL };
    struct terminate_tls *t = mem_zalloc(sizeof(*t));

    (void)fields_known(c, known);
    read_versions(c, t);
    read_certificate(c, t);
    read_verification(c, t);
    return t;
}

void terminate_tls_free(void *compiled)
{
    struct terminate_tls *t = compiled;

    if (t == NULL)
        return;
    template_free(t->certificate);
    template_free(t->key);
    for (size_t i = 0; i < t->authority_count; i++)
        template_free(t->authorities[i]);
    mem_free(t->authorities);
    mem_free(t);
}

/* ---- run ------------------------------------------------------------------------------------- */

/* What is kept while the handshake is under way. */
struct progress {
    struct policy_tls settings;
    struct cel_value *warnings;
    size_t warning_count;
};

static struct str text_var(struct action_run *run, enum policy_var var)
{
    struct cel_value v = run->host->var(run->ctx, var, run->arena);

    return v.kind == CEL_STRING ? cel_str(v) : STR_NONE;
}

static int fill_authorities(const struct terminate_tls *t, struct action_run *run,
                            struct progress *p, struct err *e)
{
    struct str *texts = arena_alloc(run->arena, (t->authority_count + 1) * sizeof(*texts));
    size_t count = 0;

    p->warnings = arena_alloc(run->arena, (t->authority_count + 1) * sizeof(*p->warnings));
    for (size_t i = 0; i < t->authority_count; i++) {
        struct str text;

        if (template_text(t->authorities[i], run, &text, e) == -1)
            return -1;
        text = str_trim(text);
        if (is_id(text))
            p->warnings[p->warning_count++] = cel_string(
                arena_fmt(run->arena, "there is no certificate authority '%.*s'", STR_ARG(text)));
        else
            texts[count++] = text;
    }
    p->settings.authorities = texts;
    p->settings.authority_count = count;
    return 0;
}

/* NULL when a field cannot be evaluated. */
static struct progress *begin(const struct terminate_tls *t, struct action_run *run, struct err *e)
{
    struct progress *p = arena_zalloc(run->arena, sizeof(*p));

    p->settings.min_version = t->min_version;
    p->settings.max_version = t->max_version;
    p->settings.verify = t->verify;
    if (t->certificate != NULL &&
        (template_text(t->certificate, run, &p->settings.certificate, e) == -1 ||
         template_text(t->key, run, &p->settings.key, e) == -1))
        return NULL;
    return fill_authorities(t, run, p, e) == 0 ? p : NULL;
}

static void set_result(struct action_run *run, const struct progress *p)
{
    struct cel_list *warnings = arena_alloc(run->arena, sizeof(*warnings));
    const struct result_field result[] = {
        { "cipher_suite", cel_string(text_var(run, VAR_CONN_TLS_CIPHER_SUITE)) },
        { "sni", cel_string(text_var(run, VAR_CONN_TLS_SNI)) },
        { "version", cel_string(text_var(run, VAR_CONN_TLS_VERSION)) },
        { "warnings", cel_list_of(warnings) },
        { "error", action_error_value(run, NULL) },
    };

    *warnings = (struct cel_list){ .items = p->warnings, .count = p->warning_count };
    result_set(run, result, sizeof(result) / sizeof(result[0]));
}

enum policy_verdict terminate_tls_run(const void *compiled, struct action_run *run)
{
    struct progress *p = run->state;
    struct err e;

    /* What conn.tls.version says before the first one has run is nothing. */
    if (p == NULL && text_var(run, VAR_CONN_TLS_VERSION).n > 0) {
        action_warn(run, "skipped: TLS of this connection has ended already");
        return POLICY_CONTINUE;
    }
    if (p == NULL)
        run->state = p = begin(compiled, run, &e);
    if (p == NULL)
        return action_fail_err(run, &e);
    switch (run->host->terminate_tls(run->ctx, &p->settings, &e)) {
    case POLICY_READY:
        break;
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return action_fail_err(run, &e);
    }
    if (action_wants_result(run))
        set_result(run, p);
    return POLICY_CONTINUE;
}
