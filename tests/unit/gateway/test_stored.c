/*
 * Unit tests of gateway/stored, over the memory store: what is there is found, and one bad object harms
 * no other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"
#include "gateway/ip_policies.h"
#include "gateway/stored.h"
#include "gateway/vaults.h"
#include "tunnel/authkeys.h"
#include "tunnel/store/seal.h"
#include "tunnel/store/store.h"

/* A key made by ssh-keygen; nobody has its private part. */
#define ED "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDOhpt+Y5qI5wQKQa1JUsBavq6C0NgnyozbKSz9GWfzp"

enum { KEY_FILE_BYTES = 64, OBJECT_BYTES = 2048, MANY = STORE_RANGE_MAX + 10 };

static struct store *store;

static int setup(void **state)
{
    (void)state;
    store = store_memory_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_free(store);
    return 0;
}

static void put(const char *key, const char *value)
{
    struct store_txn t;
    struct err e;

    store_txn_init(&t);
    store_txn_put(&t, str_from(key), str_from(value));
    assert_int_equal(store_commit(store, &t, NULL, &e), 1);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void keys_are_those_that_can_be_used(void **state)
{
    uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES];
    const struct authkey *key;
    struct authkeys *keys;
    struct err e;

    (void)state;
    put("object/ssh_credential/sshcr_0", "no JSON");
    put("object/ssh_credential/sshcr_1", "[]");
    put("object/ssh_credential/sshcr_2", "{\"id\":\"sshcr_2\",\"public_key\":\"ssh-ed25519 !\"}");
    put("object/ssh_credential/sshcr_3", "{\"id\":\"sshcr_3\",\"account\":\"alice\","
                                         "\"public_key\":\"" ED "\",\"acl\":[7]}");
    put("object/ssh_credential/sshcr_4",
        "{\"id\":\"sshcr_4\",\"account\":\"alice\",\"public_key\":\"" ED
        " laptop\",\"acl\":[\"bind:a.com\"]}");
    put("object/ssh_credentialx", "{}"); /* of another kind */
    keys = stored_keys(store, &e);
    assert_non_null(keys);
    assert_int_equal(authkeys_count(keys), 1);
    assert_int_equal(authkey_public_parse(STR(ED), fingerprint, &e), 0);
    key = authkeys_find(keys, fingerprint);
    assert_non_null(key);
    assert_string_equal(key->id, "sshcr_4");
    assert_string_equal(key->account, "alice");
    assert_string_equal(key->comment, "laptop");
    assert_string_equal(key->where, "sshcr_4");
    assert_int_equal(key->acl.bind.count, 1);
    assert_false(key->is_admin);
    authkeys_unref(keys);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static struct seal_key *make_key(char path[KEY_FILE_BYTES])
{
    char folder[] = "/tmp/stored.XXXXXX";
    struct seal_key *key;
    struct err e;

    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, KEY_FILE_BYTES, "%s/seal.key", folder);
    key = seal_key_open(path, &e);
    assert_non_null(key);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return key;
}

/* Puts a secret that was sealed for the object `sealed_for`. */
static void put_secret(const struct seal_key *key, const char *id, const char *sealed_for,
                       const char *name, const char *value)
{
    char store_key[STORE_KEY_MAX_BYTES];
    char object[OBJECT_BYTES];
    char text[OBJECT_BYTES / 2] = "";
    struct err e;
    size_t n;
    char *sealed;

    (void)snprintf(store_key, sizeof(store_key), "object/secret/%s", sealed_for);
    sealed = seal(key, str_from(store_key), str_from(value), &n, &e);
    assert_non_null(sealed);
    base64_encode(str_of(sealed, n), text);
    mem_free(sealed);
    (void)snprintf(store_key, sizeof(store_key), "object/secret/%s", id);
    (void)snprintf(object, sizeof(object),
                   "{\"id\":\"%s\",\"account\":\"alice\",\"vault_id\":\"vault_1\",\"name\":\"%s\","
                   "\"sealed\":\"%s\"}",
                   id, name, text);
    put(store_key, object);
}

static bool has(const struct vaults *v, const char *account, const char *name, const char *value)
{
    struct str found = vaults_find(v, str_from(account), STR("team"), str_from(name));

    return found.p != NULL && str_eq(found, str_from(value));
}

