#include "sshd/exec_upstream.h"

#include "base/mem.h"
#include "sshd/command.h"
#include "tunnel/ca_bundle.h"
#include "tunnel/endpoint.h"

int exec_upstream_read_cas(struct exec_upstream *u, struct str pem, struct err *e)
{
    if (ca_bundle_check(pem, e) == -1)
        return err_prefix(e, "--upstream-tls-verify-cas");
    u->cas = str_dup(pem);
    return 0;
}

void exec_upstream_fini(struct exec_upstream *u)
{
    mem_free(u->cas);
    u->cas = NULL;
}

void exec_upstream_fill(const struct exec_upstream *u, const struct command *c,
                        struct endpoint_upstream *out)
{
    struct str host = str_from(c->upstream.host);

    out->protocol = c->upstream_protocol;
    out->proxy_protocol = c->upstream_proxy_protocol;
    if (!c->has_upstream || !c->upstream.https)
        return;
    if (str_starts(host, STR("[")))
        host = str_slice(host, 1, host.n - 1);
    out->tls = true;
    out->tls_verify = c->upstream_tls_verify;
    endpoint_set(&out->tls_host, host);
    if (u->cas != NULL)
        endpoint_set(&out->tls_cas, str_from(u->cas));
}
