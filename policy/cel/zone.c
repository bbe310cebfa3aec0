/*
 * The folder is walked instead of reading its index: the names of old links (US/Central) are files
 * or links on one system and in a package of their own on the next, and what is there is what
 * counts. About 600 files of together 1 MB stay in memory as they are (tzif.h).
 */
#include "policy/cel/zone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/cel/tzif.h"

struct zone {
    char *name; /* owned */
    char *file; /* owned; data borrows from it */
    struct tzif data;
};

struct cel_zones {
    struct zone *items; /* owned; sorted by name */
    size_t count;
    size_t room;
};

/* ---- names ---- */

/* A name that may be looked up, wherever it comes from. */
static bool is_zone_name(struct str name)
{
    if (name.n == 0 || name.n > CEL_ZONE_NAME_BYTES || name.p[0] == '/' ||
        str_find(name, STR("..")) != name.n)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '_' && c != '+' && c != '/' && c != '-')
            return false;
    }
    return true;
}

static int compare_zones(const void *a, const void *b)
{
    return strcmp(((const struct zone *)a)->name, ((const struct zone *)b)->name);
}

/* A key has no NUL: is_zone_name(). */
static int compare_key(const void *key, const void *zone)
{
    const struct str *name = key;
    const char *other = ((const struct zone *)zone)->name;
    int order = strncmp(name->p, other, name->n);

    return order == 0 && other[name->n] != '\0' ? -1 : order;
}

/* ---- loading ---- */

/* All bytes of an open file of so many; NULL when they cannot be read. */
static char *read_all(int fd, size_t size)
{
    char *bytes = mem_alloc(size);
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);

        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0) {
            mem_free(bytes);
            return NULL;
        }
        done += (size_t)n;
    }
    return bytes;
}

/* The content of a regular file of a zone's size, or NULL. */
static char *read_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *bytes = NULL;

    if (fd == -1)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        st.st_size <= CEL_ZONE_FILE_BYTES) {
        *size = (size_t)st.st_size;
        bytes = read_all(fd, *size);
    }
    (void)close(fd); /* nothing was written */
    return bytes;
}

/* Adds the file as a zone if it is one; the database also has tables and notes in text. */
static void add_file(struct cel_zones *z, const char *path, struct str name)
{
    struct zone zone = { 0 };
    size_t size = 0;

    if (z->count == CEL_ZONES_MAX)
        return;
    zone.file = read_file(path, &size);
    if (zone.file == NULL)
        return;
    if (!tzif_parse(str_of(zone.file, size), &zone.data)) {
        mem_free(zone.file);
        return;
    }
    if (z->count == z->room) {
        z->room = z->room == 0 ? 64 : z->room * 2;
        z->items = mem_realloc(z->items, z->room * sizeof(*z->items));
    }
    zone.name = str_dup(name);
    z->items[z->count++] = zone;
}

/* Entries of the top folder that are no zones of their own: copies of all zones with other names
 * for the clock, and what the machine itself is set to. */
static bool is_alias(const char *name)
{
    static const char *const aliases[] = { "posix", "right", "localtime", "posixrules" };

    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(name, aliases[i]) == 0)
            return true;
    }
    return false;
}

/* Adds what is in the folder `path`; its first `top` bytes and a slash stand before each name. */
static int add_folder(struct cel_zones *z, const char *path, size_t top, unsigned depth)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL)
        return -1;
    while ((entry = readdir(folder)) != NULL) {
        char below[PATH_MAX];
        int n = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        struct stat st;

        if (n < 0 || (size_t)n >= sizeof(below) || (depth == 0 && is_alias(entry->d_name)) ||
            !is_zone_name(str_from(below + top + 1)) || stat(below, &st) == -1)
            continue;
        if (!S_ISDIR(st.st_mode))
            add_file(z, below, str_from(below + top + 1));
        else if (depth + 1 < CEL_ZONE_DEPTH)
            (void)add_folder(z, below, top, depth + 1); /* unreadable: those zones are unknown */
    }
    (void)closedir(folder);
    return 0;
}

struct cel_zones *cel_zones_load(const char *dir, struct err *e)
{
    struct cel_zones *z = mem_zalloc(sizeof(*z));

    if (add_folder(z, dir, strlen(dir), 0) == -1) {
        (void)err_set_errno(e, errno, "cannot read time zones from %s", dir);
        goto fail;
    }
    if (z->count == 0) {
        (void)err_set(e, E_NOT_FOUND, "there are no time zones in %s", dir);
        goto fail;
    }
    qsort(z->items, z->count, sizeof(*z->items), compare_zones);
    return z;
fail:
    cel_zones_free(z);
    return NULL;
}

void cel_zones_free(struct cel_zones *z)
{
    if (z == NULL)
        return;
    for (size_t i = 0; i < z->count; i++) {
        mem_free(z->items[i].name);
        mem_free(z->items[i].file);
    }
    mem_free(z->items);
    mem_free(z);
}

size_t cel_zones_count(const struct cel_zones *z)
{
    return z->count;
}

/* ---- lookup ---- */

/* "+02:00", "-09:30", "02:00" */
static bool parse_offset(struct str s, int32_t *offset)
{
    bool west = s.n > 0 && s.p[0] == '-';
    uint64_t hours;
    uint64_t minutes;

    if (west || (s.n > 0 && s.p[0] == '+'))
        s = str_skip(s, 1);
    if (s.n != 5 || s.p[2] != ':' || str_to_u64(str_slice(s, 0, 2), 23, &hours) == -1 ||
        str_to_u64(str_skip(s, 3), 59, &minutes) == -1)
        return false;
    *offset = (int32_t)(hours * 3600 + minutes * 60);
    if (west)
        *offset = -*offset;
    return true;
}

bool cel_zone_offset(const struct cel_zones *z, struct str name, int64_t seconds, int32_t *offset)
{
    const struct zone *zone;

    *offset = 0;
    if (str_eq(name, STR("UTC")) || parse_offset(name, offset))
        return true;
    if (z == NULL || !is_zone_name(name))
        return false;
    zone = bsearch(&name, z->items, z->count, sizeof(*z->items), compare_key);
    if (zone == NULL)
        return false;
    *offset = tzif_offset(&zone->data, seconds);
    return true;
}
