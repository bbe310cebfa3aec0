/*
 * Amazon SNS signs some members of its JSON message with a certificate that the message names, so the
 * name decides: it has to be one of SNS's own, by HTTPS. That the host has a good certificate itself
 * is for whoever fetches it (AWS: "Verifying the signatures of Amazon SNS messages").
 * The certificate is asked for last, when all else is right.
 */
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/cel/time.h"
#include "policy/webhook_int.h"

enum { RSA_MIN_BITS = 2048, RSA_MAX_BITS = 8192, SIGNATURE_MAX_BYTES = RSA_MAX_BITS / 8 };
enum { REGION_MAX_BYTES = 32, FILE_MAX_BYTES = 128 };

struct webhook_certificate {
    EVP_PKEY *key; /* owned */
    int64_t begin; /* of its validity, seconds since 1970 */
    int64_t end;
};

/* ---- certificates ---------------------------------------------------------------------------- */

static int read_time(const ASN1_TIME *t, int64_t *seconds)
{
    struct tm tm;
    struct cel_civil civil;

    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return -1;
    civil = (struct cel_civil){ .year = tm.tm_year + 1900,
                                .month = (unsigned)tm.tm_mon + 1,
                                .day = (unsigned)tm.tm_mday,
                                .hour = (unsigned)tm.tm_hour,
                                .minute = (unsigned)tm.tm_min,
                                .second = (unsigned)tm.tm_sec };
    return cel_civil_to_seconds(&civil, seconds) ? 0 : -1;
}

static bool is_good_key(const EVP_PKEY *key)
{
    return key != NULL && EVP_PKEY_is_a(key, "RSA") == 1 &&
           EVP_PKEY_get_bits(key) >= RSA_MIN_BITS && EVP_PKEY_get_bits(key) <= RSA_MAX_BITS;
}

struct webhook_certificate *webhook_certificate_new(struct str pem, struct err *e)
{
    struct webhook_certificate *c = mem_zalloc(sizeof(*c));
    BIO *bio = NULL;
    X509 *x509 = NULL;

    if (pem.n > 0 && pem.n <= WEBHOOK_CERTIFICATE_MAX_BYTES)
        bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio != NULL)
        x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (x509 != NULL)
        c->key = X509_get_pubkey(x509);
    if (!is_good_key(c->key) || read_time(X509_get0_notBefore(x509), &c->begin) == -1 ||
        read_time(X509_get0_notAfter(x509), &c->end) == -1) {
        (void)err_set(e, E_WEBHOOK_UNVERIFIED,
                      "the webhook could not be verified: what stands at "
                      "the URL of the certificate is no good one");
        webhook_certificate_free(c);
        c = NULL;
    }
    X509_free(x509);
    BIO_free(bio);
    return c;
}

void webhook_certificate_free(struct webhook_certificate *c)
{
    if (c == NULL)
        return;
    EVP_PKEY_free(c->key);
    mem_free(c);
}

static bool is_valid_now(const struct webhook_certificate *c, uint64_t now_ms)
{
    int64_t now = (int64_t)(now_ms / 1000);

    return c->begin <= now && now <= c->end;
}

/* Takes a run of letters, digits and '-'; false if it is empty or longer than max. */
static bool take_word(struct str *rest, size_t max)
{
    size_t n = 0;

    while (n < rest->n &&
           (char_is_alpha(rest->p[n]) || char_is_digit(rest->p[n]) || rest->p[n] == '-'))
        n++;
    *rest = str_skip(*rest, n);
    return n > 0 && n <= max;
}

static bool take(struct str *rest, struct str text)
{
    if (!str_starts(*rest, text))
        return false;
    *rest = str_skip(*rest, text.n);
    return true;
}

/* https://sns.REGION.amazonaws.com[.cn]/FILE.pem and nothing else: no user, port, query or path. */
static bool is_certificate_url(struct str url)
{
    struct str rest = url;

    if (!take(&rest, STR("https://sns.")) || !take_word(&rest, REGION_MAX_BYTES) ||
        !take(&rest, STR(".amazonaws.com")))
        return false;
    (void)take(&rest, STR(".cn"));
    return take(&rest, STR("/")) && take_word(&rest, FILE_MAX_BYTES) && str_eq(rest, STR(".pem"));
}

/* ---- messages -------------------------------------------------------------------------------- */

/* What is signed, as "Name\nvalue\n" in this order. */
enum { MEMBER_ALWAYS = 1, MEMBER_CONFIRMATION = 2, MEMBER_OPTIONAL = 4 };

