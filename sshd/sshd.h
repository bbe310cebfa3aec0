/*
 * sshd: the SSH front of one worker: its listeners, and the sessions it accepted.
 * main.c makes one per worker. A session stays on its worker; its endpoints carry an agent
 * (tunnel/agent.h) through which the gateway opens streams.
 * Owns:   listeners, sessions, and counted references to settings and keys.
 * Thread: the worker's own, except sshd_new() and sshd_free() (main, while the worker does not run).
 */
#ifndef SSHD_SSHD_H
#define SSHD_SSHD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/job.h"
#include "base/worker.h"
#include "tunnel/document.h"
#include "tunnel/inside.h"

struct api;
struct authkeys;
struct cidr_set;
struct census_roll;
struct control;
struct event_sink;
struct host_suffixes;
struct policy_terms;
struct sshd;
struct sshd_shared;

/* What a reload may change; each field is the key of the same name in the configuration. */
struct sshd_settings {
    uint16_t http_port; /* real ports that stand for 80 and 443 in printed URLs */
    uint16_t https_port;
    bool allow_no_command;
    uint32_t max_sessions_per_key;
    uint32_t max_sessions_per_address;
    uint32_t max_unauthenticated; /* per worker */
    struct cidr_set *balancers;   /* who must begin with a PROXY header; counted by its users */
    uint64_t proxy_header_timeout_ms;
    uint64_t login_grace_ms;
    uint32_t max_auth_tries;
    uint32_t max_forwards;        /* per session */
    uint32_t max_channels;        /* per session, of those that carry bytes */
    uint32_t max_direct_channels; /* of them, those that the client opens */
    uint64_t max_channel_buffer;  /* bytes unread per channel beyond the window */
    uint64_t channel_window;      /* bytes announced to the client per channel */
    uint64_t channel_open_timeout_ms;
    uint64_t command_wait_ms; /* from the first forward to the command; also to the first forward */
    uint64_t keepalive_interval_ms;
    uint32_t keepalive_count; /* unanswered ones before a session counts as dead */
    uint64_t rekey_bytes;     /* 0: libssh's default */
    uint64_t policy_document_max_bytes;
    uint64_t policy_input_timeout_ms; /* for a policy that the client sends */
    struct event_sink *events;        /* borrowed: outlives every sshd; NULL: nobody listens */
    uint64_t api_commands_max;        /* per session, at once */
    uint64_t api_input_timeout_ms;    /* for what the client sends to a command of the API */
    uint64_t api_output_max_bytes;    /* of one command */
    struct policy_terms *policy;      /* what policies of endpoints may use; counted by its users */
};

/*
 * What the sshd of all workers share: host keys, counts per key and address, settings, keys.
 * `host_keys` are file paths, made by hostkey_ensure(). Returns NULL with a reason.
 */
struct sshd_shared *sshd_shared_new(const char *const *host_keys, size_t host_key_count,
                                    const struct sshd_settings *settings, struct authkeys *keys,
                                    const struct host_suffixes *suffixes, struct control *control,
                                    struct err *e);
/* Frees it; every sshd made with it must be gone. */
void sshd_shared_free(struct sshd_shared *s);

/* The management API, for the command `api`. All is borrowed and outlives every sshd. */
struct sshd_api {
    struct api *api;       /* NULL: the command is refused */
    struct job_pool *jobs; /* where it is called */
    const char *base_url;  /* of the uris of objects, without a slash at the end */
};
/* Before the first sshd is made. */
void sshd_shared_set_api(struct sshd_shared *s, const struct sshd_api *api);

/* Makes the host keys that are missing in dir (Ed25519, ECDSA P-256, RSA 3072; mode 0600), and
 * writes the paths of all to out. Returns how many, or -1 with a reason. */
enum { SSHD_HOST_KEYS = 3 };
int sshd_host_keys_ensure(const char *dir, char *out[SSHD_HOST_KEYS], struct err *e);

/* What the gateway of the same worker does for it. */
struct sshd_services {
    struct inside inside;             /* where clients reach internal endpoints */
    struct document_source documents; /* what fetches policies that have a URL */
    struct job_pool *jobs; /* borrowed: outlives every sshd; where policies are compiled */
};

/* `listen_fds` are bound, listening, non-blocking sockets of this worker (taken); the services are
 * copied. */
struct sshd *sshd_new(struct worker *w, struct sshd_shared *shared,
                      const struct sshd_services *services, const int *listen_fds,
                      size_t listen_count);
void sshd_start(struct sshd *s);

/* A reload: sessions whose key is gone or expired end with a reason, the others go on. `keys` may
 * be the same set; both are copied or counted. */
void sshd_configure(struct sshd *s, const struct sshd_settings *settings, struct authkeys *keys);

/* For a census of sessions that are logged in (tunnel/census.h); `front` is a struct sshd. */
void sshd_census(void *front, struct census_roll *roll);
/* Ends the session with this id, soon. False: there is none. */
bool sshd_end_session(void *front, const char *id);

/* Stops accepting. Sessions live on so that running exchanges can finish. */
void sshd_drain(struct sshd *s);
/* Ends every session with `reason` shown to its user; done(w, arg) runs when the last is gone. */
void sshd_close_all(struct sshd *s, const char *reason, worker_fn *done, void *arg);
void sshd_free(struct sshd *s);

#endif
