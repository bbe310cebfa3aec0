#include "base/cidr_set.h"

#include <string.h>

#include "base/mem.h"
#include "base/ref.h"

struct cidr_set {
    struct ref ref;
    size_t count;
    struct cidr items[];
};

struct cidr_set *cidr_set_new(const struct cidr *items, size_t count)
{
    struct cidr_set *s = mem_zalloc(sizeof(*s) + count * sizeof(s->items[0]));

    ref_init(&s->ref);
    s->count = count;
    if (count > 0)
        memcpy(s->items, items, count * sizeof(s->items[0]));
    return s;
}

void cidr_set_ref(struct cidr_set *s)
{
    if (s != NULL)
        ref_inc(&s->ref);
}

void cidr_set_unref(struct cidr_set *s)
{
    if (s != NULL && ref_dec(&s->ref))
        mem_free(s);
}

bool cidr_set_has(const struct cidr_set *s, const struct addr *a)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        if (cidr_contains(&s->items[i], a))
            return true;
    }
    return false;
}
