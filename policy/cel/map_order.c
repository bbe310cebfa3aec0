#include "policy/cel/map_order.h"

#include "policy/cel/cel.h"
#include "policy/cel/list.h"
#include "policy/cel/sort.h"

struct cel_value cel_map_order(struct cel_run *run, struct cel_value map, struct cel_value **names)
{
    size_t count = cel_map_size(map);
    struct cel_value *numbers;
    struct cel_value list = cel_list_room(run, count, &numbers);
    struct cel_value room = cel_list_room(run, count, names);

    if (cel_is_error(list) || cel_is_error(room))
        return cel_spent(run);
    for (size_t i = 0; i < count; i++) {
        struct cel_value key;
        struct cel_value value;

        cel_map_entry(run, map, i, &key, &value);
        (*names)[i] = cel_to_text(run, key);
        if (cel_is_error((*names)[i]))
            return (*names)[i];
        numbers[i] = cel_int((int64_t)i);
    }
    return cel_sort(run, list.as.list, *names);
}
