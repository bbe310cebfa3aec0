/*
 * resource: what a resource of the API is: a table of fields, and the few functions that know more
 * than a table can say. Everything else is the same for all: reading and checking bodies, ids, times,
 * uris, pages, filters, storage with unique names, errors, audit, the OpenAPI description.
 *
 * To add one: tunnel/api/<name>.c with a `const struct api_resource`, and a row in resources.def.
 * Its errors are rows of codes.def.
 *
 * An object is a JSON object of what is stored: "id", "account", "created_at", the fields under
 * their names, references as "<name>_id", and hidden members that no field names, which never leave.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_RESOURCE_H
#define TUNNEL_API_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/str.h"
#include "tunnel/api/error.h"

struct api_call;
struct api_filter_alias;

/* ---- fields --------------------------------------------------------------------------------- */

enum api_type {
    API_STRING,
    API_BOOL,
    API_INTEGER,
    API_STRINGS, /* list of strings */
    API_TIME,    /* RFC 3339; made by the gateway only */
    API_OBJECT,  /* any JSON object; the resource's check() looks inside */
    API_OBJECTS, /* list of such */
    API_REF,     /* {"id", "uri"} or null, of the stored "<name>_id"; in answers only */
};

/* Where a field stands. */
enum {
    API_C = 1 << 0,        /* may be given on create */
    API_U = 1 << 1,        /* may be changed */
    API_R = 1 << 2,        /* is in answers */
    API_F = 1 << 3,        /* may stand in filters; of API_REF, also with ".id" behind it */
    API_REQUIRED = 1 << 4, /* on create; and an update may not empty it */
    API_NULLABLE = 1 << 5, /* null in answers when unset, instead of "", [], {} or false */
    API_ONCE = 1 << 6,     /* in the answer to create only, from call->once; later null */
    API_OMITTED = 1 << 7,  /* left out of answers when it is not stored */
    API_HIDDEN = 1 << 8,   /* given but not stored by its name: check() takes it from the input */
    API_STDIN = 1 << 9,    /* the ssh front may read it from standard input (spec 5.2) */
};

struct api_field {
    const char *name;
    enum api_type type;
    unsigned where;             /* API_C and so on */
    size_t max_bytes;           /* of a string, or of each of a list; 0: API_TEXT_MAX_BYTES */
    size_t max_items;           /* of a list; 0: API_ITEMS_MAX */
    enum api_code too_long;     /* API_OK: API_FIELD_VALUE */
    enum api_code missing;      /* the same, for API_REQUIRED */
    const char *const *choices; /* NULL-terminated words; NULL: any text */
    enum api_code bad_choice;   /* API_OK: API_FIELD_VALUE */
    const char *item_key;       /* of API_OBJECTS: the member that a word of the command line is */
    const char *text;           /* for people: the OpenAPI description, the help of ssh */
};

enum {
    API_TEXT_MAX_BYTES = 64 * 1024,
    API_ITEMS_MAX = 1024,
    API_DESCRIPTION_MAX_BYTES = 255,
    API_METADATA_MAX_BYTES = 4096,
};

/* The two texts that most resources have; codes as of spec 1.12. */
/* clang-format off */
#define API_FIELD_DESCRIPTION(code)                                                               \
    { .name = "description", .type = API_STRING, .where = API_C | API_U | API_R | API_F,          \
      .max_bytes = API_DESCRIPTION_MAX_BYTES, .too_long = (code),                                 \
      .text = "for people, at most 255 bytes" }
#define API_FIELD_METADATA(code)                                                                  \
    { .name = "metadata", .type = API_STRING, .where = API_C | API_U | API_R | API_F | API_STDIN, \
      .max_bytes = API_METADATA_MAX_BYTES, .too_long = (code),                                    \
      .text = "for programs, at most 4096 bytes; never looked at" }
#define API_FIELD_CREATED_AT                                                                      \
    { .name = "created_at", .type = API_TIME, .where = API_R | API_F, .text = "when it was made" }
#define API_FIELD_UPDATED_AT                                                                      \
    { .name = "updated_at", .type = API_TIME, .where = API_R, .text = "when it was last changed" }
/* Those of objects that somebody owns, for api_owner_take(). */
#define API_FIELDS_OWNER                                                                          \
    { .name = "owner_id", .type = API_STRING, .where = API_C | API_HIDDEN | API_R | API_F,        \
      .text = "who it belongs to; by default the caller" },                                       \
    { .name = "owner_email", .type = API_STRING, .where = API_C | API_HIDDEN,                     \
      .text = "another way to name the owner, which no owner here has" },                         \
    { .name = "scim_user_id", .type = API_STRING, .where = API_C | API_HIDDEN,                    \
      .text = "another way to name the owner, which no owner here has" }
#define API_FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])
/* clang-format on */

/* ---- changes -------------------------------------------------------------------------------- */

enum api_op { API_CREATE, API_UPDATE, API_DELETE };

/*
 * What a call is about to do to one object. On create and update `after` is what will be stored:
 * `before` with the accepted input laid over it. check() may change it.
 */
struct api_change {
    const struct api_resource *resource;
    enum api_op op;
    const char *id;
    const char *account;  /* of the object */
    const json_t *input;  /* accepted members of the body, those that were given; NULL on delete */
    const json_t *before; /* as it is stored; NULL on create */
    json_t *after;        /* NULL on delete */
};

/* A key that only one object may have, or that leads from one object to others. */
enum { API_KEYS_MAX = 8, API_KEY_BYTES = 400 };

struct api_key {
    char text[API_KEY_BYTES]; /* as of api_key_set() */
    enum api_code taken;      /* when another object of the account has it */
    enum api_code elsewhere;  /* when one of another account has it; API_OK: the same code */
    const char *value;        /* for the message, borrowed from the object; NULL: is not shown */
};

