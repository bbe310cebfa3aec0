/*
 * OpenSSL talks to the socket through a BIO of our own. What the socket does not take is held here,
 * encrypted, so a write is either taken or not: with OpenSSL's socket BIO a record that was cut
 * short must be offered again byte for byte, which a caller that frames its data anew (chunks, other
 * buffers) could not promise. It also lets the records of one large write, or of one flight of the
 * handshake, go out in one system call.
 */
#include "gateway/tls_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>

enum { TLS_STAGE_BYTES = 4 * TLS_RECORD_ROOM_BYTES };

/* Encrypted bytes on their way to the socket, within one call only. */
static _Thread_local struct {
    size_t n;
    char bytes[TLS_STAGE_BYTES];
} stage;

/* Sends what the socket takes, holds the rest. */
static void session_send(struct tls_session *s, const char *p, size_t n)
{
    while (n > 0 && s->sys_errno == 0) {
        ssize_t sent = send(s->fd, p, n, MSG_NOSIGNAL);

        if (sent >= 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            buf_add(&s->held, p, n);
            return;
        } else if (errno != EINTR) {
            s->sys_errno = errno;
        }
    }
}

static void stage_flush(struct tls_session *s)
{
    size_t n = stage.n;

    stage.n = 0;
    session_send(s, stage.bytes, n);
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls_session *s = BIO_get_data(bio);
    size_t size = (size_t)n;

    BIO_clear_retry_flags(bio);
    if (s->staging && s->held.len == 0 && size > sizeof(stage.bytes) - stage.n)
        stage_flush(s);
    if (s->sys_errno != 0)
        return -1;
    if (s->held.len > 0) {
        if (size > buf_room(&s->held)) {
            BIO_set_retry_write(bio);
            return -1;
        }
        buf_add(&s->held, p, size);
    } else if (s->staging && size <= sizeof(stage.bytes)) {
        memcpy(stage.bytes + stage.n, p, size);
        stage.n += size;
    } else {
        session_send(s, p, size);
    }
    return n;
}

static int bio_read(BIO *bio, char *p, int room)
{
    struct tls_session *s = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do {
        n = recv(s->fd, p, (size_t)room, 0);
    } while (n == -1 && errno == EINTR);
    if (n == 0)
        s->peer_gone = true;
    else if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    else if (n == -1)
        s->sys_errno = errno;
    return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *p)
{
    struct tls_session *s = BIO_get_data(bio);

    (void)num;
    (void)p;
    switch (cmd) {
    case BIO_CTRL_FLUSH: /* at the end of a flight: tls_handshake() sends it */
        return 1;
    case BIO_CTRL_EOF:
        return s->peer_gone ? 1 : 0;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sallyport socket");

    assert(m != NULL);
    (void)BIO_meth_set_write(m, bio_write); /* setters of a method cannot fail */
    (void)BIO_meth_set_read(m, bio_read);
    (void)BIO_meth_set_ctrl(m, bio_ctrl);
    (void)BIO_meth_set_create(m, bio_create);
    return m;
}

void tls_stage_start(struct tls_session *s)
{
    assert(stage.n == 0);
    s->staging = true;
}

void tls_stage_stop(struct tls_session *s)
{
    s->staging = false;
    if (stage.n > 0)
        stage_flush(s);
}
