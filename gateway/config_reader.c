/*
 * One function walks a group and its table, so unknown and missing keys are found in one place.
 * Reading goes on after a problem, so that an operator sees all of them at once.
 */
#include "gateway/config_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tunnel/host.h"

/* ---- problems -------------------------------------------------------------------------- */

static unsigned setting_line(const config_setting_t *s)
{
    unsigned line = s != NULL ? config_setting_source_line(s) : 0;

    return line > 0 ? line : 1; /* the root group has no line */
}

void reader_problem(struct reader *r, const config_setting_t *s, const char *fmt, ...)
{
    va_list ap;

    r->problem_count++;
    buf_add_fmt(r->problems, "%s:%u: ", r->path, setting_line(s));
    va_start(ap, fmt);
    buf_add_vfmt(r->problems, fmt, ap);
    va_end(ap);
    buf_add_char(r->problems, '\n');
}

void reader_file_problem(struct reader *r, unsigned line, const char *text)
{
    r->problem_count++;
    buf_add_fmt(r->problems, "%s:%u: %s\n", r->path, line, text);
}

static void refuse_type(struct reader *r, const config_setting_t *s, const struct key *k,
                        const char *kind)
{
    reader_problem(r, s, "%s%s must be %s; write: %s", r->group, k->name, kind, k->example);
}

char *reader_where(const struct reader *r, const config_setting_t *s)
{
    struct buf b;
    char *where;

    buf_init(&b, strlen(r->path) + 16);
    buf_add_fmt(&b, "%s:%u", r->path, setting_line(s));
    where = str_dup(buf_str(&b));
    buf_fini(&b);
    return where;
}

/* ---- readers of one value -------------------------------------------------------------- */

const char *reader_get_string(struct reader *r, const config_setting_t *s, const struct key *k,
                              const char *kind)
{
    const char *text;

    if (config_setting_type(s) != CONFIG_TYPE_STRING) {
        refuse_type(r, s, k, kind);
        return NULL;
    }
    text = config_setting_get_string(s);
    if (text == NULL || text[0] == '\0') {
        reader_problem(r, s, "%s%s is empty; write: %s", r->group, k->name, k->example);
        return NULL;
    }
    if (strlen(text) > CONFIG_STRING_MAX_BYTES) {
        reader_problem(r, s, "%s%s is longer than %d bytes; shorten it", r->group, k->name,
                       CONFIG_STRING_MAX_BYTES);
        return NULL;
    }
    return text;
}

void reader_string(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    const char *text = reader_get_string(r, s, k, "a string");

    if (text != NULL)
        *(char **)out = mem_strdup(text);
}

/* A normal host name without wildcard, which the caller frees, or NULL with a problem. */
static char *get_host(struct reader *r, const config_setting_t *s, const struct key *k)
{
    const char *text = reader_get_string(r, s, k, "a host name");
    char host[HOST_MAX_BYTES + 1];
    struct err e;

    if (text == NULL)
        return NULL;
    if (host_normalize(str_from(text), host, &e) == -1) {
        reader_problem(r, s, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
        return NULL;
    }
    if (host_is_wildcard(str_from(host))) {
        reader_problem(r, s, "%s%s is a name without '*'; write: %s", r->group, k->name,
                       k->example);
        return NULL;
    }
    return mem_strdup(host);
}

void reader_host(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    *(char **)out = get_host(r, s, k);
}

void reader_bool(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        refuse_type(r, s, k, "true or false");
    else
        *(bool *)out = config_setting_get_bool(s) == CONFIG_TRUE;
}

void reader_number(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    long long n;

    /* Never CONFIG_TYPE_INT: config_text_widen() made all of them long. */
    if (config_setting_type(s) != CONFIG_TYPE_INT64) {
        reader_problem(r, s, "%s%s must be a whole number of %s; write: %s", r->group, k->name,
                       k->unit, k->example);
        return;
    }
    n = config_setting_get_int64(s);
    if (n < 0 || (uint64_t)n < k->min || (uint64_t)n > k->max)
        reader_problem(r, s, "%s%s is %lld; it must be from %llu to %llu %s", r->group, k->name, n,
                       (unsigned long long)k->min, (unsigned long long)k->max, k->unit);
    else
        *(uint64_t *)out = (uint64_t)n;
}

int reader_get_word(struct reader *r, const config_setting_t *s, const struct key *k,
                    const char *const *words, size_t count)
{
    const char *text = reader_get_string(r, s, k, "a word");
    struct buf known;

    if (text == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    }
    buf_init(&known, 256);
    for (size_t i = 0; i < count; i++)
        buf_add_fmt(&known, "%s\"%s\"", i == 0 ? "" : ", ", words[i]);
    reader_problem(r, s, "%s%s is \"%s\"; it must be one of %.*s", r->group, k->name, text,
                   STR_ARG(buf_str(&known)));
    buf_fini(&known);
    return -1;
}

/* ---- readers of lists and groups ------------------------------------------------------- */

unsigned reader_list_length(struct reader *r, const config_setting_t *s, const struct key *k,
                            const char *kind)
{
    int type = config_setting_type(s);
    unsigned n;

    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        refuse_type(r, s, k, kind);
        return 0;
    }
    n = (unsigned)config_setting_length(s);
    if (n > k->max) {
        reader_problem(r, s, "%s%s has %u entries; at most %llu are allowed", r->group, k->name, n,
                       (unsigned long long)k->max);
        return 0;
    }
    return n;
}

