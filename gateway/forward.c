#include "gateway/forward.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/gateway_int.h"
#include "tunnel/endpoint.h"
#include "tunnel/routes.h"

enum { SHOWN_URL_BYTES = 100, REFUSED_LOG_BURST = 10 /* lines a second */ };

/* Which command makes endpoints of the URL's scheme; that of http takes http and https. */
static enum url_command command_of(struct str url)
{
    if (str_starts_nocase(url, STR("tcp:")))
        return URL_COMMAND_TCP;
    return str_starts_nocase(url, STR("tls:")) ? URL_COMMAND_TLS : URL_COMMAND_HTTP;
}

static bool read_url(struct str text, struct url *out)
{
    const struct url_context context = {
        .command = command_of(text),
        .binding = BINDING_INTERNAL, /* so no public suffixes are asked for */
    };

    return url_parse(text, &context, out, NULL) == 0;
}

static struct endpoint *find(const struct gateway *g, const struct endpoint *from, struct str url,
                             unsigned schemes, struct err *e)
{
    struct endpoint *ep = NULL;
    struct url u;

    if (read_url(url, &u)) {
        if ((schemes & FORWARD_SCHEME(u.scheme)) == 0) {
            (void)err_set(e, E_ENDPOINT_OFFLINE, "an endpoint of %s cannot forward to %.*s",
                          scheme_name(from->url.scheme),
                          STR_ARG(str_slice(url, 0, SHOWN_URL_BYTES)));
            return NULL;
        }
        ep = routes_find_internal(g->routes, str_from(from->account), u.scheme, str_from(u.host),
                                  u.port);
    }
    if (ep == NULL)
        (void)err_set(e, E_ENDPOINT_OFFLINE, "the internal endpoint %.*s is offline",
                      STR_ARG(str_slice(url, 0, SHOWN_URL_BYTES)));
    return ep;
}

/* The event of the request tells neither the target nor, if the policy goes on, that there was one. */
static void log_refused(struct gateway *g, const struct endpoint *from, struct str url)
{
    uint64_t suppressed;

    if (log_limit_pass(&g->forward_log, REFUSED_LOG_BURST, clock_mono_ms(), &suppressed))
        log_info("forward.refused", LS("endpoint.id", from->id), LS("account", from->account),
                 LSTR("url", str_slice(url, 0, SHOWN_URL_BYTES)), LU("suppressed", suppressed));
}

struct endpoint *forward_find(struct gateway *g, const struct endpoint *from, struct str url,
                              unsigned schemes, struct err *e)
{
    struct endpoint *ep = find(g, from, url, schemes, e);

    if (ep != NULL)
        endpoint_enter(ep);
    else
        log_refused(g, from, url);
    return ep;
}
