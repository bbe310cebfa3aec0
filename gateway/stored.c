/*
 * The objects of a kind stand below "object/<kind>/", as tunnel/api writes them: compact JSON with the
 * fields of the API by their names, and a reference `x` as "x_id".
 */
#include "gateway/stored.h"

#include <jansson.h>

#include "base/base64.h"
#include "base/mem.h"
#include "gateway/ip_policies.h"
#include "gateway/tls_attached.h"
#include "gateway/vaults.h"
#include "tunnel/acl.h"
#include "tunnel/api/stored_objects.h"
#include "tunnel/authkeys.h"
#include "tunnel/names.h"
#include "tunnel/store/seal.h"
#include "tunnel/store/store.h"

/* The string member; empty when there is none. */
static struct str text_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR("");
}

/* ---- sealed values ----------------------------------------------------------------------------- */

/* What was sealed, *n bytes to wipe and free; NULL: it cannot be opened. */
static char *open_sealed(const struct seal_key *key, const struct store_entry *entry,
                         struct str sealed, size_t *n)
{
    size_t cap = base64_max_bytes(sealed.n);
    char *bytes = mem_alloc(cap + 1);
    char *value = NULL;
    size_t sealed_bytes;
    struct err e;

    if (base64_decode(sealed, bytes, cap, &sealed_bytes) == -1)
        (void)err_set(&e, E_SYNTAX, "what is sealed is no base64");
    else
        value = unseal(key, str_from(entry->key), str_of(bytes, sealed_bytes), n, &e);
    if (value == NULL)
        api_stored_unusable(entry->key, e.msg);
    mem_free(bytes);
    return value;
}

/* ---- keys ------------------------------------------------------------------------------------- */

static void add_key(void *arg, const struct store_entry *entry, const json_t *object)
{
    const json_t *rules = json_object_get(object, "acl");
    struct str acl[ACL_RULES_MAX];
    struct authkey_stored key = {
        .id = text_of(object, "id"),
        .account = text_of(object, "account"),
        .public_key = text_of(object, "public_key"),
        .acl = acl,
        .acl_count = json_array_size(rules),
    };
    struct err e;

    if (key.acl_count > ACL_RULES_MAX) {
        api_stored_unusable(entry->key, "it has too many rules");
        return;
    }
    for (size_t i = 0; i < key.acl_count; i++) {
        const json_t *rule = json_array_get(rules, i);

        acl[i] = str_of(json_string_value(rule), json_string_length(rule));
    }
    if (authkeys_add(arg, &key, &e) == -1)
        api_stored_unusable(entry->key, e.msg);
}

struct authkeys *stored_keys(struct store *s, struct err *e)
{
    struct authkeys *keys = authkeys_new();

    if (api_stored_each(s, STR("object/ssh_credential/"), add_key, keys, e) == 0)
        return keys;
    authkeys_unref(keys);
    return NULL;
}

/* ---- secrets ---------------------------------------------------------------------------------- */

struct secrets {
    const struct seal_key *key;
    struct vaults *vaults;
    json_t *names; /* owned: the name of each vault, by its id */
};

static void note_vault(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct secrets *to = arg;

    (void)entry;
    (void)json_object_set(to->names, json_string_value(json_object_get(object, "id")),
                          json_object_get(object, "name"));
}

static void add_secret(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct secrets *to = arg;
    const json_t *vault = json_object_get(to->names, text_of(object, "vault_id").p);
    size_t n;
    char *value = open_sealed(to->key, entry, text_of(object, "sealed"), &n);

    if (value == NULL)
        return;
    if (vault == NULL ||
        !vaults_add(to->vaults, text_of(object, "account"), str_from(json_string_value(vault)),
                    text_of(object, "name"), str_of(value, n)))
        api_stored_unusable(entry->key, "its names are none");
    mem_wipe(value, n);
    mem_free(value);
}

struct vaults *stored_vaults(struct store *s, const struct seal_key *k, struct err *e)
{
    struct secrets to = { .key = k, .vaults = vaults_new(), .names = json_object() };
    int rc = api_stored_each(s, STR("object/vault/"), note_vault, &to, e);

    if (rc == 0)
        rc = api_stored_each(s, STR("object/secret/"), add_secret, &to, e);
    json_decref(to.names);
    if (rc == 0)
        return to.vaults;
    vaults_unref(to.vaults);
    return NULL;
}

