/*
 * Heads are read in three steps over one copy in the arena. First the strict pass: one walk over
 * the raw bytes that settles line ends, names, values and the shape of the start line, and counts
 * the fields. Then http-parser takes the head apart. Debian builds it non-strict (it takes bare LF,
 * folded lines, spaces in names), so the strict pass is what decides; http-parser may only refuse
 * more, and is two thirds of the cost. Last, the fields that frame and route the message are read
 * from the list, by the table `known`.
 *
 * http-parser knows a fixed list of methods. A method is the business of the upstream, so any token
 * must pass: the parser is given "GET " in place of the method, which changes nothing for it but
 * with CONNECT, and that is refused before.
 */
#include "gateway/http1.h"

#include <string.h>
#include <threads.h>

#include <http_parser.h>

#include "gateway/http1_int.h"

enum {
    HEADERS_SPARE = 8,                      /* room for what the proxy adds */
    HTTP_PARSER_MAX_BYTES = 0x7fffffff,     /* the caller has limited the head already */
    TLS_ALERT = 0x15,                       /* first byte of a TLS record: an alert, */
    TLS_HANDSHAKE = 0x16,                   /* a handshake message */
    VERSION_BYTES = sizeof("HTTP/1.1") - 1, /* any HTTP/d.d */
    STATUS_MIN = 100,
    STATUS_MAX = 599,
};

/* ---- the end of a head ---- */

static bool is_tls(char first)
{
    return first == TLS_ALERT || first == TLS_HANDSHAKE;
}

/* The length of the empty lines at the front. */
static size_t empty_lines_span(struct str in)
{
    size_t n = 0;

    while (n < (size_t)HTTP1_EMPTY_LINES_MAX * 2 && in.n - n >= 2 && in.p[n] == '\r' &&
           in.p[n + 1] == '\n')
        n += 2;
    return n;
}

/* What a start line cannot begin with need not be waited for. */
static int check_first_byte(struct str in, struct err *e)
{
    if (is_tls(in.p[0]))
        return err_set(e, E_BAD_REQUEST, "this looks like TLS where plain HTTP was expected");
    if (http_token_span(str_of(in.p, 1)) == 0 && !(in.p[0] == '\r' && in.n == 1))
        return err_set(e, E_BAD_REQUEST, "this is not HTTP");
    return 0;
}

ptrdiff_t http1_find_head(struct str in, size_t max_bytes, size_t *scanned, struct err *e)
{
    struct str part = str_slice(in, 0, max_bytes);
    size_t start = empty_lines_span(part);
    size_t from = *scanned > start ? *scanned : start;

    if (start < part.n && check_first_byte(str_skip(part, start), e) == -1)
        return -1;
    while (from < part.n) {
        size_t at = from + str_find_char(str_skip(part, from), '\n');

        if (at == part.n)
            break;
        if (at == 0 || part.p[at - 1] != '\r')
            return err_set(e, E_BAD_REQUEST, "a line ends in LF without CR");
        /* The byte at `start` is no LF, so this one follows a line of the head. */
        if (at > start + 2 && part.p[at - 2] == '\n')
            return (ptrdiff_t)at + 1;
        from = at + 1;
    }
    *scanned = part.n;
    if (in.n >= max_bytes)
        return err_set(e, E_HEAD_TOO_LARGE, "the head is larger than %zu bytes", max_bytes);
    return 0;
}

/* ---- the strict pass ---- */

/* What is wrong with a line that does not go on as CRLF after `rest`. */
static int line_end_error(struct str rest, struct err *e)
{
    if (rest.n == 0)
        return err_set(e, E_BAD_REQUEST, "the head is cut off");
    if (rest.p[0] == '\r')
        return err_set(e, E_BAD_REQUEST, "CR without LF");
    if (rest.p[0] == '\n')
        return err_set(e, E_BAD_REQUEST, "a line ends in LF without CR");
    return err_set(e, E_BAD_REQUEST, "control character 0x%02x in the head",
                   (unsigned)(unsigned char)rest.p[0]);
}

