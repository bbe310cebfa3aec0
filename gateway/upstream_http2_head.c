/*
 * The head of a request in the form of HTTP/2 (RFC 9113 section 8.3, RFC 8441 section 4).
 */
#include "gateway/exchange.h"
#include "gateway/upstream_http2_int.h"
#include "tunnel/endpoint.h"

/* The names that a section of fields is sent with: HTTP/2 has them in lower case. */
static struct str lower_case(struct arena *a, struct str name)
{
    char *copy = arena_alloc(a, name.n);

    for (size_t i = 0; i < name.n; i++)
        copy[i] = char_lower(name.p[i]);
    return str_of(copy, name.n);
}

static nghttp2_nv make_nv(struct str name, struct str value)
{
    /* nghttp2 copies both and changes neither. */
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.p,
        .namelen = name.n,
        .value = (uint8_t *)(uintptr_t)(value.n > 0 ? value.p : ""),
        .valuelen = value.n,
    };
}

nghttp2_nv *upstream_http2_fields(struct arena *a, const struct http_headers *h)
{
    nghttp2_nv *out = arena_alloc(a, h->count * sizeof(*out));

    for (size_t i = 0; i < h->count; i++)
        out[i] = make_nv(lower_case(a, h->items[i].name), str_trim_ows(h->items[i].value));
    return out;
}

/* What HTTP/2 has pseudo fields for, what only HTTP/1.1 needs, and what tells gRPC that trailers get
 * through (RFC 9110 section 10.1.4). */
static void make_fields(struct upstream_http2 *u, const struct upstream_params *params)
{
    const struct http_request *request = params->request;
    struct arena *a = exchange_arena(params->exchange);
    struct http_headers h = { 0 };

    http_headers_reserve(&h, a, request->headers.count + 9);
    http_headers_add(&h, a, STR(":method"),
                     u->is_tunnel_request ? STR("CONNECT") : request->method);
    if (u->is_tunnel_request)
        http_headers_add(&h, a, STR(":protocol"), STR("websocket"));
    http_headers_add(&h, a, STR(":scheme"),
                     params->endpoint->upstream.tls ? STR("https") : STR("http"));
    http_headers_add(&h, a, STR(":authority"), params->host);
    http_headers_add(&h, a, STR(":path"), request->target);
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct http_header *field = &request->headers.items[i];

        if (!u->is_tunnel_request || !str_eq_nocase(field->name, STR("sec-websocket-key")))
            http_headers_add(&h, a, field->name, field->value);
    }
    http_headers_add(&h, a, STR("te"), STR("trailers"));
    if (request->expect_continue)
        http_headers_add(&h, a, STR("expect"), STR("100-continue"));
    if (request->has_content_length && !u->is_tunnel_request)
        http_headers_add(&h, a, STR("content-length"),
                         arena_fmt(a, "%llu", (unsigned long long)request->content_length));
    u->fields = upstream_http2_fields(a, &h);
    u->field_count = h.count;
}

void upstream_http2_take_request(struct upstream_http2 *u, const struct upstream_params *params)
{
    const struct http_request *request = params->request;
    const struct http_header *key;

    u->method = request->method;
    /* Of other protocols nothing is said: a server may always stay with HTTP (RFC 9110 7.8). */
    u->is_tunnel_request = str_eq_nocase(request->upgrade, STR("websocket"));
    u->has_body = u->is_tunnel_request || request->body != HTTP_BODY_NONE;
    key = http_headers_find(&request->headers, STR("sec-websocket-key"), 0);
    if (key != NULL)
        u->websocket_key = key->value;
    make_fields(u, params);
}
