/* close-connection: resets the visitor's connection without an answer (spec traffic-policy 6.5). */
#include "base/mem.h"
#include "policy/action.h"

void *close_connection_compile(const struct fields *c)
{
    static const char *const known[] = { NULL };

    (void)fields_known(c, known);
    return mem_zalloc(1); /* there is nothing to keep, but NULL would mean failure */
}

enum policy_verdict close_connection_run(const void *compiled, struct action_run *run)
{
    (void)compiled;
    (void)run;
    return POLICY_CLOSE;
}

void close_connection_free(void *compiled)
{
    mem_free(compiled);
}