/* What is wrong with a line whose name ends at `rest`, which is not a colon. */
static int field_name_error(struct str line, size_t name_bytes, struct err *e)
{
    struct str rest = str_skip(line, name_bytes);
    char c = rest.n > 0 ? rest.p[0] : '\r';

    if (name_bytes == 0 && (c == ' ' || c == '\t'))
        return err_set(e, E_BAD_REQUEST, "a header field is folded onto a second line");
    if (name_bytes == 0 && c == ':')
        return err_set(e, E_BAD_REQUEST, "a header field has no name");
    if (name_bytes == 0 && c == '\r')
        return err_set(e, E_BAD_REQUEST, "CR or an empty line inside the head");
    if (c == ' ' || c == '\t')
        return err_set(e, E_BAD_REQUEST, "space in a header field name or before its colon");
    if (c == '\r' || c == '\n')
        return err_set(e, E_BAD_REQUEST, "a header line has no colon");
    return err_set(e, E_BAD_REQUEST, "illegal character in a header field name");
}

static bool starts_with_crlf(struct str s)
{
    return s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n';
}

int http1_check_fields(struct str lines, size_t *count, struct err *e)
{
    size_t lines_seen = 0;

    while (lines.n > 0) {
        size_t n = http_token_span(lines);

        if (n == 0 || n == lines.n || lines.p[n] != ':')
            return field_name_error(lines, n, e);
        lines = str_of(lines.p + n + 1, lines.n - n - 1);
        n = http_value_span(lines);
        lines = str_of(lines.p + n, lines.n - n);
        if (!starts_with_crlf(lines))
            return line_end_error(lines, e);
        lines = str_of(lines.p + 2, lines.n - 2);
        if (++lines_seen > HTTP1_HEADERS_MAX)
            return err_set(e, E_HEAD_TOO_LARGE, "more than %d header fields", HTTP1_HEADERS_MAX);
    }
    *count = lines_seen;
    return 0;
}

/* Checks the lines behind the start line, with the empty line that ends the head. */
static int check_field_section(struct str section, size_t *count, struct err *e)
{
    if (!str_ends(section, STR("\r\n")))
        return err_set(e, E_BAD_REQUEST, "the head does not end in an empty line");
    return http1_check_fields(str_slice(section, 0, section.n - 2), count, e);
}

/* True if s is "HTTP/" DIGIT "." DIGIT. */
static bool is_version(struct str s)
{
    return s.n == VERSION_BYTES && str_starts(s, STR("HTTP/")) && char_is_digit(s.p[5]) &&
           s.p[6] == '.' && char_is_digit(s.p[7]);
}

/* Where the parts of the start line are; the rest of the head is `fields`. */
struct start_line {
    struct str first; /* method; of a response, the version */
    struct str rest;  /* the start line behind it and one space */
    struct str fields;
};

/* Cuts the start line at its first space and its CRLF. */
static int split_start_line(struct str head, struct start_line *out, struct err *e)
{
    size_t end = http_value_span(head);
    struct str line = str_of(head.p, end);
    size_t space = str_find_char(line, ' ');

    out->first = str_slice(line, 0, space);
    out->rest = str_skip(line, space + 1);
    out->fields = str_skip(head, end + 2);
    if (!starts_with_crlf(str_skip(head, end)))
        return line_end_error(str_skip(head, end), e);
    if (space == line.n)
        return err_set(e, E_BAD_REQUEST, "the first line is incomplete");
    return 0;
}

