#include "base/shared_text.h"

#include <string.h>

#include "base/mem.h"
#include "base/ref.h"

struct shared_text {
    struct ref ref;
    size_t n;
    char bytes[];
};

struct shared_text *shared_text_new(struct str text)
{
    struct shared_text *t = mem_alloc(sizeof(*t) + text.n);

    ref_init(&t->ref);
    t->n = text.n;
    if (text.n > 0)
        memcpy(t->bytes, text.p, text.n);
    return t;
}

void shared_text_ref(struct shared_text *t)
{
    if (t != NULL)
        ref_inc(&t->ref);
}

void shared_text_unref(struct shared_text *t)
{
    if (t == NULL || !ref_dec(&t->ref))
        return;
    mem_wipe(t->bytes, t->n);
    mem_free(t);
}

struct str shared_text_str(const struct shared_text *t)
{
    return t != NULL ? str_of(t->bytes, t->n) : STR_NONE;
}
