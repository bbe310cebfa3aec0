#include "sshd/exec_address.h"

#include <assert.h>
#include <stdio.h>

#include "sshd/command.h"
#include "sshd/forward.h"
#include "tunnel/host.h"

/* A name in UTF-8 and the base domain behind it. */
enum { BELOW_BASE_BYTES = 5 * HOST_MAX_BYTES };

static const struct {
    const char *flag;
    enum err_code twice; /* when -R has a name too */
} namings[] = {
    [COMMAND_NAMED_BY_DOMAIN] = { "--domain", E_NAME_TWICE },
    [COMMAND_NAMED_BY_HOSTNAME] = { "--hostname", E_NAME_TWICE },
    [COMMAND_NAMED_BY_SUBDOMAIN] = { "--subdomain", E_SUBDOMAIN_TWICE },
    [COMMAND_NAMED_BY_REMOTE_ADDR] = { "--remote-addr", E_REMOTE_ADDR_TWICE },
};

/* Other than a --url, which may be a scheme alone, the older flags leave -R no name to give. */
static int check_old_flag(const struct command *c, const struct forward *f, struct err *e)
{
    if (c->naming == COMMAND_NAMED_BY_URL)
        return 0;
    if (!url_is_unnamed_bind(str_from(f->host)))
        return err_set(e, namings[c->naming].twice,
                       "the address is given twice, by -R and by %s; give only one of them",
                       namings[c->naming].flag);
    if (c->naming == COMMAND_NAMED_BY_REMOTE_ADDR && f->asked_port != 0)
        return err_set(e, E_REMOTE_ADDR_PORT,
                       "port %u of -R contradicts --remote-addr; write -R 0:...",
                       (unsigned)f->asked_port);
    return 0;
}

int exec_address(const struct command *c, const struct forward *f,
                 const struct host_suffixes *suffixes, struct url *out, struct err *e)
{
    struct url_context ctx = { .binding = c->binding, .suffixes = suffixes };
    struct str given = f->index < c->url_count ? c->urls[f->index] : STR_NONE;
    bool serves = command_serves(c->kind, &ctx.command);
    char below_base[BELOW_BASE_BYTES];

    assert(serves); /* other commands have no forwards */
    (void)serves;
    if (given.n > 0 && check_old_flag(c, f, e) == -1)
        return -1;
    if (given.n > 0 && c->naming == COMMAND_NAMED_BY_SUBDOMAIN) {
        int n = snprintf(below_base, sizeof(below_base), "%.*s.%.*s", STR_ARG(given),
                         STR_ARG(host_suffixes_base(suffixes)));

        if ((size_t)n >= sizeof(below_base))
            return err_set(e, E_HOST_LENGTH, "the name is longer than %d characters",
                           HOST_MAX_BYTES);
        given = str_from(below_base);
    }
    return url_from_forward(str_from(f->host), f->asked_port, given, &ctx, out, e);
}
