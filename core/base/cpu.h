/* cpu.h - how many cores this process may really use. */
#ifndef CORE_BASE_CPU_H
#define CORE_BASE_CPU_H

#include <stddef.h>
#include <stdint.h>

/* The least of the affinity mask and the cgroup quotas (v2 cpu.max and v1
 * cfs_quota_us, of the process's group and every group above it; a part of a core
 * counts as one), never the host's count. At least 1. */
uint32_t cpu_usable_cores(void);

/* The same from a cgroup mount and a /proc/self/cgroup given by path, for tests.
 * UINT32_MAX when no quota is set. */
uint32_t cpu_cgroup_cores(const char *mount, const char *self_cgroup);

/* What the system calls the CPU, cut to `size` bytes: "AMD EPYC 9354 32-Core Processor".
 * "unknown" where it has no name, as on most ARM systems. */
void cpu_model_name(char *out, size_t size);

#endif
