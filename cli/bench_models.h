/* bench_models.h - measures models in every combination of what was asked for. */
#ifndef CLI_BENCH_MODELS_H
#define CLI_BENCH_MODELS_H

#include "cli/bench_report.h"

enum { BENCH_LIST_MAX = 16 };

struct bench_list {
    uint32_t values[BENCH_LIST_MAX];
    size_t count;
};

struct bench_options {
    const char *architectures[BENCH_LIST_MAX];
    size_t architectures_count;
    const char *model; /* instead of architectures */
    bool images, texts;
    bool outliers; /* in random weights (invent.h) */
    enum model_precision precisions[BENCH_LIST_MAX];
    size_t precisions_count;
    struct bench_list batch, threads;
    struct bench_list tokens; /* none: 16 and 77, or what the model takes */
    double seconds;
    uint32_t repeats;
    unsigned features; /* instruction sets */
    enum bench_format format;
};

/* Prints one row for each combination; the exit code. */
int bench_models_run(const struct bench_options *options);

#endif
