/*
 * The categories of each set of lists are spelled out once, at load, so a lookup only finds a set
 * (ip_table.h) and hands out what is there.
 */
#include "policy/ip_lists.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/ref.h"
#include "policy/ip_table.h"

enum { LINE_SHOWN_BYTES = 64 };

struct ip_lists {
    struct ref ref;
    struct str *names; /* owned, text in `arena`; by number of list, sorted */
    size_t name_count;
    size_t entry_count;
    struct ip_table *table;     /* owned */
    struct ip_categories *sets; /* owned; by number of set, lists in `arena` */
    struct arena arena;
};

/* ---- names ---- */

static bool is_name_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '_';
}

/* Words of letters, digits, '-' and '_' with dots between them. */
static bool is_category(struct str name)
{
    struct str rest = name;
    struct str word;

    if (name.n == 0 || name.n > IP_LISTS_NAME_BYTES)
        return false;
    while (str_next(&rest, '.', &word)) {
        if (word.n == 0)
            return false;
        for (size_t i = 0; i < word.n; i++) {
            if (!is_name_char(word.p[i]))
                return false;
        }
    }
    return true;
}

static int compare_names(const void *left, const void *right)
{
    const struct str *a = left;
    const struct str *b = right;
    int order = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

/* ---- lines ---- */

/* Adds what the line names, if anything. */
static int read_line(struct ip_lists *l, struct ip_blocks *blocks, uint16_t list, struct str line,
                     struct err *e)
{
    struct cidr cidr;

    line = str_slice(line, 0, str_find_char(line, '#'));
    line = str_trim(str_slice(line, 0, str_find_char(line, ';')));
    if (line.n == 0)
        return 0;
    if (cidr_parse(str_slice(line, 0, LINE_SHOWN_BYTES), &cidr, e) == -1) {
        if (e != NULL)
            e->code = E_CONFIG;
        return -1;
    }
    if (l->entry_count == IP_LISTS_ENTRIES_MAX)
        return err_set(e, E_LIMIT, "there are more than %d addresses in all lists",
                       IP_LISTS_ENTRIES_MAX);
    l->entry_count++;
    ip_blocks_add(blocks, &cidr, list);
    return 0;
}

static int read_lines(struct ip_lists *l, struct ip_blocks *blocks, uint16_t list, struct str text,
                      const char *path, struct err *e)
{
    unsigned long number = 0;
    struct str line;

    while (str_next(&text, '\n', &line)) {
        number++;
        if (read_line(l, blocks, list, line, e) == -1)
            return err_prefix(e, "%s:%lu", path, number);
    }
    return 0;
}

/* ---- files ---- */

/* Reads an open file; *text is owned by the caller also after a failure. */
static int read_all(int fd, const char *path, char **text, size_t *size, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    if (st.st_size > IP_LISTS_FILE_BYTES)
        return err_set(e, E_LIMIT, "%s is larger than %d MiB", path,
                       IP_LISTS_FILE_BYTES / 1024 / 1024);
    *text = mem_alloc((size_t)st.st_size);
    *size = 0;
    while (*size < (size_t)st.st_size) {
        ssize_t n = read(fd, *text + *size, (size_t)st.st_size - *size);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return err_set_errno(e, errno, "cannot read %s", path);
        if (n == 0) /* it got shorter */
            break;
        *size += (size_t)n;
    }
    return 0;
}

static int read_list(struct ip_lists *l, struct ip_blocks *blocks, uint16_t list, const char *path,
                     struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = NULL;
    size_t size = 0;
    int rc;

    if (fd == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    rc = read_all(fd, path, &text, &size, e);
    (void)close(fd); /* nothing was written */
    if (rc == 0)
        rc = read_lines(l, blocks, list, str_of(text, size), path, e);
    mem_free(text);
    return rc;
}

static int join_path(const char *folder, const char *name, char path[PATH_MAX], struct err *e)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);

    if (n < 0 || n >= PATH_MAX)
        return err_set(e, E_CONFIG, "the path of a list in %.64s is too long", folder);
    return 0;
}

/* Notes the list of a directory entry, if it is one. */
static int add_name(struct ip_lists *l, const char *folder, const char *name, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;

    if (name[0] == '.')
        return 0;
    if (join_path(folder, name, path, e) == -1)
        return -1;
    if (stat(path, &st) == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return 0;
    if (!is_category(str_from(name)))
        return err_set(e, E_CONFIG, "%s does not have the name of a category", path);
    if (l->name_count == IP_LISTS_FILES_MAX)
        return err_set(e, E_LIMIT, "there are more than %d lists in %s", IP_LISTS_FILES_MAX,
                       folder);
    l->names[l->name_count++] = arena_str(&l->arena, str_from(name));
    return 0;
}

static int find_names(struct ip_lists *l, const char *folder, struct err *e)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return err_set_errno(e, errno, "cannot read %s", folder);
    l->names = mem_zalloc_array(IP_LISTS_FILES_MAX, sizeof(*l->names));
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        rc = add_name(l, folder, entry->d_name, e);
    (void)closedir(dir);
    if (rc == 0 && l->name_count > 1)
        qsort(l->names, l->name_count, sizeof(*l->names), compare_names);
    return rc;
}

