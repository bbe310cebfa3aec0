/*
 * What all channels of a session share: how much may be written, and how a channel is closed.
 */
#include "sshd/session_int.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "base/mem.h"
#include "sshd/sshd_int.h"

/*
 * A channel that we closed and the client has not. libssh keeps it, and what the client still sends
 * on it, until then; the record is how that memory is known.
 */
struct closing {
    struct session *session; /* borrowed */
    struct ssh_channel_callbacks_struct cb;
    size_t held;        /* unread bytes in libssh */
    size_t held_stderr; /* the same of the other stream */
    bool closed;        /* by the client, too */
    struct closing *prev;
    struct closing *next;
};

void session_count_channel(struct session *s, int n)
{
    s->alive_count = (size_t)((int64_t)s->alive_count + n);
    sshd_count(s->front, METRIC_SSH_CHANNELS, n);
}

bool session_can_write(struct session *s)
{
    flow_update(&s->flow, (ssh_get_status(s->ssh) & SSH_WRITE_PENDING) != 0, &s->raw, &s->sock);
    return flow_can_write(&s->flow);
}

/*
 * libssh sends each packet by itself. What many requests of one loop turn write is to leave together:
 * from the second packet of a turn on the socket holds back what does not fill a segment, and the end
 * of the turn lets it go. Measured with 32 busy visitors that is a tenth of the CPU of a request.
 */
