/*
 * Unit tests of gateway/fetch_shared: one document for many, old ones, and failures.
 * Links: tests/unit/gateway/web_server
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"
#include "gateway/fetch_shared.h"
#include "tests/unit/gateway/web_server.h"

enum { DEADLINE_MS = 20000, URL_BYTES = 128, HOUR_MS = 3600 * 1000 };

struct scene {
    struct worker *worker;
    struct fetcher *fetcher;
    struct fetch_shared *shared;
    struct web_server *server;
    struct fetch_rules *rules;
};

/* One who asks, until there is an answer. */
struct asker {
    struct scene *scene;
    struct policy_shared_fetch request;
    struct fetch_shared_wait wait;
    struct asker *then; /* asks right behind this one's answer, before any time has passed */
    char url[URL_BYTES];
    atomic_bool asked;
    atomic_bool over;
    unsigned pending; /* how often */
    enum policy_ready ready;
    enum err_code error;
    uint64_t version;
    char body[64];
};

static int setup(void **state)
{
    struct scene *s = mem_zalloc(sizeof(*s));

    s->worker = worker_new("fetcher", 0);
    s->fetcher = fetcher_new(s->worker, &fetch_for_policies);
    s->shared = fetch_shared_new(s->fetcher);
    s->server = web_server_new();
    s->rules = fetch_rules_new();
    assert_int_equal(fetch_rules_add(s->rules, STR("127.0.0.1"), NULL), 0);
    worker_start(s->worker);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    worker_stop(s->worker);
    worker_join(s->worker);
    fetch_shared_free(s->shared);
    fetcher_free(s->fetcher);
    worker_free(s->worker);
    web_server_free(s->server);
    fetch_rules_unref(s->rules);
    mem_free(s);
    return 0;
}

static void ask(void *arg)
{
    struct asker *a = arg;
    const struct fetch_shared_params params = { .request = &a->request,
                                                .rules = a->scene->rules,
                                                .max = 100 };
    struct policy_shared_fetched got = { 0 };
    struct err e = { .code = E_OK };

    a->ready = fetch_shared_ask(a->scene->shared, &params, &a->wait, &got, &e);
    if (a->ready == POLICY_PENDING) {
        a->pending++;
    } else {
        a->error = e.code;
        a->version = got.version;
        (void)snprintf(a->body, sizeof(a->body), "%.*s", STR_ARG(got.body));
        if (a->then != NULL)
            ask(a->then);
        atomic_store(&a->over, true);
    }
    atomic_store(&a->asked, true);
}

static void ask_here(struct worker *w, void *arg)
{
    (void)w;
    ask(arg);
}

static void leave_here(struct worker *w, void *arg)
{
    struct asker *a = arg;

    (void)w;
    fetch_shared_leave(&a->wait);
    atomic_store(&a->over, true);
}

/* One after the other in a turn of the worker, so that nothing comes in between. */
struct parting {
    struct asker *gone;
    struct asker *other;
};

static void ask_both_and_leave(struct worker *w, void *arg)
{
    const struct parting *p = arg;

    ask_here(w, p->gone);
    ask_here(w, p->other);
    leave_here(w, p->gone);
}

static void init(struct asker *a, struct scene *s, const char *path)
{
    *a = (struct asker){ .scene = s };
    a->wait = (struct fetch_shared_wait){ .done = ask, .arg = a };
    (void)snprintf(a->url, sizeof(a->url), "http://127.0.0.1:%u%s", web_server_port(s->server),
                   path);
    a->request = (struct policy_shared_fetch){ .url = str_from(a->url),
                                               .timeout_ms = 5000,
                                               .response_max_bytes = 1000,
                                               .fresh_ms = HOUR_MS,
                                               .stale_ms = 2 * HOUR_MS,
                                               .refetch_ms = 60000 };
}

static void wait_for(const atomic_bool *what)
{
    for (int ms = 0; ms < DEADLINE_MS && !atomic_load(what); ms++)
        (void)poll(NULL, 0, 1);
    assert_true(atomic_load(what));
}

static void run(struct asker *a)
{
    worker_post(a->scene->worker, ask_here, a);
    wait_for(&a->over);
}

static void fetch_shared_fresh_document_is_fetched_once(void **state)
{
    struct scene *s = *state;
    struct asker first;
    struct asker second;

    init(&first, s, "/count");
    run(&first);
    assert_int_equal(first.ready, POLICY_READY);
    assert_int_equal(first.pending, 1);
    assert_string_equal(first.body, "1");
    assert_int_not_equal(first.version, 0);
    init(&second, s, "/count");
    run(&second);
    assert_int_equal(second.pending, 0);
    assert_string_equal(second.body, "1");
    assert_int_equal(second.version, first.version);
    assert_int_equal(web_server_requests(s->server), 1);
}

static void fetch_shared_askers_at_once_wait_for_one_fetch(void **state)
{
    struct scene *s = *state;
    struct asker askers[20];

    for (size_t i = 0; i < 20; i++) {
        init(&askers[i], s, "/count");
        worker_post(s->worker, ask_here, &askers[i]);
    }
    for (size_t i = 0; i < 20; i++) {
        wait_for(&askers[i].over);
        assert_int_equal(askers[i].ready, POLICY_READY);
        assert_string_equal(askers[i].body, "1");
    }
    assert_int_equal(web_server_requests(s->server), 1);
}

static void fetch_shared_old_document_is_fetched_anew(void **state)
{
    struct scene *s = *state;
    struct asker first;
    struct asker second;

    init(&first, s, "/count");
    run(&first);
    init(&second, s, "/count");
    second.request.fresh_ms = 0;
    run(&second);
    assert_string_equal(second.body, "2");
    assert_int_not_equal(second.version, first.version);
}

