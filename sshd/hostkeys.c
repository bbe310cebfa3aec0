/*
 * The keys are written to a temporary file that is made with mode 0600 and then renamed, so that
 * neither a reader nor a crash finds half a key.
 */
#include "sshd/sshd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libssh/libssh.h>

#include "base/mem.h"

struct host_key_kind {
    const char *file;
    enum ssh_keytypes_e type;
    int bits; /* as ssh_pki_generate() wants it */
};

static const struct host_key_kind kinds[SSHD_HOST_KEYS] = {
    { .file = "ssh_host_ed25519_key", .type = SSH_KEYTYPE_ED25519, .bits = 0 },
    { .file = "ssh_host_ecdsa_key", .type = SSH_KEYTYPE_ECDSA_P256, .bits = 256 },
    { .file = "ssh_host_rsa_key", .type = SSH_KEYTYPE_RSA, .bits = 3072 },
};

static char *path_of(const char *dir, const char *file, const char *suffix)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s%s", dir, file, suffix);

    return n > 0 && (size_t)n < sizeof(path) ? mem_strdup(path) : NULL;
}

/* Writes key to path by way of tmp. */
static int write_private(ssh_key key, const char *tmp, const char *path, struct err *e)
{
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd == -1)
        return err_set_errno(e, errno, "cannot write %s", tmp);
    if (fchmod(fd, 0600) == -1) {
        int failure = errno;

        (void)close(fd); /* nothing was written */
        return err_set_errno(e, failure, "cannot protect %s", tmp);
    }
    (void)close(fd); /* libssh opens it again and keeps its mode */
    if (ssh_pki_export_privkey_file(key, NULL, NULL, NULL, tmp) != SSH_OK) {
        (void)unlink(tmp); /* best effort */
        return err_set(e, E_SYSTEM, "cannot write a host key to %s", tmp);
    }
    if (rename(tmp, path) == -1)
        return err_set_errno(e, errno, "cannot rename %s", tmp);
    return 0;
}

static int make_key(const char *dir, const struct host_key_kind *kind, const char *path,
                    struct err *e)
{
    char *tmp = path_of(dir, kind->file, ".new");
    ssh_key key = NULL;
    int rc = -1;

    if (tmp == NULL)
        (void)err_set(e, E_CONFIG, "the path of %s is too long", dir);
    else if (ssh_pki_generate(kind->type, kind->bits, &key) != SSH_OK)
        (void)err_set(e, E_SYSTEM, "cannot generate %s", kind->file);
    else
        rc = write_private(key, tmp, path, e);
    ssh_key_free(key);
    mem_free(tmp);
    return rc;
}

/* Derives the public half, which administrators hand out; missing, it is made again. */
static int ensure_public(const char *dir, const struct host_key_kind *kind, const char *path,
                         struct err *e)
{
    char *pub = path_of(dir, kind->file, ".pub");
    ssh_key key = NULL;
    int rc = 0;

    if (pub == NULL)
        return err_set(e, E_CONFIG, "the path of %s is too long", dir);
    if (access(pub, F_OK) != 0) {
        if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) != SSH_OK)
            rc = err_set(e, E_CONFIG, "%s: not a readable private key without passphrase", path);
        else if (ssh_pki_export_pubkey_file(key, pub) != SSH_OK)
            rc = err_set(e, E_SYSTEM, "cannot write %s", pub);
    }
    ssh_key_free(key);
    mem_free(pub);
    return rc;
}

int sshd_host_keys_ensure(const char *dir, char *out[SSHD_HOST_KEYS], struct err *e)
{
    (void)ssh_init();
    for (int i = 0; i < SSHD_HOST_KEYS; i++)
        out[i] = NULL;
    for (int i = 0; i < SSHD_HOST_KEYS; i++) {
        out[i] = path_of(dir, kinds[i].file, "");
        if (out[i] == NULL) {
            (void)err_set(e, E_CONFIG, "the path of %s is too long", dir);
            goto fail;
        }
        if (access(out[i], F_OK) != 0 && make_key(dir, &kinds[i], out[i], e) == -1)
            goto fail;
        if (ensure_public(dir, &kinds[i], out[i], e) == -1)
            goto fail;
    }
    (void)ssh_finalize();
    return SSHD_HOST_KEYS;
fail:
    for (int i = 0; i < SSHD_HOST_KEYS; i++) {
        mem_free(out[i]);
        out[i] = NULL;
    }
    (void)ssh_finalize();
    return -1;
}
