/* bench_measure.h - how fast a model runs behind the batcher that serves it, and how fast
 * the CPU could multiply meanwhile. */
#ifndef CLI_BENCH_MEASURE_H
#define CLI_BENCH_MEASURE_H

#include "cli/bench_inputs.h"
#include "core/kernels/gemm.h"

enum { BENCH_THREADS_MAX = 256, BENCH_SECONDS_MAX = 3600 };

struct bench_case {
    const struct model *model; /* opened for at least `threads` workers */
    const struct bench_inputs *inputs;
    uint32_t batch, threads;
    /* false: the queue is always full, every thread runs batches of its own. true: one
     * batch at a time, which all threads share. */
    bool lone;
    double seconds; /* of one repeat, at least one batch per thread */
    uint32_t repeats;
};

struct bench_speed {
    double items_per_second;     /* of the best repeat */
    double items_per_cpu_second; /* the same by the CPU time of all threads together */
    double p50_ms, p99_ms;       /* of a batch, over all repeats; when lone, of a call */
};

/* As --seconds has it: "0.5". False if it is no number of 0 to BENCH_SECONDS_MAX. */
bool bench_measure_read_seconds(double *out, const char *text);

enum status bench_measure_speed(struct bench_speed *out, const struct bench_case *what,
                                struct error *err);

/* Operations per second of so many threads that do nothing but multiply, all at the same
 * time; 0 if this kernel has no limit of its own (peak.h). */
double bench_measure_peak(const struct gemm_kernel *kernel, uint32_t threads);

#endif
