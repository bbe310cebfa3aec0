#include "sshd/exec_policy.h"

#include "base/shared_text.h"
#include "policy/policy.h"
#include "sshd/command.h"
#include "sshd/sshd_int.h"
#include "tunnel/url.h"

enum { DOCUMENTS_MAX = 4 };

/* The order of spec 5.6: how TLS ends, guards by flags, the user's rules, changes by flags. */
static size_t collect(const struct exec_policy *p, const struct command *c,
                      const struct policy_document *out[DOCUMENTS_MAX])
{
    size_t n = 0;

    if (c->flags.tls != NULL)
        out[n++] = c->flags.tls;
    if (c->flags.front != NULL)
        out[n++] = c->flags.front;
    if (p->document != NULL)
        out[n++] = p->document;
    if (c->flags.back != NULL)
        out[n++] = c->flags.back;
    return n;
}

/* `about` says what the endpoint is; the rest is filled in. */
static int compile(const struct exec_policy *p, const struct exec_policy_source *source,
                   const struct policy_request *about, struct counted **out,
                   struct policy_problems *problems)
{
    const struct policy_document *documents[DOCUMENTS_MAX];
    struct policy_request request = *about;

    request.account = str_from(source->account);
    request.documents = documents;
    request.count = collect(p, source->command, documents);
    return policy_terms_compile(source->front->settings.policy, &request, out, problems);
}

/* A document is checked before the endpoints are known, and on its own for any of them. */
static unsigned protocols_of(const struct command *c)
{
    switch (c->kind) {
    case COMMAND_HTTP:
        return POLICY_HTTP | POLICY_HTTPS;
    case COMMAND_TCP:
        return POLICY_TCP;
    case COMMAND_TLS:
        return POLICY_TLS;
    case COMMAND_POLICY_CHECK:
    case COMMAND_API:
    case COMMAND_HELP:
    case COMMAND_VERSION:
        break;
    }
    return 0;
}

static unsigned protocol_of(enum scheme scheme)
{
    switch (scheme) {
    case SCHEME_HTTP:
        return POLICY_HTTP;
    case SCHEME_HTTPS:
        return POLICY_HTTPS;
    case SCHEME_TLS:
        return POLICY_TLS;
    case SCHEME_TCP:
        return POLICY_TCP;
    }
    return 0;
}

int exec_policy_read(struct exec_policy *p, const struct exec_policy_source *source,
                     struct str name, struct str text, struct policy_problems *problems)
{
    const struct policy_terms *terms = source->front->settings.policy;
    const struct policy_request about = { .protocols = protocols_of(source->command) };
    struct counted *policy;

    p->document = policy_document_parse(name, text, &terms->limits, problems);
    if (p->document == NULL)
        return -1;
    if (compile(p, source, &about, &policy, problems) == 0) {
        counted_unref(policy);
        p->text = shared_text_new(text);
        return 0;
    }
    exec_policy_fini(p);
    return -1;
}

void exec_policy_fini(struct exec_policy *p)
{
    policy_document_free(p->document);
    shared_text_unref(p->text);
    *p = (struct exec_policy){ 0 };
}

int exec_policy_compile(const struct exec_policy *p, const struct exec_policy_source *source,
                        const struct url *url, struct counted **out, struct err *e)
{
    struct policy_problems *problems = policy_problems_new();
    const struct policy_request about = {
        .host = str_from(url->host),
        .protocols = protocol_of(url->scheme),
        .is_internal = url->binding == BINDING_INTERNAL,
    };
    int rc = compile(p, source, &about, out, problems);
    struct err why;

    if (rc == -1) {
        policy_problems_first(problems, &why);
        (void)err_set(e, E_POLICY_INVALID, "%s (%u)", why.msg, err_number(why.code));
    }
    policy_problems_free(problems);
    return rc;
}
