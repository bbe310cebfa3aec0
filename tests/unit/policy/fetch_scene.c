#include "tests/unit/policy/fetch_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/run_int.h"
#include "tests/unit/policy/fake_clock.h"

enum { RESUMES_MAX = 1000 };

static const struct fetch_answer *expected(struct fetch_scene *s, struct str url)
{
    const struct fetch_answer *a = &s->script[s->asked_count];

    if (s->asked_count == s->scripted)
        fail_msg("not expected: %.*s", STR_ARG(url));
    if (a->url != NULL && !str_eq(url, str_from(a->url)))
        fail_msg("%.*s instead of %s", STR_ARG(url), a->url);
    return a;
}

static void note_id(struct fetch_asked *asked, const struct policy_fetch *request)
{
    asked->id[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++) {
        if (str_eq_nocase(request->headers[i].name, STR("sallyport-req-id")))
            (void)snprintf(asked->id, sizeof(asked->id), "%.*s",
                           STR_ARG(request->headers[i].value));
    }
}

/* The first time a question is noted and waits; the second time it must be the same. */
static bool has_waited(struct fetch_scene *s, const struct policy_fetch *request)
{
    struct fetch_asked *asked = &s->asked[s->asked_count];
    char id[sizeof(asked->id)];

    s->waits = !s->waits;
    if (s->waits) {
        asked->fetch = *request;
        note_id(asked, request);
        return false;
    }
    memcpy(id, asked->id, sizeof(id));
    note_id(asked, request);
    assert_string_equal(asked->id, id);
    assert_true(str_eq(asked->fetch.url, request->url));
    assert_true(str_eq(asked->fetch.body, request->body));
    assert_true(asked->fetch.timeout_ms == request->timeout_ms);
    assert_true(asked->fetch.header_count == request->header_count);
    return true;
}

static enum policy_ready scene_fetch(void *ctx, const struct policy_fetch *request,
                                     struct policy_fetched *out, struct err *e)
{
    struct fetch_scene *s = ctx;
    const struct fetch_answer *a = expected(s, request->url);

    if (!has_waited(s, request))
        return POLICY_PENDING;
    s->asked_count++;
    fake_mono_ms += a->took_ms;
    *out = (struct policy_fetched){ .status = a->status,
                                    .headers = a->headers,
                                    .header_count = a->header_count,
                                    .body = a->body,
                                    .resolved_ip = a->status != 0 ? STR("198.51.100.7") : STR(""),
                                    .took_ms = a->took_ms };
    if (a->error == E_OK)
        return POLICY_READY;
    (void)err_set(e, a->error, "http-request: it failed");
    return POLICY_FAILED;
}

static enum policy_ready scene_fetch_shared(void *ctx, const struct policy_shared_fetch *request,
                                            struct policy_shared_fetched *out, struct err *e)
{
    struct fetch_scene *s = ctx;
    const struct fetch_answer *a = expected(s, request->url);
    struct fetch_asked *asked = &s->asked[s->asked_count];

    s->waits = !s->waits;
    if (s->waits) {
        asked->shared = *request;
        return POLICY_PENDING;
    }
    assert_true(str_eq(asked->shared.url, request->url));
    assert_true(asked->shared.version == request->version);
    assert_true(asked->shared.timeout_ms == request->timeout_ms);
    s->asked_count++;
    fake_mono_ms += a->took_ms;
    *out = (struct policy_shared_fetched){ a->body, a->version };
    if (a->error == E_OK)
        return POLICY_READY;
    (void)err_set(e, a->error, "the fetch failed");
    return POLICY_FAILED;
}

/* The fake host's calls are taken from a run of its own. */
static void take_calls(struct fetch_scene *s)
{
    struct counted *policy = fake_host_compile_action(POLICY_ON_HTTP_REQUEST, "deny", "{}");

    (void)fake_host_run(&s->h, policy, POLICY_ON_HTTP_REQUEST);
    s->calls = *s->h.run->params.host;
    s->calls.fetch = scene_fetch;
    s->calls.fetch_shared = scene_fetch_shared;
    counted_unref(policy);
}

void fetch_scene_init(struct fetch_scene *s)
{
    memset(s, 0, sizeof(*s));
    fake_host_init(&s->h, "192.0.2.1");
    take_calls(s);
}

void fetch_scene_fini(struct fetch_scene *s)
{
    fake_host_fini(&s->h);
}

void fetch_scene_answer(struct fetch_scene *s, struct fetch_answer answer)
{
    assert_true(s->scripted < FETCH_SCENE_ANSWERS_MAX);
    s->script[s->scripted++] = answer;
}

enum policy_verdict fetch_scene_run(struct fetch_scene *s, const struct counted *policy,
                                    enum policy_phase phase)
{
    const struct policy_run_params params = {
        .policy = policy,
        .host = &s->calls,
        .ctx = s,
        .arena = &s->h.arena,
        .local = s->h.local,
        .endpoint = STR("app.example.com"),
    };
    enum policy_verdict verdict;

    policy_run_free(s->h.run);
    s->h.run = policy_run_new(&params);
    s->h.suspended = 0;
    verdict = policy_run_phase(s->h.run, phase);
    while (verdict == POLICY_SUSPEND) {
        assert_true(s->h.suspended++ < RESUMES_MAX);
        verdict = policy_run_resume(s->h.run);
    }
    s->h.response = policy_run_response(s->h.run);
    s->h.outcome = policy_run_outcome(s->h.run);
    if (s->asked_count != s->scripted)
        fail_msg("%zu of %zu answers were asked for", s->asked_count, s->scripted);
    return verdict;
}
