/*
 * Control has reservations of its own, and a change is made there first: it alone knows who is online, and nobody
 * can claim a name between its look and the change.
 */
#include "tunnel/names.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/question.h"
#include "base/rand.h"
#include "base/ref.h"
#include "tunnel/control.h"
#include "tunnel/domains.h"
#include "tunnel/endpoint.h"
#include "tunnel/host.h"

/* A name of the API. */
struct name {
    char *text;    /* owned: "host" or "host:port" */
    char *account; /* owned */
    UT_hash_handle hh;
};

struct names {
    struct control *control;     /* borrowed: outlives us, but for names_free() */
    struct questions *questions; /* owned: to control */
    struct str tcp_host;         /* owned */
    struct registry_range fixed;

    /* For all below; held while control is asked, so that changes keep their order. */
    pthread_mutex_t lock;
    struct domains *given; /* owned: those of the operator */
    struct name *stored;   /* owned */
    struct domains *live;  /* owned: both sets, the same as control's */
};

/* A name in its two parts. */
struct spot {
    char host[HOST_MAX_BYTES + 1];
    uint16_t port; /* 0: no TCP address */
};

static int spot_parse(struct str name, struct spot *out, struct err *e)
{
    return host_port_parse(name, out->host, &out->port, e);
}

/* ---- names of the API ------------------------------------------------------------------------ */

static void remember(struct names *n, struct str text, struct str account)
{
    struct name *name = mem_zalloc(sizeof(*name));

    name->text = str_dup(text);
    name->account = str_dup(account);
    HASH_ADD_KEYPTR(hh, n->stored, name->text, text.n, name);
}

static void forget(struct names *n, struct str text)
{
    struct name *name;

    HASH_FIND(hh, n->stored, text.p, text.n, name);
    if (name == NULL)
        return;
    HASH_DEL(n->stored, name);
    mem_free(name->text);
    mem_free(name->account);
    mem_free(name);
}

/* ---- what control sees ----------------------------------------------------------------------- */

struct change {
    struct question *question; /* this side's part */
    struct spot spot;
    char *name;                    /* owned: both parts of the spot */
    char *account;                 /* owned */
    const struct domains *domains; /* borrowed: of control */
    bool is_hit;
};

static bool is_at_address(const struct endpoint *ep, const struct spot *spot)
{
    return ep->url.scheme == SCHEME_TCP && ep->url.port == spot->port &&
           strcmp(ep->url.host, spot->host) == 0;
}

/* Is the name also one of the domain: at it, below it, or a wildcard over it? */
static bool is_in_domain(struct str host, struct str domain)
{
    struct str zone = host_is_wildcard(domain) ? str_skip(domain, 2) : domain;

    return host_is_below_or_equal(host, zone) || host_matches(host, zone);
}

/* The port of a name as control has it, "host" (0) or "host:port". */
static uint16_t split(struct str name, struct str *host)
{
    size_t colon = str_find_char(name, ':');
    uint64_t port = 0;

    *host = str_slice(name, 0, colon);
    if (colon < name.n)
        (void)str_to_u64(str_skip(name, colon + 1), UINT16_MAX, &port); /* it is a number */
    return (uint16_t)port;
}

/* Also a name that is only held: its session may come back for it. */
static void note_foreign(void *arg, struct str name, struct str account)
{
    struct change *ch = arg;
    struct str spot = str_from(ch->spot.host);
    struct str host;

    if (split(name, &host) != ch->spot.port || str_eq(account, str_from(ch->account)))
        return;
    if (ch->spot.port != 0 ? str_eq(host, spot) : is_in_domain(host, spot))
        ch->is_hit = true;
}

static void change_done(struct change *ch, const struct err *e)
{
    question_answer(ch->question, e);
    mem_free(ch->name);
    mem_free(ch->account);
    mem_free(ch);
}

static void on_reserve(void *arg, const struct registry *r, struct domains *domains)
{
    struct change *ch = arg;
    struct err e = { .code = E_OK };

    registry_each_name(r, clock_mono_ms(), note_foreign, ch);
    if (ch->is_hit)
        (void)err_set(&e, E_ENDPOINT_ONLINE, "an endpoint is there");
    else
        (void)domains_add(domains, str_from(ch->name), str_from(ch->account), &e);
    change_done(ch, &e);
}

static void note_uncovered(void *arg, struct endpoint *ep)
{
    struct change *ch = arg;
    bool is_there;

    if (ep->url.binding == BINDING_INTERNAL || endpoint_has_agent(ep) ||
        strcmp(ep->account, ch->account) != 0)
        return;
    is_there = ch->spot.port != 0
                   ? is_at_address(ep, &ch->spot)
                   : ep->url.scheme != SCHEME_TCP &&
                         host_matches(str_from(ch->spot.host), str_from(ep->url.host));
    if (is_there && !domains_covers(ch->domains, &ep->url, str_from(ch->account)))
        ch->is_hit = true;
}

