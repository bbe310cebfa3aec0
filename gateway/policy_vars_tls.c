/* The variables of TLS (spec traffic-policy 4.4). Visitors' certificates come with mutual
 * TLS, and were read with the handshake. */
#include "gateway/policy_vars_int.h"
#include "gateway/tls.h"
#include "gateway/tls_cert.h"
#include "policy/objects.h"

static const struct tls_cert *server_certificate(const struct policy_visit *v)
{
    struct policy_visit_facts *facts = v->facts;

    if (facts->certificate == NULL) {
        facts->certificate = arena_zalloc(v->arena, sizeof(*facts->certificate));
        if (v->origin->tls != NULL)
            (void)tls_server_cert(v->origin->tls, v->arena, facts->certificate);
    }
    return facts->certificate;
}

static struct cel_value text_list(struct arena *arena, const struct tls_texts *texts)
{
    struct cel_list *list = arena_alloc(arena, sizeof(*list));
    struct cel_value *items = arena_alloc(arena, (texts->count + 1) * sizeof(*items));

    for (size_t i = 0; i < texts->count; i++)
        items[i] = cel_string(texts->items[i]);
    *list = (struct cel_list){ .items = items, .count = texts->count };
    return cel_list_of(list);
}

static struct cel_value extension_list(struct arena *arena, const struct tls_cert *c)
{
    struct policy_tls_extension *made =
        arena_zalloc(arena, (c->extension_count + 1) * sizeof(*made));
    struct cel_value *items = arena_alloc(arena, (c->extension_count + 1) * sizeof(*items));
    struct cel_list *list = arena_alloc(arena, sizeof(*list));

    for (size_t i = 0; i < c->extension_count; i++) {
        made[i].object.type = &policy_tls_extension_type;
        made[i].id = c->extensions[i].id;
        made[i].critical = c->extensions[i].critical;
        made[i].value = c->extensions[i].value;
        items[i] = cel_object_of(&made[i].object);
    }
    *list = (struct cel_list){ .items = items, .count = c->extension_count };
    return cel_list_of(list);
}

/* issuer.* and subject.* stand in the table in the same order; `var` is given as that of issuer. */
static struct cel_value name_var(const struct tls_name *n, enum policy_var var, struct arena *arena)
{
    switch (var) { /* the variables of this function only */
    case VAR_CONN_TLS_SERVER_ISSUER:
        return cel_string(n->text);
    case VAR_CONN_TLS_SERVER_ISSUER_COMMON_NAME:
        return cel_string(n->common_name);
    case VAR_CONN_TLS_SERVER_ISSUER_COUNTRY:
        return text_list(arena, &n->parts[TLS_NAME_COUNTRY]);
    case VAR_CONN_TLS_SERVER_ISSUER_LOCALITY:
        return text_list(arena, &n->parts[TLS_NAME_LOCALITY]);
    case VAR_CONN_TLS_SERVER_ISSUER_ORGANIZATION:
        return text_list(arena, &n->parts[TLS_NAME_ORGANIZATION]);
    case VAR_CONN_TLS_SERVER_ISSUER_ORGANIZATIONAL_UNIT:
        return text_list(arena, &n->parts[TLS_NAME_ORGANIZATIONAL_UNIT]);
    case VAR_CONN_TLS_SERVER_ISSUER_POSTAL_CODE:
        return text_list(arena, &n->parts[TLS_NAME_POSTAL_CODE]);
    case VAR_CONN_TLS_SERVER_ISSUER_PROVINCE:
        return text_list(arena, &n->parts[TLS_NAME_PROVINCE]);
    case VAR_CONN_TLS_SERVER_ISSUER_STREET_ADDRESS:
        return text_list(arena, &n->parts[TLS_NAME_STREET_ADDRESS]);
    default:
        return policy_vars_zero(var);
    }
}

enum { NAME_DISTANCE = VAR_CONN_TLS_SERVER_SUBJECT - VAR_CONN_TLS_SERVER_ISSUER };
static_assert(VAR_CONN_TLS_SERVER_SUBJECT_STREET_ADDRESS -
                      VAR_CONN_TLS_SERVER_ISSUER_STREET_ADDRESS ==
                  NAME_DISTANCE,
              "vars.def has both names in one order");

