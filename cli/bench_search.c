/* clipd bench search: how fast and how well made-up embeddings are found in memory. */
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/bench_data.h"
#include "cli/bench_measure.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "core/base/clock.h"
#include "core/base/cpu.h"
#include "core/index/vectors.h"
#include "core/kernels/isa.h"

enum {
    ITEMS_MAX = 100000000,
    CLIENTS_MAX = 1024,
    QUERIES_MAX = 10000,
    PUT_ROWS = 8192,
    MEMORY_BYTES = 128 << 20, /* read to measure the memory: more than caches hold */
    MEMORY_PART = 1 << 20,
    MEMORY_REPEATS = 40,
};

static const char usage[] =
    "usage: clipd bench search [OPTION]...\n\n"
    "Makes embeddings up, searches among them in memory and compares what is found with what\n"
    "is there. Prints one JSON object.\n\n"
    "  --items N            100000 by default\n"
    "  --dim D              512 by default\n"
    "  --index INDEX        exact (default) or hnsw\n"
    "  --precision P        int8 (default), bf16 or fp32\n"
    "  --filter-share F     of the items that a query may find, between 0 and 1; 1 by default\n"
    "  --clients C          that search at the same time; 1 by default\n"
    "  --queries Q          different ones, 200 by default\n"
    "  --effort E           of the approximate index (\"ef\")\n"
    "  --seconds S          of searching, 5 by default\n"
    "  --threads N          that one search may use; by default one per usable core\n"
    "  --cache FILE         keeps the approximate index\n"
    "  --seed N             of the embeddings\n"
    "  --json               as it is printed anyway\n"
    "  --help               print this\n";

struct options {
    uint64_t items, seed;
    size_t dim, clients, queries;
    uint32_t effort, threads;
    double seconds;
    bool approximate;
    enum collection_precision precision;
    double filter_share;
    const char *cache;
};

struct bench {
    struct options options;
    unsigned features;
    struct crew *crew;
    struct bench_data data;
    float *queries; /* [queries, dim] */
    struct bench_truth truth;
    struct vectors *vectors;
    uint64_t step;  /* every so many rows are named by the filter */
    uint64_t *only; /* [only_count]; NULL: no filter */
    size_t only_count;
};

struct figures {
    double recall, best_ms, p50_ms, p99_ms, rate;
};

static double seconds_since(uint64_t begin) {
    return (double)(clock_now_ns() - begin) / CLOCK_NS_PER_S;
}

/* ---- memory ---- */

struct reading {
    const uint64_t *memory;
    _Atomic uint64_t sink;
};

static void read_part(void *context, size_t unit) {
    struct reading *reading = context;
    const uint64_t *part = reading->memory + unit * (MEMORY_PART / sizeof(uint64_t));
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < MEMORY_PART / sizeof(uint64_t); i += 8) {
        for (size_t k = 0; k < 8; k++) sums[k] ^= part[i + k];
    }
    for (size_t k = 1; k < 8; k++) sums[0] ^= sums[k];
    atomic_fetch_xor(&reading->sink, sums[0]);
}

/* Bytes a second that all threads read from memory together, the best of some rounds. */
static double memory_rate(struct crew *crew) {
    uint64_t *memory = aligned_alloc(2 << 20, MEMORY_BYTES);
    if (!memory) return 0;
    madvise(memory, MEMORY_BYTES, MADV_HUGEPAGE); /* as the rows have them */
    memset(memory, 1, MEMORY_BYTES);
    struct reading reading = {.memory = memory};
    double best = 0;
    for (int i = 0; i < MEMORY_REPEATS; i++) {
        uint64_t begin = clock_now_ns();
        crew_run(crew, MEMORY_BYTES / MEMORY_PART, read_part, &reading);
        double rate = MEMORY_BYTES / seconds_since(begin);
        if (rate > best) best = rate;
    }
    free(memory);
    return best;
}

/* ---- searching ---- */

static enum status search(const struct bench *bench, size_t query, uint64_t rows[BENCH_TOP],
                          size_t *count, struct error *err) {
    struct vectors_hit hits[BENCH_TOP], *place = hits;
    struct vectors_query asked = {.embedding = bench->queries + query * bench->options.dim,
                                  .top = BENCH_TOP,
                                  .score_min = -2,
                                  .only = bench->only,
                                  .only_count = bench->only_count,
                                  .exact = !bench->options.approximate,
                                  .effort = bench->options.effort};
    enum status status = vectors_search(bench->vectors, &asked, 1, &place, count, err);
    for (size_t i = 0; status == STATUS_OK && i < *count; i++) rows[i] = hits[i].row;
    return status;
}