static void set_cork(const struct session *s, int on)
{
    /* Not s->fd, which libssh may have closed. It only makes sending cheaper. */
    (void)setsockopt(ssh_get_fd(s->ssh), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static void cork(struct session *s)
{
    if (s->turn_packets == 1) {
        set_cork(s, 1);
        session_wake(s);
    }
    s->turn_packets++;
}

void session_uncork(struct session *s)
{
    if (s->turn_packets > 1)
        set_cork(s, 0);
    s->turn_packets = 0;
}

static int write_packet(struct session *s, ssh_channel ch, enum session_output to, const char *p,
                        size_t n)
{
    uint64_t before = s->raw.out_bytes;
    int r;

    cork(s);
    r = to == SESSION_STDOUT ? ssh_channel_write(ch, p, (uint32_t)n)
                             : ssh_channel_write_stderr(ch, p, (uint32_t)n);
    if (r > 0)
        flow_wrote(&s->flow, (size_t)r, before, s->raw.out_bytes);
    return r;
}

size_t session_write(struct session *s, ssh_channel ch, enum session_output to, struct str data,
                     enum write_stop *stop)
{
    size_t done = 0;

    *stop = WRITE_TOOK_ALL;
    while (done < data.n) {
        size_t n = data.n - done < SESSION_WRITE_BYTES ? data.n - done : SESSION_WRITE_BYTES;
        size_t window = ssh_channel_window_size(ch);
        int r;

        if (window == 0 && !ssh_channel_is_closed(ch)) {
            *stop = WRITE_NEEDS_WINDOW;
            return done;
        }
        if (!session_can_write(s)) {
            *stop = WRITE_NEEDS_OUTPUT;
            return done;
        }
        r = write_packet(s, ch, to, data.p + done, n < window ? n : window);
        if (r < 0) /* the channel or the session is gone, which its state will tell */
            return data.n;
        if (r == 0) {
            flow_stalled(&s->flow, &s->raw);
            *stop = WRITE_NEEDS_OUTPUT;
            return done;
        }
        done += (size_t)r;
    }
    return done;
}

/* Brings the session's sum up to date; `held` is one of cl's, and `bytes` its new value. */
static void closing_hold(struct closing *cl, size_t *held, size_t bytes)
{
    struct session *s = cl->session;
    struct err e;

    s->discarded = s->discarded - *held + bytes;
    *held = bytes;
    if (s->unread + s->discarded <= 2 * (uint64_t)SESSION_UNREAD_MAX_BYTES)
        return;
    (void)err_set(&e, E_LIMIT, "the client sends on channels that are closed");
    session_end(s, CLOSE_LIMIT, &e);
}

static int on_discarded_data(ssh_session ssh, ssh_channel ch, void *data, uint32_t n, int is_stderr,
                             void *arg)
{
    struct closing *cl = arg;

    (void)ssh;
    (void)ch;
    (void)data;
    closing_hold(cl, is_stderr ? &cl->held_stderr : &cl->held, n);
    return 0; /* taking it would make libssh adjust the window of a closed channel */
}

/*
 * The record is freed by the next settling, as libssh still walks over the callbacks. While the
 * channel is being closed libssh knows it even after a CLOSE, so a client's second one comes here.
 */
static void on_discarded_close(ssh_session ssh, ssh_channel ch, void *arg)
{
    struct closing *cl = arg;
    struct session *s = cl->session;

    (void)ssh;
    (void)ch;
    if (cl->closed)
        return;
    cl->closed = true;
    closing_hold(cl, &cl->held, 0);
    closing_hold(cl, &cl->held_stderr, 0);
    DL_DELETE(s->closing, cl);
    DL_APPEND(s->closed, cl);
    s->closing_count--;
    session_count_channel(s, -1);
}

static struct closing *closing_new(struct session *s)
{
    struct closing *cl = mem_zalloc(sizeof(*cl));

    cl->session = s;
    cl->cb.userdata = cl;
    cl->cb.channel_data_function = on_discarded_data;
    cl->cb.channel_close_function = on_discarded_close;
    ssh_callbacks_init(&cl->cb);
    DL_APPEND(s->closing, cl);
    s->closing_count++;
    return cl;
}

static void closing_free_all(struct closing **list)
{
    while (*list != NULL) {
        struct closing *cl = *list;

        DL_DELETE(*list, cl);
        mem_free(cl);
    }
}

void session_settle_closing(struct session *s)
{
    closing_free_all(&s->closed);
}

void session_forget_closing(struct session *s)
{
    closing_free_all(&s->closed);
    closing_free_all(&s->closing);
}

void session_shut_channel(struct session *s, ssh_channel ch,
                          struct ssh_channel_callbacks_struct *own, bool peer_closed, size_t held)
{
    (void)ssh_remove_channel_callbacks(ch, own);
    if (peer_closed) {
        session_count_channel(s, -1);
    } else {
        struct closing *cl = closing_new(s);

        (void)ssh_add_channel_callbacks(ch, &cl->cb);
        closing_hold(cl, &cl->held, held);
    }
    /* Without the EOF, a close with output pending sends only that and the CLOSE gets lost. */
    (void)ssh_channel_send_eof(ch);
    (void)ssh_channel_close(ch);
    ssh_channel_free(ch);
}

/*
 * libssh has no getter for the largest packet that the client takes, and loops for a minute when
 * that is a few bytes. So its private struct is read, after three facts that are public have shown
 * that the layout is the one of 0.10.
 */
static bool find_packet_size(ssh_channel ch, uint32_t local_max, uint32_t *out)
{
    enum { LOCAL_MAX = 3, REMOTE_WINDOW = 5, REMOTE_MAX = 7, WORDS };
    ssh_session own;
    uint32_t words[WORDS];

    memcpy(&own, (const void *)ch, sizeof(own));
    memcpy(words, (const char *)(const void *)ch + sizeof(own), sizeof(words));
    if (own != ssh_channel_get_session(ch) || words[REMOTE_WINDOW] != ssh_channel_window_size(ch) ||
        words[LOCAL_MAX] != local_max)
        return false;
    *out = words[REMOTE_MAX];
    return true;
}

bool session_has_packet_size(ssh_channel ch, uint32_t local_max)
{
    uint32_t bytes = 0;

    return find_packet_size(ch, local_max, &bytes) && bytes > 0;
}

bool session_check_packet_size(struct session *s, ssh_channel ch, uint32_t local_max)
{
    uint32_t bytes = 0;
    struct err e;

    if (!find_packet_size(ch, local_max, &bytes)) {
        log_error("ssh.libssh_layout", LS("libssh", ssh_version(0)));
        session_end(s, CLOSE_PROTOCOL, NULL);
        return false;
    }
    if (bytes >= SESSION_PACKET_MIN_BYTES)
        return true;
    (void)err_set(&e, E_LIMIT, "the client accepts packets of %u bytes only", (unsigned)bytes);
    session_end(s, CLOSE_PROTOCOL, &e);
    return false;
}
