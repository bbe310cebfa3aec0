#include "policy/cel/text.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/cel/cel.h"
#include "policy/cel/time.h"

enum { FIRST_BYTES = 64 };

/* ---- UTF-8 ---- */

struct cel_value cel_utf8_clean(struct cel_run *run, struct str bytes)
{
    struct cel_text t;
    size_t good = utf8_good(bytes);

    if (!cel_charge_bytes(run, bytes.n))
        return cel_spent(run);
    if (good == bytes.n)
        return cel_string(bytes);
    cel_text_init(&t, run);
    for (;;) {
        cel_text_add(&t, str_slice(bytes, 0, good));
        bytes = str_skip(bytes, good);
        if (bytes.n == 0)
            return cel_text_done(&t);
        cel_text_add(&t, STR("\xef\xbf\xbd")); /* U+FFFD */
        bytes = str_skip(bytes, utf8_bad(bytes));
        good = utf8_good(bytes);
    }
}

/* ---- text that grows ---- */

void cel_text_init(struct cel_text *t, struct cel_run *run)
{
    *t = (struct cel_text){ .run = run };
}

/* Doubles, but never past what a string may have. */
static bool grow(struct cel_text *t, size_t need)
{
    size_t max = t->run->limits->string_bytes;
    size_t cap = t->cap == 0 ? FIRST_BYTES : t->cap * 2;
    char *p;

    if (cap > max)
        cap = max;
    if (cap < need)
        cap = need;
    p = cel_alloc(t->run, cap);
    if (p == NULL)
        return false;
    if (t->n > 0)
        memcpy(p, t->p, t->n);
    t->p = p;
    t->cap = cap;
    return true;
}

static bool reserve(struct cel_text *t, size_t n)
{
    size_t max = t->run->limits->string_bytes;

    if (t->failed)
        return false;
    if (n > max || t->n > max - n) {
        (void)cel_spent(t->run);
        t->failed = true;
    } else if (t->n + n > t->cap) {
        t->failed = !grow(t, t->n + n);
    }
    return !t->failed;
}

void cel_text_add(struct cel_text *t, struct str s)
{
    if (s.n == 0 || !reserve(t, s.n))
        return;
    if (!cel_charge_bytes(t->run, s.n)) {
        t->failed = true;
        return;
    }
    memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
}

void cel_text_add_char(struct cel_text *t, char c)
{
    if (reserve(t, 1))
        t->p[t->n++] = c;
}

struct cel_value cel_text_done(struct cel_text *t)
{
    return t->failed ? cel_spent(t->run) : cel_string(str_of(t->p, t->n));
}

/* ---- values ---- */

static struct cel_value ip_text(struct cel_run *run, const struct addr *ip)
{
    char text[ADDR_IP_TEXT_BYTES];

    return cel_copy(run, CEL_STRING, str_from(addr_format_ip(ip, text)));
}

static struct cel_value cidr_text(struct cel_run *run, const struct cel_cidr *cidr)
{
    char ip[ADDR_IP_TEXT_BYTES];
    char text[CIDR_TEXT_BYTES];

    (void)snprintf(text, sizeof(text), "%s/%u", addr_format_ip(&cidr->base, ip), cidr->bits);
    return cel_copy(run, CEL_STRING, str_from(text));
}

static struct cel_value double_text(struct cel_run *run, double d)
{
    char text[CEL_DOUBLE_BYTES];

    return cel_copy(run, CEL_STRING, cel_double_text(d, CEL_DOUBLE_PLAIN, text));
}

static struct cel_value int_text(struct cel_run *run, struct cel_value v)
{
    char text[CEL_INT_BYTES];

    return cel_copy(run, CEL_STRING,
                    v.kind == CEL_INT ? cel_int_text(v.as.i, text) : cel_uint_text(v.as.u, text));
}

struct cel_value cel_to_text(struct cel_run *run, struct cel_value v)
{
    while (v.kind == CEL_OPTIONAL)
        v = v.as.held == NULL ? cel_null() : *v.as.held;
    switch ((enum cel_kind)v.kind) {
    case CEL_ERROR:
    case CEL_STRING:
        return v;
    case CEL_NULL:
        return cel_string(STR(""));
    case CEL_BOOL:
        return cel_string(v.as.b ? STR("true") : STR("false"));
    case CEL_INT:
    case CEL_UINT:
        return int_text(run, v);
    case CEL_DOUBLE:
        return double_text(run, v.as.d);
    case CEL_BYTES:
        return cel_utf8_clean(run, cel_str(v));
    case CEL_TIMESTAMP:
        return cel_timestamp_format(run, v);
    case CEL_DURATION:
        return cel_duration_format_go(run, v);
    case CEL_TYPE:
        return cel_string(cel_str(v));
    case CEL_IP:
        return ip_text(run, v.as.ip);
    case CEL_CIDR:
        return cidr_text(run, v.as.cidr);
    case CEL_LIST:
    case CEL_MAP:
    case CEL_OBJECT:
    case CEL_OPTIONAL: /* taken out above */
        break;
    }
    return cel_to_json(run, v, false);
}
