/*
 * headers: the header rules of the proxy (spec sections 6.2 to 6.4): hop-by-hop fields,
 * x-forwarded-*, fields that only the gateway may set, and rewriting of Location and cookie
 * domains.
 * Thread: that of the exchange; pure.
 */
#ifndef GATEWAY_HEADERS_H
#define GATEWAY_HEADERS_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/str.h"
#include "gateway/http.h"

struct tls_cert;

/*
 * Takes the hop-by-hop fields out of a message: the fixed list and every name in Connection. The
 * framing fields (Content-Length, Transfer-Encoding) and Expect go too: codecs write their own.
 */
void headers_strip_hop_by_hop(struct http_headers *h);

/* Removes what a visitor must not claim: gateway error codes, ngrok-mtls-*, ngrok-auth-*,
 * sallyport-mtls-*, sallyport-auth-*. */
void headers_strip_request_reserved(struct http_headers *h);
/* Removes the gateway's error codes from an upstream's response or trailers; returns how many. */
size_t headers_strip_error_codes(struct http_headers *h);

/*
 * Adds x-forwarded-for and -proto (appended behind what is there, in one field) and
 * x-forwarded-host (kept if there). `scheme` is "http" or "https", `host` the Host as sent.
 */
void headers_add_forwarded(struct http_headers *h, struct arena *a, const struct addr *client,
                           struct str scheme, struct str host);

/*
 * Adds who a visitor with a certificate is (spec endpoints 6.4): ngrok-mtls-subject-cn,
 * -subject-alt-name-dns, -email-addresses and -serial-number, and the same under sallyport-mtls-*; what
 * the certificate does not have is left out. Several names are joined with commas. A certificate says
 * what its maker likes, so a text that could pass for two, or that no field may hold, is left out too.
 */
void headers_add_mtls(struct http_headers *h, struct arena *a, const struct tls_cert *cert);

/*
 * Rewrites Location, Content-Location and the Domain attribute of Set-Cookie after the Host was
 * rewritten. `rewritten` is the Host that the upstream saw; `scheme` and `authority` are what the
 * visitor uses. Other hosts stay as they are.
 */
void headers_rewrite_back(struct http_headers *h, struct arena *a, struct str rewritten,
                          struct str scheme, struct str authority);

#endif
