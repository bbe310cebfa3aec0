/* response-body-find-replace: changes text in the body of a response (spec traffic-policy 6.20). */
#include "policy/body_replace.h"

void *response_body_compile(const struct fields *c)
{
    return body_replace_compile(c);
}

enum policy_verdict response_body_run(const void *compiled, struct action_run *run)
{
    return body_replace_run(compiled, run, POLICY_RESPONSE);
}

void response_body_free(void *compiled)
{
    body_replace_free(compiled);
}
