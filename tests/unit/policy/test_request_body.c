/*
 * Unit tests of policy/actions/request_body, policy/body_replace and policy/replacements: the list of
 * replacements, encoded bodies, limits, failures. What differs for responses is tested with
 * policy/actions/response_body.
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

#define Q POLICY_ON_HTTP_REQUEST

static const char action[] = "request-body-find-replace";

enum { BODY_MAX_BYTES = 1024 * 1024 };

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.replacements: it is required" },
        { "{replacements: null}", E_POLICY_MISSING, "config.replacements: it is required" },
        { "{replacements: []}", E_POLICY_MISSING, "it needs at least 1 entry" },
        { "{replacements: {from: a}}", E_POLICY_CONFIG, "config.replacements: it must be a list" },
        { "{replacements: [a]}", E_POLICY_CONFIG, "config.replacements[0]: it must be a mapping" },
        { "{replacements: [{}]}", E_POLICY_MISSING, "config.replacements[0].from: it is required" },
        { "{replacements: [{to: a}]}", E_POLICY_MISSING, "config.replacements[0].from" },
        { "{replacements: [{from: a}, {from: '('}]}", E_POLICY_REGEX,
          "config.replacements[1].from: invalid regular expression" },
        { "{replacements: [{from: [a]}]}", E_POLICY_CONFIG, "config.replacements[0].from" },
        { "{replacements: [{from: '${'}]}", E_POLICY_TEMPLATE, "config.replacements[0].from" },
        { "{replacements: [{from: a, to: [b]}]}", E_POLICY_CONFIG, "config.replacements[0].to" },
        { "{replacements: [{from: a, to: '${nosuch}'}]}", E_POLICY_TEMPLATE,
          "config.replacements[0].to" },
        { "{replacements: [{from: a, field: data}]}", E_POLICY_CONFIG,
          "config.replacements[0]: unknown field 'field'" },
        { "{replacements: [{from: a}], replace: b}", E_POLICY_CONFIG, "unknown field 'replace'" },
    };

    (void)state;
    scene_expect_refusals(Q, action, cases, sizeof(cases) / sizeof(cases[0]));
}

static void compile_limits_hold(void **state)
{
    (void)state;
    scene_expect_accepted(Q, action,
                          scene_fmt("{replacements: [%s]}", scene_repeat(100, "{from: a}", ",")));
    fake_host_expect_config_refused(
        Q, action, scene_fmt("{replacements: [%s]}", scene_repeat(101, "{from: a}", ",")),
        E_POLICY_LIST_LENGTH, "101 entries, at most 100");
}

/* ---- replacing -------------------------------------------------------------------------------- */

static struct fake_message *request(void)
{
    return &scene.messages[POLICY_REQUEST];
}

static void expect_body(const char *replacements, const char *body, const char *expected)
{
    scene_restart();
    request()->body = str_from(body);
    scene_expect_verdict(Q, action, scene_fmt("{replacements: %s}", replacements), POLICY_CONTINUE);
    assert_int_equal(scene.suspended, 1);
    if (!str_eq(request()->body, str_from(expected)))
        fail_msg("%s: %.*s instead of %s", replacements, STR_ARG(request()->body), expected);
    assert_int_equal(request()->body_set, strcmp(body, expected) != 0);
}

