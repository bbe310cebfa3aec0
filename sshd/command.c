#include "sshd/command.h"

#include <jansson.h>

#include "base/mem.h"
#include "sshd/command_scan.h"

enum word_use {
    WORD_WORKS,
    WORD_ALIAS, /* works, and is not suggested */
};

static const struct word {
    const char *text;
    enum command_kind kind;
    enum word_use use;
} words[] = {
    { "http", COMMAND_HTTP, WORD_WORKS },         { "tcp", COMMAND_TCP, WORD_WORKS },
    { "tls", COMMAND_TLS, WORD_WORKS },           { "help", COMMAND_HELP, WORD_WORKS },
    { "version", COMMAND_VERSION, WORD_WORKS },   { "policy", COMMAND_POLICY_CHECK, WORD_WORKS },
    { "api", COMMAND_API, WORD_WORKS },           { "ls", COMMAND_API, WORD_WORKS },
    { "whoami", COMMAND_API, WORD_WORKS },        { "kill", COMMAND_API, WORD_WORKS },
    { "--help", COMMAND_HELP, WORD_ALIAS },       { "-h", COMMAND_HELP, WORD_ALIAS },
    { "--version", COMMAND_VERSION, WORD_ALIAS },
};

enum { WORDS = sizeof(words) / sizeof(words[0]), SHOWN_BYTES = 40 };

int command_syntax_version(struct str user, unsigned *version, struct err *e)
{
    *version = 2;
    if (user.n < 2 || user.p[0] != 'v')
        return 0;
    for (size_t i = 1; i < user.n; i++) {
        if (!char_is_digit(user.p[i]))
            return 0;
    }
    if (str_eq(user, STR("v2")))
        return 0;
    *version = 1;
    if (str_eq(user, STR("v1")))
        return 0;
    return err_set(e, E_SYNTAX_VERSION,
                   "unknown syntax version '%.*s'; use v2@ in front of the host",
                   STR_ARG(str_slice(user, 0, SHOWN_BYTES)));
}

static int find_word(struct str text, const struct word **out, struct err *e)
{
    const struct word *nearest = &words[0];

    for (size_t i = 0; i < WORDS; i++) {
        const struct word *w = &words[i];

        if (str_eq(text, str_from(w->text))) {
            *out = w;
            return 0;
        }
        if (w->use == WORD_WORKS &&
            str_distance(text, str_from(w->text)) < str_distance(text, str_from(nearest->text)))
            nearest = w;
    }
    return err_set(
        e, E_UNKNOWN_COMMAND,
        "unknown command '%.*s'; the nearest one is %s (commands: http, tcp, tls, policy "
        "check, api, ls, whoami, kill, help, version)",
        STR_ARG(str_slice(text, 0, SHOWN_BYTES)), nearest->text);
}

const char *command_name(enum command_kind kind)
{
    size_t i = 0;

    while (words[i].kind != kind) /* every kind has a word, and its first one is its name */
        i++;
    return words[i].text;
}

bool command_serves(enum command_kind kind, enum url_command *out)
{
    switch (kind) {
    case COMMAND_HTTP:
        *out = URL_COMMAND_HTTP;
        return true;
    case COMMAND_TCP:
        *out = URL_COMMAND_TCP;
        return true;
    case COMMAND_TLS:
        *out = URL_COMMAND_TLS;
        return true;
    case COMMAND_POLICY_CHECK:
    case COMMAND_API:
    case COMMAND_HELP:
    case COMMAND_VERSION:
        break;
    }
    return false;
}

/* jansson makes strings of valid UTF-8 only, which is all that policies and lists may hold. */
static int check_text(struct str line, struct err *e)
{
    json_t *probe;

    if (line.n > COMMAND_LINE_MAX_BYTES)
        return err_set(e, E_FLAG_SYNTAX, "the command line has %zu bytes, at most %d are allowed",
                       line.n, COMMAND_LINE_MAX_BYTES);
    if (line.n == 0)
        return 0;
    if (str_find_char(line, '\0') != line.n)
        return err_set(e, E_FLAG_SYNTAX, "the command line has a NUL byte");
    probe = json_stringn(line.p, line.n);
    if (probe == NULL)
        return err_set(e, E_FLAG_SYNTAX, "the command line is not valid UTF-8");
    json_decref(probe);
    return 0;
}

