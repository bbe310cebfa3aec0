/*
 * authkeys_int: the parts of one line of an authorized_keys file, shared by tunnel/authkeys*.c.
 * Thread: any; pure but for the time zone in which an expiry time without "Z" is read.
 */
#ifndef TUNNEL_AUTHKEYS_INT_H
#define TUNNEL_AUTHKEYS_INT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/authkeys.h"

/*
 * Reads the options at the start of *line into key and moves *line behind them and the space that
 * follows. Returns 0, or -1 with E_SYNTAX, E_LIMIT or a code of acl_add(), acl_add_connect() or
 * cidr_parse().
 */
int authkey_options_parse(struct str *line, struct authkey *key, struct err *e);

/* True if the word is a key type, or looks like one that is not supported. */
bool authkey_is_type(struct str word);

/*
 * Checks type and base64 text of a public key and sets key->type and key->fingerprint.
 * Returns 0, or -1 with E_SYNTAX.
 */
int authkey_blob_parse(struct str type, struct str text, struct authkey *key, struct err *e);

#endif
