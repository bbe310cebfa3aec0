/*
 * sse-find-replace: changes text in a field of each message of an event stream (spec traffic-policy
 * 6.21). The messages come from policy/sse.h.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/replacements.h"
#include "policy/sse.h"

void *sse_find_replace_compile(const struct fields *c)
{
    static const char *const known[] = { "replacements", NULL };
    struct replacements *r = mem_zalloc(sizeof(*r));

    (void)fields_known(c, known);
    replacements_read(c, REPLACEMENTS_EVENT_STREAM, r);
    return r;
}

static int which_field(const struct replacement *r, struct action_run *run, enum sse_field *out,
                       struct err *e)
{
    struct str name = STR("data");

    if (r->field != NULL && template_text(r->field, run, &name, e) == -1) {
        e->code = E_REPLACE_INTERPOLATION;
        return -1;
    }
    *out = SSE_DATA;
    if (str_eq(name, STR("retry")))
        *out = SSE_RETRY;
    else if (!str_eq(name, STR("data")))
        return err_set(e, E_REPLACE_INTERPOLATION, "sse-find-replace: field must be data or retry");
    return 0;
}

/* Applies one entry; *matched has p == NULL when it found nothing. */
static int apply(const struct replacement *r, struct action_run *run, struct cel_value *result,
                 size_t index, bool *found, struct err *e)
{
    enum sse_field field;
    struct str text;
    struct str matched;
    struct buf out;
    int rc;

    *found = false;
    if (which_field(r, run, &field, e) == -1)
        return -1;
    if (!sse_get(run, field, &text))
        return 0;
    buf_init(&out, SSE_MESSAGE_MAX_BYTES);
    rc = replacement_apply(r, run, text, &out, &matched, e);
    if (rc == 0 && matched.p != NULL) {
        *found = true;
        if (action_wants_result(run))
            *result = replacement_result(run, index, matched);
        sse_set(run, field, buf_str(&out));
    }
    buf_fini(&out);
    return rc;
}

enum policy_verdict sse_find_replace_run(const void *compiled, struct action_run *run)
{
    const struct replacements *r = compiled;
    struct cel_value results[REPLACEMENTS_MAX];
    size_t count = 0;
    struct err e;

    for (size_t i = 0; i < r->count; i++) {
        bool found;

        results[count] = cel_null();
        if (apply(&r->items[i], run, &results[count], i, &found, &e) == -1)
            return action_fail_err(run, &e);
        count += found;
    }
    if (action_wants_result(run))
        replacements_set_result(run, results, count);
    return POLICY_CONTINUE;
}

void sse_find_replace_free(void *compiled)
{
    struct replacements *r = compiled;

    if (r == NULL)
        return;
    replacements_fini(r);
    mem_free(r);
}
