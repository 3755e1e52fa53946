/* Throughput puts all inputs of a repeat into the queue at once: workers then take one
 * full batch after the other, as in a server under load. Alone, one input goes in at a
 * time and the workers that have nothing to do help, as in a server without load. */
#include "cli/bench_measure.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/batch/batcher.h"
#include "core/kernels/peak.h"

enum { ENTRIES_MAX = 1 << 20 };

/* One measurement while it runs. */
struct bench {
    const struct bench_case *what;
    struct batcher *batcher;
    struct batch_queue *queue;
    struct batch_entry *entries; /* [ENTRIES_MAX] */
    float *embeddings;           /* [threads, batch, embed_dim], which nobody reads */
    size_t dim;
    double *samples_ms; /* [ENTRIES_MAX] */
    size_t samples;
};

static void run_batch(void *context, uint32_t worker, struct team *team,
                      struct batch_entry *const *entries, uint32_t count) {
    const struct bench *bench = context;
    const void *items[BATCH_MAX_LIMIT];
    float *embeddings[BATCH_MAX_LIMIT];
    float *own = bench->embeddings + (size_t)worker * bench->what->batch * bench->dim;
    for (uint32_t i = 0; i < count; i++) {
        items[i] = entries[i]->input;
        embeddings[i] = own + i * bench->dim;
    }
    bench_inputs_encode(bench->what->model, worker, team, bench->what->inputs->is_text, items,
                        count, embeddings);
}

static enum status bench_init(struct bench *bench, const struct bench_case *what,
                              struct error *err) {
    *bench = (struct bench){.what = what, .dim = model_info(what->model)->embed_dim};
    size_t slots = (size_t)what->threads * what->batch;
    /* Untouched memory costs nothing. */
    bench->entries = calloc(ENTRIES_MAX, sizeof(*bench->entries));
    bench->samples_ms = calloc(ENTRIES_MAX, sizeof(*bench->samples_ms));
    bench->embeddings = calloc(slots * bench->dim, sizeof(float));
    if (!bench->entries || !bench->samples_ms || !bench->embeddings)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu inputs", slots);
    struct batch_queue_options options = {
        .batch_max = what->batch, .queue_limit = ENTRIES_MAX, .run = run_batch, .context = bench};
    enum status status = batcher_create(&bench->batcher, what->threads, err);
    return status ? status : batch_queue_open(&bench->queue, bench->batcher, &options, err);
}

static void bench_free(struct bench *bench) {
    batch_queue_close(bench->queue);
    batcher_destroy(bench->batcher);
    free(bench->entries);
    free(bench->samples_ms);
    free(bench->embeddings);
}

static double process_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Puts `count` inputs through and returns the seconds that took. The queue has room for
 * them and there is no deadline, so it cannot fail. */
static double run_inputs(struct bench *bench, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bench->entries[i] =
            (struct batch_entry){.input = bench->what->inputs->items[i % BENCH_INPUTS]};
    }
    uint64_t begin = clock_now_ns();
    const struct batch_patience patience = {.deadline_ns = CLOCK_NEVER};
    batch_queue_run(bench->queue, bench->entries, count, &patience, NULL);
    return (double)(clock_now_ns() - begin) * 1e-9;
}

static void note_sample(struct bench *bench, double ms) {
    if (bench->samples < ENTRIES_MAX) bench->samples_ms[bench->samples++] = ms;
}

/* Returns the seconds that a repeat took; `rounds` are batches per thread. */
static double repeat_full(struct bench *bench, size_t rounds) {
    size_t count = rounds * bench->what->threads * bench->what->batch;
    double seconds = run_inputs(bench, count);
    for (size_t i = 0; i < count; i++)
        note_sample(bench, (double)bench->entries[i].run_ns / CLOCK_NS_PER_MS);
    return seconds;
}

static double repeat_lone(struct bench *bench, size_t rounds) {
    double total = 0;
    for (size_t i = 0; i < rounds; i++) {
        double seconds = run_inputs(bench, bench->what->batch);
        note_sample(bench, seconds * 1000);
        total += seconds;
    }
    return total;
}

static void run_repeats(struct bench *bench, size_t once, struct bench_speed *out) {
    const struct bench_case *what = bench->what;
    double rounds = what->seconds / run_inputs(bench, once);
    size_t rounds_max = ENTRIES_MAX / once;
    size_t whole = rounds < (double)rounds_max ? (size_t)rounds : rounds_max;
    if (whole == 0) whole = 1;
    *out = (struct bench_speed){0};
    for (uint32_t i = 0; i < what->repeats; i++) {
        double begin_cpu = process_seconds();
        double seconds = what->lone ? repeat_lone(bench, whole) : repeat_full(bench, whole);
        double rate = (double)(whole * once) / seconds;
        double rate_cpu = (double)(whole * once) / (process_seconds() - begin_cpu);
        if (rate > out->items_per_second) out->items_per_second = rate;
        if (rate_cpu > out->items_per_cpu_second) out->items_per_cpu_second = rate_cpu;
    }
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Nearest rank; the samples are sorted. */
static double percentile(const struct bench *bench, double share) {
    size_t rank = (size_t)ceil(share * (double)bench->samples);
    return bench->samples_ms[rank ? rank - 1 : 0];
}

bool bench_measure_read_seconds(double *out, const char *text) {
    char *end;
    *out = strtod(text, &end);
    return *text && !*end && *out >= 0 && *out <= BENCH_SECONDS_MAX;
}

enum status bench_measure_speed(struct bench_speed *out, const struct bench_case *what,
                                struct error *err) {
    struct bench bench;
    size_t once = what->lone ? what->batch : (size_t)what->threads * what->batch;
    enum status status = bench_init(&bench, what, err);
    if (!status) {
        run_inputs(&bench, once); /* touches all memory for the first time */
        run_repeats(&bench, once, out);
        qsort(bench.samples_ms, bench.samples, sizeof(*bench.samples_ms), compare_doubles);
        out->p50_ms = percentile(&bench, 0.50);
        out->p99_ms = percentile(&bench, 0.99);
    }
    bench_free(&bench);
    return status;
}

struct spinner {
    const struct gemm_kernel *kernel;
    double peak;
};

static void *spin(void *context) {
    struct spinner *spinner = context;
    spinner->peak = peak_measure(spinner->kernel);
    return NULL;
}

double bench_measure_peak(const struct gemm_kernel *kernel, uint32_t threads) {
    struct spinner spinners[BENCH_THREADS_MAX];
    pthread_t handles[BENCH_THREADS_MAX];
    uint32_t started = 0;
    double sum = 0;
    for (; started < threads; started++) {
        spinners[started] = (struct spinner){.kernel = kernel};
        if (pthread_create(&handles[started], NULL, spin, &spinners[started])) break;
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(handles[i], NULL);
        sum += spinners[i].peak;
    }
    return started == threads ? sum : 0;
}
