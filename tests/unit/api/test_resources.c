/*
 * Unit tests of the resources: each field, limit and error of the spec's section 3.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/api/api_scene.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
    *state = scene_new();
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    return 0;
}

/* {"<name>": "aaa..."} with n bytes, and `more` behind it; free() it. */
static char *long_body(const char *name, size_t n, const char *more)
{
    char *out = mem_zalloc(n + strlen(name) + strlen(more) + 16);
    int at = snprintf(out, strlen(name) + 8, "{\"%s\":\"", name);

    memset(out + at, 'a', n);
    (void)snprintf(out + at + n, strlen(more) + 3, "\"%s}", more);
    return out;
}

/* A text of the limit passes and one more byte does not. */
static void check_limit(struct scene *s, const char *path, const char *name, size_t limit,
                        const char *more, const char *code)
{
    char *fits = long_body(name, limit, more);
    char *over = long_body(name, limit + 1, more);

    scene_expect_error(s, &s->alice, "POST", path, over, 400, code);
    scene_expect(s, &s->alice, "POST", path, fits, 201);
    mem_free(fits);
    mem_free(over);
}

/* ---- ip_policies ---------------------------------------------------------------------------- */

static void ip_policies_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{\"description\":\"offices\"}", id);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    assert_memory_equal(id, "ipp_", 4);
    assert_int_equal(strlen(scene_text(s, "created_at")), 20);
    assert_string_equal(scene_text(s, "description"), "offices");
    assert_non_null(scene_member(s, "metadata"));
    assert_string_equal(s->event_type, "ip_policy_created.v0");
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
    assert_string_equal(scene_text(s, "description"), "offices");
    scene_expect(s, &s->alice, "PATCH", path, "{\"metadata\":\"m\"}", 200);
    assert_string_equal(scene_text(s, "metadata"), "m");
    assert_string_equal(scene_text(s, "description"), "offices");
    assert_string_equal(s->event_type, "ip_policy_updated.v0");
    scene_expect(s, &s->alice, "GET", "/ip_policies", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "ip_policies")), 1);
    scene_expect(s, &s->alice, "DELETE", path, NULL, 204);
    assert_null(s->body);
    assert_string_equal(s->event_type, "ip_policy_deleted.v0");
    scene_expect_error(s, &s->alice, "GET", path, NULL, 404, "");
    scene_expect_error(s, &s->alice, "DELETE", path, NULL, 404, "");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"metadata\":\"\"}", 404, "");
}

static void ip_policies_errors(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", id);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_1400");
    scene_expect_error(s, &s->alice, "POST", "/ip_policies", "{\"action\":\"allow\"}", 400,
                       "ERR_NGROK_1423");
    scene_expect(s, &s->alice, "POST", "/ip_policies", "{\"action\":\"\"}", 201);
    check_limit(s, "/ip_policies", "description", 255, "", "ERR_NGROK_215");
    check_limit(s, "/ip_policies", "metadata", 4096, "", "ERR_NGROK_215");
}

/* ---- ip_policy_rules ------------------------------------------------------------------------ */

/* Creates a rule of a policy. */
static unsigned post_rule(struct scene *s, const struct api_caller *who, const char *policy,
                          const char *cidr, const char *action)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"ip_policy_id\":\"%s\",\"cidr\":\"%s\",\"action\":\"%s\"}", policy, cidr,
                   action);
    return scene_call(s, who, "POST", "/ip_policy_rules", body);
}

