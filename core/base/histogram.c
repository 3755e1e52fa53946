#include "core/base/histogram.h"

#define MS(x) ((uint64_t)((x)*1e6))

const struct histogram_bounds histogram_durations = {
    .count = 15,
    .upper = {MS(0.5), MS(1), MS(2.5), MS(5), MS(10), MS(25), MS(50), MS(100), MS(250), MS(500),
              MS(1000), MS(2500), MS(5000), MS(10000), MS(30000)},
};

const struct histogram_bounds histogram_counts = {
    .count = 11,
    .upper = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024},
};

void histogram_init(struct histogram *histogram, const struct histogram_bounds *bounds) {
    histogram->bounds = bounds;
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS_MAX; i++) atomic_init(&histogram->buckets[i], 0);
    atomic_init(&histogram->sum, 0);
}

void histogram_observe(struct histogram *histogram, uint64_t value) {
    size_t i = 0;
    while (i < histogram->bounds->count && value > histogram->bounds->upper[i]) i++;
    atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}
