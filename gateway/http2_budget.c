#include "gateway/http2_budget.h"

enum { MS_PER_SECOND = 1000 };

void http2_budget_init(struct http2_budget *b, uint64_t burst, uint64_t per_second, uint64_t now_ms)
{
    *b = (struct http2_budget){
        .left = burst,
        .burst = burst,
        .per_second = per_second,
        .filled_ms = now_ms,
    };
}

/* The time that makes no whole token stays. */
static void fill(struct http2_budget *b, uint64_t now_ms)
{
    uint64_t ms = now_ms - b->filled_ms;
    uint64_t tokens;

    if (ms / MS_PER_SECOND > b->burst / b->per_second) {
        b->left = b->burst;
        b->filled_ms = now_ms;
        return;
    }
    tokens = ms * b->per_second / MS_PER_SECOND;
    http2_budget_earn(b, tokens);
    b->filled_ms += tokens * MS_PER_SECOND / b->per_second;
}

bool http2_budget_take(struct http2_budget *b, uint64_t now_ms)
{
    fill(b, now_ms);
    if (b->left == 0)
        return false;
    b->left--;
    return true;
}

void http2_budget_earn(struct http2_budget *b, uint64_t tokens)
{
    b->left = tokens < b->burst - b->left ? b->left + tokens : b->burst;
}
