/*
 * The keys of the file are rows of tables (struct key): name, reader, where the value goes, bounds
 * and an example for messages. One function walks a group and its table, so unknown and missing
 * keys are found in one place, and the rows of config.def need no code of their own.
 * Reading goes on after a problem, so that an operator sees all of them at once; only a syntax error
 * ends it, because libconfig then has no tree to look at.
 */
#include "gateway/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libconfig.h>

#include "base/mem.h"
#include "base/str.h"
#include "gateway/config_text.h"
#include "tunnel/domains.h"
#include "tunnel/host.h"

/* A number of one digit gets two, so the text of a file may double. */
enum { CONFIG_TEXT_MAX_BYTES = 2 * CONFIG_FILE_MAX_BYTES + 1 };

struct reader {
    struct config *c;     /* borrowed: being filled */
    const char *path;     /* borrowed */
    const char *group;    /* borrowed: what stands before a key in messages, "limits." */
    struct buf *problems; /* borrowed */
    size_t problem_count; /* also those that no longer fitted into `problems` */
};

struct key;
typedef void key_fn(struct reader *r, const config_setting_t *s, const struct key *k, void *out);

struct key {
    const char *name;
    const char *example; /* a line that would be right */
    key_fn *read;
    size_t offset; /* of the value in struct config, or in the entry of a list */
    uint64_t min;  /* of a number */
    uint64_t max;  /* of a number, or entries of a list */
    const char *unit;
    const struct key *members; /* of a group */
    size_t member_count;
    bool required;
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- problems -------------------------------------------------------------------------- */

static unsigned setting_line(const config_setting_t *s)
{
    unsigned line = s != NULL ? config_setting_source_line(s) : 0;

    return line > 0 ? line : 1; /* the root group has no line */
}

/* `s` is where it happened; NULL for the file as a whole. */
static void problem(struct reader *r, const config_setting_t *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void problem(struct reader *r, const config_setting_t *s, const char *fmt, ...)
{
    va_list ap;

    r->problem_count++;
    buf_add_fmt(r->problems, "%s:%u: ", r->path, setting_line(s));
    va_start(ap, fmt);
    buf_add_vfmt(r->problems, fmt, ap);
    va_end(ap);
    buf_add_char(r->problems, '\n');
}

/* Where there is no tree to point into. */
static void file_problem(struct reader *r, unsigned line, const char *text)
{
    r->problem_count++;
    buf_add_fmt(r->problems, "%s:%u: %s\n", r->path, line, text);
}

static void wrong_type(struct reader *r, const config_setting_t *s, const struct key *k,
                       const char *kind)
{
    problem(r, s, "%s%s must be %s; write: %s", r->group, k->name, kind, k->example);
}

static char *setting_where(const struct reader *r, const config_setting_t *s)
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

/* The text of a string setting, or NULL with a problem. */
static const char *get_string(struct reader *r, const config_setting_t *s, const struct key *k,
                              const char *kind)
{
    const char *text;

    if (config_setting_type(s) != CONFIG_TYPE_STRING) {
        wrong_type(r, s, k, kind);
        return NULL;
    }
    text = config_setting_get_string(s);
    if (text == NULL || text[0] == '\0') {
        problem(r, s, "%s%s is empty; write: %s", r->group, k->name, k->example);
        return NULL;
    }
    if (strlen(text) > CONFIG_STRING_MAX_BYTES) {
        problem(r, s, "%s%s is longer than %d bytes; shorten it", r->group, k->name,
                CONFIG_STRING_MAX_BYTES);
        return NULL;
    }
    return text;
}

static void read_string(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    const char *text = get_string(r, s, k, "a string");

    if (text != NULL)
        *(char **)out = mem_strdup(text);
}

/* A normal host name without wildcard, or NULL with a problem. */
static char *get_host(struct reader *r, const config_setting_t *s, const struct key *k)
{
    const char *text = get_string(r, s, k, "a host name");
    char host[HOST_MAX_BYTES + 1];
    struct err e;

    if (text == NULL)
        return NULL;
    if (host_normalize(str_from(text), host, &e) == -1) {
        problem(r, s, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
        return NULL;
    }
    if (host_is_wildcard(str_from(host))) {
        problem(r, s, "%s%s is a name without '*'; write: %s", r->group, k->name, k->example);
        return NULL;
    }
    return mem_strdup(host);
}

static void read_host(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    *(char **)out = get_host(r, s, k);
}

static void read_bool(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        wrong_type(r, s, k, "true or false");
    else
        *(bool *)out = config_setting_get_bool(s) == CONFIG_TRUE;
}

static void read_number(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    long long n;

    /* Never CONFIG_TYPE_INT: config_text_widen() made all of them long. */
    if (config_setting_type(s) != CONFIG_TYPE_INT64) {
        problem(r, s, "%s%s must be a whole number of %s; write: %s", r->group, k->name, k->unit,
                k->example);
        return;
    }
    n = config_setting_get_int64(s);
    if (n < 0 || (uint64_t)n < k->min || (uint64_t)n > k->max)
        problem(r, s, "%s%s is %lld; it must be from %llu to %llu %s", r->group, k->name, n,
                (unsigned long long)k->min, (unsigned long long)k->max, k->unit);
    else
        *(uint64_t *)out = (uint64_t)n;
}

/* The index of the setting's word, or -1 with a problem. */
static int get_word(struct reader *r, const config_setting_t *s, const struct key *k,
                    const char *const *words, size_t count)
{
    const char *text = get_string(r, s, k, "a word");
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
    problem(r, s, "%s%s is \"%s\"; it must be one of %.*s", r->group, k->name, text,
            STR_ARG(buf_str(&known)));
    buf_fini(&known);
    return -1;
}

static void read_log_level(struct reader *r, const config_setting_t *s, const struct key *k,
                           void *out)
{
    static const char *const words[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
    };
    int at = get_word(r, s, k, words, COUNT(words));

    if (at != -1)
        *(enum log_level *)out = (enum log_level)at;
}

static void read_log_format(struct reader *r, const config_setting_t *s, const struct key *k,
                            void *out)
{
    static const char *const words[] = { [LOG_TEXT] = "text", [LOG_JSON] = "json" };
    int at = get_word(r, s, k, words, COUNT(words));

    if (at != -1)
        *(enum log_format *)out = (enum log_format)at;
}

/* ---- readers of lists and groups ------------------------------------------------------- */

/* The number of entries of an array or list, 0 with a problem when it is neither or too long. */
static unsigned list_length(struct reader *r, const config_setting_t *s, const struct key *k,
                            const char *kind)
{
    int type = config_setting_type(s);
    unsigned n;

    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        wrong_type(r, s, k, kind);
        return 0;
    }
    n = (unsigned)config_setting_length(s);
    if (n > k->max) {
        problem(r, s, "%s%s has %u entries; at most %llu are allowed", r->group, k->name, n,
                (unsigned long long)k->max);
        return 0;
    }
    return n;
}

static void read_strings(struct reader *r, const config_setting_t *s, const struct key *k,
                         void *out)
{
    struct config_strings *list = out;
    unsigned n = list_length(r, s, k, "a list of strings");

    list->items = mem_zalloc_array(n, sizeof(*list->items));
    for (unsigned i = 0; i < n; i++) {
        const char *text = get_string(r, config_setting_get_elem(s, i), k, "a list of strings");

        if (text != NULL)
            list->items[list->count++] = mem_strdup(text);
    }
}

static void read_hosts(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    struct config_strings *list = out;
    unsigned n = list_length(r, s, k, "a list of host names");

    list->items = mem_zalloc_array(n, sizeof(*list->items));
    for (unsigned i = 0; i < n; i++) {
        char *host = get_host(r, config_setting_get_elem(s, i), k);

        if (host != NULL)
            list->items[list->count++] = host;
    }
}

/* True if a listener for `a` was read before. Port 0 is a different port each time. */
static bool is_listener_taken(const struct config *c, const struct addr *a)
{
    const struct config_listen *const all[] = { &c->ssh, &c->http, &c->https, &c->admin };

    for (size_t i = 0; a->port != 0 && i < COUNT(all); i++) {
        for (size_t j = 0; j < all[i]->count; j++) {
            if (all[i]->addrs[j].port == a->port && addr_ip_equal(&all[i]->addrs[j], a))
                return true;
        }
    }
    return false;
}

static void read_listen(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    struct config_listen *list = out;
    unsigned n = list_length(r, s, k, "a list of \"address:port\"");

    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        const char *text = get_string(r, item, k, "a list of \"address:port\"");
        struct addr a;
        struct err e;

        if (text == NULL)
            continue;
        if (addr_parse(str_from(text), &a, &e) == -1)
            problem(r, item, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
        else if (is_listener_taken(r->c, &a))
            problem(r, item, "%s%s: %s is listened on twice; remove one of the two", r->group,
                    k->name, text);
        else
            list->addrs[list->count++] = a;
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
        problem(r, s, "%s%s is not a key; did you mean %s%s?", r->group, name, r->group, best);
    else
        problem(r, s, "%s%s is not a key; remove it (sallyport.cfg(5) lists all)", r->group, name);
}

/* Reads the members of a group into `base`, by the rows of `keys`. */
static void read_members(struct reader *r, const config_setting_t *group, const struct key *keys,
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
            problem(r, group, "%s%s is missing; add: %s", r->group, keys[i].name, keys[i].example);
    }
}

/* Groups of the file are not groups of struct config: members count from its start, where `out` is. */
static void read_group(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    const char *outer = r->group;
    char prefix[64];

    if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
        wrong_type(r, s, k, "a group");
        return;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s.", k->name);
    r->group = prefix;
    read_members(r, s, k->members, k->member_count, out);
    r->group = outer;
}

/* Reads entry `s` of a list of groups into `entry`. Returns true if it was without a problem. */
static bool read_entry(struct reader *r, const config_setting_t *s, const struct key *k,
                       void *entry)
{
    const char *outer = r->group;
    size_t before = r->problem_count;
    char prefix[64];

    if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
        wrong_type(r, s, k, "a list of groups");
        return false;
    }
    (void)snprintf(prefix, sizeof(prefix), "%s%s.", outer, k->name);
    r->group = prefix;
    read_members(r, s, k->members, k->member_count, entry);
    r->group = outer;
    return r->problem_count == before;
}

static void read_domains(struct reader *r, const config_setting_t *s, const struct key *k,
                         void *out)
{
    struct config *c = r->c;
    unsigned n = list_length(r, s, k, "a list of groups");

    (void)out;
    c->domains = mem_zalloc_array(n, sizeof(*c->domains));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_domain *d = &c->domains[c->domain_count++];

        if (read_entry(r, item, k, d))
            d->where = setting_where(r, item);
    }
}

