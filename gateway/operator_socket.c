#include "gateway/operator_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "operator.sock"

enum { SOCKET_BACKLOG = 16 };

/*
 * The address of the socket in the folder `dir_fd`: by way of /proc, since the path of a folder may be
 * longer than an address has room for.
 */
static struct sockaddr_un address_in(int dir_fd)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, SOCKET_NAME);
    return a;
}

static int open_dir(const char *dir, struct err *e)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1)
        (void)err_set_errno(e, errno, "cannot open %s", dir);
    return fd;
}

static int bind_in(int dir_fd, const char *dir, struct err *e)
{
    struct sockaddr_un a = address_in(dir_fd);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return err_set_errno(e, errno, "cannot make a socket");
    (void)unlinkat(dir_fd, SOCKET_NAME,
                   0); /* that of an earlier process; bind() tells if it stays */
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) == -1 ||
        fchmodat(dir_fd, SOCKET_NAME, 0600, 0) == -1 || listen(fd, SOCKET_BACKLOG) == -1) {
        (void)err_set_errno(e, errno, "cannot make the socket %s/%s", dir, SOCKET_NAME);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int operator_socket_open(const char *dir, struct err *e)
{
    int dir_fd = open_dir(dir, e);
    int fd;

    if (dir_fd == -1)
        return -1;
    fd = bind_in(dir_fd, dir, e);
    (void)close(dir_fd); /* only a name */
    return fd;
}

int operator_socket_connect(const char *dir, struct err *e)
{
    int dir_fd = open_dir(dir, e);
    struct sockaddr_un a;
    int fd;

    if (dir_fd == -1)
        return errno == ENOENT ? err_set(e, E_NOT_FOUND, "there is no folder %s", dir) : -1;
    a = address_in(dir_fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        (void)err_set_errno(e, errno, "cannot make a socket");
    } else if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == -1) {
        /* ECONNREFUSED: a gateway that was killed left its socket. */
        if (errno == ENOENT || errno == ECONNREFUSED)
            (void)err_set(e, E_NOT_FOUND, "no gateway uses %s", dir);
        else
            (void)err_set_errno(e, errno, "cannot connect to %s/%s", dir, SOCKET_NAME);
        (void)close(fd);
        fd = -1;
    }
    (void)close(dir_fd); /* only a name */
    return fd;
}

bool operator_socket_is_allowed(int fd)
{
    struct ucred peer = { .uid = (uid_t)-1 };
    socklen_t n = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == -1)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}
