/*
 * forward-internal: hands the request or connection to an internal endpoint of the same account
 * (spec traffic-policy 6.9). Finding and reaching it is the gateway's; a failure comes back either
 * here, when there is no such endpoint, or later through policy_run_forward_failed(), which calls
 * this again with the failure as its state.
 */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/result.h"

enum { ON_ERROR_HALT, ON_ERROR_CONTINUE };

struct forward_internal {
    struct template *url; /* owned */
    unsigned on_error;
};

/* scheme://name.internal[:port] in its parts. */
struct target {
    struct str scheme;
    struct str host;
    uint64_t port;
};

static bool is_host(struct str host)
{
    const struct str suffix = STR(".internal");

    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '-' && c != '.' && c != '_')
            return false;
    }
    return host.n > suffix.n && host.p[0] != '.' &&
           str_eq_nocase(str_skip(host, host.n - suffix.n), suffix);
}

static bool read_target(struct str url, struct target *out)
{
    static const struct {
        struct str scheme;
        uint64_t port; /* 0: it has to be given */
    } schemes[] = { { STR_INIT("https"), 443 },
                    { STR_INIT("http"), 80 },
                    { STR_INIT("tls"), 443 },
                    { STR_INIT("tcp"), 0 } };
    struct str site = str_skip(url, str_find(url, STR("://")) + 3);
    size_t colon = str_find_char(site, ':');

    *out = (struct target){ .scheme = str_slice(url, 0, str_find(url, STR("://"))),
                            .host = str_slice(site, 0, colon) };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!str_eq_nocase(out->scheme, schemes[i].scheme))
            continue;
        out->port = schemes[i].port;
        if (colon < site.n && str_to_u64(str_skip(site, colon + 1), UINT16_MAX, &out->port) == -1)
            return false;
        return out->port > 0 && is_host(out->host);
    }
    return false;
}

void *forward_internal_compile(const struct fields *c)
{
    static const char *const known[] = { "url", "on_error", "binding", NULL };
    static const char *const on_error[] = { "halt", "continue", NULL };
    static const char *const bindings[] = { "internal", NULL };
    struct forward_internal *f = mem_zalloc(sizeof(*f));
    struct field url = fields_need(c, "url");
    struct field error = fields_find(c, "on_error");
    struct field binding = fields_find(c, "binding");
    struct target target;
    struct str literal;
    unsigned only;

    (void)fields_known(c, known);
    f->url = field_template(&url);
    if (f->url != NULL && template_is_literal(f->url, &literal) && !read_target(literal, &target))
        (void)field_problem_hint(&url, E_POLICY_URL,
                                 "for example https://api.internal or tcp://db.internal:5432",
                                 "it must be the URL of an internal endpoint, without a path");
    (void)field_choice(&error, on_error, &f->on_error);
    (void)field_choice(&binding, bindings, &only);
    return f;
}

static void set_result(struct action_run *run, struct str url, const struct err *e)
{
    struct result_field result[] = { { "url", cel_string(url) },
                                     { "error", action_error_value(run, e) } };
    struct target t;

    if (read_target(url, &t))
        result[0].value = cel_string(arena_fmt(run->arena, "%.*s://%.*s:%u", STR_ARG(t.scheme),
                                               STR_ARG(t.host), (unsigned)t.port));
    result_set(run, result, 2);
}

enum policy_verdict forward_internal_run(const void *compiled, struct action_run *run)
{
    const struct forward_internal *f = compiled;
    const struct err *late = run->state; /* the forward was tried and failed */
    struct target target;
    struct str url;
    struct err e;

    if (template_text(f->url, run, &url, &e) == -1)
        return action_fail_err(run, &e);
    if (late != NULL)
        e = *late;
    else if (!read_target(url, &target))
        (void)err_set(&e, E_ENDPOINT_OFFLINE,
                      "forward-internal: not the URL of an internal endpoint");
    else if (run->host->forward(run->ctx, url, &e) == 0)
        return POLICY_FORWARD;
    if (f->on_error == ON_ERROR_HALT)
        return action_fail_err(run, &e);
    if (action_wants_result(run))
        set_result(run, url, &e);
    return POLICY_CONTINUE;
}

void forward_internal_free(void *compiled)
{
    struct forward_internal *f = compiled;

    if (f == NULL)
        return;
    template_free(f->url);
    mem_free(f);
}