static int read_lists(struct ip_lists *l, struct ip_blocks *blocks, const char *folder,
                      struct err *e)
{
    for (size_t i = 0; i < l->name_count; i++) {
        char name[IP_LISTS_NAME_BYTES + 1];
        char path[PATH_MAX];

        memcpy(name, l->names[i].p, l->names[i].n);
        name[l->names[i].n] = '\0';
        if (join_path(folder, name, path, e) == -1 ||
            read_list(l, blocks, (uint16_t)i, path, e) == -1)
            return -1;
    }
    return 0;
}

/* ---- categories ---- */

/* How many words the name has: each beginning of them is a category. */
static size_t count_words(struct str name)
{
    size_t words = 1;

    for (size_t i = 0; i < name.n; i++)
        words += name.p[i] == '.';
    return words;
}

/* Writes a, a.b and a.b.c of "a.b.c"; returns how many. */
static size_t expand(struct str name, struct str *out)
{
    size_t n = 0;

    for (size_t i = 0; i <= name.n; i++) {
        if (i == name.n || name.p[i] == '.')
            out[n++] = str_slice(name, 0, i);
    }
    return n;
}

/* Sorts the names and drops those that are there twice; returns how many are left. */
static size_t sort_unique(struct str *names, size_t count)
{
    size_t n = 0;

    if (count > 1)
        qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || !str_eq(names[n - 1], names[i]))
            names[n++] = names[i];
    }
    return n;
}

static void fill_categories(struct arena *a, const struct str *names, size_t count,
                            struct ip_categories *out)
{
    struct cel_value *items = arena_alloc(a, count * sizeof(*items));

    for (size_t i = 0; i < count; i++) {
        items[i] = cel_string(names[i]);
        if (str_eq(names[i], STR("blocklist")))
            out->is_on_blocklist = true;
        if (str_eq(names[i], STR("proxy.anonymous.tor")))
            out->is_tor_node = true;
    }
    out->names = (struct cel_list){ items, count };
}

static void make_set(struct ip_lists *l, struct ip_set set, struct ip_categories *out)
{
    size_t words = 0;
    size_t count = 0;
    struct str *names;

    for (size_t i = 0; i < set.count; i++)
        words += count_words(l->names[set.lists[i]]);
    names = mem_zalloc_array(words, sizeof(*names));
    for (size_t i = 0; i < set.count; i++)
        count += expand(l->names[set.lists[i]], names + count);
    fill_categories(&l->arena, names, sort_unique(names, count), out);
    mem_free(names);
}

static void make_sets(struct ip_lists *l)
{
    size_t count = ip_table_set_count(l->table);

    l->sets = mem_zalloc_array(count, sizeof(*l->sets));
    for (size_t i = 0; i < count; i++)
        make_set(l, ip_table_set(l->table, i), &l->sets[i]);
}

/* ---- the whole ---- */

struct ip_lists *ip_lists_load(const char *folder, struct err *e)
{
    struct ip_lists *l = mem_zalloc(sizeof(*l));
    struct ip_blocks blocks = { 0 };

    ref_init(&l->ref);
    arena_init(&l->arena);
    if (find_names(l, folder, e) == -1 || read_lists(l, &blocks, folder, e) == -1)
        goto fail;
    l->table = ip_table_new(&blocks, e);
    if (l->table == NULL)
        goto fail;
    make_sets(l);
    ip_blocks_fini(&blocks);
    return l;
fail:
    ip_blocks_fini(&blocks);
    ip_lists_unref(l);
    return NULL;
}

struct ip_lists *ip_lists_ref(struct ip_lists *l)
{
    ref_inc(&l->ref);
    return l;
}

void ip_lists_unref(struct ip_lists *l)
{
    if (l == NULL || !ref_dec(&l->ref))
        return;
    ip_table_free(l->table);
    mem_free(l->sets);
    mem_free(l->names);
    arena_fini(&l->arena);
    mem_free(l);
}

size_t ip_lists_count(const struct ip_lists *l)
{
    return l->entry_count;
}

bool ip_lists_has_category(const struct ip_lists *l, struct str name)
{
    for (size_t i = 0; i < l->name_count; i++) {
        const struct str *have = &l->names[i];

        if (str_starts(*have, name) && (have->n == name.n || have->p[name.n] == '.'))
            return true;
    }
    return false;
}

const struct ip_categories *ip_lists_lookup(const struct ip_lists *l, const struct addr *addr)
{
    static const struct ip_categories none = { .is_on_blocklist = false };

    if (l == NULL || addr->family == 0)
        return &none;
    return &l->sets[ip_table_find(l->table, addr)];
}
