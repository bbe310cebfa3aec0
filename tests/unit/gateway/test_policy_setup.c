/*
 * Unit tests of gateway/policy_data and gateway/policy_setup: what the configuration gives to policies,
 * with the real engine.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/ip_policies.h"
#include "gateway/policy_data.h"
#include "gateway/policy_setup.h"
#include "gateway/vaults.h"
#include "policy/geo.h"
#include "policy/ip_lists.h"
#include "policy/policy.h"

enum { PATH_BYTES = 512, PROBLEMS_BYTES = 64 * 1024, CONFIG_BYTES = 4096 };

static char root[] = "/tmp/policy_setup.XXXXXX";
static struct policy_engine *engine;

static int setup_all(void **state)
{
    (void)state;
    engine = policy_engine_new();
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    policy_engine_free(engine);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/policy_setup.XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
    (void)sb;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
    char path[PATH_BYTES];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(path, 0700);
        *p = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A config with these keys; "@" stands for the folder of the test. */
static struct config *config_of(const char *keys)
{
    struct buf text;
    struct buf problems;
    struct config *c;
    char *copy;

    buf_init(&text, CONFIG_BYTES);
    buf_init(&problems, PROBLEMS_BYTES);
    buf_add_str(&text, STR("state_dir = \"/s\"; domain = \"example.com\";\n"
                           "listen = { ssh = [\"127.0.0.1:22\"]; http = [\"127.0.0.1:80\"]; };\n"));
    for (const char *p = keys; *p != '\0'; p++) {
        if (*p == '@')
            buf_add_str(&text, str_from(root));
        else
            buf_add_char(&text, *p);
    }
    copy = str_dup(buf_str(&text));
    c = config_parse("f", copy, &problems);
    if (c == NULL)
        fail_msg("%.*s", STR_ARG(buf_str(&problems)));
    mem_free(copy);
    buf_fini(&text);
    buf_fini(&problems);
    return c;
}

static struct policy_data *load(const char *keys)
{
    struct config *c = config_of(keys);
    struct policy_data *d;
    struct buf problems;

    buf_init(&problems, PROBLEMS_BYTES);
    d = policy_data_load(c, &problems);
    if (d == NULL)
        fail_msg("%.*s", STR_ARG(buf_str(&problems)));
    buf_fini(&problems);
    config_unref(c);
    return d;
}

static void expect_refused(const char *keys, const char *needle)
{
    struct config *c = config_of(keys);
    struct buf problems;
    char *text;

    buf_init(&problems, PROBLEMS_BYTES);
    assert_null(policy_data_load(c, &problems));
    text = str_dup(buf_str(&problems));
    if (strstr(text, needle) == NULL)
        fail_msg("not '%s': %s", needle, text);
    mem_free(text);
    buf_fini(&problems);
    config_unref(c);
}

/* ---- data ---- */

static void policy_data_of_no_keys_has_nothing(void **state)
{
    struct policy_data *d = load("");

    (void)state;
    assert_null(policy_data_geo(d));
    assert_null(policy_data_lists(d));
    assert_null(policy_data_vaults(d));
    assert_null(policy_data_ip_policy(d, STR("alice"), STR("office")));
    policy_data_unref(d);
    assert_null(policy_data_geo(NULL));
    assert_null(policy_data_ip_policy(NULL, STR("alice"), STR("office")));
}

static void policy_data_of_all_keys_has_all(void **state)
{
    const struct policy_ip_rules *rules;
    struct addr a = { .family = 4, .ip = { 192, 0, 2, 7 } };
    struct policy_data *d;

    (void)state;
    put("vaults/alice/team/password", "secret\n");
    put("lists/com.github.hooks", "192.0.2.0/24\n");
    d = load("vaults = \"@/vaults\"; ip_categories = \"@/lists\";\n"
             "geo = { databases = [\"tests/unit/policy/data/city.mmdb\"]; };\n"
             "ip_policies = ( { name = \"office\"; allow = [\"192.0.2.0/24\"];\n"
             "                  deny = [\"192.0.2.7\"]; } );\n");
    assert_non_null(policy_data_geo(d));
    assert_true(
        str_eq(vaults_find(policy_data_vaults(d), STR("alice"), STR("team"), STR("password")),
               STR("secret")));
    assert_int_equal(ip_lists_lookup(policy_data_lists(d), &a)->names.count, 3);
    rules = policy_data_ip_policy(d, STR("alice"), STR("office"));
    assert_non_null(rules);
    assert_int_equal(rules->allow_count, 1);
    assert_int_equal(rules->deny_count, 1);
    assert_true(cidr_contains(&rules->deny[0], &a));
    assert_null(policy_data_ip_policy(d, STR("alice"), STR("offic")));
    policy_data_unref(d);
}

