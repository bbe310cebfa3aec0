/*
 * Commands of the API from line to exit status, over a store in memory (spec 5.4).
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/api/api_scene.h"
#include "tunnel/api/command_run.h"

/* Of the last command. */
static char out[1024 * 1024];
static char err[16 * 1024];

struct how {
    const struct api_caller *who; /* NULL: alice */
    const char *input;
    bool has_terminal;
    size_t output_max; /* 0: enough */
};

static int run_as(struct scene *s, const char *line, struct how how)
{
    struct api_command_user user = {
        .api = s->api,
        .who = how.who != NULL ? how.who : &s->alice,
        .base_url = STR(SCENE_BASE),
        .key = STR("SHA256:abc me"),
        .session = STR("ts_1"),
        .has_terminal = how.has_terminal,
        .output_max_bytes = how.output_max != 0 ? how.output_max : sizeof(out) - 1,
    };
    struct api_command_result result;
    struct api_command c;
    struct buf problem;
    int status;

    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    assert_int_equal(api_command_parse(str_from(line), &c, &problem), 0);
    if (how.input != NULL)
        assert_int_equal(api_command_take_input(&c, str_from(how.input), &problem), 0);
    api_command_run(&c, &user, &result);
    (void)snprintf(out, sizeof(out), "%.*s", STR_ARG(buf_str(&result.out)));
    (void)snprintf(err, sizeof(err), "%.*s", STR_ARG(buf_str(&result.err)));
    status = result.status;
    api_command_result_fini(&result);
    api_command_fini(&c);
    buf_fini(&problem);
    return status;
}

static int run(struct scene *s, const char *line)
{
    return run_as(s, line, (struct how){ 0 });
}

static void expect_ok(struct scene *s, const char *line)
{
    if (run(s, line) != API_EXIT_OK)
        fail_msg("%s\n%s", line, err);
}

/* The error of the last command: "HTTP <status>: ... [<code>]" and its operation. */
static void expect_error(const char *status, const char *code)
{
    char head[32];

    (void)snprintf(head, sizeof(head), "HTTP %s: ", status);
    if (strstr(err, head) == NULL || strstr(err, code) == NULL ||
        strstr(err, "\n\nOperation ID: op_") == NULL)
        fail_msg("no %s %s: %s", status, code, err);
    assert_string_equal(out, "");
}

static void a_create_prints_the_object_and_its_status(void **state)
{
    struct scene *s = scene_new();
    json_t *body;

    (void)state;
    expect_ok(s, "api vaults create --name web --description my dev box");
    assert_string_equal(err, "201 Created\n");
    body = json_loads(out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "description")), "my dev box");
    assert_true(str_starts(str_from(json_string_value(json_object_get(body, "uri"))),
                           STR(SCENE_BASE "/vaults/vault_")));
    assert_true(str_starts(str_from(out), STR("{\n  \"created_at\": \"")));
    assert_true(str_ends(str_from(out), STR("\"\n}\n")));
    json_decref(body);
    scene_free(s);
}

static void an_object_lives_and_dies_by_commands(void **state)
{
    struct scene *s = scene_new();
    char id[ID_BYTES];
    char line[128];

    (void)state;
    scene_create(s, &s->alice, "/vaults", "{\"name\":\"a\"}", id);
    (void)snprintf(line, sizeof(line), "api vaults update %s --name b --quiet --output id", id);
    expect_ok(s, line);
    assert_memory_equal(out, id, strlen(id));
    assert_string_equal(err, "");
    (void)snprintf(line, sizeof(line), "api vaults get %s --output jsonl", id);
    expect_ok(s, line);
    assert_non_null(strstr(out, "\"name\":\"b\""));
    assert_string_equal(err, "200 OK\n");
    (void)snprintf(line, sizeof(line), "api vaults delete %s", id);
    expect_ok(s, line);
    assert_string_equal(out, "");
    assert_string_equal(err, "204 No Content\n");
    assert_int_equal(run(s, line), API_EXIT_ERROR);
    expect_error("404", "");
    scene_free(s);
}

