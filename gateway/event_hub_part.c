/* Plans with their filters compiled. */
#include "base/mem.h"
#include "gateway/event_filter.h"
#include "gateway/event_hub_int.h"

static size_t count_sources(const struct event_plan *plan)
{
    size_t count = 0;

    for (size_t i = 0; i < plan->subscription_count; i++)
        count += plan->subscriptions[i].source_count;
    return count;
}

static int compile(struct hub_part *p, const struct event_subscription *s, struct err *e)
{
    for (size_t i = 0; i < s->source_count; i++) {
        const struct event_source *source = &s->sources[i];

        if (source->filter.n > 0) {
            p->filters[p->filter_count] = event_filter_new(source->type, source->filter, e);
            if (p->filters[p->filter_count] == NULL)
                return -1;
        }
        p->filter_count++;
    }
    return 0;
}

struct hub_part *hub_part_new(struct event_plan *plan, struct err *e)
{
    struct hub_part *p = mem_zalloc(sizeof(*p));

    event_plan_ref(plan);
    p->plan = plan;
    p->filters = mem_zalloc_array(count_sources(plan), sizeof(struct event_filter *));
    p->outlets = mem_zalloc_array(plan->destination_count, sizeof(struct event_outlet *));
    for (size_t i = 0; i < plan->subscription_count; i++) {
        if (compile(p, &plan->subscriptions[i], e) == -1) {
            hub_part_free(p);
            return NULL;
        }
    }
    return p;
}

void hub_part_free(struct hub_part *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->filter_count; i++)
        event_filter_free(p->filters[i]);
    mem_free(p->filters);
    mem_free(p->outlets);
    event_plan_unref(p->plan);
    mem_free(p);
}

uint64_t hub_part_wants(const struct hub_part *p)
{
    uint64_t wants = 0;

    for (size_t i = 0; p != NULL && i < p->plan->subscription_count; i++) {
        const struct event_subscription *s = &p->plan->subscriptions[i];

        for (size_t k = 0; s->destination_count > 0 && k < s->source_count; k++)
            wants |= UINT64_C(1) << s->sources[k].type;
    }
    return wants;
}