void reader_strings(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    struct config_strings *list = out;
    unsigned n = reader_list_length(r, s, k, "a list of strings");

    list->items = mem_zalloc_array(n, sizeof(*list->items));
    for (unsigned i = 0; i < n; i++) {
        const char *text =
            reader_get_string(r, config_setting_get_elem(s, i), k, "a list of strings");

        if (text != NULL)
            list->items[list->count++] = mem_strdup(text);
    }
}

void reader_hosts(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    struct config_strings *list = out;
    unsigned n = reader_list_length(r, s, k, "a list of host names");

    list->items = mem_zalloc_array(n, sizeof(*list->items));
    for (unsigned i = 0; i < n; i++) {
        char *host = get_host(r, config_setting_get_elem(s, i), k);

        if (host != NULL)
            list->items[list->count++] = host;
    }
}

static const struct key *find_key(const struct key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static void unknown_key(struct reader *r, const config_setting_t *s, const struct key *keys,
                        size_t count)
{
    enum { NEAR = 3 }; /* edits up to which a name was probably meant */
    const char *name = config_setting_name(s);
    const char *best = NULL;
    size_t best_distance = NEAR + 1;

    for (size_t i = 0; i < count; i++) {
        size_t d = str_distance(str_from(name), str_from(keys[i].name));

        if (d < best_distance) {
            best_distance = d;
            best = keys[i].name;
        }
    }
    if (best != NULL)
        reader_problem(r, s, "%s%s is not a key; did you mean %s%s?", r->group, name, r->group,
                       best);
    else
        reader_problem(r, s, "%s%s is not a key; remove it (sallyport.cfg(5) lists all)", r->group,
                       name);
}

void reader_members(struct reader *r, const config_setting_t *group, const struct key *keys,
                    size_t count, void *base)
{
    unsigned n = (unsigned)config_setting_length(group);

    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *s = config_setting_get_elem(group, i);
        const struct key *k = find_key(keys, count, config_setting_name(s));

        if (k == NULL)
            unknown_key(r, s, keys, count);
        else
            k->read(r, s, k, (char *)base + k->offset);
    }
    for (size_t i = 0; i < count; i++) {
        if (keys[i].required && config_setting_get_member(group, keys[i].name) == NULL)
            reader_problem(r, group, "%s%s is missing; add: %s", r->group, keys[i].name,
                           keys[i].example);
    }
}

/* Groups of the file are not groups of struct config: members count from its start, where `out` is. */
void reader_group(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    const char *outer = r->group;
    char prefix[64];

    if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
        refuse_type(r, s, k, "a group");
        return;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s.", k->name);
    r->group = prefix;
    reader_members(r, s, k->members, k->member_count, out);
    r->group = outer;
}

bool reader_entry(struct reader *r, const config_setting_t *s, const struct key *k, void *entry)
{
    const char *outer = r->group;
    size_t before = r->problem_count;
    char prefix[64];

    if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
        refuse_type(r, s, k, "a list of groups");
        return false;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s%s.", outer, k->name);
    r->group = prefix;
    reader_members(r, s, k->members, k->member_count, entry);
    r->group = outer;
    return r->problem_count == before;
}
