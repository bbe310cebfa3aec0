/*
 * Unit tests of policy/actions/sse_find_replace: which field it changes, what it does with one that is
 * computed, and what ends a stream.
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
#include "policy/compiled.h"
#include "policy/filter.h"
#include "tests/unit/policy/action_scene.h"

#define E POLICY_ON_EVENT_STREAM_MESSAGE

static const char action[] = "sse-find-replace";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{}", E_POLICY_MISSING, "config.replacements: it is required" },
        { "{replacements: []}", E_POLICY_MISSING, "it needs at least 1 entry" },
        { "{replacements: {from: a}}", E_POLICY_CONFIG, "config.replacements: it must be a list" },
        { "{replacements: [a]}", E_POLICY_CONFIG, "config.replacements[0]: it must be a mapping" },
        { "{replacements: [{to: a}]}", E_POLICY_MISSING, "config.replacements[0].from" },
        { "{replacements: [{from: '('}]}", E_POLICY_REGEX, "config.replacements[0].from" },
        { "{replacements: [{from: a, to: '${'}]}", E_POLICY_TEMPLATE, "config.replacements[0].to" },
        { "{replacements: [{from: a, field: event}]}", E_POLICY_CHOICE,
          "config.replacements[0].field: it must be data or retry" },
        { "{replacements: [{from: a, field: id}]}", E_POLICY_CHOICE, "it must be data or retry" },
        { "{replacements: [{from: a, field: ''}]}", E_POLICY_CHOICE, "it must be data or retry" },
        { "{replacements: [{from: a, field: [data]}]}", E_POLICY_CONFIG,
          "config.replacements[0].field" },
        { "{replacements: [{from: a, field: '${nosuch}'}]}", E_POLICY_TEMPLATE,
          "config.replacements[0].field" },
        { "{replacements: [{from: a, with: b}]}", E_POLICY_CONFIG, "unknown field 'with'" },
        { "{replace: []}", E_POLICY_CONFIG, "unknown field 'replace'" },
    };

    (void)state;
    scene_expect_refusals(E, action, cases, sizeof(cases) / sizeof(cases[0]));
    scene_expect_accepted(E, action,
                          scene_fmt("{replacements: [%s]}", scene_repeat(100, "{from: a}", ",")));
    fake_host_expect_config_refused(
        E, action, scene_fmt("{replacements: [%s]}", scene_repeat(101, "{from: a}", ",")),
        E_POLICY_LIST_LENGTH, "101 entries, at most 100");
}

/* ---- streams ---------------------------------------------------------------------------------- */

/* A filter of the policy, in the place of the response. */
static struct policy_filter *start(struct counted *policy)
{
    struct policy_filter *f;

    assert_int_equal(fake_host_run(&scene, policy, POLICY_ON_HTTP_RESPONSE), POLICY_CONTINUE);
    counted_unref(policy); /* the run has its own */
    f = policy_run_event_stream_filter(scene.run);
    assert_non_null(f);
    scene.filters[scene.filter_count++] = f;
    return f;
}

static void expect_stream(struct counted *policy, const char *in, const char *out)
{
    struct str is;

    (void)start(policy);
    is = fake_host_filter(&scene, str_from(in), 7);
    if (!str_eq(is, str_from(out)))
        fail_msg("of '%s': '%.*s' instead of '%s'", in, STR_ARG(is), out);
}

static void expect_replaced(const char *replacements, const char *in, const char *out)
{
    expect_stream(
        fake_host_compile_action(E, action, scene_fmt("{replacements: %s}", replacements)), in,
        out);
}

