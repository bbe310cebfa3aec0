/*
 * api: the management API (spec api.md), whoever carries the requests: the admin listener (REST) and
 * the command `api` of SSH fill in a struct api_request, and write out the struct api_response.
 *
 * Reads run side by side. Calls that change something run one at a time in this process, and commit
 * by compare-and-set on all that they looked at, so names stay unique although another process
 * (`sallyport apikey create`) may write to the same store.
 * Owns:   the ids it gives away, the rate limits. Borrows the store and the host.
 * Thread: any that may block; never a worker's loop.
 * Limits: API_BODY_MAX_BYTES, API_QUERY_MAX_BYTES, API_PATH_MAX_BYTES, and struct api_params.
 */
#ifndef TUNNEL_API_API_H
#define TUNNEL_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/api/error.h"
#include "tunnel/endpoint.h"
#include "tunnel/id.h"

struct api;
struct api_host;
struct seal_key;
struct store;

enum {
    API_BODY_MAX_BYTES = 1024 * 1024,
    API_QUERY_MAX_BYTES = 16 * 1024,
    API_PATH_MAX_BYTES = 1024,
    API_SECRET_BYTES = 32,
    API_ACCOUNT_BYTES = ENDPOINT_ACCOUNT_MAX_BYTES + 1,
    API_KEY_HEX_BYTES = 65, /* a SHA-256 in hexadecimal, and a NUL */
};

struct api_params {
    struct store *store;              /* borrowed: outlives us */
    const struct api_host *host;      /* borrowed: outlives us; NULL: a host that does nothing */
    const struct seal_key *seal_key;  /* borrowed: outlives us; NULL: no secrets can be kept */
    uint8_t secret[API_SECRET_BYTES]; /* what tokens are hashed with */
    uint64_t requests_per_minute;     /* of one credential; 0: no limit */
    uint64_t objects_max;             /* of one kind in one account */
};

struct api *api_new(const struct api_params *params);
/* NULL is fine. No call may be under way. */
void api_free(struct api *a);

/* ---- who calls ------------------------------------------------------------------------------ */

enum api_source { API_SOURCE_REST, API_SOURCE_SSH };

/* Filled by api_authenticate(), or by api_caller_init() for one who logged in otherwise. */
struct api_caller {
    char account[API_ACCOUNT_BYTES];
    char principal[ID_BYTES];  /* "usr_...", constant for an account and its power */
    char credential[ID_BYTES]; /* "ak_...", "sshcr_..."; "": a key of the configuration */
    bool is_admin;             /* sees and changes the objects of all accounts */
    bool can_write;
    bool is_restricted;          /* sees what its key has online, and no more (spec 5.4) */
    char key[API_KEY_HEX_BYTES]; /* of SSH: its key's fingerprint; "": none */
    enum api_source source;
};

void api_caller_init(const struct api *a, struct api_caller *out, struct str account, bool is_admin,
                     enum api_source source);

/* 1 to 64 letters, digits, '.', '_' and '-', as authorized_keys has them. */
bool api_account_is_valid(struct str name);

/*
 * The caller with this Authorization field (p NULL: there was none): Bearer, or Basic with the token
 * as user or password. Returns 0, or -1 with the codes 200 to 208 or API_INTERNAL.
 */
int api_authenticate(struct api *a, struct str authorization, struct api_caller *out,
                     struct api_error *e);

/* ---- calls ---------------------------------------------------------------------------------- */

/* Texts are borrowed for the call. */
struct api_request {
    struct str method;
    struct str path;  /* as sent: percent-encoded */
    struct str query; /* as sent, without "?" */
    struct str body;
    struct str content_type;         /* p NULL: not sent */
    struct str version;              /* of the field ngrok-version; p NULL: not sent */
    struct str user_agent;           /* decides about status 204 (spec 1.14) */
    struct str base_url;             /* "https://api.example.com", no slash at the end: for uris */
    const struct api_caller *who;    /* NULL: not known; then paths are told from no paths, and
                                        API_OPENAPI_PATH is answered */
    const struct api_error *refused; /* why `who` is NULL; of api_authenticate() */
};

#define API_OPENAPI_PATH "/openapi.json"

struct api_response {
    unsigned status;
    char operation_id[ID_BYTES]; /* for the field Ngrok-Operation-Id; also in error bodies */
    char *body;                  /* owned; compact JSON, NUL-terminated; NULL: none (204) */
    size_t body_bytes;
};

/* Answers one request; what went wrong is an answer too. Blocks for the store and the host. */
void api_call(struct api *a, const struct api_request *request, struct api_response *out);
/* Did the store take the last change it was given? Never waits. */
bool api_is_well(const struct api *a);
/* If not, gives it a small one of our own. Returns whether it takes changes. Blocks. */
bool api_try_store(struct api *a);
/* The answer to a request that failed before api_call(), such as at api_authenticate(). */
void api_refuse(struct api *a, const struct api_error *e, struct api_response *out);
void api_response_fini(struct api_response *r);

/* The methods that `path` has, as "GET, POST", for CORS; "" for a path that does not exist. */
enum { API_METHODS_BYTES = 48 };
const char *api_methods(struct str path, char out[API_METHODS_BYTES]);

/* ---- for the machine's operator ------------------------------------------------------------- */

enum { API_TOKEN_BYTES = ID_DIGITS + 1 + 21 + 1 };

/*
 * Makes an API key of `who` without asking whether they may, and writes its token once.
 * Returns 0, or -1 with an error as of a call.
 */
int api_key_new(struct api *a, const struct api_caller *who, struct str description,
                char token[API_TOKEN_BYTES], struct api_error *e);

#endif