/* Takes the name away, and looks who misses it. */
static void take_away(struct change *ch, const struct registry *r, struct domains *domains)
{
    domains_remove(domains, str_from(ch->spot.host), ch->spot.port);
    ch->domains = domains;
    registry_each(r, note_uncovered, ch);
}

static void put_back(const struct change *ch, struct domains *domains)
{
    (void)domains_add(domains, str_from(ch->name), str_from(ch->account), NULL); /* as it was */
}

static void on_release(void *arg, const struct registry *r, struct domains *domains)
{
    struct change *ch = arg;
    struct err e = { .code = E_OK };

    take_away(ch, r, domains);
    if (ch->is_hit) {
        put_back(ch, domains);
        (void)err_set(&e, E_ENDPOINT_ONLINE, "an endpoint is there");
    }
    change_done(ch, &e);
}

static void on_check_release(void *arg, const struct registry *r, struct domains *domains)
{
    struct change *ch = arg;
    struct err e = { .code = E_OK };

    take_away(ch, r, domains);
    put_back(ch, domains);
    if (ch->is_hit)
        (void)err_set(&e, E_ENDPOINT_ONLINE, "an endpoint is there");
    change_done(ch, &e);
}

/* Under the lock. Has control make the change. Returns 0, or -1 with what it said. */
static int ask_control(struct names *n, control_reserve_fn *fn, struct str name,
                       const struct spot *spot, struct str account, struct err *e)
{
    struct question *q = question_new(n->questions);
    struct change *ch = mem_zalloc(sizeof(*ch));

    ch->question = q;
    ch->spot = *spot;
    ch->name = str_dup(name);
    ch->account = str_dup(account);
    control_reserve(n->control, fn, ch);
    return question_await(q, e);
}

/* ---- changes --------------------------------------------------------------------------------- */

static enum api_name_answer answer_of(enum domains_clash clash)
{
    switch (clash) {
    case DOMAINS_CLEAR:
        return API_NAME_OK;
    case DOMAINS_OWN:
        return API_NAME_OWN;
    case DOMAINS_OTHER:
        return API_NAME_OTHER;
    case DOMAINS_COVERS:
        return API_NAME_COVERS;
    }
    return API_NAME_FAILED;
}

static enum api_name_answer reserve(struct names *n, struct str name, const struct spot *spot,
                                    struct str account, struct err *e)
{
    enum domains_clash clash =
        domains_find_clash(n->live, str_from(spot->host), spot->port, account);

    if (clash != DOMAINS_CLEAR)
        return answer_of(clash);
    if (domains_add(n->live, name, account, e) == -1)
        return API_NAME_FAILED;
    if (ask_control(n, on_reserve, name, spot, account, e) == -1) {
        domains_remove(n->live, str_from(spot->host), spot->port);
        return e->code == E_ENDPOINT_ONLINE ? API_NAME_ONLINE : API_NAME_FAILED;
    }
    remember(n, name, account);
    return API_NAME_OK;
}

enum api_name_answer names_reserve(struct names *n, struct str name, struct str account,
                                   struct err *e)
{
    enum api_name_answer answer;
    struct spot spot;

    if (spot_parse(name, &spot, e) == -1)
        return API_NAME_FAILED;
    (void)pthread_mutex_lock(&n->lock);
    answer = reserve(n, name, &spot, account, e);
    (void)pthread_mutex_unlock(&n->lock);
    return answer;
}

/* Of one that the operator reserves, for whomever, nothing of ours is live. */
static bool is_live(const struct names *n, const struct spot *spot, struct str account)
{
    struct str host = str_from(spot->host);

    return domains_find_clash(n->live, host, spot->port, account) == DOMAINS_OWN &&
           domains_find_clash(n->given, host, spot->port, account) != DOMAINS_OWN;
}

static enum api_name_answer check_release(struct names *n, struct str name, const struct spot *spot,
                                          struct str account, struct err *e)
{
    if (!is_live(n, spot, account) || ask_control(n, on_check_release, name, spot, account, e) == 0)
        return API_NAME_OK;
    return e->code == E_ENDPOINT_ONLINE ? API_NAME_USED : API_NAME_FAILED;
}

enum api_name_answer names_check_release(struct names *n, struct str name, struct str account,
                                         struct err *e)
{
    enum api_name_answer answer;
    struct spot spot;

    if (spot_parse(name, &spot, e) == -1)
        return API_NAME_FAILED;
    (void)pthread_mutex_lock(&n->lock);
    answer = check_release(n, name, &spot, account, e);
    (void)pthread_mutex_unlock(&n->lock);
    return answer;
}

