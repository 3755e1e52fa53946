/* item_counts.h - how many items each collection has, for metrics.
 *
 * /metrics is answered on an I/O thread and must not wait for a store. So the numbers are
 * kept here, set when somebody asks the store and moved by what this process puts in and
 * takes out; what other processes do shows with the next question. */
#ifndef API_ITEM_COUNTS_H
#define API_ITEM_COUNTS_H

#include "api/exposition.h"
#include "core/index/collection.h"

enum { ITEM_COUNTS_MAX = 256 }; /* collections; more are left out */

struct item_counts;

enum status item_counts_create(struct item_counts **out, struct error *err);
/* NULL is allowed. */
void item_counts_destroy(struct item_counts *counts);

/* Asks the store for all collections. What fails is left out. */
void item_counts_read(struct item_counts *counts, struct collections *collections);
void item_counts_set(struct item_counts *counts, const char *name, uint64_t items);
/* Of a collection that is known; of another nothing is remembered. */
void item_counts_add(struct item_counts *counts, const char *name, int64_t difference);
void item_counts_drop(struct item_counts *counts, const char *name);

void item_counts_write(struct exposition *out, struct item_counts *counts);

#endif
