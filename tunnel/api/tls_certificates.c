/* tls_certificates (spec 3.7): certificates for reserved domains, with keys that nobody can read back. */
#include "base/mem.h"
#include "tunnel/api/call.h"

enum { PEM_FIELD_MAX_BYTES = 64 * 1024 };

/* clang-format off */
#define OF_LEAF(field_name, more, says) \
    { .name = (field_name), .type = API_STRING, .where = API_R | (more), .text = (says) }
/* clang-format on */

static const struct api_field fields[] = {
    { .name = "certificate_pem",
      .type = API_STRING,
      .where = API_C | API_R | API_REQUIRED | API_STDIN,
      .max_bytes = PEM_FIELD_MAX_BYTES,
      .too_long = API_CERT_TOO_LARGE,
      .missing = API_CERT_MISSING,
      .text = "the certificate, and behind it those of its issuers" },
    { .name = "private_key_pem",
      .type = API_STRING,
      .where = API_C | API_HIDDEN | API_REQUIRED | API_STDIN,
      .max_bytes = PEM_FIELD_MAX_BYTES,
      .too_long = API_CERT_TOO_LARGE,
      .missing = API_CERT_NO_KEY,
      .text = "its private key, not encrypted; never shown again" },
    API_FIELD_DESCRIPTION(API_CERT_TEXT),
    API_FIELD_METADATA(API_CERT_METADATA),
    API_FIELD_CREATED_AT,
    { .name = "issued_at",
      .type = API_TIME,
      .where = API_R | API_NULLABLE,
      .text = "null: it was uploaded" },
    { .name = "not_before", .type = API_TIME, .where = API_R | API_F, .text = "valid from" },
    { .name = "not_after", .type = API_TIME, .where = API_R | API_F, .text = "valid until" },
    OF_LEAF("subject_common_name", API_F, "of its subject"),
    OF_LEAF("subject_organization", 0, "likewise"),
    OF_LEAF("subject_organizational_unit", 0, "likewise"),
    OF_LEAF("subject_locality", 0, "likewise"),
    OF_LEAF("subject_province", 0, "likewise"),
    OF_LEAF("subject_country", 0, "likewise"),
    OF_LEAF("issuer_common_name", 0, "of its issuer"),
    { .name = "subject_alternative_names",
      .type = API_OBJECT,
      .where = API_R,
      .text = "dns_names and ips" },
    OF_LEAF("serial_number", API_F, "in hexadecimal"),
    OF_LEAF("private_key_type", 0, "rsa, ecdsa or ed25519"),
    { .name = "key_usages", .type = API_STRINGS, .where = API_R, .text = "what its key may do" },
    { .name = "extended_key_usages",
      .type = API_STRINGS,
      .where = API_R,
      .text = "what it is for" },
};

static enum api_code code_of(enum api_pair_fault fault)
{
    switch (fault) {
    case API_PAIR_EMPTY:
        return API_CERT_EMPTY;
    case API_PAIR_NO_PEM:
        return API_CERT_UNREADABLE;
    case API_PAIR_DAMAGED:
    case API_PAIR_TOO_LONG:
        return API_CERT_SYNTAX;
    case API_PAIR_HEADERS:
        return API_CERT_PEM_HEADERS;
    case API_PAIR_TYPE:
        return API_CERT_PEM_TYPE;
    case API_PAIR_CERT_IS_KEY:
        return API_KEY_AS_CERT;
    case API_PAIR_ORDER:
        return API_CERT_BAD_ORDER;
    case API_PAIR_KEY_ENCRYPTED:
        return API_CERT_KEY_ENCRYPTED;
    case API_PAIR_KEY_TYPE:
        return API_CERT_KEY_TYPE;
    case API_PAIR_KEY_IS_CERT:
        return API_CERT_AS_KEY;
    case API_PAIR_OTHER_KEY:
        return API_CERT_KEY_OF_OTHER;
    case API_PAIR_FINE:
        break;
    }
    return API_INTERNAL;
}

static int check(struct api_call *c, struct api_change *ch)
{
    const struct api_host *host = api_call_host(c);
    struct str key = api_get(ch->input, "private_key_pem");
    enum api_pair_fault fault = API_PAIR_FINE;
    struct err e = { 0 };
    json_t *members;

    if (ch->op != API_CREATE)
        return 0;
    if (host->certificate_read == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway takes no certificates.");
    if (str_trim(key).n == 0)
        return api_fail(c, API_CERT_NO_KEY, "The field private_key_pem is empty.");
    members =
        host->certificate_read(host->arg, api_get(ch->after, "certificate_pem"), key, &fault, &e);
    if (members == NULL)
        return api_fail(c, code_of(fault), "The certificate cannot be used: %s.", e.msg);
    (void)json_object_update(ch->after, members);
    json_decref(members);
    return api_seal(c, ch->resource, ch->id, ch->after, "sealed", key);
}

static int before_delete(struct api_call *c, struct api_change *ch)
{
    json_t *ids;
    bool is_attached;

    if (api_find_ids(c, &api_resource_reserved_domains,
                     arena_fmt(&c->arena, "certificate_id/%s/", ch->id), 1, &ids) == -1)
        return -1;
    is_attached = json_array_size(ids) > 0;
    json_decref(ids);
    if (is_attached)
        return api_fail(c, API_IN_USE, "A reserved domain uses the certificate; detach it first.");
    return 0;
}

static const char *const columns[] = { "subject_common_name", "not_after", "description",
                                       "created_at", NULL };

const struct api_resource api_resource_tls_certificates = {
    .path = "/tls_certificates",
    .list_key = "tls_certificates",
    .kind = "tls_certificate",
    .prefix = "cert",
    .command = "tls-certificates",
    .event = "tls_certificate",
    .text = "certificates for reserved domains",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .check = check,
    .before_delete = before_delete,
};
