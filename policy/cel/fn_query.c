/*
 * fn_query: query strings as maps (spec traffic-policy 5.10), in the encoding of forms: '+' is a
 * space. Reading is as lenient as it is for req.url.query_params: an escape that is none stays.
 */
#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"
#include "policy/cel/map_order.h"
#include "policy/cel/text.h"
#include "policy/cel/url_text.h"

/* ---- decode ---- */

static struct cel_value decode_part(struct cel_run *run, struct str s)
{
    struct cel_value bytes = url_text_unescape(run, s, URL_PLUS_IS_SPACE, URL_BAD_ESCAPE_STAYS);

    return cel_is_error(bytes) ? bytes : cel_utf8_clean(run, cel_str(bytes));
}

/* The first value of a name is kept. */
static struct cel_value decode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_map_builder *map = cel_map_new(run, 0);
    struct str rest = cel_str(args[0]);
    struct str piece;

    (void)count;
    while (map != NULL && str_next(&rest, '&', &piece)) {
        size_t equals = str_find_char(piece, '=');
        struct cel_value name = decode_part(run, str_slice(piece, 0, equals));
        struct cel_value value = decode_part(run, str_skip(piece, equals + 1));

        if (cel_is_error(name) || cel_is_error(value) || !cel_charge(run, 1))
            return cel_spent(run);
        if (piece.n > 0)
            (void)cel_map_put(map, name, value);
    }
    return map == NULL || run->spent ? cel_spent(run) : cel_map_value(map);
}

/* Each part has a '=' or no space. */
static struct cel_value is_query_string(struct cel_run *run, const struct cel_value *args,
                                        size_t count)
{
    struct str rest = cel_str(args[0]);
    struct str piece;

    (void)count;
    if (!cel_charge_bytes(run, rest.n))
        return cel_spent(run);
    while (str_next(&rest, '&', &piece)) {
        if (str_find_char(piece, '=') == piece.n && str_find_char(piece, ' ') < piece.n)
            return cel_bool(false);
    }
    return cel_bool(true);
}

/* ---- encode ---- */

struct encoder {
    struct cel_text text;
    struct cel_value error; /* CEL_NULL: none */
};

static void add_pair(struct encoder *e, struct str name, struct cel_value value)
{
    struct cel_value text = cel_to_text(e->text.run, value);

    if (cel_is_error(text)) {
        e->error = text;
        return;
    }
    if (e->text.n > 0)
        cel_text_add_char(&e->text, '&');
    url_text_escape(&e->text, name, STR("+"));
    cel_text_add_char(&e->text, '=');
    url_text_escape(&e->text, cel_str(text), STR("+"));
    if (e->text.failed || !cel_charge(e->text.run, 1))
        e->error = cel_spent(e->text.run);
}

/* Lists have a pair for each element. */
static void add_entry(struct encoder *e, struct str name, struct cel_value value)
{
    if (value.kind != CEL_LIST) {
        add_pair(e, name, value);
        return;
    }
    for (size_t i = 0; i < value.as.list->count && !cel_is_error(e->error); i++)
        add_pair(e, name, value.as.list->items[i]);
}

static struct cel_value encode(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct encoder e = { .error = cel_null() };
    struct cel_value *names;
    struct cel_value order = cel_map_order(run, args[0], &names);

    (void)count;
    if (cel_is_error(order))
        return order;
    cel_text_init(&e.text, run);
    for (size_t i = 0; i < order.as.list->count && !cel_is_error(e.error); i++) {
        size_t entry = (size_t)order.as.list->items[i].as.i;
        struct cel_value key;
        struct cel_value value;

        cel_map_entry(run, args[0], entry, &key, &value);
        add_entry(&e, cel_str(names[entry]), value);
    }
    return cel_is_error(e.error) ? e.error : cel_text_done(&e.text);
}

static const struct cel_fn_row rows[] = {
    { "queryString.decode(string) -> map(string, string)", decode, CEL_FN_PURE },
    { "queryString.encode(map(K, V)) -> string", encode, CEL_FN_PURE },
    { "string.decodeQueryString() -> map(string, string)", decode, CEL_FN_PURE },
    { "map(K, V).encodeQueryString() -> string", encode, CEL_FN_PURE },
    { "string.isQueryString() -> bool", is_query_string, CEL_FN_PURE },
};

const struct cel_library cel_query_library = { rows, sizeof(rows) / sizeof(rows[0]) };
