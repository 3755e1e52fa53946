/* process_stats.h - what the operating system knows of this process. */
#ifndef API_PROCESS_STATS_H
#define API_PROCESS_STATS_H

#include <stdint.h>

struct process_stats {
    uint64_t resident_bytes, virtual_bytes;
    double cpu_s; /* user and system */
    uint64_t open_fds;
    double max_fds; /* infinite when there is no limit */
};

/* What cannot be read is 0. */
void process_stats_read(struct process_stats *out);

#endif
