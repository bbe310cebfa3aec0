/*
 * Every way to ask for an endpoint (--url, the REMOTE of -R) first becomes a struct ask, and one
 * function, complete(), turns that into a url. So the rules of the spec's section 2.3 stand once,
 * and a name that comes by -R is checked exactly like one that comes by --url.
 */
#include "tunnel/url.h"

#include <stdio.h>

#include "base/addr.h"
#include "tunnel/url_int.h"

/* What is wanted, before defaults and checks. */
struct ask {
    enum scheme scheme;
    bool has_port;
    uint32_t port;   /* up to URL_PORT_TOO_LARGE */
    struct str host; /* as written; empty: random */
};

static const struct str internal_domain = STR_INIT("internal");

static const struct {
    const char *name;
    uint16_t port;
} schemes[SCHEME_COUNT] = {
    [SCHEME_HTTP] = { "http", 80 },
    [SCHEME_HTTPS] = { "https", 443 },
    [SCHEME_TCP] = { "tcp", 0 },
    [SCHEME_TLS] = { "tls", 443 },
};

static const char *const bindings[] = {
    [BINDING_UNSET] = "",
    [BINDING_PUBLIC] = "public",
    [BINDING_INTERNAL] = "internal",
};

static const struct {
    const char *name;
    enum scheme preset;
    unsigned allowed;
    const char *forward_ports; /* of a public endpoint, for messages */
} commands[] = {
    [URL_COMMAND_HTTP] = { "http", SCHEME_HTTPS, SCHEME_BIT(SCHEME_HTTP) | SCHEME_BIT(SCHEME_HTTPS),
                           "443 or 80" },
    [URL_COMMAND_TCP] = { "tcp", SCHEME_TCP, SCHEME_BIT(SCHEME_TCP), "the reserved port" },
    [URL_COMMAND_TLS] = { "tls", SCHEME_TLS, SCHEME_BIT(SCHEME_TLS), "443" },
    [URL_COMMAND_CLOUD] = { "cloud", SCHEME_HTTPS,
                            SCHEME_BIT(SCHEME_HTTP) | SCHEME_BIT(SCHEME_HTTPS) |
                                SCHEME_BIT(SCHEME_TCP) | SCHEME_BIT(SCHEME_TLS),
                            "443 or 80" },
};

const char *scheme_name(enum scheme s)
{
    return schemes[s].name;
}

const char *binding_name(enum binding binding)
{
    return bindings[binding];
}

int binding_parse(struct str word, enum binding *out, struct err *e)
{
    for (unsigned i = BINDING_PUBLIC; i <= BINDING_INTERNAL; i++) {
        if (str_eq(word, str_from(bindings[i]))) {
            *out = (enum binding)i;
            return 0;
        }
    }
    return err_set(e, E_BINDING, "'%.*s' is no binding here; give public or internal",
                   STR_ARG(str_slice(word, 0, 32)));
}

uint16_t scheme_default_port(enum scheme s)
{
    return schemes[s].port;
}

const char *url_command_name(enum url_command command)
{
    return commands[command].name;
}

/* ---- cutting ---- */

/* Index of the first byte that ends the authority, or s.n. */
static size_t find_authority_end(struct str s)
{
    size_t i = 0;

    while (i < s.n && s.p[i] != '/' && s.p[i] != '?' && s.p[i] != '#')
        i++;
    return i;
}

/* Refuses what stands behind the authority; `url` is the input up to there. */
static int refuse_tail(struct str url, struct str tail, struct err *e)
{
    const char *part = tail.p[0] == '/' ? "path" : tail.p[0] == '?' ? "query" : "fragment";

    if (str_eq(tail, STR("/")))
        return err_set(e, E_URL_SLASH, "remove the trailing slash: %.*s", STR_ARG(url));
    return err_set(e, E_URL_PART,
                   "the URL has a %s, which is not allowed; end it behind the host "
                   "and port",
                   part);
}

