#include "policy/key_source.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/jwks.h"
#include "policy/jwt.h"
#include "policy/local.h"

/* ---- what the worker keeps of a source ------------------------------------------------------- */

struct key_set {
    struct jwks *keys; /* owned; NULL: none were ever had */
    uint64_t keys_ms;  /* when they were last seen to be right; monotonic */
    uint64_t version;  /* of the document that was read last; 0: none */
    uint64_t failed_ms;
    bool is_bad;     /* that document is no key set */
    bool has_failed; /* the last fetch did */
};

static void set_free(void *object)
{
    struct key_set *set = object;

    jwks_free(set->keys);
    mem_free(set);
}

enum { PREFIX_BYTES = 5, KEY_BYTES = LOCAL_KEY_MAX_BYTES, WARNINGS_A_SECOND = 5 };

/* "jwks" and the URL, or the digest of one that is too long for a key. */
static struct str cache_key(struct str url, char key[KEY_BYTES])
{
    unsigned n = 0;

    memcpy(key, "jwks", PREFIX_BYTES);
    if (url.n <= KEY_BYTES - PREFIX_BYTES) {
        memcpy(key + PREFIX_BYTES, url.p, url.n);
        return str_of(key, PREFIX_BYTES + url.n);
    }
    if (EVP_Digest(url.p, url.n, (unsigned char *)key + PREFIX_BYTES, &n, EVP_sha256(), NULL) != 1)
        return str_of(url.p, url.n); /* never found, so never kept */
    return str_of(key, PREFIX_BYTES + n);
}

static struct key_set *find_set(struct action_run *run, struct str url)
{
    char key[KEY_BYTES];

    return policy_local_find(run->local, cache_key(url, key));
}

static struct key_set *need_set(struct action_run *run, struct str url)
{
    struct key_set *set = find_set(run, url);
    char key[KEY_BYTES];

    if (set != NULL)
        return set;
    set = mem_zalloc(sizeof(*set));
    policy_local_put(run->local, cache_key(url, key), set, set_free);
    return set;
}

/* ---- one source ------------------------------------------------------------------------------ */

/* The keys, unless there are none or they are too old to be trusted. The host falls back to the last
 * document by itself; when it gives up, that is too old as well. */
static const struct jwks *keys_of(struct action_run *run, struct str url, uint64_t now_ms)
{
    const struct key_set *set = find_set(run, url);

    if (set == NULL || set->keys == NULL || set->has_failed ||
        now_ms - set->keys_ms >= KEY_SOURCE_STALE_MS)
        return NULL;
    return set->keys;
}

/* For the operator; a visitor is not told. A query may hold what is not meant for a log. */
static void warn(struct action_run *run, struct str url, const struct err *why, uint64_t now_ms)
{
    uint64_t suppressed;

    if (!log_limit_pass(&run->local->warnings, WARNINGS_A_SECOND, now_ms, &suppressed))
        return;
    log_info("policy.key_set_failed", LSTR("url", str_slice(url, 0, str_find_char(url, '?'))),
             LERR(why), LU("suppressed", suppressed));
}

static void take_document(struct action_run *run, struct str url,
                          const struct policy_shared_fetched *document, uint64_t now_ms)
{
    struct key_set *set = need_set(run, url);
    struct jwks *keys;
    struct err e;

    set->has_failed = false;
    if (document->version != set->version) {
        keys = jwks_parse(document->body, &e);
        set->version = document->version;
        set->is_bad = keys == NULL;
        if (keys == NULL) {
            warn(run, url, &e, now_ms);
        } else {
            jwks_free(set->keys);
            set->keys = keys;
        }
    }
    if (!set->is_bad)
        set->keys_ms = now_ms;
}

static void take_failure(struct action_run *run, struct str url, const struct err *why,
                         uint64_t now_ms)
{
    struct key_set *set = need_set(run, url);

    set->has_failed = true;
    set->failed_ms = now_ms;
    warn(run, url, why, now_ms);
}

