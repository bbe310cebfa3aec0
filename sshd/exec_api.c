#include "sshd/exec_api.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <ev.h>
#include <libssh/libssh.h>
#include <utlist.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sshd/exec.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"
#include "tunnel/api/command.h"
#include "tunnel/api/command_output.h"
#include "tunnel/api/command_run.h"

enum { EXEC_API_MAGIC = 0x45417069, KEY_TEXT_BYTES = 256 };

enum exec_api_state {
    EXEC_API_READS,  /* standard input */
    EXEC_API_CALLS,  /* the API, on a job thread */
    EXEC_API_WRITES, /* the result */
    EXEC_API_DONE,
};

/* What the job thread works on. It outlives a session that ends meanwhile. */
struct api_job {
    struct sshd *front;        /* counted while the job is under way */
    uint64_t session;          /* serial number */
    _Atomic bool is_abandoned; /* nobody waits: need not be begun */
    struct api_command command;
    struct api_caller who;
    struct api_command_user user;
    char key[KEY_TEXT_BYTES];
    char session_id[ID_BYTES];
    struct api_command_result result;
};

struct exec_api {
    unsigned magic;
    enum exec_api_state state;
    struct exec *exec;         /* borrowed */
    struct session *session;   /* borrowed */
    struct terminal *terminal; /* borrowed */
    struct api_job *job;       /* owned, but while it is under way; NULL: abandoned then */
    ev_timer wait;             /* for the end of standard input */
};

/* ---- life ----------------------------------------------------------------------------------- */

static struct ev_loop *loop_of(const struct exec_api *a)
{
    return worker_loop(a->session->front->worker);
}

static void job_free(struct api_job *j)
{
    api_command_fini(&j->command);
    api_command_result_fini(&j->result);
    mem_free(j);
}

void exec_api_abandon(struct exec_api *a)
{
    if (a->state == EXEC_API_DONE)
        return;
    ev_timer_stop(loop_of(a), &a->wait);
    if (a->state == EXEC_API_CALLS) {
        atomic_store(&a->job->is_abandoned, true);
        a->job = NULL; /* on_called() frees it, and counts it out */
    } else {
        a->session->api_commands--;
    }
    a->state = EXEC_API_DONE;
}

void exec_api_free(struct exec_api *a)
{
    if (a == NULL)
        return;
    assert(a->state == EXEC_API_DONE);
    if (a->job != NULL)
        job_free(a->job);
    a->magic = 0;
    mem_free(a);
}

/* ---- results -------------------------------------------------------------------------------- */

/* Moves what fits. True if that was something. */
static bool feed(struct exec_api *a, enum session_output to, struct buf *from)
{
    size_t n = terminal_feed(a->terminal, to, buf_str(from));

    buf_consume(from, n);
    return n > 0;
}

bool exec_api_feed(struct exec_api *a)
{
    struct api_command_result *r;
    struct terminal *t = a->terminal;

    if (a->state != EXEC_API_WRITES)
        return false;
    r = &a->job->result;
    if (r->out.len > 0)
        return feed(a, SESSION_STDOUT, &r->out);
    if (r->err.len > 0)
        return feed(a, SESSION_STDERR, &r->err);
    if (t->out.len > 0 || t->err.len > 0)
        return false;
    /* The client has it all, however slowly it read. */
    exec_end(a->exec, r->status);
    return true;
}

static void write_result(struct exec_api *a)
{
    a->state = EXEC_API_WRITES;
    session_wake(a->session);
}

/* Text of ours in the place of a result. */
static void write_text(struct exec_api *a, struct str text, int status)
{
    struct api_command_result *r = &a->job->result;

    api_command_result_fini(r);
    buf_init(&r->err, API_COMMAND_TEXT_MAX_BYTES);
    api_output_text(&r->err, text);
    r->status = status;
    write_result(a);
}

static void refuse(struct exec_api *a, enum api_code code, const char *text)
{
    api_command_fail(&a->job->user, code, text, &a->job->result);
    write_result(a);
}

/* ---- the call ------------------------------------------------------------------------------- */

static void call(void *arg)
{
    struct api_job *j = arg;

    if (!atomic_load(&j->is_abandoned))
        api_command_run(&j->command, &j->user, &j->result);
}

/* The command that waits for this job, or NULL. */
static struct exec_api *find_waiting(struct session *s, const struct api_job *j)
{
    struct terminal *t;

    DL_FOREACH(s->terminals, t)
    {
        struct exec_api *a = exec_api_of(t->exec);

        if (a != NULL && a->job == j)
            return a;
    }
    return NULL;
}

static void on_called(struct worker *w, void *arg)
{
    struct api_job *j = arg;
    struct sshd *front = j->front;
    struct session *s = sshd_find(front, j->session);
    struct exec_api *a = s != NULL ? find_waiting(s, j) : NULL;

    (void)w;
    if (a != NULL)
        write_result(a);
    else
        job_free(j);
    if (s != NULL && a == NULL)
        s->api_commands--;
    sshd_unref(front);
}

