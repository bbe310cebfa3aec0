/*
 * A User-Agent is products ("Chrome/120.0") with comments between them; in practice comments hold
 * products too, so both are read alike as one row of tokens, and each token is looked up in one
 * table whose order says which of several names is the true one. Systems and devices have names of
 * several words and are searched as text.
 */
#include "policy/user_agent.h"

/* ---- programs ---- */

enum { UA_BOT = 1, UA_BARE = 2 };

static const struct program {
    struct str token;
    struct str name;
    unsigned flags;
} programs[] = {
/* clang-format off */
#define UA(token, name, flags) { STR_INIT(token), STR_INIT(name), flags },
#include "policy/user_agents.def"
#undef UA
    /* clang-format on */
};

enum { PROGRAM_COUNT = sizeof(programs) / sizeof(programs[0]) };

/* ---- tokens ---- */

struct token {
    struct str name;
    struct str version; /* behind "/", or a number behind a space */
    bool has_slash;
};

static bool is_token_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '.' || c == '_' || c == '-';
}

static bool is_version_char(char c)
{
    return is_token_char(c) || c == '+';
}

/* The bytes at the front of s that `is` says yes to. */
static struct str run_of(struct str s, bool (*is)(char c))
{
    size_t n = 0;

    while (n < s.n && is(s.p[n]))
        n++;
    return str_slice(s, 0, n);
}

static bool starts_with_digit(struct str s)
{
    return s.n > 0 && char_is_digit(s.p[0]);
}

/* False for what stands around URLs here. */
static bool is_url_char(char c)
{
    static const struct str around = STR_INIT(";,()<>[]{}\"'");

    return c > ' ' && c < 0x7f && str_find_char(around, c) == around.n;
}

/* The URL at the front of s, or an empty str. */
static struct str url_at(struct str s)
{
    if (!str_starts_nocase(s, STR("http://")) && !str_starts_nocase(s, STR("https://")))
        return STR_NONE;
    return run_of(s, is_url_char);
}

/* Takes the next token; URLs are skipped. */
static bool next_token(struct str *rest, struct token *out)
{
    struct str behind;

    while (rest->n > 0) {
        size_t url = url_at(*rest).n;

        if (url == 0 && is_token_char(rest->p[0]))
            break;
        *rest = str_skip(*rest, url > 0 ? url : 1);
    }
    out->name = run_of(*rest, is_token_char);
    *rest = str_skip(*rest, out->name.n);
    out->has_slash = rest->n > 0 && rest->p[0] == '/';
    out->version = STR_NONE;
    behind = str_skip(*rest, 1);
    if (out->has_slash) {
        out->version = run_of(behind, is_version_char);
        *rest = str_skip(behind, out->version.n);
    } else if (rest->n > 0 && rest->p[0] == ' ' && starts_with_digit(behind)) {
        out->version = run_of(behind, is_version_char);
    }
    return out->name.n > 0;
}

/* ---- the name ---- */

/* The best row for a token among those before `best`; `best` when there is none. */
static size_t find_program(const struct token *t, size_t best)
{
    for (size_t i = 0; i < best; i++) {
        const struct program *p = &programs[i];

        if (t->name.n == p->token.n && (t->has_slash || (p->flags & UA_BARE) != 0) &&
            str_eq_nocase(t->name, p->token))
            return i;
    }
    return best;
}

/* True for names that bots give themselves; CUBOT makes telephones. */
static bool sounds_like_bot(struct str name)
{
    static const struct str words[] = { STR_INIT("bot"), STR_INIT("crawl"), STR_INIT("spider") };

    for (size_t i = 0; i < name.n; i++) {
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
            if (char_lower(name.p[i]) == words[k].p[0] &&
                str_starts_nocase(str_skip(name, i), words[k]))
                return !str_starts_nocase(name, STR("cubot"));
        }
    }
    return false;
}

/* Products that say nothing about which program it is. */
static bool is_common_product(struct str name)
{
    static const struct str common[] = {
        STR_INIT("Mozilla"), STR_INIT("AppleWebKit"), STR_INIT("Gecko"), STR_INIT("KHTML"),
        STR_INIT("Version"), STR_INIT("Mobile"),      STR_INIT("Build"), STR_INIT("Safari"),
    };

    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (str_eq(name, common[i]))
            return true;
    }
    return false;
}

