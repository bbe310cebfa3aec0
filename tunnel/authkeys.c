/*
 * A line is read strictly: what is not understood is a problem and not skipped, since an option that
 * restricts a key must never be dropped silently. All problems of all files are told at once.
 */
#include "tunnel/authkeys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/ref.h"
#include "tunnel/authkeys_int.h"

struct entry {
    struct authkey key;
    UT_hash_handle hh;
};

struct authkeys {
    struct ref ref;
    struct entry *table;     /* owned */
    struct authkeys *files;  /* counted: asked first; NULL but of authkeys_over() */
    struct authkeys *stored; /* counted: asked next; likewise */
};

struct authkeys *authkeys_new(void)
{
    struct authkeys *set = mem_zalloc(sizeof(*set));

    ref_init(&set->ref);
    return set;
}

struct authkeys *authkeys_over(struct authkeys *files, struct authkeys *stored)
{
    struct authkeys *set = authkeys_new();

    authkeys_ref(files);
    set->files = files;
    authkeys_ref(stored);
    set->stored = stored;
    return set;
}

static struct entry *entry_new(struct str account, struct str where)
{
    struct entry *en = mem_zalloc(sizeof(*en));

    en->key.account = str_dup(account);
    en->key.where = str_dup(where);
    acl_init(&en->key.acl);
    return en;
}

static void entry_free(struct entry *en)
{
    if (en == NULL)
        return;
    mem_free(en->key.id);
    mem_free(en->key.type);
    mem_free(en->key.account);
    mem_free(en->key.comment);
    acl_fini(&en->key.acl);
    mem_free(en->key.from);
    mem_free(en->key.where);
    mem_free(en);
}

void authkeys_ref(struct authkeys *set)
{
    ref_inc(&set->ref);
}

void authkeys_unref(struct authkeys *set)
{
    if (set == NULL || !ref_dec(&set->ref))
        return;
    while (set->table != NULL) {
        struct entry *en = set->table;

        HASH_DEL(set->table, en);
        entry_free(en);
    }
    authkeys_unref(set->files);
    authkeys_unref(set->stored);
    mem_free(set);
}

size_t authkeys_count(const struct authkeys *set)
{
    if (set->files != NULL)
        return authkeys_count(set->files) + authkeys_count(set->stored);
    return HASH_COUNT(set->table);
}

const struct authkey *authkeys_find(const struct authkeys *set,
                                    const uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES])
{
    struct entry *found;

    if (set->files != NULL) {
        const struct authkey *key = authkeys_find(set->files, fingerprint);

        return key != NULL ? key : authkeys_find(set->stored, fingerprint);
    }
    HASH_FIND(hh, set->table, fingerprint, AUTHKEY_FINGERPRINT_BYTES, found);
    return found == NULL ? NULL : &found->key;
}

/* ---- parsing --------------------------------------------------------------------------- */

/* Takes the next word of *rest and the space behind it. */
static struct str take_word(struct str *rest)
{
    size_t n = 0;
    struct str word;

    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    word = str_slice(*rest, 0, n);
    *rest = str_trim_ows(str_skip(*rest, n));
    return word;
}

static int check_characters(struct str line, struct err *e)
{
    if (line.n > AUTHKEYS_LINE_MAX_BYTES)
        return err_set(e, E_LIMIT, "the line is longer than %d bytes", AUTHKEYS_LINE_MAX_BYTES);
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return err_set(e, E_SYNTAX, "control character 0x%02x in the line", (unsigned)c);
    }
    return 0;
}

/* Reads "[options] type base64 [comment]". */
static int parse_key(struct str line, struct authkey *key, struct err *e)
{
    struct str ahead = line;
    struct str type;
    struct str text;

    if (!authkey_is_type(take_word(&ahead)) && authkey_options_parse(&line, key, e) == -1)
        return -1;
    type = take_word(&line);
    text = take_word(&line);
    if (authkey_blob_parse(type, text, key, e) == -1)
        return -1;
    key->comment = str_dup(line);
    return 0;
}

/* Takes the entry over, unless its key is there. */
static int add_entry(struct authkeys *set, struct entry *en, struct err *e)
{
    const struct authkey *twin = authkeys_find(set, en->key.fingerprint);

    if (twin != NULL)
        return err_set(e, E_SYNTAX, "the same key stands at %s", twin->where);
    HASH_ADD(hh, set->table, key.fingerprint, AUTHKEY_FINGERPRINT_BYTES, en);
    return 0;
}

/* A key of account "default", until its options say another. */
static struct entry *entry_of_line(const char *file, size_t number)
{
    struct buf where;
    struct entry *en;

    buf_init(&where, strlen(file) + 32);
    buf_add_fmt(&where, "%s:%zu", file, number);
    en = entry_new(STR("default"), buf_str(&where));
    en->key.id = mem_strdup("");
    buf_fini(&where);
    return en;
}

static int parse_line(struct authkeys *set, const char *file, size_t number, struct str line,
                      struct err *e)
{
    struct entry *en;

    if (check_characters(line, e) == -1)
        return -1;
    line = str_trim_ows(line);
    if (line.n == 0 || line.p[0] == '#')
        return 0;
    en = entry_of_line(file, number);
    if (parse_key(line, &en->key, e) == 0 && add_entry(set, en, e) == 0)
        return 0;
    entry_free(en);
    return -1;
}