/* ---- IP policies ------------------------------------------------------------------------------ */

static void add_ip_policy(void *arg, const struct store_entry *entry, const json_t *object)
{
    (void)entry;
    (void)ip_policies_add(arg, text_of(object, "id"), text_of(object, "account"));
}

/* Without one of its rules a policy might admit whom it denies: it is left out whole. */
static void add_ip_rule(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct str policy = text_of(object, "ip_policy_id");
    bool allows = str_eq(text_of(object, "action"), STR("allow"));
    struct cidr block;
    struct err e;

    if (cidr_parse(text_of(object, "cidr"), &block, &e) == 0) {
        (void)ip_policies_add_rule(arg, policy, &block, allows); /* else its policy is left out */
        return;
    }
    api_stored_unusable(entry->key, e.msg);
    ip_policies_remove(arg, policy);
}

struct ip_policies *stored_ip_policies(struct store *s, struct err *e)
{
    struct ip_policies *p = ip_policies_new();

    if (api_stored_each(s, STR("object/ip_policy/"), add_ip_policy, p, e) == 0 &&
        api_stored_each(s, STR("object/ip_policy_rule/"), add_ip_rule, p, e) == 0)
        return p;
    ip_policies_unref(p);
    return NULL;
}

/* ---- certificates ----------------------------------------------------------------------------- */

struct certificates {
    const struct seal_key *key;
    struct tls_attached *attached;
    json_t *domains; /* owned: the id of its certificate, by each domain that has one */
    json_t *used;    /* owned: those ids as members */
};

static void note_domain(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct certificates *to = arg;
    const json_t *domain = json_object_get(object, "domain");
    struct str id = text_of(object, "certificate_id");

    (void)entry;
    if (id.n == 0 || !json_is_string(domain))
        return;
    (void)json_object_set_new(to->domains, json_string_value(domain), json_stringn(id.p, id.n));
    (void)json_object_set_new(to->used, id.p, json_true());
}

static void add_certificate(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct certificates *to = arg;
    struct str id = text_of(object, "id");
    struct err e;
    char *key;
    size_t n;

    if (json_object_get(to->used, id.p) == NULL)
        return;
    key = open_sealed(to->key, entry, text_of(object, "sealed"), &n);
    if (key == NULL)
        return;
    if (tls_attached_add(to->attached, id, text_of(object, "certificate_pem"), str_of(key, n),
                         &e) == -1)
        api_stored_unusable(entry->key, e.msg);
    mem_wipe(key, n);
    mem_free(key);
}

/* One without its certificate has been logged; it is served with the gateway's own. */
static void attach_all(const struct certificates *from)
{
    const char *domain;
    json_t *id;

    json_object_foreach(from->domains, domain, id)
    {
        (void)tls_attached_attach(from->attached, str_from(domain),
                                  str_from(json_string_value(id)));
    }
}

struct tls_attached *stored_certificates(struct store *s, const struct seal_key *k, struct err *e)
{
    struct certificates to = {
        .key = k,
        .attached = tls_attached_new(),
        .domains = json_object(),
        .used = json_object(),
    };
    int rc = api_stored_each(s, STR("object/reserved_domain/"), note_domain, &to, e);

    if (rc == 0)
        rc = api_stored_each(s, STR("object/tls_certificate/"), add_certificate, &to, e);
    if (rc == 0)
        attach_all(&to);
    json_decref(to.domains);
    json_decref(to.used);
    if (rc == 0)
        return to.attached;
    tls_attached_unref(to.attached);
    return NULL;
}

/* ---- names ------------------------------------------------------------------------------------ */

static void add_name(struct names *to, const char *key, struct str name, struct str account)
{
    struct err e;

    if (names_add(to, name, account, &e) == -1)
        api_stored_unusable(key, e.msg);
}

static void add_domain(void *arg, const struct store_entry *entry, const json_t *object)
{
    add_name(arg, entry->key, text_of(object, "domain"), text_of(object, "account"));
}

static void add_address(void *arg, const struct store_entry *entry, const json_t *object)
{
    add_name(arg, entry->key, text_of(object, "addr"), text_of(object, "account"));
}

int stored_names(struct store *s, struct names *n, struct err *e)
{
    if (api_stored_each(s, STR("object/reserved_domain/"), add_domain, n, e) == -1)
        return -1;
    return api_stored_each(s, STR("object/reserved_addr/"), add_address, n, e);
}
