/* trio.h - three models and a registry that may hold them, for its tests.
 *
 * They are the starter at three small sizes of image: different models as far as anybody can tell,
 * but of about the same size in memory. What does not hold fails the test. */
#ifndef TESTS_SUPPORT_TRIO_H
#define TESTS_SUPPORT_TRIO_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/bytes.h"
#include "core/registry.h"

enum { TRIO = 3, TRIO_DIM_MAX = 192 };

extern const char *const trio_names[TRIO]; /* "a", "b", "c" */

struct trio {
    struct registry *registry;
    struct buffer picture;              /* what they embed */
    float expected[TRIO][TRIO_DIM_MAX]; /* its embeddings by models that are alone */
    size_t bytes;                       /* of the largest model */
};

/* Fills in all but the registry: once, before the tests. */
void trio_prepare(struct trio *trio);
/* A registry without models. */
void trio_open(struct trio *trio);

/* The first is the default. */
struct registry_model trio_model(size_t index, enum registry_load load);
enum status trio_configure(struct trio *trio, const struct registry_model *models, size_t count,
                           size_t memory_max, struct error *err);
void trio_configure_well(struct trio *trio, const struct registry_model *models, size_t count,
                         size_t memory_max);
/* All three, lazy. */
void trio_configure_lazy(struct trio *trio, size_t memory_max);

/* out: [TRIO_DIM_MAX] */
enum status trio_embed(struct trio *trio, const char *name, uint64_t deadline_ns, float *out,
                       struct error *err);
/* To the bit: no embedding here has a zero or a NaN. */
bool trio_same(const float *found, const float *said);
/* The model answers, and as expected. */
void trio_check(struct trio *trio, size_t index);

struct registry_view trio_view(struct trio *trio, const char *name);
/* Until another model's load has got as far as to want its room. */
void trio_wait_until_it_is_to_go(struct trio *trio, const char *name);

/* Puts the starter into a folder that is not there yet. */
void trio_link_starter(const char *folder);

/* Threads that ask for the first `models` in turn. */
struct trio_crowd {
    struct trio *trio;
    size_t models;
    pthread_t threads[8];
    _Atomic bool stop;
    _Atomic size_t done, wrong;
};

struct trio_member {
    struct trio_crowd *crowd;
    uint32_t seed;
    size_t turns; /* 0: until told to stop */
};

void trio_crowd_start(struct trio_crowd *crowd, struct trio_member *members, size_t count,
                      size_t turns);
/* None of the answers was wrong. */
void trio_crowd_end(struct trio_crowd *crowd, size_t count);

#endif