static void policy_data_problems_are_told_all_at_once(void **state)
{
    static const char keys[] = "vaults = \"@/vaults\"; ip_categories = \"@/lists\";\n"
                               "geo = { databases = [\"@/no.mmdb\"]; };\n";

    (void)state;
    put("lists/a", "no address\n");
    put("no.mmdb", "no database\n");
    expect_refused(keys, "f:1: geo.databases: ");
    expect_refused(keys, "f:1: ip_categories: ");
    expect_refused(keys, "/vaults: cannot open it as a folder");
}

/* ---- terms ---- */

static const char hello[] = "on_http_request:\n"
                            "  - actions: [{type: custom-response, config: {body: hello}}]\n";

static struct policy_terms *setup_terms(const char *keys, struct buf *problems)
{
    struct config *c = config_of(keys);
    struct policy_data *d = policy_data_load(c, problems);
    struct policy_terms *t = NULL;

    if (d != NULL)
        t = policy_setup(c, engine, d, problems);
    policy_data_unref(d);
    config_unref(c);
    return t;
}

/* True if an endpoint without a policy of its own gets one. */
static bool has_default(const struct policy_terms *t, const char *account, const char *host)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_request request = { .account = str_from(account),
                                      .host = str_from(host),
                                      .protocols = POLICY_HTTPS };
    struct counted *policy = NULL;
    bool has;

    assert_int_equal(policy_terms_compile(t, &request, &policy, problems), 0);
    has = policy != NULL;
    counted_unref(policy);
    policy_problems_free(problems);
    return has;
}

static void policy_setup_documents_are_for_their_account_and_domain(void **state)
{
    struct policy_terms *t;
    struct buf problems;

    (void)state;
    put("p.yml", hello);
    buf_init(&problems, PROBLEMS_BYTES);
    t = setup_terms("policies = ( { account = \"alice\"; file = \"@/p.yml\"; },\n"
                    "             { domain = \"*.guarded.example.com\"; file = \"@/p.yml\"; },\n"
                    "             { account = \"bob\"; domain = \"b.example.com\";\n"
                    "               file = \"@/p.yml\"; } );\n",
                    &problems);
    assert_non_null(t);
    assert_int_equal(problems.len, 0);
    assert_true(has_default(t, "alice", "x.example.com"));
    assert_true(has_default(t, "alice", ""));
    assert_false(has_default(t, "carol", "x.example.com"));
    assert_true(has_default(t, "carol", "a.guarded.example.com"));
    assert_false(has_default(t, "carol", "guarded.example.com"));
    assert_true(has_default(t, "bob", "b.example.com"));
    assert_false(has_default(t, "bob", "c.example.com"));
    assert_false(has_default(t, "carol", "b.example.com"));
    policy_terms_unref(t);
    buf_fini(&problems);
}

static void policy_setup_bad_document_is_refused_with_its_place(void **state)
{
    struct buf problems;
    char *text;

    (void)state;
    put("bad.yml", "on_http_request:\n  - actions:\n      - type: denyy\n");
    put("worse.yml", "on_http_request: [\n");
    buf_init(&problems, PROBLEMS_BYTES);
    assert_null(setup_terms(
        "policies = ( { file = \"@/bad.yml\"; }, { file = \"@/worse.yml\"; } );", &problems));
    text = str_dup(buf_str(&problems));
    assert_non_null(strstr(text, "/bad.yml:3:15: error[ERR_SALLYPORT_2201]: "));
    assert_non_null(strstr(text, "/worse.yml:"));
    mem_free(text);
    buf_fini(&problems);
}

static void policy_setup_limits_are_those_of_the_configuration(void **state)
{
    struct policy_terms *t;
    struct buf problems;

    (void)state;
    put("p.yml", "on_http_request:\n  - actions: [{type: deny}]\n  - actions: [{type: deny}]\n");
    buf_init(&problems, PROBLEMS_BYTES);
    assert_null(setup_terms("policies = ( { file = \"@/p.yml\"; } );\n"
                            "limits = { policy_rules_max = 1; };",
                            &problems));
    buf_clear(&problems);
    t = setup_terms("policies = ( { file = \"@/p.yml\"; } ); expression_errors = \"no-match\";\n"
                    "limits = { policy_rules_max = 2; };",
                    &problems);
    assert_non_null(t);
    assert_int_equal(t->limits.policy_rules_max, 2);
    assert_int_equal(t->expression_errors, POLICY_EXPRESSION_NO_MATCH);
    assert_string_equal(t->domain, "example.com");
    policy_terms_unref(t);
    buf_fini(&problems);
}