/* What one pass over the tokens finds. */
struct names {
    size_t program; /* row; PROGRAM_COUNT: none */
    struct token known;
    struct token bot;     /* the first that sounds like one */
    struct token product; /* the first that is not common */
    struct token first;
    struct token version; /* "Version/17.1" */
    struct token mini;    /* "Mini/36.2" of Opera Mini */
};

static void note_token(struct names *n, const struct token *t)
{
    size_t program = find_program(t, n->program);

    if (n->first.name.n == 0)
        n->first = *t;
    if (program < n->program) {
        n->program = program;
        n->known = *t;
    }
    if (n->bot.name.n == 0 && sounds_like_bot(t->name))
        n->bot = *t;
    if (n->product.name.n == 0 && t->has_slash && !is_common_product(t->name))
        n->product = *t;
    if (t->has_slash && str_eq(t->name, STR("Version")))
        n->version = *t;
    if (t->has_slash && str_eq(t->name, STR("Mini")))
        n->mini = *t;
}

static struct names find_names(struct str value)
{
    struct names n = { .program = PROGRAM_COUNT };
    bool is_likeness = false; /* "like Gecko", "(like TwitterBot)" */
    struct token t;

    while (next_token(&value, &t)) {
        if (!is_likeness)
            note_token(&n, &t);
        is_likeness = str_eq(t.name, STR("like"));
    }
    return n;
}

/* The bot that explains itself at the URL: the last product in front of it, else what follows
 * "compatible;". */
static struct token explained_bot(struct str value, struct str url)
{
    struct str before = str_slice(value, 0, (size_t)(url.p - value.p));
    size_t compatible = str_find(before, STR("compatible;"));
    struct str rest = before;
    struct token found = { 0 };
    struct token t;

    while (next_token(&rest, &t)) {
        if (t.has_slash && !is_common_product(t.name))
            found = t;
    }
    rest = str_skip(before, compatible + STR("compatible;").n);
    if (found.name.n == 0 && next_token(&rest, &t))
        found = t;
    return found;
}

/* The number behind "rv:", where Internet Explorer 11 has its version. */
static struct str revision(struct str value)
{
    return run_of(str_skip(value, str_find(value, STR("rv:")) + 3), is_version_char);
}

static void set_known_name(struct str value, const struct names *n, struct user_agent *out)
{
    const struct program *p = &programs[n->program];

    out->name = p->name;
    out->version = n->known.version;
    out->is_bot = (p->flags & UA_BOT) != 0;
    if (str_eq(p->token, STR("Opera")) && n->mini.name.n > 0) {
        out->name = STR("Opera Mini");
        out->version = n->mini.version;
    } else if (str_eq(p->token, STR("Trident"))) {
        out->version = revision(value);
    } else if ((str_eq(p->token, STR("Safari")) || str_eq(p->token, STR("Opera"))) &&
               n->version.name.n > 0) {
        /* Safari's own number is that of its engine; Opera stayed at 9.80 for good. */
        out->version = n->version.version;
    }
}

static void set_name(struct str value, struct user_agent *out)
{
    struct names n = find_names(value);
    struct token t = n.product.name.n > 0 ? n.product : n.first;
    bool is_known_bot = n.program < PROGRAM_COUNT && (programs[n.program].flags & UA_BOT) != 0;

    if (!is_known_bot && (n.bot.name.n > 0 || out->url.n > 0)) {
        out->is_bot = true;
        t = n.bot.name.n > 0 ? n.bot : explained_bot(value, out->url);
        if (t.name.n == 0)
            t = n.first;
    } else if (n.program < PROGRAM_COUNT) {
        set_known_name(value, &n, out);
        return;
    }
    out->name = t.name;
    out->version = t.version;
}

/* ---- the system ---- */

enum form { FORM_NONE, FORM_MOBILE, FORM_TABLET, FORM_DESKTOP, FORM_ANDROID };