static void ip_policy_rules_fields_and_errors(void **state)
{
    static const struct {
        const char *cidr;
        const char *action;
        const char *code; /* "": it is fine */
    } rows[] = {
        { "203.0.113.0/24", "allow", "" },
        { "203.0.113.0/24", "deny", "ERR_NGROK_1408" },
        { "203.0.113.0/25", "deny", "" },
        { "2001:DB8::/32", "allow", "" },
        { "2001:db8:0::/32", "allow", "ERR_NGROK_1408" },
        { "203.0.113.7/24", "allow", "ERR_NGROK_1409" },
        { "203.0.113.7", "allow", "ERR_NGROK_1413" },
        { "203.0.113.7/33", "allow", "ERR_NGROK_1406" },
        { "example.com/8", "allow", "ERR_NGROK_1406" },
        { "", "allow", "ERR_NGROK_1405" },
        { "198.51.100.0/24", "", "ERR_NGROK_1405" },
        { "198.51.100.0/24", "permit", "ERR_NGROK_1422" },
        { "0.0.0.0/0", "deny", "" },
    };
    struct scene *s = *state;
    char policy[ID_BYTES];
    char rule[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", policy);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned status = post_rule(s, &s->alice, policy, rows[i].cidr, rows[i].action);

        assert_string_equal(scene_text(s, "error_code"), rows[i].code);
        assert_int_equal(status, rows[i].code[0] == '\0' ? 201 : 400);
    }
    assert_int_equal(post_rule(s, &s->alice, policy, "2001:DB8:1::/48", "allow"), 201);
    assert_string_equal(scene_text(s, "cidr"), "2001:db8:1::/48");
    assert_string_equal(scene_text(s, "ip_policy.id"), policy);
    (void)snprintf(path, sizeof(path), SCENE_BASE "/ip_policies/%s", policy);
    assert_string_equal(scene_text(s, "ip_policy.uri"), path);
    (void)snprintf(rule, sizeof(rule), "%s", scene_text(s, "id"));
    (void)snprintf(path, sizeof(path), "/ip_policy_rules/%s", rule);
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_1401");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"action\":\"deny\"}", 400, "ERR_NGROK_214");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"cidr\":\"203.0.113.0/24\"}", 400,
                       "ERR_NGROK_1408");
    scene_expect(s, &s->alice, "PATCH", path, "{\"cidr\":\"192.0.2.0/24\",\"action\":\"allow\"}",
                 200);
    /* The network that it had is free again. */
    assert_int_equal(post_rule(s, &s->alice, policy, "2001:db8:1::/48", "allow"), 201);
}

static void ip_policy_rules_texts_have_limits(void **state)
{
    struct scene *s = *state;
    char policy[ID_BYTES];
    char more[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", policy);
    (void)snprintf(more, sizeof(more),
                   ",\"ip_policy_id\":\"%s\",\"action\":\"deny\",\"cidr\":\"10.0.0.0/8\"", policy);
    check_limit(s, "/ip_policy_rules", "description", 255, more, "ERR_NGROK_1421");
    (void)snprintf(more, sizeof(more),
                   ",\"ip_policy_id\":\"%s\",\"action\":\"deny\",\"cidr\":\"11.0.0.0/8\"", policy);
    check_limit(s, "/ip_policy_rules", "metadata", 4096, more, "ERR_NGROK_215");
}

static void ip_policy_rules_need_a_policy_of_the_account(void **state)
{
    struct scene *s = *state;
    char policy[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", policy);
    assert_int_equal(post_rule(s, &s->alice, "ipp_x", "10.0.0.0/8", "allow"), 400);
    assert_string_equal(scene_text(s, "error_code"), "ERR_NGROK_1414");
    assert_int_equal(post_rule(s, &s->bob, policy, "10.0.0.0/8", "allow"), 400);
    assert_string_equal(scene_text(s, "error_code"), "ERR_NGROK_1402");
    /* An administrator may, and the rule is its policy's account's. */
    assert_int_equal(post_rule(s, &s->admin, policy, "10.0.0.0/8", "allow"), 201);
    (void)snprintf(path, sizeof(path), "/ip_policy_rules/%s", scene_text(s, "id"));
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
}

static void ip_policies_delete_takes_many_rules_with_it(void **state)
{
    struct scene *s = *state;
    char policy[ID_BYTES];
    char other[ID_BYTES];
    char cidr[32];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", policy);
    scene_create(s, &s->alice, "/ip_policies", "{}", other);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(cidr, sizeof(cidr), "10.0.%d.0/24", i);
        assert_int_equal(post_rule(s, &s->alice, policy, cidr, i % 2 == 0 ? "allow" : "deny"), 201);
    }
    assert_int_equal(post_rule(s, &s->alice, other, "10.0.0.0/8", "allow"), 201);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", policy);
    scene_expect(s, &s->alice, "DELETE", path, NULL, 204);
    scene_expect(s, &s->alice, "GET", "/ip_policy_rules", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "ip_policy_rules")), 1);
}

/* ---- vaults and secrets --------------------------------------------------------------------- */

