/*
 * Unit tests of policy/actions/response_body: what differs from requests.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/coding.h"
#include "tests/unit/policy/action_scene.h"

#define S POLICY_ON_HTTP_RESPONSE

static const char action[] = "response-body-find-replace";

enum { BODY_MAX_BYTES = 1024 * 1024 };

static struct fake_message *response(void)
{
    return &scene.messages[POLICY_RESPONSE];
}

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.replacements: it is required" },
        { "{replacements: [{from: '('}]}", E_POLICY_REGEX, "config.replacements[0].from" },
        { "{replacements: [{from: a, field: data}]}", E_POLICY_CONFIG, "unknown field 'field'" },
    };

    (void)state;
    scene_expect_refusals(S, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void run_replaces_in_the_response(void **state)
{
    (void)state;
    fake_host_add(&scene, "ETag", "of the request");
    fake_host_add_response(&scene, "ETag", "x");
    fake_host_add_response(&scene, "Content-Type", "text/plain");
    scene.messages[POLICY_REQUEST].body = STR("abc");
    response()->body = STR("token=0123456789abcdef");
    scene_expect_verdict(S, action,
                         "{replacements: [{from: 'token=([0-9a-f]{4})[0-9a-f]+',"
                         " to: 'token=$1... ${res.status_code}'}]}",
                         POLICY_CONTINUE);
    assert_int_equal(scene.suspended, 1);
    scene_expect_text(response()->body, "token=0123... 200");
    assert_null(fake_host_response_values(&scene, "etag"));
    assert_string_equal(fake_host_response_values(&scene, "content-type"), "text/plain");
    assert_string_equal(fake_host_values(&scene, "etag"), "of the request");
    assert_false(scene.messages[POLICY_REQUEST].body_set);
    scene_expect_eval(S, "actions.ngrok.response_body_find_replace.replacements",
                      "[{\"replacement_index\":0,\"matched_content\":\"token=0123456789abcdef\"}]");
    scene_restart();
    response()->body = STR("a");
    scene_expect_no_result(S, action, "{replacements: [{from: a}]}", "response_body_find_replace");
}

static void run_leaves_event_streams_alone(void **state)
{
    static const char *const types[] = { "text/event-stream", "Text/Event-Stream; charset=utf-8",
                                         "text/event-stream ;x" };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        scene_restart();
        fake_host_add_response(&scene, "Content-Type", types[i]);
        response()->body = STR("data: a\n\n");
        scene_expect_verdict(S, action, "{replacements: [{from: a, to: b}]}", POLICY_CONTINUE);
        assert_int_equal(scene.suspended, 0);
        assert_false(response()->body_set);
        scene_expect_eval(S, "actions.ngrok.response_body_find_replace.replacements", "[]");
    }
}

static void run_leaves_alone_what_has_no_body(void **state)
{
    (void)state;
    response()->no_body = true; /* an upgrade, HEAD, 204 */
    fake_host_add_response(&scene, "Content-Encoding", "gzip");
    scene_expect_verdict(S, action, "{replacements: [{from: '^', to: b}]}", POLICY_CONTINUE);
    assert_false(response()->body_set);
    assert_int_equal(scene.suspended, 0);
}

/* There is nothing to decode, whatever the header says. */
static void run_with_an_empty_body_may_fill_it(void **state)
{
    (void)state;
    fake_host_add_response(&scene, "Content-Encoding", "gzip");
    scene_expect_verdict(S, action, "{replacements: [{from: a, to: b}]}", POLICY_CONTINUE);
    assert_false(response()->body_set);
    assert_string_equal(fake_host_response_values(&scene, "content-encoding"), "gzip");
    scene_expect_verdict(S, action, "{replacements: [{from: '^$', to: nothing}]}", POLICY_CONTINUE);
    scene_expect_text(response()->body, "nothing");
    assert_null(fake_host_response_values(&scene, "content-encoding"));
}

static void run_with_too_large_a_body_is_the_upstreams_fault(void **state)
{
    struct encoder *e = encoder_new(CODING_BR);
    struct buf coded;

    (void)state;
    scene.body_error = E_POLICY_RESPONSE_TOO_LARGE; /* what the host says of it */
    scene_expect_failure(S, action, "{replacements: [{from: a}]}", E_POLICY_RESPONSE_TOO_LARGE, "");
    assert_int_equal(err_number(E_POLICY_RESPONSE_TOO_LARGE), 3903);
    assert_int_equal(err_status(E_POLICY_RESPONSE_TOO_LARGE), 502);
    scene.body_error = E_OK;
    buf_init(&coded, BODY_MAX_BYTES);
    assert_int_equal(encoder_push(e, str_from(scene_fmt("%0*d", BODY_MAX_BYTES + 1, 0)),
                                  CODING_FINISH, &coded, NULL),
                     0);
    fake_host_add_response(&scene, "Content-Encoding", "br");
    response()->body = buf_str(&coded);
    scene_expect_failure(S, action, "{replacements: [{from: a}]}", E_POLICY_RESPONSE_TOO_LARGE,
                         "decoded body is too large");
    encoder_free(e);
    buf_fini(&coded);
}

static void run_that_fails_replaces_the_response(void **state)
{
    (void)state;
    response()->body = STR("a");
    scene_expect_failure(S, action, "{replacements: [{from: a, to: '${[][0]}'}]}",
                         E_REPLACE_INTERPOLATION, "replacements[0].to");
    assert_false(response()->body_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(run_replaces_in_the_response),
        SCENE_TEST(run_leaves_event_streams_alone),
        SCENE_TEST(run_leaves_alone_what_has_no_body),
        SCENE_TEST(run_with_an_empty_body_may_fill_it),
        SCENE_TEST(run_with_too_large_a_body_is_the_upstreams_fault),
        SCENE_TEST(run_that_fails_replaces_the_response),
    };

    return cmocka_run_group_tests_name("policy/response_body", tests, NULL, NULL);
}