/* The first row whose text is found wins. The version is the number behind `before_version`. */
static const struct os_row {
    struct str text;
    struct str name;
    struct str before_version;
    enum form form;
} os_rows[] = {
    { STR_INIT("Windows Phone OS"), STR_INIT("Windows Phone"), STR_INIT("Windows Phone OS "),
      FORM_MOBILE },
    { STR_INIT("Windows Phone"), STR_INIT("Windows Phone"), STR_INIT("Windows Phone "),
      FORM_MOBILE },
    { STR_INIT("iPad"), STR_INIT("iOS"), STR_INIT("OS "), FORM_TABLET },
    { STR_INIT("iPhone"), STR_INIT("iOS"), STR_INIT("OS "), FORM_MOBILE },
    { STR_INIT("iPod"), STR_INIT("iOS"), STR_INIT("OS "), FORM_MOBILE },
    { STR_INIT("Android"), STR_INIT("Android"), STR_INIT("Android "), FORM_ANDROID },
    { STR_INIT("KAIOS"), STR_INIT("KaiOS"), STR_INIT("KAIOS/"), FORM_MOBILE },
    { STR_INIT("BlackBerry"), STR_INIT("BlackBerry"), STR_INIT("Version/"), FORM_MOBILE },
    { STR_INIT("BB10"), STR_INIT("BlackBerry"), STR_INIT("Version/"), FORM_MOBILE },
    { STR_INIT("Tizen"), STR_INIT("Tizen"), STR_INIT("Tizen "), FORM_NONE },
    { STR_INIT("Web0S"), STR_INIT("webOS"), STR_INIT("Web0S "), FORM_NONE },
    { STR_INIT("CrOS x86_64"), STR_INIT("ChromeOS"), STR_INIT("CrOS x86_64 "), FORM_DESKTOP },
    { STR_INIT("CrOS aarch64"), STR_INIT("ChromeOS"), STR_INIT("CrOS aarch64 "), FORM_DESKTOP },
    { STR_INIT("CrOS armv7l"), STR_INIT("ChromeOS"), STR_INIT("CrOS armv7l "), FORM_DESKTOP },
    { STR_INIT("CrOS"), STR_INIT("ChromeOS"), STR_INIT("CrOS "), FORM_DESKTOP },
    { STR_INIT("Mac OS X"), STR_INIT("macOS"), STR_INIT("Mac OS X "), FORM_DESKTOP },
    { STR_INIT("Macintosh"), STR_INIT("macOS"), STR_INIT("macOS "), FORM_DESKTOP },
    { STR_INIT("Windows NT"), STR_INIT("Windows"), STR_INIT("Windows NT "), FORM_DESKTOP },
    { STR_INIT("Windows"), STR_INIT("Windows"), STR_INIT("Windows "), FORM_DESKTOP },
    { STR_INIT("FreeBSD"), STR_INIT("FreeBSD"), STR_INIT("FreeBSD "), FORM_DESKTOP },
    { STR_INIT("OpenBSD"), STR_INIT("OpenBSD"), STR_INIT("OpenBSD "), FORM_DESKTOP },
    { STR_INIT("NetBSD"), STR_INIT("NetBSD"), STR_INIT("NetBSD "), FORM_DESKTOP },
    { STR_INIT("SunOS"), STR_INIT("SunOS"), STR_INIT("SunOS "), FORM_DESKTOP },
    { STR_INIT("Linux"), STR_INIT("Linux"), STR_INIT("Linux "), FORM_DESKTOP },
};

static bool has(struct str value, struct str text)
{
    return str_find(value, text) != value.n;
}

/* The first number that directly follows `text`. */
static struct str number_behind(struct str value, struct str text)
{
    size_t at;

    while ((at = str_find(value, text)) != value.n) {
        value = str_skip(value, at + text.n);
        if (starts_with_digit(value))
            return run_of(value, is_version_char);
    }
    return STR_NONE;
}

/* Apple writes 10_15_7. */
static void set_os_version(struct str version, struct user_agent *out)
{
    size_t n = version.n < sizeof(out->os_version_text) ? version.n : sizeof(out->os_version_text);

    for (size_t i = 0; i < n; i++)
        out->os_version_text[i] = version.p[i] == '_' ? '.' : version.p[i];
    out->os_version = str_of(out->os_version_text, n);
}

