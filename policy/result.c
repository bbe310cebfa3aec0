#include "policy/result.h"

#include "policy/action.h"

struct cel_value result_map(struct action_run *run, const struct result_field *fields, size_t count)
{
    struct cel_map_builder *map = cel_map_new(action_values(run), count);

    if (map == NULL)
        return cel_spent(action_values(run));
    for (size_t i = 0; i < count; i++) {
        if (cel_is_error(fields[i].value))
            return fields[i].value;
        if (!cel_map_set(map, cel_string(str_from(fields[i].name)), fields[i].value))
            return cel_spent(action_values(run));
    }
    return cel_map_value(map);
}

void result_set(struct action_run *run, const struct result_field *fields, size_t count)
{
    action_set_result(run, result_map(run, fields, count));
}
