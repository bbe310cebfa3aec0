/*
 * ip_lists: the categories of addresses, from lists that the operator supplies (spec traffic-policy
 * 4.3, appendix B, D57, D63): a folder with one file for each category, which has its name
 * ("com.github.hooks"). An address in the list a.b.c has the categories a, a.b and a.b.c. A file
 * has one address or CIDR block a line; "#" and ";" begin a comment. Hidden files and folders below
 * are not looked at.
 * Owns:   its copy of the lists.
 * Thread: any; immutable and counted.
 * Limits: those below; what is above them is refused as a whole.
 */
#ifndef POLICY_IP_LISTS_H
#define POLICY_IP_LISTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/str.h"
#include "policy/cel/value.h"

enum {
    IP_LISTS_FILES_MAX = 4096,
    IP_LISTS_FILE_BYTES = 128 * 1024 * 1024,
    IP_LISTS_ENTRIES_MAX = 4 * 1000 * 1000,
    IP_LISTS_NAME_BYTES = 128,
    IP_LISTS_SETS_MAX = 64 * 1024,       /* different sets of lists that addresses are in */
    IP_LISTS_SET_ITEMS_MAX = 250 * 1000, /* lists in all of these */
};

struct ip_lists;

/* The categories of an address. */
struct ip_categories {
    struct cel_list names; /* strings, sorted */
    bool is_on_blocklist;  /* "blocklist" is one of them (D63) */
    bool is_tor_node;      /* "proxy.anonymous.tor" is */
};

/*
 * Reads all lists of the folder. Blocks on files: for start and reload, on a thread of the job
 * pool. NULL with E_SYSTEM, E_LIMIT or E_CONFIG; the message begins with FILE:LINE where it is
 * about a line. Free with ip_lists_unref().
 */
struct ip_lists *ip_lists_load(const char *folder, struct err *e);
struct ip_lists *ip_lists_ref(struct ip_lists *l);
void ip_lists_unref(struct ip_lists *l);

/* How many addresses and blocks were read. */
size_t ip_lists_count(const struct ip_lists *l);
/* True if an address could be in the category: a list has that name or lies below it. */
bool ip_lists_has_category(const struct ip_lists *l, struct str name);
/* Never NULL; the result lives as long as `l`, which may be NULL: nothing is known. */
const struct ip_categories *ip_lists_lookup(const struct ip_lists *l, const struct addr *addr);

#endif
