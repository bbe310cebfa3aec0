#include "policy/cookies.h"

#include "policy/cel/time.h"
#include "policy/cookie_date.h"
#include "policy/message_text.h"
#include "policy/objects.h"
#include "policy/pairs_map.h"

static struct cel_value too_many(void)
{
    return pairs_map_error(STR("there are too many cookies"));
}

/* The text without quotes around it, which are no part of a value (RFC 6265 section 4.1.1). */
static struct str without_quotes(struct str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return str_slice(s, 1, s.n - 1);
    return s;
}

static struct policy_cookie *cookie_new(struct arena *a, struct str name, struct str value)
{
    struct policy_cookie *c = arena_zalloc(a, sizeof(*c));

    c->object.type = &policy_cookie_type;
    c->name = message_text_clean(a, name);
    c->value = message_text_clean(a, without_quotes(value));
    c->expires = cel_null();
    c->max_age = cel_null();
    c->unparsed_attributes = cel_null();
    return c;
}

/* "name=value", with white space around both taken away; *value is empty without "=". */
static struct str split_pair(struct str s, struct str *value)
{
    size_t equals = str_find_char(s, '=');

    *value = str_trim_ows(str_skip(s, equals + 1));
    return str_trim_ows(str_slice(s, 0, equals));
}

/* ---- Cookie ---- */

static size_t count_pieces(const struct str *values, size_t count)
{
    size_t pieces = 0;

    for (size_t i = 0; i < count; i++) {
        struct str rest = values[i];
        struct str piece;

        while (str_next(&rest, ';', &piece))
            pieces += str_trim_ows(piece).n > 0;
    }
    return pieces;
}

/* Adds the cookies of one field behind the `count` that are there; returns how many there are then.
 * */
static size_t add_request_cookies(struct arena *a, struct str field, struct pair *pairs,
                                  size_t count)
{
    struct str piece;

    while (str_next(&field, ';', &piece)) {
        struct str value;
        struct str name = split_pair(piece, &value);
        struct policy_cookie *c;

        if (name.n == 0)
            continue;
        c = cookie_new(a, name, value);
        pairs[count++] = (struct pair){ c->name, cel_object_of(&c->object), 0 };
    }
    return count;
}

struct cel_value cookies_of_request(struct arena *a, const struct str *values, size_t count)
{
    size_t pieces = count_pieces(values, count);
    size_t used = 0;
    struct pair *pairs;

    if (pieces > COOKIES_MAX)
        return too_many();
    pairs = arena_alloc(a, pieces * sizeof(*pairs));
    for (size_t i = 0; i < count; i++)
        used = add_request_cookies(a, values[i], pairs, used);
    return pairs_map_of_lists(a, pairs, used);
}

/* ---- Set-Cookie ---- */

/* A cookie under construction. */
struct attributes {
    struct arena *arena;
    struct policy_cookie *cookie;
    struct pair unparsed[COOKIE_ATTRIBUTES_MAX];
    size_t unparsed_count;
};

static void set_expires(struct attributes *t, struct str value)
{
    int64_t seconds;

    if (cookie_date_parse(value, &seconds))
        t->cookie->expires = cel_timestamp(seconds, 0);
}

/* Digits with a minus or without; more than a duration holds is as much as it holds. */
static void set_max_age(struct attributes *t, struct str value)
{
    const uint64_t most = INT64_MAX / CEL_NS_PER_SECOND;
    bool negative = value.n > 0 && value.p[0] == '-';
    struct str digits = str_skip(value, negative ? 1 : 0);
    uint64_t seconds = most;
    int64_t ns;

    for (size_t i = 0; i < digits.n; i++) {
        if (!char_is_digit(digits.p[i]))
            return;
    }
    if (digits.n == 0)
        return;
    (void)str_to_u64(digits, most, &seconds); /* stays at the most above it */
    ns = (int64_t)seconds * CEL_NS_PER_SECOND;
    t->cookie->max_age = cel_duration(negative ? -ns : ns);
}

/* RFC 6265 section 5.2.3: without the dot that once meant "and all below". */
static void set_domain(struct attributes *t, struct str value)
{
    if (value.n > 0 && value.p[0] == '.')
        value = str_skip(value, 1);
    t->cookie->domain = message_text_lower(t->arena, message_text_clean(t->arena, value));
}

static void set_path(struct attributes *t, struct str value)
{
    t->cookie->path = message_text_clean(t->arena, value);
}

static void set_secure(struct attributes *t, struct str value)
{
    (void)value;
    t->cookie->secure = true;
}

static void set_http_only(struct attributes *t, struct str value)
{
    (void)value;
    t->cookie->http_only = true;
}

static void set_same_site(struct attributes *t, struct str value)
{
    static const struct str known[] = { STR_INIT("Lax"), STR_INIT("Strict"), STR_INIT("None") };

    t->cookie->same_site = message_text_clean(t->arena, value);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq_nocase(value, known[i]))
            t->cookie->same_site = known[i];
    }
}

static void set_attribute(struct attributes *t, struct str name, struct str value)
{
    static const struct {
        struct str name;
        void (*set)(struct attributes *t, struct str value);
    } known[] = {
        { STR_INIT("expires"), set_expires },    { STR_INIT("max-age"), set_max_age },
        { STR_INIT("domain"), set_domain },      { STR_INIT("path"), set_path },
        { STR_INIT("secure"), set_secure },      { STR_INIT("httponly"), set_http_only },
        { STR_INIT("samesite"), set_same_site },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq_nocase(name, known[i].name)) {
            known[i].set(t, value);
            return;
        }
    }
    if (name.n > 0 && t->unparsed_count < COOKIE_ATTRIBUTES_MAX)
        t->unparsed[t->unparsed_count++] = (struct pair){
            .name = message_text_clean(t->arena, name),
            .value = cel_string(message_text_clean(t->arena, value)),
        };
}

/* NULL when the field has no name=value (RFC 6265 section 5.2). */
static struct policy_cookie *read_set_cookie(struct arena *a, struct str field)
{
    struct attributes t = { .arena = a };
    struct str piece;
    struct str value;
    struct str name;

    if (!str_next(&field, ';', &piece) || str_find_char(piece, '=') == piece.n)
        return NULL;
    name = split_pair(piece, &value);
    if (name.n == 0)
        return NULL;
    t.cookie = cookie_new(a, name, value);
    while (str_next(&field, ';', &piece)) {
        name = split_pair(piece, &value);
        set_attribute(&t, name, value);
    }
    if (t.unparsed_count > 0)
        t.cookie->unparsed_attributes = pairs_map_of_values(a, t.unparsed, t.unparsed_count);
    return t.cookie;
}

struct cel_value cookies_of_response(struct arena *a, const struct str *values, size_t count)
{
    size_t used = 0;
    struct pair *pairs;

    if (count > COOKIES_MAX)
        return too_many();
    pairs = arena_alloc(a, count * sizeof(*pairs));
    for (size_t i = 0; i < count; i++) {
        struct policy_cookie *c = read_set_cookie(a, values[i]);

        if (c != NULL)
            pairs[used++] = (struct pair){ c->name, cel_object_of(&c->object), c->path.n };
    }
    return pairs_map_of_lists(a, pairs, used);
}
