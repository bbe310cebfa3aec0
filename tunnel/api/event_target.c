#include "tunnel/api/event_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "tunnel/api/call.h"
#include "tunnel/store/seal.h"

enum {
    TEXT_MAX_BYTES = 1024,
    KEY_MAX_BYTES = 256,
    URL_MAX_BYTES = 2048,
    SITE_MAX_BYTES = 253,
    BATCH_MAX = 100, /* events in one request */
    TIMEOUT_MS = 10 * 1000,
};

/* Of the hosted service, and not offered here. */
static const char *const foreign_kinds[] = {
    "firehose",
    "kinesis",
    "cloudwatch_logs",
    "azure_logs_ingestion",
};

enum { FOREIGN_KINDS = sizeof(foreign_kinds) / sizeof(foreign_kinds[0]) };

#define DATADOG         "datadog"
#define DEBUG           "debug"
#define DATADOG_DEFAULT "datadoghq.com"

/* What Datadog demands of an entry besides what it tells. */
#define DATADOG_SOURCE  "sallyport"
#define DATADOG_MESSAGE "an event of sallyport"

/* ---- URLs ----------------------------------------------------------------------------------- */

/* The host of an http or https URL, without its port; empty when it is none. */
static struct str host_of(struct str url)
{
    struct str rest;
    struct str host;

    if (str_starts_nocase(url, STR("https://")))
        rest = str_skip(url, 8);
    else if (str_starts_nocase(url, STR("http://")))
        rest = str_skip(url, 7);
    else
        return STR("");
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f)
            return STR("");
    }
    host = str_slice(rest, 0, str_find_char(rest, '/'));
    host = str_slice(host, 0, str_find_char(host, '?'));
    host = str_slice(host, 0, str_find_char(host, '#'));
    if (str_find_char(host, '@') < host.n || str_find_char(host, '\\') < host.n)
        return STR("");
    if (str_starts(host, STR("[")))
        return str_slice(host, 1, str_find_char(host, ']'));
    return str_slice(host, 0, str_find_char(host, ':'));
}

/*
 * What a host that says so is an address of this network; names are looked at again, by their
 * addresses, whenever something is sent.
 */
static bool is_private(const struct api_call *c, struct str host)
{
    const struct api_host *h = api_call_host(c);
    struct addr a;

    if (str_eq_nocase(host, STR("localhost")) || str_ends(host, STR(".localhost")))
        return true;
    return addr_parse_ip(host, &a) == 0 && h->is_public != NULL && !h->is_public(&a);
}

static int check_url(struct api_call *c, const struct api_change *ch, const char *name,
                     struct str url, enum api_code malformed)
{
    bool may_be_private = json_is_true(json_object_get(ch->after, "by_admin")) ||
                          api_call_host(c)->events.private_destinations;
    struct str host = host_of(url);

    if (url.n > URL_MAX_BYTES)
        return api_fail(c, malformed, "%s has %zu bytes; it may have %d.", name, url.n,
                        URL_MAX_BYTES);
    if (host.n == 0)
        return api_fail(c, malformed,
                        "%s must be a URL of http or https, without a user name in it.", name);
    if (!may_be_private && is_private(c, host))
        return api_fail(c, API_FIELD_VALUE,
                        "%s leads to a private address, where this gateway sends no events.", name);
    return 0;
}

/* ---- members of a target -------------------------------------------------------------------- */

/* Lays a text of what was given into what will be stored; null is as good as absent. */
static int take_text(struct api_call *c, const json_t *given, const char *name, size_t max,
                     json_t *out)
{
    const json_t *v = json_object_get(given, name);

    if (v == NULL || json_is_null(v))
        return 0;
    if (!json_is_string(v))
        return api_fail(c, API_FIELD_VALUE, "The member %s of the target must be a string.", name);
    if (json_string_length(v) > max)
        return api_fail(c, API_FIELD_VALUE,
                        "The member %s of the target has %zu bytes; it may have %zu.", name,
                        json_string_length(v), max);
    api_set(out, name, api_get(given, name));
    return 0;
}

/* Nothing but these members may say anything. */
static int check_members(struct api_call *c, const json_t *given, const char *const *names)
{
    const char *name;
    json_t *v;

    /* jansson's iterators take no const object, and change none. */
    json_object_foreach((json_t *)(uintptr_t)given, name, v)
    {
        size_t i = 0;

        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL && !json_is_null(v))
            return api_fail(c, API_FIELD_UNKNOWN, "The target has no member \"%.*s\".",
                            STR_ARG(str_slice(str_from(name), 0, ID_BYTES)));
    }
    return 0;
}

/* ---- Datadog -------------------------------------------------------------------------------- */

