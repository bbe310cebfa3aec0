/* url-rewrite: changes the path and query that the upstream sees (spec traffic-policy 6.19). */
#include "base/mem.h"
#include "policy/action.h"
#include "policy/url_edit.h"

void *url_rewrite_compile(const struct fields *c)
{
    static const char *const known[] = { "from", "to", NULL };
    struct url_edit *u = mem_zalloc(sizeof(*u));

    (void)fields_known(c, known);
    url_edit_read(c, URL_EDIT_REWRITE, u);
    return u;
}

enum policy_verdict url_rewrite_run(const void *compiled, struct action_run *run)
{
    const struct url_edit *u = compiled;
    struct url_edited edited;
    struct str target;
    struct err e = { .code = E_OK };

    if (url_edit_apply(u, run, &edited, &e) == 0 && edited.changed &&
        url_edit_target(run, edited.url, &target, &e) == 0)
        run->host->set_target(run->ctx, target);
    if (action_wants_result(run))
        url_edit_set_result(run, &edited, e.code == E_OK ? NULL : &e);
    return e.code == E_OK ? POLICY_CONTINUE : action_fail_err(run, &e);
}

void url_rewrite_free(void *compiled)
{
    struct url_edit *u = compiled;

    if (u == NULL)
        return;
    url_edit_fini(u);
    mem_free(u);
}
