/*
 * The keys of the file are rows of tables (config_reader.h), and the rows of config.def need no code
 * of their own. Reading goes on after a problem, so that an operator sees all of them at once; only
 * a syntax error ends it, because libconfig then has no tree to look at.
 */
#include "gateway/config.h"

#include <string.h>

#include <libconfig.h>

#include "base/cidr_set.h"
#include "base/mem.h"
#include "base/str.h"
#include "gateway/config_reader.h"
#include "gateway/config_text.h"
#include "gateway/fetch_rules.h"
#include "gateway/file_read.h"
#include "tunnel/domains.h"

/* A number of one digit gets two, so the text of a file may double. */
enum { CONFIG_TEXT_MAX_BYTES = 2 * CONFIG_FILE_MAX_BYTES + 1 };

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- readers of single keys ------------------------------------------------------------ */

static void read_log_level(struct reader *r, const config_setting_t *s, const struct key *k,
                           void *out)
{
    static const char *const words[] = {
        [LOG_DEBUG] = "debug",
        [LOG_INFO] = "info",
        [LOG_WARN] = "warn",
        [LOG_ERROR] = "error",
    };
    int at = reader_get_word(r, s, k, words, COUNT(words));

    if (at != -1)
        *(enum log_level *)out = (enum log_level)at;
}

static void read_log_format(struct reader *r, const config_setting_t *s, const struct key *k,
                            void *out)
{
    static const char *const words[] = { [LOG_TEXT] = "text", [LOG_JSON] = "json" };
    int at = reader_get_word(r, s, k, words, COUNT(words));

    if (at != -1)
        *(enum log_format *)out = (enum log_format)at;
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
    unsigned n = reader_list_length(r, s, k, "a list of \"address:port\"");

    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        const char *text = reader_get_string(r, item, k, "a list of \"address:port\"");
        struct addr a;
        struct err e;

        if (text == NULL)
            continue;
        if (addr_parse(str_from(text), &a, &e) == -1)
            reader_problem(r, item, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
        else if (is_listener_taken(r->c, &a))
            reader_problem(r, item, "%s%s: %s is listened on twice; remove one of the two",
                           r->group, k->name, text);
        else
            list->addrs[list->count++] = a;
    }
}

static void read_domains(struct reader *r, const config_setting_t *s, const struct key *k,
                         void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->domains = mem_zalloc_array(n, sizeof(*c->domains));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_domain *d = &c->domains[c->domain_count++];

        if (reader_entry(r, item, k, d))
            d->where = reader_where(r, item);
    }
}

static void read_certificates(struct reader *r, const config_setting_t *s, const struct key *k,
                              void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->certificates = mem_zalloc_array(n, sizeof(*c->certificates));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_certificate *cert = &c->certificates[c->certificate_count++];

        if (reader_entry(r, item, k, cert))
            cert->where = reader_where(r, item);
    }
}

