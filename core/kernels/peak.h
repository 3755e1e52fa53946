/* peak.h - how fast this CPU could multiply if it did nothing else. */
#ifndef CORE_KERNELS_PEAK_H
#define CORE_KERNELS_PEAK_H

#include "core/kernels/gemm.h"

/* Operations per second of one core, two for each product that is added: the best of
 * some 50 ms in chains of independent multiplications from registers, in CPU time of
 * the calling thread, so that other programs disturb it little. 0 for a portable
 * kernel, which has no such limit of its own. */
double peak_measure(const struct gemm_kernel *kernel);

/* Seconds of CPU time that the calling thread has used. */
double peak_thread_seconds(void);

#endif