static void read_certificates(struct reader *r, const config_setting_t *s, const struct key *k,
                              void *out)
{
    struct config *c = r->c;
    unsigned n = list_length(r, s, k, "a list of groups");

    (void)out;
    c->certificates = mem_zalloc_array(n, sizeof(*c->certificates));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_certificate *cert = &c->certificates[c->certificate_count++];

        if (read_entry(r, item, k, cert))
            cert->where = setting_where(r, item);
    }
}

/* ---- the keys -------------------------------------------------------------------------- */

/* clang-format off */
#define AT(member) .offset = offsetof(struct config, member)
#define MEMBERS(table) .members = (table), .member_count = COUNT(table)

static const struct key listen_keys[] = {
    { .name = "ssh", .read = read_listen, AT(ssh), .max = CONFIG_LISTEN_MAX, .example = "ssh = [ \"0.0.0.0:22\" ];" },
    { .name = "http", .read = read_listen, AT(http), .max = CONFIG_LISTEN_MAX, .example = "http = [ \"0.0.0.0:80\" ];" },
    { .name = "https", .read = read_listen, AT(https), .max = CONFIG_LISTEN_MAX, .example = "https = [ \"0.0.0.0:443\" ];" },
    { .name = "admin", .read = read_listen, AT(admin), .max = CONFIG_LISTEN_MAX, .example = "admin = [ \"127.0.0.1:4040\" ];" },
};