/* method SP target SP HTTP/1.1, with single spaces (RFC 9112 section 3). */
static int check_request_line(const struct start_line *line, struct err *e)
{
    size_t target = http_target_span(line->rest);
    struct str version = str_skip(line->rest, target + 1);

    if (!http_is_token(line->first))
        return err_set(e, E_BAD_REQUEST, "the method is not a token");
    if (target == 0)
        return err_set(e, E_BAD_REQUEST, "the request target is empty or follows two spaces");
    if (target == line->rest.n)
        return err_set(e, E_BAD_REQUEST, "the request line has no version");
    if (line->rest.p[target] != ' ')
        return err_set(e, E_BAD_REQUEST, "illegal character in the request target");
    if (!is_version(version))
        return err_set(e, E_BAD_REQUEST, "the request line does not end in an HTTP version");
    if (!str_eq(version, STR("HTTP/1.1")))
        return err_set(e, E_VERSION, "HTTP version not supported; use HTTP/1.1 or HTTP/2");
    if (str_eq(line->first, STR("CONNECT")))
        return err_set(e, E_METHOD, "the method CONNECT is not allowed");
    return 0;
}

/* HTTP/1.x SP 3DIGIT [ SP reason ]. The space may be missing with the reason, as many do. */
static int check_status_line(const struct start_line *line, struct err *e)
{
    struct str code = str_slice(line->rest, 0, 3);
    uint64_t status;

    if (!is_version(line->first))
        return err_set(e, E_BAD_REQUEST, "it does not begin with an HTTP version");
    if (line->first.p[5] != '1' || line->first.p[7] > '1')
        return err_set(e, E_BAD_REQUEST, "its HTTP version is not 1.0 or 1.1");
    if (code.n < 3 || str_to_u64(code, STATUS_MAX, &status) == -1 || status < STATUS_MIN)
        return err_set(e, E_BAD_REQUEST, "its status is not a number from %d to %d", STATUS_MIN,
                       STATUS_MAX);
    if (line->rest.n > 3 && line->rest.p[3] != ' ')
        return err_set(e, E_BAD_REQUEST, "its status is not followed by a space");
    return 0;
}

/* ---- http-parser ---- */

/* What the callbacks gather. All strings lie in the head. */
struct tokens {
    struct str text; /* target or reason phrase */
    struct http_header *items;
    size_t count;
    size_t cap;
};

static int on_text(http_parser *p, const char *at, size_t n)
{
    struct tokens *t = p->data;

    t->text = str_of(at, n);
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct tokens *t = p->data;

    if (t->count == t->cap)
        return -1;
    t->items[t->count].name = str_of(at, n);
    return 0;
}

/* http-parser has taken the space in front of the value, not that behind it. */
static int on_value(http_parser *p, const char *at, size_t n)
{
    struct tokens *t = p->data;

    if (t->count == t->cap)
        return -1;
    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    t->items[t->count++].value = str_of(at, n);
    return 0;
}

static const http_parser_settings parser_settings = {
    .on_url = on_text,
    .on_status = on_text,
    .on_header_field = on_name,
    .on_header_value = on_value,
};

/* http-parser's own limit of 80 KiB is one number for the process. */
static void raise_parser_limit(void)
{
    http_parser_set_max_header_size(HTTP_PARSER_MAX_BYTES);
}

/*
 * Runs http-parser over a whole head that passed the strict pass. As the head is fed in one piece
 * (for requests behind their method), each callback is called once for each name, value and text.
 */
static int tokenize(enum http_parser_type type, struct str head, struct tokens *t, struct err *e)
{
    static once_flag limit_raised = ONCE_FLAG_INIT;
    static const struct str method = STR_INIT("GET ");
    http_parser p;
    size_t used;

    call_once(&limit_raised, raise_parser_limit);
    http_parser_init(&p, type);
    p.data = t;
    if (type == HTTP_REQUEST)
        (void)http_parser_execute(&p, &parser_settings, method.p, method.n);
    used = http_parser_execute(&p, &parser_settings, head.p, head.n);
    if (HTTP_PARSER_ERRNO(&p) != HPE_OK)
        return err_set(e, E_BAD_REQUEST, "%s", http_errno_description(HTTP_PARSER_ERRNO(&p)));
    if (used != head.n || t->count != t->cap)
        return err_set(e, E_BAD_REQUEST, "the head cannot be parsed");
    return 0;
}

/* ---- the fields that frame and route a message ---- */

