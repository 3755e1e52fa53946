#include "api/process_stats.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t count_fds(void) {
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (!directory) return 0;
    while (readdir(directory)) count++;
    closedir(directory);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory itself */
}

void process_stats_read(struct process_stats *out) {
    *out = (struct process_stats){.open_fds = count_fds()};
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        uint64_t size, resident, page = (uint64_t)sysconf(_SC_PAGESIZE);
        if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) == 2) {
            out->virtual_bytes = size * page;
            out->resident_bytes = resident * page;
        }
        fclose(file);
    }
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out->max_fds = limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
    }
}
