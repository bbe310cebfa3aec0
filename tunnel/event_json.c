#include "tunnel/event_json.h"

#include "base/clock.h"
#include "base/json_text.h"
#include "tunnel/account_id.h"
#include "tunnel/event.h"
#include "tunnel/event_field.h"

static void add_string(struct buf *out, struct str s)
{
    json_text_string(out, s, EVENT_TEXT_MAX_BYTES);
}

static void add_time(struct buf *out, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_BYTES];

    clock_format_rfc3339(wall_ms, text);
    add_string(out, str_from(text));
}

/* ---- values ---------------------------------------------------------------------------- */

/* True if a field of that name stands before `index`: its list has this value already. */
static bool is_repeated(const struct event_headers *h, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (str_eq_nocase(h->items[i].name, h->items[index].name))
            return true;
    }
    return false;
}

static void add_header_values(struct buf *out, const struct event_headers *h, size_t first)
{
    const char *separator = "";

    for (size_t i = first; i < h->count; i++) {
        if (!str_eq_nocase(h->items[i].name, h->items[first].name))
            continue;
        buf_add_str(out, str_from(separator));
        add_string(out, h->items[i].value);
        separator = ",";
    }
}

static void add_headers(struct buf *out, const struct event_headers *h)
{
    const char *separator = "";

    buf_add_char(out, '{');
    for (size_t i = 0; i < h->count; i++) {
        if (is_repeated(h, i))
            continue;
        buf_add_str(out, str_from(separator));
        add_string(out, h->items[i].name);
        buf_add_str(out, STR(":["));
        add_header_values(out, h, i);
        buf_add_char(out, ']');
        separator = ",";
    }
    buf_add_char(out, '}');
}

static void add_value(struct buf *out, const struct event_value *v)
{
    char ip[ADDR_TEXT_BYTES];

    switch (v->kind) {
    case EVENT_VALUE_STR:
        add_string(out, v->as.str);
        return;
    case EVENT_VALUE_IP:
        add_string(out, str_from(addr_format_ip(v->as.ip, ip)));
        return;
    case EVENT_VALUE_TIME:
        add_time(out, v->as.u64);
        return;
    case EVENT_VALUE_U64:
        buf_add_fmt(out, "%llu", (unsigned long long)v->as.u64);
        return;
    case EVENT_VALUE_BOOL:
        buf_add_str(out, v->as.b ? STR("true") : STR("false"));
        return;
    case EVENT_VALUE_HEADERS:
        add_headers(out, v->as.headers);
        return;
    case EVENT_VALUE_JSON:
        buf_add_str(out, v->as.str);
        return;
    case EVENT_VALUE_PORT: /* these are U64 or STR by now */
    case EVENT_VALUE_UINT:
    case EVENT_VALUE_MICROS:
    case EVENT_VALUE_ERROR:
        break;
    }
    buf_add_str(out, STR("null"));
}

/* ---- the event ------------------------------------------------------------------------- */

static void add_traffic(struct buf *out, const struct event *ev, uint64_t fields)
{
    struct json_text_object object = { .depth = 0 };

    buf_add_char(out, '{');
    for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
        struct event_value v;

        if ((fields >> i & 1) == 0 || !event_field_get(ev, &event_field_table[i], &v))
            continue;
        json_text_name(out, &object, str_from(event_field_table[i].name));
        add_value(out, &v);
    }
    json_text_close(out, &object);
    buf_add_char(out, '}');
}

static void add_credential(struct buf *out, const struct event_principal *p)
{
    if (p->credential_id.n == 0) {
        buf_add_str(out, STR("null"));
        return;
    }
    buf_add_str(out, STR("{\"id\":"));
    add_string(out, p->credential_id);
    buf_add_str(out, STR(",\"uri\":"));
    add_string(out, p->credential_uri);
    buf_add_char(out, '}');
}

static void add_principal(struct buf *out, const struct event_principal *p)
{
    if (p->id.n == 0) {
        buf_add_str(out, STR("null"));
        return;
    }
    buf_add_str(out, STR("{\"id\":"));
    add_string(out, p->id);
    buf_add_str(out, STR(",\"subject\":"));
    add_string(out, p->subject);
    buf_add_str(out, STR(",\"source\":"));
    add_string(out, p->source);
    buf_add_str(out, STR(",\"credential\":"));
    add_credential(out, p);
    buf_add_char(out, '}');
}

static void add_account(struct buf *out, struct str account)
{
    char id[ID_BYTES];

    if (account.n == 0) {
        buf_add_str(out, STR("null"));
        return;
    }
    account_id(account, id);
    add_string(out, str_from(id));
}

void event_json_add(struct buf *out, const struct event *ev, uint64_t fields)
{
    buf_add_fmt(out, "{\"event_id\":\"%s\",\"event_type\":\"%s\",\"event_timestamp\":", ev->id,
                event_type_name(ev->type));
    add_time(out, ev->wall_ms);
    buf_add_str(out, STR(",\"account_id\":"));
    add_account(out, ev->account);
    buf_add_str(out, STR(",\"principal\":"));
    add_principal(out, &ev->principal);
    buf_add_str(out, STR(",\"object\":"));
    if (event_type_is_traffic(ev->type))
        add_traffic(out, ev, fields);
    else
        buf_add_str(out, ev->object);
    buf_add_char(out, '}');
}