static int read_upstream(struct str text, enum url_command command, struct command *out,
                         struct err *e)
{
    if (upstream_hint_parse(text, command, &out->upstream, e) == -1)
        return err_prefix(e, "upstream '%.*s'", STR_ARG(str_slice(text, 0, SHOWN_BYTES)));
    out->has_upstream = true;
    return 0;
}

static bool asks_for_help(const struct command_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (flag_is_help(scan->uses[i].flag) && scan->uses[i].on)
            return true;
    }
    return false;
}

/* A command that makes endpoints. */
static int parse_serve(enum url_command command, struct str rest, unsigned version,
                       const struct policy_engine *engine, struct command *out, struct err *e)
{
    struct command_scan *scan = mem_alloc(sizeof(*scan));
    int rc = command_scan(rest, version, scan, e);

    if (rc == 0 && asks_for_help(scan)) {
        out->help = true;
    } else if (rc == 0) {
        if (scan->positional.n > 0)
            rc = read_upstream(scan->positional, command, out, e);
        if (rc == 0)
            rc = flags_apply(scan->uses, scan->count, engine, out, e);
    }
    mem_free(scan);
    return rc;
}

/* "help" may name the command it is about. */
static int parse_help(struct str rest, struct command *out, struct err *e)
{
    const struct word *about;
    enum url_command command;

    if (rest.n == 0)
        return 0;
    if (find_word(rest, &about, e) == -1)
        return -1;
    out->kind = about->kind;
    out->help = command_serves(about->kind, &command) || about->kind == COMMAND_API ||
                about->kind == COMMAND_POLICY_CHECK;
    return 0;
}

static int parse_policy(struct str rest, struct err *e)
{
    if (str_eq(rest, STR("check")))
        return 0;
    return err_set(e, E_FLAG_SYNTAX,
                   "policy can only 'check', a document from standard input: "
                   "ssh v2@GATEWAY policy check < policy.yml");
}

static int parse_line(struct str line, unsigned version, const struct policy_engine *engine,
                      struct command *out, struct err *e)
{
    size_t end = str_find_char(line, ' ');
    struct str rest = str_trim(str_skip(line, end));
    const struct word *word;
    enum url_command command;

    if (line.n == 0)
        return err_set(e, E_NO_COMMAND,
                       "no command was given; put http behind the host, as in "
                       "ssh -R 443:localhost:8080 v2@GATEWAY http");
    if (find_word(str_slice(line, 0, end), &word, e) == -1)
        return -1;
    out->kind = word->kind;
    if (command_serves(word->kind, &command))
        return parse_serve(command, rest, version, engine, out, e);
    switch (word->kind) {
    case COMMAND_HTTP:
    case COMMAND_TCP:
    case COMMAND_TLS:
        break;
    case COMMAND_POLICY_CHECK:
        return parse_policy(rest, e);
    case COMMAND_API:
        return 0; /* the API reads the line itself */
    case COMMAND_HELP:
        return parse_help(rest, out, e);
    case COMMAND_VERSION:
        if (rest.n == 0)
            return 0;
        return err_set(e, E_FLAG_SYNTAX, "version takes nothing behind it, not '%.*s'",
                       STR_ARG(str_slice(rest, 0, SHOWN_BYTES)));
    }
    return -1;
}

int command_parse(struct str line, unsigned version, const struct policy_engine *engine,
                  struct command *out, struct err *e)
{
    *out = (struct command){ .kind = COMMAND_HTTP };
    if (check_text(line, e) == -1)
        return -1;
    out->line = str_dup(line);
    if (parse_line(str_trim(str_from(out->line)), version, engine, out, e) == 0)
        return 0;
    command_fini(out);
    return -1;
}