static void standard_input_becomes_a_value(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    expect_ok(s, "api vaults create --name web");
    assert_int_equal(run_as(s, "api secrets create --vault-name web --name db --value -",
                            (struct how){ .input = "s3cret\n" }),
                     API_EXIT_OK);
    assert_null(strstr(out, "s3cret"));
    assert_int_equal(
        run_as(s, "api vaults create --json -", (struct how){ .input = "{\"name\":\"other\"}" }),
        API_EXIT_OK);
    assert_non_null(strstr(out, "\"name\": \"other\""));
    scene_free(s);
}

static void errors_are_those_of_the_api(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    assert_int_equal(run(s, "api vaults create"), API_EXIT_ERROR);
    expect_error("400", "[ERR_NGROK_23001]");
    assert_memory_equal(err, "400 Bad Request\nHTTP 400: ", 26);
    assert_int_equal(run(s, "api vaults create --quiet"), API_EXIT_ERROR);
    assert_memory_equal(err, "HTTP 400: ", 10);
    assert_int_equal(run(s, "api vaults get vault_1"), API_EXIT_ERROR);
    expect_error("404", "[ERR_NGROK_222]");
    assert_int_equal(run(s, "api vaults list --limit 0"), API_EXIT_ERROR);
    expect_error("400", "[ERR_NGROK_233]");
    assert_int_equal(run(s, "api vaults list --filter nope"), API_EXIT_ERROR);
    expect_error("400", "[ERR_NGROK_250]");
    assert_int_equal(run(s, "api bot-users list"), API_EXIT_ERROR);
    expect_error("501", "[ERR_SALLYPORT_7]");
    assert_int_equal(run_as(s, "api vaults create --json -", (struct how){ .input = "{\"x\":1}" }),
                     API_EXIT_ERROR);
    expect_error("400", "[ERR_NGROK_214]");
    scene_free(s);
}

static void make_vaults(struct scene *s, const struct api_caller *who, int count)
{
    for (int i = 0; i < count; i++) {
        char body[API_ACCOUNT_BYTES + 32];
        char id[ID_BYTES];

        (void)snprintf(body, sizeof(body), "{\"name\":\"%s-%d\"}", who->account, i);
        scene_create(s, who, "/vaults", body, id);
    }
}

static size_t count_lines(void)
{
    size_t n = 0;

    for (const char *at = out; *at != '\0'; at++)
        n += *at == '\n';
    return n;
}

static void all_follows_the_pages(void **state)
{
    struct scene *s = scene_new();
    json_t *body;

    (void)state;
    make_vaults(s, &s->alice, 205);
    expect_ok(s, "api vaults list --output id");
    assert_int_equal(count_lines(), 100);
    expect_ok(s, "api vaults list --output id --all");
    assert_int_equal(count_lines(), 205);
    expect_ok(s, "api vaults list --output id --all --limit 7 --filter 'obj.name != \"alice-3\"'");
    assert_int_equal(count_lines(), 204);
    expect_ok(s, "api vaults list --all --limit 50 --output json");
    body = json_loads(out, 0, NULL);
    assert_true(json_is_null(json_object_get(body, "next_page_uri")));
    assert_int_equal(json_array_size(json_object_get(body, "vaults")), 205);
    json_decref(body);
    scene_free(s);
}

static void all_of_nothing_is_an_empty_list(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    expect_ok(s, "api vaults list --all --output jsonl");
    assert_string_equal(out, "");
    expect_ok(s, "api vaults list --all");
    assert_non_null(strstr(out, "\"vaults\": []"));
    assert_non_null(strstr(out, "\"next_page_uri\": null"));
    scene_free(s);
}

static void an_answer_that_is_too_large_is_refused_whole(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    make_vaults(s, &s->alice, 205);
    assert_int_equal(run_as(s, "api vaults list", (struct how){ .output_max = 4096 }),
                     API_EXIT_ERROR);
    expect_error("413", "[ERR_SALLYPORT_4]");
    assert_int_equal(
        run_as(s, "api vaults list --all --output id", (struct how){ .output_max = 40000 }),
        API_EXIT_ERROR);
    expect_error("413", "[ERR_SALLYPORT_4]");
    scene_free(s);
}

