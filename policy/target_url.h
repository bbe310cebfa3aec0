/*
 * target_url: URLs that policies give for requests of the gateway itself: what has to be escaped in
 * them, and in what is added to their query (RFC 3986, spec traffic-policy 3.5).
 * Owns:   nothing.
 * Thread: any; pure.
 */
#ifndef POLICY_TARGET_URL_H
#define POLICY_TARGET_URL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* True for http:// or https:// with something behind that may be a host, and no blank or control
 * character anywhere. Placeholders such as https://<name>.example are fine. */
bool target_url_is_http(struct str url);

/* Appends a URL; bytes that no URL has are escaped, what is escaped already stays so. */
void target_url_add(struct buf *out, struct str url);

/* Appends a name or value of a query: all is escaped but RFC 3986's unreserved characters. */
void target_url_add_query(struct buf *out, struct str text);

#endif