static void vaults_fields_and_errors(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/vaults", "{\"name\":\"web-prod_1/a.b\"}", id);
    assert_string_equal(scene_text(s, "created_by"), s->alice.principal);
    assert_string_equal(scene_text(s, "last_updated_by"), s->alice.principal);
    assert_string_equal(scene_text(s, "created_at"), scene_text(s, "updated_at"));
    (void)snprintf(path, sizeof(path), "/vaults/%s", id);
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{}", 400, "ERR_NGROK_23001");
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{\"name\":\"a b\"}", 400,
                       "ERR_NGROK_23000");
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{\"name\":\"web-prod_1/a.b\"}", 400,
                       "ERR_NGROK_23004");
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_215");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"name\":\"\"}", 400, "ERR_NGROK_23001");
    check_limit(s, "/vaults", "name", 128, "", "ERR_NGROK_23002");
    /* Names are an account's own. */
    scene_expect(s, &s->bob, "POST", "/vaults", "{\"name\":\"web-prod_1/a.b\"}", 201);
    scene_expect(s, &s->alice, "PATCH", path, "{\"name\":\"web-prod_1/a.b\"}", 200);
    scene_expect(s, &s->alice, "PATCH", path, "{\"name\":\"other\"}", 200);
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"web-prod_1/a.b\"}", 201);
}

static void secrets_fields_and_errors(void **state)
{
    static const struct {
        const char *body; /* VAULT stands for its id */
        const char *code;
    } rows[] = {
        { "{\"name\":\"a\",\"value\":\"v\",\"vault_id\":\"VAULT\"}", "" },
        { "{\"name\":\"a\",\"value\":\"v\",\"vault_name\":\"prod\"}", "ERR_NGROK_24005" },
        { "{\"name\":\"b\",\"value\":\"v\",\"vault_name\":\"prod\"}", "" },
        { "{\"name\":\"c\",\"value\":\"v\",\"vault_name\":\"prod\",\"vault_id\":\"VAULT\"}", "" },
        { "{\"name\":\"d\",\"value\":\"v\",\"vault_name\":\"dev\",\"vault_id\":\"VAULT\"}",
          "ERR_NGROK_24006" },
        { "{\"name\":\"d\",\"value\":\"v\",\"vault_name\":\"dev\"}", "ERR_NGROK_24009" },
        { "{\"name\":\"d\",\"value\":\"v\"}", "ERR_NGROK_24008" },
        { "{\"name\":\"d\",\"value\":\"v\",\"vault_id\":\"x\"}", "ERR_NGROK_227" },
        { "{\"name\":\"d\",\"value\":\"v\",\"vault_id\":\"vault_3AM9sjNjrVDmRX7F4GniLGdudNy\"}",
          "ERR_NGROK_24006" },
        { "{\"value\":\"v\",\"vault_id\":\"VAULT\"}", "ERR_NGROK_24001" },
        { "{\"name\":\"d d\",\"value\":\"v\",\"vault_id\":\"VAULT\"}", "ERR_NGROK_24000" },
        { "{\"name\":\"d\",\"value\":\"\",\"vault_id\":\"VAULT\"}", "ERR_NGROK_24003" },
        { "{\"name\":\"d\",\"vault_id\":\"VAULT\"}", "ERR_NGROK_24003" },
    };
    struct scene *s = *state;
    char vault[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/vaults", "{\"name\":\"prod\"}", vault);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *at = strstr(rows[i].body, "VAULT");
        char body[256];

        (void)snprintf(body, sizeof(body), "%.*s%s%s", at != NULL ? (int)(at - rows[i].body) : 256,
                       rows[i].body, at != NULL ? vault : "", at != NULL ? at + 5 : "");
        (void)scene_call(s, &s->alice, "POST", "/vault_secrets", body);
        if (strcmp(scene_text(s, "error_code"), rows[i].code) != 0)
            print_error("%s\n", body);
        assert_string_equal(scene_text(s, "error_code"), rows[i].code);
    }
    check_limit(s, "/vault_secrets", "value", 65535, ",\"name\":\"long\",\"vault_name\":\"prod\"",
                "ERR_NGROK_24004");
    check_limit(s, "/vault_secrets", "name", 128, ",\"value\":\"v\",\"vault_name\":\"prod\"",
                "ERR_NGROK_24002");
    (void)snprintf(path, sizeof(path), "/vaults/%s", vault);
    scene_expect_error(s, &s->alice, "DELETE", path, NULL, 400, "ERR_NGROK_23003");
}

