/*
 * An environment for each phase, so that a name that a phase does not have is a load error with a
 * place, and not a surprise on the first request.
 */
#include "policy/engine.h"

#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "policy/action_type.h"
#include "policy/cel/fn_policy.h"
#include "policy/cel/zone.h"
#include "policy/counters.h"
#include "policy/fn_request.h"
#include "policy/objects.h"

enum { LIBRARIES_MAX = 32, NAME_BYTES = 64 };

/* What people write who know another language (spec traffic-policy 1.10). */
static const struct {
    const char *wrong;
    const char *right;
} hints[] = {
    { "includes", "contains" },
    { "starts_with", "startsWith" },
    { "ends_with", "endsWith" },
    { "sort", "sortBy" },
    { "req.path", "req.url.path" },
    { "request.path", "req.url.path" },
    { "request", "req" },
    { "response", "res" },
    { "conn.ts.end", "conn.ts.start" },
    { "toLower", "lowerAscii" },
    { "toUpper", "upperAscii" },
};

static const struct cel_object_type *const objects[] = {
    &policy_cookie_type,
    &policy_tls_extension_type,
    NULL,
};

static size_t add_library(const struct cel_library **out, size_t count,
                          const struct cel_library *library)
{
    assert(count + 1 < LIBRARIES_MAX);
    out[count] = library;
    return count + 1;
}

/* Those of the language, and of the policy those that the phase has. */
static void choose_libraries(unsigned phases, const struct cel_library **out)
{
    size_t count = 0;

    for (size_t i = 0; cel_standard_libraries[i] != NULL; i++)
        count = add_library(out, count, cel_standard_libraries[i]);
    for (size_t i = 0; cel_policy_libraries[i] != NULL; i++)
        count = add_library(out, count, cel_policy_libraries[i]);
    count = add_library(out, count, &policy_secrets_library);
    if ((phases & VAR_QS) != 0)
        count = add_library(out, count, &policy_request_library);
    if ((phases & VAR_S) != 0)
        count = add_library(out, count, &policy_response_library);
    out[count] = NULL;
}

static void add_variables(struct cel_env *env, unsigned phases)
{
    for (unsigned i = 0; i < POLICY_VAR_COUNT; i++) {
        int added = 0;

        if ((policy_vars[i].phases & phases) != 0)
            added = cel_env_add_var(env, str_from(policy_vars[i].name), policy_vars[i].type, i);
        assert(added == 0); /* a row of vars.def names no type */
        (void)added;
    }
}

/* actions.ngrok.<result>, and actions.sallyport.<result> as its alias (D25). */
static void add_result(struct cel_env *env, const char *result, unsigned slot)
{
    const struct cel_type *any = cel_type_basic(CEL_T_DYN);

    if (result[0] == '\0')
        return;
    cel_env_add_var_type(env, arena_fmt(cel_env_arena(env), "actions.ngrok.%s", result), any, slot);
    cel_env_add_var_type(env, arena_fmt(cel_env_arena(env), "actions.sallyport.%s", result), any,
                         slot);
}

/* What terminate-tls says of certificates is what conn.tls says of them, under a second name. */
static void add_certificates(struct cel_env *env, unsigned phases)
{
    static const char *const spaces[] = { "ngrok", "sallyport" };

    for (unsigned i = VAR_CONN_TLS_CLIENT_EXTENSIONS; i < VAR_CONN_TLS_CLIENT_PEM; i++) {
        const char *name = policy_vars[i].name + sizeof("conn.tls.") - 1;

        for (size_t k = 0; k < sizeof(spaces) / sizeof(spaces[0]); k++) {
            struct str alias =
                arena_fmt(cel_env_arena(env), "actions.%s.terminate_tls.%s", spaces[k], name);

            if ((policy_vars[i].phases & phases) != 0)
                (void)cel_env_add_var(env, alias, policy_vars[i].type, i); /* as above */
        }
    }
}

static void add_results(struct cel_env *env)
{
    for (unsigned i = 0; i < ACTION_TYPE_COUNT; i++)
        add_result(env, action_types[i].result, RESULT_SLOT_FIRST + i);
    for (unsigned i = 0; i < ACTION_ABSENT_COUNT; i++)
        add_result(env, action_absent[i].result, RESULT_SLOT_ABSENT);
}

static struct cel_env *new_env(enum policy_phase phase)
{
    const struct cel_library *libraries[LIBRARIES_MAX];
    const struct cel_env_params params = { .libraries = libraries, .objects = objects };
    struct cel_env *env;

    choose_libraries(1U << phase, libraries);
    env = cel_env_new(&params);
    add_variables(env, 1U << phase);
    add_results(env);
    add_certificates(env, 1U << phase);
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        cel_env_add_hint(env, hints[i].wrong, hints[i].right);
    return env;
}

static struct cel_env *new_retry_env(enum policy_phase phase)
{
    struct cel_env *env = new_env(phase);

    cel_env_add_var_type(env, STR("attempts"), cel_type_basic(CEL_T_INT), RETRY_SLOT_ATTEMPTS);
    cel_env_add_var_type(env, STR("last_attempt"), cel_type_basic(CEL_T_DYN),
                         RETRY_SLOT_LAST_ATTEMPT);
    return env;
}

struct policy_engine *policy_engine_new(void)
{
    struct policy_engine *engine = mem_zalloc(sizeof(*engine));
    struct err e;

    for (unsigned i = 0; i < POLICY_PHASE_COUNT; i++) {
        engine->envs[i] = new_env((enum policy_phase)i);
        if ((action_types[ACTION_http_fetch].phases >> i & 1) != 0)
            engine->retry_envs[i] = new_retry_env((enum policy_phase)i);
    }
    engine->counters = counters_registry_new();
    engine->zones = cel_zones_load(CEL_ZONES_DIR, &e);
    if (engine->zones == NULL) /* then only UTC and offsets are known */
        log_warn("policy.no_time_zones", LERR(&e));
    return engine;
}

void policy_engine_free(struct policy_engine *engine)
{
    if (engine == NULL)
        return;
    for (unsigned i = 0; i < POLICY_PHASE_COUNT; i++) {
        cel_env_free(engine->envs[i]);
        cel_env_free(engine->retry_envs[i]);
    }
    cel_zones_free(engine->zones);
    counters_registry_free(engine->counters);
    mem_free(engine);
}
