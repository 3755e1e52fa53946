#include "core/base/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static uint32_t cores_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return UINT32_MAX;
    long long cores = (quota + period - 1) / period;
    return cores < UINT32_MAX ? (uint32_t)cores : UINT32_MAX;
}

static bool read_line(const char *directory, const char *name, char *line, int size) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path)) return false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

/* The quota written in one group's own directory, of either version. */
static uint32_t group_cores(const char *directory) {
    char line[64];
    long long quota, period;
    if (read_line(directory, "cpu.max", line, sizeof(line))) {
        if (sscanf(line, "%lld %lld", &quota, &period) == 2) return cores_of(quota, period);
        return UINT32_MAX; /* "max 100000" */
    }
    if (!read_line(directory, "cpu.cfs_quota_us", line, sizeof(line))) return UINT32_MAX;
    if (sscanf(line, "%lld", &quota) != 1) return UINT32_MAX;
    if (!read_line(directory, "cpu.cfs_period_us", line, sizeof(line))) return UINT32_MAX;
    if (sscanf(line, "%lld", &period) != 1) return UINT32_MAX;
    return cores_of(quota, period);
}

/* The least quota from `base`/`group` up to `base` itself. A quota above limits
 * its children without being written in theirs. */
static uint32_t least_up(const char *base, const char *group) {
    char directory[PATH_MAX];
    if (snprintf(directory, sizeof(directory), "%s%s", base, group) >= (int)sizeof(directory)) {
        return UINT32_MAX;
    }
    uint32_t least = UINT32_MAX;
    for (;;) {
        uint32_t cores = group_cores(directory);
        if (cores < least) least = cores;
        char *slash = strrchr(directory, '/');
        if (!slash || strlen(directory) <= strlen(base)) return least;
        *slash = 0;
    }
}

/* True if `list` ("cpu,cpuacct") names the cpu controller. */
static bool names_cpu(const char *list) {
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", list);
    char *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (!strcmp(name, "cpu")) return true;
    }
    return false;
}

uint32_t cpu_cgroup_cores(const char *mount, const char *self_cgroup) {
    /* Inside a container the mount shows our own group at its root. */
    uint32_t least = group_cores(mount);
    FILE *file = fopen(self_cgroup, "re");
    if (!file) return least;
    char line[PATH_MAX];
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        controllers++;
        uint32_t cores = UINT32_MAX;
        if (*controllers == 0) {
            cores = least_up(mount, group); /* v2: "0::/a/b" */
        } else if (names_cpu(controllers)) {
            char base[PATH_MAX];
            int size = snprintf(base, sizeof(base), "%s/%s", mount, controllers);
            if (size < (int)sizeof(base)) cores = least_up(base, group);
        }
        if (cores < least) least = cores;
    }
    fclose(file);
    return least;
}

uint32_t cpu_usable_cores(void) {
    cpu_set_t set;
    uint32_t cores = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = (uint32_t)CPU_COUNT(&set);
    uint32_t quota = cpu_cgroup_cores("/sys/fs/cgroup", "/proc/self/cgroup");
    if (quota < cores) cores = quota;
    return cores ? cores : 1;
}

void cpu_model_name(char *out, size_t size) {
    static const char key[] = "model name";
    char line[256];
    snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, sizeof(key) - 1) != 0) continue;
        char *value = strchr(line, ':');
        if (!value) continue;
        value += 1 + strspn(value + 1, " ");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, size, "%s", value);
        break;
    }
    fclose(file);
}
