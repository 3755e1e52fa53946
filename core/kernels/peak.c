#include "core/kernels/peak.h"

#include <time.h>

#include "core/kernels/gemm_kernel.h"

enum { REPEATS = 50, ROUNDS = 50000 };

double peak_thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double peak_measure(const struct gemm_kernel *kernel) {
    if (!kernel->spin) return 0;
    double best = 0;
    volatile uint32_t sink; /* keeps the multiplications alive */
    for (int i = 0; i < REPEATS; i++) {
        double begin = peak_thread_seconds();
        sink = kernel->spin(ROUNDS);
        double seconds = peak_thread_seconds() - begin;
        double operations = 2.0 * (double)ROUNDS * (double)(kernel->spin_steps * kernel->group);
        if (operations / seconds > best) best = operations / seconds;
    }
    (void)sink;
    return best;
}
