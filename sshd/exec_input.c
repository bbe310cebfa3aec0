/*
 * What a command reads before anything is public: a policy from where its URL leads, then a policy or
 * certificates from the standard input of the ssh client.
 */
#include "sshd/exec_int.h"

#include <assert.h>

#include "policy/policy.h"
#include "sshd/exec_api.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"

static void show_problems(struct exec *x, enum session_output to,
                          const struct policy_problems *problems)
{
    struct buf text;

    buf_init(&text, TERMINAL_LINES_BYTES);
    policy_problems_format(problems, &text);
    terminal_text(x->terminal, to, buf_str(&text));
    buf_fini(&text);
}

static void await_standard_input(struct exec *x);

/* What was read is good, or the user was told why not. */
static void go_on(struct exec *x, bool good)
{
    x->state = EXEC_WAITS;
    if (good && !x->input_taken)
        await_standard_input(x);
    else if (!good || x->command.kind == COMMAND_POLICY_CHECK)
        exec_end(x, good ? 0 : 1);
    else
        exec_open_forwards(x);
}

/* ---- a policy -------------------------------------------------------------------------------- */

static void on_checked(void *arg, const struct exec_policy_result *result)
{
    struct exec *x = arg;
    struct session *s = x->session;
    bool is_check = x->command.kind == COMMAND_POLICY_CHECK;
    size_t errors = policy_problems_errors(result->problems);
    struct err e;

    assert(x->magic == EXEC_MAGIC && x->state == EXEC_READS);
    x->checking = NULL;
    show_problems(x, is_check ? SESSION_STDOUT : SESSION_STDERR, result->problems);
    if (result->rc == -1) {
        (void)err_set(&e, E_POLICY_INVALID, "the policy has %zu %s%s", errors,
                      errors == 1 ? "error" : "errors", is_check ? "" : "; nothing was opened");
        exec_refused(x, &e);
    }
    go_on(x, result->rc == 0);
    session_wake(s);
}

