/*
 * event_field: what can be read of an event of traffic, by the dotted names of the specification.
 * The access log, event destinations and filters all read events through this table.
 * Thread: any; pure.
 * Limits: EVENT_FIELD_COUNT is at most 64, so that a choice of fields is a number of 64 bits.
 */
#ifndef TUNNEL_EVENT_FIELD_H
#define TUNNEL_EVENT_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/str.h"
#include "tunnel/event_type.h"

struct event;
struct event_headers;

/* In the table also how a member is read: a PORT is that of an address, MICROS become milliseconds. */
enum event_value_kind {
    EVENT_VALUE_STR,
    EVENT_VALUE_IP,
    EVENT_VALUE_PORT,
    EVENT_VALUE_TIME,
    EVENT_VALUE_U64,
    EVENT_VALUE_UINT,
    EVENT_VALUE_MICROS,
    EVENT_VALUE_BOOL,
    EVENT_VALUE_ERROR,
    EVENT_VALUE_HEADERS,
    EVENT_VALUE_JSON,
};

struct event_field {
    const char *name;
    enum event_value_kind kind;
    size_t offset;
    unsigned types; /* a bit for each enum event_type */
    bool is_logged;
    bool (*present)(const struct event *ev); /* NULL: what is empty is absent */
};

enum {
#define EVENT_FIELD(name, kind, member, types, log, present) EVENT_FIELD_ROW_##member##kind,
#include "tunnel/event_fields.def"
#undef EVENT_FIELD
    EVENT_FIELD_COUNT
};

extern const struct event_field event_field_table[EVENT_FIELD_COUNT];

/* A value as readers want it: a number is U64 whatever it was counted in, an error code a STR. */
struct event_value {
    enum event_value_kind kind; /* STR, IP, TIME, U64, BOOL, HEADERS or JSON */
    union {
        struct str str;        /* STR; JSON: text that is JSON */
        const struct addr *ip; /* borrowed from the event */
        uint64_t u64;          /* TIME: milliseconds since 1970 */
        bool b;
        const struct event_headers *headers; /* borrowed from the event */
    } as;
};

/* False when events of this type have no such field, or this one has no value for it. */
bool event_field_get(const struct event *ev, const struct event_field *f, struct event_value *out);
/* The kind of the values that event_field_get() gives. */
enum event_value_kind event_field_kind(const struct event_field *f);
bool event_field_is_of(const struct event_field *f, enum event_type type);

#define EVENT_FIELD_ALL UINT64_MAX
/* Adds the field of that name to a choice. -1 with E_EVENT_FIELD when the type has none such. */
int event_field_choose(enum event_type type, struct str name, uint64_t *choice, struct err *e);

#endif
