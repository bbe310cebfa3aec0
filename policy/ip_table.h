/*
 * ip_table: which lists an address is in, for many lists with together millions of blocks.
 * All blocks are flattened into ranges without overlap, each with the number of the set of lists
 * that its addresses are in; a lookup is one binary search.
 * Owns:   the ranges and the sets.
 * Thread: any, once it is built.
 * Limits: IP_LISTS_SETS_MAX and IP_LISTS_SET_ITEMS_MAX.
 */
#ifndef POLICY_IP_TABLE_H
#define POLICY_IP_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

/* Blocks under collection. */
struct ip_blocks {
    struct ip_block *items; /* owned */
    size_t count;
    size_t room;
};

void ip_blocks_add(struct ip_blocks *b, const struct cidr *cidr, uint16_t list);
void ip_blocks_fini(struct ip_blocks *b);

/* Numbers of lists, ascending. */
struct ip_set {
    const uint16_t *lists; /* borrowed from the table */
    size_t count;
};

struct ip_table;

/* Builds it of the blocks, which are brought into another order. NULL with E_LIMIT. */
struct ip_table *ip_table_new(struct ip_blocks *blocks, struct err *e);
void ip_table_free(struct ip_table *t);

/* Sets are numbered from 0, which is the empty one. */
size_t ip_table_set_count(const struct ip_table *t);
struct ip_set ip_table_set(const struct ip_table *t, size_t number);
/* The number of the set of lists that the address is in. */
size_t ip_table_find(const struct ip_table *t, const struct addr *addr);

#endif
