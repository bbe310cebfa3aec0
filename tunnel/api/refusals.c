#include "tunnel/api/refusals.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

struct entry {
    char account[API_ACCOUNT_BYTES]; /* "": whoever is not logged in */
    struct log_limit limit;
    UT_hash_handle hh;
};

struct api_refusals {
    pthread_mutex_t lock;
    struct entry *entries; /* owned: by account */
};

struct api_refusals *api_refusals_new(void)
{
    struct api_refusals *r = mem_zalloc(sizeof(*r));
    int failed = pthread_mutex_init(&r->lock, NULL);

    assert(failed == 0);
    (void)failed;
    return r;
}

void api_refusals_free(struct api_refusals *r)
{
    struct entry *e;
    struct entry *next;

    if (r == NULL)
        return;
    HASH_ITER(hh, r->entries, e, next)
    {
        HASH_DEL(r->entries, e);
        mem_free(e);
    }
    (void)pthread_mutex_destroy(&r->lock); /* fails only while it is locked */
    mem_free(r);
}

static struct entry *find_entry(struct api_refusals *r, const char *account)
{
    struct entry *e;

    HASH_FIND_STR(r->entries, account, e);
    if (e == NULL) {
        e = mem_zalloc(sizeof(*e));
        (void)snprintf(e->account, sizeof(e->account), "%s", account);
        HASH_ADD_STR(r->entries, account, e);
    }
    return e;
}

static bool may_log(struct api_refusals *r, const char *account, uint64_t *suppressed)
{
    bool may;

    (void)pthread_mutex_lock(&r->lock); /* fails only when misused, as does the unlock */
    may = log_limit_pass(&find_entry(r, account)->limit, API_REFUSALS_PER_SECOND, clock_mono_ms(),
                         suppressed);
    (void)pthread_mutex_unlock(&r->lock);
    return may;
}

void api_refusals_log(struct api_refusals *r, const struct api_request *request, enum api_code code,
                      const char *operation_id)
{
    static const struct api_caller nobody = { .source = API_SOURCE_REST };
    const struct api_caller *who = request->who != NULL ? request->who : &nobody;
    char text[API_CODE_TEXT_BYTES];
    uint64_t suppressed;

    if (api_code_status(code) >= 500 || !may_log(r, who->account, &suppressed))
        return;
    log_info("api.refused", LS("account", who->account), LS("principal", who->principal),
             LS("credential", who->credential),
             LS("source", who->source == API_SOURCE_SSH ? "SSH" : "API"),
             LSTR("method", request->method), LSTR("path", request->path),
             LU("status", api_code_status(code)), LS("code", api_code_format(code, text)),
             LS("operation", operation_id), LU("suppressed", suppressed));
}