static const struct {
    const char *name;
    unsigned use;
} members[] = {
    { "Message", MEMBER_ALWAYS },   { "MessageId", MEMBER_ALWAYS },
    { "Subject", MEMBER_OPTIONAL }, { "SubscribeURL", MEMBER_CONFIRMATION },
    { "Timestamp", MEMBER_ALWAYS }, { "Token", MEMBER_CONFIRMATION },
    { "TopicArn", MEMBER_ALWAYS },  { "Type", MEMBER_ALWAYS },
};
enum { MEMBER_COUNT = sizeof(members) / sizeof(members[0]) };

static bool is_confirmation(struct str type)
{
    return str_eq(type, STR("SubscriptionConfirmation")) ||
           str_eq(type, STR("UnsubscribeConfirmation"));
}

/* 0: not signed in such a message; -1: it has to be there and is not. */
static int find_member(const json_t *json, size_t i, bool confirmation, struct str *value)
{
    unsigned use = members[i].use;

    *value = STR_NONE;
    if (use == MEMBER_OPTIONAL ? confirmation : use == MEMBER_CONFIRMATION && !confirmation)
        return 0;
    *value = webhook_json_string(json, members[i].name);
    return value->p == NULL && use != MEMBER_OPTIONAL ? -1 : 0;
}

static bool add_members(EVP_MD_CTX *ctx, const json_t *json)
{
    bool confirmation = is_confirmation(webhook_json_string(json, "Type"));

    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        struct str value;

        if (find_member(json, i, confirmation, &value) == -1)
            return false;
        if (value.p == NULL)
            continue;
        if (EVP_DigestVerifyUpdate(ctx, members[i].name, strlen(members[i].name)) != 1 ||
            EVP_DigestVerifyUpdate(ctx, "\n", 1) != 1 ||
            EVP_DigestVerifyUpdate(ctx, value.p, value.n) != 1 ||
            EVP_DigestVerifyUpdate(ctx, "\n", 1) != 1)
            return false;
    }
    return true;
}

static bool verifies(const struct webhook_certificate *c, const char *hash, const json_t *json,
                     const unsigned char *signature, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL &&
                EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, c->key, NULL) == 1 &&
                add_members(ctx, json) && EVP_DigestVerifyFinal(ctx, signature, n) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

/* The fifth part of arn:aws:sns:REGION:ACCOUNT:NAME. */
static struct str account_of(struct str arn)
{
    struct str part = STR_NONE;

    for (int i = 0; i < 5; i++) {
        if (!str_next(&arn, ':', &part))
            return STR_NONE;
    }
    return part;
}

static const char *hash_of(const json_t *json)
{
    struct str version = webhook_json_string(json, "SignatureVersion");

    if (str_eq(version, STR("1")))
        return "SHA1";
    return str_eq(version, STR("2")) ? "SHA256" : NULL;
}

static enum webhook_verdict check_message(const struct webhook_run *r, const json_t *json)
{
    struct str type = webhook_json_string(json, "Type");
    struct str url = webhook_json_string(json, "SigningCertURL");
    const struct webhook_certificate *certificate = r->request->certificate;
    unsigned char signature[SIGNATURE_MAX_BYTES];
    size_t n;

    if (!is_confirmation(type) && !str_eq(type, STR("Notification")))
        return webhook_refuse(r, "the body is no message of SNS");
    if (r->key != NULL &&
        !str_eq(account_of(webhook_json_string(json, "TopicArn")), str_from(r->key->text)))
        return webhook_refuse(r, "the topic is of another account");
    if (webhook_check_time(r, webhook_json_string(json, "Timestamp")) == -1)
        return WEBHOOK_REFUSED;
    if (hash_of(json) == NULL)
        return webhook_refuse(r, "the version of the signature is unknown");
    if (base64_decode(webhook_json_string(json, "Signature"), signature, sizeof(signature), &n) ==
            -1 ||
        n == 0)
        return webhook_refuse(r, "the signature is missing or malformed");
    if (!is_certificate_url(url))
        return webhook_refuse(r, "the URL of the certificate is not one of SNS");
    if (certificate == NULL) {
        r->out->certificate_url = arena_str(r->request->arena, url);
        return WEBHOOK_CERTIFICATE;
    }
    if (!is_valid_now(certificate, r->request->now_ms))
        return webhook_refuse(r, "the certificate is not valid now");
    if (verifies(certificate, hash_of(json), json, signature, n))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}

enum webhook_verdict webhook_verify_sns(const struct webhook_run *r)
{
    json_t *json = webhook_json(r);
    enum webhook_verdict verdict;

    if (json == NULL)
        return WEBHOOK_REFUSED;
    verdict = check_message(r, json);
    json_decref(json);
    return verdict;
}