struct client {
    const struct bench *bench;
    pthread_t thread;
    uint64_t deadline;
    size_t first, searches, capacity;
    float *ms; /* [searches] */
    size_t hits, wanted;
    enum status status;
    struct error err;
};

static bool note_time(struct client *client, uint64_t begin) {
    if (client->searches == client->capacity) {
        size_t capacity = client->capacity * 2 + 1024;
        float *ms = realloc(client->ms, capacity * sizeof(*ms));
        if (!ms) return false;
        client->ms = ms;
        client->capacity = capacity;
    }
    client->ms[client->searches++] = (float)(seconds_since(begin) * 1e3);
    return true;
}

/* Every query at least once between the clients, and until the time is over. */
static void *run_client(void *argument) {
    struct client *client = argument;
    const struct bench *bench = client->bench;
    size_t queries = bench->options.queries;
    for (size_t i = 0;
         i < queries / bench->options.clients + 1 || clock_now_ns() < client->deadline; i++) {
        uint64_t rows[BENCH_TOP], begin = clock_now_ns();
        size_t query = (client->first + i) % queries, count = 0;
        client->status = search(bench, query, rows, &count, &client->err);
        if (client->status || !note_time(client, begin)) break;
        client->hits += bench_truth_hits(&bench->truth, query, rows, count);
        size_t there = bench->only ? bench->only_count : bench->options.items;
        client->wanted += there < BENCH_TOP ? there : BENCH_TOP;
    }
    return NULL;
}

static int ascending(const void *a, const void *b) {
    const float *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static enum status gather_figures(struct figures *out, struct client *clients, size_t count,
                                  double seconds, struct error *err) {
    size_t searches = 0, hits = 0, wanted = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (clients[i].status) return error_pass(err, &clients[i].err);
        searches += clients[i].searches;
        hits += clients[i].hits;
        wanted += clients[i].wanted;
    }
    float *ms = malloc((searches + 1) * sizeof(*ms));
    if (!ms || !searches) {
        free(ms);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for the times");
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(ms + at, clients[i].ms, clients[i].searches * sizeof(*ms));
        at += clients[i].searches;
    }
    qsort(ms, searches, sizeof(*ms), ascending);
    out->recall = wanted ? (double)hits / (double)wanted : 1;
    out->best_ms = (double)ms[0];
    out->p50_ms = (double)ms[searches / 2];
    out->p99_ms = (double)ms[searches * 99 / 100];
    out->rate = (double)searches / seconds;
    free(ms);
    return STATUS_OK;
}

static enum status run_clients(const struct bench *bench, struct figures *out, struct error *err) {
    size_t count = bench->options.clients, started = 0;
    struct client *clients = calloc(count, sizeof(*clients));
    if (!clients) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu clients", count);
    uint64_t begin = clock_now_ns();
    uint64_t deadline = begin + (uint64_t)(bench->options.seconds * CLOCK_NS_PER_S);
    for (; started < count; started++) {
        clients[started] = (struct client){.bench = bench,
                                           .first = started * bench->options.queries / count,
                                           .deadline = deadline};
        if (pthread_create(&clients[started].thread, NULL, run_client, &clients[started])) break;
    }
    for (size_t i = 0; i < started; i++) pthread_join(clients[i].thread, NULL);
    double seconds = seconds_since(begin);
    enum status status = started == count
                             ? gather_figures(out, clients, count, seconds, err)
                             : error_set(err, STATUS_UNAVAILABLE, "cannot start a thread");
    for (size_t i = 0; i < count; i++) free(clients[i].ms);
    free(clients);
    return status;
}

/* ---- filling ---- */

/* Items and what is true of them; rows are numbered as they are made. */
static enum status put_items(struct bench *bench, double *seconds, struct error *err) {
    size_t dim = bench->options.dim;
    float *embeddings = malloc(sizeof(*embeddings) * PUT_ROWS * dim);
    uint64_t *rows = malloc(sizeof(*rows) * PUT_ROWS);
    if (!embeddings || !rows) {
        free(embeddings);
        free(rows);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for embeddings");
    }
    enum status status = STATUS_OK;
    for (uint64_t at = 0; at < bench->options.items && !status; at += PUT_ROWS) {
        uint64_t left = bench->options.items - at;
        size_t count = left < PUT_ROWS ? (size_t)left : PUT_ROWS;
        bench_data_fill(&bench->data, bench->crew, embeddings, at, count);
        bench_truth_see(&bench->truth, bench->crew, embeddings, at, count, bench->step);
        for (size_t i = 0; i < count; i++) rows[i] = at + i;
        uint64_t begin = clock_now_ns();
        status = vectors_put(bench->vectors, rows, embeddings, count, err);
        *seconds += seconds_since(begin);
    }
    free(embeddings);
    free(rows);
    return status;
}