static void secrets_are_opened(void **state)
{
    char path[KEY_FILE_BYTES];
    struct seal_key *key = make_key(path);
    struct vaults *v;
    struct err e;

    (void)state;
    put("object/vault/vault_1", "{\"id\":\"vault_1\",\"name\":\"team\"}");
    put_secret(key, "secret_1", "secret_1", "one", "first");
    put_secret(key, "secret_2", "secret_1", "two", "of another");
    put_secret(key, "secret_3", "secret_3", "a b", "no name");
    put_secret(key, "secret_4", "secret_4", "path/four", "");
    put("object/secret/secret_5", "{\"id\":\"secret_5\",\"sealed\":\"*\"}");
    v = stored_vaults(store, key, &e);
    assert_non_null(v);
    assert_int_equal(vaults_count(v), 2);
    assert_true(has(v, "alice", "one", "first"));
    assert_true(has(v, "alice", "path/four", ""));
    assert_false(has(v, "bob", "one", "first"));
    vaults_unref(v);
    seal_key_free(key);
}

/* ---- IP policies ----------------------------------------------------------------------------- */

static void put_rule(const char *id, const char *policy, const char *cidr, const char *action)
{
    char store_key[STORE_KEY_MAX_BYTES];
    char object[OBJECT_BYTES];

    (void)snprintf(store_key, sizeof(store_key), "object/ip_policy_rule/%s", id);
    (void)snprintf(object, sizeof(object),
                   "{\"ip_policy_id\":\"%s\",\"cidr\":\"%s\",\"action\":\"%s\"}", policy, cidr,
                   action);
    put(store_key, object);
}

static void bad_rule_closes_its_policy(void **state)
{
    const struct policy_ip_rules *rules;
    struct ip_policies *p;
    struct err e;

    (void)state;
    put("object/ip_policy/ipp_1", "{\"id\":\"ipp_1\",\"account\":\"alice\"}");
    put("object/ip_policy/ipp_2", "{\"id\":\"ipp_2\",\"account\":\"alice\"}");
    put_rule("ipr_1", "ipp_1", "10.0.0.0/8", "allow");
    put_rule("ipr_2", "ipp_1", "10.1.0.0/16", "deny");
    put_rule("ipr_3", "ipp_2", "nonsense", "deny");
    put_rule("ipr_4", "ipp_2", "0.0.0.0/0", "allow");
    put_rule("ipr_5", "ipp_3", "0.0.0.0/0", "allow"); /* its policy is gone */
    p = stored_ip_policies(store, &e);
    assert_non_null(p);
    rules = ip_policies_find(p, STR("alice"), STR("ipp_1"));
    assert_non_null(rules);
    assert_int_equal(rules->allow_count, 1);
    assert_int_equal(rules->deny_count, 1);
    assert_null(ip_policies_find(p, STR("alice"), STR("ipp_2")));
    assert_null(ip_policies_find(p, STR("alice"), STR("ipp_3")));
    ip_policies_unref(p);
}

/* More than one page. */
static void all_pages_are_read(void **state)
{
    const struct policy_ip_rules *rules;
    struct ip_policies *p;
    struct err e;
    char id[32];
    char cidr[32];

    (void)state;
    put("object/ip_policy/ipp_1", "{\"id\":\"ipp_1\",\"account\":\"alice\"}");
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof(id), "ipr_%06d", i);
        (void)snprintf(cidr, sizeof(cidr), "10.0.%d.%d/32", i / 256, i % 256);
        put_rule(id, "ipp_1", cidr, "allow");
    }
    p = stored_ip_policies(store, &e);
    rules = ip_policies_find(p, STR("alice"), STR("ipp_1"));
    assert_int_equal(rules->allow_count, MANY);
    ip_policies_unref(p);
}

int main(void)
{
#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(keys_are_those_that_can_be_used),
        WITH_STORE(secrets_are_opened),
        WITH_STORE(bad_rule_closes_its_policy),
        WITH_STORE(all_pages_are_read),
    };

    return cmocka_run_group_tests_name("gateway/stored", tests, NULL, NULL);
}
