/*
 * webhook_int: what the files of webhook share: the rows of the table, and the pieces that schemes are
 * made of.
 * Thread: any; pure.
 */
#ifndef POLICY_WEBHOOK_INT_H
#define POLICY_WEBHOOK_INT_H

#include <jansson.h>
#include <openssl/evp.h>

#include "policy/webhook.h"

enum {
    WEBHOOK_DIGEST_BYTES = 64,   /* of the longest hash */
    WEBHOOK_SIGNATURES_MAX = 16, /* of one request */
    WEBHOOK_PIECES_MAX = 64,     /* of a header that is a list */
    WEBHOOK_PARAMS_MAX = 1024,   /* of a form or query */
    WEBHOOK_JSON_MAX_BYTES =
        1 << 20,                   /* of a body that is parsed: the parser takes many times that */
    WEBHOOK_TOKEN_MAX_BYTES = 256, /* of what a challenge asks to be signed or said again */
};

enum webhook_hash { WEBHOOK_NO_HASH, WEBHOOK_SHA1, WEBHOOK_SHA256, WEBHOOK_SHA512 };
enum webhook_coding { WEBHOOK_HEX, WEBHOOK_BASE64 };
enum webhook_unit { WEBHOOK_NO_TIME, WEBHOOK_SECONDS, WEBHOOK_MILLISECONDS, WEBHOOK_RFC3339 };

/* What the secret of a provider looks like. */
enum webhook_secret {
    WEBHOOK_SECRET_TEXT,       /* its bytes are the key */
    WEBHOOK_SECRET_API_KEY,    /* its bytes without "sk_" or "pk_" are the key */
    WEBHOOK_SECRET_BASE64,     /* the key in base64 */
    WEBHOOK_SECRET_WHSEC,      /* the key in base64, behind "whsec_" */
    WEBHOOK_SECRET_PUBLIC_KEY, /* an EC key on P-256: base64 of DER */
    WEBHOOK_SECRET_PAIR,       /* user::password */
    WEBHOOK_SECRET_ACCOUNT,    /* none, or the number of an AWS account */
};

/* One check. All borrowed. */
struct webhook_run {
    const struct webhook *webhook;
    const struct webhook_key *key; /* NULL only for WEBHOOK_SECRET_ACCOUNT */
    const struct webhook_request *request;
    struct webhook_outcome *out;
    struct err *e;
};

typedef enum webhook_verdict webhook_verify_fn(const struct webhook_run *r);
/* Gets what the check said, and says it again or answers. */
typedef enum webhook_verdict webhook_challenge_fn(const struct webhook_run *r,
                                                  enum webhook_verdict verdict);

/* A row of webhook_providers.def; the words in it are explained there. */
struct webhook_scheme {
    const char *id;
    const char *headers;
    const char *prefix;
    const char *payload;
    const char *time;
    char split;
    enum webhook_unit unit;
    unsigned tolerance_s;
    enum webhook_hash hash;
    enum webhook_coding coding;
    enum webhook_secret secret;
    webhook_verify_fn *verify;       /* NULL: all is in the row */
    webhook_challenge_fn *challenge; /* NULL: there is none */
};

struct webhook {
    const struct webhook_scheme *scheme;
    EVP_MAC_CTX *mac; /* owned: to be copied and given a key; NULL: the scheme has no hash */
    EVP_MD *sha256;   /* owned */
};

struct webhook_key {
    EVP_MAC_CTX *mac;     /* owned: HMAC that has the key; NULL: the scheme has no hash */
    EVP_PKEY *public_key; /* owned; NULL: it is none */
    char *text;           /* owned: the secret as it was given */
    size_t bytes;
};

/* ---- for schemes ---- */

