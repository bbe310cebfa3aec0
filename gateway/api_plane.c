/*
 * Two threads make new wholes: main for the operator, and that of a change. The lock makes one of
 * them after the other, so that every worker gets the same ones in the same order; the store is read
 * before it is taken, since main should not wait for the disk.
 */
#include "gateway/api_plane.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rounds.h"
#include "gateway/inputs.h"
#include "gateway/ip_policies.h"
#include "gateway/policy_data.h"
#include "gateway/stored.h"
#include "gateway/tls.h"
#include "gateway/tls_attached.h"
#include "gateway/vaults.h"
#include "policy/policy.h"
#include "tunnel/api/host.h"
#include "tunnel/authkeys.h"

/* What is read from the store, each in one piece. */
enum part { PART_KEYS, PART_VAULTS, PART_IP_POLICIES, PART_CERTIFICATES };
enum { PARTS = PART_CERTIFICATES + 1 };

struct stored {
    struct authkeys *keys;           /* counted */
    struct vaults *vaults;           /* counted */
    struct ip_policies *ip_policies; /* counted */
    struct tls_attached *attached;   /* counted */
};

struct api_plane {
    struct api_plane_params params;
    struct rounds *rounds; /* owned */
    bool is_due[PARTS];    /* to be read; of the thread of a change */

    pthread_mutex_t lock; /* for all below */
    struct inputs given;  /* by the operator */
    struct stored stored;
    struct inputs live; /* of the two above */
    uint64_t round;
    size_t twins; /* keys that both have, when that was last logged */
    bool stopped;
};

/* ---- reading ---------------------------------------------------------------------------------- */

static void stored_fini(struct stored *s)
{
    authkeys_unref(s->keys);
    vaults_unref(s->vaults);
    ip_policies_unref(s->ip_policies);
    tls_attached_unref(s->attached);
    *s = (struct stored){ .keys = NULL };
}

/* Reads what is due. Returns 0; or -1 with E_STORE, and that is still due. */
static int read_due(struct api_plane *p, struct stored *fresh, struct err *e)
{
    const struct api_plane_params *from = &p->params;

    *fresh = (struct stored){ .keys = NULL };
    if (p->is_due[PART_KEYS])
        fresh->keys = stored_keys(from->store, e);
    if (p->is_due[PART_VAULTS])
        fresh->vaults = stored_vaults(from->store, from->seal_key, e);
    if (p->is_due[PART_IP_POLICIES])
        fresh->ip_policies = stored_ip_policies(from->store, e);
    if (p->is_due[PART_CERTIFICATES])
        fresh->attached = stored_certificates(from->store, from->seal_key, e);
    p->is_due[PART_KEYS] = p->is_due[PART_KEYS] && fresh->keys == NULL;
    p->is_due[PART_VAULTS] = p->is_due[PART_VAULTS] && fresh->vaults == NULL;
    p->is_due[PART_IP_POLICIES] = p->is_due[PART_IP_POLICIES] && fresh->ip_policies == NULL;
    p->is_due[PART_CERTIFICATES] = p->is_due[PART_CERTIFICATES] && fresh->attached == NULL;
    for (size_t i = 0; i < PARTS; i++) {
        if (p->is_due[i])
            return -1;
    }
    return 0;
}

/* Takes the parts that were read. */
static void take(struct stored *s, struct stored *fresh)
{
    struct stored old = *s;

    if (fresh->keys == NULL)
        old.keys = NULL;
    else
        s->keys = fresh->keys;
    if (fresh->vaults == NULL)
        old.vaults = NULL;
    else
        s->vaults = fresh->vaults;
    if (fresh->ip_policies == NULL)
        old.ip_policies = NULL;
    else
        s->ip_policies = fresh->ip_policies;
    if (fresh->attached == NULL)
        old.attached = NULL;
    else
        s->attached = fresh->attached;
    stored_fini(&old);
}

/* ---- making a whole --------------------------------------------------------------------------- */

static void count_twin(void *arg, const struct authkey *kept, const struct authkey *unused)
{
    (void)arg;
    (void)kept;
    (void)unused;
}

static void log_twin(void *arg, const struct authkey *kept, const struct authkey *unused)
{
    (void)arg;
    log_warn("ssh_credential.unused", LS("id", unused->id), LS("account", unused->account),
             LS("why", "the same key stands in a file, which counts"), LS("file", kept->where));
}

/* Logs keys that both have, when they have become more or fewer. */
static void check_twins(struct api_plane *p)
{
    size_t twins = authkeys_each_twin(p->live.keys, count_twin, NULL);

    if (twins != p->twins)
        (void)authkeys_each_twin(p->live.keys, log_twin, NULL);
    p->twins = twins;
}

