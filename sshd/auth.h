/*
 * auth: who logs in. Public keys only; the key alone tells the account, the user name only the
 * version of the command syntax.
 * Owns:   the set of keys it found its key in (counted), and the user name.
 * Thread: its session's.
 */
#ifndef SSHD_AUTH_H
#define SSHD_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include <libssh/libssh.h>

#include "base/err.h"
#include "tunnel/authkeys.h"

struct session;

enum { AUTH_USER_MAX_BYTES = 32, AUTH_KEY_HEX_BYTES = AUTHKEY_FINGERPRINT_BYTES * 2 + 1 };

struct auth {
    struct authkeys *keys;     /* counted; NULL before login */
    const struct authkey *key; /* borrowed from keys; not NULL: logged in, and counted in shared */
    char user[AUTH_USER_MAX_BYTES + 1]; /* printable part of the name */
    char key_hex[AUTH_KEY_HEX_BYTES];
    unsigned version;  /* of the command syntax */
    unsigned refused;  /* keys and other attempts that were turned down */
    bool told_unknown; /* the banner about an unknown key was sent */
    struct err last;   /* why the last one was turned down */
};

/* libssh's auth_pubkey_function; `arg` is the session. */
int auth_on_pubkey(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state,
                   void *arg);
/* An attempt by another method, which is always refused; `method` is SSH_AUTH_METHOD_*. */
void auth_on_other(struct session *s, int method);
/* Finds the key in a newer set. -1 with E_CREDENTIAL_REVOKED when it is gone or expired. */
int auth_renew(struct session *s, struct authkeys *keys, struct err *e);
/* May the key still be used? -1 with E_CREDENTIAL_REVOKED or E_CREDENTIAL_ADDRESS. */
int auth_check(const struct session *s, struct err *e);
void auth_fini(struct session *s);

#endif
