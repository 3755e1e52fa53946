#include "core/base/backlog.h"

/* The last eight or so count. */
enum { SMOOTHING = 8 };

void backlog_note(struct backlog *backlog, uint64_t ns, size_t count) {
    uint64_t each_ns = ns / count;
    if (backlog->each_ns)
        each_ns = backlog->each_ns - backlog->each_ns / SMOOTHING + each_ns / SMOOTHING;
    backlog->each_ns = each_ns;
}

uint64_t backlog_ns(const struct backlog *backlog, size_t waiting, uint32_t workers) {
    if (waiting && backlog->each_ns > UINT64_MAX / waiting) return UINT64_MAX;
    return waiting * backlog->each_ns / workers;
}