/* Sets the error; returns WEBHOOK_REFUSED. */
enum webhook_verdict webhook_refuse(const struct webhook_run *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The one header of that name, trimmed; -1 (refused) if it is missing, empty or there twice. */
int webhook_header(const struct webhook_run *r, const char *name, struct str *value);
/* True if the body is a form (application/x-www-form-urlencoded). */
bool webhook_is_form(const struct webhook_run *r);
/* -1 (refused) unless the time is within the scheme's tolerance of now, either way. */
int webhook_check_time(const struct webhook_run *r, struct str text);

/* The signatures of a request, as their text, and the time if it stands among them. */
struct webhook_presented {
    struct str signatures[WEBHOOK_SIGNATURES_MAX];
    size_t count;
    struct str time; /* p == NULL: none */
};

/* Reads the headers of the row; -1 (refused) if they have no signature. */
int webhook_read_presented(const struct webhook_run *r, struct webhook_presented *p);

struct webhook_digest {
    unsigned char bytes[WEBHOOK_DIGEST_BYTES];
    size_t n; /* 0: libcrypto failed, and nothing matches it */
};

bool webhook_matches(enum webhook_coding coding, struct str text,
                     const struct webhook_digest *digest);
bool webhook_is_presented(const struct webhook_run *r, const struct webhook_presented *p,
                          const struct webhook_digest *digest);
/* VERIFIED if it is, else refused. */
enum webhook_verdict webhook_decide(const struct webhook_run *r, const struct webhook_presented *p,
                                    const struct webhook_digest *digest);

/* HMAC with the key; a failure shows at the end. */
struct webhook_mac {
    EVP_MAC_CTX *ctx; /* owned until the end; NULL: failed */
};

void webhook_mac_start(const struct webhook_run *r, struct webhook_mac *m);
void webhook_mac_add(struct webhook_mac *m, struct str s);
void webhook_mac_end(struct webhook_mac *m, struct webhook_digest *out);
/* Hash of the parts one behind the other, without a key. */
void webhook_sha256(const struct webhook_run *r, const struct str *parts, size_t count,
                    struct webhook_digest *out);
/* Compares in time that tells nothing of what is in them. */
bool webhook_is_same(const struct webhook_run *r, struct str a, struct str b);

/* The body as JSON, which the caller gives back with json_decref(); NULL (refused). */
json_t *webhook_json(const struct webhook_run *r);
/* A string member; p == NULL when there is none. Borrowed from the object. */
struct str webhook_json_string(const json_t *object, const char *name);

struct webhook_param {
    struct str name;
    struct str value;
};

struct webhook_params {
    struct webhook_param *items; /* in the arena: by name, then by value */
    size_t count;
};

/* name=value&..., decoded; -1 (refused) when there are too many. */
int webhook_read_params(const struct webhook_run *r, struct str text, struct webhook_params *out);
/* The one value of a name; p == NULL when there is none or several. */
struct str webhook_param_find(const struct webhook_params *params, struct str name);
/* The query of the URL, without "?". */
struct str webhook_query(const struct webhook_run *r);

/* ---- schemes ---- */

webhook_verify_fn webhook_verify_row; /* what stands in the row */

webhook_verify_fn webhook_verify_token;
webhook_verify_fn webhook_verify_credentials;
webhook_verify_fn webhook_verify_linear;
webhook_verify_fn webhook_verify_mailgun;
webhook_verify_fn webhook_verify_hygraph;
webhook_verify_fn webhook_verify_sendgrid;

webhook_verify_fn webhook_verify_twilio;
webhook_verify_fn webhook_verify_mandrill;
webhook_verify_fn webhook_verify_plivo;
webhook_verify_fn webhook_verify_hubspot;
webhook_verify_fn webhook_verify_contentful;

webhook_verify_fn webhook_verify_sns;

webhook_challenge_fn webhook_answer_crc;
webhook_challenge_fn webhook_answer_dropbox;
webhook_challenge_fn webhook_answer_worldline;
webhook_challenge_fn webhook_answer_xero;
webhook_challenge_fn webhook_answer_zoom;

#endif
