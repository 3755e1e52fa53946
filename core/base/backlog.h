/* backlog.h - how long it takes until a queue is empty, by how long the like of what waits in it
 * took of late. An estimate for those who are to come again. */
#ifndef CORE_BASE_BACKLOG_H
#define CORE_BASE_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory knows nothing yet. Not safe from several threads at a time. */
struct backlog {
    uint64_t each_ns; /* that a worker takes for one, smoothed */
};

/* A worker took so long for `count`, at least 1. */
void backlog_note(struct backlog *backlog, uint64_t ns, size_t count);
/* What `waiting` take if nothing is added; 0 when none was done yet. */
uint64_t backlog_ns(const struct backlog *backlog, size_t waiting, uint32_t workers);

#endif
