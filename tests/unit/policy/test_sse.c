/*
 * Unit tests of policy/sse. "sse-find-replace" is replaced by an action that changes, fails or looks.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_actions
 * Links: policy/actions/set_vars policy/actions/add_headers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/filter.h"
#include "policy/sse.h"
#include "tests/unit/policy/fake_host.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024 };

/* ---- the action ------------------------------------------------------------------------------ */

struct edit {
    unsigned field;
    char *to; /* owned; NULL: only look */
};

static char seen[256];
static size_t runs;

void *sse_find_replace_compile(const struct fields *c)
{
    static const char *const names[] = { "data", "retry", NULL };
    struct edit *x = mem_zalloc(sizeof(*x));
    struct field field = fields_find(c, "field");
    struct field to = fields_find(c, "to");
    struct str text = STR_NONE;

    (void)field_choice(&field, names, &x->field);
    (void)field_text(&to, &text);
    if (field_is_given(&to))
        x->to = str_dup(text);
    return x;
}

enum policy_verdict sse_find_replace_run(const void *compiled, struct action_run *run)
{
    const struct edit *x = compiled;
    struct str value;

    runs++;
    if (!sse_get(run, (enum sse_field)x->field, &value))
        return POLICY_CONTINUE;
    (void)snprintf(seen, sizeof(seen), "%.*s", STR_ARG(str_slice(value, 0, 200)));
    if (x->to != NULL)
        sse_set(run, (enum sse_field)x->field, str_from(x->to));
    action_set_result(run, cel_int((int64_t)runs));
    return POLICY_CONTINUE;
}

void sse_find_replace_free(void *compiled)
{
    struct edit *x = compiled;

    if (x == NULL)
        return;
    mem_free(x->to);
    mem_free(x);
}

/* ---- filtering ------------------------------------------------------------------------------- */

static struct fake_host h;

static int setup(void **state)
{
    (void)state;
    fake_host_init(&h, "192.0.2.1");
    runs = 0;
    seen[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_host_fini(&h);
    return 0;
}

static void start(const char *document)
{
    (void)fake_run(&h, document, POLICY_ON_HTTP_RESPONSE);
}

/* The stream behind the filter, pushed in pieces. */
static struct str filter(struct str stream, size_t piece)
{
    h.filters[0] = policy_run_event_stream_filter(h.run);
    assert_non_null(h.filters[0]);
    h.filter_count = 1;
    return fake_host_filter(&h, stream, piece);
}

static void expect(const char *stream, const char *expected)
{
    for (size_t piece = 1; piece < 40; piece += 3) {
        struct str out = filter(str_from(stream), piece);

        if (!str_eq(out, str_from(expected)))
            fail_msg("in pieces of %zu: got <%.*s>, not <%s>", piece, STR_ARG(out), expected);
    }
}

static const char look[] = "on_event_stream_message: [{actions: [{type: sse-find-replace}]}]";

static void filter_of_a_policy_without_the_phase_is_null(void **state)
{
    (void)state;
    start("on_http_response: [{actions: [{type: log}]}]");
    assert_null(policy_run_event_stream_filter(h.run));
}

static void messages_that_nobody_changes_pass_as_they_are(void **state)
{
    static const char *const streams[] = {
        "",
        "data: a\n\n",
        "data:a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "event: x\ndata: a\nid: 7\n: comment\nunknown\n\n",
        "\n\n\n\ndata: a\n\n\n",
        "\357\273\277data: a\n\n",
        ": ping\n\n: ping\n\n",
        "data: unfinished",
        "data: unfinished\n",
        "data: \xff\xfe\n\n",
    };

    (void)state;
    start(look);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        expect(streams[i], streams[i]);
}

static void fields_are_read_as_the_standard_says(void **state)
{
    static const struct {
        const char *stream;
        const char *data;
    } cases[] = {
        { "data: a\n\n", "a" },
        { "data:a\n\n", "a" },
        { "data:  a \n\n", " a " },
        { "data\n\n", "" },
        { "data: a\ndata: b\nid: 1\ndata\n\n", "a\nb\n" },
        { "data: a\r\ndata: b\r\n\r\n", "a\nb" },
        { "\357\273\277data: a\n\n", "a" },
        { " data: a\n\n", "(none)" }, /* a field of another name */
        { "Data: a\n\n", "(none)" },
        { ":data: a\n\n", "(none)" },
    };

    (void)state;
    start(look);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(seen, sizeof(seen), "(none)");
        expect(cases[i].stream, cases[i].stream);
        assert_string_equal(seen, cases[i].data);
    }
}

static void changed_fields_take_the_place_of_their_lines(void **state)
{
    (void)state;
    start("on_event_stream_message: [{actions: [{type: sse-find-replace, config: {to: "
          "\"x\\ny\"}}]}]");
    expect("id: 1\ndata: a\nevent: e\ndata: b\n\ndata: c\r\n\r\n",
           "id: 1\ndata: x\ndata: y\nevent: e\n\ndata: x\r\ndata: y\r\n\r\n");
    expect("retry: 5\n\n", "retry: 5\n\n");
    expect("data: unfinished", "data: x\ndata: y\n");
    start("on_event_stream_message: [{actions: [{type: sse-find-replace, config: {to: ''}}]}]");
    expect("data: a\ndata: b\n\n", "data: \n\n");
}