/* Shows what is wrong with a document, and goes on. */
static void check_policy(struct exec *x, struct str name, struct str text)
{
    x->state = EXEC_READS;
    x->checking = exec_policy_read(x->policy, name, text, on_checked, x);
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* Takes what TLS is to end with. Returns false when the command ends for it. */
static bool take_certificates(struct exec *x, struct str pem)
{
    const struct policy_terms *terms = x->session->front->settings.policy;
    enum command_input input = x->command.input;
    const struct flag_tls tls = {
        .authorities = input == COMMAND_INPUT_VISITOR_CAS ? pem : STR_NONE,
        .certificate = input == COMMAND_INPUT_CERTIFICATE ? pem : STR_NONE,
    };
    struct err e;

    if (pem.n == 0)
        (void)err_set(&e, E_CERTIFICATE_PEM,
                      "standard input is empty; send the certificates: ssh ... < cert.pem");
    else if (flag_policy_end_tls(&tls, terms->engine, &x->policy->flags, &e) == 0)
        return true;
    exec_refused(x, &e);
    return false;
}

/* Takes the certificates that may have signed the upstream's. */
static bool take_upstream_cas(struct exec *x, struct str pem)
{
    struct err e;

    if (exec_upstream_read_cas(&x->upstream, pem, &e) == 0)
        return true;
    exec_refused(x, &e);
    return false;
}

/* ---- standard input -------------------------------------------------------------------------- */

static void take_input(struct exec *x, struct str text)
{
    switch (x->command.input) {
    case COMMAND_INPUT_NONE: /* policy check */
    case COMMAND_INPUT_POLICY:
        check_policy(x, STR("policy"), text);
        return;
    case COMMAND_INPUT_UPSTREAM_CAS:
        go_on(x, take_upstream_cas(x, text));
        return;
    case COMMAND_INPUT_VISITOR_CAS:
    case COMMAND_INPUT_CERTIFICATE:
        go_on(x, take_certificates(x, text));
        return;
    }
}

static void await_standard_input(struct exec *x)
{
    const struct sshd_settings *settings = &x->session->front->settings;

    x->state = EXEC_READS;
    terminal_limit_input(x->terminal, settings->policy_document_max_bytes);
    exec_start_wait(x, settings->policy_input_timeout_ms);
    exec_read_input(x);
}

/* ---- by a URL -------------------------------------------------------------------------------- */

static const struct document_source *documents_of(const struct exec *x)
{
    return &x->session->front->services.documents;
}

void exec_drop_input(struct exec *x)
{
    documents_of(x)->ops->free(x->fetched);
    x->fetched = NULL;
    exec_policy_abandon(x->checking);
    x->checking = NULL;
}

static void on_fetched(void *arg)
{
    struct exec *x = arg;
    struct session *s = x->session;
    struct document *fetched = x->fetched;
    struct str text;
    struct err why;
    struct err e;

    assert(x->magic == EXEC_MAGIC && x->state == EXEC_READS);
    x->fetched = NULL;
    if (documents_of(x)->ops->read(fetched, &text, &why) == 0) {
        check_policy(x, STR("policy"), text);
    } else {
        (void)err_set(&e, E_POLICY_INVALID, "%s", why.msg);
        exec_refused(x, &e);
        exec_end(x, 1);
    }
    s->front->services.documents.ops->free(fetched);
    session_wake(s);
}

static void fetch_policy(struct exec *x)
{
    const struct sshd_settings *settings = &x->session->front->settings;
    const struct document_source *documents = documents_of(x);
    const struct document_request request = {
        .url = x->command.policy_url,
        .max_bytes = settings->policy_document_max_bytes,
        .timeout_ms = settings->policy_input_timeout_ms,
        .done = on_fetched,
        .arg = x,
    };

    x->state = EXEC_READS;
    x->fetched = documents->ops->start(documents->ctx, &request);
}

void exec_await_input(struct exec *x)
{
    const struct command *c = &x->command;

    if (c->input == COMMAND_INPUT_NONE && c->kind != COMMAND_POLICY_CHECK) {
        terminal_ignore_input(x->terminal);
        x->input_taken = true;
    }
    if (c->policy_text.p != NULL)
        check_policy(x, STR("--traffic-policy"), c->policy_text);
    else if (c->policy_url.p != NULL)
        fetch_policy(x);
    else
        go_on(x, true);
}

void exec_input_missing(const struct exec *x, struct err *e)
{
    if (x->command.kind != COMMAND_POLICY_CHECK && x->command.input != COMMAND_INPUT_POLICY)
        (void)err_set(e, E_CERTIFICATE_PEM,
                      "the certificates did not arrive; send them: ssh ... < cert.pem");
    else
        (void)err_set(e, E_POLICY_INVALID,
                      "the policy did not arrive; send it: ssh ... < policy.yml");
}

bool exec_reads_input(const struct exec *x)
{
    if (x == NULL)
        return false;
    if (x->api != NULL)
        return exec_api_reads(x->api);
    return x->state == EXEC_READS && x->fetched == NULL && x->checking == NULL;
}

void exec_read_input(struct exec *x)
{
    struct terminal *t = x->terminal;
    struct err e;

    if (x->api != NULL) {
        exec_api_read(x->api);
        return;
    }
    if (!exec_reads_input(x) || !terminal_input_is_over(t))
        return;
    ev_timer_stop(worker_loop(x->session->front->worker), &x->wait);
    x->input_taken = true;
    if (terminal_input_is_too_long(t)) {
        (void)err_set(&e, E_POLICY_INVALID, "standard input is larger than %zu bytes",
                      t->in_max_bytes);
        exec_refused(x, &e);
        go_on(x, false);
    } else {
        take_input(x, buf_str(&t->in));
    }
    terminal_ignore_input(t);
}