static void a_terminal_gets_tables(void **state)
{
    struct scene *s = scene_new();
    const struct how terminal = { .has_terminal = true };

    (void)state;
    make_vaults(s, &s->alice, 3);
    assert_int_equal(run_as(s, "api vaults list --limit 2", terminal), API_EXIT_OK);
    assert_memory_equal(out, "ID  ", 4);
    assert_non_null(strstr(err, "There are more: --all"));
    assert_int_equal(run_as(s, "api vaults list --output json", terminal), API_EXIT_OK);
    assert_memory_equal(out, "{\n", 2);
    expect_ok(s, "api vaults list --output table --all");
    assert_int_equal(count_lines(), 4);
    assert_null(strstr(err, "There are more"));
    scene_free(s);
}

static void each_account_sees_its_own_and_an_administrator_all(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    make_vaults(s, &s->alice, 2);
    make_vaults(s, &s->bob, 3);
    expect_ok(s, "api vaults list --output id");
    assert_int_equal(count_lines(), 2);
    assert_int_equal(run_as(s, "api vaults list --output id", (struct how){ .who = &s->bob }),
                     API_EXIT_OK);
    assert_int_equal(count_lines(), 3);
    assert_int_equal(run_as(s, "api vaults list --output id", (struct how){ .who = &s->admin }),
                     API_EXIT_OK);
    assert_int_equal(count_lines(), 5);
    scene_free(s);
}

static void a_restricted_key_may_not(void **state)
{
    static const char *const lines[] = {
        "api vaults list",
        "api vaults create --name a",
        "api api-keys create",
        "api ssh-credentials list",
        "api vaults delete vault_3AL5qRx78rtgNoqqfszViXJoE46",
        "api vaults get-secrets-by-vault vault_3AL5qRx78rtgNoqqfszViXJoE46",
    };
    struct scene *s = scene_new();
    struct api_caller who = s->alice;

    (void)state;
    who.is_restricted = true;
    who.can_write = false;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(run_as(s, lines[i], (struct how){ .who = &who }), API_EXIT_IDENTITY);
        expect_error("403", "[ERR_SALLYPORT_6]");
    }
    assert_int_equal(run_as(s, "whoami", (struct how){ .who = &who }), API_EXIT_OK);
    assert_non_null(strstr(out, "to see what this key has online"));
    scene_free(s);
}