void command_fini(struct command *c)
{
    mem_free(c->name);
    mem_free(c->description);
    mem_free(c->metadata);
    flag_documents_fini(&c->flags);
    if (c->line != NULL)
        mem_wipe(c->line, str_from(c->line).n); /* it may hold passwords */
    mem_free(c->line);
    *c = (struct command){ .kind = COMMAND_HTTP };
}

static const char example[] =
    "  ssh -R 443:localhost:8080 v2@GATEWAY http\n"
    "  ssh -R app.example.com:443:localhost:8080 v2@GATEWAY http --basic-auth user:password\n"
    "  ssh -R 443:localhost:8080 v2@GATEWAY http --traffic-policy-file - < policy.yml\n";

static const char tcp_example[] = "  ssh -R 0:localhost:22 v2@GATEWAY tcp\n"
                                  "  ssh -R tcp.example.com:20022:localhost:22 v2@GATEWAY tcp "
                                  "--cidr-allow 203.0.113.0/24\n";

static const char tls_example[] = "  ssh -R app.example.com:443:localhost:8443 v2@GATEWAY tls\n";

static void add_flags(enum command_kind kind, struct buf *out)
{
    buf_add_str(out, STR("Flags take their value as --name VALUE or --name=VALUE:\n\n"));
    flags_help(kind, out);
}

void command_help(enum command_kind kind, struct buf *out)
{
    switch (kind) {
    case COMMAND_HTTP:
        buf_add_fmt(out,
                    "http [UPSTREAM] [FLAGS]: serve what -R forwards to as HTTP and HTTPS\n\n"
                    "%s\n"
                    "UPSTREAM tells what -R forwards to, such as http://localhost:8080; only "
                    "--host-header rewrite needs it.\n",
                    example);
        add_flags(kind, out);
        return;
    case COMMAND_TCP:
        buf_add_fmt(
            out,
            "tcp [UPSTREAM] [FLAGS]: serve what -R forwards to at a port of its own\n\n"
            "%s\n"
            "-R 0:... gets a random port, the same again next time; -R ADDRESS:PORT:... one "
            "of those that can be chosen.\n"
            "UPSTREAM tells what -R forwards to, such as localhost:22; it is only shown.\n",
            tcp_example);
        add_flags(kind, out);
        return;
    case COMMAND_TLS:
        buf_add_fmt(
            out,
            "tls [UPSTREAM] [FLAGS]: serve what -R forwards to at the name that visitors ask "
            "for; TLS passes through unread\n\n"
            "%s\n"
            "The upstream needs a certificate for the name.\n"
            "UPSTREAM tells what -R forwards to, such as localhost:8443; it is only "
            "shown.\n",
            tls_example);
        add_flags(kind, out);
        return;
    case COMMAND_POLICY_CHECK:
    case COMMAND_API:
    case COMMAND_HELP:
    case COMMAND_VERSION:
        buf_add_fmt(out,
                    "Commands:\n\n"
                    "  http           serve what -R forwards to as HTTP and HTTPS; 'http --help' "
                    "lists its flags\n"
                    "  tcp            serve it at a port of its own\n"
                    "  tls            serve it at a name, without reading its TLS\n"
                    "  policy check   check the traffic policy on standard input; nothing is "
                    "opened\n"
                    "  api            the management API; 'api --help' lists what it has\n"
                    "  ls             what you have online\n"
                    "  kill ID        end a session\n"
                    "  whoami         your account, key and rights\n"
                    "  help           this text\n"
                    "  version        the version of the gateway\n\n"
                    "Examples:\n\n%s%s%s",
                    example, tcp_example, tls_example);
        return;
    }
}

void command_usage(struct buf *out)
{
    buf_add_fmt(
        out,
        "Type what to serve behind the host: a command, and its flags. For a web server on "
        "port 8080 of your machine:\n\n%s\n"
        "The first line that comes back is the public URL. 'http --help' lists the flags, 'help' "
        "the other commands.\n",
        example);
}