static void start_call(struct exec_api *a)
{
    struct sshd *front = a->session->front;

    terminal_ignore_input(a->terminal);
    a->state = EXEC_API_CALLS;
    sshd_ref(front);
    job_submit(front->shared->api.jobs, front->worker, call, on_called, a->job);
}

/* ---- standard input ------------------------------------------------------------------------- */

static void on_wait_over(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct exec_api *a = w->data;

    (void)loop;
    (void)revents;
    assert(a->magic == EXEC_API_MAGIC);
    terminal_ignore_input(a->terminal);
    write_text(a, STR("standard input did not end in time; send the value: ssh ... < file\n"),
               API_EXIT_USAGE);
}

bool exec_api_reads(const struct exec_api *a)
{
    return a->state == EXEC_API_READS;
}

void exec_api_read(struct exec_api *a)
{
    struct terminal *t = a->terminal;
    struct buf problem;

    if (a->state != EXEC_API_READS || !terminal_input_is_over(t))
        return;
    ev_timer_stop(loop_of(a), &a->wait);
    if (terminal_input_is_too_long(t)) {
        terminal_ignore_input(t);
        refuse(a, API_BODY_TOO_LARGE, "Standard input is too large.");
        return;
    }
    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    if (api_command_take_input(&a->job->command, buf_str(&t->in), &problem) == 0)
        start_call(a);
    else
        write_text(a, buf_str(&problem), API_EXIT_USAGE);
    terminal_ignore_input(t);
    buf_fini(&problem);
}

static void read_input(struct exec_api *a)
{
    a->state = EXEC_API_READS;
    terminal_limit_input(a->terminal, API_COMMAND_INPUT_MAX_BYTES);
    ev_timer_set(&a->wait, (double)a->session->front->settings.api_input_timeout_ms / 1000.0, 0.0);
    ev_timer_start(loop_of(a), &a->wait);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* "SHA256:... comment", as ssh-keygen shows it. */
static void format_key(const struct authkey *key, char out[KEY_TEXT_BYTES])
{
    unsigned char hash[AUTHKEY_FINGERPRINT_BYTES];
    char *text;

    memcpy(hash, key->fingerprint, sizeof(hash));
    text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, sizeof(hash));
    (void)snprintf(out, KEY_TEXT_BYTES, "%s%s%s", text != NULL ? text : "",
                   key->comment[0] != '\0' ? " " : "", key->comment);
    out[utf8_good(str_from(out))] = '\0';
    ssh_string_free_char(text);
}

static void describe_user(struct api_job *j, const struct session *s, const struct terminal *t)
{
    const struct sshd_api *offer = &s->front->shared->api;
    const struct authkey *key = s->auth.key;

    api_caller_init(offer->api, &j->who, str_from(key->account), key->is_admin, API_SOURCE_SSH);
    j->who.is_restricted = !key->is_admin && acl_restricts(&key->acl);
    j->who.can_write = !j->who.is_restricted;
    (void)snprintf(j->who.key, sizeof(j->who.key), "%s", s->auth.key_hex);
    (void)snprintf(j->who.credential, sizeof(j->who.credential), "%s", key->id);
    format_key(key, j->key);
    (void)snprintf(j->session_id, sizeof(j->session_id), "%s", s->id);
    j->user = (struct api_command_user){
        .api = offer->api,
        .who = &j->who,
        .base_url = str_from(offer->base_url),
        .key = str_from(j->key),
        .session = str_from(j->session_id),
        .has_terminal = t->pty,
        .width = t->width,
        .output_max_bytes = s->front->settings.api_output_max_bytes,
    };
}

static void start(struct exec_api *a)
{
    struct session *s = a->session;
    struct terminal *t = a->terminal;
    struct buf problem;
    int rc;

    buf_init(&problem, API_COMMAND_TEXT_MAX_BYTES);
    rc = api_command_parse(str_from(t->line), &a->job->command, &problem);
    if (rc == -1) {
        write_text(a, buf_str(&problem), API_EXIT_USAGE);
    } else if (s->front->shared->api.api == NULL) {
        write_text(a, STR("the management API is not available on this gateway\n"),
                   API_EXIT_IDENTITY);
    } else {
        describe_user(a->job, s, t);
        if (s->api_commands > s->front->settings.api_commands_max)
            refuse(a, API_BUSY, "This connection runs as many commands of the API as it may.");
        else if (a->job->command.input != API_INPUT_NONE &&
                 a->job->command.kind == API_COMMAND_CALL)
            read_input(a);
        else
            start_call(a);
    }
    if (a->state == EXEC_API_WRITES)
        terminal_ignore_input(t);
    buf_fini(&problem);
}

struct exec_api *exec_api_start(struct exec *x, struct session *s, struct terminal *t)
{
    struct exec_api *a = mem_zalloc(sizeof(*a));

    a->magic = EXEC_API_MAGIC;
    a->exec = x;
    a->session = s;
    a->terminal = t;
    a->job = mem_zalloc(sizeof(*a->job));
    a->job->front = s->front;
    a->job->session = s->serial;
    ev_init(&a->wait, on_wait_over);
    a->wait.data = a;
    s->api_commands++;
    start(a);
    return a;
}
