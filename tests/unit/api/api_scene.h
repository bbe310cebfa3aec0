/*
 * api_scene: an API over a store in memory, and callers of two accounts and an administrator. Its host agrees to
 * every policy and endpoint unless a fault is set; a test may put calls of its own in their place.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_API_API_SCENE_H
#define TESTS_UNIT_API_API_SCENE_H

#include <jansson.h>

#include "tunnel/api/api.h"
#include "tunnel/api/host.h"

#define SCENE_BASE "https://api.gw.example"

struct scene {
    struct store *store;
    struct seal_key *seal_key;
    struct api_host host;
    struct api *api;
    struct api_caller alice;
    struct api_caller bob;
    struct api_caller admin;

    /* How the host takes the next policy, and the next endpoint. */
    enum err_code policy_fault;
    enum err_code put_fault;

    /* Of the last call. */
    unsigned status;
    json_t *body; /* NULL: none */
    char operation_id[ID_BYTES];

    /* What the host was told last. */
    unsigned changes;
    char event_type[64];
    char change_id[ID_BYTES];
    char change_account[API_ACCOUNT_BYTES];
    char change_object[4096];
};

struct scene *scene_new(void);
/* With other limits; 0: no limit of requests, the default of objects. */
struct scene *scene_new_limited(uint64_t requests_per_minute, uint64_t objects_max);
/* Over another store, which is taken. */
struct scene *scene_new_over(struct store *store);
void scene_free(struct scene *s);

/* A call of `who`; `target` has the query behind "?", `body` may be NULL. Returns the status. */
unsigned scene_call(struct scene *s, const struct api_caller *who, const char *method,
                    const char *target, const char *body);
/* The same with a request of one's own; who, method, path are taken from it. */
unsigned scene_send(struct scene *s, const struct api_request *request);

/* A string member of the last body by a path with dots, or "". */
const char *scene_text(const struct scene *s, const char *path);
json_t *scene_member(const struct scene *s, const char *path);
/* Calls, expects the status, and returns a copy of the new object's id in `id`. */
void scene_create(struct scene *s, const struct api_caller *who, const char *path, const char *body,
                  char id[ID_BYTES]);

/* Expects a call to fail with this status and code ("ERR_NGROK_215"; "": none). */
#define scene_expect_error(s, who, method, target, body, status, code)                             \
    scene_expect_error_at(s, who, method, target, body, status, code, __FILE__, __LINE__)
void scene_expect_error_at(struct scene *s, const struct api_caller *who, const char *method,
                           const char *target, const char *body, unsigned status, const char *code,
                           const char *file, int line);
#define scene_expect(s, who, method, target, body, status)                                         \
    scene_expect_at(s, who, method, target, body, status, __FILE__, __LINE__)
void scene_expect_at(struct scene *s, const struct api_caller *who, const char *method,
                     const char *target, const char *body, unsigned status, const char *file,
                     int line);

#endif