static void the_rate_limit_is_that_of_the_api(void **state)
{
    struct scene *s = scene_new_limited(3, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        expect_ok(s, "api vaults list");
    assert_int_equal(run(s, "api vaults list"), API_EXIT_ERROR);
    expect_error("429", "[ERR_NGROK_226]");
    scene_free(s);
}

static void whoami_tells_account_key_and_rights(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    expect_ok(s, "whoami");
    assert_non_null(strstr(out, "account  alice\n"));
    assert_non_null(strstr(out, "key      SHA256:abc me\n"));
    assert_non_null(strstr(out, "rights   all of the account\n"));
    assert_non_null(strstr(out, "version  " SALLYPORT_VERSION "\n"));
    expect_ok(s, "api self");
    assert_non_null(strstr(out, "\"session\": \"ts_1\""));
    assert_int_equal(run_as(s, "whoami --output jsonl", (struct how){ .who = &s->admin }),
                     API_EXIT_OK);
    assert_non_null(strstr(out, "administrator"));
    scene_free(s);
}

/* ---- what is online ------------------------------------------------------------------------- */

#define KSUID_A "3AL5qRx78rtgNoqqfszViXJoE46"
#define KSUID_B "3AL5qRx78rtgNoqqfszViXJoE47"
#define KSUID_C "3AL5qRx78rtgNoqqfszViXJoE48"
#define NEW_SESSION(id_, account_, key_)                                                           \
    {                                                                                              \
        .id = "ts_" id_, .account = (account_), .credential = "", .key = (key_),                   \
        .client = "OpenSSH"                                                                        \
    }
#define NEW_ENDPOINT(id_, account_, key_, host_)                                                   \
    {                                                                                              \
        .id = "ep_" id_, .account = (account_), .key = (key_), .session_id = "ts_" id_,            \
        .url = { .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .port = 443 },                 \
        .url_text = "https://" host_, .name = "", .description = "", .metadata = "",               \
        .policy = STR_INIT("# of " account_ "\non_http_request: []"), .upstream_url = "",          \
        .upstream_protocol = "", .started_wall_ms = 1767225600000                                  \
    }

/* Two keys of alice, and one of bob. */
static const struct api_session sessions[] = {
    NEW_SESSION(KSUID_A, "alice", "aa"),
    NEW_SESSION(KSUID_B, "alice", "bb"),
    NEW_SESSION(KSUID_C, "bob", "cc"),
};
static const struct api_live_endpoint endpoints[] = {
    NEW_ENDPOINT(KSUID_A, "alice", "aa", "a.example.com"),
    NEW_ENDPOINT(KSUID_B, "alice", "bb", "b.example.com"),
    NEW_ENDPOINT(KSUID_C, "bob", "cc", "c.example.com"),
};

static char ended[ID_BYTES];

static void release_live(struct api_live *live)
{
    (void)live;
}

static struct api_live *give_live(void *arg)
{
    static struct api_live live = { .sessions = sessions,
                                    .session_count = 3,
                                    .endpoints = endpoints,
                                    .endpoint_count = 3,
                                    .release = release_live };

    (void)arg;
    return &live;
}

static int end_session(void *arg, const char *id, struct err *e)
{
    (void)arg;
    (void)e;
    (void)snprintf(ended, sizeof(ended), "%s", id);
    return 0;
}

static struct scene *live_scene(void)
{
    struct scene *s = scene_new();

    s->host.live = give_live;
    s->host.session_end = end_session;
    ended[0] = '\0';
    return s;
}

static void ls_shows_what_the_account_has_online(void **state)
{
    struct scene *s = live_scene();

    (void)state;
    expect_ok(s, "ls");
    assert_string_equal(out, "URL                    SINCE                 SESSION\n"
                             "https://b.example.com  2026-01-01T00:00:00Z  ts_" KSUID_B "\n"
                             "https://a.example.com  2026-01-01T00:00:00Z  ts_" KSUID_A "\n");
    assert_string_equal(err, "");
    expect_ok(s, "ls --output id");
    assert_string_equal(out, "ep_" KSUID_B "\nep_" KSUID_A "\n");
    assert_int_equal(run_as(s, "ls --output id", (struct how){ .who = &s->admin }), API_EXIT_OK);
    assert_int_equal(count_lines(), 3);
    scene_free(s);
}

static void endpoints_of_sessions_show_their_policy(void **state)
{
    struct scene *s = live_scene();

    (void)state;
    expect_ok(s, "api endpoints get ep_" KSUID_A " --output json");
    assert_non_null(strstr(out, "\"traffic_policy\": \"# of alice\\non_http_request: []\""));
    assert_non_null(strstr(out, "\"public\""));
    expect_ok(s, "api endpoints list --output json");
    assert_null(strstr(out, "# of bob"));
    expect_ok(s, "api tunnels get tn_" KSUID_A " --output json");
    assert_null(strstr(out, "# of alice"));
    assert_int_equal(run(s, "api endpoints get ep_" KSUID_C), API_EXIT_ERROR);
    scene_free(s);
}

static void a_restricted_key_sees_what_it_has_online_itself(void **state)
{
    struct scene *s = live_scene();
    struct api_caller who = s->alice;
    const struct how how = { .who = &who };

    (void)state;
    who.is_restricted = true;
    who.can_write = false;
    (void)snprintf(who.key, sizeof(who.key), "aa");
    assert_int_equal(run_as(s, "ls --output id", how), API_EXIT_OK);
    assert_string_equal(out, "ep_" KSUID_A "\n");
    assert_int_equal(run_as(s, "api tunnels list --output id", how), API_EXIT_OK);
    assert_string_equal(out, "tn_" KSUID_A "\n");
    assert_int_equal(run_as(s, "api tunnel-sessions list --output id", how), API_EXIT_OK);
    assert_string_equal(out, "ts_" KSUID_A "\n");
    assert_int_equal(run_as(s, "api endpoints get ep_" KSUID_A, how), API_EXIT_OK);
    assert_int_equal(run_as(s, "api endpoints get ep_" KSUID_B, how), API_EXIT_ERROR);
    expect_error("404", "");
    assert_int_equal(run_as(s, "kill ts_" KSUID_A, how), API_EXIT_IDENTITY);
    assert_int_equal(run_as(s, "api tunnel-sessions stop ts_" KSUID_A, how), API_EXIT_IDENTITY);
    assert_string_equal(ended, "");
    scene_free(s);
}

static void kill_ends_a_session_by_any_of_its_ids(void **state)
{
    static const char *const lines[] = { "kill ts_" KSUID_A, "kill ep_" KSUID_A,
                                         "kill tn_" KSUID_A };
    struct scene *s = live_scene();

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ended[0] = '\0';
        expect_ok(s, lines[i]);
        assert_string_equal(ended, "ts_" KSUID_A);
        assert_string_equal(err, "204 No Content\n");
    }
    ended[0] = '\0';
    assert_int_equal(run(s, "kill ts_" KSUID_C), API_EXIT_ERROR);
    expect_error("404", "");
    assert_int_equal(run(s, "kill ep_" KSUID_C), API_EXIT_ERROR);
    assert_string_equal(ended, "");
    assert_int_equal(run_as(s, "kill ep_" KSUID_C, (struct how){ .who = &s->admin }), API_EXIT_OK);
    assert_string_equal(ended, "ts_" KSUID_C);
    scene_free(s);
}

