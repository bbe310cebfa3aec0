/*
 * webhook_request: requests for tests of webhooks, made from text, and signatures made without the code
 * under test.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_WEBHOOK_REQUEST_H
#define TESTS_UNIT_POLICY_WEBHOOK_REQUEST_H

#include "base/arena.h"
#include "policy/webhook.h"

enum { WEBHOOK_REQUEST_HEADERS_MAX = 80 };

struct webhook_request_text {
    struct {
        struct str name; /* in lower case */
        struct str value;
    } headers[WEBHOOK_REQUEST_HEADERS_MAX];
    size_t count;
    struct webhook_request request;
    struct webhook_outcome out;
    struct err e;
};

/* "name: value" lines; all borrowed. */
void webhook_request_init(struct webhook_request_text *t, struct arena *a, const char *headers,
                          struct str body, uint64_t now_ms);
void webhook_request_add(struct webhook_request_text *t, const char *name, const char *value);
/* Checks it with a secret (NULL: none), which has to be one. */
enum webhook_verdict webhook_request_check(struct webhook_request_text *t, const char *provider,
                                           const char *secret);

/* HMAC as lower-case hex ('x') or base64 ('b'), in the arena. */
const char *webhook_request_sign(struct arena *a, const char *hash, char text, struct str key,
                                 struct str payload);
/* Every `from` replaced. */
const char *webhook_request_replace(struct arena *a, const char *text, const char *from,
                                    const char *to);

#endif
