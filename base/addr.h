/*
 * addr: IP addresses with a port, and CIDR blocks, as plain values.
 * IPv4-mapped IPv6 addresses become IPv4 when they are made, so one address has one form.
 * Thread: any; pure, but for addr_of_socket().
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct sockaddr;
struct sockaddr_storage;

struct addr {
    uint8_t family; /* 4 or 6; 0: none */
    uint16_t port;  /* host order */
    uint8_t ip[16]; /* network order; 4 or 16 bytes in use */
};

struct cidr {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;   /* 0..32 or 0..128 */
    uint8_t ip[16]; /* host bits cleared */
};

/* "255.255.255.255" or the longest IPv6 text, with a NUL. */
enum { ADDR_IP_TEXT_BYTES = 46, ADDR_TEXT_BYTES = ADDR_IP_TEXT_BYTES + 8, CIDR_TEXT_BYTES = 50 };

/* From an AF_INET or AF_INET6 address; any other family gives family 0. */
struct addr addr_from_sockaddr(const struct sockaddr *sa);
/* This end's address of an IP socket; family 0 when it has none. */
struct addr addr_of_socket(int fd);
/* From the 4 or 16 bytes of an address of family 4 or 6, in network order. */
struct addr addr_from_bytes(unsigned family, const void *ip, uint16_t port);
/* Fills *out and returns its length in bytes. */
unsigned addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

/* Reads "1.2.3.4:80" or "[::1]:80". Returns 0, or -1 with E_SYNTAX. */
int addr_parse(struct str s, struct addr *out, struct err *e);
/* Reads an address without port: "1.2.3.4", "::1" (no brackets). Returns 0 or -1. */
int addr_parse_ip(struct str s, struct addr *out);

/* Writes the address (RFC 5952) without / with port (IPv6 in brackets then), NUL-terminated;
 * returns out. */
const char *addr_format_ip(const struct addr *a, char out[ADDR_IP_TEXT_BYTES]);
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES]);

/* True if the IP parts are equal; ports are not looked at. */
bool addr_ip_equal(const struct addr *a, const struct addr *b);
/* True for 127.0.0.0/8 and ::1. */
bool addr_is_loopback(const struct addr *a);

/*
 * Reads "10.0.0.0/8", "2001:db8::/32" or a bare address (one host). Host bits may be set and are
 * masked. Returns 0, or -1 with E_CIDR.
 */
int cidr_parse(struct str s, struct cidr *out, struct err *e);
/* The block of the first `bits` bits (0..32 or 0..128) of an address. */
struct cidr cidr_of(const struct addr *a, unsigned bits);
bool cidr_contains(const struct cidr *c, const struct addr *a);
const char *cidr_format(const struct cidr *c, char out[CIDR_TEXT_BYTES]);

#endif