/* conn.tls.client.* and conn.tls.server.* do so too; `var` is given as that of the server. */
static struct cel_value certificate_var(const struct tls_cert *c, enum policy_var var,
                                        struct arena *arena)
{
    if (var >= VAR_CONN_TLS_SERVER_ISSUER && var <= VAR_CONN_TLS_SERVER_ISSUER_STREET_ADDRESS)
        return name_var(&c->issuer, var, arena);
    if (var >= VAR_CONN_TLS_SERVER_SUBJECT && var <= VAR_CONN_TLS_SERVER_SUBJECT_STREET_ADDRESS)
        return name_var(&c->subject, (enum policy_var)(var - NAME_DISTANCE), arena);
    switch (var) { /* the variables of this function only */
    case VAR_CONN_TLS_SERVER_EXTENSIONS:
        return extension_list(arena, c);
    case VAR_CONN_TLS_SERVER_SAN:
        return cel_string(c->san);
    case VAR_CONN_TLS_SERVER_SAN_DNS_NAMES:
        return text_list(arena, &c->dns_names);
    case VAR_CONN_TLS_SERVER_SAN_EMAIL_ADDRESSES:
        return text_list(arena, &c->email_addresses);
    case VAR_CONN_TLS_SERVER_SAN_IP_ADDRESSES:
        return text_list(arena, &c->ip_addresses);
    case VAR_CONN_TLS_SERVER_SAN_URIS:
        return text_list(arena, &c->uris);
    case VAR_CONN_TLS_SERVER_SERIAL_NUMBER:
        return cel_string(c->serial_number);
    case VAR_CONN_TLS_SERVER_SIGNATURE_ALGORITHM:
        return cel_string(c->signature_algorithm);
    case VAR_CONN_TLS_SERVER_VALIDITY_NOT_AFTER:
        return cel_timestamp(c->not_after, 0);
    case VAR_CONN_TLS_SERVER_VALIDITY_NOT_BEFORE:
        return cel_timestamp(c->not_before, 0);
    default:
        return policy_vars_zero(var);
    }
}

enum { SIDE_DISTANCE = VAR_CONN_TLS_SERVER_EXTENSIONS - VAR_CONN_TLS_CLIENT_EXTENSIONS };
static_assert(VAR_CONN_TLS_SERVER_VALIDITY_NOT_BEFORE - VAR_CONN_TLS_CLIENT_VALIDITY_NOT_BEFORE ==
                  SIDE_DISTANCE,
              "vars.def has both certificates in one order");

static struct cel_value client_var(const struct policy_visit *v, enum policy_var var)
{
    const struct tls_cert *c = tls_client_cert(v->origin->tls);

    if (c == NULL)
        return policy_vars_zero(var);
    return certificate_var(c, (enum policy_var)(var + SIDE_DISTANCE), v->arena);
}

static struct cel_value client_pem(const struct policy_visit *v)
{
    const struct tls_cert *c = tls_client_cert(v->origin->tls);

    return c == NULL ? policy_vars_zero(VAR_CONN_TLS_CLIENT_PEM) : cel_string(c->pem);
}

/* "TLSv1.3" is "1.3" here. */
static struct str version_number(struct str version)
{
    return str_starts(version, STR("TLSv")) ? str_skip(version, 4) : version;
}

struct cel_value policy_vars_tls(const struct policy_visit *v, enum policy_var var)
{
    /* Of the ClientHello, which comes before there is a session; without TLS they are empty. */
    if (var == VAR_CONN_TLS_SNI)
        return cel_string(v->origin->server_name);
    if (var == VAR_CONN_TLS_JA4_FINGERPRINT)
        return cel_string(v->origin->ja4);
    if (v->origin->tls == NULL)
        return policy_vars_zero(var);
    if (var >= VAR_CONN_TLS_CLIENT_EXTENSIONS && var <= VAR_CONN_TLS_CLIENT_VALIDITY_NOT_BEFORE)
        return client_var(v, var);
    switch (var) { /* the variables of this function only */
    case VAR_CONN_TLS_CIPHER_SUITE:
        return cel_string(v->origin->tls_cipher);
    case VAR_CONN_TLS_CLIENT_PEM:
        return client_pem(v);
    case VAR_CONN_TLS_NEGOTIATED_ALPN:
        return cel_string(tls_alpn(v->origin->tls));
    case VAR_CONN_TLS_SESSION_RESUMED:
        return cel_bool(false); /* spec endpoints 7: reported as never happening */
    case VAR_CONN_TLS_VERSION:
        return cel_string(version_number(v->origin->tls_version));
    default:
        return certificate_var(server_certificate(v), var, v->arena);
    }
}
