#include "tests/unit/policy/action_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/compiled.h"

enum { TEXT_MAX_BYTES = 8 * 1024 * 1024 };

struct fake_host scene;

int scene_set_up(void **state)
{
    (void)state;
    fake_host_init(&scene, "192.0.2.1");
    fake_host_add(&scene, "Host", "app.example.com");
    return 0;
}

int scene_tear_down(void **state)
{
    (void)state;
    fake_host_fini(&scene);
    return 0;
}

void scene_restart(void)
{
    (void)scene_tear_down(NULL);
    (void)scene_set_up(NULL);
}

/* ---- configs --------------------------------------------------------------------------------- */

void scene_expect_refusals(enum policy_phase phase, const char *action,
                           const struct scene_refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fake_host_expect_config_refused(phase, action, cases[i].config, cases[i].code,
                                        cases[i].needle);
}

void scene_expect_accepted(enum policy_phase phase, const char *action, const char *config)
{
    counted_unref(fake_host_compile_action(phase, action, config));
}

/* ---- runs ------------------------------------------------------------------------------------ */

void scene_expect_verdict(enum policy_phase phase, const char *action, const char *config,
                          enum policy_verdict verdict)
{
    enum policy_verdict is = fake_run_action(&scene, phase, action, config);

    if (is != verdict)
        fail_msg("%s: verdict %d instead of %d (%s)", config, is, verdict, scene.response->message);
}

void scene_expect_failure(enum policy_phase phase, const char *action, const char *config,
                          enum err_code code, const char *needle)
{
    const struct policy_response *r;

    scene_expect_verdict(phase, action, config, POLICY_RESPOND);
    r = scene.response;
    if (r->error != code || strstr(r->message, needle) == NULL)
        fail_msg("%s: error %u '%s' instead of %u '%s'", config, err_number(r->error), r->message,
                 err_number(code), needle);
    assert_int_not_equal(err_status(code), 0);
    assert_int_equal(r->status, 0);
    assert_int_equal(r->header_count, 0);
    assert_int_equal(r->body.n, 0);
    assert_false(r->runs_response_phase);
}

void scene_expect_no_result(enum policy_phase phase, const char *action, const char *config,
                            const char *result)
{
    struct counted *policy = fake_host_compile_action(phase, action, config);

    ((struct policy *)policy)->results_read = 0;
    (void)fake_host_run(&scene, policy, phase);
    counted_unref(policy);
    scene_expect_eval(phase, scene_fmt("actions.ngrok.%s == null", result), "true");
}

void scene_expect_eval(enum policy_phase phase, const char *expression, const char *text)
{
    const char *is = fake_host_eval(&scene, phase, expression);

    if (strcmp(is, text) != 0)
        fail_msg("%s: %s instead of %s", expression, is, text);
}

void scene_expect_text(struct str is, const char *text)
{
    if (!str_eq(is, str_from(text)))
        fail_msg("'%.*s' instead of '%s'", STR_ARG(is), text);
}

/* ---- text ------------------------------------------------------------------------------------ */

const char *scene_fmt(const char *fmt, ...)
{
    struct buf text;
    const char *out;
    va_list ap;

    buf_init(&text, TEXT_MAX_BYTES);
    va_start(ap, fmt);
    buf_add_vfmt(&text, fmt, ap);
    va_end(ap);
    buf_add_char(&text, '\0');
    assert_false(buf_failed(&text));
    out = arena_str(&scene.arena, buf_str(&text)).p;
    buf_fini(&text);
    return out;
}

const char *scene_repeat(size_t n, const char *text, const char *between)
{
    struct buf out;
    const char *kept;

    buf_init(&out, TEXT_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        buf_add_fmt(&out, "%s%s", i > 0 ? between : "", text);
    buf_add_char(&out, '\0');
    assert_false(buf_failed(&out));
    kept = arena_str(&scene.arena, buf_str(&out)).p;
    buf_fini(&out);
    return kept;
}
