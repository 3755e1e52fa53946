/* bench_report.h - what 'clipd bench' prints: a table for people, CSV, or one JSON object
 * a line. Rows are printed as they come. Functions return an exit code. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include <stdint.h>

#include "cli/bench_measure.h"

enum bench_format { BENCH_TABLE, BENCH_CSV, BENCH_JSON };

struct bench_row {
    const char *architecture, *tower, *precision, *kernel, *mode;
    uint32_t batch, threads, tokens;
    struct bench_speed speed;
    double gflops, peak_gflops; /* peak_gflops 0: the kernel has none */
    double cpu_gflops;          /* what `threads` undisturbed cores would reach */
    double cosine_fp32;
};

struct bench_report {
    enum bench_format format;
    char cpu[128];
};

void bench_report_init(struct bench_report *report, enum bench_format format);
/* What all rows share, and the names of the columns. */
int bench_report_begin(const struct bench_report *report, unsigned features);
int bench_report_row(const struct bench_report *report, const struct bench_row *row);

#endif
