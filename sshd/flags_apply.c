/*
 * The flags of a command one after the other, and what depends on more than one of them.
 */
#include "sshd/flags_int.h"

static int refuse_flag(const struct flag_use *use, struct err *e)
{
    const struct flag *f = use->flag;

    return err_set(e, E_FLAG_UNSUPPORTED, "%.*s is not available %s%s%s", STR_ARG(use->typed),
                   f->status == FLAG_NEVER ? "over SSH" : "on this gateway yet",
                   f->text[0] != '\0' ? "; " : "", f->text);
}

static int refuse_command(const struct command *c, const struct flag_use *use, struct err *e)
{
    bool http = (use->flag->commands & FLAG_HTTP) != 0;

    return err_set(e, E_FLAG_UNSUPPORTED, "%.*s does not go with the command %s, only with %s%s%s",
                   STR_ARG(use->typed), command_name(c->kind), http ? "http" : "",
                   http && use->flag->commands != FLAG_HTTP ? " and " : "",
                   (use->flag->commands & FLAG_TLS) != 0   ? "tls"
                   : (use->flag->commands & FLAG_TCP) != 0 ? "tcp"
                                                           : "");
}

/* A list may be joined with commas; the blanks around them do not count. */
static int set_list(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    struct str rest = use->value;
    struct str item;

    while (str_next(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.n == 0)
            return err_set(e, E_FLAG_SYNTAX, "an entry of the list is empty");
        if (use->flag->set(v, item, e) == -1)
            return -1;
    }
    return 0;
}

static int set_switch(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    return use->flag->set != NULL ? use->flag->set(v, use->on ? STR("true") : STR("false"), e) : 0;
}

static int apply_one(struct flag_values *v, const struct flag_use *use, struct err *e)
{
    int rc;

    if (use->flag->status > FLAG_IGNORED)
        return refuse_flag(use, e);
    if ((use->flag->commands >> v->command->kind & 1) == 0)
        return refuse_command(v->command, use, e);
    if (use->flag->status == FLAG_IGNORED) {
        v->command->ignored = use->flag;
        return 0;
    }
    if (use->flag->shape == FLAG_SWITCH)
        return set_switch(v, use, e);
    rc = use->flag->shape == FLAG_LIST ? set_list(v, use, e) : use->flag->set(v, use->value, e);
    return rc == -1 ? err_prefix(e, "%.*s", STR_ARG(use->typed)) : 0;
}

/* What depends on more than one flag. */
static int check_upstream(const struct command *c, struct err *e)
{
    if (c->upstream_tls_verify && (!c->has_upstream || !c->upstream.https))
        return err_set(e, E_FLAG_UNSUPPORTED,
                       "verifying needs an upstream that speaks TLS; name it behind the command, "
                       "such as 'http https://localhost:8443 --upstream-tls-verify'");
    return 0;
}

static int check_tls(struct flag_values *v, struct err *e)
{
    struct command *c = v->command;
    bool sends_cas = c->input == COMMAND_INPUT_VISITOR_CAS;

    if (v->has_crt != v->has_key)
        return err_set(e, E_FLAG_SYNTAX, "--crt and --key go together");
    if (!str_eq(v->terminate_at, STR("upstream"))) {
        c->ends_tls = v->has_crt || sends_cas || v->terminate_at.n > 0;
        return 0;
    }
    if (sends_cas)
        return err_set(e, E_MTLS_NOT_HERE,
                       "--mutual-tls-cas: the gateway sees no certificate of a visitor when TLS "
                       "ends at the upstream; give --terminate-at edge");
    if (v->has_crt)
        return err_set(e, E_FLAG_SYNTAX, "--crt: it is of no use when TLS ends at the upstream");
    return 0;
}

/* With what the client sends it has to wait until that is there. */
static int end_tls(struct command *c, const struct policy_engine *engine, struct err *e)
{
    static const struct flag_tls as_it_is = { .certificate = STR_INIT("") };

    if (!c->ends_tls || c->input == COMMAND_INPUT_VISITOR_CAS ||
        c->input == COMMAND_INPUT_CERTIFICATE)
        return 0;
    return flag_policy_end_tls(&as_it_is, engine, &c->flags, e);
}

int flags_apply(const struct flag_use *uses, size_t count, const struct policy_engine *engine,
                struct command *out, struct err *e)
{
    struct flag_values values = { .command = out };
    int rc = 0;

    flag_policy_init(&values.policy);
    values.policy.raw = out->kind != COMMAND_HTTP;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = apply_one(&values, &uses[i], e);
    if (rc == 0)
        rc = check_upstream(out, e);
    if (rc == 0)
        rc = check_tls(&values, e);
    if (rc == 0)
        rc = flag_policy_documents(&values.policy, engine, &out->flags, e);
    if (rc == 0)
        rc = end_tls(out, engine, e);
    flag_policy_fini(&values.policy);
    return rc;
}