static const struct key certificate_keys[] = {
    { .name = "cert", .read = read_string, .offset = offsetof(struct config_certificate, cert), .required = true, .example = "cert = \"/etc/sallyport/example.com.crt\";" },
    { .name = "key", .read = read_string, .offset = offsetof(struct config_certificate, key), .required = true, .example = "key = \"/etc/sallyport/example.com.key\";" },
};

static const struct key tls_keys[] = {
    { .name = "certificates", .read = read_certificates, .max = CONFIG_CERTIFICATES_MAX, MEMBERS(certificate_keys), .example = "certificates = ( { cert = \"...\"; key = \"...\"; } );" },
};

static const struct key domain_keys[] = {
    { .name = "name", .read = read_string, .offset = offsetof(struct config_domain, name), .required = true, .example = "name = \"app.example.com\";" },
    { .name = "account", .read = read_string, .offset = offsetof(struct config_domain, account), .required = true, .example = "account = \"alice\";" },
};

static const struct key log_keys[] = {
    { .name = "level", .read = read_log_level, AT(log_level), .example = "level = \"info\";" },
    { .name = "format", .read = read_log_format, AT(log_format), .example = "format = \"text\";" },
};

static const struct key compat_keys[] = {
    { .name = "ngrok_error_header", .read = read_bool, AT(ngrok_error_header), .example = "ngrok_error_header = true;" },
};

