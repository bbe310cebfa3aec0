/*
 * Unit tests of policy/result: what is read when the memory of a phase is nearly used up.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy/action_scene.h"

#define Q POLICY_ON_HTTP_REQUEST

enum { MEMORY_BYTES = 1024 * 1024, STEP_BYTES = 16, NEAR_BYTES = 4096 };

/* The visitor passes the first time and not the second. */
static const char document[] =
    "on_http_request:\n"
    "- actions:\n"
    "  - {type: restrict-ips, config: {enforce: false, allow: [192.0.2.0/24]}}\n"
    "  - {type: set-vars, config: {vars: [{x: '${req.headers.x[0]}'}]}}\n"
    "  - {type: restrict-ips, config: {enforce: false, allow: [10.0.0.0/8]}}\n";

/* Runs it with so much memory used before the second time. */
static enum policy_verdict run_with(size_t used)
{
    static char value[MEMORY_BYTES + 1];

    memset(value, 'x', MEMORY_BYTES);
    scene_restart();
    fake_host_add(&scene, "x", value + MEMORY_BYTES - used);
    return fake_run(&scene, document, Q);
}

static void result_without_memory_is_an_error_and_not_an_old_one(void **state)
{
    size_t known = 0;
    size_t errors = 0;

    (void)state;
    for (size_t left = NEAR_BYTES; left > 0; left -= STEP_BYTES) {
        const char *action;

        if (run_with(MEMORY_BYTES - left) != POLICY_CONTINUE)
            break; /* the variable itself was too large */
        action = fake_host_eval(&scene, Q, "actions.ngrok.restrict_ips.action");
        if (strcmp(action, "deny") == 0) {
            known++;
            /* All of it is there. */
            scene_expect_eval(Q, "actions.ngrok.restrict_ips.error.code", "");
        } else {
            errors++;
            assert_true(str_starts(str_from(action), STR("error: ")));
        }
    }
    assert_true(known > 0 && errors > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(result_without_memory_is_an_error_and_not_an_old_one),
    };

    return cmocka_run_group_tests_name("policy/result", tests, NULL, NULL);
}
