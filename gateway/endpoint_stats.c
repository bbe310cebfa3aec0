/*
 * An endpoint remembers its place as one number: which place it is, and in whose turn (each time that a
 * place gets a new URL, its turn counts on). A worker that meets a newer turn than its numbers are of
 * begins at 0; an endpoint that meets a newer one than its own asks for a place again.
 */
#include "gateway/endpoint_stats.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics_text.h"
#include "tunnel/endpoint.h"

enum { PLACE_OTHER = 0, PLACE_BITS = 16, PLACE_MASK = (1 << PLACE_BITS) - 1 };

enum number { REQUESTS, CONNECTIONS, BYTES_IN, BYTES_OUT, DURATION_US };
enum { NUMBERS = DURATION_US + 1 };

static const struct {
    const char *name;
    const char *text;
} numbers[NUMBERS] = {
    [REQUESTS] = { "sallyport_endpoint_requests_total", "HTTP exchanges of an endpoint finished." },
    [CONNECTIONS] = { "sallyport_endpoint_connections_total",
                      "Connections to a TCP or TLS endpoint finished." },
    [BYTES_IN] = { "sallyport_endpoint_bytes_in_total",
                   "Bytes of bodies and connections received for an endpoint." },
    [BYTES_OUT] = { "sallyport_endpoint_bytes_out_total",
                    "Bytes of bodies and connections sent for an endpoint." },
    [DURATION_US] = { "sallyport_endpoint_duration_seconds_total",
                      "Time that the exchanges and connections of an endpoint took, together." },
};

/* What one worker has counted for one place. */
struct cell {
    _Atomic uint64_t turn;
    _Atomic uint64_t last_ms;
    _Atomic uint64_t numbers[NUMBERS];
};

struct place {
    char *url;     /* owned; NULL: free */
    char *account; /* owned */
    _Atomic uint64_t turn;
};

struct endpoint_stats {
    pthread_mutex_t lock; /* of the places but for their turns */
    struct place *places; /* owned: max + 1, the first for all others */
    size_t count;
    size_t workers;
    struct cell *cells; /* owned: `count` for each worker */
};

struct endpoint_stats *endpoint_stats_new(size_t workers, size_t max)
{
    struct endpoint_stats *s = mem_zalloc(sizeof(*s));
    int failed = pthread_mutex_init(&s->lock, NULL);

    assert(failed == 0 && max < PLACE_MASK);
    (void)failed;
    s->count = max + 1;
    s->workers = workers;
    s->places = mem_zalloc_array(s->count, sizeof(*s->places));
    s->cells = mem_zalloc_array(s->count * workers, sizeof(*s->cells));
    s->places[PLACE_OTHER].url = mem_strdup("other");
    s->places[PLACE_OTHER].account = mem_strdup("");
    atomic_store(&s->places[PLACE_OTHER].turn, 1);
    return s;
}

void endpoint_stats_free(struct endpoint_stats *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->places[i].url);
        mem_free(s->places[i].account);
    }
    mem_free(s->places);
    mem_free(s->cells);
    (void)pthread_mutex_destroy(&s->lock); /* fails only while it is locked */
    mem_free(s);
}

static struct cell *cell_of(const struct endpoint_stats *s, size_t worker, size_t place)
{
    return &s->cells[worker * s->count + place];
}

/* ---- places ---------------------------------------------------------------------------- */

static uint64_t last_used_ms(const struct endpoint_stats *s, size_t place)
{
    uint64_t last = 0;

    for (size_t i = 0; i < s->workers; i++) {
        uint64_t at = atomic_load_explicit(&cell_of(s, i, place)->last_ms, memory_order_relaxed);

        last = at > last ? at : last;
    }
    return last;
}

/* The place of that URL, else a free one, else the one that is idle the longest, else PLACE_OTHER. */
static size_t choose_place(const struct endpoint_stats *s, const char *url, const char *account,
                           uint64_t now_ms)
{
    size_t best = PLACE_OTHER;
    uint64_t best_ms = now_ms > ENDPOINT_STATS_IDLE_MS ? now_ms - ENDPOINT_STATS_IDLE_MS : 0;

    for (size_t i = 1; i < s->count; i++) {
        const struct place *p = &s->places[i];
        uint64_t used_ms = p->url == NULL ? 0 : last_used_ms(s, i);

        if (p->url != NULL && strcmp(p->url, url) == 0 && strcmp(p->account, account) == 0)
            return i;
        if (used_ms < best_ms || (p->url == NULL && best == PLACE_OTHER)) {
            best = i;
            best_ms = used_ms;
        }
    }
    return best;
}

