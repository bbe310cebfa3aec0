#include "gateway/tls_check.h"

#include <stddef.h>

#include <openssl/ssl.h>

#include "gateway/config.h"
#include "gateway/tls_certs.h"

int tls_check(const struct config *config, struct buf *problems)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct tls_certs *certs;

    if (ctx == NULL) {
        buf_add_fmt(problems, "sallyport: OpenSSL cannot be used for TLS\n");
        return -1;
    }
    certs = tls_certs_load(config->certificates, config->certificate_count, ctx, problems);
    SSL_CTX_free(ctx);
    if (certs == NULL)
        return -1;
    tls_certs_free(certs);
    return 0;
}