static int split_authority(struct str s, struct url_parts *out, struct err *e)
{
    size_t end = s.n > 0 && s.p[0] == '[' ? str_find_char(s, ']') : 0;
    size_t colon = end + str_find_char(str_skip(s, end), ':');

    if (end > 0 && (end == s.n || (end + 1 != s.n && end + 1 != colon)))
        return err_set(e, E_HOST_SYNTAX, "'%.*s' cannot be read as [address]:port", STR_ARG(s));
    out->host = str_slice(s, 0, colon);
    out->has_port = colon != s.n;
    out->port = str_skip(s, colon + 1);
    if (str_find_char(out->port, ':') != out->port.n)
        return err_set(e, E_HOST_SYNTAX,
                       "'%.*s' has more than one ':'; write host:port, or an IPv6 address in []",
                       STR_ARG(s));
    return 0;
}

int url_split(struct str s, struct url_parts *out, struct err *e)
{
    size_t mark = str_find(s, STR("://"));
    struct str rest = s;
    size_t end;

    *out = (struct url_parts){ 0 };
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return err_set(e, E_URL_SYNTAX,
                           "malformed URL: it contains a space or a control character");
    }
    /* A "://" behind the first '/' belongs to a path or query. */
    if (mark < s.n && find_authority_end(s) == mark + 1) {
        if (mark == 0)
            return err_set(e, E_URL_SYNTAX, "malformed URL: nothing stands in front of '://'");
        out->has_scheme = true;
        out->scheme = str_slice(s, 0, mark);
        rest = str_skip(s, mark + 3);
    }
    end = find_authority_end(rest);
    /* Never echo this part: it may hold a password. */
    if (str_find_char(str_slice(rest, 0, end), '@') != end)
        return err_set(e, E_URL_PART,
                       "the URL has userinfo (in front of '@'), which is not "
                       "allowed; for a password use --basic-auth");
    if (end != rest.n)
        return refuse_tail(str_slice(s, 0, s.n - (rest.n - end)), str_skip(rest, end), e);
    return split_authority(rest, out, e);
}

static int refuse_scheme(struct str name, unsigned allowed, enum url_command command, struct err *e)
{
    char list[32];
    size_t n = 0;

    for (unsigned i = 0; i < SCHEME_COUNT; i++) {
        if ((allowed & SCHEME_BIT(i)) != 0)
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "",
                                  schemes[i].name);
    }
    if (command == URL_COMMAND_CLOUD)
        return err_set(e, E_CLOUD_SCHEME, "the scheme '%.*s' is not allowed; allowed: %s",
                       STR_ARG(str_slice(name, 0, 32)), list);
    return err_set(e, E_SCHEME, "the scheme '%.*s' is not allowed with the command %s; allowed: %s",
                   STR_ARG(str_slice(name, 0, 32)), commands[command].name, list);
}

int url_find_scheme(struct str name, unsigned allowed, enum url_command command, enum scheme *out,
                    struct err *e)
{
    for (unsigned i = 0; i < SCHEME_COUNT; i++) {
        if ((allowed & SCHEME_BIT(i)) != 0 && str_eq_nocase(name, str_from(schemes[i].name))) {
            *out = (enum scheme)i;
            return 0;
        }
    }
    return refuse_scheme(name, allowed, command, e);
}

int url_read_port(struct str s, uint32_t *out, struct err *e)
{
    uint64_t value = URL_PORT_TOO_LARGE;

    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_digit(s.p[i]))
            return err_set(e, E_PORT_SYNTAX, "the port '%.*s' is not a number",
                           STR_ARG(str_slice(s, 0, 32)));
    }
    if (s.n == 0)
        return err_set(e, E_PORT_SYNTAX, "there is no port behind the ':'; add one or remove it");
    /* What does not fit stays "too large", and is refused where the range is checked. */
    (void)str_to_u64(s, UINT16_MAX, &value);
    *out = (uint32_t)value;
    return 0;
}

/* ---- completing ---- */

