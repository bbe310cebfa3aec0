#include "tunnel/authkeys_int.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tunnel/endpoint.h"

enum { NAME_SHOWN_BYTES = 32, VALUE_SHOWN_BYTES = 64 };

/* ---- values ---------------------------------------------------------------------------- */

static int set_account(struct authkey *key, struct str value, struct err *e)
{
    if (value.n == 0 || value.n > ENDPOINT_ACCOUNT_MAX_BYTES)
        return err_set(e, E_SYNTAX, "an account has 1 to %d characters",
                       ENDPOINT_ACCOUNT_MAX_BYTES);
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '.' && c != '_' && c != '-')
            return err_set(e, E_SYNTAX, "an account has letters, digits, '.', '_' and '-' only");
    }
    mem_free(key->account);
    key->account = str_dup(value);
    return 0;
}

/* Takes no value. */
static int set_admin(struct authkey *key, struct str value, struct err *e)
{
    (void)value;
    (void)e;
    key->is_admin = true;
    return 0;
}

static int set_bind(struct authkey *key, struct str value, struct err *e)
{
    return acl_add(&key->acl, value, e);
}

static int set_connect(struct authkey *key, struct str value, struct err *e)
{
    return acl_add_connect(&key->acl, value, e);
}

static int set_from(struct authkey *key, struct str value, struct err *e)
{
    struct str block;

    if (value.n == 0) /* would otherwise allow every address */
        return err_set(e, E_SYNTAX, "from lists no address");
    while (str_next(&value, ',', &block)) {
        struct cidr cidr;

        if (str_starts(block, STR("!")))
            return err_set(e, E_SYNTAX,
                           "from does not take '!'; list the addresses that are allowed");
        if (key->from_count == AUTHKEY_FROM_MAX)
            return err_set(e, E_LIMIT, "from has more than %d addresses", AUTHKEY_FROM_MAX);
        if (cidr_parse(block, &cidr, e) == -1)
            return -1;
        key->from = mem_realloc(key->from, (key->from_count + 1) * sizeof(*key->from));
        key->from[key->from_count++] = cidr;
    }
    return 0;
}

/* Reads `count` digits at *at into *out and moves *at behind them. */
static bool take_number(struct str *at, size_t count, int min, int max, int *out)
{
    uint64_t n;

    if (at->n < count || str_to_u64(str_slice(*at, 0, count), (uint64_t)max, &n) == -1 ||
        n < (uint64_t)min)
        return false;
    *at = str_skip(*at, count);
    *out = (int)n;
    return true;
}

/* YYYYMMDD[HHMM[SS]] without the zone. The day is checked against its month by the caller. */
static bool read_time(struct str s, struct tm *tm)
{
    *tm = (struct tm){ .tm_isdst = -1 };
    if (s.n != 8 && s.n != 12 && s.n != 14)
        return false;
    if (!take_number(&s, 4, 1970, 9999, &tm->tm_year) || !take_number(&s, 2, 1, 12, &tm->tm_mon) ||
        !take_number(&s, 2, 1, 31, &tm->tm_mday))
        return false;
    if (s.n > 0 &&
        (!take_number(&s, 2, 0, 23, &tm->tm_hour) || !take_number(&s, 2, 0, 59, &tm->tm_min)))
        return false;
    if (s.n > 0 && !take_number(&s, 2, 0, 59, &tm->tm_sec))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return true;
}

/* 31 April and the like: timegm() would make it 1 May. */
static bool is_real_day(const struct tm *tm)
{
    struct tm copy = *tm;

    return timegm(&copy) != -1 && copy.tm_mday == tm->tm_mday;
}

static int set_expiry(struct authkey *key, struct str value, struct err *e)
{
    bool is_utc = str_ends(value, STR("Z"));
    struct tm tm;
    time_t when;

    if (!read_time(str_slice(value, 0, value.n - (is_utc ? 1 : 0)), &tm) || !is_real_day(&tm))
        return err_set(e, E_SYNTAX,
                       "'%.*s' is not a time; write YYYYMMDD[HHMM[SS]] and Z behind it for UTC",
                       STR_ARG(str_slice(value, 0, VALUE_SHOWN_BYTES)));
    when = is_utc ? timegm(&tm) : mktime(&tm);
    /* Zero would mean never, so whatever is not after 1970 becomes its first millisecond. */
    key->expires_wall_ms = when > 0 ? (uint64_t)when * 1000 : 1;
    return 0;
}

