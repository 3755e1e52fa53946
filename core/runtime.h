/* runtime.h - what all models of one process share: the kernel table, the decode
 * pool and the encoder's workers. The CPU has so many cores however many models
 * are loaded. */
#ifndef CORE_RUNTIME_H
#define CORE_RUNTIME_H

#include <stdint.h>

#include "core/base/error.h"

struct batcher;
struct runtime;
struct thread_pool;

/* A text is that much less work than an image. */
enum { RUNTIME_TEXTS_PER_IMAGE = 8 };

struct runtime_options {
    uint32_t threads;        /* encoder workers; 0: one per usable core */
    uint32_t decode_threads; /* 0: one per usable core */
    uint32_t queue_limit;    /* entries waiting per tower, images waiting to be decoded */
    uint32_t batch_max; /* images in one batch; texts are RUNTIME_TEXTS_PER_IMAGE times as many */
    const char *cpu;    /* caps the instruction sets, see isa_cap(); NULL: all there are */
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

/* How long until nothing waits for a decoder or an encoder, by how long these took of late. */
uint64_t runtime_backlog_ns(const struct runtime *runtime);

/* For core/ alone: the parts. They live as long as the runtime. */
unsigned runtime_features(const struct runtime *runtime); /* core/kernels/isa.h */
struct thread_pool *runtime_decoders(const struct runtime *runtime);
struct batcher *runtime_batcher(const struct runtime *runtime);

#endif
