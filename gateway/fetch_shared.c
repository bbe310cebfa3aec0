#include "gateway/fetch_shared.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/fetch.h"

struct fetch_shared_entry {
    UT_hash_handle hh;           /* least recently used first */
    struct fetch_shared *shared; /* borrowed: holds us */
    struct fetch *fetch;         /* owned; NULL: none is under way */
    struct fetch_shared_wait *waits;
    char *body; /* owned; NULL: none yet */
    size_t body_bytes;
    uint64_t version;    /* of the body; 0: none yet */
    uint64_t fetched_ms; /* when the body was last seen to be right */
    uint64_t tried_ms;   /* when the last fetch was over; 0: none was */
    uint64_t early_ms;   /* when the last fetch began that a fresh version did not spare; 0: none */
    struct err error;    /* of the last fetch */
    size_t url_bytes;
    char url[];
};

struct fetch_shared {
    struct fetcher *fetcher; /* borrowed: outlives us */
    struct fetch_shared_entry *by_url;
    uint64_t versions; /* given so far */
};

/* ---- entries ---------------------------------------------------------------------------------- */

static void free_body(struct worker *w, void *arg)
{
    (void)w;
    mem_free(arg);
}

/* What was handed out stays until the end of the turn. */
static void drop_body(struct fetch_shared_entry *entry)
{
    if (entry->body != NULL)
        worker_defer(fetcher_worker(entry->shared->fetcher), free_body, entry->body);
    entry->body = NULL;
    entry->body_bytes = 0;
}

static void drop_entry(struct fetch_shared_entry *entry)
{
    assert(entry->waits == NULL);
    HASH_DEL(entry->shared->by_url, entry);
    fetch_free(entry->fetch);
    drop_body(entry);
    mem_free(entry);
}

static void make_room(struct fetch_shared *s)
{
    struct fetch_shared_entry *entry;
    struct fetch_shared_entry *next;

    if (HASH_COUNT(s->by_url) < FETCH_SHARED_MAX)
        return;
    HASH_ITER(hh, s->by_url, entry, next)
    {
        if (entry->fetch == NULL) {
            drop_entry(entry);
            return;
        }
    }
}

static struct fetch_shared_entry *need_entry(struct fetch_shared *s, struct str url)
{
    struct fetch_shared_entry *entry;

    HASH_FIND(hh, s->by_url, url.p, url.n, entry);
    if (entry != NULL) {
        HASH_DEL(s->by_url, entry);
    } else {
        make_room(s);
        entry = mem_zalloc(sizeof(*entry) + url.n);
        entry->shared = s;
        entry->url_bytes = url.n;
        memcpy(entry->url, url.p, url.n);
    }
    HASH_ADD_KEYPTR(hh, s->by_url, entry->url, entry->url_bytes, entry); /* now the last used */
    return entry;
}

/* ---- fetching --------------------------------------------------------------------------------- */

static void take_body(struct fetch_shared_entry *entry, struct str body)
{
    if (entry->body != NULL && str_eq(str_of(entry->body, entry->body_bytes), body))
        return;
    drop_body(entry);
    entry->body = mem_strndup(body.p != NULL ? body.p : "", body.n);
    entry->body_bytes = body.n;
    entry->version = ++entry->shared->versions;
}

static void take_result(struct fetch_shared_entry *entry)
{
    const struct policy_fetched *got = fetch_result(entry->fetch);

    entry->tried_ms = clock_mono_ms();
    entry->error = *fetch_error(entry->fetch);
    if (entry->error.code == E_OK && (got->status < 200 || got->status > 299))
        (void)err_set(&entry->error, E_FETCH_FAILED,
                      "the document's server answered with status %u", got->status);
    if (entry->error.code == E_OK) {
        entry->fetched_ms = entry->tried_ms;
        take_body(entry, got->body);
    }
    fetch_free(entry->fetch);
    entry->fetch = NULL;
}

static void on_fetched(void *arg)
{
    struct fetch_shared_entry *entry = arg;
    struct fetch_shared_wait *waits = entry->waits;
    struct fetch_shared_wait *wait;

    take_result(entry);
    /* Those who are told may ask anew, of this entry or others, and the entry may go. */
    entry->waits = NULL;
    DL_FOREACH(waits, wait)
    {
        wait->list = &waits;
    }
    while (waits != NULL) {
        wait = waits;
        fetch_shared_leave(wait);
        wait->is_told = true;
        wait->done(wait->arg);
    }
}