/* "https://host" or "http://host:port", and nothing behind it (spec api.md 1.1). */
static void read_api_url(struct reader *r, const config_setting_t *s, const struct key *k,
                         void *out)
{
    const char *text = reader_get_string(r, s, k, "a string");
    struct str rest;
    size_t scheme;

    if (text == NULL)
        return;
    scheme = str_starts(str_from(text), STR("https://"))  ? sizeof("https://") - 1
             : str_starts(str_from(text), STR("http://")) ? sizeof("http://") - 1
                                                          : 0;
    rest = str_skip(str_from(text), scheme);
    if (scheme == 0 || rest.n == 0 || str_find_char(rest, '/') < rest.n)
        reader_problem(r, s, "%s%s: \"%s\" is not scheme, host and port alone; write: %s", r->group,
                       k->name, text, k->example);
    else
        *(char **)out = mem_strdup(text);
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

static const struct key proxy_protocol_keys[] = {
    { .name = "ssh", .read = config_read_cidr_set, AT(ssh_balancers), .max = CONFIG_PROXIES_MAX, .example = "ssh = [ \"10.0.0.0/8\" ];" },
    { .name = "http", .read = config_read_cidr_set, AT(http_balancers), .max = CONFIG_PROXIES_MAX, .example = "http = [ \"10.0.0.0/8\" ];" },
    { .name = "https", .read = config_read_cidr_set, AT(https_balancers), .max = CONFIG_PROXIES_MAX, .example = "https = [ \"10.0.0.0/8\" ];" },
    { .name = "tcp", .read = config_read_cidr_set, AT(tcp_balancers), .max = CONFIG_PROXIES_MAX, .example = "tcp = [ \"10.0.0.0/8\" ];" },
};

static const struct key tcp_keys[] = {
    { .name = "host", .read = reader_host, AT(tcp.host), .example = "host = \"tcp.example.com\";" },
    { .name = "ports", .read = config_read_ports, AT(tcp.ports), .example = "ports = \"30000-39999\";" },
    { .name = "fixed_ports", .read = config_read_ports, AT(tcp.fixed_ports), .example = "fixed_ports = \"20000-29999\";" },
    { .name = "listen", .read = config_read_addresses, AT(tcp.listen), .max = CONFIG_LISTEN_MAX, .example = "listen = [ \"0.0.0.0\", \"::\" ];" },
};

static const struct key certificate_keys[] = {
    { .name = "cert", .read = reader_string, .offset = offsetof(struct config_certificate, cert), .required = true, .example = "cert = \"/etc/sallyport/example.com.crt\";" },
    { .name = "key", .read = reader_string, .offset = offsetof(struct config_certificate, key), .required = true, .example = "key = \"/etc/sallyport/example.com.key\";" },
};

static const struct key tls_keys[] = {
    { .name = "certificates", .read = read_certificates, .max = CONFIG_CERTIFICATES_MAX, MEMBERS(certificate_keys), .example = "certificates = ( { cert = \"...\"; key = \"...\"; } );" },
};

static const struct key domain_keys[] = {
    { .name = "name", .read = reader_string, .offset = offsetof(struct config_domain, name), .required = true, .example = "name = \"app.example.com\";" },
    { .name = "account", .read = reader_string, .offset = offsetof(struct config_domain, account), .required = true, .example = "account = \"alice\";" },
};

static const struct key log_keys[] = {
    { .name = "level", .read = read_log_level, AT(log_level), .example = "level = \"info\";" },
    { .name = "format", .read = read_log_format, AT(log_format), .example = "format = \"text\";" },
};

static const struct key compat_keys[] = {
    { .name = "ngrok_error_header", .read = reader_bool, AT(ngrok_error_header), .example = "ngrok_error_header = true;" },
};

static const struct key api_keys[] = {
    { .name = "url", .read = read_api_url, AT(api_url), .example = "url = \"https://api.example.com\";" },
    { .name = "public", .read = reader_bool, AT(api_public), .example = "public = true;" },
    { .name = "origins", .read = reader_strings, AT(api_origins), .max = CONFIG_STRINGS_MAX, .example = "origins = [ \"https://console.example.com\" ];" },
    { .name = "private_event_destinations", .read = reader_bool, AT(api_private_destinations), .example = "private_event_destinations = true;" },
};

static const struct key http_request_keys[] = {
    { .name = "allow", .read = config_read_fetch_allow, .max = CONFIG_STRINGS_MAX, .example = "allow = [ \"api.example.com\", \"10.0.0.0/8\" ];" },
};

static const struct key ip_policy_keys[] = {
    { .name = "name", .read = reader_string, .offset = offsetof(struct config_ip_policy, name), .required = true, .example = "name = \"office\";" },
    { .name = "allow", .read = config_read_cidrs, .offset = offsetof(struct config_ip_policy, allow), .max = CONFIG_IP_RULES_MAX, .example = "allow = [ \"203.0.113.0/24\" ];" },
    { .name = "deny", .read = config_read_cidrs, .offset = offsetof(struct config_ip_policy, deny), .max = CONFIG_IP_RULES_MAX, .example = "deny = [ \"203.0.113.7/32\" ];" },
};

static const struct key geo_keys[] = {
    { .name = "databases", .read = reader_strings, AT(geo_databases), .max = CONFIG_GEO_MAX, .example = "databases = [ \"/var/lib/GeoIP/GeoLite2-City.mmdb\" ];" },
};

static const struct key policy_keys[] = {
    { .name = "account", .read = reader_string, .offset = offsetof(struct config_policy, account), .example = "account = \"alice\";" },
    { .name = "domain", .read = config_read_pattern, .offset = offsetof(struct config_policy, domain), .example = "domain = \"*.example.com\";" },
    { .name = "file", .read = reader_string, .offset = offsetof(struct config_policy, file), .required = true, .example = "file = \"/etc/sallyport/policy.yml\";" },
};

static const struct key limit_keys[] = {
#define LIMIT(id, units, low, high, preset, text) { .name = #id, .read = reader_number, AT(id), .min = (low), .max = (high), .unit = units, .example = #id " = " #preset ";" },
#include "gateway/config.def"
#undef LIMIT
};

static const struct key root_keys[] = {
    { .name = "state_dir", .read = reader_string, AT(state_dir), .required = true, .example = "state_dir = \"/var/lib/sallyport\";" },
    { .name = "domain", .read = reader_host, AT(domain), .required = true, .example = "domain = \"example.com\";" },
    { .name = "extra_suffixes", .read = reader_hosts, AT(extra_suffixes), .max = CONFIG_STRINGS_MAX, .example = "extra_suffixes = [ \"lan\" ];" },
    { .name = "auto_reserve", .read = reader_bool, AT(auto_reserve), .example = "auto_reserve = true;" },
    { .name = "domains", .read = read_domains, .max = CONFIG_DOMAINS_MAX, MEMBERS(domain_keys), .example = "domains = ( { name = \"app.example.com\"; account = \"alice\"; } );" },
    { .name = "listen", .read = reader_group, .required = true, MEMBERS(listen_keys), .example = "listen = { ssh = [ \"0.0.0.0:22\" ]; https = [ \"0.0.0.0:443\" ]; };" },
    { .name = "proxy_protocol", .read = reader_group, MEMBERS(proxy_protocol_keys), .example = "proxy_protocol = { https = [ \"10.0.0.0/8\" ]; };" },
    { .name = "tcp", .read = reader_group, MEMBERS(tcp_keys), .example = "tcp = { ports = \"30000-39999\"; };" },
    { .name = "trusted_proxies", .read = config_read_cidr_set, AT(trusted_proxies), .max = CONFIG_PROXIES_MAX, .example = "trusted_proxies = [ \"10.0.0.0/8\" ];" },
    { .name = "authorized_keys", .read = reader_strings, AT(authorized_keys), .max = CONFIG_STRINGS_MAX, .example = "authorized_keys = [ \"/etc/sallyport/authorized_keys\" ];" },
    { .name = "workers", .read = reader_number, AT(workers), .max = CONFIG_WORKERS_MAX, .unit = "threads (0: one a CPU)", .example = "workers = 0;" },
    { .name = "tls", .read = reader_group, MEMBERS(tls_keys), .example = "tls = { certificates = ( { cert = \"...\"; key = \"...\"; } ); };" },
    { .name = "log", .read = reader_group, MEMBERS(log_keys), .example = "log = { level = \"info\"; format = \"text\"; };" },
    { .name = "allow_no_command", .read = reader_bool, AT(allow_no_command), .example = "allow_no_command = false;" },
    { .name = "api", .read = reader_group, MEMBERS(api_keys), .example = "api = { url = \"https://api.example.com\"; };" },
    { .name = "compat", .read = reader_group, MEMBERS(compat_keys), .example = "compat = { ngrok_error_header = true; };" },
    { .name = "server_region", .read = reader_string, AT(server_region), .example = "server_region = \"local\";" },
    { .name = "expression_errors", .read = config_read_expression_errors, AT(expression_errors), .example = "expression_errors = \"error\";" },
    { .name = "http_request", .read = reader_group, MEMBERS(http_request_keys), .example = "http_request = { allow = [ \"api.example.com\" ]; };" },
    { .name = "vaults", .read = reader_string, AT(vaults), .example = "vaults = \"/etc/sallyport/vaults\";" },
    { .name = "ip_policies", .read = config_read_ip_policies, .max = CONFIG_IP_POLICIES_MAX, MEMBERS(ip_policy_keys), .example = "ip_policies = ( { name = \"office\"; allow = [ \"203.0.113.0/24\" ]; } );" },
    { .name = "geo", .read = reader_group, MEMBERS(geo_keys), .example = "geo = { databases = [ \"/var/lib/GeoIP/GeoLite2-City.mmdb\" ]; };" },
    { .name = "ip_categories", .read = reader_string, AT(ip_categories), .example = "ip_categories = \"/etc/sallyport/ip_categories\";" },
    { .name = "policies", .read = config_read_policies, .max = CONFIG_POLICIES_MAX, MEMBERS(policy_keys), .example = "policies = ( { account = \"alice\"; file = \"/etc/sallyport/policy.yml\"; } );" },
    { .name = "events", .read = reader_group, .members = config_event_keys, .member_count = CONFIG_EVENT_KEYS, .example = "events = { destinations = ( ... ); subscriptions = ( ... ); };" },
    { .name = "limits", .read = reader_group, MEMBERS(limit_keys), .example = "limits = { hold_ms = 60000; };" },
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
    c->fetch_rules = fetch_rules_new();
    c->tcp.listen = (struct config_listen){ .addrs = { { .family = 4 } }, .count = 1 };
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
    mem_free(c->tcp.host);
    free_strings(&c->extra_suffixes);
    cidr_set_unref(c->ssh_balancers);
    cidr_set_unref(c->http_balancers);
    cidr_set_unref(c->https_balancers);
    cidr_set_unref(c->tcp_balancers);
    cidr_set_unref(c->trusted_proxies);
    free_strings(&c->authorized_keys);
    mem_free(c->api_url);
    free_strings(&c->api_origins);
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
    config_policy_fini(c);
    config_events_fini(c);
    mem_free(c);
}

/* Listeners are needed on both sides, or nothing can be tunnelled. */
static void check_listeners(struct reader *r, const config_setting_t *root)
{
    const config_setting_t *listen = config_setting_get_member(root, "listen");

    if (listen == NULL || config_setting_type(listen) != CONFIG_TYPE_GROUP)
        return; /* reported already */
    if (config_setting_get_member(listen, "ssh") == NULL)
        reader_problem(r, listen, "listen.ssh is missing; add: ssh = [ \"0.0.0.0:22\" ];");
    else if (config_setting_length(config_setting_get_member(listen, "ssh")) == 0)
        reader_problem(r, listen, "listen.ssh is empty; write: ssh = [ \"0.0.0.0:22\" ];");
    if (config_setting_get_member(listen, "http") == NULL &&
        config_setting_get_member(listen, "https") == NULL)
        reader_problem(r, listen,
                       "listen has neither http nor https; add: https = [ \"0.0.0.0:443\" ];");
    else if (r->problem_count == 0 && r->c->http.count + r->c->https.count == 0)
        reader_problem(
            r, listen,
            "listen.http and listen.https are empty; write: https = [ \"0.0.0.0:443\" ];");
}

/* What is served at a name needs one. */
static void check_api(struct reader *r, const config_setting_t *root)
{
    const config_setting_t *at = config_lookup(root->config, "api.public");

    if (r->c->api_public && r->c->api_url == NULL)
        reader_problem(r, at,
                       "api.public needs the name that it is served at; add: url = "
                       "\"https://api.example.com\";");
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
    reader_members(r, root, root_keys, COUNT(root_keys), r->c);
    config_finish_policies(r);
    config_finish_events(r);
    config_finish_tcp(r, root);
    check_listeners(r, root);
    check_api(r, root);
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
        reader_file_problem(&r, line, e.msg);
    } else {
        buf_add_char(&wide, '\0');
        if (config_read_string(&tree, buf_str(&wide).p) == CONFIG_TRUE)
            read_root(&r, config_root_setting(&tree));
        else
            reader_file_problem(&r, (unsigned)config_error_line(&tree), config_error_text(&tree));
    }
    buf_fini(&wide);
    config_destroy(&tree);
    if (r.problem_count == 0)
        return r.c;
    config_unref(r.c);
    return NULL;
}

