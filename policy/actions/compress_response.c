/*
 * compress-response: compresses a response body while it streams, in the coding that the visitor
 * likes best (spec traffic-policy 6.6, RFC 9110 section 12.5.3).
 */
#include <stdio.h>

#include "base/mem.h"
#include "policy/action.h"
#include "policy/coding.h"
#include "policy/filter.h"
#include "policy/result.h"

/* The known names; LZW is accepted and never chosen. */
enum algorithm { ALGORITHM_LZW = CODING_COUNT };
enum { ALGORITHMS = ALGORITHM_LZW + 1 };

static const char *const algorithm_names[ALGORITHMS + 1] = { "gzip", "deflate",  "br",
                                                             "zstd", "compress", NULL };

struct compress_response {
    unsigned order[ALGORITHMS]; /* ties go to the first */
    size_t count;
};

static void read_algorithm(const struct field *f, struct compress_response *c)
{
    struct str name;

    if (field_text(f, &name) == -1)
        return;
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        if (!str_eq(name, str_from(algorithm_names[i])))
            continue;
        for (size_t j = 0; j < c->count; j++) {
            if (c->order[j] == i) {
                (void)field_problem(f, E_POLICY_DUPLICATE, "'%s' is given twice",
                                    algorithm_names[i]);
                return;
            }
        }
        c->order[c->count++] = i;
        return;
    }
    (void)field_problem(f, E_POLICY_COMPRESSION,
                        "unknown algorithm '%.*s'; there are gzip, deflate, br, zstd and compress",
                        STR_ARG(str_slice(name, 0, 40)));
}

void *compress_response_compile(const struct fields *fields)
{
    static const char *const known[] = { "algorithms", NULL };
    struct compress_response *c = mem_zalloc(sizeof(*c));
    struct field list = fields_find(fields, "algorithms");
    size_t count = 0;

    (void)fields_known(fields, known);
    (void)field_list(&list, 1, ALGORITHMS, &count);
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);

        read_algorithm(&item, c);
    }
    for (unsigned i = 0; !field_is_given(&list) && i < ALGORITHMS; i++)
        c->order[c->count++] = i;
    return c;
}

/* ---- negotiation ------------------------------------------------------------------------------ */

enum { QUALITY_MAX = 1000, QUALITY_NONE = -1 };

/* What Accept-Encoding says of each algorithm, in thousandths. */
struct wishes {
    int quality[ALGORITHMS];
    int any;      /* "*" */
    int identity; /* QUALITY_NONE: not mentioned */
};

/* "1", "0.5", "0.123" (RFC 9110 section 12.4.2); anything else counts as 0: not wanted. */
static int read_quality(struct str text)
{
    int value = 0;
    int scale = QUALITY_MAX;

    if (text.n == 0 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
        (text.n > 1 && text.p[1] != '.'))
        return 0;
    value = (text.p[0] - '0') * QUALITY_MAX;
    for (size_t i = 2; i < text.n; i++) {
        if (!char_is_digit(text.p[i]))
            return 0;
        scale /= 10;
        value += (text.p[i] - '0') * scale;
    }
    return value > QUALITY_MAX ? 0 : value;
}

static void read_wish(struct str item, struct wishes *w)
{
    size_t semicolon = str_find_char(item, ';');
    struct str name = str_trim_ows(str_slice(item, 0, semicolon));
    struct str weight = str_trim_ows(str_skip(item, semicolon + 1));
    int quality = QUALITY_MAX;

    if (semicolon < item.n)
        quality = str_starts_nocase(weight, STR("q=")) ? read_quality(str_skip(weight, 2)) : 0;
    if (str_eq(name, STR("*")))
        w->any = quality;
    else if (str_eq_nocase(name, STR("identity")))
        w->identity = quality;
    else if (str_eq_nocase(name, STR("x-gzip")))
        w->quality[CODING_GZIP] = quality;
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        if (str_eq_nocase(name, str_from(algorithm_names[i])))
            w->quality[i] = quality;
    }
}

static bool read_wishes(struct action_run *run, struct wishes *w)
{
    bool given = false;
    struct str field;
    struct str item;

    *w = (struct wishes){ .any = QUALITY_NONE, .identity = QUALITY_NONE };
    for (unsigned i = 0; i < ALGORITHMS; i++)
        w->quality[i] = QUALITY_NONE;
    for (size_t i = 0;; i++) {
        field = run->host->header_find(run->ctx, POLICY_REQUEST, STR("accept-encoding"), i);
        if (field.p == NULL)
            return given;
        given = true;
        while (str_next(&field, ',', &item))
            read_wish(item, w);
    }
}

/* The coding to use; -1: none. */
static int choose(const struct compress_response *c, const struct wishes *w)
{
    int best = -1;
    int best_quality = 0;

    for (size_t i = 0; i < c->count; i++) {
        unsigned a = c->order[i];
        int quality = w->quality[a] != QUALITY_NONE ? w->quality[a] : w->any;

        if (a == ALGORITHM_LZW || quality <= best_quality)
            continue;
        best = (int)a;
        best_quality = quality;
    }
    return w->identity > best_quality ? -1 : best;
}

/* ---- the filter ------------------------------------------------------------------------------- */

struct compress_filter {
    struct policy_filter filter;    /* first */
    struct encoder *encoder;        /* owned */
    struct policy_outcome *outcome; /* borrowed: of the run, which outlives its filters */
    uint64_t in_bytes;
    uint64_t out_bytes;
};

static int push(struct compress_filter *f, struct str in, enum coding_flush flush, struct buf *out,
                struct err *e)
{
    size_t before = out->len;
    int rc = encoder_push(f->encoder, in, flush, out, e);

