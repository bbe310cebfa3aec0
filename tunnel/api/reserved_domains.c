/* reserved_domains (spec 3.4): names of one account each, and the certificates they are served with. */
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/reservations.h"
#include "tunnel/host.h"

static const struct api_field fields[] = {
    { .name = "domain",
      .type = API_STRING,
      .where = API_C | API_R | API_F,
      .text = "a name, or *. and a name" },
    { .name = "name",
      .type = API_STRING,
      .where = API_C | API_HIDDEN,
      .text = "the same; without a dot, one below the base domain" },
    { .name = "region",
      .type = API_STRING,
      .where = API_C | API_R | API_F,
      .text = "without effect" },
    API_FIELD_DESCRIPTION(API_DOMAIN_TEXT),
    API_FIELD_METADATA(API_DOMAIN_METADATA),
    { .name = "certificate_id",
      .type = API_STRING,
      .where = API_C | API_U,
      .text = "the certificate it is served with; empty: the gateway's own" },
    { .name = "certificate_management_policy",
      .type = API_OBJECT,
      .where = API_C | API_U | API_R | API_NULLABLE,
      .text = "how the gateway gets certificates itself, which it does not offer" },
    { .name = "resolves_to",
      .type = API_OBJECTS,
      .where = API_C | API_U | API_R | API_NULLABLE,
      .item_key = "value",
      .text = "regions; global is all there is" },
    { .name = "certificate",
      .type = API_REF,
      .where = API_R | API_F,
      .text = "the certificate it is served with" },
    { .name = "certificate_management_status",
      .type = API_OBJECT,
      .where = API_R | API_NULLABLE,
      .text = "always null" },
    { .name = "cname_target",
      .type = API_STRING,
      .where = API_R | API_F | API_NULLABLE,
      .text = "where the name must point to; null below the base domain" },
    { .name = "acme_challenge_cname_target",
      .type = API_STRING,
      .where = API_R | API_F | API_NULLABLE,
      .text = "always null" },
    API_FIELD_CREATED_AT,
    { .name = "is_dev", .type = API_BOOL, .where = API_R, .text = "always false" },
    { .name = "error_redirect_url",
      .type = API_STRING,
      .where = API_R | API_NULLABLE,
      .text = "always null" },
};

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_below_base(struct api_call *c, struct str domain)
{
    return host_is_below(domain, host_suffixes_base(api_call_host(c)->suffixes));
}

/* A "*" may only be the whole first part. */
static int check_stars(struct api_call *c, struct str name)
{
    struct str first = str_slice(name, 0, str_find_char(name, '.'));
    struct str rest = str_skip(name, first.n);

    if (str_find_char(rest, '*') < rest.n)
        return api_fail(c, API_DOMAIN_STAR_WITHIN,
                        "'*' may only be the first part of a name, as in *.example.com.");
    if (str_find_char(first, '*') < first.n && !str_eq(first, STR("*")))
        return api_fail(c, API_DOMAIN_STAR_PART,
                        "'*' must be the whole first part of a name, as in *.example.com.");
    return 0;
}

static enum api_code syntax_code(enum err_code code)
{
    static const struct {
        enum err_code from;
        enum api_code to;
    } codes[] = {
        { E_HOST_CHARACTER, API_DOMAIN_CHARACTER },
        { E_HOST_LABEL_START, API_DOMAIN_LABEL_START },
        { E_HOST_LABEL_END, API_DOMAIN_LABEL_END },
        { E_HOST_EMPTY_LABEL, API_DOMAIN_EMPTY_LABEL },
        { E_HOST_DASHES, API_DOMAIN_DASHES },
        { E_HOST_PUNYCODE, API_DOMAIN_PUNYCODE },
        { E_HOST_UNDERSCORE, API_DOMAIN_UNDERSCORE },
        { E_HOST_LABEL_LENGTH, API_DOMAIN_LABEL_LENGTH },
        { E_HOST_LENGTH, API_DOMAIN_LENGTH },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].from == code)
            return codes[i].to;
    }
    return API_FIELD_VALUE;
}

/* Is it a name that somebody may have? All below a name is its holder's, so none may be above the base
 * domain. */