static const struct key limit_keys[] = {
#define LIMIT(id, units, low, high, preset, text) { .name = #id, .read = read_number, AT(id), .min = (low), .max = (high), .unit = units, .example = #id " = " #preset ";" },
#include "gateway/config.def"
#undef LIMIT
};

static const struct key root_keys[] = {
    { .name = "state_dir", .read = read_string, AT(state_dir), .required = true, .example = "state_dir = \"/var/lib/sallyport\";" },
    { .name = "domain", .read = read_host, AT(domain), .required = true, .example = "domain = \"example.com\";" },
    { .name = "extra_suffixes", .read = read_hosts, AT(extra_suffixes), .max = CONFIG_STRINGS_MAX, .example = "extra_suffixes = [ \"lan\" ];" },
    { .name = "auto_reserve", .read = read_bool, AT(auto_reserve), .example = "auto_reserve = true;" },
    { .name = "domains", .read = read_domains, .max = CONFIG_DOMAINS_MAX, MEMBERS(domain_keys), .example = "domains = ( { name = \"app.example.com\"; account = \"alice\"; } );" },
    { .name = "listen", .read = read_group, .required = true, MEMBERS(listen_keys), .example = "listen = { ssh = [ \"0.0.0.0:22\" ]; https = [ \"0.0.0.0:443\" ]; };" },
    { .name = "authorized_keys", .read = read_strings, AT(authorized_keys), .max = CONFIG_STRINGS_MAX, .example = "authorized_keys = [ \"/etc/sallyport/authorized_keys\" ];" },
    { .name = "workers", .read = read_number, AT(workers), .max = CONFIG_WORKERS_MAX, .unit = "threads (0: one a CPU)", .example = "workers = 0;" },
    { .name = "tls", .read = read_group, MEMBERS(tls_keys), .example = "tls = { certificates = ( { cert = \"...\"; key = \"...\"; } ); };" },
    { .name = "log", .read = read_group, MEMBERS(log_keys), .example = "log = { level = \"info\"; format = \"text\"; };" },
    { .name = "allow_no_command", .read = read_bool, AT(allow_no_command), .example = "allow_no_command = false;" },
    { .name = "compat", .read = read_group, MEMBERS(compat_keys), .example = "compat = { ngrok_error_header = true; };" },
    { .name = "limits", .read = read_group, MEMBERS(limit_keys), .example = "limits = { hold_ms = 60000; };" },
};
/* clang-format on */

/* ---- the whole ------------------------------------------------------------------------- */

