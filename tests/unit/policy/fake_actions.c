/*
 * fake_actions: every action as one that takes any config and does nothing, so that a test of documents
 * need not write configs. The real one takes the place of its weak namesake here where a test links it.
 */
#include "base/mem.h"
#include "policy/action.h"

#define ACTION(symbol, name, result, phases, flags)                                                \
    __attribute__((weak)) void *symbol##_compile(const struct fields *c)                           \
    {                                                                                              \
        (void)c;                                                                                   \
        return mem_zalloc(1);                                                                      \
    }                                                                                              \
    __attribute__((weak)) enum policy_verdict symbol##_run(const void *compiled,                   \
                                                           struct action_run *run)                 \
    {                                                                                              \
        (void)compiled;                                                                            \
        (void)run;                                                                                 \
        return POLICY_CONTINUE;                                                                    \
    }                                                                                              \
    __attribute__((weak)) void symbol##_free(void *compiled)                                       \
    {                                                                                              \
        mem_free(compiled);                                                                        \
    }
#include "policy/actions.def"
#undef ACTION
