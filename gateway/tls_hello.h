/*
 * tls_hello: the two extensions of a ClientHello that the gateway reads itself, as raw bytes.
 * OpenSSL gives them out before it has decided anything, which is when the name must be known.
 * Thread: any; pure.
 */
#ifndef GATEWAY_TLS_HELLO_H
#define GATEWAY_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "tunnel/host.h"

/*
 * Reads the body of a server_name extension (RFC 6066 section 3): exactly one name of type
 * host_name. Writes it folded. Returns 0, or -1 when it is malformed or can be no host name.
 */
int tls_hello_server_name(const uint8_t *p, size_t n, char out[HOST_MAX_BYTES + 1]);

/* Looks through a ProtocolNameList without its length (RFC 7301 section 3.1) for "h2" and, if it
 * is not offered, for "http/1.1". *at gets the position of the name; false: neither is there. */
bool tls_hello_alpn(const uint8_t *p, size_t n, size_t *at);

#endif