/* ---- resources ------------------------------------------------------------------------------ */

enum {
    API_CAN_CREATE = 1 << 0,
    API_CAN_LIST = 1 << 1,
    API_CAN_GET = 1 << 2,
    API_CAN_UPDATE = 1 << 3,
    API_CAN_DELETE = 1 << 4,
    API_CAN_ALL = (1 << 5) - 1,
};

/* <path>/{id}/<name>, and with has_item <path>/{id}/<name>/{item}. */
struct api_action {
    const char *method;
    const char *name;
    bool has_item;
    bool writes;         /* needs a caller who may write; runs alone */
    const char *command; /* the verb of the ssh front; NULL: not offered there */
    const char *text;
    /*
     * Answers with api_answer(), or with nothing: then 204. `object` is the one of the path as it is
     * stored, `item` the last segment. Returns 1 when it is done, 0 to be called anew because what it looked
     * at has changed, -1 with the error set.
     */
    int (*run)(struct api_call *c, const struct api_resource *r, json_t *object, struct str item);
};

/* Objects that are not (all) in the store, such as live sessions. */
struct api_provider {
    /* 1 with *object (a reference for the caller), 0: there is none, -1 with the error set. */
    int (*find)(struct api_call *c, const struct api_resource *r, struct str id, json_t **object);
    /*
     * Appends to `list` (an array) up to `max` objects the caller may see, newest first, whose id
     * sorts before `before` (empty: all); fewer only when there are no more. 0, or -1 with the error set.
     */
    int (*range)(struct api_call *c, const struct api_resource *r, struct str before, size_t max,
                 json_t *list);
};

/*
 * A resource whose objects are parts of those of another, which offers them by its actions:
 * <path>/{id}/<name>, and <path>/{id}/<name>/{item}. Its own path, kind and prefix are empty.
 */
struct api_nesting {
    const struct api_resource *parent;
    const char *name;         /* the last segment */
    const char *parent_field; /* "subscription_id": what the command line calls the parent's id */
    const char *item_field;   /* the field that is the last segment of an item's path */
};

struct api_resource {
    const char *path;     /* "/api_keys" */
    const char *list_key; /* "keys" */
    const char *kind;     /* "api_key": in keys of the store, and how messages call it */
    const char *prefix;   /* of its ids */
    const char *command;  /* the group of the ssh front: "api-keys" */
    const char *event;    /* "api_key" of api_key_created.v0; NULL: no audit event */
    const char *text;     /* for people */
    const char *const
        *columns;   /* of its table, behind "id"; NULL-terminated; NULL: the first fields */
    unsigned verbs; /* API_CAN_... */
    const struct api_field *fields;
    size_t field_count;
    bool no_uri;         /* its objects have no member "uri" */
    bool is_of_sessions; /* restricted callers may list and get what is theirs (api_caller.key) */
    bool no_filter;      /* its list takes none */
    bool has_updated;    /* stored "updated_at" changes with each update */
    bool is_of_events;   /* an account has api_event_settings.objects_max at most */
    enum api_code too_many;            /* API_OK: API_OBJECT_LIMIT */
    const struct api_nesting *nesting; /* NULL: it stands by itself */
    enum api_code empty_update;        /* API_OK: API_FIELD_VALUE; see also allows_empty_update */
    bool allows_empty_update;
    const struct api_filter_alias *filter_aliases; /* NULL: none */
    enum api_code not_found;          /* instead of API_NOT_FOUND, in the 404 of an item */
    const char *const *ignored_query; /* of the list, NULL-terminated: accepted without effect */
    const char *const *list_query;    /* its own parameters, that the source asks for */
    const struct api_action *actions;
    size_t action_count;
    const struct api_provider *provider; /* NULL: the store */

    /* Does the query of a list ask for this object? NULL: lists have all. */
    bool (*listed)(struct api_call *c, const json_t *object);

    /* All of these may be NULL. Those with an int return 0, or -1 with the error set. */

    /* Is this create or update fine? Completes ch->after. */
    int (*check)(struct api_call *c, struct api_change *ch);
    /* May it be deleted? Deletes what depends on it (api_delete_child()). */
    int (*before_delete)(struct api_call *c, struct api_change *ch);
    /* The keys of an object as it is stored; returns how many. */
    size_t (*keys)(const json_t *object, struct api_key keys[API_KEYS_MAX]);
    /*
     * Makes the data plane follow, just before the change is written; may refuse. revert() takes it
     * back when the change could not be written.
     */
    int (*apply)(struct api_call *c, const struct api_change *ch);
    void (*revert)(struct api_call *c, const struct api_change *ch);
    /* Takes from the data plane what it had to keep until the change was written. */
    void (*settle)(struct api_call *c, const struct api_change *ch);
    /* Completes `shown`, which has all fields already, with what must be computed. */
    int (*show)(struct api_call *c, const json_t *object, json_t *shown);
};

/* ---- all of them ---------------------------------------------------------------------------- */

#define RESOURCE(name) extern const struct api_resource api_resource_##name;
#define NESTED(name)   extern const struct api_resource api_resource_##name;
#include "tunnel/api/resources.def"
#undef NESTED
#undef RESOURCE

/* In the order of resources.def; NULL behind the last. */
const struct api_resource *api_resource_at(size_t index);
/* The same with those that are nested, which follow: the groups of the command line. */
const struct api_resource *api_resource_group_at(size_t index);
/* The one with this prefix of ids, or NULL. */
const struct api_resource *api_resource_of_prefix(struct str prefix);
/* Each field by its name, or NULL. */
const struct api_field *api_field_find(const struct api_resource *r, struct str name);

#endif