static struct config *config_new(const char *path)
{
    struct config *c = mem_zalloc(sizeof(*c));

    ref_init(&c->ref);
    c->file = mem_strdup(path);
    c->auto_reserve = true;
    c->log_level = LOG_INFO;
    c->log_format = LOG_TEXT;
#define LIMIT(id, units, low, high, preset, text) c->id = (preset);
#include "gateway/config.def"
#undef LIMIT
    return c;
}

static void free_strings(struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i]);
    mem_free(list->items);
}

static void config_free(struct config *c)
{
    mem_free(c->file);
    mem_free(c->state_dir);
    mem_free(c->domain);
    free_strings(&c->extra_suffixes);
    free_strings(&c->authorized_keys);
    for (size_t i = 0; i < c->domain_count; i++) {
        mem_free(c->domains[i].name);
        mem_free(c->domains[i].account);
        mem_free(c->domains[i].where);
    }
    mem_free(c->domains);
    for (size_t i = 0; i < c->certificate_count; i++) {
        mem_free(c->certificates[i].cert);
        mem_free(c->certificates[i].key);
        mem_free(c->certificates[i].where);
    }
    mem_free(c->certificates);
    mem_free(c);
}

/* Listeners are needed on both sides, or nothing can be tunnelled. */
static void check_listeners(struct reader *r, const config_setting_t *root)
{
    const config_setting_t *listen = config_setting_get_member(root, "listen");

    if (listen == NULL || config_setting_type(listen) != CONFIG_TYPE_GROUP)
        return; /* reported already */
    if (config_setting_get_member(listen, "ssh") == NULL)
        problem(r, listen, "listen.ssh is missing; add: ssh = [ \"0.0.0.0:22\" ];");
    else if (config_setting_length(config_setting_get_member(listen, "ssh")) == 0)
        problem(r, listen, "listen.ssh is empty; write: ssh = [ \"0.0.0.0:22\" ];");
    if (config_setting_get_member(listen, "http") == NULL &&
        config_setting_get_member(listen, "https") == NULL)
        problem(r, listen, "listen has neither http nor https; add: https = [ \"0.0.0.0:443\" ];");
    else if (r->problem_count == 0 && r->c->http.count + r->c->https.count == 0)
        problem(r, listen,
                "listen.http and listen.https are empty; write: https = [ \"0.0.0.0:443\" ];");
}

/* Builds the reservations; with a reader, what is wrong with them is reported. */
static struct domains *build_domains(const struct config *c, struct reader *r)
{
    struct domains *set = domains_new(str_from(c->domain), c->auto_reserve);
    struct err e;

    for (size_t i = 0; i < c->domain_count; i++) {
        const struct config_domain *d = &c->domains[i];

        if (domains_add(set, str_from(d->name), str_from(d->account), &e) == 0)
            continue;
        if (r == NULL)
            continue; /* checked when it was read, if for another base domain (config_keep_fixed) */
        r->problem_count++;
        buf_add_fmt(r->problems, "%s: domains: %s; change or remove \"%s\"\n", d->where, e.msg,
                    d->name);
    }
    return set;
}

struct domains *config_domains_new(const struct config *c)
{
    return build_domains(c, NULL);
}

static void read_root(struct reader *r, const config_setting_t *root)
{
    read_members(r, root, root_keys, COUNT(root_keys), r->c);
    check_listeners(r, root);
    if (r->problem_count == 0)
        domains_free(build_domains(r->c, r));
}

struct config *config_parse(const char *path, const char *text, struct buf *problems)
{
    struct reader r = { .path = path, .group = "", .problems = problems };
    struct buf wide;
    unsigned line;
    struct err e;
    config_t tree;

    r.c = config_new(path);
    config_init(&tree);
    buf_init(&wide, CONFIG_TEXT_MAX_BYTES);
    if (config_text_widen(str_from(text), &wide, &line, &e) == -1) {
        file_problem(&r, line, e.msg);
    } else {
        buf_add_char(&wide, '\0');
        if (config_read_string(&tree, buf_str(&wide).p) == CONFIG_TRUE)
            read_root(&r, config_root_setting(&tree));
        else
            file_problem(&r, (unsigned)config_error_line(&tree), config_error_text(&tree));
    }
    buf_fini(&wide);
    config_destroy(&tree);
    if (r.problem_count == 0)
        return r.c;
    config_unref(r.c);
    return NULL;
}

