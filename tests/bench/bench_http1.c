/*
 * What a head costs: nanoseconds to find, parse and write one, with the work the proxy does on its
 * fields. Prints a line a case; the figure is that of the fastest batch, so that a busy machine
 * changes it little.
 */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "gateway/headers.h"
#include "gateway/http1.h"

enum { BATCHES = 50, ROUNDS = 2000, BODY_BYTES = 64 * 1024 };

static const struct str browser_request =
    STR_INIT("GET /assets/app-4f2c91.js?v=3 HTTP/1.1\r\n"
             "Host: shop.tunnel.example.com\r\n"
             "Connection: keep-alive\r\n"
             "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
             "Chrome/124.0.0.0 Safari/537.36\r\n"
             "Accept: */*\r\n"
             "Sec-Fetch-Site: same-origin\r\n"
             "Sec-Fetch-Mode: no-cors\r\n"
             "Referer: https://shop.tunnel.example.com/cart\r\n"
             "Accept-Encoding: gzip, deflate, br, zstd\r\n"
             "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
             "Cookie: session=0b8f5c6e4a1d4b7f9d2e3c4b5a697887; theme=dark\r\n"
             "\r\n");

static const struct str curl_request = STR_INIT("GET / HTTP/1.1\r\n"
                                                "Host: app.example.com\r\n"
                                                "User-Agent: curl/8.5.0\r\n"
                                                "Accept: */*\r\n"
                                                "\r\n");

static const struct str response = STR_INIT(
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Tue, 04 Jun 2024 10:11:12 GMT\r\n"
    "Content-Type: application/javascript; charset=utf-8\r\n"
    "Content-Length: 48213\r\n"
    "Last-Modified: Mon, 03 Jun 2024 08:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "ETag: \"665d7a00-bc55\"\r\n"
    "Cache-Control: public, max-age=31536000, immutable\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'self'; img-src 'self' data:; object-src 'none'\r\n"
    "Strict-Transport-Security: max-age=63072000\r\n"
    "Accept-Ranges: bytes\r\n"
    "\r\n");

static double smaller(double x, double y)
{
    return x < y ? x : y;
}

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One case; false means that it did not work. */
typedef bool bench_fn(struct str head, struct buf *out);

static bool find_end(struct str head, struct buf *out)
{
    size_t scanned = 0;

    (void)out;
    return http1_find_head(head, 65536, &scanned, NULL) == (ptrdiff_t)head.n;
}

static bool parse_request(struct str head, struct buf *out)
{
    struct http_request r;
    struct arena a;
    bool ok;

    (void)out;
    arena_init(&a);
    ok = http1_parse_request(head, &a, &r, NULL) == 0;
    arena_fini(&a);
    return ok;
}

static bool parse_response(struct str head, struct buf *out)
{
    struct http_response r;
    struct arena a;
    bool ok;

    (void)out;
    arena_init(&a);
    ok = http1_parse_response(head, STR("GET"), &a, &r, NULL) == 0;
    arena_fini(&a);
    return ok;
}

/* All that the proxy does with a request head that has no policy. */
static bool forward_request(struct str head, struct buf *out)
{
    static const struct addr client = { .family = 4, .ip = { 203, 0, 113, 7 } };
    struct http_request r;
    struct arena a;
    bool ok;

    arena_init(&a);
    ok = find_end(head, out) && http1_parse_request(head, &a, &r, NULL) == 0;
    if (ok) {
        headers_strip_hop_by_hop(&r.headers);
        headers_strip_request_reserved(&r.headers);
        headers_add_forwarded(&r.headers, &a, &client, STR("https"), r.authority);
        http1_write_request_line(out, r.method, r.target);
        http1_write_header(out, STR("host"), r.authority);
        http1_write_headers(out, &r.headers);
        http1_write_head_end(out);
        ok = !buf_failed(out);
        buf_clear(out);
    }
    arena_fini(&a);
    return ok;
}

static bool forward_response(struct str head, struct buf *out)
{
    struct http_response r;
    struct arena a;
    bool ok;

    arena_init(&a);
    ok = find_end(head, out) && http1_parse_response(head, STR("GET"), &a, &r, NULL) == 0;
    if (ok) {
        headers_strip_hop_by_hop(&r.headers);
        (void)headers_strip_error_codes(&r.headers);
        http1_write_status_line(out, r.status, r.reason);
        http1_write_headers(out, &r.headers);
        http1_write_header(out, STR("content-length"), STR("48213"));
        http1_write_head_end(out);
        ok = !buf_failed(out);
        buf_clear(out);
    }
    arena_fini(&a);
    return ok;
}

static void run(const char *name, bench_fn *fn, struct str head)
{
    double best = DBL_MAX;
    struct buf out;

    buf_init(&out, 65536);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        double start = now_ns();

        for (size_t i = 0; i < ROUNDS; i++) {
            if (!fn(head, &out)) {
                (void)fprintf(stderr, "%s: failed\n", name);
                exit(EXIT_FAILURE);
            }
        }
        best = smaller(best, (now_ns() - start) / ROUNDS);
    }
    (void)printf("%-28s %5zu bytes %8.0f ns\n", name, head.n, best);
    buf_fini(&out);
}

static void read_body(struct str rest)
{
    struct http1_body b;
    struct str data;
    size_t used = 0;

    http1_body_init(&b, HTTP_BODY_CHUNKED, 0);
    while (rest.n > 0 && http1_body_read(&b, rest, &data, &used, NULL) == 0)
        rest = str_skip(rest, used);
    if (!http1_body_is_done(&b))
        exit(EXIT_FAILURE);
    http1_body_fini(&b);
}

/* A chunked body of 64 KiB in chunks of `chunk` bytes, read in one go. */
static void run_chunks(size_t chunk)
{
    static char content[BODY_BYTES];
    double best = DBL_MAX;
    struct buf body;

    buf_init(&body, (size_t)BODY_BYTES * 4);
    for (size_t at = 0; at < BODY_BYTES; at += chunk) {
        http1_write_chunk_start(&body, chunk);
        buf_add(&body, content + at, chunk);
        http1_write_chunk_end(&body);
    }
    http1_write_last_chunk(&body, NULL);
    for (size_t batch = 0; batch < BATCHES * 10; batch++) {
        double start = now_ns();

        read_body(buf_str(&body));
        best = smaller(best, now_ns() - start);
    }
    (void)printf("read chunks of %-5zu bytes               %8.0f ns per chunk\n", chunk,
                 best / ((double)BODY_BYTES / (double)chunk));
    buf_fini(&body);
}

int main(void)
{
    run("find end, browser", find_end, browser_request);
    run("parse request, browser", parse_request, browser_request);
    run("forward request, browser", forward_request, browser_request);
    run("parse request, curl", parse_request, curl_request);
    run("forward request, curl", forward_request, curl_request);
    run("parse response", parse_response, response);
    run("forward response", forward_response, response);
    run_chunks(1024);
    run_chunks(16384);
    return 0;
}