/* IP policies and secrets that documents name have to exist; those of an account are its own. */
static void policy_setup_names_are_looked_up(void **state)
{
    struct policy_terms *t;
    struct buf problems;

    (void)state;
    put("vaults/alice/team/password", "secret");
    put("p.yml", "on_http_request:\n"
                 "  - actions: [{type: restrict-ips, config: {ip_policies: [office]}}]\n");
    buf_init(&problems, PROBLEMS_BYTES);
    t = setup_terms("vaults = \"@/vaults\";\n"
                    "ip_policies = ( { name = \"office\"; allow = [\"192.0.2.0/24\"]; } );\n"
                    "policies = ( { file = \"@/p.yml\"; } );",
                    &problems);
    assert_non_null(t);
    assert_true(t->has_ip_policy(t->arg, STR("alice"), STR("office")));
    assert_false(t->has_ip_policy(t->arg, STR("alice"), STR("home")));
    assert_true(t->has_secret(t->arg, STR("alice"), STR("team"), STR("password")));
    assert_false(t->has_secret(t->arg, STR("bob"), STR("team"), STR("password")));
    policy_terms_unref(t);
    assert_null(setup_terms("policies = ( { file = \"@/p.yml\"; } );", &problems));
    buf_fini(&problems);
}

/* The operator's counts where both have a name; the rest of both is there. */
static void policy_data_over_puts_the_operator_first(void **state)
{
    struct vaults *stored = vaults_new();
    struct ip_policies *policies = ip_policies_new();
    struct policy_data *base;
    struct policy_data *d;

    (void)state;
    put("vaults/alice/team/both", "of the file");
    base = load("vaults = \"@/vaults\";\n"
                "ip_policies = ( { name = \"office\"; allow = [\"192.0.2.0/24\"]; } );");
    assert_true(vaults_add(stored, STR("alice"), STR("team"), STR("both"), STR("stored")));
    assert_true(vaults_add(stored, STR("alice"), STR("team"), STR("a/b"), STR("stored")));
    assert_false(vaults_add(stored, STR("alice"), STR("team"), STR("a/b"), STR("again")));
    assert_false(vaults_add(stored, STR("alice"), STR("team"), STR("a:b"), STR("no name")));
    assert_true(ip_policies_add(policies, STR("ipp_1"), STR("alice")));
    d = policy_data_over(base, stored, policies);
    policy_data_unref(base);
    vaults_unref(stored);
    ip_policies_unref(policies);
    assert_true(
        str_eq(policy_data_secret(d, STR("alice"), STR("team"), STR("both")), STR("of the file")));
    assert_true(
        str_eq(policy_data_secret(d, STR("alice"), STR("team"), STR("a/b")), STR("stored")));
    assert_null(policy_data_secret(d, STR("alice"), STR("team/a"), STR("b")).p);
    assert_null(policy_data_secret(d, STR("bob"), STR("team"), STR("a/b")).p);
    assert_non_null(policy_data_ip_policy(d, STR("bob"), STR("office")));
    assert_non_null(policy_data_ip_policy(d, STR("alice"), STR("ipp_1")));
    assert_null(policy_data_ip_policy(d, STR("bob"), STR("ipp_1")));
    policy_data_unref(d);
    assert_null(policy_data_secret(NULL, STR("alice"), STR("team"), STR("both")).p);
    assert_null(policy_data_ip_policy(NULL, STR("alice"), STR("office")));
}

/* A document of the operator may name a policy of the store, which is not known yet. */
static void policy_setup_takes_ids_of_stored_policies(void **state)
{
    struct policy_terms *t;
    struct buf problems;

    (void)state;
    put("p.yml", "on_http_request:\n"
                 "  - actions: [{type: restrict-ips, config: {ip_policies: "
                 "[ipp_3AfgvEQeYuHsx22Z1LCvjFtsacR]}}]\n");
    buf_init(&problems, PROBLEMS_BYTES);
    t = setup_terms("policies = ( { file = \"@/p.yml\"; } );", &problems);
    assert_non_null(t);
    policy_terms_unref(t);
    buf_fini(&problems);
}

int main(void)
{
#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(policy_data_of_no_keys_has_nothing),
        WITH_FOLDER(policy_data_of_all_keys_has_all),
        WITH_FOLDER(policy_data_problems_are_told_all_at_once),
        WITH_FOLDER(policy_setup_documents_are_for_their_account_and_domain),
        WITH_FOLDER(policy_setup_bad_document_is_refused_with_its_place),
        WITH_FOLDER(policy_setup_limits_are_those_of_the_configuration),
        WITH_FOLDER(policy_setup_names_are_looked_up),
        WITH_FOLDER(policy_data_over_puts_the_operator_first),
        WITH_FOLDER(policy_setup_takes_ids_of_stored_policies),
    };

    return cmocka_run_group_tests_name("gateway/policy_setup", tests, setup_all, teardown_all);
}
