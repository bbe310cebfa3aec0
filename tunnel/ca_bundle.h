/*
 * ca_bundle: certificates of authorities that a user sends, as PEM text.
 * Thread: any; pure.
 * Limits: CA_BUNDLE_MAX certificates; the caller limits the bytes.
 */
#ifndef TUNNEL_CA_BUNDLE_H
#define TUNNEL_CA_BUNDLE_H

#include "base/err.h"
#include "base/str.h"

enum { CA_BUNDLE_MAX = 200 };

/*
 * Checks that every certificate of the text can be read and that there is at least one; what stands
 * around them is skipped. Returns 0, or -1 with E_CERTIFICATE_PEM.
 */
int ca_bundle_check(struct str pem, struct err *e);

#endif