/* Seconds until the approximate index holds every row. */
static double wait_for_index(const struct bench *bench, uint64_t *indexed) {
    uint64_t begin = clock_now_ns();
    struct vectors_stats stats;
    vectors_ready(bench->vectors);
    do {
        usleep(2000);
        vectors_read_stats(bench->vectors, &stats);
    } while (!stats.approximate || stats.indexed < bench->options.items);
    *indexed = stats.indexed;
    return seconds_since(begin);
}

static enum status open_bench(struct bench *bench, struct error *err) {
    const struct options *options = &bench->options;
    struct vectors_options vectors = {.dim = (uint32_t)options->dim,
                                      .precision = options->precision,
                                      .features = bench->features,
                                      .approximate_from = options->approximate ? 1 : UINT64_MAX,
                                      .cache_path = options->cache};
    enum status status = crew_create(&bench->crew, options->threads, err);
    if (!status) status = bench_data_init(&bench->data, options->dim, options->seed, err);
    if (status) return status;
    vectors.crew = bench->crew;
    bench->queries = malloc(sizeof(float) * options->queries * options->dim);
    bench->step = (uint64_t)llround(1 / options->filter_share);
    bench->only_count = (size_t)((options->items + bench->step - 1) / bench->step);
    if (bench->step > 1) bench->only = malloc(bench->only_count * sizeof(*bench->only));
    if (!bench->queries || (bench->step > 1 && !bench->only))
        return error_set(err, STATUS_NO_MEMORY, "out of memory for queries");
    for (size_t i = 0; bench->only && i < bench->only_count; i++) bench->only[i] = i * bench->step;
    /* From far behind the items. */
    bench_data_fill(&bench->data, bench->crew, bench->queries, UINT64_C(1) << 40, options->queries);
    status = bench_truth_init(&bench->truth, bench->features, bench->queries, options->queries,
                              options->dim, err);
    return status ? status : vectors_create(&bench->vectors, &vectors, err);
}

static void close_bench(struct bench *bench) {
    vectors_destroy(bench->vectors);
    bench_truth_free(&bench->truth);
    free(bench->queries);
    free(bench->only);
    bench_data_free(&bench->data);
    crew_destroy(bench->crew);
}

/* ---- output ---- */

static const char *precision_name(enum collection_precision precision) {
    return precision == COLLECTION_INT8 ? "int8" : precision == COLLECTION_BF16 ? "bf16" : "fp32";
}

static enum scan_precision scan_precision_of(enum collection_precision precision) {
    return precision == COLLECTION_INT8   ? SCAN_INT8
           : precision == COLLECTION_BF16 ? SCAN_BF16
                                          : SCAN_FP32;
}

/* What one query of a scan reads; nothing sensible for a walk through a graph. */
static double bytes_of_query(const struct bench *bench) {
    if (bench->options.approximate) return 0;
    const struct scan_kernel *kernel =
        scan_kernel_find(bench->features, scan_precision_of(bench->options.precision));
    return (double)bench->options.items * (double)scan_row_bytes(kernel, bench->options.dim);
}

static enum status measure(struct bench *bench, struct buffer *out, struct error *err) {
    struct figures figures = {0};
    struct vectors_stats stats;
    double put_seconds = 0, build_seconds = 0;
    uint64_t indexed = 0;
    enum status status = put_items(bench, &put_seconds, err);
    if (status) return status;
    if (bench->options.approximate) build_seconds = wait_for_index(bench, &indexed);
    double memory = memory_rate(bench->crew), bytes = bytes_of_query(bench);
    status = run_clients(bench, &figures, err);
    if (status) return status;
    vectors_read_stats(bench->vectors, &stats);
    const struct scan_kernel *kernel =
        scan_kernel_find(bench->features, scan_precision_of(bench->options.precision));
    status = buffer_printf(
        out, err,
        "{\"items\": %llu, \"dim\": %zu, \"index\": \"%s\", \"precision\": \"%s\", "
        "\"kernel\": \"%s\", \"threads\": %u, \"clients\": %zu, \"filter_share\": %g, "
        "\"recall_at_10\": %.4f, \"best_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
        "\"queries_per_second\": %.1f, ",
        (unsigned long long)bench->options.items, bench->options.dim,
        bench->options.approximate ? "hnsw" : "exact", precision_name(bench->options.precision),
        scan_kernel_name(kernel), bench->options.threads, bench->options.clients,
        1 / (double)bench->step, figures.recall, figures.best_ms, figures.p50_ms, figures.p99_ms,
        figures.rate);
    if (status) return status;
    double rate = bytes / (figures.best_ms * 1e-3);
    return buffer_printf(
        out, err,
        "\"bytes_per_query\": %.0f, \"gigabytes_per_second\": %.2f, "
        "\"memory_gigabytes_per_second\": %.2f, \"memory_share\": %.3f, "
        "\"put_per_second\": %.0f, \"indexed_per_second\": %.0f, \"bytes_in_memory\": %llu}\n",
        bytes, rate / 1e9, memory / 1e9, memory > 0 ? rate / memory : 0,
        put_seconds > 0 ? (double)bench->options.items / put_seconds : 0,
        build_seconds > 0 ? (double)indexed / build_seconds : 0, (unsigned long long)stats.bytes);
}

