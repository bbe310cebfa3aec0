/* reserved_addrs (spec 3.12): TCP addresses of one account each, picked by the gateway. */
#include <string.h>

#include "tunnel/api/reservations.h"

static const struct api_field fields[] = {
    { .name = "addr", .type = API_STRING, .where = API_R | API_F, .text = "host:port" },
    { .name = "region",
      .type = API_STRING,
      .where = API_C | API_R | API_F,
      .text = "without effect; us by default" },
    API_FIELD_DESCRIPTION(API_ADDRESS_TEXT),
    API_FIELD_METADATA(API_ADDRESS_METADATA),
    API_FIELD_CREATED_AT,
};

/* ---- creating -------------------------------------------------------------------------------- */

static int check_region(struct api_call *c, struct api_change *ch)
{
    static const char *const known[] = { "au", "eu", "ap", "us", "jp", "in", "sa" };
    struct str region = api_get(ch->after, "region");
    const char *own = api_call_host(c)->region;

    if (region.n == 0) {
        api_set(ch->after, "region", STR("us"));
        return 0;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq(region, str_from(known[i])))
            return 0;
    }
    if (own != NULL && str_eq(region, str_from(own)))
        return 0;
    return api_fail(c, API_ADDRESS_REGION, "The region is unknown.");
}

static int check(struct api_call *c, struct api_change *ch)
{
    const struct api_host *host = api_call_host(c);
    char address[API_ADDRESS_BYTES];

    if (ch->op != API_CREATE)
        return 0;
    if (host->address_pick == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway has no TCP addresses to reserve.");
    if (check_region(c, ch) == -1)
        return -1;
    if (!host->address_pick(host->arg, address))
        return api_fail(c, API_ADDRESS_NONE, "No TCP address is free on this gateway.");
    api_set(ch->after, "addr", str_from(address));
    return 0;
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    api_reservation_key(&out[0], "addr", api_get(object, "addr"));
    out[0].taken = API_ADDRESS_NONE;
    return 1;
}

/* ---- taking effect --------------------------------------------------------------------------- */

static int reserve(struct api_call *c, const json_t *object)
{
    const struct api_host *host = api_call_host(c);
    struct err e = { 0 };

    if (host->name_reserve(host->arg, api_get(object, "addr"), api_get(object, "account"), &e) ==
        API_NAME_OK)
        return 0;
    /* Somebody was faster, on the way from check() to here. */
    return api_fail(c, API_ADDRESS_NONE, "The TCP address %s was taken; try again.",
                    api_get_text(object, "addr"));
}

static void release(struct api_call *c, const json_t *object)
{
    const struct api_host *host = api_call_host(c);
    struct err ignored;

    /* At worst it stays reserved until a restart. */
    (void)host->name_release(host->arg, api_get(object, "addr"), api_get(object, "account"),
                             &ignored);
}

static enum api_name_answer check_release(struct api_call *c, const json_t *object, struct err *e)
{
    const struct api_host *host = api_call_host(c);

    return host->name_check_release(host->arg, api_get(object, "addr"), api_get(object, "account"),
                                    e);
}

static int apply(struct api_call *c, const struct api_change *ch)
{
    enum api_name_answer answer;
    struct err e = { 0 };

    if (ch->op == API_UPDATE)
        return 0;
    if (ch->op == API_CREATE)
        return reserve(c, ch->after);
    answer = check_release(c, ch->before, &e);
    if (answer == API_NAME_USED)
        return api_fail(c, API_IN_USE, "A cloud endpoint is at %s; delete it, or move it, first.",
                        api_get_text(ch->before, "addr"));
    return answer == API_NAME_OK ? 0
                                 : api_fail_reservation(c, answer, api_get(ch->before, "addr"), &e);
}

static void revert(struct api_call *c, const struct api_change *ch)
{
    if (ch->op == API_CREATE)
        release(c, ch->after);
}

/* Nobody else may have the address before it is gone for good. */
static void settle(struct api_call *c, const struct api_change *ch)
{
    if (ch->op == API_DELETE)
        release(c, ch->before);
}

static const char *const columns[] = { "addr", "description", "created_at", NULL };

const struct api_resource api_resource_reserved_addrs = {
    .path = "/reserved_addrs",
    .list_key = "reserved_addrs",
    .kind = "reserved_addr",
    .prefix = "ra",
    .command = "reserved-addrs",
    .event = "tcp_address",
    .text = "TCP addresses of the account",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .too_many = API_ADDRESS_LIMIT,
    .empty_update = API_ADDRESS_EMPTY,
    .check = check,
    .keys = keys,
    .apply = apply,
    .revert = revert,
    .settle = settle,
};
