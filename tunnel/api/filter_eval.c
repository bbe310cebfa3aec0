/*
 * Evaluation. What is unset is the same however it is written: a missing member, null, "" and an
 * empty list are equal to each other.
 */
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "tunnel/api/filter_int.h"

/* ---- timestamps ----------------------------------------------------------------------------- */

/* Takes `count` digits from the front. */
static bool take_digits(struct str *s, size_t count, int *out)
{
    uint64_t n;

    if (s->n < count || str_to_u64(str_slice(*s, 0, count), 999999, &n) == -1)
        return false;
    *out = (int)n;
    *s = str_skip(*s, count);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

static bool take_date(struct str *s, struct tm *tm)
{
    if (!take_digits(s, 4, &tm->tm_year) || !take_char(s, '-') || !take_digits(s, 2, &tm->tm_mon) ||
        !take_char(s, '-') || !take_digits(s, 2, &tm->tm_mday))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

static bool take_time(struct str *s, struct tm *tm, int *ms)
{
    int scale = 100;

    if (!take_digits(s, 2, &tm->tm_hour) || !take_char(s, ':') || !take_digits(s, 2, &tm->tm_min) ||
        !take_char(s, ':') || !take_digits(s, 2, &tm->tm_sec))
        return false;
    if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
        return false;
    if (!take_char(s, '.'))
        return true;
    if (s->n == 0 || !char_is_digit(s->p[0]))
        return false;
    for (; s->n > 0 && char_is_digit(s->p[0]); *s = str_skip(*s, 1)) {
        *ms += (s->p[0] - '0') * scale;
        scale /= 10;
    }
    return true;
}

/* "Z" or "+02:00". */
static bool take_offset(struct str *s, int *minutes)
{
    int sign = take_char(s, '+') ? 1 : -1;
    int h;
    int m;

    *minutes = 0;
    if (sign == -1 && (take_char(s, 'Z') || take_char(s, 'z')))
        return true;
    if (sign == -1 && !take_char(s, '-'))
        return false;
    if (!take_digits(s, 2, &h) || !take_char(s, ':') || !take_digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *minutes = sign * (h * 60 + m);
    return true;
}

int api_time_parse(struct str s, int64_t *ms)
{
    struct tm tm = { 0 };
    struct tm back;
    int fraction = 0;
    int minutes;
    time_t t;

    if (!take_date(&s, &tm))
        return -1;
    if ((take_char(&s, 'T') || take_char(&s, 't')) && !take_time(&s, &tm, &fraction))
        return -1;
    if (!take_offset(&s, &minutes) || s.n > 0)
        return -1;
    back = tm;
    t = timegm(&back);
    if (back.tm_mday != tm.tm_mday) /* a day that the month has not */
        return -1;
    *ms = ((int64_t)t - (int64_t)minutes * 60) * 1000 + fraction;
    return 0;
}

/* ---- values --------------------------------------------------------------------------------- */

/* The member at a path with dots; a reference at its end is its id. */
static const json_t *find_member(const json_t *object, const char *path)
{
    struct str rest = str_from(path);
    struct str name;
    const json_t *id;

    while (str_next(&rest, '.', &name))
        object = json_object_getn(object, name.p, name.n);
    id = json_object_get(object, "id");
    return id != NULL ? id : object;
}

static struct filter_value value_of_json(const json_t *v, enum api_filter_type type)
{
    struct filter_value out = { .type = API_FILTER_NULL };

    switch (v != NULL ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING:
        out.type = API_FILTER_STRING;
        out.text = str_of(json_string_value(v), json_string_length(v));
        if (type == API_FILTER_TIME && api_time_parse(out.text, &out.time_ms) == 0)
            out.type = API_FILTER_TIME;
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        out.type = API_FILTER_NUMBER;
        out.number = json_number_value(v);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        out.type = API_FILTER_BOOL;
        out.boolean = json_is_true(v);
        break;
    case JSON_ARRAY:
        out.type = API_FILTER_LIST;
        out.json = v;
        out.count = json_array_size(v);
        break;
    case JSON_NULL:
    case JSON_OBJECT:
        break;
    }
    return out;
}

static struct filter_value item_at(const struct filter_value *list, size_t i)
{
    return list->json != NULL ? value_of_json(json_array_get(list->json, i), API_FILTER_STRING)
                              : list->items[i];
}

static bool is_unset(const struct filter_value *v)
{
    return v->type == API_FILTER_NULL || (v->type == API_FILTER_STRING && v->text.n == 0) ||
           (v->type == API_FILTER_LIST && v->count == 0);
}

/* ---- comparisons ---------------------------------------------------------------------------- */

/* False when the two have no order; *order as of memcmp otherwise. */
static bool order_values(const struct filter_value *a, const struct filter_value *b, int *order)
{
    if (a->type == API_FILTER_NUMBER && b->type == API_FILTER_NUMBER) {
        *order = (a->number > b->number) - (a->number < b->number);
        return true;
    }
    if (a->type == API_FILTER_TIME && b->type == API_FILTER_TIME) {
        *order = (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
        return true;
    }
    /* A time against a string: by its text, which only a field has. */
    if (a->text.p == NULL || b->text.p == NULL)
        return false;
    *order = str_compare(a->text, b->text);
    return true;
}

/* Scalars; lists are equal when both are unset. */
static bool is_equal(const struct filter_value *a, const struct filter_value *b)
{
    int order;

    if (is_unset(a) || is_unset(b))
        return is_unset(a) && is_unset(b);
    if (a->type == API_FILTER_BOOL && b->type == API_FILTER_BOOL)
        return a->boolean == b->boolean;
    return order_values(a, b, &order) && order == 0;
}

static bool is_equal_list(const struct filter_value *a, const struct filter_value *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        struct filter_value x = item_at(a, i);
        struct filter_value y = item_at(b, i);

        if (!is_equal(&x, &y))
            return false;
    }
    return true;
}

static bool is_in(const struct filter_value *v, const struct filter_value *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct filter_value item = item_at(list, i);

        if (is_equal(v, &item))
            return true;
    }
    return false;
}

static bool compare(enum filter_op op, const struct filter_value *a, const struct filter_value *b)
{
    bool are_lists = a->type == API_FILTER_LIST && b->type == API_FILTER_LIST;
    int order = 0;

    if (op == FILTER_EQ || op == FILTER_NE)
        return (are_lists ? is_equal_list(a, b) : is_equal(a, b)) == (op == FILTER_EQ);
    if (!order_values(a, b, &order))
        return false;
    return (op == FILTER_LT && order < 0) || (op == FILTER_LE && order <= 0) ||
           (op == FILTER_GT && order > 0) || (op == FILTER_GE && order >= 0);
}

static bool has_text(enum filter_op op, struct str s, struct str part)
{
    if (op == FILTER_STARTS)
        return str_starts(s, part);
    if (op == FILTER_ENDS)
        return str_ends(s, part);
    return part.n == 0 || str_find(s, part) < s.n;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static struct filter_value eval(const struct filter_node *n, const json_t *object);

static bool is_true(const struct filter_node *n, const json_t *object)
{
    struct filter_value v = eval(n, object);

    return v.type == API_FILTER_BOOL && v.boolean;
}

static bool eval_bool(const struct filter_node *n, const json_t *object)
{
    struct filter_value left;
    struct filter_value right;

    switch (n->op) {
    case FILTER_OR:
        return is_true(n->left, object) || is_true(n->right, object);
    case FILTER_AND:
        return is_true(n->left, object) && is_true(n->right, object);
    case FILTER_NOT:
        return !is_true(n->left, object);
    case FILTER_IN:
        left = eval(n->left, object);
        right = eval(n->right, object);
        return is_in(&left, &right);
    case FILTER_STARTS:
    case FILTER_ENDS:
    case FILTER_CONTAINS:
        left = eval(n->left, object);
        return has_text(n->op, left.text, n->right->value.text);
    case FILTER_EQ:
    case FILTER_NE:
    case FILTER_LT:
    case FILTER_LE:
    case FILTER_GT:
    case FILTER_GE:
        left = eval(n->left, object);
        right = eval(n->right, object);
        return compare(n->op, &left, &right);
    case FILTER_LITERAL:
    case FILTER_FIELD:
    case FILTER_SIZE:
        break;
    }
    return false;
}

static struct filter_value eval(const struct filter_node *n, const json_t *object)
{
    struct filter_value v = { .type = API_FILTER_BOOL };

    if (n->op == FILTER_LITERAL)
        return n->value;
    if (n->op == FILTER_FIELD)
        return value_of_json(find_member(object, n->path), n->type);
    if (n->op == FILTER_SIZE) {
        struct filter_value of = eval(n->left, object);

        v.type = API_FILTER_NUMBER;
        v.number = of.type == API_FILTER_LIST ? (double)of.count : (double)utf8_count(of.text);
        return v;
    }
    v.boolean = eval_bool(n, object);
    return v;
}

bool api_filter_matches(const struct api_filter *f, const json_t *object)
{
    return is_true(f->root, object);
}
