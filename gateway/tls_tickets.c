#include "gateway/tls_tickets.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/ref.h"

struct tls_tickets {
    struct ref ref;
    pthread_rwlock_t lock; /* guards what follows; held for a copy of one key */
    struct tls_ticket_key keys[TLS_TICKETS_KEPT]; /* newest first */
};

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *t = mem_zalloc(sizeof(*t));
    int rc = pthread_rwlock_init(&t->lock, NULL);

    assert(rc == 0);
    (void)rc;
    ref_init(&t->ref);
    return t;
}

void tls_tickets_ref(struct tls_tickets *t)
{
    ref_inc(&t->ref);
}

void tls_tickets_unref(struct tls_tickets *t)
{
    if (t == NULL || !ref_dec(&t->ref))
        return;
    (void)pthread_rwlock_destroy(&t->lock); /* nobody holds it */
    mem_wipe(t->keys, sizeof(t->keys));
    mem_free(t);
}

static bool is_due(const struct tls_tickets *t, uint64_t now_ms)
{
    return t->keys[0].made_ms == 0 || now_ms >= t->keys[0].made_ms + TLS_TICKETS_ROTATE_MS;
}

/* A key is replaced after ROTATE_MS at the earliest and opens for LIFETIME_MS after that. */
static bool is_over(const struct tls_ticket_key *k, uint64_t now_ms)
{
    return k->made_ms == 0 ||
           now_ms >= k->made_ms + TLS_TICKETS_ROTATE_MS + TLS_TICKETS_LIFETIME_MS;
}

/* With the lock held for writing. */
static void rotate(struct tls_tickets *t, uint64_t now_ms)
{
    struct tls_ticket_key *k = t->keys;

    memmove(k + 1, k, sizeof(t->keys) - sizeof(*k));
    rand_bytes(k->name, sizeof(k->name));
    rand_bytes(k->aes, sizeof(k->aes));
    rand_bytes(k->mac, sizeof(k->mac));
    k->made_ms = now_ms > 0 ? now_ms : 1;
    for (size_t i = 1; i < TLS_TICKETS_KEPT; i++) {
        if (is_over(&k[i], now_ms))
            mem_wipe(&k[i], sizeof(k[i]));
    }
}

void tls_tickets_current(struct tls_tickets *t, uint64_t now_ms, struct tls_ticket_key *out)
{
    bool due;

    (void)pthread_rwlock_rdlock(&t->lock); /* fails only on deadlock */
    due = is_due(t, now_ms);
    *out = t->keys[0];
    (void)pthread_rwlock_unlock(&t->lock);
    if (!due)
        return;
    (void)pthread_rwlock_wrlock(&t->lock);
    if (is_due(t, now_ms)) /* another worker may have been faster */
        rotate(t, now_ms);
    *out = t->keys[0];
    (void)pthread_rwlock_unlock(&t->lock);
}

enum tls_tickets_found tls_tickets_find(struct tls_tickets *t,
                                        const uint8_t name[TLS_TICKETS_NAME_BYTES], uint64_t now_ms,
                                        struct tls_ticket_key *out)
{
    enum tls_tickets_found found = TLS_TICKETS_NONE;

    (void)pthread_rwlock_rdlock(&t->lock); /* fails only on deadlock */
    for (size_t i = 0; i < TLS_TICKETS_KEPT; i++) {
        const struct tls_ticket_key *k = &t->keys[i];

        if (is_over(k, now_ms) || memcmp(k->name, name, sizeof(k->name)) != 0)
            continue;
        *out = *k;
        found = i == 0 && !is_due(t, now_ms) ? TLS_TICKETS_CURRENT : TLS_TICKETS_OLD;
        break;
    }
    (void)pthread_rwlock_unlock(&t->lock);
    return found;
}