struct framing {
    struct str host;
    bool has_host;
    bool has_length;
    bool chunked;
    bool close;
    bool keep_alive;
    bool asks_upgrade; /* Connection lists upgrade */
    bool has_h2c;
    bool expect_continue;
    size_t connection_options;
    uint64_t length;
    struct str upgrade;
};

typedef int field_fn(struct framing *f, struct str value, struct err *e);

static int on_host(struct framing *f, struct str value, struct err *e)
{
    if (f->has_host)
        return err_set(e, E_BAD_REQUEST, "Host is sent twice");
    f->has_host = true;
    f->host = value;
    return 0;
}

/* Repeats are refused even when they agree, which RFC 9112 section 6.3 leaves open. */
static int on_content_length(struct framing *f, struct str value, struct err *e)
{
    if (f->has_length)
        return err_set(e, E_BAD_REQUEST, "Content-Length is sent twice");
    f->has_length = true;
    if (str_to_u64(value, INT64_MAX, &f->length) == -1)
        return err_set(e, E_BAD_REQUEST, "Content-Length is not a number");
    return 0;
}

static int on_transfer_encoding(struct framing *f, struct str value, struct err *e)
{
    if (f->chunked)
        return err_set(e, E_BAD_REQUEST, "Transfer-Encoding is sent twice");
    if (!str_eq_nocase(value, STR("chunked")))
        return err_set(e, E_BAD_REQUEST, "Transfer-Encoding is not exactly \"chunked\"");
    f->chunked = true;
    return 0;
}

static int on_connection(struct framing *f, struct str value, struct err *e)
{
    struct str option;

    while (str_next(&value, ',', &option)) {
        option = str_trim_ows(option);
        if (++f->connection_options > HTTP_CONNECTION_OPTIONS_MAX)
            return err_set(e, E_BAD_REQUEST, "Connection has more than %d options",
                           HTTP_CONNECTION_OPTIONS_MAX);
        if (str_eq_nocase(option, STR("close")))
            f->close = true;
        else if (str_eq_nocase(option, STR("keep-alive")))
            f->keep_alive = true;
        else if (str_eq_nocase(option, STR("upgrade")))
            f->asks_upgrade = true;
    }
    return 0;
}

/* Of several Upgrade fields the first counts: the protocols in it are those the sender prefers. */
static int on_upgrade(struct framing *f, struct str value, struct err *e)
{
    struct str rest = value;
    struct str protocol;

    (void)e;
    while (str_next(&rest, ',', &protocol)) {
        if (str_eq_nocase(str_trim_ows(protocol), STR("h2c")))
            f->has_h2c = true;
    }
    if (f->upgrade.n == 0)
        f->upgrade = value;
    return 0;
}

/* Expectations other than this one are ignored (RFC 9110 section 10.1.1 lets a server do so). */
static int on_expect(struct framing *f, struct str value, struct err *e)
{
    (void)e;
    if (str_eq_nocase(value, STR("100-continue")))
        f->expect_continue = true;
    return 0;
}

static const struct {
    struct str name;
    field_fn *fn;
} known[] = {
    { STR_INIT("host"), on_host },
    { STR_INIT("expect"), on_expect },
    { STR_INIT("upgrade"), on_upgrade },
    { STR_INIT("connection"), on_connection },
    { STR_INIT("content-length"), on_content_length },
    { STR_INIT("transfer-encoding"), on_transfer_encoding },
};

/* Reads the known fields and checks that they agree. Nothing in a list of values is forgiven. */
static int read_framing(const struct http_headers *h, struct framing *f, struct err *e)
{
    *f = (struct framing){ 0 };
    for (size_t i = 0; i < h->count; i++) {
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            if (known[k].name.n != h->items[i].name.n ||
                !str_eq_nocase(known[k].name, h->items[i].name))
                continue;
            if (known[k].fn(f, h->items[i].value, e) == -1)
                return -1;
            break;
        }
    }
    if (f->has_length && f->chunked)
        return err_set(e, E_BAD_REQUEST, "Content-Length and Transfer-Encoding are both sent");
    /* A switch to h2c would carry requests past the proxy, so none of such a list is passed on. */
    if (!f->asks_upgrade || f->has_h2c)
        f->upgrade = STR_NONE;
    return 0;
}

