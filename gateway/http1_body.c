/*
 * The chunked decoder is a machine over single bytes for the framing and one step for a run of
 * content, so that it does not matter how the bytes are cut. It is not http-parser's, which takes
 * bare LF behind sizes, extensions without end, and gives content to callbacks only.
 */
#include "gateway/http1.h"

#include <assert.h>

#include "gateway/http1_int.h"

void http1_body_init(struct http1_body *b, enum http_body kind, uint64_t content_length)
{
    *b = (struct http1_body){ .kind = kind, .state = HTTP1_BODY_DATA };
    buf_init(&b->trailer_text, HTTP1_TRAILERS_MAX_BYTES);
    if (kind == HTTP_BODY_CHUNKED)
        b->state = HTTP1_BODY_SIZE;
    else if (kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && content_length == 0))
        b->state = HTTP1_BODY_DONE;
    else if (kind == HTTP_BODY_LENGTH)
        b->left = content_length;
}

void http1_body_fini(struct http1_body *b)
{
    buf_fini(&b->trailer_text);
}

bool http1_body_is_done(const struct http1_body *b)
{
    return b->state == HTTP1_BODY_DONE;
}

/* ---- the framing of chunks, byte by byte ---- */

typedef int step_fn(struct http1_body *b, char c, struct err *e);

/* What may follow the size: its end, or space and an extension (RFC 9112 section 7.1.1). */
static int on_size_end(struct http1_body *b, char c, struct err *e)
{
    if (c == ';')
        b->state = HTTP1_BODY_EXTENSION;
    else if (c == ' ' || c == '\t')
        b->state = HTTP1_BODY_SIZE_PAD;
    else if (c == '\r' && b->state == HTTP1_BODY_SIZE)
        b->state = HTTP1_BODY_SIZE_LF;
    else
        return err_set(e, E_BAD_REQUEST, "illegal character behind a chunk size");
    return 0;
}

static int on_size(struct http1_body *b, char c, struct err *e)
{
    int digit = char_hex_value(c);

    if (digit == -1 && b->digits > 0)
        return on_size_end(b, c, e);
    if (digit == -1)
        return err_set(e, E_BAD_REQUEST, "a chunk has no size");
    /* Sixteen digits fill the 64 bits of `left` exactly. */
    if (++b->digits > HTTP1_CHUNK_SIZE_MAX_DIGITS)
        return err_set(e, E_BAD_REQUEST, "a chunk size has more than %d digits",
                       HTTP1_CHUNK_SIZE_MAX_DIGITS);
    b->left = b->left << 4 | (unsigned)digit;
    return 0;
}

/* Extensions are read over. They may hold no controls: a bare LF in one is where parsers differ. */
static int on_extension(struct http1_body *b, char c, struct err *e)
{
    if (c == '\r') {
        b->state = HTTP1_BODY_SIZE_LF;
        return 0;
    }
    if (http_value_span(str_of(&c, 1)) == 0)
        return err_set(e, E_BAD_REQUEST, "control character in a chunk extension");
    return 0;
}

static int on_size_lf(struct http1_body *b, char c, struct err *e)
{
    if (c != '\n')
        return err_set(e, E_BAD_REQUEST, "a chunk size is not followed by CRLF");
    b->state = b->left > 0 ? HTTP1_BODY_DATA : HTTP1_BODY_TRAILERS;
    b->digits = 0;
    b->line_bytes = 0;
    return 0;
}

static int on_data_cr(struct http1_body *b, char c, struct err *e)
{
    if (c != '\r')
        return err_set(e, E_BAD_REQUEST, "a chunk is longer than its size");
    b->state = HTTP1_BODY_DATA_LF;
    return 0;
}

static int on_data_lf(struct http1_body *b, char c, struct err *e)
{
    if (c != '\n')
        return err_set(e, E_BAD_REQUEST, "a chunk is not followed by CRLF");
    b->state = HTTP1_BODY_SIZE;
    return 0;
}

/* Trailer lines are kept until the empty line. */
static int on_trailer(struct http1_body *b, char c, struct err *e)
{
    struct str text = buf_str(&b->trailer_text);
    bool at_line_start = text.n == 0 || str_ends(text, STR("\n"));

    if (at_line_start && c == '\r') {
        b->state = HTTP1_BODY_END_LF;
        return 0;
    }
    if (c == '\n' && !str_ends(text, STR("\r")))
        return err_set(e, E_BAD_REQUEST, "a trailer ends in LF without CR");
    buf_add_char(&b->trailer_text, c);
    if (buf_failed(&b->trailer_text))
        return err_set(e, E_BAD_REQUEST, "the trailers are larger than %d bytes",
                       HTTP1_TRAILERS_MAX_BYTES);
    return 0;
}

