/*
 * Why our own syntax check and not that of libidn2: the spec has an error code for each rule, and
 * libidn2 reports the first problem it meets in an order of its own. So only labels with non-ASCII
 * bytes pass through libidn2, and what comes out is checked by our rules like all other labels.
 */
#include "tunnel/host.h"

#include <string.h>

#include <idn2.h>
#include <libpsl.h>

#include "base/mem.h"

/* More bytes than this cannot become a legal name: UTF-8 spends at most 4 on a character. */
enum { HOST_INPUT_MAX_BYTES = 4 * HOST_MAX_BYTES };

/* The last rule of the list, "*", would make every unknown top-level domain public. */
enum { PSL_LISTED = PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE };

static const struct str internal_domain = STR_INIT("internal");
static const struct str ace_prefix = STR_INIT("xn--");

struct host_suffixes {
    psl_ctx_t *psl; /* owned */
    char **names;   /* owned: the base domain first, then the extra suffixes */
    size_t count;
};

/* ---- syntax ---- */

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    }
    return true;
}

static bool is_alnum(char c)
{
    return char_is_alpha(c) || char_is_digit(c);
}

static int refuse_length(struct err *e)
{
    return err_set(e, E_HOST_LENGTH, "the name is longer than %d characters", HOST_MAX_BYTES);
}

static int refuse_character(char c, struct err *e)
{
    if (c == '*')
        return err_set(
            e, E_HOST_CHARACTER,
            "'*' is allowed only as the whole first part of a name, as in *.example.com");
    if (c > ' ' && c < 0x7f)
        return err_set(e, E_HOST_CHARACTER,
                       "illegal character '%c' in the name; allowed: letters, digits, '-' and '.'",
                       c);
    return err_set(e, E_HOST_CHARACTER,
                   "illegal character 0x%02x in the name; allowed: letters, digits, '-' and '.'",
                   (unsigned)(unsigned char)c);
}

/* What libidn2 says about a label, in the codes of the spec. */
static int refuse_idn(int rc, struct str label, struct err *e)
{
    switch (rc) {
    case IDN2_TOO_BIG_LABEL:
    case IDN2_PUNYCODE_BIG_OUTPUT:
        return err_set(e, E_HOST_LABEL_LENGTH,
                       "a name part is longer than %d characters once it is punycode",
                       HOST_LABEL_MAX_BYTES);
    case IDN2_TOO_BIG_DOMAIN:
        return refuse_length(e);
    case IDN2_2HYPHEN:
        return err_set(e, E_HOST_DASHES, "a name part has '--' as its 3rd and 4th character");
    case IDN2_HYPHEN_STARTEND:
        if (label.p[0] == '-')
            return err_set(e, E_HOST_LABEL_START, "a name part must not start with '-'");
        return err_set(e, E_HOST_LABEL_END, "a name part must not end with '-'");
    case IDN2_PUNYCODE_BAD_INPUT:
    case IDN2_PUNYCODE_OVERFLOW:
    case IDN2_INVALID_ALABEL:
        return err_set(e, E_HOST_PUNYCODE, "a name part that starts with xn-- is no punycode");
    default: /* libidn2 has some forty codes, and new releases add more */
        return err_set(e, E_HOST_CHARACTER,
                       "a name part cannot be written as punycode: %s; use other characters",
                       idn2_strerror(rc));
    }
}

static int append(char out[HOST_MAX_BYTES + 1], size_t *n, struct str s, struct err *e)
{
    if (s.n > HOST_MAX_BYTES - *n)
        return refuse_length(e);
    for (size_t i = 0; i < s.n; i++)
        out[(*n)++] = char_lower(s.p[i]);
    return 0;
}

static int append_idn(char out[HOST_MAX_BYTES + 1], size_t *n, struct str label, struct err *e)
{
    char *text = str_dup(label);
    uint8_t *ascii = NULL;
    int rc;

    rc = idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    mem_free(text);
    if (rc != IDN2_OK)
        return refuse_idn(rc, label, e);
    rc = append(out, n, str_from((const char *)ascii), e);
    idn2_free(ascii);
    return rc;
}

/* Writes s in lower case with non-ASCII labels as punycode. Nothing else is checked here. */
static int to_ascii(struct str s, char out[HOST_MAX_BYTES + 1], struct err *e)
{
    struct str rest = s;
    struct str label;
    size_t n = 0;

    while (str_next(&rest, '.', &label)) {
        int rc = is_ascii(label) ? append(out, &n, label, e) : append_idn(out, &n, label, e);

        if (rc == -1)
            return -1;
        if (rest.p != NULL && append(out, &n, STR("."), e) == -1)
            return -1;
    }
    out[n] = '\0';
    return 0;
}