/* Browsers on telephones say Mobile, those on tablets do not; other programs say neither. */
static enum form android_form(struct str value)
{
    if (has(value, STR("TV")))
        return FORM_NONE;
    if (has(value, STR("Tablet")))
        return FORM_TABLET;
    return str_starts(value, STR("Mozilla/")) && !has(value, STR("Mobile")) ? FORM_TABLET
                                                                            : FORM_MOBILE;
}

static void set_form(enum form form, struct user_agent *out)
{
    out->is_mobile = form == FORM_MOBILE;
    out->is_tablet = form == FORM_TABLET;
    out->is_desktop = form == FORM_DESKTOP;
}

static void set_os(struct str value, struct user_agent *out)
{
    for (size_t i = 0; i < sizeof(os_rows) / sizeof(os_rows[0]); i++) {
        const struct os_row *r = &os_rows[i];

        if (!has(value, r->text))
            continue;
        out->os = r->name;
        set_os_version(number_behind(value, r->before_version), out);
        set_form(r->form == FORM_ANDROID ? android_form(value) : r->form, out);
        return;
    }
    if (has(value, STR("Opera Mini")) || has(value, STR("Mobile")))
        out->is_mobile = true;
}

/* ---- the device ---- */

/* "en", "en-us", "zh_CN" */
static bool is_locale(struct str s)
{
    if (s.n != 2 && !(s.n == 5 && (s.p[2] == '-' || s.p[2] == '_')))
        return false;
    return char_is_alpha(s.p[0]) && s.p[0] == char_lower(s.p[0]) && char_is_alpha(s.p[1]);
}

/* Parts of a comment that are no model; Chrome writes K for each. */
static bool is_no_model(struct str part)
{
    static const struct str others[] = { STR_INIT(""),   STR_INIT("U"),      STR_INIT("K"),
                                         STR_INIT("wv"), STR_INIT("Mobile"), STR_INIT("Tablet") };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (str_eq(part, others[i]))
            return true;
    }
    return is_locale(part) || str_starts(part, STR("rv:"));
}

/* Up to the parenthesis that closes the comment; models have their own: "moto g(7)". */
static struct str rest_of_comment(struct str s)
{
    unsigned depth = 1;
    size_t n = 0;

    for (; n < s.n; n++) {
        if (s.p[n] == '(')
            depth++;
        if (s.p[n] == ')' && --depth == 0)
            break;
    }
    return str_slice(s, 0, n);
}

/* "(Linux; Android 13; SM-G991B Build/TP1A; wv)" */
static struct str android_model(struct str value)
{
    struct str rest = rest_of_comment(str_skip(value, str_find(value, STR("Android "))));
    struct str part;

    (void)str_next(&rest, ';', &part); /* the system itself */
    while (str_next(&rest, ';', &part)) {
        part = str_trim(str_slice(part, 0, str_find(part, STR("Build/"))));
        if (!is_no_model(part))
            return part;
    }
    return STR_NONE;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

static void set_device(struct str value, struct user_agent *out)
{
    static const struct str apple[] = { STR_INIT("iPad"), STR_INIT("iPod"), STR_INIT("iPhone") };

    if (str_eq(out->os, STR("Android"))) {
        struct str model = android_model(value);

        out->device = is_printable(model) ? model : STR_NONE;
    }
    for (size_t i = 0; i < sizeof(apple) / sizeof(apple[0]) && str_eq(out->os, STR("iOS")); i++) {
        if (has(value, apple[i])) {
            out->device = apple[i];
            return;
        }
    }
}

static struct str find_url(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        struct str url = value.p[i] == 'h' ? url_at(str_skip(value, i)) : STR_NONE;

        if (url.n > 0)
            return url;
    }
    return STR_NONE;
}

void user_agent_parse(struct str value, struct user_agent *out)
{
    value = str_slice(value, 0, USER_AGENT_MAX_BYTES);
    *out = (struct user_agent){ .url = find_url(value) };
    set_name(value, out);
    set_os(value, out);
    set_device(value, out);
    /* The browser that Android had before Chrome named itself after its engine. */
    if (str_eq(out->name, STR("Safari")) && str_eq(out->os, STR("Android")))
        out->name = STR("Android Browser");
}
