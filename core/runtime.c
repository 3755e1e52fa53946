#include "core/runtime.h"

#include <stdlib.h>

#include "core/base/cpu.h"
#include "core/base/thread_pool.h"
#include "core/batch/batcher.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"

struct runtime {
    struct runtime_options options;
    unsigned features;
    struct thread_pool *decoders;
    struct batcher *batcher;
};

const struct runtime_options runtime_options_default = {
    .queue_limit = 1024,
    .batch_max = 8,
    .cpu = "all",
};

enum status runtime_create(struct runtime **out, const struct runtime_options *options,
                           struct error *err) {
    struct runtime *runtime = calloc(1, sizeof(*runtime));
    if (!runtime) return error_set(err, STATUS_NO_MEMORY, "out of memory for the runtime");
    runtime->options = *options;
    uint32_t cores = cpu_usable_cores();
    if (!runtime->options.threads) runtime->options.threads = cores;
    if (!runtime->options.decode_threads) runtime->options.decode_threads = cores;
    runtime->features = isa_detect();
    gemm_blas_init();
    struct thread_pool_options decoders = {
        .name = "decoder",
        .threads = runtime->options.decode_threads,
        .queue_limit = options->queue_limit,
    };
    enum status status = isa_cap(&runtime->features, options->cpu, err);
    if (!status) status = thread_pool_create(&runtime->decoders, &decoders, err);
    if (!status) status = batcher_create(&runtime->batcher, runtime->options.threads, err);
    if (status) {
        runtime_destroy(runtime);
        return status;
    }
    *out = runtime;
    return STATUS_OK;
}

void runtime_destroy(struct runtime *runtime) {
    if (!runtime) return;
    thread_pool_destroy(runtime->decoders);
    batcher_destroy(runtime->batcher);
    free(runtime);
}

const struct runtime_options *runtime_options(const struct runtime *runtime) {
    return &runtime->options;
}

const char *runtime_kernels_name(const struct runtime *runtime) {
    return isa_name(runtime->features);
}

/* What waits for a decoder waits for an encoder after that. */
uint64_t runtime_backlog_ns(const struct runtime *runtime) {
    uint64_t decode_ns = thread_pool_backlog_ns(runtime->decoders);
    uint64_t encode_ns = batcher_backlog_ns(runtime->batcher);
    return encode_ns > UINT64_MAX - decode_ns ? UINT64_MAX : decode_ns + encode_ns;
}

unsigned runtime_features(const struct runtime *runtime) {
    return runtime->features;
}

struct thread_pool *runtime_decoders(const struct runtime *runtime) {
    return runtime->decoders;
}

struct batcher *runtime_batcher(const struct runtime *runtime) {
    return runtime->batcher;
}