/* Runs http-parser over a checked head with `count` fields and fills *out. */
static int parse_fields(enum http_parser_type type, struct str head, size_t count, struct arena *a,
                        struct tokens *t, struct http_headers *out, struct err *e)
{
    *out = (struct http_headers){ 0 };
    http_headers_reserve(out, a, count + HEADERS_SPARE);
    *t = (struct tokens){ .items = out->items, .cap = count };
    if (tokenize(type, head, t, e) == -1)
        return -1;
    out->count = t->count;
    return 0;
}

/* ---- requests ---- */

/* Gives an absolute target its origin form; *authority gets what stood in front of it. */
static int parse_absolute_target(struct http_request *r, struct arena *a, struct err *e)
{
    size_t scheme = str_find_char(r->target, ':');
    struct str rest = str_skip(r->target, scheme + 3);
    size_t end = 0;

    if (!str_eq_nocase(str_slice(r->target, 0, scheme), STR("http")) &&
        !str_eq_nocase(str_slice(r->target, 0, scheme), STR("https")))
        return err_set(e, E_BAD_REQUEST, "the request target is neither a path nor an http URL");
    if (!str_starts(str_skip(r->target, scheme), STR("://")))
        return err_set(e, E_BAD_REQUEST, "the request target is not a URL");
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    r->authority = str_slice(rest, 0, end);
    r->target = str_skip(rest, end);
    if (r->target.n == 0)
        r->target = str_eq(r->method, STR("OPTIONS")) ? STR("*") : STR("/");
    else if (r->target.p[0] == '?')
        r->target = arena_fmt(a, "/%.*s", STR_ARG(r->target));
    return 0;
}

/*
 * Origin form, absolute form, and "*" of OPTIONS (RFC 9112 section 3.2). A fragment has no place in
 * a target, and servers disagree on what to do with one.
 */
static int parse_target(struct http_request *r, struct arena *a, struct err *e)
{
    size_t question;

    if (str_find_char(r->target, '#') != r->target.n)
        return err_set(e, E_BAD_REQUEST, "the request target has a fragment");
    if (str_eq(r->target, STR("*"))) {
        if (!str_eq(r->method, STR("OPTIONS")))
            return err_set(e, E_BAD_REQUEST, "the target * is for OPTIONS only");
    } else if (r->target.p[0] != '/' && parse_absolute_target(r, a, e) == -1) {
        return -1;
    }
    question = str_find_char(r->target, '?');
    r->path = str_slice(r->target, 0, question);
    r->query = str_skip(r->target, question + 1);
    return 0;
}

/* Host must be there and valid also when the authority of the target overrules it. */
static int parse_host(struct http_request *r, const struct framing *f, struct err *e)
{
    if (!f->has_host)
        return err_set(e, E_BAD_REQUEST, "Host is missing");
    if (http_authority_parse(f->host, r->host, &r->port) == -1)
        return err_set(e, E_BAD_REQUEST, "Host is not a valid host name");
    if (r->authority.p == NULL)
        r->authority = f->host;
    else if (http_authority_parse(r->authority, r->host, &r->port) == -1)
        return err_set(e, E_BAD_REQUEST, "the host of the request target is not valid");
    (void)http_headers_remove(&r->headers, STR("host"));
    return 0;
}

static void apply_request_framing(struct http_request *r, const struct framing *f)
{
    r->has_content_length = f->has_length;
    r->content_length = f->length;
    if (f->chunked)
        r->body = HTTP_BODY_CHUNKED;
    else if (f->length > 0)
        r->body = HTTP_BODY_LENGTH;
    r->keep_alive = !f->close;
    /* Without a body there is nothing to hold back. */
    r->expect_continue = f->expect_continue && r->body != HTTP_BODY_NONE;
    r->upgrade = f->upgrade;
}

