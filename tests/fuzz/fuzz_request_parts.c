/*
 * Fuzzes what reads the parts of a message for expressions: the first byte picks URL, parameters,
 * cookies, media type, user agent or a date. All text that comes out is valid UTF-8.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "policy/cel/time.h"
#include "policy/cookie_date.h"
#include "policy/cookies.h"
#include "policy/media_type.h"
#include "policy/objects.h"
#include "policy/request_url.h"
#include "policy/user_agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Only its address counts here. */
const struct cel_object_type policy_cookie_type = { .name = "cookie" };

static void check_text(struct str s)
{
    assert(utf8_is_valid(s));
}

static void check_url(struct arena *a, struct str s)
{
    struct request_url u;
    struct request_url again;
    size_t half = s.n / 2;

    request_url_build(a, STR("https"), str_slice(s, 0, half), str_skip(s, half), &u);
    check_text(u.url);
    check_text(u.raw);
    check_text(u.authority);
    check_text(u.user_password);
    check_text(u.host);
    check_text(u.path);
    check_text(u.raw_path);
    check_text(u.query);
    check_text(u.uri);
    /* What is normal stays as it is. */
    request_url_build(a, u.scheme, u.authority, u.uri, &again);
    assert(str_eq(again.uri, u.uri));
    assert(str_eq(again.path, u.path));
}

/* Names and values of a map, and that each name is found. */
static void check_map(struct cel_value map)
{
    const struct cel_map *m = map.as.map;

    if (map.kind == CEL_ERROR)
        return;
    for (size_t i = 0; i < m->ops->size(m); i++) {
        struct cel_value key;
        struct cel_value value;
        struct cel_value found;

        m->ops->entry(NULL, m, i, &key, &value);
        check_text(cel_str(key));
        assert(m->ops->find(NULL, m, &key, &found) && found.kind == value.kind);
        if (value.kind == CEL_STRING)
            check_text(cel_str(value));
        for (size_t k = 0; value.kind == CEL_LIST && k < value.as.list->count; k++) {
            if (value.as.list->items[k].kind == CEL_STRING)
                check_text(cel_str(value.as.list->items[k]));
        }
    }
}

static void check_user_agent(struct str s)
{
    struct user_agent ua;

    user_agent_parse(s, &ua);
    check_text(ua.name);
    check_text(ua.version);
    check_text(ua.os_version);
    check_text(ua.device);
    check_text(ua.url);
    assert(ua.is_mobile + ua.is_tablet + ua.is_desktop <= 1);
}

/* What was read is written and read again as the same. */
static void check_times(struct arena *a, struct str s)
{
    struct cel_run run = { .arena = a, .limits = &cel_default_limits };
    struct cel_value t = cel_timestamp_parse(&run, s);
    struct cel_value d = cel_duration_parse(&run, s);
    struct cel_value again;
    int64_t seconds;

    if (cookie_date_parse(s, &seconds))
        assert(seconds <= CEL_TIMESTAMP_MAX);
    if (t.kind == CEL_TIMESTAMP) {
        again = cel_timestamp_parse(&run, cel_str(cel_timestamp_format(&run, t)));
        assert(again.as.i == t.as.i && again.n == t.n);
    }
    if (d.kind == CEL_DURATION) {
        again = cel_duration_parse(&run, cel_str(cel_duration_format(&run, d)));
        assert(again.as.i == d.as.i);
        again = cel_duration_parse(&run, cel_str(cel_duration_format_go(&run, d)));
        assert(again.as.i == d.as.i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct str s;

    if (size == 0)
        return 0;
    arena_init(&a);
    s = str_of((const char *)data + 1, size - 1);
    switch (data[0] % 7) {
    case 0:
        check_url(&a, s);
        break;
    case 1:
        check_map(request_url_query_params(&a, s));
        break;
    case 2:
        check_map(cookies_of_request(&a, &s, 1));
        break;
    case 3:
        check_map(cookies_of_response(&a, &s, 1));
        break;
    case 4:
        check_text(media_type_essence(&a, s));
        check_map(media_type_parameters(&a, s));
        (void)content_codings(&a, &s, 1);
        break;
    case 5:
        check_user_agent(s);
        break;
    case 6:
        check_times(&a, s);
        break;
    }
    arena_fini(&a);
    return 0;
}