static void start(struct fetch_shared_entry *entry, const struct fetch_shared_params *params)
{
    static const struct policy_header headers[] = {
        { STR_INIT("user-agent"), STR_INIT("sallyport") },
        { STR_INIT("accept"), STR_INIT("application/json, */*;q=0.5") },
    };
    const struct policy_shared_fetch *request = params->request;
    struct policy_fetch fetch = {
        .url = request->url,
        .method = STR("GET"),
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .timeout_ms = request->timeout_ms,
        .response_max_bytes = request->response_max_bytes,
        .max_redirects = FETCH_SHARED_REDIRECTS,
    };
    const struct fetch_params how = {
        .request = &fetch,
        .rules = params->rules,
        .max = params->max,
        .done = on_fetched,
        .arg = entry,
    };

    entry->fetch = fetch_start(entry->shared->fetcher, &how);
}

/* ---- asking ----------------------------------------------------------------------------------- */

/* Who asks has looked at what there is, and needs a newer version. */
static bool is_unhelpful(const struct fetch_shared_entry *entry,
                         const struct policy_shared_fetch *request)
{
    return request->version != 0 && request->version == entry->version;
}

static bool is_fresh(const struct fetch_shared_entry *entry,
                     const struct policy_shared_fetch *request, uint64_t now_ms)
{
    if (entry->body == NULL)
        return false;
    if (is_unhelpful(entry, request))
        return entry->early_ms != 0 && now_ms - entry->early_ms < request->refetch_ms;
    return now_ms - entry->fetched_ms < request->fresh_ms;
}

/* What there is, without a further fetch. */
static enum policy_ready answer(const struct fetch_shared_entry *entry,
                                const struct policy_shared_fetch *request, uint64_t now_ms,
                                struct policy_shared_fetched *out, struct err *e)
{
    bool is_usable = entry->body != NULL &&
                     (entry->error.code == E_OK || now_ms - entry->fetched_ms < request->stale_ms);

    if (!is_usable) {
        *e = entry->error;
        return POLICY_FAILED;
    }
    out->body = str_of(entry->body, entry->body_bytes);
    out->version = entry->version;
    return POLICY_READY;
}

static bool has_just_failed(const struct fetch_shared_entry *entry, uint64_t now_ms)
{
    return entry->error.code != E_OK && now_ms - entry->tried_ms < FETCH_SHARED_RETRY_MS;
}

enum policy_ready fetch_shared_ask(struct fetch_shared *s, const struct fetch_shared_params *params,
                                   struct fetch_shared_wait *wait,
                                   struct policy_shared_fetched *out, struct err *e)
{
    struct fetch_shared_entry *entry = need_entry(s, params->request->url);
    uint64_t now_ms = clock_mono_ms();
    bool is_told = wait->is_told && entry->tried_ms != 0;

    assert(wait->list == NULL);
    wait->is_told = false;
    if (is_told || is_fresh(entry, params->request, now_ms) ||
        (entry->fetch == NULL && has_just_failed(entry, now_ms)))
        return answer(entry, params->request, now_ms, out, e);
    if (entry->fetch == NULL) {
        if (is_unhelpful(entry, params->request))
            entry->early_ms = now_ms;
        start(entry, params);
    }
    wait->list = &entry->waits;
    DL_APPEND(entry->waits, wait);
    return POLICY_PENDING;
}

void fetch_shared_leave(struct fetch_shared_wait *wait)
{
    if (wait->list != NULL)
        DL_DELETE(*wait->list, wait);
    wait->list = NULL;
    wait->is_told = false;
}

/* ---- life ------------------------------------------------------------------------------------- */

struct fetch_shared *fetch_shared_new(struct fetcher *f)
{
    struct fetch_shared *s = mem_zalloc(sizeof(*s));

    s->fetcher = f;
    return s;
}

void fetch_shared_free(struct fetch_shared *s)
{
    if (s == NULL)
        return;
    while (s->by_url != NULL)
        drop_entry(s->by_url);
    mem_free(s);
}