int http1_parse_request(struct str head, struct arena *a, struct http_request *out, struct err *e)
{
    struct start_line line;
    struct tokens t;
    struct framing f;
    size_t count = 0;

    *out = (struct http_request){ .version_major = 1, .version_minor = 1, .body = HTTP_BODY_NONE };
    head = arena_str(a, str_skip(head, empty_lines_span(head)));
    if (split_start_line(head, &line, e) == -1 || check_request_line(&line, e) == -1 ||
        check_field_section(line.fields, &count, e) == -1)
        return -1;
    out->method = line.first;
    if (parse_fields(HTTP_REQUEST, str_skip(head, line.first.n + 1), count, a, &t, &out->headers,
                     e) == -1)
        return -1;
    out->target = t.text;
    if (parse_target(out, a, e) == -1 || read_framing(&out->headers, &f, e) == -1 ||
        parse_host(out, &f, e) == -1)
        return -1;
    apply_request_framing(out, &f);
    return 0;
}

/* ---- responses ---- */

static bool has_no_body(unsigned status, struct str request_method)
{
    return status < 200 || status == 204 || status == 304 || str_eq(request_method, STR("HEAD"));
}

/* RFC 9112 section 6.3, and section 9.3 for the connection. */
static int apply_response_framing(struct http_response *r, const struct framing *f,
                                  struct str request_method, struct err *e)
{
    bool framed = f->chunked || f->length > 0;

    if (f->chunked && r->version_minor == 0)
        return err_set(e, E_BAD_REQUEST, "Transfer-Encoding in HTTP/1.0");
    if (r->status == 101 && f->upgrade.n == 0)
        return err_set(e, E_BAD_REQUEST, "101 without the protocol it switches to");
    r->has_content_length = f->has_length;
    r->content_length = f->length;
    r->keep_alive = !f->close && (r->version_minor == 1 || f->keep_alive);
    if (r->status == 101)
        r->upgrade = f->upgrade;
    if (has_no_body(r->status, request_method)) {
        /* A 204 that announces content may send it, and the next response would begin with it. */
        if (r->status == 204 && framed)
            r->keep_alive = false;
    } else if (f->chunked) {
        r->body = HTTP_BODY_CHUNKED;
    } else if (f->has_length) {
        r->body = f->length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    } else {
        r->body = HTTP_BODY_CLOSE;
        r->keep_alive = false;
    }
    return 0;
}

/* As http1_parse_response(), with the codes of a request. */
static int parse_response(struct str head, struct str request_method, struct arena *a,
                          struct http_response *out, struct err *e)
{
    struct start_line line;
    struct tokens t;
    struct framing f;
    size_t count = 0;

    if (head.n > 0 && is_tls(head.p[0]))
        return err_set(e, E_BAD_REQUEST, "it is not HTTP; the upstream may speak TLS");
    head = arena_str(a, head);
    if (split_start_line(head, &line, e) == -1 || check_status_line(&line, e) == -1 ||
        check_field_section(line.fields, &count, e) == -1 ||
        parse_fields(HTTP_RESPONSE, head, count, a, &t, &out->headers, e) == -1 ||
        read_framing(&out->headers, &f, e) == -1)
        return -1;
    out->version_minor = (unsigned)(line.first.p[7] - '0');
    for (size_t i = 0; i < 3; i++)
        out->status = out->status * 10 + (unsigned)(line.rest.p[i] - '0');
    out->reason = t.text;
    return apply_response_framing(out, &f, request_method, e);
}

int http1_parse_response(struct str head, struct str request_method, struct arena *a,
                         struct http_response *out, struct err *e)
{
    *out = (struct http_response){ .body = HTTP_BODY_NONE };
    if (parse_response(head, request_method, a, out, e) == 0)
        return 0;
    if (e != NULL)
        e->code = E_UPSTREAM_INVALID;
    return err_prefix(e, "the upstream's response is malformed");
}
