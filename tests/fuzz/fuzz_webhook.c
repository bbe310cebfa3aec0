/*
 * Fuzzes the check of webhooks, over all providers: a byte for the provider, a byte for the method, then
 * parts of the request up to a NUL byte each: headers as "name: value" lines, URL, body.
 * Nothing is verified: the secrets are not in the input. A provider's headers are there also without
 * their names, so that it gets far: a line without a colon is the value of any header.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROVIDERS_MAX = 128, LIST_MAX_BYTES = 4096 };

static struct webhook *webhooks[PROVIDERS_MAX];
static struct webhook_key *keys[PROVIDERS_MAX];
static size_t provider_count;

/* The first of these that a provider takes is its secret. */
static const char *const secrets[] = {
    "c2VjcmV0IG9mIGEgd2ViaG9vaw==",
    "user::password",
    "123456789012",
    /* the public key of SendGrid's example */
    ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw"
     "+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="),
};

static void make_webhooks(void)
{
    struct buf list;
    struct str rest;
    struct str id;
    struct err e;

    buf_init(&list, LIST_MAX_BYTES);
    webhook_list(&list);
    rest = buf_str(&list);
    while (str_next(&rest, ',', &id)) {
        struct webhook *w = webhook_new(str_trim(id));

        assert(w != NULL && provider_count < PROVIDERS_MAX);
        for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
            if (keys[provider_count] == NULL)
                keys[provider_count] = webhook_key_new(w, str_from(secrets[i]), &e);
        }
        assert(keys[provider_count] != NULL);
        webhooks[provider_count++] = w;
    }
    buf_fini(&list);
}

static struct str find_header(void *ctx, struct str name, size_t index)
{
    struct str rest = *(const struct str *)ctx;
    struct str line;

    while (str_next(&rest, '\n', &line)) {
        size_t colon = str_find_char(line, ':');

        if (colon < line.n && !str_eq_nocase(str_slice(line, 0, colon), name))
            continue;
        if (index-- == 0)
            return str_skip(line, colon < line.n ? colon + 1 : 0);
    }
    return STR_NONE;
}

static struct str take_part(struct str *rest)
{
    size_t end = str_find_char(*rest, '\0');
    struct str part = str_slice(*rest, 0, end);

    *rest = str_skip(*rest, end + 1);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct webhook_request request = { .now_ms = UINT64_C(1700000000000), .header = find_header };
    struct webhook_outcome out;
    struct err e = { .code = E_OK };
    struct str headers;
    struct arena a;
    size_t i;
    enum webhook_verdict verdict;

    if (provider_count == 0)
        make_webhooks();
    if (size < 2)
        return 0;
    i = data[0] % provider_count;
    request.method = data[1] % 2 == 0 ? STR("POST") : STR("GET");
    rest = str_skip(rest, 2);
    headers = take_part(&rest);
    request.url = take_part(&rest);
    request.body = rest;
    request.ctx = &headers;
    arena_init(&a);
    request.arena = &a;
    verdict = webhook_check(webhooks[i], keys[i], &request, &out, &e);
    assert(verdict != WEBHOOK_VERIFIED);
    assert(verdict != WEBHOOK_REFUSED || e.code == E_WEBHOOK_UNVERIFIED);
    assert(verdict != WEBHOOK_ANSWER || out.status == 200 || out.status == 401);
    assert(verdict != WEBHOOK_CERTIFICATE || str_starts(out.certificate_url, STR("https://sns.")));
    webhook_certificate_free(webhook_certificate_new(request.body, &e));
    arena_fini(&a);
    return 0;
}
