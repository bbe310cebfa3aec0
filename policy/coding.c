/*
 * One pair of functions for each library, behind a table: what differs is only how a library is
 * asked to go on. All of them take input and room and say how much of each they used.
 */
#include "policy/coding.h"

#include <limits.h>

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    CHUNK_BYTES = 16 * 1024,
    WINDOW_BITS = 15,
    GZIP_FORMAT = 16,
    MEM_LEVEL = 8,
    /* Levels at which a CPU still compresses tens of megabytes a second. */
    ZLIB_LEVEL = 5,
    BROTLI_QUALITY = 4,
    BROTLI_WINDOW_BITS = 19,
    ZSTD_LEVEL = 3,
    /* RFC 8878 section 3.1.1.1.2 advises to support 8 MiB windows; RFC 9659 makes that the limit. */
    ZSTD_WINDOW_LOG_MAX = 23,
    CODINGS_MAX = 4, /* of one body */
};

/* ---- names ------------------------------------------------------------------------------------ */

static const char *const names[CODING_COUNT] = {
    [CODING_GZIP] = "gzip",
    [CODING_DEFLATE] = "deflate",
    [CODING_BR] = "br",
    [CODING_ZSTD] = "zstd",
};

const char *coding_name(enum coding c)
{
    return names[c];
}

int coding_find(struct str name, enum coding *out)
{
    for (int i = 0; i < CODING_COUNT; i++) {
        if (str_eq_nocase(name, str_from(names[i]))) {
            *out = (enum coding)i;
            return 0;
        }
    }
    if (!str_eq_nocase(name, STR("x-gzip")))
        return -1;
    *out = CODING_GZIP;
    return 0;
}

/* ---- encoding --------------------------------------------------------------------------------- */

struct encoder {
    enum coding coding;
    z_stream zlib;
    BrotliEncoderState *brotli; /* owned */
    ZSTD_CStream *zstd;         /* owned */
};

/* What is left of the input, and room for output. */
struct step {
    struct str in;
    char *out;
    size_t room;
};

static bool encoder_start(struct encoder *e)
{
    switch (e->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE:
        return deflateInit2(&e->zlib, ZLIB_LEVEL, Z_DEFLATED,
                            WINDOW_BITS + (e->coding == CODING_GZIP ? GZIP_FORMAT : 0), MEM_LEVEL,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    case CODING_BR:
        e->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
        return e->brotli != NULL &&
               BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_QUALITY, BROTLI_QUALITY) &&
               BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_LGWIN, BROTLI_WINDOW_BITS);
    case CODING_ZSTD:
        e->zstd = ZSTD_createCStream();
        return e->zstd != NULL && !ZSTD_isError(ZSTD_initCStream(e->zstd, ZSTD_LEVEL));
    }
    return false;
}

struct encoder *encoder_new(enum coding c)
{
    struct encoder *e = mem_zalloc(sizeof(*e));

    e->coding = c;
    if (encoder_start(e))
        return e;
    encoder_free(e);
    return NULL;
}

void encoder_free(struct encoder *e)
{
    if (e == NULL)
        return;
    if (e->coding == CODING_GZIP || e->coding == CODING_DEFLATE)
        (void)deflateEnd(&e->zlib); /* it complains of unfinished data, which is meant */
    if (e->brotli != NULL)
        BrotliEncoderDestroyInstance(e->brotli);
    (void)ZSTD_freeCStream(e->zstd); /* NULL is fine */
    mem_free(e);
}

enum step_result { STEP_MORE, STEP_DONE, STEP_FAILED };

/* zlib's pointers are not const, although it only reads. */
static Bytef *zlib_bytes(const char *p)
{
    return (Bytef *)(uintptr_t)p;
}

static void zlib_load(z_stream *z, const struct step *s)
{
    z->next_in = zlib_bytes(s->in.p);
    z->avail_in = (uInt)(s->in.n < UINT_MAX ? s->in.n : UINT_MAX);
    z->next_out = (Bytef *)s->out;
    z->avail_out = (uInt)s->room;
}

static void zlib_store(const z_stream *z, struct step *s)
{
    s->in = str_skip(s->in, (size_t)((const char *)z->next_in - s->in.p));
    s->room = z->avail_out;
}

static enum step_result zlib_encode(struct encoder *e, struct step *s, enum coding_flush flush)
{
    static const int modes[] = {
        [CODING_MORE] = Z_NO_FLUSH, [CODING_FLUSH] = Z_SYNC_FLUSH, [CODING_FINISH] = Z_FINISH
    };
    int rc;

    zlib_load(&e->zlib, s);
    rc = deflate(&e->zlib, modes[flush]);
    zlib_store(&e->zlib, s);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return STEP_FAILED;
    if (flush == CODING_FINISH)
        return rc == Z_STREAM_END ? STEP_DONE : STEP_MORE;
    return s->in.n == 0 && s->room > 0 ? STEP_DONE : STEP_MORE;
}