static int check_punycode(struct str label, struct err *e)
{
    char text[HOST_LABEL_MAX_BYTES + 1];
    uint32_t *decoded = NULL;
    int rc;

    memcpy(text, label.p, label.n);
    text[label.n] = '\0';
    rc = idn2_to_unicode_8z4z(text, &decoded, 0);
    idn2_free(decoded);
    if (rc != IDN2_OK)
        return err_set(e, E_HOST_PUNYCODE, "'%s' is no valid punycode: %s", text,
                       idn2_strerror(rc));
    return 0;
}

/* One label of a name that is already ASCII and lower case. */
static int check_label(struct str label, struct err *e)
{
    if (label.n == 0)
        return err_set(e, E_HOST_EMPTY_LABEL, "the name has an empty part; remove the extra '.'");
    if (label.n > HOST_LABEL_MAX_BYTES)
        return err_set(e, E_HOST_LABEL_LENGTH, "a name part has %zu characters; at most %d allowed",
                       label.n, HOST_LABEL_MAX_BYTES);
    for (size_t i = 0; i < label.n; i++) {
        if (label.p[i] == '_')
            return err_set(e, E_HOST_UNDERSCORE, "'_' is not allowed in a name; use '-'");
        if (!is_alnum(label.p[i]) && label.p[i] != '-')
            return refuse_character(label.p[i], e);
    }
    if (label.p[0] == '-')
        return err_set(e, E_HOST_LABEL_START,
                       "the name part '%.*s' must start with a letter or a digit", STR_ARG(label));
    if (label.p[label.n - 1] == '-')
        return err_set(e, E_HOST_LABEL_END,
                       "the name part '%.*s' must end with a letter or a digit", STR_ARG(label));
    if (str_starts(label, ace_prefix))
        return check_punycode(label, e);
    if (label.n >= 4 && label.p[2] == '-' && label.p[3] == '-')
        return err_set(e, E_HOST_DASHES,
                       "the name part '%.*s' has '--' as its 3rd and 4th character, which is "
                       "reserved; use a single '-'",
                       STR_ARG(label));
    return 0;
}

int host_normalize(struct str s, char out[HOST_MAX_BYTES + 1], struct err *e)
{
    struct str rest;
    struct str label;
    bool first = true;

    if (s.n == 0)
        return err_set(e, E_HOST_SYNTAX, "the name is empty");
    if (s.n > HOST_INPUT_MAX_BYTES)
        return refuse_length(e);
    if (s.n > 1 && s.p[s.n - 1] == '.' && s.p[s.n - 2] != '.')
        return err_set(e, E_HOST_SYNTAX, "the name ends in '.'; remove it");
    /* libidn2 takes C strings, so a NUL would hide what follows it. */
    if (str_find_char(s, '\0') != s.n)
        return refuse_character('\0', e);
    if (to_ascii(s, out, e) == -1)
        return -1;
    rest = str_from(out);
    if (rest.n == 0)
        return err_set(e, E_HOST_SYNTAX, "the name is empty");
    for (; str_next(&rest, '.', &label); first = false) {
        if (first && str_eq(label, STR("*")))
            continue;
        if (check_label(label, e) == -1)
            return -1;
    }
    return 0;
}

int host_port_parse(struct str s, char host[HOST_MAX_BYTES + 1], uint16_t *port, struct err *e)
{
    size_t colon = str_find_char(s, ':');
    struct str text = str_skip(s, colon + 1);
    uint64_t number = 0;

    if (colon != s.n && (str_to_u64(text, UINT16_MAX, &number) == -1 || number == 0))
        return err_set(e, E_PORT_SYNTAX, "the port behind ':' must be a number from 1 to 65535");
    *port = (uint16_t)number;
    return host_normalize(str_slice(s, 0, colon), host, e);
}

int host_fold(struct str s, char out[HOST_MAX_BYTES + 1])
{
    size_t label = 0; /* bytes of the label so far */

    if (s.n > 0 && s.p[s.n - 1] == '.')
        s.n--;
    if (s.n == 0 || s.n > HOST_MAX_BYTES)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '.') {
            if (label == 0)
                return -1;
            label = 0;
        } else if ((!is_alnum(c) && c != '-' && c != '_') || ++label > HOST_LABEL_MAX_BYTES) {
            return -1;
        }
        out[i] = char_lower(c);
    }
    out[s.n] = '\0';
    return label > 0 ? 0 : -1;
}

