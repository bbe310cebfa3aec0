/*
 * error_page: what a visitor sees when the gateway itself answers with an error (spec section 8.1).
 * HTML for clients whose Accept names text/html, JSON for those that name application/json first,
 * short plain text for all others. An error that has no status is shown as E_GATEWAY, without its
 * message; one that has no number (a rate limit) is shown without a code.
 * Thread: any; pure.
 */
#ifndef GATEWAY_ERROR_PAGE_H
#define GATEWAY_ERROR_PAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "gateway/http.h"

struct error_page {
    unsigned status;
    struct http_headers headers; /* content-type, cache-control, the error code(s) */
    struct str body;
};

/*
 * `accept` is the visitor's Accept field, or empty; with `ngrok_header`, Ngrok-Error-Code is added.
 * `e->msg` (the code's own text when it is empty) goes to the visitor, escaped. The codec writes
 * the length. All lies in the arena.
 */
void error_page_make(const struct err *e, struct str accept, bool ngrok_header, struct arena *a,
                     struct error_page *out);

#endif