static int check_place(struct api_call *c, struct str domain)
{
    const struct api_host *host = api_call_host(c);
    struct str base = host_suffixes_base(host->suffixes);
    struct str zone = host_is_wildcard(domain) ? str_skip(domain, 2) : domain;

    if (str_find_char(domain, '.') == domain.n)
        return api_fail(c, API_DOMAIN_SINGLE, "The name %.*s is not fully qualified.",
                        STR_ARG(domain));
    if (host->is_own_host != NULL && host->is_own_host(host->arg, domain))
        return api_fail(c, API_DOMAIN_OWN_HOST, "The name %.*s is the gateway's own.",
                        STR_ARG(domain));
    if (!host_is_public(host->suffixes, domain, NULL))
        return api_fail(c, API_DOMAIN_SUFFIX,
                        "The name %.*s is not below a suffix that can be reached publicly.",
                        STR_ARG(domain));
    if (host_is_wildcard(domain) &&
        (host_is_below_or_equal(base, zone) || host_is_foreign_suffix(host->suffixes, zone)))
        return api_fail(c, API_DOMAIN_WILDCARD, "Nobody can have the wildcard %.*s.",
                        STR_ARG(domain));
    if (host_is_below(base, domain))
        return api_fail(c, API_DOMAIN_OWN_HOST, "The base domain is below the name %.*s.",
                        STR_ARG(domain));
    return 0;
}

/* Blanks around it and one dot at its end are nobody's mistake (spec 1.15). */
static struct str strip(struct str name)
{
    struct str s = str_trim(name);

    return s.n > 1 && s.p[s.n - 1] == '.' ? str_slice(s, 0, s.n - 1) : s;
}

