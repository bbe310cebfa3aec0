/*
 * Fuzz target of the policy compiler: a JSON document. What compiles is run in every phase against
 * an Authorization field, which is the text behind the first NUL byte.
 * Links: policy/policy policy/fields policy/header_rule policy/actions/add_headers
 * Links: policy/actions/remove_headers policy/actions/basic_auth policy/actions/restrict_ips
 * Links: base/str base/mem base/err base/buf base/arena base/addr base/base64
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct addr *client_addr(void *ctx)
{
    static const struct addr client = { .family = 4, .ip = { 192, 0, 2, 1 } };

    (void)ctx;
    return &client;
}

static struct str header_find(void *ctx, struct str name, size_t index)
{
    const struct str *authorization = ctx;

    assert(name.n > 0);
    return index == 0 ? *authorization : STR_NONE;
}

static void header_add(void *ctx, struct str name, struct str value)
{
    (void)ctx;
    assert(name.n > 0 && memchr(name.p, '\n', name.n) == NULL);
    assert(value.n == 0 || memchr(value.p, '\n', value.n) == NULL);
}

static size_t header_remove(void *ctx, struct str name)
{
    (void)ctx;
    assert(name.n > 0);
    return 0;
}

static void run(const struct counted *policy, struct str authorization)
{
    static const struct policy_host host = {
        .client_addr = client_addr,
        .header_find = header_find,
        .header_add = header_add,
        .header_remove = header_remove,
    };

    for (int phase = 0; phase < POLICY_PHASE_COUNT; phase++) {
        struct policy_result result = { 0 };
        struct arena arena;

        arena_init(&arena);
        if (policy_run(policy, (enum policy_phase)phase, &host, &authorization, &arena, &result) ==
            POLICY_RESPOND)
            assert(result.response.status >= 400);
        arena_fini(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    size_t end = str_find_char(input, '\0');
    struct err e = { .code = E_OK };
    struct counted *policy;
    json_t *document = json_loadb(input.p, end, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    if (document == NULL)
        return 0;
    policy = policy_compile(document, &e);
    json_decref(document);
    if (policy == NULL) {
        assert(e.code != E_OK && e.msg[0] != '\0');
        return 0;
    }
    run(policy, str_skip(input, end + 1));
    counted_unref(policy);
    return 0;
}
