/*
 * url: the public address of an endpoint: scheme, host and port, checked and normalised.
 * Follows spec "URL validation and defaulting": endpoint URLs, the REMOTE of ssh -R, and the
 * upstream hint (upstream_hint.c). Who may use a name is decided elsewhere (domains.h, acl.h).
 * Thread: any; pure. libidn2 and libpsl are used in host.c only.
 */
#ifndef TUNNEL_URL_H
#define TUNNEL_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/host.h"

enum scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_TCP, SCHEME_TLS };
enum { SCHEME_COUNT = SCHEME_TLS + 1 };

/* Who gives a URL: an SSH command, whose protocol family limits the schemes and sets the default one,
 * or the maker of a cloud endpoint, for whom nothing is chosen. */
enum url_command { URL_COMMAND_HTTP, URL_COMMAND_TCP, URL_COMMAND_TLS, URL_COMMAND_CLOUD };

enum binding { BINDING_UNSET, BINDING_PUBLIC, BINDING_INTERNAL };

struct url {
    enum scheme scheme;
    enum binding binding;          /* PUBLIC or INTERNAL once parsed */
    uint16_t port;                 /* 0 only for a tcp URL whose port is to be chosen */
    char host[HOST_MAX_BYTES + 1]; /* normalised; "" means: choose a random name */
};

/* What names this gateway serves; needed to tell a public name from an impossible one. */
struct url_context {
    enum url_command command;
    enum binding binding;                 /* as asked for; UNSET infers */
    const struct host_suffixes *suffixes; /* borrowed */
};

const char *scheme_name(enum scheme s);
/* "public" or "internal"; "" for UNSET. */
const char *binding_name(enum binding binding);
/* 80, 443, 443 for http, https, tls; 0 for tcp. */
uint16_t scheme_default_port(enum scheme s);

/*
 * Reads the word for a binding, "public" or "internal". Returns 0, or -1 with E_BINDING, also for
 * "kubernetes", which needs an operator in a cluster and is not to be had here.
 */
int binding_parse(struct str word, enum binding *out, struct err *e);

/*
 * Reads an endpoint URL in any form of the spec's section 2.1. Returns 0, or -1 with the codes of
 * section 2.3 (E_SCHEME, E_URL_PART, E_PORT_SCHEME, E_HOST_*, E_INTERNAL_*, ...); for a cloud endpoint
 * E_CLOUD_SCHEME, E_CLOUD_URL, E_CLOUD_PORT and E_CLOUD_NO_PORT stand for what is left out or not allowed.
 */
int url_parse(struct str s, const struct url_context *ctx, struct url *out, struct err *e);

/*
 * Builds the URL of one `-R` forward from the bind address and port of its request (section 5.3).
 * `flag_url` is the --url that belongs to it, or empty; a bare "http://" only gives the scheme.
 * Returns 0, or -1 with E_FORWARD_PORT, E_NAME_TWICE, E_TCP_* or a code of url_parse().
 */
int url_from_forward(struct str bind_host, uint32_t bind_port, struct str flag_url,
                     const struct url_context *ctx, struct url *out, struct err *e);

/* True for bind addresses that mean "no name": "", "*", "localhost", wildcard and loopback IPs. */
bool url_is_unnamed_bind(struct str bind_host);

/*
 * Writes the URL as users see it, NUL-terminated: default ports are left out, tcp always has one.
 * http_port/https_port are the real ports of the listeners that stand for 80 and 443.
 */
enum { URL_TEXT_BYTES = HOST_MAX_BYTES + 24 };
const char *url_format(const struct url *u, uint16_t http_port, uint16_t https_port,
                       char out[URL_TEXT_BYTES]);

/* The upstream hint of a command (sections 2.6 and 5.5). */
struct upstream_hint {
    enum url_command command;
    bool https; /* TLS on the channel: https:// of http, tls:// of tcp and tls */
    uint16_t port;
    char host[HOST_MAX_BYTES + 3]; /* an IPv6 literal keeps its brackets */
};

/*
 * Reads a hint; `command` decides the defaults. The host may also have "_", as names of containers
 * do. Returns 0, or -1 with E_URL_*, E_PORT_*, E_SCHEME, E_HOST_*, or E_FLAG_UNSUPPORTED (file://).
 */
int upstream_hint_parse(struct str s, enum url_command command, struct upstream_hint *out,
                        struct err *e);
/* Writes "http://host:port" with a NUL; the scheme is https, tcp or tls where the hint says so. */
const char *upstream_hint_format(const struct upstream_hint *h, char out[URL_TEXT_BYTES]);

#endif