static int resolve_binding(struct url *u, enum binding wanted, struct err *e)
{
    struct str host = str_from(u->host);
    bool internal_name = host_is_below_or_equal(host, internal_domain);

    u->binding = wanted;
    if (wanted == BINDING_UNSET)
        u->binding = internal_name ? BINDING_INTERNAL : BINDING_PUBLIC;
    if (u->binding == BINDING_PUBLIC) {
        if (internal_name)
            return err_set(e, E_HOST_SUFFIX,
                           "the suffix .internal is never reachable publicly; use another name, or "
                           "the internal binding");
        return 0;
    }
    if (host.n == 0)
        return err_set(e, E_INTERNAL_NO_HOST,
                       "an internal endpoint needs a name; give one, such as NAME.internal");
    if (!host_is_below(host, internal_domain))
        return err_set(e, E_INTERNAL_SUFFIX,
                       "'%s' cannot be internal: the name must be of the form NAME.internal",
                       u->host);
    return 0;
}

static int refuse_missing_port(const struct url *u, const struct url_context *ctx, struct err *e)
{
    enum err_code code =
        ctx->command == URL_COMMAND_CLOUD ? E_CLOUD_NO_PORT : E_URL_SCHEME_HOST_PORT;

    return err_set(e, code, "a tcp URL needs a port: tcp://%s:PORT", u->host);
}

static enum err_code port_code(const struct url_context *ctx)
{
    return ctx->command == URL_COMMAND_CLOUD ? E_CLOUD_PORT : E_PORT_SCHEME;
}

static int refuse_range(const struct url *u, const struct url_context *ctx, struct err *e)
{
    if (u->binding == BINDING_INTERNAL)
        return err_set(e, E_INTERNAL_PORT, "the port is out of range; allowed: 1 to 65535");
    if (u->scheme == SCHEME_TCP)
        return err_set(e, port_code(ctx), "the port is out of range; allowed for tcp: 1 to 65535");
    return err_set(e, port_code(ctx),
                   "the port is out of range; allowed for %s: %u (or leave it out)",
                   scheme_name(u->scheme), (unsigned)scheme_default_port(u->scheme));
}

static int resolve_port(struct url *u, const struct ask *ask, const struct url_context *ctx,
                        struct err *e)
{
    if (!ask->has_port) {
        u->port = scheme_default_port(u->scheme);
        return u->scheme == SCHEME_TCP && u->host[0] != '\0' ? refuse_missing_port(u, ctx, e) : 0;
    }
    if (ask->port == 0 || ask->port > UINT16_MAX)
        return refuse_range(u, ctx, e);
    u->port = (uint16_t)ask->port;
    if (u->scheme == SCHEME_TCP && u->host[0] == '\0')
        return err_set(e, E_URL_SCHEME_HOST_PORT,
                       "port %u needs its reserved address: tcp://ADDRESS:%u, or leave both out",
                       (unsigned)u->port, (unsigned)u->port);
    if (u->binding == BINDING_PUBLIC && u->scheme != SCHEME_TCP &&
        u->port != scheme_default_port(u->scheme))
        return err_set(
            e, port_code(ctx), "port %u is not allowed for %s; allowed: %u (or leave it out)",
            (unsigned)u->port, scheme_name(u->scheme), (unsigned)scheme_default_port(u->scheme));
    return 0;
}

static int check_internal_host(struct str host, struct err *e)
{
    size_t dots = 0;

    for (size_t i = 0; i < host.n; i++)
        dots += host.p[i] == '.';
    if (dots > HOST_INTERNAL_MAX_LABELS)
        return err_set(e, E_INTERNAL_DEPTH,
                       "the name has %zu parts in front of .internal; at most %d are allowed", dots,
                       HOST_INTERNAL_MAX_LABELS);
    return 0;
}

static int check_public_host(struct str host, const struct host_suffixes *suffixes, struct err *e)
{
    struct str base = host_suffixes_base(suffixes);
    struct str suffix;

    if (!host_is_public(suffixes, host, &suffix)) {
        if (suffix.n == host.n)
            return err_set(e, E_HOST_SUFFIX,
                           "'%.*s' is no full name; put a part in front of a public suffix, such "
                           "as NAME.%.*s",
                           STR_ARG(host), STR_ARG(base));
        return err_set(e, E_HOST_SUFFIX,
                       "the suffix .%.*s is not reachable publicly; use a name below %.*s or your "
                       "own domain",
                       STR_ARG(suffix), STR_ARG(base));
    }
    if (host_is_wildcard(host) && host_is_foreign_suffix(suffixes, str_skip(host, 2)))
        return err_set(e, E_WILDCARD_NOT_RESERVED,
                       "'%.*s' covers a whole public suffix, which nobody can reserve; use "
                       "*.DOMAIN.%.*s",
                       STR_ARG(host), STR_ARG(str_skip(host, 2)));
    return 0;
}