static void kill_wants_an_id_of_what_has_a_session(void **state)
{
    struct scene *s = scene_new();

    (void)state;
    assert_int_equal(run(s, "kill x"), API_EXIT_USAGE);
    assert_string_equal(err, "kill: that is no id of a session (ts_...) or endpoint (ep_...)\n");
    assert_int_equal(run(s, "kill vault_3AL5qRx78rtgNoqqfszViXJoE46"), API_EXIT_USAGE);
    assert_int_equal(run(s, "kill ts_3AL5qRx78rtgNoqqfszViXJoE46"), API_EXIT_ERROR);
    expect_error("404", "");
    assert_int_equal(run(s, "kill ep_3AL5qRx78rtgNoqqfszViXJoE46"), API_EXIT_ERROR);
    expect_error("404", "");
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_prints_the_object_and_its_status),
        cmocka_unit_test(an_object_lives_and_dies_by_commands),
        cmocka_unit_test(standard_input_becomes_a_value),
        cmocka_unit_test(errors_are_those_of_the_api),
        cmocka_unit_test(all_follows_the_pages),
        cmocka_unit_test(all_of_nothing_is_an_empty_list),
        cmocka_unit_test(an_answer_that_is_too_large_is_refused_whole),
        cmocka_unit_test(a_terminal_gets_tables),
        cmocka_unit_test(each_account_sees_its_own_and_an_administrator_all),
        cmocka_unit_test(a_restricted_key_may_not),
        cmocka_unit_test(the_rate_limit_is_that_of_the_api),
        cmocka_unit_test(whoami_tells_account_key_and_rights),
        cmocka_unit_test(ls_shows_what_the_account_has_online),
        cmocka_unit_test(endpoints_of_sessions_show_their_policy),
        cmocka_unit_test(a_restricted_key_sees_what_it_has_online_itself),
        cmocka_unit_test(kill_ends_a_session_by_any_of_its_ids),
        cmocka_unit_test(kill_wants_an_id_of_what_has_a_session),
    };

    return cmocka_run_group_tests_name("command_run", tests, NULL, NULL);
}
