/* Command lines of the API, from the exec string to the request they stand for (spec 5.1 to 5.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/api/command.h"

/* Parses; fails with the line when it is refused. */
static void parse(const char *line, struct api_command *c)
{
    struct buf problem;

    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    if (api_command_parse(str_from(line), c, &problem) == -1) {
        print_error("%s\n  %.*s", line, STR_ARG(buf_str(&problem)));
        fail();
    }
    assert_int_equal(problem.len, 0);
    buf_fini(&problem);
}

static void expect_str(const char *line, const char *what, struct str found, const char *wanted)
{
    if (str_eq(found, str_from(wanted)))
        return;
    print_error("%s\n  %s: %.*s\n  instead of %s\n", line, what, STR_ARG(found), wanted);
    fail();
}

static void expect_body(const char *line, const json_t *body, const char *wanted)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    expect_str(line, "body", str_from(text != NULL ? text : ""), wanted);
    free(text);
}

static void expect_refused(const char *line, const char *why)
{
    struct api_command c;
    struct buf problem;

    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    if (api_command_parse(str_from(line), &c, &problem) == 0 ||
        str_find(buf_str(&problem), str_from(why)) == problem.len) {
        print_error("%s\n  says: %.*s\n  not: %s\n", line, STR_ARG(buf_str(&problem)), why);
        fail();
    }
    assert_true(str_ends(buf_str(&problem), STR("\n")));
    api_command_fini(&c);
    buf_fini(&problem);
}

/* ---- requests ------------------------------------------------------------------------------- */

#define ID "vault_3AL5qRx78rtgNoqqfszViXJoE46"