static int take_domain(struct api_call *c, struct api_change *ch)
{
    struct str domain = api_get(ch->input, "domain");
    struct str name = api_get(ch->input, "name");
    char normal[HOST_MAX_BYTES + 1];
    struct err e = { 0 };

    if (domain.n > 0 && name.n > 0)
        return api_fail(c, API_DOMAIN_TWO_NAMES, "Only one of domain and name may be given.");
    if (domain.n == 0 && name.n == 0)
        return api_fail(c, API_FIELD_VALUE, "The field domain is missing.");
    if (domain.n == 0)
        domain = str_find_char(name, '.') < name.n
                     ? name
                     : arena_fmt(&c->arena, "%.*s.%.*s", STR_ARG(str_trim(name)),
                                 STR_ARG(host_suffixes_base(api_call_host(c)->suffixes)));
    domain = strip(domain);
    if (check_stars(c, domain) == -1)
        return -1;
    if (host_normalize(domain, normal, &e) == -1)
        return api_fail(c, syntax_code(e.code), "The domain is invalid: %s.", e.msg);
    if (check_place(c, str_from(normal)) == -1)
        return -1;
    api_set(ch->after, "domain", str_from(normal));
    return 0;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static int check_policy(struct api_call *c, const struct api_change *ch)
{
    const json_t *policy = json_object_get(ch->input, "certificate_management_policy");
    struct str id = api_get(ch->input, "certificate_id");
    struct str authority = api_get(policy, "authority");
    struct str type = api_get(policy, "private_key_type");

    if (policy == NULL)
        return 0;
    /* Some clients send back what they have been told. */
    if (id.n > 0 && !str_eq(id, api_get(ch->before, "certificate_id")))
        return api_fail(c, API_DOMAIN_CERT_AND_POLICY,
                        "Only one of certificate_id and certificate_management_policy may be set.");
    if (authority.n > 0 && !str_eq(authority, STR("letsencrypt")))
        return api_fail(c, API_DOMAIN_AUTHORITY, "The authority can only be letsencrypt.");
    if (type.n > 0 && !str_eq(type, STR("ecdsa")) && !str_eq(type, STR("rsa")))
        return api_fail(c, API_DOMAIN_KEY_TYPE, "The private_key_type can be ecdsa or rsa.");
    if (is_below_base(c, api_get(ch->after, "domain")))
        return api_fail(c, API_DOMAIN_BASE_POLICY,
                        "A name below the base domain has no certificate of its own to manage.");
    return api_fail(c, API_NO_ACME,
                    "This gateway gets no certificates itself; upload one and set certificate_id.");
}

static int take_certificate(struct api_call *c, struct api_change *ch)
{
    struct str id = api_get(ch->input, "certificate_id");
    json_t *certificate = NULL;

    if (api_get(ch->after, "certificate_id").n == 0)
        (void)json_object_del(ch->after, "certificate_id");
    if (id.n == 0)
        return 0;
    if (is_below_base(c, api_get(ch->after, "domain")))
        return api_fail(c, API_DOMAIN_BASE_CERT,
                        "A name below the base domain has no certificate of its own.");
    if (api_find_ref(c, &api_resource_tls_certificates, ch->account, id, API_ID_SYNTAX,
                     API_DOMAIN_CERT_UNKNOWN, &certificate) == -1)
        return -1;
    json_decref(certificate);
    return 0;
}

static int take_regions(struct api_call *c, struct api_change *ch)
{
    const json_t *list = json_object_get(ch->input, "resolves_to");
    const char *own = api_call_host(c)->region;
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        struct str value = api_get(item, "value");

        if (json_object_size(item) != 1 ||
            !(str_eq(value, STR("global")) || (own != NULL && str_eq(value, str_from(own)))))
            return api_fail(c, API_FIELD_VALUE,
                            "An entry of resolves_to must be {\"value\": \"global\"}.");
    }
    if (json_array_size(json_object_get(ch->after, "resolves_to")) == 0)
        (void)json_object_del(ch->after, "resolves_to");
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    const struct api_host *host = api_call_host(c);

    if (host->name_reserve == NULL || host->suffixes == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway has no domains to reserve.");
    if (ch->op == API_CREATE && take_domain(c, ch) == -1)
        return -1;
    if (check_policy(c, ch) == -1 || take_certificate(c, ch) == -1)
        return -1;
    return take_regions(c, ch);
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    size_t n = 0;

    api_reservation_key(&out[n], "domain", api_get(object, "domain"));
    out[n].taken = API_DOMAIN_TAKEN;
    out[n].elsewhere = API_DOMAIN_ELSEWHERE;
    out[n++].value = api_get_text(object, "domain");
    if (api_get(object, "certificate_id").n == 0)
        return n;
    api_key_set(&out[n], "certificate_id", api_get_text(object, "certificate_id"),
                api_get(object, "id"));
    out[n++].taken = API_INTERNAL; /* it has the id of the domain in it */
    return n;
}

/* ---- taking effect --------------------------------------------------------------------------- */

static enum api_name_answer reserve(struct api_call *c, const json_t *object, struct err *e)
{
    const struct api_host *host = api_call_host(c);

    return host->name_reserve(host->arg, api_get(object, "domain"), api_get(object, "account"), e);
}

static void release(struct api_call *c, const json_t *object)
{
    const struct api_host *host = api_call_host(c);
    struct err ignored;

    /* At worst it stays reserved until a restart. */
    (void)host->name_release(host->arg, api_get(object, "domain"), api_get(object, "account"),
                             &ignored);
}

static enum api_name_answer check_release(struct api_call *c, const json_t *object, struct err *e)
{
    const struct api_host *host = api_call_host(c);

    return host->name_check_release(host->arg, api_get(object, "domain"),
                                    api_get(object, "account"), e);
}

static int apply(struct api_call *c, const struct api_change *ch)
{
    const json_t *object = ch->op == API_DELETE ? ch->before : ch->after;
    enum api_name_answer answer = API_NAME_OK;
    struct err e = { 0 };

    if (ch->op == API_CREATE)
        answer = reserve(c, object, &e);
    else if (ch->op == API_DELETE)
        answer = check_release(c, object, &e);
    return answer == API_NAME_OK ? 0
                                 : api_fail_reservation(c, answer, api_get(object, "domain"), &e);
}

static void revert(struct api_call *c, const struct api_change *ch)
{
    if (ch->op == API_CREATE)
        release(c, ch->after);
}

/* Nobody else may have the name before it is gone for good. */
static void settle(struct api_call *c, const struct api_change *ch)
{
    if (ch->op == API_DELETE)
        release(c, ch->before);
}

/* ---- showing --------------------------------------------------------------------------------- */

static int show(struct api_call *c, const json_t *object, json_t *shown)
{
    const struct host_suffixes *suffixes = api_call_host(c)->suffixes;

    if (suffixes != NULL && !is_below_base(c, api_get(object, "domain")))
        api_set(shown, "cname_target", host_suffixes_base(suffixes));
    return 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

static int detach(struct api_call *c, const struct api_resource *r, json_t *object, struct str item)
{
    json_t *after;
    int rc;

    (void)item;
    if (api_get(object, "certificate_id").n == 0)
        return 1;
    after = json_deep_copy(object);
    (void)json_object_del(after, "certificate_id");
    rc = api_change_object(c, r, object, after);
    json_decref(after);
    return rc;
}

/* There is none: it was refused. */
static int detach_policy(struct api_call *c, const struct api_resource *r, json_t *object,
                         struct str item)
{
    (void)c;
    (void)r;
    (void)object;
    (void)item;
    return 1;
}

static const struct api_action actions[] = {
    { .method = "DELETE",
      .name = "certificate",
      .writes = true,
      .command = "delete-certificate",
      .text = "detach the certificate",
      .run = detach },
    { .method = "DELETE",
      .name = "certificate_management_policy",
      .writes = true,
      .command = "delete-certificate-management-policy",
      .text = "detach the management policy",
      .run = detach_policy },
};

static const char *const columns[] = { "domain", "certificate", "description", "created_at", NULL };

const struct api_resource api_resource_reserved_domains = {
    .path = "/reserved_domains",
    .list_key = "reserved_domains",
    .kind = "reserved_domain",
    .prefix = "rd",
    .command = "reserved-domains",
    .event = "domain",
    .text = "names of the account",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .empty_update = API_DOMAIN_EMPTY,
    .actions = actions,
    .action_count = sizeof(actions) / sizeof(actions[0]),
    .check = check,
    .keys = keys,
    .apply = apply,
    .revert = revert,
    .settle = settle,
    .show = show,
};