static uint64_t find_place(struct endpoint_stats *s, const struct endpoint *ep, uint64_t now_ms)
{
    char url[URL_TEXT_BYTES];
    struct place *p;
    uint64_t turn;
    size_t at;

    (void)url_format(&ep->url, scheme_default_port(SCHEME_HTTP), scheme_default_port(SCHEME_HTTPS),
                     url);
    (void)pthread_mutex_lock(&s->lock);
    at = choose_place(s, url, ep->account, now_ms);
    p = &s->places[at];
    if (at != PLACE_OTHER &&
        (p->url == NULL || strcmp(p->url, url) != 0 || strcmp(p->account, ep->account) != 0)) {
        mem_free(p->url);
        mem_free(p->account);
        p->url = mem_strdup(url);
        p->account = mem_strdup(ep->account);
        atomic_fetch_add(&p->turn, 1);
        /* Or it would be given away again before its first count is seen. */
        atomic_store(&cell_of(s, 0, at)->last_ms, now_ms);
    }
    turn = atomic_load(&p->turn);
    (void)pthread_mutex_unlock(&s->lock);
    return turn << PLACE_BITS | at;
}

/* ---- counting -------------------------------------------------------------------------- */

static void add(_Atomic uint64_t *value, uint64_t n)
{
    uint64_t old = atomic_load_explicit(value, memory_order_relaxed);

    atomic_store_explicit(value, old + n, memory_order_relaxed); /* one writer */
}

static void begin_turn(struct cell *c, uint64_t turn)
{
    for (size_t i = 0; i < NUMBERS; i++)
        atomic_store_explicit(&c->numbers[i], 0, memory_order_relaxed);
    atomic_store_explicit(&c->turn, turn, memory_order_release);
}

void endpoint_stats_count(struct endpoint_stats *s, unsigned worker, struct endpoint *ep,
                          const struct endpoint_visit *v, uint64_t now_ms)
{
    uint64_t at = atomic_load_explicit(&ep->stats_place, memory_order_relaxed);
    struct cell *c;

    if (at == 0 || atomic_load(&s->places[at & PLACE_MASK].turn) != at >> PLACE_BITS) {
        at = find_place(s, ep, now_ms);
        atomic_store_explicit(&ep->stats_place, at, memory_order_relaxed);
    }
    c = cell_of(s, worker, at & PLACE_MASK);
    if (atomic_load_explicit(&c->turn, memory_order_relaxed) != at >> PLACE_BITS)
        begin_turn(c, at >> PLACE_BITS);
    atomic_store_explicit(&c->last_ms, now_ms, memory_order_relaxed);
    add(&c->numbers[REQUESTS], v->requests);
    add(&c->numbers[CONNECTIONS], v->connections);
    add(&c->numbers[BYTES_IN], v->bytes_in);
    add(&c->numbers[BYTES_OUT], v->bytes_out);
    add(&c->numbers[DURATION_US], v->duration_us);
}

/* ---- the metrics ----------------------------------------------------------------------- */

static uint64_t sum(const struct endpoint_stats *s, size_t place, enum number what)
{
    uint64_t turn = atomic_load(&s->places[place].turn);
    uint64_t total = 0;

    for (size_t i = 0; i < s->workers; i++) {
        const struct cell *c = cell_of(s, i, place);

        if (atomic_load_explicit(&c->turn, memory_order_acquire) == turn)
            total += atomic_load_explicit(&c->numbers[what], memory_order_relaxed);
    }
    return total;
}

static void add_family(const struct endpoint_stats *s, enum number what, struct buf *out)
{
    metrics_text_family(out, numbers[what].name, METRIC_COUNTER, numbers[what].text);
    for (size_t i = 0; i < s->count; i++) {
        const struct place *p = &s->places[i];
        const struct metrics_label labels[] = { { "endpoint", str_from(p->url) },
                                                { "account", str_from(p->account) } };
        size_t count = sizeof(labels) / sizeof(labels[0]);

        if (p->url == NULL)
            continue;
        if (what == DURATION_US)
            metrics_text_seconds(out, numbers[what].name, labels, count, sum(s, i, what));
        else
            metrics_text_sample(out, numbers[what].name, labels, count, (int64_t)sum(s, i, what));
    }
}

void endpoint_stats_add_metrics(struct endpoint_stats *s, struct buf *out)
{
    (void)pthread_mutex_lock(&s->lock);
    for (int i = 0; i < NUMBERS; i++)
        add_family(s, (enum number)i, out);
    (void)pthread_mutex_unlock(&s->lock);
}