/* ---- options ---- */

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    *out = strtoull(text, &end, 10);
    return !*end && *out >= min && *out <= max;
}

static bool read_index(struct options *options, const char *text) {
    options->approximate = !strcmp(text, "hnsw");
    return options->approximate || !strcmp(text, "exact");
}

static bool read_precision(struct options *options, const char *text) {
    for (int i = COLLECTION_INT8; i <= COLLECTION_FP32; i++) {
        options->precision = (enum collection_precision)i;
        if (!strcmp(text, precision_name(options->precision))) return true;
    }
    return false;
}

static bool read_share(struct options *options, const char *text) {
    char *end;
    options->filter_share = strtod(text, &end);
    return end != text && !*end && options->filter_share >= 1e-8 && options->filter_share <= 1;
}

/* False if it is not what it should be. */
static bool read_option(struct options *options, int option, const char *text) {
    uint64_t number = 0;
    bool good = true;
    switch (option) {
    case 'n': return read_number(text, 1, ITEMS_MAX, &options->items);
    case 's': return read_number(text, 0, UINT64_MAX, &options->seed);
    case 'i': return read_index(options, text);
    case 'p': return read_precision(options, text);
    case 'f': return read_share(options, text);
    case 'k': options->cache = text; return true;
    case 'd':
        good = read_number(text, 1, COLLECTION_DIM_MAX, &number);
        options->dim = (size_t)number;
        return good;
    case 'c':
        good = read_number(text, 1, CLIENTS_MAX, &number);
        options->clients = (size_t)number;
        return good;
    case 'q':
        good = read_number(text, 1, QUERIES_MAX, &number);
        options->queries = (size_t)number;
        return good;
    case 'e':
        good = read_number(text, 1, COLLECTION_EFFORT_MAX, &number);
        options->effort = (uint32_t)number;
        return good;
    case 'S': return bench_measure_read_seconds(&options->seconds, text);
    case 't':
        good = read_number(text, 1, CLIENTS_MAX, &number);
        options->threads = (uint32_t)number;
        return good;
    default: return true; /* --json */
    }
}

int bench_search(int argc, char **argv) {
    static const struct option options[] = {
        {"items", required_argument, NULL, 'n'},
        {"dim", required_argument, NULL, 'd'},
        {"index", required_argument, NULL, 'i'},
        {"precision", required_argument, NULL, 'p'},
        {"filter-share", required_argument, NULL, 'f'},
        {"clients", required_argument, NULL, 'c'},
        {"queries", required_argument, NULL, 'q'},
        {"effort", required_argument, NULL, 'e'},
        {"seconds", required_argument, NULL, 'S'},
        {"threads", required_argument, NULL, 't'},
        {"cache", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench bench = {.options = {.items = 100000,
                                      .seed = 1,
                                      .dim = 512,
                                      .clients = 1,
                                      .queries = 200,
                                      .seconds = 5,
                                      .threads = cpu_usable_cores(),
                                      .filter_share = 1},
                          .features = isa_detect()};
    struct error err = ERROR_NONE;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') return fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
        if (option == '?') return console_usage_hint("bench search");
        if (!read_option(&bench.options, option, optarg))
            return console_usage("bench search", "'%s' is not what that option takes", optarg);
    }
    if (optind < argc)
        return console_usage("bench search", "found '%s', expected options only", argv[optind]);
    if (isa_cap(&bench.features, getenv("CLIPD_CPU"), &err)) return console_fail(&err);
    struct buffer out;
    buffer_init(&out, 1 << 16);
    enum status status = open_bench(&bench, &err);
    if (!status) status = measure(&bench, &out, &err);
    int code = status ? console_fail(&err) : console_write(buffer_view(&out));
    buffer_free(&out);
    close_bench(&bench);
    return code;
}