static const struct option {
    const char *name;
    const char *form; /* NULL: it takes no value */
    bool repeatable;
    int (*set)(struct authkey *key, struct str value, struct err *e);
} options[] = {
    { "account", "account=\"NAME\"", false, set_account },
    { "admin", NULL, false, set_admin },
    { "bind", "bind=\"RULE\"", true, set_bind },
    { "connect", "connect=\"RULE\"", true, set_connect },
    { "expiry-time", "expiry-time=\"YYYYMMDD[HHMM[SS]][Z]\"", false, set_expiry },
    { "from", "from=\"CIDR,...\"", false, set_from },
};

enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };

/* ---- syntax ---------------------------------------------------------------------------- */

static int refuse_name(struct str name, struct err *e)
{
    char known[ERR_MSG_BYTES] = "";
    size_t n = 0;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", i > 0 ? ", " : "",
                              options[i].name);
    /* A long word is rather a piece of a key, perhaps of a private one, and is not repeated. */
    if (name.n == 0 || name.n > NAME_SHOWN_BYTES)
        return err_set(e, E_SYNTAX, "an option or a key type is expected; options are %s", known);
    return err_set(e, E_SYNTAX, "unknown option '%.*s'; options are %s", STR_ARG(name), known);
}

static struct str take_name(struct str *rest)
{
    struct str name;
    size_t n = 0;

    while (n < rest->n && (char_is_alpha(rest->p[n]) || char_is_digit(rest->p[n]) ||
                           rest->p[n] == '-' || rest->p[n] == '_'))
        n++;
    name = str_slice(*rest, 0, n);
    *rest = str_skip(*rest, n);
    return name;
}

static const struct option *find_option(struct str name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (str_eq_nocase(name, str_from(options[i].name)))
            return &options[i];
    }
    return NULL;
}

/* Takes ="VALUE"; as in OpenSSH, \" is a quote and any other backslash is itself. */
static int take_value(struct str *rest, const struct option *o, struct buf *value, struct err *e)
{
    if (o->form == NULL)
        return str_starts(*rest, STR("="))
                   ? err_set(e, E_SYNTAX, "option %s takes no value", o->name)
                   : 0;
    if (!str_starts(*rest, STR("=\"")))
        return err_set(e, E_SYNTAX, "option %s needs a value in quotes: %s", o->name, o->form);
    *rest = str_skip(*rest, 2);
    while (rest->n > 0 && rest->p[0] != '"') {
        if (str_starts(*rest, STR("\\\"")))
            *rest = str_skip(*rest, 1);
        buf_add_char(value, rest->p[0]);
        *rest = str_skip(*rest, 1);
    }
    if (rest->n == 0)
        return err_set(e, E_SYNTAX, "option %s lacks its closing quote", o->name);
    *rest = str_skip(*rest, 1);
    return 0;
}

/* Reads one option; `seen` has a bit for each one that came before. */
static int read_option(struct str *rest, unsigned *seen, struct authkey *key, struct err *e)
{
    struct str name = take_name(rest);
    const struct option *o = find_option(name);
    struct buf value;
    unsigned bit;
    int rc;

    if (o == NULL)
        return refuse_name(name, e);
    bit = 1U << (o - options);
    if (!o->repeatable && (*seen & bit) != 0)
        return err_set(e, E_SYNTAX, "option %s is given twice", o->name);
    *seen |= bit;
    buf_init(&value, AUTHKEYS_LINE_MAX_BYTES);
    rc = take_value(rest, o, &value, e);
    if (rc == 0)
        rc = o->set(key, buf_str(&value), e);
    buf_fini(&value);
    return rc;
}

int authkey_options_parse(struct str *line, struct authkey *key, struct err *e)
{
    unsigned seen = 0;

    for (;;) {
        if (read_option(line, &seen, key, e) == -1)
            return -1;
        if (line->n == 0)
            return err_set(e, E_SYNTAX, "the key is missing after the options");
        if (line->p[0] == ' ' || line->p[0] == '\t')
            break;
        if (line->p[0] != ',')
            return err_set(e, E_SYNTAX, "a ',' or a space is expected after an option");
        *line = str_skip(*line, 1);
        if (line->n == 0 || line->p[0] == ' ' || line->p[0] == '\t')
            return err_set(e, E_SYNTAX, "there is no space after the ',' between options");
    }
    *line = str_trim_ows(*line);
    return 0;
}
