/*
 * web_server: a small HTTP/1.1 server on every loopback address, for tests of what the gateway fetches.
 * Answers by path:
 *     /hello        200 "hello"
 *     /echo         200 with the request's head and body as it came
 *     /to?URL       302 to URL (a path or an absolute URL); /to303?URL, /to307?URL with these statuses
 *     /bytes?N      200 with N bytes
 *     /gzip         200 "hello", compressed
 *     /fields?N     200 with N header fields
 *     /status?N     N
 *     /count        200 with how many requests for /count came so far
 *     /never        nothing, until the server is freed
 *     /cut          half an answer
 * Thread: that of the test; it serves on threads of its own.
 */
#ifndef TESTS_UNIT_GATEWAY_WEB_SERVER_H
#define TESTS_UNIT_GATEWAY_WEB_SERVER_H

#include <stdint.h>

struct web_server;

struct web_server *web_server_new(void);
void web_server_free(struct web_server *s);
uint16_t web_server_port(const struct web_server *s);
/* How many requests and connections came so far. */
unsigned web_server_requests(const struct web_server *s);
unsigned web_server_connections(const struct web_server *s);
/* From now on every request is answered with this status (0: as above) and this body. */
void web_server_set(struct web_server *s, unsigned status, const char *body);

#endif