/* The section has ended: what was kept is checked as the fields of a head are. */
static int on_end_lf(struct http1_body *b, char c, struct err *e)
{
    size_t count;

    if (c != '\n')
        return err_set(e, E_BAD_REQUEST, "the trailers do not end in CRLF");
    if (http1_check_fields(buf_str(&b->trailer_text), &count, e) == -1) {
        if (e != NULL)
            e->code = E_BAD_REQUEST;
        return err_prefix(e, "bad trailer");
    }
    b->state = HTTP1_BODY_DONE;
    return 0;
}

/* The states that take framing, a byte at a time. */
static step_fn *const steps[] = {
    [HTTP1_BODY_SIZE] = on_size,
    [HTTP1_BODY_SIZE_PAD] = on_size_end,
    [HTTP1_BODY_EXTENSION] = on_extension,
    [HTTP1_BODY_SIZE_LF] = on_size_lf,
    [HTTP1_BODY_DATA] = NULL,
    [HTTP1_BODY_DATA_CR] = on_data_cr,
    [HTTP1_BODY_DATA_LF] = on_data_lf,
    [HTTP1_BODY_TRAILERS] = on_trailer,
    [HTTP1_BODY_END_LF] = on_end_lf,
    [HTTP1_BODY_DONE] = NULL,
};

/* Counts a byte of a chunk line, its CRLF not included. */
static int count_chunk_line(struct http1_body *b, char c, struct err *e)
{
    if (b->state > HTTP1_BODY_EXTENSION || c == '\r')
        return 0;
    if (++b->line_bytes > HTTP1_CHUNK_LINE_MAX_BYTES)
        return err_set(e, E_BAD_REQUEST, "a chunk line is longer than %d bytes",
                       HTTP1_CHUNK_LINE_MAX_BYTES);
    return 0;
}

/* Takes framing from `at` on; returns 0 with *at at the first byte that is none. */
static int read_framing(struct http1_body *b, struct str in, size_t *at, struct err *e)
{
    while (*at < in.n && steps[b->state] != NULL) {
        char c = in.p[*at];

        if (count_chunk_line(b, c, e) == -1 || steps[b->state](b, c, e) == -1)
            return -1;
        (*at)++;
    }
    return 0;
}

/* ---- content ---- */

static struct str take_content(struct http1_body *b, struct str in)
{
    if (b->kind == HTTP_BODY_CLOSE)
        return in;
    if (in.n > b->left)
        in.n = (size_t)b->left;
    b->left -= in.n;
    if (b->left == 0)
        b->state = b->kind == HTTP_BODY_CHUNKED ? HTTP1_BODY_DATA_CR : HTTP1_BODY_DONE;
    return in;
}

/* Framing behind the content is taken in the same call, so that a small chunk costs one. */
int http1_body_read(struct http1_body *b, struct str in, struct str *data, size_t *used,
                    struct err *e)
{
    struct str content = str_of(in.p, 0);
    size_t at = 0;

    *data = content;
    *used = 0;
    if (read_framing(b, in, &at, e) == -1)
        return -1;
    if (b->state == HTTP1_BODY_DATA) {
        content = take_content(b, str_skip(in, at));
        at += content.n;
        if (read_framing(b, in, &at, e) == -1)
            return -1;
    }
    *data = content;
    *used = at;
    return 0;
}

/* ---- trailers ---- */

int http1_body_trailers(struct http1_body *b, struct arena *a, struct http_headers *out,
                        struct err *e)
{
    struct str text = arena_str(a, buf_str(&b->trailer_text));

    *out = (struct http_headers){ 0 };
    if (!http1_body_is_done(b))
        return err_set(e, E_BAD_REQUEST, "the body has not ended");
    while (text.n > 0) { /* each line was checked when the section ended */
        size_t end = str_find(text, STR("\r\n"));
        size_t colon = str_find_char(text, ':');
        struct str name = str_slice(text, 0, colon);

        assert(colon < end && end < text.n);
        if (http_may_be_trailer(name))
            http_headers_add(out, a, name, str_trim_ows(str_slice(text, colon + 1, end)));
        text = str_skip(text, end + 2);
    }
    return 0;
}