static void secrets_never_show_their_value(void **state)
{
    struct scene *s = *state;
    char vault[ID_BYTES];
    char path[128];
    char *text;

    scene_create(s, &s->alice, "/vaults", "{\"name\":\"prod\"}", vault);
    scene_expect(s, &s->alice, "POST", "/vault_secrets",
                 "{\"name\":\"a\",\"value\":\"hunter2\",\"vault_name\":\"prod\"}", 201);
    assert_null(scene_member(s, "value"));
    assert_string_equal(scene_text(s, "vault.id"), vault);
    assert_string_equal(scene_text(s, "vault_name"), "prod");
    assert_string_equal(scene_text(s, "created_by.id"), s->alice.principal);
    assert_string_equal(scene_text(s, "created_by.uri"), "");
    text = json_dumps(s->body, 0);
    assert_null(strstr(text, "hunter2"));
    free(text);
    assert_null(strstr(s->change_object, "hunter2"));
    (void)snprintf(path, sizeof(path), "/vault_secrets/%s", scene_text(s, "id"));
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_215");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"value\":\"\"}", 400, "ERR_NGROK_24003");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"vault_name\":\"dev\"}", 400,
                       "ERR_NGROK_214");
    scene_expect(s, &s->alice, "PATCH", path, "{\"value\":\"x\",\"vault_name\":\"prod\"}", 200);
    /* A vault's new name shows at once. */
    (void)snprintf(path, sizeof(path), "/vaults/%s", vault);
    scene_expect(s, &s->alice, "PATCH", path, "{\"name\":\"live\"}", 200);
    (void)snprintf(path, sizeof(path), "/vaults/%s/secrets?id=%s&limit=100", vault, vault);
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
    assert_string_equal(scene_text(s, "secrets.0.vault_name"), "live");
    (void)snprintf(path, sizeof(path), SCENE_BASE "/vaults/%s/secrets", vault);
    assert_string_equal(scene_text(s, "uri"), path);
    assert_true(json_is_null(scene_member(s, "next_page_uri")));
}

/* ---- ssh_credentials and api_keys ----------------------------------------------------------- */

#define KEY_A                                                                                      \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwOL1frpUXcm1bS124052YzSIM2cLHDZ21nMznLtTRH ci@build"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDOhpt+Y5qI5wQKQa1JUsBavq6C0NgnyozbKSz9GWfzp"
#define KEY_A_AGAIN                                                                                \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwOL1frpUXcm1bS124052YzSIM2cLHDZ21nMznLtTRH\\n"

static void ssh_credentials_fields_and_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "{}", "ERR_NGROK_611" },
        { "{\"public_key\":\" \"}", "ERR_NGROK_611" },
        { "{\"public_key\":\"ssh-dss AAAA\"}", "ERR_NGROK_612" },
        { "{\"public_key\":\"" KEY_A "\\n" KEY_A "\"}", "ERR_NGROK_612" },
        { "{\"public_key\":\"" KEY_A "\",\"acl\":[\"connect\"]}", "ERR_NGROK_600" },
        { "{\"public_key\":\"" KEY_A "\",\"acl\":[\"connect:a.com\"]}", "ERR_NGROK_600" },
        { "{\"public_key\":\"" KEY_A "\",\"acl\":[\"bind:a..b\"]}", "ERR_NGROK_600" },
        { "{\"public_key\":\"" KEY_A "\",\"acl\":\"*\"}", "ERR_NGROK_215" },
        { "{\"public_key\":\"" KEY_A "\",\"owner_email\":\"a@b.c\"}", "ERR_NGROK_630" },
        { "{\"public_key\":\"" KEY_A "\",\"owner_id\":\"x\",\"owner_email\":\"a\"}",
          "ERR_NGROK_631" },
        { "{\"public_key\":\"" KEY_A
          "\\n\",\"acl\":[\"*\",\"bind:*.a.com\",\"bind:k=v\",\"connect:db.internal\"]}",
          "" },
        { "{\"public_key\":\"" KEY_A_AGAIN "\"}", "ERR_NGROK_609" },
    };
    struct scene *s = *state;
    char path[128];

    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)scene_call(s, &s->alice, "POST", "/ssh_credentials", rows[i].body);
        if (strcmp(scene_text(s, "error_code"), rows[i].code) != 0)
            print_error("%s\n", rows[i].body);
        assert_string_equal(scene_text(s, "error_code"), rows[i].code);
    }
    scene_expect_error(s, &s->bob, "POST", "/ssh_credentials",
                       "{\"public_key\":\"" KEY_A_AGAIN "\"}", 400, "ERR_NGROK_610");
    scene_expect_error(s, &s->admin, "POST", "/ssh_credentials",
                       "{\"public_key\":\"" KEY_A_AGAIN "\",\"owner_id\":\"usr_nobody\"}", 400,
                       "ERR_NGROK_634");
    scene_expect(s, &s->alice, "GET", "/ssh_credentials", NULL, 200);
    assert_string_equal(scene_text(s, "ssh_credentials.0.public_key"), KEY_A "\n");
    assert_string_equal(scene_text(s, "ssh_credentials.0.acl.1"), "bind:*.a.com");
    assert_string_equal(scene_text(s, "ssh_credentials.0.owner_id"), s->alice.principal);
    (void)snprintf(path, sizeof(path), "/ssh_credentials/%s",
                   scene_text(s, "ssh_credentials.0.id"));
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_606");
    scene_expect(s, &s->alice, "PATCH", path, "{\"acl\":[]}", 200);
    assert_int_equal(json_array_size(scene_member(s, "acl")), 0);
    assert_true(json_is_array(scene_member(s, "acl")));
    assert_string_equal(s->event_type, "ssh_public_key_updated.v0");
}