static void make_live(struct api_plane *p)
{
    struct inputs live = inputs_copy(&p->given);

    authkeys_unref(live.keys);
    live.keys = authkeys_over(p->given.keys, p->stored.keys);
    policy_data_unref(live.policy_data);
    live.policy_data =
        policy_data_over(p->given.policy_data, p->stored.vaults, p->stored.ip_policies);
    policy_terms_unref(live.terms);
    policy_data_ref(live.policy_data);
    live.terms = policy_terms_over(p->given.terms, live.policy_data);
    tls_unref(live.tls);
    live.tls = tls_over(p->given.tls, p->stored.attached);
    inputs_fini(&p->live);
    p->live = live;
    check_twins(p);
}

/* Under the lock. Returns the round to wait for. */
static uint64_t post(struct api_plane *p)
{
    make_live(p);
    if (!p->stopped)
        p->params.post(p->params.arg, &p->live, ++p->round);
    return p->round;
}

/* ---- changes ---------------------------------------------------------------------------------- */

void api_plane_reload(struct api_plane *p, const struct inputs *given)
{
    uint64_t round;

    (void)pthread_mutex_lock(&p->lock);
    inputs_fini(&p->given);
    p->given = inputs_copy(given);
    round = post(p);
    (void)pthread_mutex_unlock(&p->lock);
    (void)rounds_wait(p->rounds, round);
}

/* Is the domain served as it is to be already? Most have no certificate, and to read those of all others
 * whenever one of them is made would take the longer the more there are. */
static bool is_served(struct api_plane *p, const struct api_change_event *change)
{
    json_t *domain = json_loadb(change->object.p, change->object.n, 0, NULL);
    const json_t *id = json_object_get(json_object_get(domain, "certificate"), "id");
    struct str wanted =
        change->verb != API_DELETED && id != NULL ? str_from(json_string_value(id)) : STR_NONE;
    bool is_so;

    (void)pthread_mutex_lock(&p->lock);
    is_so = tls_attached_is(p->stored.attached,
                            str_from(json_string_value(json_object_get(domain, "domain"))), wanted);
    (void)pthread_mutex_unlock(&p->lock);
    json_decref(domain);
    return is_so && !p->is_due[PART_CERTIFICATES];
}

/* Notes what a change has to do with. False: with nothing. Certificates that no domain has are nobody's, and
 * those that one has do not change. */
static bool note_due(struct api_plane *p, const struct api_change_event *change)
{
    static const struct {
        const char *kind;
        enum part part;
    } parts[] = {
        { "ssh_credential", PART_KEYS },
        { "vault", PART_VAULTS },
        { "secret", PART_VAULTS },
        { "ip_policy", PART_IP_POLICIES },
        { "ip_policy_rule", PART_IP_POLICIES },
        { "reserved_domain", PART_CERTIFICATES },
    };

    if (strcmp(change->kind, "reserved_domain") == 0 && is_served(p, change))
        return false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(parts[i].kind, change->kind) == 0) {
            p->is_due[parts[i].part] = true;
            return true;
        }
    }
    return false;
}

void api_plane_changed(struct api_plane *p, const struct api_change_event *change)
{
    struct stored fresh;
    struct err e;
    uint64_t round;

    if (!note_due(p, change))
        return;
    if (read_due(p, &fresh, &e) == -1)
        log_error("stored.unread", LS("object", change->id), LERR(&e));
    (void)pthread_mutex_lock(&p->lock);
    take(&p->stored, &fresh);
    round = post(p);
    (void)pthread_mutex_unlock(&p->lock);
    (void)rounds_wait(p->rounds, round);
}

void api_plane_applied(struct api_plane *p, size_t worker, uint64_t round)
{
    rounds_done(p->rounds, worker, round);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct api_plane *api_plane_new(const struct api_plane_params *params, const struct inputs *given,
                                struct err *e)
{
    struct api_plane *p = mem_zalloc(sizeof(*p));

    p->params = *params;
    p->rounds = rounds_new(params->worker_count);
    (void)pthread_mutex_init(&p->lock, NULL);
    for (size_t i = 0; i < PARTS; i++)
        p->is_due[i] = true;
    if (read_due(p, &p->stored, e) == -1) {
        api_plane_free(p);
        return NULL;
    }
    p->given = inputs_copy(given);
    make_live(p);
    return p;
}

const struct inputs *api_plane_live(const struct api_plane *p)
{
    return &p->live;
}

void api_plane_stop(struct api_plane *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->stopped = true;
    (void)pthread_mutex_unlock(&p->lock);
    rounds_stop(p->rounds);
}

void api_plane_free(struct api_plane *p)
{
    if (p == NULL)
        return;
    inputs_fini(&p->live);
    inputs_fini(&p->given);
    stored_fini(&p->stored);
    (void)pthread_mutex_destroy(&p->lock);
    rounds_free(p->rounds);
    mem_free(p);
}
