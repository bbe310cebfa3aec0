/*
 * objects: the host objects of expressions: cookies and certificate extensions (spec traffic-policy
 * 4.4, 4.7, 4.8). The host makes them in the arena of the exchange with the `object` set; text is
 * borrowed from the message or from the arena.
 * Thread: any; pure.
 */
#ifndef POLICY_OBJECTS_H
#define POLICY_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/cel/value.h"

extern const struct cel_object_type policy_cookie_type;        /* "cookie" */
extern const struct cel_object_type policy_tls_extension_type; /* "tls_extension" */

/* A cookie of a request has a name and a value only (D24); what is absent reads as "", false, 0 or an
 * empty map, and expires as an error. */
struct policy_cookie {
    struct cel_object object; /* of policy_cookie_type */
    struct str name;
    struct str value;
    struct str domain;
    struct str path;
    struct str same_site;
    struct cel_value expires;             /* CEL_TIMESTAMP; CEL_NULL: absent */
    struct cel_value max_age;             /* CEL_DURATION; CEL_NULL: absent */
    struct cel_value unparsed_attributes; /* CEL_MAP; CEL_NULL: none */
    bool http_only;
    bool secure;
};

struct policy_tls_extension {
    struct cel_object object; /* of policy_tls_extension_type */
    struct str id;            /* OID, "2.5.29.15" */
    bool critical;
    struct str value; /* DER */
};

/* The map without entries; static. */
struct cel_value policy_empty_map(void);

/*
 * A copy of a value of any kind in which nothing is borrowed but static text: lists, maps (also views of
 * the host), text and objects. The copy is made of what `run` may still spend; an error value when
 * that is not enough or the value is nested too deeply.
 */
struct cel_value policy_value_copy(struct cel_run *run, struct cel_value v);

#endif
