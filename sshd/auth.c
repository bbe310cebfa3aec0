#include "sshd/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sshd/command.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"

/* The base64 text of a public RSA key with a 2048 bit modulus and the usual exponent. */
enum { RSA_2048_BASE64_BYTES = 372 };

/* Shown before login, also to `ssh -N`; the only words that reach a refused user. */
static void send_banner(struct session *s, const struct err *e)
{
    char text[SESSION_TEXT_BYTES];
    char line[SESSION_TEXT_BYTES + 2];
    ssh_string banner;

    session_error_text(e, text);
    (void)snprintf(line, sizeof(line), "%s\r\n", text);
    banner = ssh_string_from_char(line);
    if (banner == NULL)
        return;
    (void)ssh_send_issue_banner(s->ssh, banner); /* a dead connection shows in its status */
    ssh_string_free(banner);
}

/* One refusal more; past the limit the connection goes. N tries are allowed. */
static void count_refusal(struct session *s, const struct err *why)
{
    const struct sshd_settings *settings = &s->front->settings;
    struct err e;

    s->auth.last = *why;
    s->auth.refused++;
    if (s->auth.refused <= settings->max_auth_tries)
        return;
    (void)err_set(&e, E_TOO_MANY_KEYS,
                  "more than %u keys were offered; name the right one with -i and "
                  "-o IdentitiesOnly=yes",
                  (unsigned)settings->max_auth_tries);
    session_end(s, CLOSE_LIMIT, &e);
}

static int refuse(struct session *s, const struct err *e)
{
    /* An agent often holds several keys: only the first unknown one is worth a line. */
    if (e->code != E_UNKNOWN_KEY || !s->auth.told_unknown)
        send_banner(s, e);
    if (e->code == E_UNKNOWN_KEY)
        s->auth.told_unknown = true;
    count_refusal(s, e);
    return SSH_AUTH_DENIED;
}

static bool is_long_enough(ssh_key key)
{
    char *text = NULL;
    bool ok;

    if (ssh_key_type(key) != SSH_KEYTYPE_RSA)
        return true;
    if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK)
        return false;
    ok = strlen(text) >= RSA_2048_BASE64_BYTES;
    ssh_string_free_char(text);
    return ok;
}

/* Types whose signatures we accept: a signature of any other is dropped without an answer, so the
 * probe must refuse it already. */
static bool is_wanted_type(ssh_key key)
{
    switch (ssh_key_type(key)) {
    case SSH_KEYTYPE_RSA:
    case SSH_KEYTYPE_ED25519:
    case SSH_KEYTYPE_ECDSA_P256:
    case SSH_KEYTYPE_ECDSA_P384:
    case SSH_KEYTYPE_ECDSA_P521:
    case SSH_KEYTYPE_SK_ECDSA:
    case SSH_KEYTYPE_SK_ED25519:
        return true;
    case SSH_KEYTYPE_UNKNOWN:
    case SSH_KEYTYPE_DSS:
    case SSH_KEYTYPE_RSA1:
    case SSH_KEYTYPE_ECDSA:
    case SSH_KEYTYPE_DSS_CERT01:
    case SSH_KEYTYPE_RSA_CERT01:
    case SSH_KEYTYPE_ECDSA_P256_CERT01:
    case SSH_KEYTYPE_ECDSA_P384_CERT01:
    case SSH_KEYTYPE_ECDSA_P521_CERT01:
    case SSH_KEYTYPE_ED25519_CERT01:
    case SSH_KEYTYPE_SK_ECDSA_CERT01:
    case SSH_KEYTYPE_SK_ED25519_CERT01:
        return false;
    }
    return false;
}

/* The key of the set that the client offers, or NULL with a reason. */
static const struct authkey *find_key(struct session *s, ssh_key key, struct err *e)
{
    unsigned char *hash = NULL;
    size_t n = 0;
    const struct authkey *found;
    char *text;

    if (!is_wanted_type(key) || !is_long_enough(key)) {
        (void)err_set(e, E_UNKNOWN_KEY, "keys of this type or length are not accepted: %s",
                      ssh_key_type_to_char(ssh_key_type(key)));
        return NULL;
    }
    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n) != SSH_OK ||
        n != AUTHKEY_FINGERPRINT_BYTES) {
        (void)err_set(e, E_UNKNOWN_KEY, "the key cannot be read");
        return NULL;
    }
    found = authkeys_find(s->front->keys, hash);
    if (found == NULL) {
        text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n);
        (void)err_set(e, E_UNKNOWN_KEY, "the key %s is not registered with this gateway",
                      text != NULL ? text : "");
        ssh_string_free_char(text);
    }
    ssh_clean_pubkey_hash(&hash);
    return found;
}