/* ---- suffixes ---- */

static int add_suffix(struct host_suffixes *s, struct str name, struct err *e)
{
    char host[HOST_MAX_BYTES + 1] = "";

    if (host_normalize(name, host, e) == -1)
        return err_prefix(e, "suffix '%.*s'", STR_ARG(name));
    if (host[0] == '*')
        return err_set(e, E_HOST_CHARACTER, "suffix '%s': leave out the '*'", host);
    if (host_is_below_or_equal(str_from(host), internal_domain))
        return err_set(e, E_HOST_SUFFIX,
                       "suffix '%s': names below .internal are never public; use another domain",
                       host);
    s->names[s->count++] = mem_strdup(host);
    return 0;
}

struct host_suffixes *host_suffixes_new(struct str base, const struct str *extra,
                                        size_t extra_count, struct err *e)
{
    struct host_suffixes *s = mem_zalloc(sizeof(*s));

    s->names = mem_zalloc_array(extra_count + 1, sizeof(*s->names));
    /* The list of the distribution's package when it is newer than the one inside libpsl. */
    s->psl = psl_latest(NULL);
    if (s->psl == NULL) {
        (void)err_set(e, E_SYSTEM, "there is no public suffix list; install 'publicsuffix'");
        goto fail;
    }
    if (add_suffix(s, base, e) == -1)
        goto fail;
    for (size_t i = 0; i < extra_count; i++) {
        if (add_suffix(s, extra[i], e) == -1)
            goto fail;
    }
    return s;
fail:
    host_suffixes_free(s);
    return NULL;
}

void host_suffixes_free(struct host_suffixes *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        mem_free(s->names[i]);
    mem_free(s->names);
    psl_free(s->psl);
    mem_free(s);
}

struct str host_suffixes_base(const struct host_suffixes *s)
{
    return str_from(s->names[0]);
}

static bool is_operator_suffix(const struct host_suffixes *s, struct str host)
{
    for (size_t i = 0; i < s->count; i++) {
        if (str_eq(host, str_from(s->names[i])))
            return true;
    }
    return false;
}

static bool is_below_operator_suffix(const struct host_suffixes *s, struct str host)
{
    for (size_t i = 0; i < s->count; i++) {
        if (host_is_below(host, str_from(s->names[i])))
            return true;
    }
    return false;
}

/* libpsl only reads its context, so any thread may ask (it has no cache). */
static bool is_listed(const struct host_suffixes *s, struct str host)
{
    char text[HOST_MAX_BYTES + 1];

    if (host.n == 0 || host.n > HOST_MAX_BYTES)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return psl_is_public_suffix2(s->psl, text, PSL_LISTED) != 0;
}

/* The host without its first label; empty when it has only one. */
static struct str parent_of(struct str host)
{
    return str_skip(host, str_find_char(host, '.') + 1);
}

static bool is_below_listed(const struct host_suffixes *s, struct str host)
{
    for (struct str up = parent_of(host); up.n > 0; up = parent_of(up)) {
        if (is_listed(s, up))
            return true;
    }
    return false;
}

bool host_is_public(const struct host_suffixes *s, struct str host, struct str *suffix)
{
    size_t dot = str_rfind_char(host, '.');
    bool is_suffix = is_operator_suffix(s, host);

    if (!is_suffix && is_below_operator_suffix(s, host))
        return true;
    is_suffix = is_suffix || is_listed(s, host);
    if (!is_suffix && is_below_listed(s, host))
        return true;
    if (suffix != NULL)
        *suffix = is_suffix || dot == host.n ? host : str_skip(host, dot + 1);
    return false;
}

bool host_is_foreign_suffix(const struct host_suffixes *s, struct str host)
{
    return !is_operator_suffix(s, host) && is_listed(s, host);
}

/* ---- relations ---- */

bool host_is_wildcard(struct str host)
{
    return str_starts(host, STR("*."));
}

bool host_is_below_or_equal(struct str host, struct str domain)
{
    return str_eq(host, domain) || host_is_below(host, domain);
}

bool host_is_below(struct str host, struct str domain)
{
    return host.n > domain.n + 1 && domain.n > 0 && str_ends(host, domain) &&
           host.p[host.n - domain.n - 1] == '.';
}

bool host_matches(struct str pattern, struct str host)
{
    if (str_eq(pattern, host))
        return true;
    return host_is_wildcard(pattern) && host_is_below(host, str_skip(pattern, 2));
}