int authkeys_parse(struct authkeys *set, const char *file, struct str text, struct buf *problems)
{
    struct str rest = text;
    struct str line;
    size_t number = 0;
    int rc = 0;

    while (str_next(&rest, '\n', &line)) {
        struct err e;

        number++;
        if (str_ends(line, STR("\r")))
            line = str_slice(line, 0, line.n - 1);
        if (str_find(line, STR("PRIVATE KEY-----")) != line.n) {
            /* Its other lines are not looked at, so that no message repeats a part of it. */
            buf_add_fmt(problems, "%s:%zu: this is a private key; list public keys here\n", file,
                        number);
            return -1;
        }
        if (parse_line(set, file, number, line, &e) == 0)
            continue;
        buf_add_fmt(problems, "%s:%zu: %s\n", file, number, e.msg);
        rc = -1;
    }
    return rc;
}

/* ---- keys of the store ----------------------------------------------------------------- */

static int read_stored(const struct authkey_stored *from, struct authkey *key, struct err *e)
{
    struct str line = str_trim(from->public_key);
    struct str type = take_word(&line);
    struct str text = take_word(&line);

    if (authkey_blob_parse(type, text, key, e) == -1)
        return -1;
    key->comment = str_dup(line);
    for (size_t i = 0; i < from->acl_count; i++) {
        if (acl_add_rule(&key->acl, from->acl[i], e) == -1)
            return -1;
    }
    return 0;
}

int authkeys_add(struct authkeys *set, const struct authkey_stored *key, struct err *e)
{
    struct entry *en = entry_new(key->account, key->id);

    en->key.id = str_dup(key->id);
    if (read_stored(key, &en->key, e) == 0 && add_entry(set, en, e) == 0)
        return 0;
    entry_free(en);
    return -1;
}

size_t authkeys_each_twin(const struct authkeys *set,
                          void (*fn)(void *arg, const struct authkey *kept,
                                     const struct authkey *unused),
                          void *arg)
{
    size_t count = 0;

    for (const struct entry *en = set->stored->table; en != NULL; en = en->hh.next) {
        const struct authkey *kept = authkeys_find(set->files, en->key.fingerprint);

        if (kept == NULL)
            continue;
        fn(arg, kept, &en->key);
        count++;
    }
    return count;
}

/* ---- files ----------------------------------------------------------------------------- */

static int read_all(int fd, struct buf *out, struct err *e)
{
    enum { CHUNK_BYTES = 64 * 1024 };

    for (;;) {
        char *at = buf_reserve(out, CHUNK_BYTES);
        ssize_t n;

        if (at == NULL)
            return err_set(e, E_LIMIT, "the file is larger than %d bytes", AUTHKEYS_FILE_MAX_BYTES);
        n = read(fd, at, CHUNK_BYTES);
        if (n == 0)
            return 0;
        if (n > 0)
            buf_commit(out, (size_t)n);
        else if (errno != EINTR)
            return err_set_errno(e, errno, "it cannot be read");
    }
}

static int read_file(const char *file, struct buf *out, struct err *e)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block here */
    int rc = -1;

    if (fd == -1)
        return err_set_errno(e, errno, "it cannot be opened");
    if (fstat(fd, &st) == -1)
        (void)err_set_errno(e, errno, "it cannot be read");
    else if (!S_ISREG(st.st_mode))
        (void)err_set(e, E_SYSTEM, "it is not a regular file");
    else
        rc = read_all(fd, out, e);
    (void)close(fd); /* nothing was written */
    return rc;
}

struct authkeys *authkeys_load(const char *const *files, size_t count, struct buf *problems)
{
    enum { SLACK_BYTES = 64 * 1024 }; /* one chunk is reserved beyond the end of the file */
    struct authkeys *set = authkeys_new();
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        struct buf text;
        struct err e;

        buf_init(&text, AUTHKEYS_FILE_MAX_BYTES + SLACK_BYTES);
        if (read_file(files[i], &text, &e) == -1) {
            buf_add_fmt(problems, "%s:1: %s\n", files[i], e.msg);
            rc = -1;
        } else if (authkeys_parse(set, files[i], buf_str(&text), problems) == -1) {
            rc = -1;
        }
        buf_fini(&text);
    }
    if (rc == 0)
        return set;
    authkeys_unref(set);
    return NULL;
}

/* ---- checking -------------------------------------------------------------------------- */

static bool is_allowed_from(const struct authkey *key, const struct addr *client)
{
    for (size_t i = 0; i < key->from_count; i++) {
        if (cidr_contains(&key->from[i], client))
            return true;
    }
    return key->from_count == 0;
}

int authkey_check(const struct authkey *key, const struct addr *client, uint64_t wall_ms,
                  struct err *e)
{
    if (key->expires_wall_ms != 0 && wall_ms >= key->expires_wall_ms) {
        char when[CLOCK_RFC3339_BYTES];

        clock_format_rfc3339(key->expires_wall_ms, when);
        return err_set(e, E_CREDENTIAL_REVOKED, "this key expired at %s", when);
    }
    if (!is_allowed_from(key, client)) {
        char ip[ADDR_IP_TEXT_BYTES];

        return err_set(e, E_CREDENTIAL_ADDRESS, "this key may not be used from %s",
                       addr_format_ip(client, ip));
    }
    return 0;
}