static void run_replaces_in_the_field(void **state)
{
    static const struct {
        const char *replacements;
        const char *in;
        const char *out;
    } cases[] = {
        { "[{from: '[0-9]{16}', to: '****'}]", "data: card 1234567812345678\n\n",
          "data: card ****\n\n" },
        { "[{from: a, to: b}]", "event: a\nid: a\ndata: a\nretry: 1\n: a\n\n",
          "event: a\nid: a\ndata: b\nretry: 1\n: a\n\n" },
        { "[{from: a, to: b, field: data}]", "data: aaa\n\ndata: xax\n\n",
          "data: bbb\n\ndata: xbx\n\n" },
        { "[{from: x}]", "data: a\n\n", "data: a\n\n" },
        { "[{from: a}]", "data: bab\n\n", "data: bb\n\n" },
        { "[{from: 'a\\nb', to: c}]", "data: a\ndata: b\n\n", "data: c\n\n" },
        { "[{from: ' ', to: \"\\n\"}]", "data: a b\n\n", "data: a\ndata: b\n\n" },
        { "[{from: '(\\w)(\\w)', to: '$2$1'}]", "data: ab\n\n", "data: ba\n\n" },
        { "[{from: a, to: b}, {from: b, to: c}]", "data: ab\n\n", "data: cc\n\n" },
        { "[{from: '\\d+', to: '5000', field: retry}]", "retry: 1\ndata: 1\n\n",
          "retry: 5000\ndata: 1\n\n" },
        { "[{from: '\\d+', to: soon, field: retry}]", "retry: 1\ndata: 1\n\n", "data: 1\n\n" },
        { "[{from: 1, to: '', field: retry}]", "retry: 1\ndata: 1\n\n", "data: 1\n\n" },
        { "[{from: '1', to: '2', field: retry}]", "data: 1\n\n", "data: 1\n\n" },
        { "[{from: '^', to: x}]", "id: 1\n\n", "id: 1\n\n" }, /* no data at all */
        { "[{from: '^', to: x}]", "data\n\n", "data: x\n\n" },
        { "[{from: a, to: '${1 + 1}'}]", "data: a\r\n\r\n", "data: 2\r\n\r\n" },
        { "[{from: \"[${'a'}]\", to: b}]", "data: a\n\n", "data: b\n\n" },
        { "[{from: a, to: b, field: \"${'da' + 'ta'}\"}]", "data: a\n\n", "data: b\n\n" },
        { "[{from: 1, to: 2, field: \"${'retry'}\"}]", "retry: 1\n\n", "retry: 2\n\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_replaced(cases[i].replacements, cases[i].in, cases[i].out);
}

static void run_result_lists_what_matched_in_this_message(void **state)
{
    (void)state;
    expect_stream(
        fake_host_compile("on_event_stream_message:\n"
                          "- expressions: ['actions.ngrok.sse_find_replace == null']\n"
                          "  actions:\n"
                          "  - type: sse-find-replace\n"
                          "    config: {replacements: [{from: x}, {from: 'a+', to: b}]}\n"
                          "  - type: sse-find-replace\n"
                          "    config: {replacements: [{from: $, to:"
                          " ' ${actions.ngrok.sse_find_replace.replacements}'}]}\n"),
        "data: aab\n\ndata: c\n\n",
        "data: bb [{\"replacement_index\":1,\"matched_content\":\"aa\"}]\n\ndata: c []\n\n");
}

static void run_without_a_reader_makes_no_result(void **state)
{
    struct counted *policy = fake_host_compile(
        "on_event_stream_message:\n"
        "- actions: [{type: sse-find-replace, config: {replacements: [{from: a, to: b}]}}]\n"
        "- expressions: ['actions.ngrok.sse_find_replace == null']\n"
        "  actions: [{type: sse-find-replace, config: {replacements: [{from: b, to: none}]}}]\n");

    (void)state;
    ((struct policy *)policy)->results_read = 0;
    expect_stream(policy, "data: a\n\n", "data: none\n\n");
}

/* ---- failures --------------------------------------------------------------------------------- */

/* A stream whose second message fails is cut behind the first. */
static void expect_cut(const char *replacements, enum err_code code, const char *needle)
{
    struct policy_filter *f;
    struct buf out;
    struct err e = { .code = E_OK };

    scene.secrets[0] = (struct fake_secret){ "v", "n", "s3cret(" };
    f = start(fake_host_compile(scene_fmt("on_event_stream_message:\n"
                                          "- actions:\n"
                                          "  - type: sse-find-replace\n"
                                          "    config: {replacements: [{from: fail, to: bad}]}\n"
                                          "  - type: sse-find-replace\n"
                                          "    config: {replacements: %s}\n",
                                          replacements)));
    buf_init(&out, FILTER_OUTPUT_MAX_BYTES);
    assert_int_equal(f->ops->push(f, STR("data: fail\n\ndata: later\n\n"), &out, &e), -1);
    if (e.code != code || strstr(e.msg, needle) == NULL)
        fail_msg("%s: %u %s", replacements, err_number(e.code), e.msg);
    assert_null(strstr(e.msg, "s3cret"));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void run_that_fails_cuts_the_stream(void **state)
{
    static const struct {
        const char *replacements;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "[{from: a}, {from: x, to: '${[][0]}'}]", E_REPLACE_INTERPOLATION, "replacements[1].to" },
        { "[{from: '${[][0]}'}]", E_REPLACE_INTERPOLATION, "replacements[0].from" },
        { "[{from: x, field: '${[][0]}'}]", E_REPLACE_INTERPOLATION, "replacements[0].field" },
        { "[{from: x, field: \"${'event'}\"}]", E_REPLACE_INTERPOLATION, "data or retry" },
        { "[{from: \"${secrets.get('v', 'n')}\"}]", E_REPLACE_REGEX, "computed" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        expect_cut(cases[i].replacements, cases[i].code, cases[i].needle);
    }
    scene_restart();
    expect_cut(scene_fmt("[{from: '.', to: '%0200000d'}]", 0), E_REPLACE_FAILED, "too long");
}

/* 256 KiB of data, which grows by one byte. */
static void run_with_a_message_at_its_limit(void **state)
{
    const char *policy = "{replacements: [{from: '^0', to: x}, {from: '^y', to: zz}]}";
    size_t most = 256 * 1024;
    const char *data = scene_fmt("%0*d", (int)most - 8, 0);

    (void)state;
    expect_stream(fake_host_compile_action(E, action, policy), scene_fmt("data: %s\n\n", data),
                  scene_fmt("data: x%s\n\n", data + 1));
    /* A longer one passes as it is (D51). */
    expect_stream(fake_host_compile_action(E, action, policy), scene_fmt("data: %s0\n\n", data),
                  scene_fmt("data: %s0\n\n", data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(run_replaces_in_the_field),
        SCENE_TEST(run_result_lists_what_matched_in_this_message),
        SCENE_TEST(run_without_a_reader_makes_no_result),
        SCENE_TEST(run_that_fails_cuts_the_stream),
        SCENE_TEST(run_with_a_message_at_its_limit),
    };

    return cmocka_run_group_tests_name("policy/sse_find_replace", tests, NULL, NULL);
}