static void run_replaces_all_matches_in_order(void **state)
{
    static const struct {
        const char *replacements;
        const char *body;
        const char *expected;
    } cases[] = {
        { "[{from: a, to: b}]", "banana", "bbnbnb" },
        { "[{from: a}]", "banana", "bnn" },
        { "[{from: a, to: ''}]", "banana", "bnn" },
        { "[{from: a, to: null}]", "banana", "bnn" },
        { "[{from: x, to: y}]", "banana", "banana" },
        { "[{from: 'b(.)n(.)', to: '$2-$1-$$-$3'}]", "ban0", "0-a-$-$3" },
        { "[{from: a, to: b}, {from: b, to: c}]", "banana", "ccncnc" },
        { "[{from: x, to: y}, {from: b, to: c}]", "banana", "canana" },
        { "[{from: '(?i)BAN', to: can}]", "banana", "canana" },
        { "[{from: '^', to: '> '}]", "a\nb", "> a\nb" },
        { "[{from: '(?m)^', to: '> '}]", "a\nb", "> a\n> b" },
        { "[{from: 'token=([0-9a-f]{4})[0-9a-f]+', to: 'token=$1...'}]", "token=0123456789abcdef&x",
          "token=0123...&x" },
        { "[{from: '\\$\\{x\\}', to: '$${y}'}]", "${x}", "${y}" },
        { "[{from: .*, to: ''}]", "all of it", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_body(cases[i].replacements, cases[i].body, cases[i].expected);
}

static void run_evaluates_both_texts(void **state)
{
    (void)state;
    expect_body("[{from: '${req.host}', to: '${req.method} $0'}]", "x app.example.com x",
                "x GET app.example.com x");
    expect_body("[{from: \"[${'a'}]\", to: \"${'$0$0'}\"}]", "banana", "baanaanaa");
    expect_body("[{from: \"${1}\", to: \"${2}\"}]", "101", "202");
}

/* Bytes are Latin-1 when they are no UTF-8 (D50). */
static void run_matches_bytes_and_characters(void **state)
{
    (void)state;
    expect_body("[{from: '^.$', to: x}]", "\xC3\xA9", "x");
    expect_body("[{from: '.', to: x}]", "\xFF\xC3\xA9", "xxx");
    expect_body("[{from: b, to: c}]",
                "\xFF"
                "b\xFE",
                "\xFF"
                "c\xFE");
    expect_body("[{from: '\\xff', to: \"\\u00e9\\u2192\"}]",
                "a\xFF"
                "b",
                "a\xE9\xE2\x86\x92"
                "b");
    expect_body("[{from: '\\xff', to: y}]",
                "a\xFF"
                "b",
                "ayb");
}

static void run_with_several_actions_works_on_what_came_before(void **state)
{
    (void)state;
    request()->body = STR("a");
    assert_int_equal(
        fake_run(
            &scene,
            "on_http_request:\n"
            "- actions:\n"
            "  - {type: request-body-find-replace, config: {replacements: [{from: a, to: b}]}}\n"
            "  - {type: request-body-find-replace, config: {replacements: [{from: b, to: c}]}}\n",
            Q),
        POLICY_CONTINUE);
    scene_expect_text(request()->body, "c");
}

/* ---- what is left alone ----------------------------------------------------------------------- */

static void run_leaves_alone_what_has_no_body(void **state)
{
    (void)state;
    request()->no_body = true; /* an upgrade or CONNECT */
    request()->body = STR("a");
    scene_expect_verdict(Q, action, "{replacements: [{from: a, to: b}]}", POLICY_CONTINUE);
    assert_int_equal(scene.suspended, 0);
    assert_false(request()->body_set);
    scene_expect_eval(Q, "actions.ngrok.request_body_find_replace.replacements", "[]");
    scene_restart();
    scene_expect_verdict(Q, action, "{replacements: [{from: '^', to: b}]}", POLICY_CONTINUE);
    assert_false(request()->body_set);
    scene_expect_eval(Q, "actions.ngrok.request_body_find_replace.replacements", "[]");
}

/* Only a response can be an endless one. */
static void run_changes_a_request_that_is_called_an_event_stream(void **state)
{
    (void)state;
    fake_host_add(&scene, "Content-Type", "text/event-stream");
    request()->body = STR("a");
    scene_expect_verdict(Q, action, "{replacements: [{from: a, to: b}]}", POLICY_CONTINUE);
    scene_expect_text(request()->body, "b");
}

/* ---- headers and codings ---------------------------------------------------------------------- */

static void run_drops_headers_that_describe_the_old_body(void **state)
{
    static const char *const names[] = { "ETag", "Content-MD5", "Digest", "Content-Digest",
                                         "Repr-Digest" };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fake_host_add(&scene, names[i], "x");
    request()->body = STR("a");
    scene_expect_verdict(Q, action, "{replacements: [{from: x}]}", POLICY_CONTINUE);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(fake_host_values(&scene, names[i])); /* nothing was changed */
    scene_expect_verdict(Q, action, "{replacements: [{from: a}]}", POLICY_CONTINUE);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_null(fake_host_values(&scene, names[i]));
    assert_non_null(fake_host_values(&scene, "host"));
}

/* The body of the request in a coding. */
static void encode_body(enum coding coding, struct str text)
{
    struct encoder *e = encoder_new(coding);
    struct buf coded;

    buf_init(&coded, 4 * 1024 * 1024);
    assert_int_equal(encoder_push(e, text, CODING_FINISH, &coded, NULL), 0);
    request()->body = arena_str(&scene.arena, buf_str(&coded));
    buf_fini(&coded);
    encoder_free(e);
}

static void run_with_an_encoded_body_decodes_it(void **state)
{
    static const struct {
        enum coding coding;
        const char *name;
    } cases[] = { { CODING_GZIP, "gzip" },
                  { CODING_GZIP, "x-gzip" },
                  { CODING_DEFLATE, "Deflate" },
                  { CODING_BR, " br" },
                  { CODING_ZSTD, "identity, zstd" } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "Content-Encoding", cases[i].name);
        encode_body(cases[i].coding, STR("hello"));
        scene_expect_verdict(Q, action, "{replacements: [{from: l, to: L}]}", POLICY_CONTINUE);
        scene_expect_text(request()->body, "heLLo");
        assert_null(fake_host_values(&scene, "content-encoding"));
    }
}

static void run_with_codings_in_two_fields_undoes_both(void **state)
{
    (void)state;
    fake_host_add(&scene, "Content-Encoding", "gzip");
    fake_host_add(&scene, "Content-Encoding", "br");
    encode_body(CODING_GZIP, STR("hello"));
    encode_body(CODING_BR, request()->body);
    scene_expect_verdict(Q, action, "{replacements: [{from: l, to: L}]}", POLICY_CONTINUE);
    scene_expect_text(request()->body, "heLLo");
    assert_null(fake_host_values(&scene, "content-encoding"));
}

static void run_that_finds_nothing_leaves_the_coding(void **state)
{
    struct str before;

    (void)state;
    fake_host_add(&scene, "Content-Encoding", "gzip");
    encode_body(CODING_GZIP, STR("hello"));
    before = request()->body;
    scene_expect_verdict(Q, action, "{replacements: [{from: x, to: L}]}", POLICY_CONTINUE);
    assert_true(str_eq(request()->body, before));
    assert_string_equal(fake_host_values(&scene, "content-encoding"), "gzip");
}

static void run_with_a_coding_it_cannot_undo_fails(void **state)
{
    static const struct {
        const char *coding;
        const char *body;
        const char *needle;
    } cases[] = {
        { "compress", "hello", "content-encoding of the body is not known" },
        { "gzip", "hello", "not what its content-encoding says" },
        { "br, x-unknown", "hello", "is not known" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "Content-Encoding", cases[i].coding);
        request()->body = str_from(cases[i].body);
        scene_expect_failure(Q, action, "{replacements: [{from: l}]}", E_POLICY_BODY,
                             cases[i].needle);
        assert_false(request()->body_set);
    }
    assert_int_equal(err_number(E_POLICY_BODY), 3903);
    assert_int_equal(err_status(E_POLICY_BODY), 500);
    scene_restart();
    fake_host_add(&scene, "Content-Encoding", "gzip");
    encode_body(CODING_GZIP, STR("hello"));
    request()->body.n -= 1;
    scene_expect_failure(Q, action, "{replacements: [{from: l}]}", E_POLICY_BODY, "incomplete");
}

/* ---- limits ----------------------------------------------------------------------------------- */

static void run_with_bodies_at_their_limit(void **state)
{
    (void)state;
    request()->body = str_from(scene_fmt("%0*d", BODY_MAX_BYTES, 0));
    scene_expect_verdict(Q, action, "{replacements: [{from: '^0', to: x}]}", POLICY_CONTINUE);
    assert_int_equal(request()->body.n, BODY_MAX_BYTES);
    scene_restart();
    request()->body = str_from(scene_fmt("%0*d", BODY_MAX_BYTES + 1, 0));
    scene_expect_failure(Q, action, "{replacements: [{from: '^0', to: x}]}",
                         E_POLICY_BODY_TOO_LARGE, "too large");
    assert_int_equal(err_number(E_POLICY_BODY_TOO_LARGE), 3903);
    assert_int_equal(err_status(E_POLICY_BODY_TOO_LARGE), 413);
}

static void run_with_decoded_bodies_at_their_limit(void **state)
{
    static const char replace[] = "{replacements: [{from: '^0', to: x}]}";

    (void)state;
    for (int c = 0; c < CODING_COUNT; c++) {
        scene_restart();
        fake_host_add(&scene, "Content-Encoding", coding_name((enum coding)c));
        encode_body((enum coding)c, str_from(scene_fmt("%0*d", BODY_MAX_BYTES, 0)));
        scene_expect_verdict(Q, action, replace, POLICY_CONTINUE);
        assert_int_equal(request()->body.n, BODY_MAX_BYTES);
        scene_restart();
        fake_host_add(&scene, "Content-Encoding", coding_name((enum coding)c));
        encode_body((enum coding)c, str_from(scene_fmt("%0*d", BODY_MAX_BYTES + 1, 0)));
        scene_expect_failure(Q, action, replace, E_POLICY_BODY_TOO_LARGE,
                             "the decoded body is too large");
        assert_false(request()->body_set);
    }
}

static void run_that_grows_too_much_fails(void **state)
{
    (void)state;
    request()->body = str_from(scene_fmt("%0*d", BODY_MAX_BYTES - 1, 0));
    scene_expect_verdict(Q, action, "{replacements: [{from: '^0', to: xx}]}", POLICY_CONTINUE);
    assert_int_equal(request()->body.n, BODY_MAX_BYTES);
    scene_expect_failure(Q, action, "{replacements: [{from: '^x', to: yy}]}", E_REPLACE_FAILED,
                         "too long");
    assert_int_equal(err_number(E_REPLACE_FAILED), 3904);
    assert_int_equal(request()->body.n, BODY_MAX_BYTES);
}

/* Latin-1 takes more room while it is worked on. */
static void run_with_latin1_at_its_limit(void **state)
{
    (void)state;
    request()->body = str_from(scene_repeat(BODY_MAX_BYTES, "\xFF", ""));
    scene_expect_verdict(Q, action, "{replacements: [{from: '^.', to: x}]}", POLICY_CONTINUE);
    assert_int_equal(request()->body.n, BODY_MAX_BYTES);
    assert_true(str_starts(request()->body, STR("x\xFF")));
    scene_expect_failure(Q, action, "{replacements: [{from: '^x', to: xx}]}", E_REPLACE_FAILED,
                         "too long");
    assert_int_equal(request()->body.n, BODY_MAX_BYTES);
}

/* ---- failures --------------------------------------------------------------------------------- */

static void run_that_fails_changes_nothing(void **state)
{
    static const struct {
        const char *replacements;
        enum err_code code;
        const char *needle;
        unsigned number;
    } cases[] = {
        { "[{from: a, to: b}, {from: a, to: '${[][0]}'}]", E_REPLACE_INTERPOLATION,
          "replacements[1].to", 3900 },
        { "[{from: a, to: b}, {from: '${[][0]}', to: c}]", E_REPLACE_INTERPOLATION,
          "replacements[1].from", 3900 },
        { "[{from: a, to: b}, {from: \"${'('}\", to: c}]", E_REPLACE_REGEX,
          "computed regular expression is invalid", 3901 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "ETag", "x");
        request()->body = STR("a");
        scene_expect_failure(Q, action, scene_fmt("{replacements: %s}", cases[i].replacements),
                             cases[i].code, cases[i].needle);
        assert_int_equal(err_number(cases[i].code), cases[i].number);
        assert_int_equal(err_status(cases[i].code), 500);
        assert_false(request()->body_set);
        assert_non_null(fake_host_values(&scene, "etag"));
    }
}

/* An error does not show the pattern, which may hold a secret. */
static void run_that_fails_does_not_show_what_was_computed(void **state)
{
    (void)state;
    scene.secrets[0] = (struct fake_secret){ "v", "n", "s3cret(" };
    request()->body = STR("a");
    scene_expect_failure(Q, action, "{replacements: [{from: \"${secrets.get('v', 'n')}\"}]}",
                         E_REPLACE_REGEX, "computed");
    assert_null(strstr(scene.response->message, "s3cret"));
}

static void run_without_the_body_fails(void **state)
{
    (void)state;
    scene.body_error = E_POLICY_BODY;
    scene_expect_failure(Q, action, "{replacements: [{from: a}]}", E_POLICY_BODY,
                         "could not be buffered");
}

/* ---- results ---------------------------------------------------------------------------------- */

static void run_result_lists_what_matched(void **state)
{
    (void)state;
    request()->body = STR("banana");
    scene_expect_verdict(Q, action,
                         "{replacements: [{from: x}, {from: 'an', to: oo}, {from: y},"
                         " {from: 'o+', to: o}]}",
                         POLICY_CONTINUE);
    scene_expect_text(request()->body, "boa");
    scene_expect_eval(Q, "actions.ngrok.request_body_find_replace.replacements",
                      "[{\"replacement_index\":1,\"matched_content\":\"an\"},"
                      "{\"replacement_index\":3,\"matched_content\":\"oooo\"}]");
    scene_expect_verdict(Q, action, "{replacements: [{from: x}]}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.request_body_find_replace", "{\"replacements\":[]}");
    scene_restart();
    request()->body = STR("banana");
    scene_expect_no_result(Q, action, "{replacements: [{from: b}]}", "request_body_find_replace");
    scene_expect_text(request()->body, "anana");
}

static void run_result_with_odd_matches(void **state)
{
    (void)state;
    request()->body = STR("a");
    scene_expect_verdict(Q, action, "{replacements: [{from: '$', to: x}]}", POLICY_CONTINUE);
    scene_expect_eval(Q, "actions.ngrok.request_body_find_replace.replacements[0].matched_content",
                      "");
    request()->body = STR("\xFF");
    scene_expect_verdict(Q, action, "{replacements: [{from: '.', to: x}]}", POLICY_CONTINUE);
    scene_expect_eval(Q,
                      "type(actions.ngrok.request_body_find_replace.replacements[0]"
                      ".matched_content) == string",
                      "true");
}

/* They may be large, and then the action still does its work. */
static void run_result_beyond_the_memory_of_the_phase_is_an_error(void **state)
{
    (void)state;
    request()->body = str_from(scene_fmt("%0*d", BODY_MAX_BYTES, 0));
    scene_expect_verdict(Q, action, "{replacements: [{from: '0+', to: x}]}", POLICY_CONTINUE);
    scene_expect_text(request()->body, "x");
    assert_true(str_starts(str_from(fake_host_eval(&scene, Q,
                                                   "actions.ngrok.request_body_find_replace"
                                                   ".replacements[0].matched_content")),
                           STR("error: ")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(compile_limits_hold),
        SCENE_TEST(run_replaces_all_matches_in_order),
        SCENE_TEST(run_evaluates_both_texts),
        SCENE_TEST(run_matches_bytes_and_characters),
        SCENE_TEST(run_with_several_actions_works_on_what_came_before),
        SCENE_TEST(run_leaves_alone_what_has_no_body),
        SCENE_TEST(run_changes_a_request_that_is_called_an_event_stream),
        SCENE_TEST(run_drops_headers_that_describe_the_old_body),
        SCENE_TEST(run_with_an_encoded_body_decodes_it),
        SCENE_TEST(run_with_codings_in_two_fields_undoes_both),
        SCENE_TEST(run_that_finds_nothing_leaves_the_coding),
        SCENE_TEST(run_with_a_coding_it_cannot_undo_fails),
        SCENE_TEST(run_with_bodies_at_their_limit),
        SCENE_TEST(run_with_decoded_bodies_at_their_limit),
        SCENE_TEST(run_that_grows_too_much_fails),
        SCENE_TEST(run_with_latin1_at_its_limit),
        SCENE_TEST(run_that_fails_changes_nothing),
        SCENE_TEST(run_that_fails_does_not_show_what_was_computed),
        SCENE_TEST(run_without_the_body_fails),
        SCENE_TEST(run_result_lists_what_matched),
        SCENE_TEST(run_result_with_odd_matches),
        SCENE_TEST(run_result_beyond_the_memory_of_the_phase_is_an_error),
    };

    return cmocka_run_group_tests_name("policy/request_body", tests, NULL, NULL);
}