static void retry_stays_digits_or_goes(void **state)
{
    (void)state;
    start("on_event_stream_message: "
          "[{actions: [{type: sse-find-replace, config: {field: retry, to: '5000'}}]}]");
    expect("retry: 10\ndata: a\nretry: 20\n\n", "retry: 5000\ndata: a\n\n");
    assert_string_equal(seen, "20");
    start("on_event_stream_message: "
          "[{actions: [{type: sse-find-replace, config: {field: retry, to: '5s'}}]}]");
    expect("retry: 10\ndata: a\n\n", "data: a\n\n");
}

/* D51: nothing of one message is left for the next; what the exchange left is. */
static void variables_and_results_start_fresh(void **state)
{
    (void)state;
    start("on_http_response:\n"
          "- actions: [{type: add-headers, config: {headers: {x-a: '1'}}}]\n"
          "on_event_stream_message:\n"
          "- expressions: ['actions.ngrok.sse_find_replace == null', 'size(vars) == 0', "
          "'\"x-a\" in actions.ngrok.add_headers.headers_added', 'res.headers[\"x-a\"][0] == "
          "\"1\"']\n"
          "  actions:\n"
          "  - {type: set-vars, config: {vars: [{n: 1}]}}\n"
          "  - {type: sse-find-replace, config: {to: changed}}\n");
    assert_string_equal(fake_host_response_values(&h, "x-a"), "1");
    expect("data: a\n\ndata: b\n\n", "data: changed\n\ndata: changed\n\n");
}

static void a_failure_cuts_the_stream(void **state)
{
    struct policy_filter *f;
    struct buf out;
    struct err e;

    (void)state;
    start("on_event_stream_message: [{expressions: ['[1][5] == 1'], actions: [{type: "
          "sse-find-replace}]}]");
    f = policy_run_event_stream_filter(h.run);
    buf_init(&out, TEXT_MAX_BYTES);
    assert_int_equal(f->ops->push(f, STR("data: a\n"), &out, &e), 0);
    assert_int_equal(f->ops->push(f, STR("\ndata: b\n\n"), &out, &e), -1);
    assert_int_equal(e.code, E_POLICY_EVALUATION);
    assert_int_equal(out.len, 0); /* what the policy could not look at does not pass */
    f->ops->free(f);
    buf_fini(&out);
}

static void a_long_message_passes_unchanged(void **state)
{
    struct buf stream;
    struct buf expected;
    struct str out;

    (void)state;
    start("on_event_stream_message: [{actions: [{type: sse-find-replace, config: {to: x}}]}]");
    buf_init(&stream, TEXT_MAX_BYTES);
    buf_init(&expected, TEXT_MAX_BYTES);
    for (size_t n = SSE_MESSAGE_MAX_BYTES - 1; n <= SSE_MESSAGE_MAX_BYTES + 1; n++) {
        buf_clear(&stream);
        buf_clear(&expected);
        buf_add_str(&stream, STR("data: "));
        for (size_t i = 0; i < n - 8; i++)
            buf_add_char(&stream, 'a');
        buf_add_str(&stream, STR("\n\n"));
        assert_int_equal(stream.len, n);
        if (n > SSE_MESSAGE_MAX_BYTES)
            buf_add_str(&expected, buf_str(&stream));
        else
            buf_add_str(&expected, STR("data: x\n\n"));
        buf_add_str(&stream, STR("data: b\r\n\r\n"));
        buf_add_str(&expected, STR("data: x\r\n\r\n"));
        out = filter(buf_str(&stream), FILTER_INPUT_MAX_BYTES);
        assert_true(str_eq(out, buf_str(&expected)));
        out = filter(buf_str(&stream), 5000);
        assert_true(str_eq(out, buf_str(&expected)));
    }
    buf_fini(&stream);
    buf_fini(&expected);
}

/* A stream may last for days: a message must cost the exchange nothing that stays. */
static void messages_leave_nothing_behind(void **state)
{
    struct policy_filter *f;
    struct buf out;
    struct err e;
    size_t after_first = 0;

    (void)state;
    start("on_event_stream_message:\n"
          "- expressions: ['req.url != \"\"', 'size(req.headers) >= 0', 'time.now != \"\"']\n"
          "  actions:\n"
          "  - {type: set-vars, config: {vars: [{n: '${req.url}${time.now}'}, {h: "
          "'${req.headers}'}]}}\n"
          "  - {type: sse-find-replace, config: {to: x}}\n");
    f = policy_run_event_stream_filter(h.run);
    buf_init(&out, TEXT_MAX_BYTES);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(f->ops->push(f, STR("data: abcdefghijklmnopqrstuvwxyz\n\n"), &out, &e), 0);
        buf_clear(&out);
        if (i == 0)
            after_first = arena_used(&h.arena);
    }
    assert_int_equal(arena_used(&h.arena), after_first);
    assert_int_equal(runs, 2000);
    f->ops->free(f);
    buf_fini(&out);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(filter_of_a_policy_without_the_phase_is_null),
        CASE(messages_that_nobody_changes_pass_as_they_are),
        CASE(fields_are_read_as_the_standard_says),
        CASE(changed_fields_take_the_place_of_their_lines),
        CASE(retry_stays_digits_or_goes),
        CASE(variables_and_results_start_fresh),
        CASE(a_failure_cuts_the_stream),
        CASE(a_long_message_passes_unchanged),
        CASE(messages_leave_nothing_behind),
    };

    return cmocka_run_group_tests_name("policy/sse", tests, NULL, NULL);
}