static int take_key(struct api_call *c, struct api_change *ch, const json_t *given)
{
    json_t *holder = json_object();
    struct str key;
    int rc = take_text(c, given, "api_key", KEY_MAX_BYTES, holder);

    key = api_get(holder, "api_key");
    for (size_t i = 0; rc == 0 && i < key.n; i++) {
        if ((unsigned char)key.p[i] <= ' ' || (unsigned char)key.p[i] >= 0x7f)
            rc = api_fail(c, API_FIELD_VALUE, "The api_key has characters that no key has.");
    }
    if (rc == 0 && key.n > 0)
        rc = api_seal(c, ch->resource, ch->id, ch->after, "sealed", key);
    else if (rc == 0 && api_get(ch->after, "sealed").n == 0)
        rc = api_fail(c, API_EVENT_DATADOG_KEY, "The target has no api_key.");
    json_decref(holder);
    return rc;
}

static bool is_site(struct str site)
{
    for (size_t i = 0; i < site.n; i++) {
        char ch = site.p[i];

        if (!char_is_alpha(ch) && !char_is_digit(ch) && ch != '-' && ch != '.')
            return false;
    }
    return site.n <= SITE_MAX_BYTES && site.n > 0 && site.p[0] != '.' &&
           site.p[site.n - 1] != '.' && str_find_char(site, '.') < site.n;
}

static int check_site(struct api_call *c, const struct api_change *ch, struct str site)
{
    if (site.n == 0 || is_site(site))
        return 0;
    if (str_find(site, STR("://")) == site.n)
        return api_fail(c, API_EVENT_DATADOG_SITE,
                        "The ddsite must be a name as datadoghq.eu, or a URL.");
    return check_url(c, ch, "The ddsite", site, API_EVENT_DATADOG_SITE);
}

static int take_datadog(struct api_call *c, struct api_change *ch, const json_t *given, json_t *out)
{
    static const char *const names[] = { "api_key", "ddtags", "service", "ddsite", NULL };

    if (check_members(c, given, names) == -1 || take_key(c, ch, given) == -1 ||
        take_text(c, given, "ddtags", TEXT_MAX_BYTES, out) == -1 ||
        take_text(c, given, "service", TEXT_MAX_BYTES, out) == -1 ||
        take_text(c, given, "ddsite", URL_MAX_BYTES, out) == -1)
        return -1;
    return check_site(c, ch, api_get(out, "ddsite"));
}

static json_t *show_datadog(const json_t *stored)
{
    static const char *const names[] = { "ddtags", "service", "ddsite" };
    json_t *out = json_object();

    (void)json_object_set_new(out, "api_key", json_null());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *v = json_object_get(stored, names[i]);

        (void)json_object_set_new(out, names[i], v != NULL ? json_incref(v) : json_null());
    }
    return out;
}

/* The members that make an event a log entry of Datadog's. */
static struct str datadog_members(const json_t *stored, struct arena *a)
{
    json_t *members =
        json_pack("{s:s, s:s}", "ddsource", DATADOG_SOURCE, "message", DATADOG_MESSAGE);
    struct str out;
    char *text;

    if (api_get(stored, "ddtags").n > 0)
        api_set(members, "ddtags", api_get(stored, "ddtags"));
    if (api_get(stored, "service").n > 0)
        api_set(members, "service", api_get(stored, "service"));
    text = json_dumps(members, JSON_COMPACT | JSON_SORT_KEYS);
    out = str_slice(str_from(text), 1, strlen(text) - 1); /* without its braces */
    out = arena_fmt(a, "%.*s,", STR_ARG(out));
    free(text);
    json_decref(members);
    return out;
}

static int open_key(const json_t *object, const struct seal_key *key, struct arena *a,
                    struct str *out, struct err *e)
{
    struct str text = api_get(object, "sealed");
    size_t cap = base64_max_bytes(text.n);
    char *sealed = arena_alloc(a, cap + 1);
    size_t n;
    char *opened;

    if (key == NULL || base64_decode(text, sealed, cap, &n) == -1)
        return err_set(e, E_STORE, "the sealed key is damaged");
    opened = unseal(key, arena_fmt(a, "object/event_destination/%s", api_get_text(object, "id")),
                    str_of(sealed, n), &n, e);
    if (opened == NULL)
        return -1;
    *out = arena_str(a, str_of(opened, n));
    mem_wipe(opened, n);
    mem_free(opened);
    return 0;
}

static int read_datadog(const json_t *object, const json_t *stored, const struct seal_key *key,
                        struct arena *a, struct event_destination *out, struct err *e)
{
    struct str site = api_get(stored, "ddsite");
    struct event_header *header = arena_zalloc(a, sizeof(*header));

    if (site.n == 0)
        site = STR(DATADOG_DEFAULT);
    out->url = is_site(site)
                   ? arena_fmt(a, "https://http-intake.logs.%.*s/api/v2/logs", STR_ARG(site))
                   : arena_str(a, site);
    out->body = EVENT_BODY_LIST;
    out->members = datadog_members(stored, a);
    header->name = STR("DD-API-KEY");
    out->headers = header;
    out->header_count = 1;
    return open_key(object, key, a, &header->value, e);
}

/* ---- debug: a POST of each event ------------------------------------------------------------ */