static int complete(const struct ask *ask, const struct url_context *ctx, struct url *out,
                    struct err *e)
{
    struct url u = { .scheme = ask->scheme };
    struct str host;

    if (ask->host.n == 0 && ctx->command == URL_COMMAND_CLOUD)
        return err_set(e, E_CLOUD_URL, "the URL needs a name; no random one is chosen here");
    if (ask->host.n > 0 && ask->host.p[0] == '[')
        return err_set(e, E_HOST_SYNTAX, "an endpoint needs a name, not an IP address");
    if (ask->host.n > 0 && host_normalize(ask->host, u.host, e) == -1)
        return -1;
    if (resolve_binding(&u, ctx->binding, e) == -1 || resolve_port(&u, ask, ctx, e) == -1)
        return -1;
    host = str_from(u.host);
    if (u.binding == BINDING_INTERNAL && check_internal_host(host, e) == -1)
        return -1;
    /* A random name is below the base domain, and a tcp address must be reserved as a whole. */
    if (u.binding == BINDING_PUBLIC && host.n > 0 && u.scheme != SCHEME_TCP &&
        check_public_host(host, ctx->suffixes, e) == -1)
        return -1;
    *out = u;
    return 0;
}

static int ask_from_parts(const struct url_parts *parts, enum url_command command, struct ask *out,
                          struct err *e)
{
    *out = (struct ask){
        .scheme = commands[command].preset,
        .has_port = parts->has_port,
        .host = parts->host,
    };
    if (!parts->has_scheme && command == URL_COMMAND_CLOUD)
        return err_set(e, E_CLOUD_SCHEME, "the URL needs a scheme: https://%.*s, for example",
                       STR_ARG(str_slice(parts->host, 0, 60)));
    if (parts->has_scheme &&
        url_find_scheme(parts->scheme, commands[command].allowed, command, &out->scheme, e) == -1)
        return -1;
    return parts->has_port ? url_read_port(parts->port, &out->port, e) : 0;
}

int url_parse(struct str s, const struct url_context *ctx, struct url *out, struct err *e)
{
    struct url_parts parts;
    struct ask ask;

    if (url_split(str_trim(s), &parts, e) == -1 ||
        ask_from_parts(&parts, ctx->command, &ask, e) == -1)
        return -1;
    return complete(&ask, ctx, out, e);
}

/* ---- forwards ---- */

bool url_is_unnamed_bind(struct str bind_host)
{
    struct addr a;

    if (bind_host.n == 0 || str_eq(bind_host, STR("*")) ||
        str_eq_nocase(bind_host, STR("localhost")))
        return true;
    if (addr_parse_ip(bind_host, &a) == -1)
        return false;
    for (size_t i = 0; i < sizeof(a.ip); i++) {
        if (a.ip[i] != 0)
            return addr_is_loopback(&a);
    }
    return true;
}

static int refuse_forward_port(uint32_t port, enum url_command command, struct err *e)
{
    return err_set(e, E_FORWARD_PORT,
                   "the remote port %u is not usable with the command %s; use %s, or 0 to let the "
                   "gateway choose",
                   (unsigned)port, commands[command].name, commands[command].forward_ports);
}

/* The --url says everything; the port of -R may only agree with it. */
static int forward_with_url(const struct ask *ask, uint32_t bind_port,
                            const struct url_context *ctx, struct url *out, struct err *e)
{
    struct url u;

    if (complete(ask, ctx, &u, e) == -1)
        return -1;
    if (bind_port != 0 && bind_port != u.port)
        return err_set(e, E_FORWARD_PORT,
                       "the remote port %u contradicts the address given by a flag, whose port is "
                       "%u; use %u or 0",
                       (unsigned)bind_port, (unsigned)u.port, (unsigned)u.port);
    *out = u;
    return 0;
}