static void fetch_shared_same_text_keeps_its_version(void **state)
{
    struct scene *s = *state;
    struct asker first;
    struct asker second;

    init(&first, s, "/hello");
    run(&first);
    init(&second, s, "/hello");
    second.request.fresh_ms = 0;
    run(&second);
    assert_int_equal(web_server_requests(s->server), 2);
    assert_int_equal(second.version, first.version);
}

/* A key that the document does not have: a newer one may have it, but is asked for seldom. */
static void fetch_shared_version_that_does_not_help_is_fetched_early(void **state)
{
    struct scene *s = *state;
    struct asker first;
    struct asker second;

    init(&first, s, "/count");
    run(&first);
    init(&second, s, "/count");
    second.request.version = first.version;
    run(&second);
    assert_int_equal(second.pending, 1);
    assert_string_equal(second.body, "2");
    init(&second, s, "/count");
    second.request.version = first.version; /* by now there is a newer one */
    run(&second);
    assert_int_equal(second.pending, 0);
    assert_string_equal(second.body, "2");
    first = second;
    init(&second, s, "/count");
    second.request.version = first.version;
    run(&second);
    assert_int_equal(second.pending, 0); /* the last early fetch is too young */
    assert_string_equal(second.body, "2");
    init(&second, s, "/count");
    second.request.version = first.version;
    second.request.refetch_ms = 0;
    run(&second);
    assert_string_equal(second.body, "3");
}

static void fetch_shared_failure_falls_back_to_what_is_not_too_old(void **state)
{
    struct scene *s = *state;
    struct asker a;
    struct asker next;

    init(&a, s, "/count");
    run(&a);
    web_server_set(s->server, 500, "no");
    init(&a, s, "/count");
    init(&next, s, "/count");
    a.request.fresh_ms = next.request.fresh_ms = 0;
    a.then = &next;
    run(&a);
    assert_int_equal(a.ready, POLICY_READY);
    assert_int_equal(a.pending, 1);
    assert_string_equal(a.body, "1");
    assert_int_equal(web_server_requests(s->server), 2);
    assert_int_equal(next.pending, 0); /* it has just failed */
    assert_string_equal(next.body, "1");
    init(&a, s, "/count");
    a.request.fresh_ms = 0;
    a.request.stale_ms = 0;
    run(&a);
    assert_int_equal(a.ready, POLICY_FAILED);
    assert_int_equal(a.error, E_FETCH_FAILED);
}

static void fetch_shared_failure_without_a_document_fails(void **state)
{
    struct scene *s = *state;
    struct asker a;
    struct asker next;

    init(&a, s, "/status?404");
    init(&next, s, "/status?404");
    a.then = &next;
    run(&a);
    assert_int_equal(a.ready, POLICY_FAILED);
    assert_int_equal(a.error, E_FETCH_FAILED);
    assert_int_equal(next.pending, 0);
    assert_int_equal(next.error, E_FETCH_FAILED);
    init(&a, s, "/bytes?1001");
    run(&a);
    assert_int_equal(a.error, E_FETCH_TOO_LARGE);
}

static void fetch_shared_works_again_after_a_failure(void **state)
{
    struct scene *s = *state;
    struct asker a;

    web_server_set(s->server, 503, "no");
    init(&a, s, "/count");
    run(&a);
    assert_int_equal(a.ready, POLICY_FAILED);
    web_server_set(s->server, 0, "");
    (void)poll(NULL, 0, FETCH_SHARED_RETRY_MS + 50);
    init(&a, s, "/count");
    run(&a);
    assert_int_equal(a.ready, POLICY_READY);
    assert_string_equal(a.body, "1");
}

static void fetch_shared_who_leaves_is_not_told(void **state)
{
    struct scene *s = *state;
    struct asker gone;
    struct asker other;
    struct parting parting = { .gone = &gone, .other = &other };

    init(&gone, s, "/never");
    init(&other, s, "/never");
    gone.request.timeout_ms = other.request.timeout_ms = 300;
    worker_post(s->worker, ask_both_and_leave, &parting);
    wait_for(&gone.over);
    wait_for(&other.over);
    assert_int_equal(gone.pending, 1);
    assert_int_equal(other.ready, POLICY_FAILED);
    assert_int_equal(other.error, E_FETCH_TIMEOUT);
}

static void fetch_shared_many_documents_push_out_the_oldest(void **state)
{
    struct scene *s = *state;
    char path[64];
    struct asker a;

    for (int i = 0; i <= FETCH_SHARED_MAX; i++) {
        (void)snprintf(path, sizeof(path), "/hello?%d", i);
        init(&a, s, path);
        run(&a);
        assert_int_equal(a.ready, POLICY_READY);
    }
    init(&a, s, "/hello?1");
    run(&a);
    assert_int_equal(a.pending, 0);
    init(&a, s, "/hello?0");
    run(&a);
    assert_int_equal(a.pending, 1);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(fetch_shared_fresh_document_is_fetched_once),
        WITH_SCENE(fetch_shared_askers_at_once_wait_for_one_fetch),
        WITH_SCENE(fetch_shared_old_document_is_fetched_anew),
        WITH_SCENE(fetch_shared_same_text_keeps_its_version),
        WITH_SCENE(fetch_shared_version_that_does_not_help_is_fetched_early),
        WITH_SCENE(fetch_shared_failure_falls_back_to_what_is_not_too_old),
        WITH_SCENE(fetch_shared_failure_without_a_document_fails),
        WITH_SCENE(fetch_shared_works_again_after_a_failure),
        WITH_SCENE(fetch_shared_who_leaves_is_not_told),
        WITH_SCENE(fetch_shared_many_documents_push_out_the_oldest),
    };

    return cmocka_run_group_tests_name("gateway/fetch_shared", tests, NULL, NULL);
}