    f->in_bytes += in.n;
    f->out_bytes += out->len - before;
    f->outcome->compression_saved_bytes =
        f->in_bytes > f->out_bytes ? f->in_bytes - f->out_bytes : 0;
    return rc;
}

static int filter_push(struct policy_filter *f, struct str in, struct buf *out, struct err *e)
{
    return push((struct compress_filter *)f, in, CODING_MORE, out, e);
}

static int filter_flush(struct policy_filter *f, struct buf *out, struct err *e)
{
    return push((struct compress_filter *)f, STR_NONE, CODING_FLUSH, out, e);
}

static int filter_finish(struct policy_filter *f, struct buf *out, struct err *e)
{
    return push((struct compress_filter *)f, STR_NONE, CODING_FINISH, out, e);
}

static void filter_free(struct policy_filter *f)
{
    encoder_free(((struct compress_filter *)f)->encoder);
    mem_free(f);
}

static const struct policy_filter_ops filter_ops = {
    .name = "compress",
    .push = filter_push,
    .flush = filter_flush,
    .finish = filter_finish,
    .free = filter_free,
};

/* ---- run -------------------------------------------------------------------------------------- */

static struct str response_field(struct action_run *run, const char *name)
{
    return run->host->header_find(run->ctx, POLICY_RESPONSE, str_from(name), 0);
}

/* True if one of the response's fields of that name lists the word. */
static bool has_word(struct action_run *run, const char *name, struct str word)
{
    struct str list;
    struct str item;

    for (size_t i = 0;; i++) {
        list = run->host->header_find(run->ctx, POLICY_RESPONSE, str_from(name), i);
        if (list.p == NULL)
            return false;
        while (str_next(&list, ',', &item)) {
            if (str_eq_nocase(str_trim_ows(item), word))
                return true;
        }
    }
}

/* Responses that must reach the visitor as they are, or have nothing to compress. */
static bool is_untouchable(struct action_run *run)
{
    int64_t status = run->host->var(run->ctx, VAR_RES_STATUS_CODE, run->arena).as.i;
    struct str method = cel_str(run->host->var(run->ctx, VAR_REQ_METHOD, run->arena));

    return status < 200 || status == 204 || status == 205 || status == 206 || status == 304 ||
           str_eq(method, STR("HEAD")) || !run->host->has_body(run->ctx, POLICY_RESPONSE) ||
           response_field(run, "content-range").p != NULL ||
           has_word(run, "cache-control", STR("no-transform"));
}

static void replace(struct action_run *run, const char *name, struct str value)
{
    (void)run->host->header_remove(run->ctx, POLICY_RESPONSE, str_from(name));
    run->host->header_add(run->ctx, POLICY_RESPONSE, str_from(name), value);
}

/* A validator of the uncompressed bytes is only a weak one now (RFC 9110 section 8.8.1); digests of
 * them are wrong, and their ranges are gone. */
static void change_headers(struct action_run *run, enum coding coding)
{
    static const char *const old[] = { "accept-ranges", "content-md5", "digest", "content-digest",
                                       "repr-digest" };
    struct str etag = response_field(run, "etag");

    run->host->header_add(run->ctx, POLICY_RESPONSE, STR("content-encoding"),
                          str_from(coding_name(coding)));
    if (!has_word(run, "vary", STR("accept-encoding")))
        run->host->header_add(run->ctx, POLICY_RESPONSE, STR("vary"), STR("Accept-Encoding"));
    if (etag.p != NULL && !str_starts(etag, STR("W/")))
        replace(run, "etag", arena_fmt(run->arena, "W/%.*s", STR_ARG(etag)));
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        (void)run->host->header_remove(run->ctx, POLICY_RESPONSE, str_from(old[i]));
}

static bool start_filter(struct action_run *run, enum coding coding)
{
    struct compress_filter *f = mem_zalloc(sizeof(*f));

    f->filter.ops = &filter_ops;
    f->encoder = encoder_new(coding);
    f->outcome = run->outcome;
    if (f->encoder == NULL) {
        filter_free(&f->filter);
        return false;
    }
    run->host->add_filter(run->ctx, &f->filter);
    return true;
}

static void set_result(struct action_run *run, bool already, struct str algorithm)
{
    const struct result_field result[] = { { "already_compressed", cel_bool(already) },
                                           { "negotiated_algorithm", cel_string(algorithm) } };

    result_set(run, result, 2);
}

enum policy_verdict compress_response_run(const void *compiled, struct action_run *run)
{
    const struct compress_response *c = compiled;
    struct str encoded = response_field(run, "content-encoding");
    bool already = encoded.n > 0 && !str_eq_nocase(encoded, STR("identity"));
    struct str algorithm = STR_NONE;
    struct wishes wishes;
    int coding = -1;

    if (read_wishes(run, &wishes) && !already && !is_untouchable(run))
        coding = choose(c, &wishes);
    if (coding >= 0 && start_filter(run, (enum coding)coding)) {
        change_headers(run, (enum coding)coding);
        algorithm = str_from(coding_name((enum coding)coding));
    }
    /* A second run finds the response encoded by the first, whose word stands. */
    if (!already || run->outcome->compression_algorithm.n == 0)
        run->outcome->compression_algorithm = algorithm.n > 0 ? algorithm : STR("none");
    if (action_wants_result(run))
        set_result(run, already, algorithm);
    return POLICY_CONTINUE;
}

void compress_response_free(void *compiled)
{
    mem_free(compiled);
}
