/* budget.h - bytes that many may take together, up to a limit.
 *
 * For memory whose size a client chooses: it is taken here before it is allocated. */
#ifndef CORE_BASE_BUDGET_H
#define CORE_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    _Atomic size_t used;
    size_t max; /* constant */
};

/* False, and nothing is taken, when that many are not left. Any thread. */
bool budget_take(struct budget *budget, size_t bytes);
/* Gives back what was taken. */
void budget_give(struct budget *budget, size_t bytes);
size_t budget_used(const struct budget *budget);

#endif
