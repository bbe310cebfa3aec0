#include "policy/cel/list.h"

enum { ITEMS_PER_STEP = 4 };

struct cel_value cel_list_room(struct cel_run *run, size_t count, struct cel_value **items)
{
    struct cel_list *list;

    if (count > run->limits->entries || !cel_charge(run, count / ITEMS_PER_STEP))
        return cel_spent(run);
    list = cel_alloc(run, sizeof(*list) + count * sizeof(**items));
    if (list == NULL)
        return cel_spent(run);
    *items = (struct cel_value *)(list + 1);
    *list = (struct cel_list){ .items = *items, .count = count };
    return cel_list_of(list);
}
