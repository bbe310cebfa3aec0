#include "policy/body_replace.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "policy/coding.h"
#include "policy/media_type.h"
#include "policy/replacements.h"

struct body_replace {
    struct replacements replacements;
    size_t body_max_bytes;
};

struct body_replace *body_replace_compile(const struct fields *c)
{
    static const char *const known[] = { "replacements", NULL };
    struct body_replace *b = mem_zalloc(sizeof(*b));

    (void)fields_known(c, known);
    b->body_max_bytes = fields_limits(c)->policy_body_max_bytes;
    replacements_read(c, REPLACEMENTS_BODY, &b->replacements);
    return b;
}

void body_replace_free(struct body_replace *b)
{
    if (b == NULL)
        return;
    replacements_fini(&b->replacements);
    mem_free(b);
}

static struct str header(struct action_run *run, enum policy_message m, const char *name, size_t i)
{
    return run->host->header_find(run->ctx, m, str_from(name), i);
}

/* An event stream may never end. */
static bool is_event_stream(struct action_run *run, enum policy_message m)
{
    return m == POLICY_RESPONSE &&
           media_type_is(header(run, m, "content-type", 0), STR("text/event-stream"));
}

/* True if compress-response has run: its Content-Encoding is of what it will make of the body. */
static bool is_compressed_later(const struct action_run *run, enum policy_message m)
{
    struct str algorithm = run->outcome->compression_algorithm;

    return m == POLICY_RESPONSE && algorithm.n > 0 && !str_eq(algorithm, STR("none"));
}

/* The codings that the body is in, as one list (RFC 9110 section 5.3). */
static struct str encoding_of(struct action_run *run, enum policy_message m)
{
    struct str list = header(run, m, "content-encoding", 0);
    struct str next;

    for (size_t i = 1;; i++) {
        next = header(run, m, "content-encoding", i);
        if (next.p == NULL)
            return list;
        list = arena_fmt(run->arena, "%.*s,%.*s", STR_ARG(list), STR_ARG(next));
    }
}

static int decode(struct action_run *run, enum policy_message m, struct str body, struct buf *out,
                  struct err *e)
{
    struct str encoding = is_compressed_later(run, m) ? STR_NONE : encoding_of(run, m);

    if (body.n == 0)
        return 0;
    if (coding_decode_all(encoding, body, out, e) == 0)
        return 0;
    if (m == POLICY_RESPONSE && e->code == E_POLICY_BODY_TOO_LARGE)
        e->code = E_POLICY_RESPONSE_TOO_LARGE;
    return -1;
}

/* ---- bytes that are no UTF-8 are matched as Latin-1 (D50) ----------------------------------------- */

enum { LATIN1_GROWTH = 2 }; /* bytes of a character beyond ASCII */

static void from_latin1(struct buf *text)
{
    struct str bytes = buf_str(text);
    struct buf wide;

    buf_init(&wide, text->max * LATIN1_GROWTH);
    for (size_t i = 0; bytes.p != NULL && i < bytes.n; i++) {
        char c[UTF8_MAX_BYTES];

        buf_add_str(&wide, str_of(c, utf8_encode((unsigned char)bytes.p[i], c)));
    }
    buf_fini(text);
    *text = wide;
}

/* Characters that Latin-1 does not have come from the policy, and stay UTF-8. */
static int to_latin1(struct buf *text, size_t max_bytes, struct err *e)
{
    struct str rest = buf_str(text);
    struct buf bytes;
    size_t n;

    buf_init(&bytes, max_bytes);
    for (; rest.n > 0; rest = str_skip(rest, n)) {
        uint32_t c = utf8_decode(rest, &n);

        if (c <= UINT8_MAX)
            buf_add_char(&bytes, (char)c);
        else
            buf_add_str(&bytes, str_slice(rest, 0, n));
    }
    buf_fini(text);
    *text = bytes;
    return buf_failed(text) ? err_set(e, E_REPLACE_FAILED, "the new body is too long") : 0;
}

/* ---- replacing ------------------------------------------------------------------------------------- */

/* Runs all replacements, each on the result of the one before; *text then holds the new body. *count
 * comes in as 0. */
static int replace(const struct body_replace *b, struct action_run *run, struct buf *text,
                   struct cel_value *results, size_t *count, struct err *e)
{
    for (size_t i = 0; i < b->replacements.count; i++) {
        struct buf next;
        struct str matched;

        buf_init(&next, text->max);
        if (replacement_apply(&b->replacements.items[i], run, buf_str(text), &next, &matched, e) ==
            -1) {
            buf_fini(&next);
            return -1;
        }
        if (matched.p == NULL) {
            buf_fini(&next);
            continue;
        }
        results[*count] = cel_null();
        if (action_wants_result(run))
            results[*count] = replacement_result(run, i, matched);
        (*count)++;
        buf_fini(text);
        *text = next;
    }
    return 0;
}

/* What described the old body is gone with it. */
static void put_body(struct action_run *run, enum policy_message m, struct str body)
{
    static const char *const old[] = { "etag", "content-md5", "digest", "content-digest",
                                       "repr-digest" };

    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        (void)run->host->header_remove(run->ctx, m, str_from(old[i]));
    if (!is_compressed_later(run, m))
        (void)run->host->header_remove(run->ctx, m, STR("content-encoding"));
    run->host->set_body(run->ctx, m, body);
}

static enum policy_verdict change(const struct body_replace *b, struct action_run *run,
                                  enum policy_message m, struct str body)
{
    struct cel_value results[REPLACEMENTS_MAX];
    struct buf text;
    struct err e;
    size_t count = 0;
    bool is_latin1;
    int rc;

    buf_init(&text, b->body_max_bytes);
    rc = decode(run, m, body, &text, &e);
    is_latin1 = rc == 0 && !utf8_is_valid(buf_str(&text));
    if (is_latin1)
        from_latin1(&text);
    if (rc == 0)
        rc = replace(b, run, &text, results, &count, &e);
    if (rc == 0 && is_latin1)
        rc = to_latin1(&text, b->body_max_bytes, &e);
    if (rc == 0 && count > 0)
        put_body(run, m, buf_str(&text));
    buf_fini(&text);
    if (rc == -1)
        return action_fail_err(run, &e);
    if (action_wants_result(run))
        replacements_set_result(run, results, count);
    return POLICY_CONTINUE;
}

/* There is nothing to replace. */
static enum policy_verdict leave(struct action_run *run)
{
    if (action_wants_result(run))
        replacements_set_result(run, NULL, 0);
    return POLICY_CONTINUE;
}

enum policy_verdict body_replace_run(const struct body_replace *b, struct action_run *run,
                                     enum policy_message m)
{
    struct str body;
    struct err e;

    if (!run->host->has_body(run->ctx, m) || is_event_stream(run, m))
        return leave(run);
    switch (run->host->body(run->ctx, m, b->body_max_bytes, &body, &e)) {
    case POLICY_READY:
        /* A request without a body must not get one. */
        return body.n == 0 && m == POLICY_REQUEST ? leave(run) : change(b, run, m, body);
    case POLICY_PENDING:
        return POLICY_SUSPEND;
    case POLICY_FAILED:
        return action_fail_err(run, &e);
    }
    return POLICY_CONTINUE;
}
