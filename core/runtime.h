/* runtime.h - what all models of one process share: the kernel table, the decode
 * pool and the encoder's workers. The CPU has so many cores however many models
 * are loaded. */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include <stdint.h>

#include "core/base/error.h"

struct batcher;
struct kernels;
struct runtime;
struct thread_pool;

struct runtime_options {
    uint32_t threads;        /* encoder workers; 0: one per usable core */
    uint32_t decode_threads; /* 0: one per usable core */
    uint32_t queue_limit;    /* entries waiting per tower, images waiting to be decoded */
    uint32_t batch_max;      /* entries in one batch */
};

extern const struct runtime_options runtime_options_default;

enum status runtime_create(struct runtime **out, const struct runtime_options *options,
                           struct error *err);
/* All engines must be closed before. NULL is allowed. */
void runtime_destroy(struct runtime *runtime);

/* The options with every 0 replaced by what it stood for. */
const struct runtime_options *runtime_options(const struct runtime *runtime);
/* The name of the instruction set in use, for the log: "avx512". */
const char *runtime_kernels_name(const struct runtime *runtime);

/* For core/ alone: the parts. They live as long as the runtime. */
const struct kernels *runtime_kernels(const struct runtime *runtime);
struct thread_pool *runtime_decoders(const struct runtime *runtime);
struct batcher *runtime_batcher(const struct runtime *runtime);

#endif
