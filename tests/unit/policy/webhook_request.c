#include "tests/unit/policy/webhook_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"

static struct str find_header(void *ctx, struct str name, size_t index)
{
    const struct webhook_request_text *t = ctx;

    for (size_t i = 0; i < t->count; i++) {
        if (str_eq_nocase(t->headers[i].name, name) && index-- == 0)
            return t->headers[i].value;
    }
    return STR_NONE;
}

static void add(struct webhook_request_text *t, struct str name, struct str value)
{
    assert_true(t->count < WEBHOOK_REQUEST_HEADERS_MAX);
    t->headers[t->count].name = name;
    t->headers[t->count++].value = value;
}

void webhook_request_add(struct webhook_request_text *t, const char *name, const char *value)
{
    add(t, str_from(name), str_from(value));
}

void webhook_request_init(struct webhook_request_text *t, struct arena *a, const char *headers,
                          struct str body, uint64_t now_ms)
{
    struct str rest = str_from(headers);
    struct str line;

    memset(t, 0, sizeof(*t));
    t->request = (struct webhook_request){ .method = STR("POST"),
                                           .url = STR("https://hooks.example.com/in"),
                                           .body = body,
                                           .now_ms = now_ms,
                                           .header = find_header,
                                           .ctx = t,
                                           .arena = a };
    while (str_next(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');

        if (line.n > 0)
            add(t, str_slice(line, 0, colon), str_trim(str_skip(line, colon + 1)));
    }
}

enum webhook_verdict webhook_request_check(struct webhook_request_text *t, const char *provider,
                                           const char *secret)
{
    struct webhook *w = webhook_new(str_from(provider));
    struct webhook_key *key = NULL;
    enum webhook_verdict verdict;

    assert_non_null(w);
    t->e.msg[0] = '\0';
    if (secret != NULL) {
        key = webhook_key_new(w, str_from(secret), &t->e);
        if (key == NULL)
            fail_msg("%s: %s", provider, t->e.msg);
    }
    verdict = webhook_check(w, key, &t->request, &t->out, &t->e);
    if (verdict == WEBHOOK_REFUSED) {
        assert_int_equal(t->e.code, E_WEBHOOK_UNVERIFIED);
        assert_true(strlen(t->e.msg) > 0);
    }
    webhook_key_free(key);
    webhook_free(w);
    return verdict;
}

const char *webhook_request_sign(struct arena *a, const char *hash, char text, struct str key,
                                 struct str payload)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char encoded[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned n = 0;

    assert_non_null(HMAC(EVP_get_digestbyname(hash), key.p, (int)key.n,
                         (const unsigned char *)payload.p, payload.n, mac, &n));
    if (text == 'b') {
        base64_encode(str_of((const char *)mac, n), encoded);
        encoded[base64_text_bytes(n)] = '\0';
    }
    for (unsigned i = 0; i < n && text == 'x'; i++)
        (void)snprintf(encoded + 2 * i, 3, "%02x", mac[i]);
    return arena_fmt(a, "%s", encoded).p;
}

const char *webhook_request_replace(struct arena *a, const char *text, const char *from,
                                    const char *to)
{
    struct str rest = str_from(text);
    struct str out = STR("");
    size_t at;

    while ((at = str_find(rest, str_from(from))) < rest.n) {
        out = arena_fmt(a, "%.*s%.*s%s", STR_ARG(out), STR_ARG(str_slice(rest, 0, at)), to);
        rest = str_skip(rest, at + strlen(from));
    }
    return arena_fmt(a, "%.*s%.*s", STR_ARG(out), STR_ARG(rest)).p;
}
