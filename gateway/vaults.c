#include "gateway/vaults.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/ref.h"
#include "base/utf8.h"
#include "gateway/file_read.h"

/* No name has it. */
static const char separator = ':';

enum { VAULTS_KEY_BYTES = 3 * (VAULTS_NAME_BYTES + 1) };

struct secret {
    UT_hash_handle hh;
    struct str value; /* owned */
    size_t key_bytes;
    char key[]; /* account, vault and name, with separator between them */
};

struct vaults {
    struct ref ref;
    struct secret *by_key; /* owned */
};

/* Where the reading is. */
struct walk {
    struct vaults *vaults; /* borrowed */
    struct buf *problems;  /* borrowed */
    size_t problem_count;
    size_t root_bytes; /* of `path`: the folder and its slash */
    char path[PATH_MAX];
};

enum { DEPTH_SECRETS = 3 }; /* account, vault, secret */

static void problem(struct walk *w, const char *text)
{
    w->problem_count++;
    buf_add_fmt(w->problems, "%s: %s\n", w->path, text);
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '_' && c != '.' && c != '-' && c != '/')
            return false;
    }
    return s.n > 0 && s.n <= VAULTS_NAME_BYTES;
}

/* ---- secrets --------------------------------------------------------------------------- */

static void secret_free(struct secret *s)
{
    mem_wipe((char *)(uintptr_t)s->value.p, s->value.n);
    mem_free((char *)(uintptr_t)s->value.p);
    mem_free(s);
}

/* The key of a secret, or an empty one for what are no names. */
static struct str make_key(char key[VAULTS_KEY_BYTES], struct str account, struct str vault,
                           struct str name)
{
    const struct str parts[] = { account, vault, name };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!is_name(parts[i]))
            return STR_NONE;
        if (i > 0)
            key[n++] = separator;
        memcpy(key + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return str_of(key, n);
}

static struct secret *find_secret(const struct vaults *v, struct str key)
{
    struct secret *s;

    HASH_FIND(hh, v->by_key, key.p, key.n, s);
    return s;
}

bool vaults_add(struct vaults *v, struct str account, struct str vault, struct str name,
                struct str value)
{
    char text[VAULTS_KEY_BYTES];
    struct str key = make_key(text, account, vault, name);
    struct secret *s;

    if (key.n == 0 || find_secret(v, key) != NULL)
        return false;
    s = mem_zalloc(sizeof(*s) + key.n);
    s->value = str_of(str_dup(value), value.n);
    s->key_bytes = key.n;
    memcpy(s->key, key.p, key.n);
    HASH_ADD_KEYPTR(hh, v->by_key, s->key, s->key_bytes, s);
    return true;
}

/* Adds what the file at "ACCOUNT/VAULT/NAME" has. */
static void add_of_file(struct walk *w, struct str path, struct str value)
{
    struct str account = str_slice(path, 0, str_find_char(path, '/'));
    struct str rest = str_skip(path, account.n + 1);
    struct str vault = str_slice(rest, 0, str_find_char(rest, '/'));

    (void)vaults_add(w->vaults, account, vault, str_skip(rest, vault.n + 1), value);
}

static struct str without_newline(struct str s)
{
    if (str_ends(s, STR("\n")))
        s.n--;
    if (str_ends(s, STR("\r")))
        s.n--;
    return s;
}

static void read_secret(struct walk *w)
{
    struct buf bytes;
    struct err e;

    if (HASH_COUNT(w->vaults->by_key) >= VAULTS_SECRETS_MAX) {
        if (w->problem_count == 0)
            problem(w, "there are too many secrets");
        return;
    }
    buf_init(&bytes, VAULTS_SECRET_BYTES + 2);
    (void)buf_reserve(&bytes, bytes.max); /* growing would leave copies behind */
    if (file_read(w->path, &bytes, &e) == -1)
        problem(w, e.msg);
    else if (without_newline(buf_str(&bytes)).n > VAULTS_SECRET_BYTES)
        problem(w, "the secret is larger than 64 KiB");
    else if (!utf8_is_valid(buf_str(&bytes)))
        problem(w, "the secret is no UTF-8 text");
    else
        add_of_file(w, str_from(w->path + w->root_bytes), without_newline(buf_str(&bytes)));
    if (bytes.mem != NULL)
        mem_wipe(bytes.mem, bytes.cap);
    buf_fini(&bytes);
}

/* ---- folders --------------------------------------------------------------------------- */

static void read_folder(struct walk *w, unsigned depth);

/* A file beside accounts or vaults is as wrong as a folder among secrets: somebody expects it to be
 * used. */
static void read_entry(struct walk *w, unsigned depth, const char *name)
{
    size_t n = strlen(w->path);
    int wrote;

    if (name[0] == '.')
        return;
    wrote = snprintf(w->path + n, sizeof(w->path) - n, "/%s", name);
    if (wrote < 0 || (size_t)wrote >= sizeof(w->path) - n)
        problem(w, "the path is too long");
    else if (!is_name(str_from(name)))
        problem(w, "the name may only have letters, digits and _ . -, and 128 of them at most");
    else if (depth == DEPTH_SECRETS)
        read_secret(w);
    else
        read_folder(w, depth);
    w->path[n] = '\0';
}

/* Reads what lies below `depth` folders of names. The depth is fixed: this recursion ends. */
static void read_folder(struct walk *w, unsigned depth)
{
    DIR *dir = opendir(w->path);
    struct dirent *entry;
    struct err e;

    if (dir == NULL) {
        (void)err_set_errno(&e, errno, "cannot open it as a folder");
        problem(w, e.msg);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        read_entry(w, depth + 1, entry->d_name);
    (void)closedir(dir); /* only read from */
}

struct vaults *vaults_new(void)
{
    struct vaults *v = mem_zalloc(sizeof(*v));

    ref_init(&v->ref);
    return v;
}

struct vaults *vaults_load(const char *folder, struct buf *problems)
{
    struct vaults *v = vaults_new();
    struct walk w = { .vaults = v, .problems = problems };

    (void)snprintf(w.path, sizeof(w.path), "%s", folder);
    w.root_bytes = strlen(w.path) + 1;
    read_folder(&w, 0);
    if (w.problem_count == 0)
        return v;
    vaults_unref(v);
    return NULL;
}

void vaults_ref(struct vaults *v)
{
    ref_inc(&v->ref);
}

void vaults_unref(struct vaults *v)
{
    struct secret *s;
    struct secret *next;

    if (v == NULL || !ref_dec(&v->ref))
        return;
    HASH_ITER(hh, v->by_key, s, next)
    {
        HASH_DEL(v->by_key, s);
        secret_free(s);
    }
    mem_free(v);
}

size_t vaults_count(const struct vaults *v)
{
    return HASH_COUNT(v->by_key);
}

/* ---- finding --------------------------------------------------------------------------- */

struct str vaults_find(const struct vaults *v, struct str account, struct str vault,
                       struct str name)
{
    char text[VAULTS_KEY_BYTES];
    struct str key = make_key(text, account, vault, name);
    struct secret *s = v == NULL || key.n == 0 ? NULL : find_secret(v, key);

    return s == NULL ? STR_NONE : s->value;
}
