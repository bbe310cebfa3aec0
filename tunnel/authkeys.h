/*
 * authkeys: the allow-list of SSH keys: those of authorized_keys files, and over them those that the
 * management API keeps in the store (ssh_credentials).
 * The format of the files is OpenSSH's; options before the key: account="NAME", admin, bind="RULE" and
 * connect="RULE" (both repeatable), expiry-time="YYYYMMDD[HHMM[SS]][Z]", from="CIDR,..." ; others are
 * errors. A key without account belongs to account "default".
 * Immutable once loaded and counted: a session keeps the set it logged in with until a newer set
 * tells that its key is gone.
 * Thread: authkeys_load() reads files, so on a job thread or at start; all else any.
 */
#ifndef TUNNEL_AUTHKEYS_H
#define TUNNEL_AUTHKEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "tunnel/acl.h"

enum {
    AUTHKEYS_FILE_MAX_BYTES = 16 * 1024 * 1024,
    AUTHKEYS_LINE_MAX_BYTES = 16 * 1024,
    AUTHKEY_FROM_MAX = 64,
    AUTHKEY_FINGERPRINT_BYTES = 32, /* SHA-256 of the key blob */
};

struct authkey {
    uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES];
    char *id;      /* owned: of the store, "sshcr_..."; "": of a file */
    char *type;    /* owned: "ssh-ed25519", ... */
    char *account; /* owned */
    char *comment; /* owned */
    bool is_admin; /* sees all accounts in the API */
    struct acl acl;
    struct cidr *from; /* owned; none: any address */
    size_t from_count;
    uint64_t expires_wall_ms; /* 0: never */
    char *where;              /* owned: "FILE:LINE", or the id */
};

struct authkeys;

/*
 * Parses the text of one file into `set`, which may hold keys of other files already. Every problem
 * is appended to `problems` as "FILE:LINE: text\n". A key that stands twice is a problem. Returns 0
 * when there was none, else -1.
 */
struct authkeys *authkeys_new(void);
int authkeys_parse(struct authkeys *set, const char *file, struct str text, struct buf *problems);

/* Reads and parses files into a new set with one reference; NULL when there was a problem. */
struct authkeys *authkeys_load(const char *const *files, size_t count, struct buf *problems);

struct authkey_stored {
    struct str id;
    struct str account;
    struct str public_key; /* a line without options */
    const struct str *acl; /* rules as acl_add_rule() reads them */
    size_t acl_count;
};

/*
 * Adds a key, before anybody else has the set. Returns 0, or -1 with E_SYNTAX, also for one that is
 * there, or as acl_add_rule().
 */
int authkeys_add(struct authkeys *set, const struct authkey_stored *key, struct err *e);

/*
 * A new set of the keys of both, of which it holds references. A key that both have is as `files` has
 * it, so nobody gets more by the API than the operator gave.
 */
struct authkeys *authkeys_over(struct authkeys *files, struct authkeys *stored);
/* Calls fn for each key that both had; returns how many. `set` is of authkeys_over(). */
size_t authkeys_each_twin(const struct authkeys *set,
                          void (*fn)(void *arg, const struct authkey *kept,
                                     const struct authkey *unused),
                          void *arg);

void authkeys_ref(struct authkeys *set);
void authkeys_unref(struct authkeys *set);

/* How many keys; those of both sets of authkeys_over() count twice. */
size_t authkeys_count(const struct authkeys *set);
/* The key with this fingerprint, borrowed from the set, or NULL. */
const struct authkey *authkeys_find(const struct authkeys *set,
                                    const uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES]);

/*
 * Reads a public key alone, "TYPE BASE64 [COMMENT]" without options. Returns 0 with its fingerprint,
 * or -1 with E_SYNTAX.
 */
int authkey_public_parse(struct str line, uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES],
                         struct err *e);

/*
 * May this key log in from here, now? Returns 0, or -1 with E_CREDENTIAL_ADDRESS or
 * E_CREDENTIAL_REVOKED (expired).
 */
int authkey_check(const struct authkey *key, const struct addr *client, uint64_t wall_ms,
                  struct err *e);

#endif
