/* deny: refuses a connection, or a request with a status and nothing else (spec traffic-policy 6.8). */
#include "base/mem.h"
#include "policy/action.h"

struct deny {
    unsigned status;
};

static void read_status(const struct fields *c, struct deny *d)
{
    struct field status = fields_find(c, "status_code");
    struct field body = fields_find(c, "body");
    int64_t value = 403;

    if (field_int(&status, 200, 599, &value) == 0 && value < 400)
        field_warn(&status, "status %d does not look like a refusal", (int)value);
    d->status = (unsigned)value;
    if (field_is_given(&body))
        field_warn(&body, "deny sends no body; use custom-response for one");
}

void *deny_compile(const struct fields *c)
{
    static const char *const known[] = { "status_code", "body", NULL };
    static const char *const none[] = { NULL };
    struct deny *d = mem_zalloc(sizeof(*d));

    if (fields_phase(c) == POLICY_ON_TCP_CONNECT) {
        (void)fields_known(c, none);
        return d;
    }
    (void)fields_known(c, known);
    read_status(c, d);
    return d;
}

enum policy_verdict deny_run(const void *compiled, struct action_run *run)
{
    const struct deny *d = compiled;

    if (run->phase == POLICY_ON_TCP_CONNECT)
        return POLICY_CLOSE;
    run->response->status = d->status;
    return POLICY_RESPOND;
}

void deny_free(void *compiled)
{
    mem_free(compiled);
}
