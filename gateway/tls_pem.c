#include "gateway/tls_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/pem.h"

enum { PEM_READ_BYTES = 4096 };

/* Appends the file to `out`. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        char piece[PEM_READ_BYTES];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n > 0)
            buf_add(out, piece, (size_t)n);
        mem_wipe(piece, sizeof(piece));
        if (n == 0 || buf_failed(out))
            return 0;
        if (n == -1 && errno != EINTR)
            return -1;
    }
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;

    if (fd == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    if (read_all(fd, out) == -1)
        rc = err_set_errno(e, errno, "cannot read %s", path);
    else if (buf_failed(out))
        rc = err_set(e, E_CONFIG, "%s is larger than %d bytes; is it a PEM file?", path,
                     (int)PEM_MAX_BYTES);
    (void)close(fd); /* only read from */
    return rc;
}

/* The bytes may be a key: they do not stay in freed memory. */
static void forget(struct buf *b)
{
    if (b->mem != NULL)
        mem_wipe(b->mem, b->cap);
    buf_fini(b);
}

STACK_OF(X509) * tls_pem_read_chain(const char *path, struct err *e)
{
    STACK_OF(X509) *chain = NULL;
    struct buf text;

    buf_init(&text, PEM_MAX_BYTES);
    if (read_file(path, &text, e) == 0)
        chain = pem_parse_chain(buf_str(&text), path, e);
    forget(&text);
    return chain;
}

EVP_PKEY *tls_pem_read_key(const char *path, struct err *e)
{
    EVP_PKEY *key = NULL;
    struct buf text;

    buf_init(&text, PEM_MAX_BYTES);
    if (read_file(path, &text, e) == 0)
        key = pem_parse_key(buf_str(&text), path, e);
    forget(&text);
    return key;
}
