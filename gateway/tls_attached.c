#include "gateway/tls_attached.h"

#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/ref.h"
#include "gateway/tls_certs.h"
#include "policy/pem.h"
#include "tunnel/host.h"

struct certificate {
    char *id;              /* owned */
    struct tls_pair *pair; /* owned */
    UT_hash_handle hh;
};

struct domain {
    char *name;                            /* owned */
    const struct certificate *certificate; /* borrowed: one of the same tls_attached */
    UT_hash_handle hh;
};

struct tls_attached {
    struct ref ref;
    struct certificate *certificates; /* owned */
    struct domain *domains;           /* owned */
};

struct tls_attached *tls_attached_new(void)
{
    struct tls_attached *a = mem_zalloc(sizeof(*a));

    ref_init(&a->ref);
    return a;
}

void tls_attached_ref(struct tls_attached *a)
{
    ref_inc(&a->ref);
}

void tls_attached_unref(struct tls_attached *a)
{
    struct certificate *c;
    struct certificate *next_c;
    struct domain *d;
    struct domain *next_d;

    if (a == NULL || !ref_dec(&a->ref))
        return;
    HASH_ITER(hh, a->domains, d, next_d)
    {
        HASH_DEL(a->domains, d);
        mem_free(d->name);
        mem_free(d);
    }
    HASH_ITER(hh, a->certificates, c, next_c)
    {
        HASH_DEL(a->certificates, c);
        tls_pair_free(c->pair);
        mem_free(c->id);
        mem_free(c);
    }
    mem_free(a);
}

int tls_attached_add(struct tls_attached *a, struct str id, struct str certificate_pem,
                     struct str key_pem, struct err *e)
{
    STACK_OF(X509) *chain = pem_parse_chain(certificate_pem, "certificate_pem", e);
    EVP_PKEY *key = chain != NULL ? pem_parse_key(key_pem, "private_key_pem", e) : NULL;
    struct certificate *c;

    if (key == NULL) {
        pem_chain_free(chain);
        return -1;
    }
    c = mem_zalloc(sizeof(*c));
    c->id = str_dup(id);
    c->pair = tls_pair_new(chain, key);
    HASH_ADD_KEYPTR(hh, a->certificates, c->id, id.n, c);
    return 0;
}

bool tls_attached_attach(struct tls_attached *a, struct str domain, struct str id)
{
    struct certificate *c;
    struct domain *d;

    HASH_FIND(hh, a->certificates, id.p, id.n, c);
    HASH_FIND(hh, a->domains, domain.p, domain.n, d);
    if (c == NULL || d != NULL)
        return false;
    d = mem_zalloc(sizeof(*d));
    d->name = str_dup(domain);
    d->certificate = c;
    HASH_ADD_KEYPTR(hh, a->domains, d->name, domain.n, d);
    return true;
}

static const struct tls_pair *find_exact(const struct tls_attached *a, const char *name, size_t n)
{
    struct domain *d;

    HASH_FIND(hh, a->domains, name, n, d);
    return d != NULL ? d->certificate->pair : NULL;
}

bool tls_attached_is(const struct tls_attached *a, struct str domain, struct str id)
{
    struct domain *d;

    HASH_FIND(hh, a->domains, domain.p, domain.n, d);
    return str_eq(d != NULL ? str_from(d->certificate->id) : STR_NONE, id);
}

const struct tls_pair *tls_attached_find(const struct tls_attached *a, struct str host)
{
    const struct tls_pair *pair = find_exact(a, host.p, host.n);
    struct str rest = str_skip(host, str_find_char(host, '.'));
    char wildcard[HOST_MAX_BYTES + 1];

    while (pair == NULL && rest.n > 0 && rest.n < HOST_MAX_BYTES) {
        wildcard[0] = '*';
        memcpy(wildcard + 1, rest.p, rest.n);
        pair = find_exact(a, wildcard, rest.n + 1);
        rest = str_skip(rest, 1);
        rest = str_skip(rest, str_find_char(rest, '.'));
    }
    return pair;
}