/* What of the name may stand in logs and notices. */
static void keep_user(struct auth *a, const char *user)
{
    size_t n = 0;

    for (; *user != '\0' && n < AUTH_USER_MAX_BYTES; user++)
        a->user[n++] = *user > ' ' && *user <= '~' ? *user : '?';
    a->user[n] = '\0';
}

static void choose_version(struct session *s, const char *user)
{
    struct err e;

    if (command_syntax_version(str_from(user), &s->auth.version, &e) == -1) {
        s->auth.version = 2;
        session_notice(s, "note: %s; the newest syntax, v2, is used", e.msg);
    } else if (strcmp(user, "v1") != 0 && strcmp(user, "v2") != 0) {
        session_notice(s, "note: the user name %s stands for the newest syntax, v2", s->auth.user);
    }
}

static void accept_login(struct session *s, const char *user, const struct authkey *key)
{
    static const char digits[] = "0123456789abcdef";

    s->auth.keys = s->front->keys;
    authkeys_ref(s->auth.keys);
    s->auth.key = key;
    for (size_t i = 0; i < AUTHKEY_FINGERPRINT_BYTES; i++) {
        s->auth.key_hex[2 * i] = digits[key->fingerprint[i] >> 4];
        s->auth.key_hex[2 * i + 1] = digits[key->fingerprint[i] & 15];
    }
    keep_user(&s->auth, user);
    choose_version(s, user);
    session_wake(s);
}

int auth_on_pubkey(ssh_session ssh, const char *user, struct ssh_key_struct *pubkey, char state,
                   void *arg)
{
    struct session *s = arg;
    const struct authkey *key;
    struct err e;

    (void)ssh;
    if (s->auth.key != NULL || s->ending)
        return SSH_AUTH_DENIED;
    key = find_key(s, pubkey, &e);
    if (key == NULL || authkey_check(key, &s->client, clock_wall_ms(), &e) == -1)
        return refuse(s, &e);
    if (state == SSH_PUBLICKEY_STATE_NONE)
        return SSH_AUTH_SUCCESS;
    if (state != SSH_PUBLICKEY_STATE_VALID) {
        (void)err_set(&e, E_UNKNOWN_KEY, "the signature does not fit the key");
        return refuse(s, &e);
    }
    if (shared_enter(s->front->shared, key->fingerprint, &s->client, &s->front->settings, &e) == -1)
        return refuse(s, &e);
    accept_login(s, user, key);
    return SSH_AUTH_SUCCESS;
}

void auth_on_other(struct session *s, int method)
{
    struct err e;

    /* Every client asks "none" first, to learn which methods there are. */
    if (method == SSH_AUTH_METHOD_NONE)
        return;
    (void)err_set(&e, E_NO_KEY, "only public keys are accepted, and none was offered");
    (void)refuse(s, &e);
}

int auth_check(const struct session *s, struct err *e)
{
    return authkey_check(s->auth.key, &s->client, clock_wall_ms(), e);
}

int auth_renew(struct session *s, struct authkeys *keys, struct err *e)
{
    const struct authkey *key = authkeys_find(keys, s->auth.key->fingerprint);

    if (key == NULL)
        return err_set(e, E_CREDENTIAL_REVOKED, "your key was removed from this gateway");
    if (strcmp(key->account, s->auth.key->account) != 0)
        return err_set(e, E_CREDENTIAL_REVOKED, "your key belongs to another account now");
    authkeys_ref(keys);
    authkeys_unref(s->auth.keys);
    s->auth.keys = keys;
    s->auth.key = key;
    return auth_check(s, e);
}

void auth_fini(struct session *s)
{
    if (s->auth.key != NULL)
        shared_leave(s->front->shared, s->auth.key->fingerprint, &s->client);
    authkeys_unref(s->auth.keys);
    s->auth.keys = NULL;
    s->auth.key = NULL;
}
