#include "tests/unit/gateway/web_server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { CONNS_MAX = 256, REQUEST_MAX = 1024 * 1024, RESPONSE_MAX = 8 * 1024 * 1024 };

struct web_server {
    int fd;
    uint16_t port;
    pthread_t acceptor;
    pthread_t threads[CONNS_MAX];
    int fds[CONNS_MAX];
    unsigned conns;
    atomic_uint requests;
    atomic_uint connections;
    atomic_uint counted;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards what follows */
    unsigned status;
    char body[256];
};

struct visit {
    struct web_server *server;
    int fd;
};

static void answer(struct buf *out, const char *status, const char *fields, struct str body)
{
    buf_add_fmt(out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, body.n, fields);
    buf_add_str(out, body);
}

static void redirect(struct buf *out, const char *status, struct str to)
{
    char field[1024];

    (void)snprintf(field, sizeof(field), "Location: %.*s\r\n", STR_ARG(to));
    answer(out, status, field, STR("moved"));
}

static uint64_t number(struct str s)
{
    uint64_t n = 0;

    (void)str_to_u64(s, UINT32_MAX, &n);
    return n;
}

static void answer_bytes(struct buf *out, size_t n)
{
    char *p = mem_zalloc(n + 1);

    memset(p, 'x', n);
    answer(out, "200 OK", "", str_of(p, n));
    mem_free(p);
}

static void answer_fields(struct buf *out, size_t n)
{
    buf_add_str(out, STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"));
    for (size_t i = 0; i < n; i++)
        buf_add_fmt(out, "X-%zu: v\r\n", i);
    buf_add_str(out, STR("\r\n"));
}

static const char gzip_hello[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00"
    "\x86\xa6\x10\x36\x05\x00\x00\x00";

static bool answer_set(struct web_server *s, struct buf *out)
{
    char status[32];

    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(status, sizeof(status), "%u Set", s->status);
    if (s->status != 0)
        answer(out, status, "", str_from(s->body));
    (void)pthread_mutex_unlock(&s->lock);
    return out->len > 0;
}

/* False: nothing is answered and the connection stays. */
static bool respond(struct web_server *s, struct str request, struct str target, struct buf *out)
{
    size_t question = str_find_char(target, '?');
    struct str path = str_slice(target, 0, question);
    struct str query = str_skip(target, question + 1);
    char text[64];

    if (answer_set(s, out))
        return true;
    if (str_eq(path, STR("/never")))
        return false;
    if (str_eq(path, STR("/to")))
        redirect(out, "302 Found", query);
    else if (str_eq(path, STR("/to303")))
        redirect(out, "303 See Other", query);
    else if (str_eq(path, STR("/to307")))
        redirect(out, "307 Temporary Redirect", query);
    else if (str_eq(path, STR("/echo")))
        answer(out, "200 OK", "X-Kind: Echo\r\n", request);
    else if (str_eq(path, STR("/bytes")))
        answer_bytes(out, (size_t)number(query));
    else if (str_eq(path, STR("/gzip")))
        answer(out, "200 OK", "Content-Encoding: gzip\r\n",
               str_of(gzip_hello, sizeof(gzip_hello) - 1));
    else if (str_eq(path, STR("/fields")))
        answer_fields(out, (size_t)number(query));
    else if (str_eq(path, STR("/cut")))
        buf_add_str(out, STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"));
    else if (str_eq(path, STR("/status"))) {
        (void)snprintf(text, sizeof(text), "%.*s Status", STR_ARG(query));
        answer(out, text, "", STR("status"));
    } else if (str_eq(path, STR("/count"))) {
        (void)snprintf(text, sizeof(text), "%u", atomic_fetch_add(&s->counted, 1) + 1);
        answer(out, "200 OK", "", str_from(text));
    } else
        answer(out, "200 OK", "", STR("hello"));
    return true;
}

/* The length of the whole request at the front, or 0. */
static size_t whole_request(struct str in)
{
    size_t head = str_find(in, STR("\r\n\r\n"));
    struct str rest = str_slice(in, 0, head);
    struct str line;
    uint64_t body = 0;

    if (head == in.n)
        return 0;
    while (str_next(&rest, '\n', &line)) {
        if (str_starts_nocase(line, STR("content-length:")))
            (void)str_to_u64(str_trim(str_skip(line, 15)), REQUEST_MAX, &body);
    }
    head += 4 + (size_t)body;
    return head <= in.n ? head : 0;
}

static bool serve_one(struct web_server *s, int fd, struct buf *in)
{
    size_t n = whole_request(buf_str(in));
    struct str request = str_slice(buf_str(in), 0, n);
    struct str rest = request;
    struct str word;
    struct buf out;
    bool cut;

    if (n == 0)
        return true;
    atomic_fetch_add(&s->requests, 1);
    (void)str_next(&rest, ' ', &word);
    (void)str_next(&rest, ' ', &word);
    cut = str_eq(word, STR("/cut"));
    buf_init(&out, RESPONSE_MAX);
    if (respond(s, request, word, &out))
        (void)send(fd, buf_str(&out).p, out.len, MSG_NOSIGNAL);
    buf_fini(&out);
    buf_consume(in, n);
    return !cut;
}

static void *serve(void *arg)
{
    struct visit *v = arg;
    struct buf in;
    char piece[4096];
    ssize_t n;

    buf_init(&in, REQUEST_MAX);
    while ((n = recv(v->fd, piece, sizeof(piece), 0)) > 0) {
        buf_add(&in, piece, (size_t)n);
        if (!serve_one(v->server, v->fd, &in))
            break;
    }
    (void)shutdown(v->fd, SHUT_RDWR);
    buf_fini(&in);
    mem_free(v);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct web_server *s = arg;
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) != -1 && s->conns < CONNS_MAX) {
        struct visit *v = mem_zalloc(sizeof(*v));

        atomic_fetch_add(&s->connections, 1);
        v->server = s;
        v->fd = fd;
        s->fds[s->conns] = fd;
        if (pthread_create(&s->threads[s->conns], NULL, serve, v) == 0)
            s->conns++;
    }
    return NULL;
}

struct web_server *web_server_new(void)
{
    struct web_server *s = mem_zalloc(sizeof(*s));
    struct sockaddr_in sa = { .sin_family = AF_INET };
    socklen_t n = sizeof(sa);
    int one = 1;

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    (void)bind(s->fd, (struct sockaddr *)&sa, sizeof(sa));
    (void)listen(s->fd, 64);
    (void)getsockname(s->fd, (struct sockaddr *)&sa, &n);
    s->port = ntohs(sa.sin_port);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_create(&s->acceptor, NULL, accept_all, s);
    return s;
}

void web_server_free(struct web_server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->conns; i++) {
        (void)shutdown(s->fds[i], SHUT_RDWR);
        (void)pthread_join(s->threads[i], NULL);
        (void)close(s->fds[i]);
    }
    (void)close(s->fd);
    (void)pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

uint16_t web_server_port(const struct web_server *s)
{
    return s->port;
}

unsigned web_server_requests(const struct web_server *s)
{
    return atomic_load(&s->requests);
}

unsigned web_server_connections(const struct web_server *s)
{
    return atomic_load(&s->connections);
}

void web_server_set(struct web_server *s, unsigned status, const char *body)
{
    (void)pthread_mutex_lock(&s->lock);
    s->status = status;
    (void)snprintf(s->body, sizeof(s->body), "%s", body);
    (void)pthread_mutex_unlock(&s->lock);
}