static void credentials_texts_have_limits(void **state)
{
    static const char *const keys[] = { ",\"public_key\":\"" KEY_A "\"",
                                        ",\"public_key\":\"" KEY_B "\"" };
    struct scene *s = *state;

    check_limit(s, "/ssh_credentials", "description", 255, keys[0], "ERR_NGROK_604");
    check_limit(s, "/ssh_credentials", "metadata", 4096, keys[1], "ERR_NGROK_605");
    check_limit(s, "/api_keys", "description", 255, "", "ERR_NGROK_604");
    check_limit(s, "/api_keys", "metadata", 4096, "", "ERR_NGROK_605");
}

static void api_keys_token_is_shown_once(void **state)
{
    struct scene *s = *state;
    char token[API_TOKEN_BYTES];
    char header[128];
    char path[128];
    struct api_caller who;
    struct api_error e;

    scene_expect(s, &s->alice, "POST", "/api_keys", "{\"description\":\"terraform\"}", 201);
    (void)snprintf(token, sizeof(token), "%s", scene_text(s, "token"));
    assert_int_equal(strlen(token), 27 + 1 + 21);
    assert_string_equal(scene_text(s, "owner_id"), s->alice.principal);
    assert_null(strstr(s->change_object, token));
    (void)snprintf(path, sizeof(path), "/api_keys/%s", scene_text(s, "id"));
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
    assert_true(json_is_null(scene_member(s, "token")));
    scene_expect(s, &s->alice, "GET", "/api_keys", NULL, 200);
    assert_true(json_is_null(scene_member(s, "keys.0.token")));

    (void)snprintf(header, sizeof(header), "bearer %s", token);
    assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), 0);
    assert_string_equal(who.account, "alice");
    assert_string_equal(who.principal, s->alice.principal);
    assert_false(who.is_admin);
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_606");
    scene_expect(s, &who, "DELETE", path, NULL, 204); /* the key in use */
    assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), -1);
    assert_int_equal(e.code, API_TOKEN_UNKNOWN);
}

static void api_keys_of_an_administrator_are_for_whom_it_names(void **state)
{
    struct scene *s = *state;
    char body[128];
    char header[128];
    struct api_caller who;
    struct api_error e;

    (void)snprintf(body, sizeof(body), "{\"owner_id\":\"%s\"}", s->alice.principal);
    scene_expect_error(s, &s->admin, "POST", "/api_keys", body, 400, "ERR_NGROK_634");
    scene_expect_error(s, &s->bob, "POST", "/api_keys", body, 400, "ERR_NGROK_630");
    scene_expect(s, &s->alice, "POST", "/api_keys", body, 201);
    /* Now that she owns something she is known. */
    scene_expect(s, &s->admin, "POST", "/api_keys", body, 201);
    (void)snprintf(header, sizeof(header), "Bearer %s", scene_text(s, "token"));
    assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), 0);
    assert_string_equal(who.account, "alice");
    assert_false(who.is_admin);
    scene_expect(s, &s->admin, "POST", "/api_keys", "{}", 201);
    (void)snprintf(header, sizeof(header), "Bearer %s", scene_text(s, "token"));
    assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), 0);
    assert_true(who.is_admin);
    assert_string_equal(who.principal, s->admin.principal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ip_policies_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ip_policies_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ip_policy_rules_fields_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ip_policy_rules_texts_have_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ip_policy_rules_need_a_policy_of_the_account, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ip_policies_delete_takes_many_rules_with_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(vaults_fields_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_fields_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_never_show_their_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ssh_credentials_fields_and_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credentials_texts_have_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(api_keys_token_is_shown_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(api_keys_of_an_administrator_are_for_whom_it_names, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("api/resources", tests, NULL, NULL);
}