static enum step_result brotli_encode(struct encoder *e, struct step *s, enum coding_flush flush)
{
    static const BrotliEncoderOperation modes[] = { [CODING_MORE] = BROTLI_OPERATION_PROCESS,
                                                    [CODING_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                    [CODING_FINISH] = BROTLI_OPERATION_FINISH };
    const uint8_t *in = (const uint8_t *)s->in.p;
    uint8_t *out = (uint8_t *)s->out;

    if (!BrotliEncoderCompressStream(e->brotli, modes[flush], &s->in.n, &in, &s->room, &out, NULL))
        return STEP_FAILED;
    s->in.p = (const char *)in;
    if (s->in.n > 0 || BrotliEncoderHasMoreOutput(e->brotli))
        return STEP_MORE;
    return flush != CODING_FINISH || BrotliEncoderIsFinished(e->brotli) ? STEP_DONE : STEP_MORE;
}

static enum step_result zstd_encode(struct encoder *e, struct step *s, enum coding_flush flush)
{
    static const ZSTD_EndDirective modes[] = {
        [CODING_MORE] = ZSTD_e_continue, [CODING_FLUSH] = ZSTD_e_flush, [CODING_FINISH] = ZSTD_e_end
    };
    ZSTD_inBuffer in = { .src = s->in.p, .size = s->in.n };
    ZSTD_outBuffer out = { .dst = s->out, .size = s->room };
    size_t left = ZSTD_compressStream2(e->zstd, &out, &in, modes[flush]);

    s->in = str_skip(s->in, in.pos);
    s->room -= out.pos;
    if (ZSTD_isError(left))
        return STEP_FAILED;
    if (flush == CODING_MORE)
        return s->in.n == 0 ? STEP_DONE : STEP_MORE;
    return left == 0 ? STEP_DONE : STEP_MORE;
}

static enum step_result encode_step(struct encoder *e, struct step *s, enum coding_flush flush)
{
    switch (e->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE:
        return zlib_encode(e, s, flush);
    case CODING_BR:
        return brotli_encode(e, s, flush);
    case CODING_ZSTD:
        return zstd_encode(e, s, flush);
    }
    return STEP_FAILED;
}

int encoder_push(struct encoder *e, struct str in, enum coding_flush flush, struct buf *out,
                 struct err *why)
{
    struct step s = { .in = in.p == NULL ? STR("") : in };
    enum step_result result;

