/*
 * inputs: what the operator gives the process and may change while it runs: the configuration, the
 * SSH keys, the certificates, what traffic policies may use. A reload reads all of it anew and then takes it, or changes nothing.
 * Owns:   one reference to each part; all NULL in a struct that was not read.
 * Thread: main; a copy may go to a worker.
 */
#ifndef GATEWAY_INPUTS_H
#define GATEWAY_INPUTS_H

#include "base/buf.h"

struct authkeys;
struct config;
struct policy_data;
struct policy_engine;
struct policy_terms;
struct tls;

enum { INPUTS_PROBLEMS_MAX_BYTES = 1024 * 1024 };

struct inputs {
    struct config *config;           /* counted */
    struct authkeys *keys;           /* counted */
    struct tls *tls;                 /* counted */
    struct policy_data *policy_data; /* counted */
    struct policy_terms *terms;      /* counted */
};

/* Reads configuration, keys and what is for policies; `engine` compiles those of the operator. Returns
 * 0, or -1 with problems, a "FILE:LINE: text" a line; then `in` may be half-full. */
int inputs_read(struct inputs *in, const char *path, struct policy_engine *engine,
                struct buf *problems);
/* For `sallyport check`: reads all there is to read, makes nothing. Returns 0, or -1 with problems. */
int inputs_check(const char *path, struct buf *problems);
/* Reads the certificates, once state_dir exists. `old` (may be NULL) hands its CA and tickets on. */
int inputs_read_certificates(struct inputs *in, struct tls *old, struct buf *problems);

/* Reads everything again. Returns 0, or -1 with each problem logged and `in` as it was. */
int inputs_reload(struct inputs *in, struct policy_engine *engine);
/* The same for the SSH keys alone. */
int inputs_reload_keys(struct inputs *in);
/* The same for the data of policies alone. */
int inputs_reload_policy_data(struct inputs *in, struct policy_engine *engine);

struct inputs inputs_copy(const struct inputs *in);
void inputs_fini(struct inputs *in);

#endif