static const struct {
    const char *line;
    const char *method;
    const char *path;
    const char *query;
    const char *body;
} calls[] = {
    { "api vaults list", "GET", "/vaults", "", "" },
    { "  api   vaults\tlist  ", "GET", "/vaults", "", "" },
    { "api vaults get " ID, "GET", "/vaults/" ID, "", "" },
    { "api vaults delete " ID, "DELETE", "/vaults/" ID, "", "" },
    { "api vaults get-secrets-by-vault " ID, "GET", "/vaults/" ID "/secrets", "", "" },
    { "api secrets get 'a/b c'", "GET", "/vault_secrets/a%2Fb%20c", "", "" },
    { "api vaults create", "POST", "/vaults", "", "{}" },
    { "api vaults update " ID " --name b", "PATCH", "/vaults/" ID, "", "{\"name\":\"b\"}" },

    /* values of several words, and quotes */
    { "api vaults create --name web --description my dev box --metadata x", "POST", "/vaults", "",
      "{\"description\":\"my dev box\",\"metadata\":\"x\",\"name\":\"web\"}" },
    { "api vaults create --description=my dev box", "POST", "/vaults", "",
      "{\"description\":\"my dev box\"}" },
    { "api vaults create --description='a  b' --name=\"say \\\"hi\\\" \\n\"", "POST", "/vaults", "",
      "{\"description\":\"a  b\",\"name\":\"say \\\"hi\\\" \\\\n\"}" },
    { "api vaults create --description 'it'\\''s' a\\ \\ b", "POST", "/vaults", "",
      "{\"description\":\"it's a  b\"}" },
    { "api vaults create --description='--name x'", "POST", "/vaults", "",
      "{\"description\":\"--name x\"}" },
    { "api vaults create --description=a=b", "POST", "/vaults", "", "{\"description\":\"a=b\"}" },
    { "api vaults create --description $HOME;*&|`id`", "POST", "/vaults", "",
      "{\"description\":\"$HOME;*&|`id`\"}" },
    { "api vaults create --description caf\xc3\xa9", "POST", "/vaults", "",
      "{\"description\":\"caf\xc3\xa9\"}" },
    { "api vaults create --name= --description ''", "POST", "/vaults", "",
      "{\"description\":\"\",\"name\":\"\"}" },
    { "api vaults create --name a --name b", "POST", "/vaults", "", "{\"name\":\"b\"}" },

    /* lists */
    { "api ssh-credentials update x --acl bind:a.example.com,bind:b.example.com --acl bind:c.d",
      "PATCH", "/ssh_credentials/x", "",
      "{\"acl\":[\"bind:a.example.com\",\"bind:b.example.com\",\"bind:c.d\"]}" },
    { "api ssh-credentials update x --acl=", "PATCH", "/ssh_credentials/x", "", "{\"acl\":[]}" },
    { "api ip-policy-rules create --cidr 10.0.0.0/8 --action allow --ip-policy-id ipp_1", "POST",
      "/ip_policy_rules", "",
      "{\"action\":\"allow\",\"cidr\":\"10.0.0.0/8\",\"ip_policy_id\":\"ipp_1\"}" },

    /* a resource that is a part of another: options instead of an id */
    { "api event-sources list esb_1", "GET", "/event_subscriptions/esb_1/sources", "", "" },
    { "api event-sources create --subscription-id esb_1 --type a.v0 --fields x,y --filter ev.z == "
      "1",
      "POST", "/event_subscriptions/esb_1/sources", "",
      "{\"fields\":[\"x\",\"y\"],\"filter\":\"ev.z == 1\",\"type\":\"a.v0\"}" },
    { "api event-sources get --subscription-id esb_1 --type a.v0", "GET",
      "/event_subscriptions/esb_1/sources/a.v0", "", "" },
    { "api event-sources update --type a/b --subscription-id esb_1 --filter=", "PATCH",
      "/event_subscriptions/esb_1/sources/a%2Fb", "", "{\"filter\":\"\"}" },
    { "api event-sources delete --subscription-id e/1 --type a.v0", "DELETE",
      "/event_subscriptions/e%2F1/sources/a.v0", "", "" },
    { "api event-subscriptions create --sources a.v0,b.v0 --destination-ids ed_1", "POST",
      "/event_subscriptions", "",
      "{\"destination_ids\":[\"ed_1\"],\"sources\":[{\"type\":\"a.v0\"},{\"type\":\"b.v0\"}]}" },
    { "api event-destinations create --target.datadog.api-key k --target.datadog.ddsite a.b "
      "--verify-with-test-event",
      "POST", "/event_destinations", "",
      "{\"target\":{\"datadog\":{\"api_key\":\"k\",\"ddsite\":\"a.b\"}},"
      "\"verify_with_test_event\":true}" },
    { "api event-destinations send-test-event ed_1", "POST",
      "/event_destinations/ed_1/send_test_event", "", "" },

    /* queries */
    { "api vaults list --limit 5 --before-id " ID, "GET", "/vaults", "before_id=" ID "&limit=5",
      "" },
    { "api vaults list --limit 5 --limit 6", "GET", "/vaults", "limit=6", "" },
    { "api vaults list --filter 'obj.name == \"a b\"'", "GET", "/vaults",
      "filter=obj.name%20%3D%3D%20%22a%20b%22", "" },

    /* options of every command, and those of another program */
    { "api vaults create --name a --output id --quiet --api-key k --config=c --log false "
      "--log-level x",
      "POST", "/vaults", "", "{\"name\":\"a\"}" },

    /* known elsewhere, and not offered */
    { "api edges list", "GET", "/edges", "", "" },
    { "api agent-ingresses create --domain x", "GET", "/agent_ingresses", "", "" },
};

static void lines_become_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct api_command c;
        struct buf query;

        parse(calls[i].line, &c);
        assert_int_equal(c.kind, API_COMMAND_CALL);
        assert_int_equal(c.input, API_INPUT_NONE);
        buf_init(&query, API_QUERY_MAX_BYTES);
        api_command_query(&c, c.before_id, &query);
        expect_str(calls[i].line, "method", c.method, calls[i].method);
        expect_str(calls[i].line, "path", c.path, calls[i].path);
        expect_str(calls[i].line, "query", buf_str(&query), calls[i].query);
        expect_body(calls[i].line, c.body, calls[i].body);
        buf_fini(&query);
        api_command_fini(&c);
    }
}