/* Reads fd to its end. Returns 0, or -1 with a reason. */
static int read_all(int fd, struct buf *out, struct err *e)
{
    for (;;) {
        char piece[16 * 1024];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n == 0)
            break;
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return err_set_errno(e, errno, "cannot read it");
        buf_add(out, piece, (size_t)n);
        if (buf_failed(out))
            return err_set(e, E_LIMIT,
                           "it has more than %d bytes, so it is no "
                           "configuration file",
                           CONFIG_FILE_MAX_BYTES);
    }
    if (str_find_char(buf_str(out), '\0') != out->len)
        return err_set(e, E_SYNTAX, "it has a NUL byte, so it is not a text file");
    return 0;
}

struct config *config_load(const char *path, struct buf *problems)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct config *c = NULL;
    struct buf bytes;
    struct err e;
    int rc;

    if (fd == -1) {
        (void)err_set_errno(&e, errno, "cannot open it");
        buf_add_fmt(problems, "%s:1: %s; give the path of a readable file\n", path, e.msg);
        return NULL;
    }
    buf_init(&bytes, CONFIG_FILE_MAX_BYTES);
    rc = read_all(fd, &bytes, &e);
    (void)close(fd); /* only read from */
    if (rc == 0) {
        char *text = str_dup(buf_str(&bytes));

        c = config_parse(path, text, problems);
        mem_free(text);
    } else {
        buf_add_fmt(problems, "%s:1: %s\n", path, e.msg);
    }
    buf_fini(&bytes);
    return c;
}

static bool is_same_listen(const struct config_listen *a, const struct config_listen *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->addrs[i].port != b->addrs[i].port || !addr_ip_equal(&a->addrs[i], &b->addrs[i]))
            return false;
    }
    return true;
}

static bool is_same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

static void copy_strings(struct config_strings *to, const struct config_strings *from)
{
    free_strings(to);
    to->items = mem_zalloc_array(from->count, sizeof(*to->items));
    to->count = from->count;
    for (size_t i = 0; i < from->count; i++)
        to->items[i] = mem_strdup(from->items[i]);
}

static void keep_string(char **to, const char *from, const char *key, config_kept_fn *kept,
                        void *arg)
{
    if (strcmp(*to, from) == 0)
        return;
    mem_free(*to);
    *to = mem_strdup(from);
    kept(arg, key);
}

static void keep_listen(struct config_listen *to, const struct config_listen *from, const char *key,
                        config_kept_fn *kept, void *arg)
{
    if (is_same_listen(to, from))
        return;
    *to = *from;
    kept(arg, key);
}

void config_keep_fixed(struct config *c, const struct config *old, config_kept_fn *kept, void *arg)
{
    keep_string(&c->state_dir, old->state_dir, "state_dir", kept, arg);
    keep_string(&c->domain, old->domain, "domain", kept, arg);
    keep_listen(&c->ssh, &old->ssh, "listen.ssh", kept, arg);
    keep_listen(&c->http, &old->http, "listen.http", kept, arg);
    keep_listen(&c->https, &old->https, "listen.https", kept, arg);
    keep_listen(&c->admin, &old->admin, "listen.admin", kept, arg);
    if (!is_same_strings(&c->extra_suffixes, &old->extra_suffixes)) {
        copy_strings(&c->extra_suffixes, &old->extra_suffixes);
        kept(arg, "extra_suffixes");
    }
    if (c->workers != old->workers) {
        c->workers = old->workers;
        kept(arg, "workers");
    }
}

void config_ref(struct config *c)
{
    ref_inc(&c->ref);
}

void config_unref(struct config *c)
{
    if (c != NULL && ref_dec(&c->ref))
        config_free(c);
}
