/*
 * command: the exec line of an SSH session ("http --basic-auth u:p"), from text to a checked value.
 * The scanner follows spec section 5.4; the flags are the table in flags.def.
 * Thread: any; pure.
 */
#ifndef SSHD_COMMAND_H
#define SSHD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "sshd/command_kind.h"
#include "sshd/flag_policy.h"
#include "tunnel/endpoint.h"
#include "tunnel/url.h"

struct flag;

enum { COMMAND_LINE_MAX_BYTES = 64 * 1024, COMMAND_URLS_MAX = 64 };

/* Where request lines of the session go (--log). */
enum command_log { COMMAND_LOG_DEFAULT, COMMAND_LOG_STDOUT, COMMAND_LOG_STDERR, COMMAND_LOG_OFF };
/* Above the level of any request line (--log-level crit). */
enum { COMMAND_LOG_NOTHING = LOG_ERROR + 1 };

/* What names the addresses: --url, or one of the older flags, which name one address only. */
enum command_naming {
    COMMAND_NAMED_BY_URL, /* also when nothing does */
    COMMAND_NAMED_BY_DOMAIN,
    COMMAND_NAMED_BY_HOSTNAME,
    COMMAND_NAMED_BY_SUBDOMAIN, /* below the base domain */
    COMMAND_NAMED_BY_REMOTE_ADDR,
};

/* What the client sends over standard input. */
enum command_input {
    COMMAND_INPUT_NONE,
    COMMAND_INPUT_POLICY,       /* --traffic-policy-file - */
    COMMAND_INPUT_UPSTREAM_CAS, /* --upstream-tls-verify-cas - */
    COMMAND_INPUT_VISITOR_CAS,  /* --mutual-tls-cas - */
    COMMAND_INPUT_CERTIFICATE,  /* --crt - --key -: both */
};

struct command {
    enum command_kind kind;
    bool help; /* --help was given: print the flags of `kind` and exit 0 */

    struct str urls[COMMAND_URLS_MAX]; /* the n-th for the n-th forward */
    size_t url_count;
    enum command_naming naming;    /* which flag they come from */
    enum binding binding;          /* --binding */
    bool schemes[SCHEME_COUNT];    /* --scheme; none set: as the forward's port says */
    char *name;                    /* owned; NULL: the default */
    char *description;             /* owned; NULL: none */
    char *metadata;                /* owned; NULL: none */
    struct upstream_hint upstream; /* valid if has_upstream */
    bool has_upstream;
    enum upstream_protocol upstream_protocol;
    unsigned upstream_proxy_protocol; /* version; 0: none */
    bool upstream_tls_verify;
    bool pooling; /* the endpoints may share their addresses */
    enum command_log log;
    unsigned log_level; /* enum log_level of the least lines shown; COMMAND_LOG_NOTHING: none */
    enum log_format log_format;
    struct flag_documents flags; /* owned: what flags ask of the policy */
    struct str policy_text;      /* --traffic-policy; p == NULL: none */
    struct str policy_url;       /* --traffic-policy-url; p == NULL: none */
    bool ends_tls;               /* --terminate-at edge, or what implies it */
    const struct flag *ignored;  /* a flag that changes nothing here; NULL: none */
    enum command_input input;

    char *line; /* owned: what the strs above point into */
};

/* The syntax version of an SSH user name: 2, or 1 for "v1" ; other names mean the newest. Returns
 * -1 with E_SYNTAX_VERSION for another "v<digits>". */
int command_syntax_version(struct str user, unsigned *version, struct err *e);

/*
 * Parses a line (copied); flags are checked by the engine. On success the caller releases `out` with command_fini(). On failure
 * returns -1 with E_NO_COMMAND, E_UNKNOWN_COMMAND, E_FLAG_SYNTAX, E_FLAG_UNSUPPORTED or the code of
 * the flag's value, and `out` needs no release. The message names what was wrong and, for an
 * unknown word, the nearest valid one.
 */
int command_parse(struct str line, unsigned version, const struct policy_engine *engine,
                  struct command *out, struct err *e);
void command_fini(struct command *c);

/* "http" and so on. */
const char *command_name(enum command_kind kind);
/* Does it make endpoints? Then *out is what reads their addresses. */
bool command_serves(enum command_kind kind, enum url_command *out);

/* Texts for people; lines end in LF. */
void command_help(enum command_kind kind, struct buf *out);
/* What `ssh v2@gateway` without a command prints: what to type. */
void command_usage(struct buf *out);

#endif