static int read_text(const char *path, struct buf *out, struct err *e)
{
    if (file_read(path, out, e) == -1) {
        if (e->code == E_LIMIT)
            (void)err_set(e, E_LIMIT, "it has more than %d bytes, so it is no configuration file",
                          CONFIG_FILE_MAX_BYTES);
        return -1;
    }
    if (str_find_char(buf_str(out), '\0') != out->len)
        return err_set(e, E_SYNTAX, "it has a NUL byte, so it is not a text file");
    return 0;
}

struct config *config_load(const char *path, struct buf *problems)
{
    struct config *c = NULL;
    struct buf bytes;
    struct err e;

    buf_init(&bytes, CONFIG_FILE_MAX_BYTES);
    if (read_text(path, &bytes, &e) == 0) {
        char *text = str_dup(buf_str(&bytes));

        c = config_parse(path, text, problems);
        mem_free(text);
    } else {
        buf_add_fmt(problems, "%s:1: %s%s\n", path, e.msg,
                    e.code == E_SYSTEM ? "; give the path of a readable file" : "");
    }
    buf_fini(&bytes);
    return c;
}

const struct cidr_set *config_balancers(const struct config *c, enum scheme listener)
{
    switch (listener) {
    case SCHEME_HTTP:
        return c->http_balancers;
    case SCHEME_HTTPS:
    case SCHEME_TLS:
        return c->https_balancers;
    case SCHEME_TCP:
        return c->tcp_balancers;
    }
    return NULL;
}

