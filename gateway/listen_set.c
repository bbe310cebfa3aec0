#include "gateway/listen_set.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/listener.h"

static int bound_address(int fd, struct addr *out, struct err *e)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &n) == -1)
        return err_set_errno(e, errno, "cannot read the address of a listener");
    *out = addr_from_sockaddr((struct sockaddr *)&sa);
    return 0;
}

static int bind_all(struct listen_set *s, enum listen_others others, struct err *e)
{
    for (size_t i = 0; i < s->bound.count; i++) {
        struct addr *a = &s->bound.addrs[i];

        if (others == LISTEN_ALONE && listener_probe(a, e) == -1)
            return -1;
        for (size_t w = 0; w < s->workers; w++) {
            int fd = listener_bind(a, e);

            if (fd == -1)
                return -1;
            s->fds[w * s->bound.count + i] = fd;
            if (bound_address(fd, a, e) == -1)
                return -1;
        }
    }
    return 0;
}

int listen_set_init(struct listen_set *s, const struct config_listen *wanted, size_t workers,
                    enum listen_others others, struct err *e)
{
    *s = (struct listen_set){ .bound = *wanted, .workers = workers };
    s->fds = mem_zalloc_array(workers * wanted->count, sizeof(*s->fds));
    for (size_t i = 0; i < workers * wanted->count; i++)
        s->fds[i] = -1;
    if (bind_all(s, others, e) == 0)
        return 0;
    listen_set_fini(s);
    return -1;
}

void listen_set_fini(struct listen_set *s)
{
    for (size_t i = 0; s->fds != NULL && i < s->workers * s->bound.count; i++) {
        if (s->fds[i] != -1)
            (void)close(s->fds[i]); /* never accepted from */
    }
    mem_free(s->fds);
    *s = (struct listen_set){ .fds = NULL };
}

void listen_set_take(struct listen_set *s, size_t worker, int out[CONFIG_LISTEN_MAX])
{
    int *own = s->fds + worker * s->bound.count;

    for (size_t i = 0; i < s->bound.count; i++) {
        out[i] = own[i];
        own[i] = -1;
    }
}

void listen_set_format(const struct listen_set *s, struct buf *out)
{
    for (size_t i = 0; i < s->bound.count; i++) {
        char text[ADDR_TEXT_BYTES];

        buf_add_fmt(out, "%s%s", i == 0 ? "" : ",", addr_format(&s->bound.addrs[i], text));
    }
}