static void options_of_every_command_are_read(void **state)
{
    struct api_command c;

    (void)state;
    parse("api vaults list --all --output jsonl --quiet", &c);
    assert_true(c.all && c.quiet);
    assert_int_equal(c.output, API_OUTPUT_JSONL);
    api_command_fini(&c);
    parse("api vaults list --all=false --output table --quiet false", &c);
    assert_false(c.all || c.quiet);
    assert_int_equal(c.output, API_OUTPUT_TABLE);
    api_command_fini(&c);
    parse("api vaults list", &c);
    assert_int_equal(c.output, API_OUTPUT_DEFAULT);
    api_command_fini(&c);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static const struct {
    const char *line;
    const char *why;
} refused[] = {
    { "api vault list", "there is no 'vault'; there are: api-keys" },
    { "api vaults", "a verb is missing: create, get, list, update, delete, get-secrets-by-vault" },
    { "api vaults make", "there is no verb 'make'; there are: create" },
    { "api vaults get", "an id is missing" },
    { "api vaults get --quiet", "an id is missing" },
    { "api vaults get ''", "an id is missing" },
    { "api vaults get a b", "'b' was not expected here" },
    { "api event-sources list", "an id is missing" },
    { "api event-sources list esb_1 --limit 5", "there is no --limit" },
    { "api event-sources get esb_1", "'esb_1' was not expected here" },
    { "api event-sources get --type x", "--subscription-id is missing" },
    { "api event-sources get --subscription-id x", "--type is missing" },
    { "api event-sources get --subscription-id= --type x", "--subscription-id is missing" },
    { "api event-sources get --subscription-id --type x", "--subscription-id needs a value" },
    { "api event-sources get --subscription-id x --type y --filter z", "there is no --filter" },
    { "api event-sources create --type x", "--subscription-id is missing" },
    { "api event-sources update --subscription-id x --fields y", "--type is missing" },
    { "api vaults list x", "'x' was not expected here" },
    { "api vaults create x --name y", "'x' was not expected here" },
    { "api vaults create --nam x", "there is no --nam; the nearest is --name; there are: --name" },
    { "api vaults list --name x", "there is no --name" },
    { "api vaults list --filter", "--filter needs a value" },
    { "api vaults get a --name x", "there is no --name" },
    { "api vaults create --name", "--name needs a value" },
    { "api vaults create --created-at x", "there is no --created-at" },
    { "api secrets update x --vault-id y", "there is no --vault-id" },
    { "api vaults create --", "there is no --" },
    { "api vaults create --description 'a", "a quote is not closed" },
    { "api vaults create --description \"a", "a quote is not closed" },
    { "api vaults create --description -", "--description cannot be read from standard input" },
    { "api vaults create --json {}", "--json only takes '-'" },
    { "api vaults create --metadata - --json -", "'-' stands twice" },
    { "api vaults create --metadata - --metadata -", "'-' stands twice" },
    { "api secrets create --value-file /etc/passwd", "--value-file only takes '-'" },
    { "api secrets create --value-url https://x", "--value-url is not offered" },
    { "api secrets create --name-file -", "there is no --name-file" },
    { "api vaults create --pem -", "there is no --pem" },
    { "api vaults list --all maybe", "--all is true or false, not 'maybe'" },
    { "api vaults list --output xml", "--output is json, table, jsonl or id" },
    { "api vaults list --output", "--output is json, table, jsonl or id" },
    { "api vaults create --name \xff", "not valid UTF-8" },
    { "kill", "kill: an id is missing" },
    { "kill a b", "'b' was not expected here" },
    { "ls x", "'x' was not expected here" },
    { "ls --all", "there is no --all" },
    { "whoami --name x", "there is no --name" },
    { "apis", "this is no command of the API" },
    { "", "this is no command of the API" },
};

static void wrong_lines_are_refused_with_what_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        expect_refused(refused[i].line, refused[i].why);
}