static int take_debug(struct api_call *c, struct api_change *ch, const json_t *given, json_t *out)
{
    static const char *const names[] = { "log", "callback_url", NULL };
    const json_t *log = json_object_get(given, "log");

    if (check_members(c, given, names) == -1 ||
        take_text(c, given, "callback_url", URL_MAX_BYTES, out) == -1)
        return -1;
    if (log != NULL && !json_is_null(log) && !json_is_boolean(log))
        return api_fail(c, API_FIELD_VALUE, "The member log of the target must be true or false.");
    if (json_is_true(log))
        return api_fail(c, API_EVENT_TARGET_KIND_NOT_HERE,
                        "The gateway's log is the operator's; a target has a callback_url.");
    (void)json_object_set_new(out, "log", json_false());
    return check_url(c, ch, "The callback_url", api_get(out, "callback_url"), API_FIELD_VALUE);
}

/* ---- kinds ---------------------------------------------------------------------------------- */

static bool is_foreign(const char *kind)
{
    for (size_t i = 0; i < FOREIGN_KINDS; i++) {
        if (strcmp(kind, foreign_kinds[i]) == 0)
            return true;
    }
    return false;
}

/* The one member of the target that is not null. */
static int find_kind(struct api_call *c, const json_t *target, const char **kind)
{
    const char *name;
    json_t *v;
    size_t n = 0;

    *kind = "";
    /* jansson's iterators take no const object, and change none. */
    json_object_foreach((json_t *)(uintptr_t)target, name, v)
    {
        if (json_is_null(v))
            continue;
        *kind = name;
        n++;
    }
    if (n == 0)
        return api_fail(c, API_EVENT_NO_TARGET, "The destination has no target.");
    if (n > 1)
        return api_fail(c, API_EVENT_TARGETS, "The destination has %zu targets; it may have one.",
                        n);
    if (is_foreign(*kind))
        return api_fail(c, API_EVENT_TARGET_KIND_NOT_HERE,
                        "This gateway sends no events to %s; there are datadog and debug.", *kind);
    if (strcmp(*kind, DATADOG) != 0 && strcmp(*kind, DEBUG) != 0)
        return api_fail(c, API_EVENT_TARGET_UNKNOWN,
                        "There is no target \"%.*s\"; there are datadog and debug.",
                        STR_ARG(str_slice(str_from(*kind), 0, ID_BYTES)));
    if (!json_is_object(json_object_get(target, *kind)))
        return api_fail(c, API_FIELD_VALUE, "The target %s must be an object.", *kind);
    return 0;
}

int api_event_target_take(struct api_call *c, struct api_change *ch)
{
    const json_t *target = json_object_get(ch->input, "target");
    const json_t *given;
    const char *kind;
    json_t *out;
    int rc;

    if (target == NULL)
        return 0;
    if (find_kind(c, target, &kind) == -1)
        return -1;
    if (ch->before != NULL && json_object_get(json_object_get(ch->before, "target"), kind) == NULL)
        return api_fail(c, API_EVENT_TARGET_KIND,
                        "The kind of the target cannot be changed; make another destination.");
    given = json_object_get(target, kind);
    out = json_object();
    rc = strcmp(kind, DATADOG) == 0 ? take_datadog(c, ch, given, out)
                                    : take_debug(c, ch, given, out);
    (void)json_object_set_new(ch->after, "target", json_pack("{s:o}", kind, out));
    return rc;
}

json_t *api_event_target_show(const json_t *object)
{
    const json_t *target = json_object_get(object, "target");
    const json_t *datadog = json_object_get(target, DATADOG);
    json_t *debug = json_object_get(target, DEBUG);
    json_t *out = json_object();

    (void)json_object_set_new(out, DATADOG, datadog != NULL ? show_datadog(datadog) : json_null());
    for (size_t i = 0; i < FOREIGN_KINDS; i++)
        (void)json_object_set_new(out, foreign_kinds[i], json_null());
    if (debug != NULL)
        (void)json_object_set(out, DEBUG, debug);
    return out;
}

int api_event_destination_read(const json_t *object, const struct seal_key *key,
                               const struct api_event_settings *settings, struct arena *a,
                               struct event_destination *out, struct err *e)
{
    const json_t *target = json_object_get(object, "target");
    const json_t *datadog = json_object_get(target, DATADOG);
    bool is_operators = json_is_true(json_object_get(object, "by_admin"));

    *out = (struct event_destination){
        .name = arena_str(a, api_get(object, "id")),
        .target = EVENT_TARGET_HTTP,
        .public_only = !is_operators && !settings->private_destinations,
        .queue_max = (size_t)settings->queue_max,
        .batch_max = BATCH_MAX,
        .timeout_ms = TIMEOUT_MS,
    };
    if (datadog != NULL)
        return read_datadog(object, datadog, key, a, out, e);
    out->url = arena_str(a, api_get(json_object_get(target, DEBUG), "callback_url"));
    out->body = EVENT_BODY_ONE;
    return 0;
}