static enum api_name_answer release(struct names *n, struct str name, const struct spot *spot,
                                    struct str account, struct err *e)
{
    if (is_live(n, spot, account)) {
        if (ask_control(n, on_release, name, spot, account, e) == -1)
            return e->code == E_ENDPOINT_ONLINE ? API_NAME_USED : API_NAME_FAILED;
        domains_remove(n->live, str_from(spot->host), spot->port);
    }
    forget(n, name);
    return API_NAME_OK;
}

enum api_name_answer names_release(struct names *n, struct str name, struct str account,
                                   struct err *e)
{
    enum api_name_answer answer;
    struct spot spot;

    if (spot_parse(name, &spot, e) == -1)
        return API_NAME_FAILED;
    (void)pthread_mutex_lock(&n->lock);
    answer = release(n, name, &spot, account, e);
    (void)pthread_mutex_unlock(&n->lock);
    return answer;
}

/* ---- picking a port -------------------------------------------------------------------------- */

struct look {
    struct ref ref; /* of who asks and of control, which may come too late */
    struct question *question;
    bool used[UINT16_MAX + 1];
};

static void look_unref(struct look *l)
{
    if (ref_dec(&l->ref))
        mem_free(l);
}

static void note_port(void *arg, struct str name, struct str account)
{
    struct look *l = arg;
    struct str host;

    (void)account;
    l->used[split(name, &host)] = true; /* 0, which is never picked: of a domain */
}

static void on_look(void *arg, const struct registry *r)
{
    const struct err none = { .code = E_OK };
    struct look *l = arg;

    registry_each_name(r, clock_mono_ms(), note_port, l);
    question_answer(l->question, &none);
    look_unref(l);
}

static uint16_t pick(const struct names *n, const bool *used)
{
    uint32_t count = n->fixed.first == 0 ? 0 : (uint32_t)(n->fixed.last - n->fixed.first + 1);
    uint32_t start;

    rand_bytes(&start, sizeof(start));
    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(n->fixed.first + (start % count + i) % count);

        if (!used[port] &&
            domains_find_clash(n->live, n->tcp_host, port, STR_NONE) == DOMAINS_CLEAR)
            return port;
    }
    return 0;
}

uint16_t names_pick_port(struct names *n)
{
    struct look *l = mem_zalloc(sizeof(*l));
    struct question *q = question_new(n->questions);
    uint16_t port = 0;
    struct err e;

    ref_init(&l->ref);
    ref_inc(&l->ref);
    l->question = q;
    control_look(n->control, on_look, l);
    if (question_await(q, &e) == 0) {
        (void)pthread_mutex_lock(&n->lock);
        port = pick(n, l->used);
        (void)pthread_mutex_unlock(&n->lock);
    }
    look_unref(l);
    return port;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct names *names_new(struct domains *given, struct str tcp_host, struct registry_range fixed)
{
    struct names *n = mem_zalloc(sizeof(*n));

    n->questions = questions_new();
    (void)pthread_mutex_init(&n->lock, NULL);
    n->tcp_host = str_of(str_dup(tcp_host), tcp_host.n);
    n->fixed = fixed;
    n->given = given;
    n->live = domains_copy(given);
    return n;
}

int names_add(struct names *n, struct str name, struct str account, struct err *e)
{
    remember(n, name, account);
    return domains_add(n->live, name, account, e);
}

struct domains *names_domains(const struct names *n)
{
    return domains_copy(n->live);
}

void names_start(struct names *n, struct control *control)
{
    n->control = control;
}

static void log_unused(const struct name *name, const struct err *e)
{
    log_warn("name.unused", LS("name", name->text), LS("account", name->account),
             LS("why", e->msg));
}

void names_configure(struct names *n, struct domains *given, uint64_t hold_ms)
{
    struct name *name;
    struct name *next;
    struct err e;

    (void)pthread_mutex_lock(&n->lock);
    domains_free(n->given);
    domains_free(n->live);
    n->given = given;
    n->live = domains_copy(given);
    HASH_ITER(hh, n->stored, name, next)
    {
        if (domains_add(n->live, str_from(name->text), str_from(name->account), &e) == -1)
            log_unused(name, &e);
    }
    control_configure(n->control, hold_ms, domains_copy(n->live));
    (void)pthread_mutex_unlock(&n->lock);
}

void names_stop(struct names *n)
{
    questions_stop(n->questions);
}

void names_free(struct names *n)
{
    struct name *name;
    struct name *next;

    if (n == NULL)
        return;
    HASH_ITER(hh, n->stored, name, next)
    {
        forget(n, str_from(name->text));
    }
    domains_free(n->given);
    domains_free(n->live);
    mem_free((char *)(uintptr_t)n->tcp_host.p);
    (void)pthread_mutex_destroy(&n->lock);
    questions_free(n->questions);
    mem_free(n);
}