static char *line_of(const char *begin, char c, size_t bytes)
{
    char *line = mem_alloc(bytes + 1);
    size_t n = strlen(begin);

    memset(line, c, bytes);
    memcpy(line, begin, n);
    line[bytes] = '\0';
    return line;
}

static void a_line_may_have_32_KiB(void **state)
{
    char *line = line_of("api vaults create --description ", 'x', API_COMMAND_LINE_MAX_BYTES);
    struct api_command c;

    (void)state;
    parse(line, &c);
    assert_int_equal(json_string_length(json_object_get(c.body, "description")),
                     API_COMMAND_LINE_MAX_BYTES - strlen("api vaults create --description "));
    api_command_fini(&c);
    mem_free(line);
    line = line_of("api vaults create --description ", 'x', API_COMMAND_LINE_MAX_BYTES + 1);
    expect_refused(line, "more than 32768 bytes");
    mem_free(line);
}

static void a_line_may_have_256_options(void **state)
{
    struct buf line;
    struct api_command c;

    (void)state;
    buf_init(&line, API_COMMAND_LINE_MAX_BYTES);
    buf_add_str(&line, STR("api vaults create"));
    for (size_t i = 0; i < API_COMMAND_OPTIONS_MAX; i++)
        buf_add_str(&line, STR(" --name x"));
    buf_add_char(&line, '\0');
    parse(line.mem, &c);
    api_command_fini(&c);
    line.len--;
    buf_add_str(&line, STR(" --name y"));
    buf_add_char(&line, '\0');
    expect_refused(line.mem, "more than 256 options");
    buf_fini(&line);
}

/* ---- standard input ------------------------------------------------------------------------- */

static const struct {
    const char *line;
    const char *input;
    const char *body; /* NULL: refused, and why */
    const char *why;
} inputs[] = {
    { "api secrets create --name a --value -", "x\ny\n", "{\"name\":\"a\",\"value\":\"x\\ny\"}",
      NULL },
    { "api secrets create --value -", "x\n\n", "{\"value\":\"x\\n\"}", NULL },
    { "api secrets create --value=-", "", "{\"value\":\"\"}", NULL },
    { "api secrets create --value-file - --name b", "x", "{\"name\":\"b\",\"value\":\"x\"}", NULL },
    { "api vaults create --metadata - --name a", " {}\n", "{\"metadata\":\" {}\",\"name\":\"a\"}",
      NULL },
    { "api ssh-credentials create --public-key - --description laptop", "ssh-ed25519 AAAA me\n",
      "{\"description\":\"laptop\",\"public_key\":\"ssh-ed25519 AAAA me\\n\"}", NULL },
    { "api vaults create --json -", "{\"name\":\"a\",\"x\":[1]}", "{\"name\":\"a\",\"x\":[1]}",
      NULL },
    { "api vaults create --name b --json - --description c", "{\"name\":\"a\",\"metadata\":\"m\"}",
      "{\"description\":\"c\",\"metadata\":\"m\",\"name\":\"b\"}", NULL },
    { "api vaults create --json -", "{\"name\":", NULL, "no JSON: line 1" },
    { "api vaults create --json -", "[]", NULL, "no JSON object" },
    { "api vaults create --json -", "", NULL, "no JSON" },
    { "api secrets create --value -", "\xff\xfe", NULL, "not valid UTF-8" },
};