    if (flush == CODING_MORE && in.n == 0)
        return 0;
    do {
        size_t room = CHUNK_BYTES < buf_room(out) ? CHUNK_BYTES : buf_room(out);

        s.room = room;
        s.out = room == 0 ? NULL : buf_reserve(out, room);
        if (s.out == NULL)
            return err_set(why, E_REPLACE_FAILED, "compressing: the output is too large");
        result = encode_step(e, &s, flush);
        buf_commit(out, room - s.room);
    } while (result == STEP_MORE);
    if (result == STEP_FAILED)
        return err_set(why, E_REPLACE_FAILED, "compressing the body failed");
    return 0;
}

/* ---- decoding --------------------------------------------------------------------------------- */

struct decoder {
    enum coding coding;
    z_stream zlib;
    BrotliDecoderState *brotli; /* owned */
    ZSTD_DStream *zstd;         /* owned */
    bool complete;
    bool raw; /* deflate without the zlib format, which some servers send */
    bool started;
};

static bool decoder_start(struct decoder *d)
{
    switch (d->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE:
        return inflateInit2(&d->zlib, WINDOW_BITS + (d->coding == CODING_GZIP ? GZIP_FORMAT : 0)) ==
               Z_OK;
    case CODING_BR:
        d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        return d->brotli != NULL;
    case CODING_ZSTD:
        d->zstd = ZSTD_createDStream();
        return d->zstd != NULL && !ZSTD_isError(ZSTD_initDStream(d->zstd)) &&
               !ZSTD_isError(
                   ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
    }
    return false;
}

struct decoder *decoder_new(enum coding c)
{
    struct decoder *d = mem_zalloc(sizeof(*d));

    d->coding = c;
    if (decoder_start(d))
        return d;
    decoder_free(d);
    return NULL;
}

void decoder_free(struct decoder *d)
{
    if (d == NULL)
        return;
    if (d->coding == CODING_GZIP || d->coding == CODING_DEFLATE)
        (void)inflateEnd(&d->zlib); /* fails only for a state that was never made */
    if (d->brotli != NULL)
        BrotliDecoderDestroyInstance(d->brotli);
    (void)ZSTD_freeDStream(d->zstd); /* NULL is fine */
    mem_free(d);
}

static enum step_result zlib_decode(struct decoder *d, struct step *s)
{
    size_t before = s->in.n;
    int rc;

    zlib_load(&d->zlib, s);
    rc = inflate(&d->zlib, Z_NO_FLUSH);
    if (rc == Z_DATA_ERROR && d->coding == CODING_DEFLATE && !d->started && !d->raw) {
        d->raw = true;
        return inflateReset2(&d->zlib, -WINDOW_BITS) == Z_OK ? STEP_MORE : STEP_FAILED;
    }
    zlib_store(&d->zlib, s);
    d->started = d->started || s->in.n < before;
    if (rc == Z_STREAM_END) {
        d->complete = true;
        return STEP_DONE;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return STEP_FAILED;
    return s->in.n == 0 && s->room > 0 ? STEP_DONE : STEP_MORE;
}

static enum step_result brotli_decode(struct decoder *d, struct step *s)
{
    const uint8_t *in = (const uint8_t *)s->in.p;
    uint8_t *out = (uint8_t *)s->out;
    BrotliDecoderResult rc =
        BrotliDecoderDecompressStream(d->brotli, &s->in.n, &in, &s->room, &out, NULL);

    s->in.p = (const char *)in;
    if (rc == BROTLI_DECODER_RESULT_ERROR)
        return STEP_FAILED;
    d->complete = rc == BROTLI_DECODER_RESULT_SUCCESS;
    return rc == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT ? STEP_MORE : STEP_DONE;
}

static enum step_result zstd_decode(struct decoder *d, struct step *s)
{
    ZSTD_inBuffer in = { .src = s->in.p, .size = s->in.n };
    ZSTD_outBuffer out = { .dst = s->out, .size = s->room };
    size_t left = ZSTD_decompressStream(d->zstd, &out, &in);

    s->in = str_skip(s->in, in.pos);
    s->room -= out.pos;
    if (ZSTD_isError(left))
        return STEP_FAILED;
    d->complete = left == 0;
    if (s->in.n > 0)
        return STEP_MORE; /* frames may follow each other */
    return left > 0 && s->room == 0 ? STEP_MORE : STEP_DONE;
}

static enum step_result decode_step(struct decoder *d, struct step *s)
{
    switch (d->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE:
        return zlib_decode(d, s);
    case CODING_BR:
        return brotli_decode(d, s);
    case CODING_ZSTD:
        return zstd_decode(d, s);
    }
    return STEP_FAILED;
}

/* gzip members may follow each other (RFC 1952 section 2.2). */
static bool starts_another(struct decoder *d)
{
    if (d->coding != CODING_GZIP)
        return d->coding == CODING_ZSTD;
    d->complete = false;
    return inflateReset(&d->zlib) == Z_OK;
}

int decoder_push(struct decoder *d, struct str in, struct buf *out, struct err *why)
{
    struct step s = { .in = in };
    enum step_result result = STEP_DONE;

    while (s.in.n > 0 || result == STEP_MORE) {
        size_t room = CHUNK_BYTES < buf_room(out) ? CHUNK_BYTES : buf_room(out);

        if (d->complete && !starts_another(d))
            return err_set(why, E_POLICY_BODY, "the %s body goes on behind its end",
                           coding_name(d->coding));
        s.room = room;
        s.out = room == 0 ? NULL : buf_reserve(out, room);
        if (s.out == NULL)
            return err_set(why, E_POLICY_BODY_TOO_LARGE, "the decoded body is too large");
        result = decode_step(d, &s);
        buf_commit(out, room - s.room);
        if (result == STEP_FAILED)
            return err_set(why, E_POLICY_BODY,
                           "the body is not what its content-encoding says (%s)",
                           coding_name(d->coding));
    }
    return 0;
}

bool decoder_is_complete(const struct decoder *d)
{
    return d->complete;
}

/* ---- whole bodies ----------------------------------------------------------------------------- */

static int decode_one(enum coding c, struct str body, struct buf *out, struct err *why)
{
    struct decoder *d = decoder_new(c);
    int rc;

    if (d == NULL)
        return err_set(why, E_POLICY_BODY, "decoding the body failed");
    rc = decoder_push(d, body, out, why);
    if (rc == 0 && !decoder_is_complete(d))
        rc = err_set(why, E_POLICY_BODY, "the %s body is incomplete", coding_name(c));
    decoder_free(d);
    return rc;
}

/* Reads the list; "identity" is left out. */
static int read_codings(struct str list, enum coding out[CODINGS_MAX], size_t *count,
                        struct err *why)
{
    struct str item;

    *count = 0;
    while (str_next(&list, ',', &item)) {
        item = str_trim_ows(item);
        if (item.n == 0 || str_eq_nocase(item, STR("identity")))
            continue;
        if (*count == CODINGS_MAX || coding_find(item, &out[*count]) == -1)
            return err_set(why, E_POLICY_BODY, "the content-encoding of the body is not known");
        (*count)++;
    }
    return 0;
}

int coding_decode_all(struct str content_encoding, struct str body, struct buf *out,
                      struct err *why)
{
    enum coding codings[CODINGS_MAX];
    struct buf work;
    size_t count;
    int rc = 0;

    if (read_codings(content_encoding, codings, &count, why) == -1)
        return -1;
    if (count == 0)
        buf_add_str(out, body);
    for (size_t i = count; i-- > 0 && rc == 0;) {
        buf_init(&work, out->max);
        rc = decode_one(codings[i], i + 1 == count ? body : buf_str(out), &work, why);
        buf_fini(out);
        *out = work;
    }
    if (rc == 0 && buf_failed(out))
        rc = err_set(why, E_POLICY_BODY_TOO_LARGE, "the decoded body is too large");
    return rc;
}