static void begin_fetch(struct action_run *run, struct str url, struct key_search *s)
{
    const struct key_set *set = find_set(run, url);

    s->fetch = (struct policy_shared_fetch){
        .url = url,
        .timeout_ms = KEY_SOURCE_TIMEOUT_MS,
        .response_max_bytes = JWKS_MAX_BYTES,
        .fresh_ms = KEY_SOURCE_FRESH_MS,
        .stale_ms = KEY_SOURCE_STALE_MS,
        .refetch_ms = KEY_SOURCE_REFETCH_MS,
    };
    if (set != NULL && (s->is_second || set->is_bad))
        s->fetch.version = set->version;
}

/* True if it is not to be asked for: it just failed, or this search has waited long enough. */
static bool is_left_alone(struct action_run *run, struct str url, const struct key_search *s,
                          uint64_t now_ms)
{
    const struct key_set *set = find_set(run, url);

    return now_ms >= s->deadline_ms ||
           (set != NULL && set->has_failed && now_ms - set->failed_ms < KEY_SOURCE_RETRY_MS);
}

/* The keys of one source, new or old; *keys is NULL when there are none. False: they are under way. */
static bool get_keys(struct action_run *run, struct str url, struct key_search *s,
                     const struct jwks **keys)
{
    struct policy_shared_fetched document = { 0 };
    uint64_t now_ms = clock_mono_ms();
    struct err why = { .code = E_OK };

    if (s->is_pending || !is_left_alone(run, url, s, now_ms)) {
        if (!s->is_pending)
            begin_fetch(run, url, s);
        s->is_pending = false;
        switch (run->host->fetch_shared(run->ctx, &s->fetch, &document, &why)) {
        case POLICY_PENDING:
            s->is_pending = true;
            return false;
        case POLICY_READY:
            take_document(run, url, &document, now_ms);
            break;
        case POLICY_FAILED:
            take_failure(run, url, &why, now_ms);
            break;
        }
    }
    *keys = keys_of(run, url, now_ms);
    return true;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* Looks at the sources from s->index on. POLICY_FAILED: none of them has the key. */
static enum policy_ready look(struct action_run *run, const struct str *urls, size_t count,
                              const struct jwt *t, struct key_search *s)
{
    for (; s->index < count; s->index++) {
        const struct jwks *keys = NULL;

        if (!get_keys(run, urls[s->index], s, &keys))
            return POLICY_PENDING;
        if (keys == NULL) {
            s->has_failed = true;
            continue;
        }
        switch (jwks_verify(keys, t, &s->tries)) {
        case JWKS_VERIFIED:
            return POLICY_READY;
        case JWKS_WRONG:
            s->has_wrong = true;
            break;
        case JWKS_NO_KEY:
            break;
        }
    }
    return POLICY_FAILED;
}

static enum policy_ready refuse(const struct jwt *t, const struct key_search *s, struct err *e)
{
    /* A token that does not name its key may be of one in the set that is missing. */
    if (s->has_failed && (!s->has_wrong || t->kid.p == NULL))
        (void)err_set(e, E_TOKEN_KEYS, "the keys to check the token with cannot be had");
    else if (s->has_wrong)
        (void)err_set(e, E_CREDENTIALS, "the signature of the token is wrong");
    else
        (void)err_set(e, E_CREDENTIALS, "the token is signed with an unknown key");
    return POLICY_FAILED;
}

enum policy_ready key_source_verify(struct action_run *run, const struct str *urls, size_t count,
                                    const struct jwt *t, struct key_search *s, struct err *e)
{
    enum policy_ready ready;

    if (!s->is_started)
        *s = (struct key_search){ .is_started = true,
                                  .tries = KEY_SOURCE_TRIES_MAX,
                                  .deadline_ms = clock_mono_ms() + KEY_SOURCE_WAIT_MS };
    ready = look(run, urls, count, t, s);
    if (ready == POLICY_FAILED && !s->has_wrong && !s->is_second) {
        s->is_second = true;
        s->has_failed = false;
        s->index = 0;
        ready = look(run, urls, count, t, s);
    }
    return ready == POLICY_FAILED ? refuse(t, s, e) : ready;
}