struct policy_limits config_policy_limits(const struct config *c)
{
    return (struct policy_limits){
#define LIMIT(name, unit, min, max, preset, text) .name = c->name,
#include "policy/limits.def"
#undef LIMIT
    };
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

static void keep_ports(struct config_ports *to, const struct config_ports *from, const char *key,
                       config_kept_fn *kept, void *arg)
{
    if (to->first == from->first && to->last == from->last)
        return;
    *to = *from;
    kept(arg, key);
}

/* A host that is only the base domain is not named: the domain is. */
static void keep_tcp(struct config *c, const struct config *old, config_kept_fn *kept, void *arg)
{
    if (strcmp(c->tcp.host, c->domain) == 0 && strcmp(old->tcp.host, old->domain) == 0) {
        mem_free(c->tcp.host);
        c->tcp.host = mem_strdup(old->tcp.host);
    }
    keep_string(&c->tcp.host, old->tcp.host, "tcp.host", kept, arg);
    keep_ports(&c->tcp.ports, &old->tcp.ports, "tcp.ports", kept, arg);
    keep_ports(&c->tcp.fixed_ports, &old->tcp.fixed_ports, "tcp.fixed_ports", kept, arg);
    keep_listen(&c->tcp.listen, &old->tcp.listen, "tcp.listen", kept, arg);
}

/* A string that may be unset. */
static void keep_optional(char **field, const char *old, const char *key, config_kept_fn *kept,
                          void *arg)
{
    bool same = *field == NULL || old == NULL ? *field == old : strcmp(*field, old) == 0;

    if (same)
        return;
    mem_free(*field);
    *field = old != NULL ? mem_strdup(old) : NULL;
    kept(arg, key);
}

static void keep_number(uint64_t *field, uint64_t old, const char *key, config_kept_fn *kept,
                        void *arg)
{
    if (*field == old)
        return;
    *field = old;
    kept(arg, key);
}

static void keep_bool(bool *field, bool old, const char *key, config_kept_fn *kept, void *arg)
{
    if (*field == old)
        return;
    *field = old;
    kept(arg, key);
}

static void keep_api(struct config *c, const struct config *old, config_kept_fn *kept, void *arg)
{
    keep_optional(&c->api_url, old->api_url, "api.url", kept, arg);
    if (!is_same_strings(&c->api_origins, &old->api_origins)) {
        copy_strings(&c->api_origins, &old->api_origins);
        kept(arg, "api.origins");
    }
    keep_bool(&c->api_public, old->api_public, "api.public", kept, arg);
    keep_bool(&c->api_private_destinations, old->api_private_destinations,
              "api.private_event_destinations", kept, arg);
    keep_number(&c->api_threads, old->api_threads, "limits.api_threads", kept, arg);
    keep_number(&c->api_calls_max, old->api_calls_max, "limits.api_calls_max", kept, arg);
    keep_number(&c->api_requests_per_minute, old->api_requests_per_minute,
                "limits.api_requests_per_minute", kept, arg);
    keep_number(&c->api_objects_max, old->api_objects_max, "limits.api_objects_max", kept, arg);
    keep_number(&c->api_event_objects_max, old->api_event_objects_max,
                "limits.api_event_objects_max", kept, arg);
    keep_number(&c->api_event_queue_max, old->api_event_queue_max, "limits.api_event_queue_max",
                kept, arg);
}

void config_keep_fixed(struct config *c, const struct config *old, config_kept_fn *kept, void *arg)
{
    keep_string(&c->state_dir, old->state_dir, "state_dir", kept, arg);
    keep_tcp(c, old, kept, arg);
    keep_string(&c->domain, old->domain, "domain", kept, arg);
    keep_listen(&c->ssh, &old->ssh, "listen.ssh", kept, arg);
    keep_listen(&c->http, &old->http, "listen.http", kept, arg);
    keep_listen(&c->https, &old->https, "listen.https", kept, arg);
    keep_listen(&c->admin, &old->admin, "listen.admin", kept, arg);
    if (!is_same_strings(&c->extra_suffixes, &old->extra_suffixes)) {
        copy_strings(&c->extra_suffixes, &old->extra_suffixes);
        kept(arg, "extra_suffixes");
    }
    keep_api(c, old, kept, arg);
    keep_number(&c->policy_threads, old->policy_threads, "limits.policy_threads", kept, arg);
    keep_number(&c->metrics_endpoints_max, old->metrics_endpoints_max,
                "limits.metrics_endpoints_max", kept, arg);
    keep_number(&c->workers, old->workers, "workers", kept, arg);
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
