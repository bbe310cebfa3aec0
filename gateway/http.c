/*
 * Names and values are scanned for every head, so token bytes come from a table and values go eight
 * bytes at a time: what a value must not contain (controls) is rare, and one test clears eight.
 */
#include "gateway/http.h"

#include <string.h>

enum { HEADERS_MIN_CAP = 16 };

/* ---- bytes ---- */

/* clang-format off */
static const bool token_chars[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
    ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
    ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};
/* clang-format on */

/* True if the eight bytes may have a control among them (a tab counts as one). */
static bool word_has_control(const char *p)
{
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    uint64_t w;
    uint64_t del;

    memcpy(&w, p, sizeof(w));
    del = w ^ (ones * 0x7f);
    return ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & highs) != 0;
}

static bool is_value_char(char c)
{
    return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

size_t http_token_span(struct str s)
{
    size_t i = 0;

    while (i < s.n && token_chars[(unsigned char)s.p[i]])
        i++;
    return i;
}

size_t http_value_span(struct str s)
{
    size_t i = 0;

    for (;;) {
        size_t end;

        while (s.n - i >= sizeof(uint64_t) && !word_has_control(s.p + i))
            i += sizeof(uint64_t);
        end = s.n - i < sizeof(uint64_t) ? s.n : i + sizeof(uint64_t);
        if (i == end)
            return i;
        for (; i < end; i++) {
            if (!is_value_char(s.p[i]))
                return i;
        }
    }
}

size_t http_target_span(struct str s)
{
    size_t i = 0;

    while (i < s.n && s.p[i] > 0x20 && s.p[i] < 0x7f)
        i++;
    return i;
}

bool http_is_token(struct str s)
{
    return s.n > 0 && http_token_span(s) == s.n;
}

bool http_is_field_value(struct str s)
{
    return http_value_span(s) == s.n;
}

/* ---- fields ---- */

/* The lengths tell most names apart without a call. */
static bool is_name(const struct http_header *h, struct str name)
{
    return h->name.n == name.n && str_eq_nocase(h->name, name);
}

void http_headers_reserve(struct http_headers *h, struct arena *a, size_t cap)
{
    struct http_header *items;

    if (cap <= h->cap)
        return;
    items = arena_alloc(a, cap * sizeof(*items)); /* cap follows what was counted in a message */
    if (h->count > 0)
        memcpy(items, h->items, h->count * sizeof(*items));
    h->items = items;
    h->cap = cap;
}

void http_headers_add(struct http_headers *h, struct arena *a, struct str name, struct str value)
{
    if (h->count == h->cap)
        http_headers_reserve(h, a, h->cap > 0 ? h->cap * 2 : HEADERS_MIN_CAP);
    h->items[h->count++] = (struct http_header){ .name = name, .value = value };
}

struct http_header *http_headers_find(const struct http_headers *h, struct str name, size_t index)
{
    for (size_t i = 0; i < h->count; i++) {
        if (is_name(&h->items[i], name) && index-- == 0)
            return &h->items[i];
    }
    return NULL;
}

size_t http_headers_remove(struct http_headers *h, struct str name)
{
    size_t kept = 0;
    size_t removed;

    for (size_t i = 0; i < h->count; i++) {
        if (!is_name(&h->items[i], name))
            h->items[kept++] = h->items[i];
    }
    removed = h->count - kept;
    h->count = kept;
    return removed;
}

/*
 * What a recipient would believe if it merged trailers into the head (RFC 9110 section 6.5.1):
 * framing, routing, request modifiers, authentication, and how content is to be processed.
 */
static const struct str forbidden_trailers[] = {
    STR_INIT("age"),
    STR_INIT("authorization"),
    STR_INIT("cache-control"),
    STR_INIT("connection"),
    STR_INIT("content-encoding"),
    STR_INIT("content-length"),
    STR_INIT("content-range"),
    STR_INIT("content-type"),
    STR_INIT("cookie"),
    STR_INIT("date"),
    STR_INIT("expect"),
    STR_INIT("expires"),
    STR_INIT("forwarded"),
    STR_INIT("host"),
    STR_INIT("if-match"),
    STR_INIT("if-modified-since"),
    STR_INIT("if-none-match"),
    STR_INIT("if-range"),
    STR_INIT("if-unmodified-since"),
    STR_INIT("keep-alive"),
    STR_INIT("location"),
    STR_INIT("max-forwards"),
    STR_INIT("pragma"),
    STR_INIT("proxy-authenticate"),
    STR_INIT("proxy-authorization"),
    STR_INIT("proxy-connection"),
    STR_INIT("range"),
    STR_INIT("retry-after"),
    STR_INIT("set-cookie"),
    STR_INIT("te"),
    STR_INIT("trailer"),
    STR_INIT("transfer-encoding"),
    STR_INIT("upgrade"),
    STR_INIT("vary"),
    STR_INIT("warning"),
    STR_INIT("www-authenticate"),
    STR_INIT("x-forwarded-for"),
    STR_INIT("x-forwarded-host"),
    STR_INIT("x-forwarded-proto"),
};

bool http_may_be_trailer(struct str name)
{
    for (size_t i = 0; i < sizeof(forbidden_trailers) / sizeof(forbidden_trailers[0]); i++) {
        if (str_eq_nocase(name, forbidden_trailers[i]))
            return false;
    }
    return true;
}

/* ---- methods and statuses ---- */

struct str http_request_version(const struct http_request *r)
{
    if (r->version_major == 2)
        return STR("HTTP/2.0");
    return r->version_minor == 0 ? STR("HTTP/1.0") : STR("HTTP/1.1");
}

bool http_method_is_idempotent(struct str method)
{
    static const struct str methods[] = { STR_INIT("GET"),   STR_INIT("HEAD"), STR_INIT("OPTIONS"),
                                          STR_INIT("TRACE"), STR_INIT("PUT"),  STR_INIT("DELETE") };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (str_eq(method, methods[i])) /* methods are case-sensitive */
            return true;
    }
    return false;
}

/* The IANA registry of status codes. */
static const char *const reasons[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [102] = "Processing",
    [103] = "Early Hints",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [203] = "Non-Authoritative Information",
    [204] = "No Content",
    [205] = "Reset Content",
    [206] = "Partial Content",
    [207] = "Multi-Status",
    [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [305] = "Use Proxy",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [407] = "Proxy Authentication Required",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [423] = "Locked",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage",
    [508] = "Loop Detected",
    [511] = "Network Authentication Required",
};

const char *http_reason(unsigned status)
{
    if (status >= sizeof(reasons) / sizeof(reasons[0]) || reasons[status] == NULL)
        return "";
    return reasons[status];
}