static void standard_input_goes_where_the_dash_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        struct api_command c;
        struct buf problem;
        int rc;

        parse(inputs[i].line, &c);
        assert_int_not_equal(c.input, API_INPUT_NONE);
        buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
        rc = api_command_take_input(&c, str_from(inputs[i].input), &problem);
        if (inputs[i].body != NULL) {
            assert_int_equal(rc, 0);
            expect_body(inputs[i].line, c.body, inputs[i].body);
        } else {
            assert_int_equal(rc, -1);
            if (str_find(buf_str(&problem), str_from(inputs[i].why)) == problem.len)
                fail_msg("%s: %.*s", inputs[i].line, STR_ARG(buf_str(&problem)));
        }
        buf_fini(&problem);
        api_command_fini(&c);
    }
}

static void a_filter_may_come_over_standard_input(void **state)
{
    struct api_command c;
    struct buf query;
    struct buf problem;

    (void)state;
    parse("api vaults list --filter - --limit 2", &c);
    assert_int_equal(c.input, API_INPUT_FILTER);
    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    buf_init(&query, API_QUERY_MAX_BYTES);
    assert_int_equal(api_command_take_input(&c, STR("obj.name == \"a\"\n"), &problem), 0);
    api_command_query(&c, STR("vault_1"), &query);
    expect_str("filter", "query", buf_str(&query),
               "before_id=vault_1&filter=obj.name%20%3D%3D%20%22a%22&limit=2");
    buf_fini(&query);
    buf_fini(&problem);
    api_command_fini(&c);
}

/* ---- help, and the short words -------------------------------------------------------------- */

static void expect_help(const char *line, const char *has)
{
    struct api_command c;
    struct buf text;

    parse(line, &c);
    assert_int_equal(c.kind, API_COMMAND_HELP);
    buf_init(&text, API_COMMAND_TEXT_MAX_BYTES);
    api_command_help(&c, &text);
    if (str_find(buf_str(&text), str_from(has)) == text.len)
        fail_msg("%s:\n%.*s\nhas no: %s", line, STR_ARG(buf_str(&text)), has);
    buf_fini(&text);
    api_command_fini(&c);
}

static void help_is_of_everything_a_group_or_a_verb(void **state)
{
    static const char *const all[] = { "api", "api help", "api -h", "api --help", "ls --help" };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        expect_help(all[i], "ssh-credentials ");
    expect_help("api vaults --help", "update ID");
    expect_help("api vaults help", "get-secrets-by-vault ID");
    expect_help("api vaults list -h", "--before-id");
    expect_help("api secrets create --help", "standard input");
    expect_help("api secrets create --name x --help", "--vault-name");
    expect_help("api vaults update " ID " --help", "api vaults update ID [OPTIONS]");
}

static void short_words_are_commands_of_their_own(void **state)
{
    struct api_command c;

    (void)state;
    parse("ls", &c);
    assert_int_equal(c.kind, API_COMMAND_LS);
    assert_int_equal(c.output, API_OUTPUT_TABLE);
    api_command_fini(&c);
    parse("ls --output json", &c);
    assert_int_equal(c.output, API_OUTPUT_JSON);
    api_command_fini(&c);
    parse("whoami --quiet", &c);
    assert_int_equal(c.kind, API_COMMAND_WHOAMI);
    api_command_fini(&c);
    parse("api self", &c);
    assert_int_equal(c.kind, API_COMMAND_WHOAMI);
    assert_int_equal(c.output, API_OUTPUT_DEFAULT);
    api_command_fini(&c);
    parse("kill ts_1 --quiet", &c);
    assert_int_equal(c.kind, API_COMMAND_KILL);
    expect_str("kill", "id", c.id, "ts_1");
    api_command_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_requests),
        cmocka_unit_test(options_of_every_command_are_read),
        cmocka_unit_test(wrong_lines_are_refused_with_what_is_right),
        cmocka_unit_test(a_line_may_have_32_KiB),
        cmocka_unit_test(a_line_may_have_256_options),
        cmocka_unit_test(standard_input_goes_where_the_dash_stands),
        cmocka_unit_test(a_filter_may_come_over_standard_input),
        cmocka_unit_test(help_is_of_everything_a_group_or_a_verb),
        cmocka_unit_test(short_words_are_commands_of_their_own),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