/* A public name is tied to the ports of its scheme; an internal one may have any port. */
static bool may_have_any_port(struct str host, enum binding binding)
{
    static const struct str suffix = STR_INIT(".internal");

    if (binding != BINDING_UNSET)
        return binding == BINDING_INTERNAL;
    return host.n >= suffix.n && str_eq_nocase(str_skip(host, host.n - suffix.n), suffix);
}

static int check_tcp_forward(struct str host, uint32_t bind_port, struct err *e)
{
    if (host.n == 0 && bind_port != 0)
        return err_set(e, E_TCP_PORT_WITHOUT_ADDRESS,
                       "port %u needs its reserved address: -R ADDRESS:%u:..., or use 0 for a "
                       "random address",
                       (unsigned)bind_port, (unsigned)bind_port);
    if (host.n > 0 && bind_port == 0)
        return err_set(e, E_TCP_ADDRESS_WITHOUT_PORT,
                       "the address needs its port: -R ADDRESS:PORT:...");
    return 0;
}

/* Name and port of -R say everything; a --url at most gave the scheme. */
static int forward_without_url(struct ask *ask, uint32_t bind_port, const struct url_context *ctx,
                               struct url *out, struct err *e)
{
    if (ask->scheme == SCHEME_TCP) {
        if (check_tcp_forward(ask->host, bind_port, e) == -1)
            return -1;
    } else if (bind_port != 0 && bind_port != scheme_default_port(ask->scheme) &&
               !may_have_any_port(ask->host, ctx->binding)) {
        return refuse_forward_port(bind_port, ctx->command, e);
    }
    ask->has_port = bind_port != 0;
    ask->port = bind_port;
    return complete(ask, ctx, out, e);
}

int url_from_forward(struct str bind_host, uint32_t bind_port, struct str flag_url,
                     const struct url_context *ctx, struct url *out, struct err *e)
{
    bool named = !url_is_unnamed_bind(bind_host);
    struct url_parts parts;
    struct ask ask;

    if (url_split(str_trim(flag_url), &parts, e) == -1 ||
        ask_from_parts(&parts, ctx->command, &ask, e) == -1)
        return -1;
    if (named && (parts.host.n > 0 || parts.has_port))
        return err_set(e, E_NAME_TWICE,
                       "the name is given twice, by -R and by --url; give only one of them");
    if (bind_port > UINT16_MAX)
        return refuse_forward_port(bind_port, ctx->command, e);
    /* Port 80 means http where no scheme was given. */
    if (!parts.has_scheme && ask.scheme == SCHEME_HTTPS &&
        bind_port == scheme_default_port(SCHEME_HTTP))
        ask.scheme = SCHEME_HTTP;
    if (parts.host.n > 0 || parts.has_port)
        return forward_with_url(&ask, bind_port, ctx, out, e);
    if (named)
        ask.host = bind_host;
    return forward_without_url(&ask, bind_port, ctx, out, e);
}

/* ---- formatting ---- */

static unsigned shown_port(const struct url *u, uint16_t http_port, uint16_t https_port)
{
    /* A public http, https or tls URL stands for a listener; others have a port of their own. */
    if (u->binding != BINDING_PUBLIC || u->scheme == SCHEME_TCP)
        return u->port;
    return u->scheme == SCHEME_HTTP ? http_port : https_port;
}

const char *url_format(const struct url *u, uint16_t http_port, uint16_t https_port,
                       char out[URL_TEXT_BYTES])
{
    unsigned port = shown_port(u, http_port, https_port);
    bool plain = port == scheme_default_port(u->scheme); /* tcp: 0, so only without host */

    if (plain || u->host[0] == '\0')
        (void)snprintf(out, URL_TEXT_BYTES, "%s://%s", scheme_name(u->scheme), u->host);
    else
        (void)snprintf(out, URL_TEXT_BYTES, "%s://%s:%u", scheme_name(u->scheme), u->host, port);
    return out;
}
