#include "sshd/shared.h"

#include <string.h>

#include <uthash.h>

#include "base/cidr_set.h"
#include "base/mem.h"
#include "policy/policy.h"

enum tally_kind { TALLY_KEY, TALLY_ADDR };

enum { TALLY_IPV6_BYTES = 8 }; /* a /64 is what one customer of a provider has */

struct tally_id {
    uint8_t kind;
    uint8_t family;
    uint8_t bytes[AUTHKEY_FINGERPRINT_BYTES];
};

struct tally {
    struct tally_id id;
    uint32_t count;
    UT_hash_handle hh;
};

static struct tally_id id_of_key(const uint8_t key[AUTHKEY_FINGERPRINT_BYTES])
{
    struct tally_id id;

    memset(&id, 0, sizeof(id));
    id.kind = TALLY_KEY;
    memcpy(id.bytes, key, sizeof(id.bytes));
    return id;
}

static struct tally_id id_of_addr(const struct addr *a)
{
    struct tally_id id;

    memset(&id, 0, sizeof(id));
    id.kind = TALLY_ADDR;
    id.family = a->family;
    memcpy(id.bytes, a->ip, a->family == 6 ? TALLY_IPV6_BYTES : 4);
    return id;
}

static uint32_t tally_get(struct sshd_shared *sh, const struct tally_id *id)
{
    struct tally *t;

    HASH_FIND(hh, sh->tallies, id, sizeof(*id), t);
    return t != NULL ? t->count : 0;
}

static void tally_add(struct sshd_shared *sh, const struct tally_id *id)
{
    struct tally *t;

    HASH_FIND(hh, sh->tallies, id, sizeof(*id), t);
    if (t == NULL) {
        t = mem_zalloc(sizeof(*t));
        t->id = *id;
        HASH_ADD(hh, sh->tallies, id, sizeof(t->id), t);
    }
    t->count++;
}

static void tally_remove(struct sshd_shared *sh, const struct tally_id *id)
{
    struct tally *t;

    HASH_FIND(hh, sh->tallies, id, sizeof(*id), t);
    if (t == NULL || --t->count > 0)
        return;
    HASH_DEL(sh->tallies, t);
    mem_free(t);
}

int shared_enter(struct sshd_shared *sh, const uint8_t key[AUTHKEY_FINGERPRINT_BYTES],
                 const struct addr *client, const struct sshd_settings *limits, struct err *e)
{
    struct tally_id k = id_of_key(key);
    struct tally_id a = id_of_addr(client);
    int rc = 0;

    (void)pthread_mutex_lock(&sh->lock);
    if (tally_get(sh, &k) >= limits->max_sessions_per_key) {
        rc = err_set(e, E_SESSION_LIMIT, "this key has %u sessions already, which is its limit",
                     (unsigned)limits->max_sessions_per_key);
    } else if (tally_get(sh, &a) >= limits->max_sessions_per_address) {
        rc = err_set(e, E_SESSION_LIMIT, "your address has %u sessions already, which is its limit",
                     (unsigned)limits->max_sessions_per_address);
    } else {
        tally_add(sh, &k);
        tally_add(sh, &a);
    }
    (void)pthread_mutex_unlock(&sh->lock);
    return rc;
}

void shared_leave(struct sshd_shared *sh, const uint8_t key[AUTHKEY_FINGERPRINT_BYTES],
                  const struct addr *client)
{
    struct tally_id k = id_of_key(key);
    struct tally_id a = id_of_addr(client);

    (void)pthread_mutex_lock(&sh->lock);
    tally_remove(sh, &k);
    tally_remove(sh, &a);
    (void)pthread_mutex_unlock(&sh->lock);
}

uint64_t shared_serial(struct sshd_shared *sh)
{
    return atomic_fetch_add_explicit(&sh->serial, 1, memory_order_relaxed) + 1;
}

void settings_ref(const struct sshd_settings *s)
{
    policy_terms_ref(s->policy);
    cidr_set_ref(s->balancers);
}

void settings_unref(const struct sshd_settings *s)
{
    policy_terms_unref(s->policy);
    cidr_set_unref(s->balancers);
}

struct sshd_shared *sshd_shared_new(const char *const *host_keys, size_t host_key_count,
                                    const struct sshd_settings *settings, struct authkeys *keys,
                                    const struct host_suffixes *suffixes, struct control *control,
                                    struct err *e)
{
    struct sshd_shared *sh = mem_zalloc(sizeof(*sh));

    (void)ssh_init();
    (void)pthread_mutex_init(&sh->lock, NULL);
    sh->settings = *settings;
    settings_ref(&sh->settings);
    sh->keys = keys;
    authkeys_ref(keys);
    sh->suffixes = suffixes;
    sh->control = control;
    for (size_t i = 0; i < host_key_count && i < SSHD_HOST_KEYS; i++) {
        if (ssh_pki_import_privkey_file(host_keys[i], NULL, NULL, NULL, &sh->host_keys[i]) !=
            SSH_OK) {
            (void)err_set(e, E_CONFIG, "%s: not a readable private key without passphrase",
                          host_keys[i]);
            sshd_shared_free(sh);
            return NULL;
        }
        sh->host_key_count++;
    }
    return sh;
}

void sshd_shared_set_api(struct sshd_shared *sh, const struct sshd_api *api)
{
    sh->api = *api;
}

void sshd_shared_free(struct sshd_shared *sh)
{
    struct tally *t;
    struct tally *next;

    if (sh == NULL)
        return;
    for (size_t i = 0; i < sh->host_key_count; i++)
        ssh_key_free(sh->host_keys[i]);
    HASH_ITER(hh, sh->tallies, t, next)
    {
        HASH_DEL(sh->tallies, t);
        mem_free(t);
    }
    settings_unref(&sh->settings);
    authkeys_unref(sh->keys);
    (void)pthread_mutex_destroy(&sh->lock);
    mem_free(sh);
    (void)ssh_finalize();
}
