/* clipd bench: speed of models on this CPU, behind the batcher that serves them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/bench_models.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/model_path.h"
#include "core/base/cpu.h"
#include "core/batch/batcher.h"
#include "core/checkpoint/architecture_info.h"
#include "core/kernels/isa.h"

enum { REPEATS_MAX = 1000, TOKENS_MAX = 1 << 16 };

static const char usage[] =
    "usage: clipd bench [OPTION]...\n"
    "       clipd bench search [OPTION]...   how fast embeddings are found; has its own --help\n\n"
    "Measures how many images and texts a second this CPU encodes, on random weights unless\n"
    "there is a model. Lists have commas between; every combination is one row.\n\n"
    "  --arch NAME,...     ViT-B-32 by default; 'list' prints the names. A size of images and\n"
    "                      -quickgelu may follow: ViT-L-14-336, ViT-H-14-378-quickgelu\n"
    "  --model DIR         a checkpoint instead, or a weight file\n"
    "  --tower TOWER       image, text or both (default)\n"
    "  --precision P,...   fp32, bf16, int8; by default those this CPU has kernels for\n"
    "  --batch N,...       inputs in a batch, 1,8,32 by default\n"
    "  --threads N,...     1 and one for each usable core by default\n"
    "  --tokens N,...      of a text, start and end included; 16,77 by default\n"
    "  --seconds S         of a repeat, 1 by default; at least one batch per thread\n"
    "  --repeats N         3 by default; the rate is that of the best one, p50 and p99 are\n"
    "                      over all batches of all repeats\n"
    "  --outliers          random weights with outliers such as trained LayerNorms have\n"
    "  --json, --csv       one JSON object a line, or CSV, instead of a table\n"
    "  --help              print this\n\n"
    "Mode throughput: every thread runs batches of its own from a full queue. Mode lone: one\n"
    "input at a time, shared by all threads; p50 and p99 are then what a lone request waits.\n"
    "GFLOP/s are those of the whole model by the textbook, two operations for each product\n"
    "that is added, and the share is of the peak that as many threads reach here and now. The\n"
    "engine leaves out what cannot influence a result, so the CPU did a little less. The share\n"
    "in CPU time is what it would be if no other program took the cores away meanwhile.\n"
    "The cosine is the worst of some inputs against fp32. $CLIPD_CPU caps instruction sets.\n";

/* ---- reading options ---- */

/* "1,8,32"; false if an item is not a number of min..max, or there are too many. */
static bool read_numbers(struct bench_list *out, const char *text, uint32_t min, uint32_t max) {
    for (out->count = 0;; text++) {
        char *end;
        if (*text < '0' || *text > '9' || out->count == BENCH_LIST_MAX) return false;
        unsigned long number = strtoul(text, &end, 10);
        if (number < min || number > max) return false;
        out->values[out->count++] = (uint32_t)number;
        if (!*end) return true;
        if (*end != ',') return false;
        text = end;
    }
}

static int read_list(struct bench_list *out, const char *option, const char *text, uint32_t min,
                     uint32_t max) {
    if (read_numbers(out, text, min, max)) return EX_OK;
    return console_usage("bench", "--%s: found '%s', expected up to %d numbers of %u to %u", option,
                         text, BENCH_LIST_MAX, min, max);
}

static int read_precisions(struct bench_options *options, char *text) {
    options->precisions_count = 0;
    for (char *name; (name = strsep(&text, ",")) != NULL;) {
        if (options->precisions_count == BENCH_LIST_MAX ||
            !model_precision_parse(&options->precisions[options->precisions_count++], name))
            return console_usage("bench", "--precision: found '%s', expected fp32, bf16 or int8",
                                 name);
    }
    return EX_OK;
}

static int read_architectures(struct bench_options *options, char *text) {
    options->architectures_count = 0;
    for (char *name; (name = strsep(&text, ",")) != NULL;) {
        struct model_info info;
        if (!architecture_info_named(&info, name))
            return console_usage("bench",
                                 "--arch: '%s' is not known; '--arch list' prints the names", name);
        if (options->architectures_count == BENCH_LIST_MAX)
            return console_usage("bench", "--arch: more than %d names", BENCH_LIST_MAX);
        options->architectures[options->architectures_count++] = name;
    }
    return EX_OK;
}

static int read_tower(struct bench_options *options, const char *name) {
    bool both = !strcmp(name, "both");
    options->images = both || !strcmp(name, "image");
    options->texts = both || !strcmp(name, "text");
    if (options->images || options->texts) return EX_OK;
    return console_usage("bench", "--tower: found '%s', expected image, text or both", name);
}

static int read_seconds(struct bench_options *options, const char *text) {
    if (bench_measure_read_seconds(&options->seconds, text)) return EX_OK;
    return console_usage("bench", "--seconds: found '%s', expected 0 to %d", text,
                         BENCH_SECONDS_MAX);
}

static int read_repeats(struct bench_options *options, const char *text) {
    struct bench_list list;
    if (!read_numbers(&list, text, 1, REPEATS_MAX) || list.count != 1)
        return console_usage("bench", "--repeats: found '%s', expected 1 to %d", text, REPEATS_MAX);
    options->repeats = list.values[0];
    return EX_OK;
}

static int read_option(struct bench_options *options, int option, char *value) {
    switch (option) {
    case 'a': return read_architectures(options, value);
    case 'm': options->model = value; return EX_OK;
    case 'w': return read_tower(options, value);
    case 'p': return read_precisions(options, value);
    case 'b': return read_list(&options->batch, "batch", value, 1, BATCH_MAX_LIMIT);
    case 't': return read_list(&options->threads, "threads", value, 1, BENCH_THREADS_MAX);
    case 'n': return read_list(&options->tokens, "tokens", value, 2, TOKENS_MAX);
    case 's': return read_seconds(options, value);
    case 'r': return read_repeats(options, value);
    case 'o': options->outliers = true; return EX_OK;
    case 'j': options->format = BENCH_JSON; return EX_OK;
    case 'c': options->format = BENCH_CSV; return EX_OK;
    default: return console_usage_hint("bench");
    }
}

static int print_architectures(void) {
    for (size_t i = 0; i < architectures_count; i++) puts(architectures[i].name);
    return fflush(stdout) ? EX_IOERR : EX_OK;
}

/* ---- defaults ---- */

/* fp32, and what has a kernel that is more than portable. */
static void choose_precisions(struct bench_options *options) {
    static const struct {
        enum model_precision precision;
        enum gemm_precision gemm;
    } all[] = {{MODEL_FP32, GEMM_FP32}, {MODEL_BF16, GEMM_BF16}, {MODEL_INT8, GEMM_INT8}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct gemm_kernel *kernel = gemm_kernel_find(options->features, all[i].gemm);
        if (all[i].precision != MODEL_FP32 && !strcmp(gemm_kernel_name(kernel), "generic"))
            continue;
        options->precisions[options->precisions_count++] = all[i].precision;
    }
}

static int complete(struct bench_options *options) {
    struct error err = ERROR_NONE;
    options->features = isa_detect();
    if (isa_cap(&options->features, getenv("CLIPD_CPU"), &err))
        return console_usage("bench", "$CLIPD_CPU: %s", err.message);
    if (options->model && (options->architectures_count || options->outliers))
        return console_usage("bench", "--model goes without --arch and --outliers");
    if (!options->model && options->architectures_count == 0)
        options->architectures[options->architectures_count++] = "ViT-B-32";
    if (options->precisions_count == 0) choose_precisions(options);
    if (options->threads.count == 0) {
        uint32_t cores = cpu_usable_cores();
        options->threads = (struct bench_list){{1, cores}, cores > 1 ? 2 : 1};
    }
    return EX_OK;
}

static int run(struct bench_options *options) {
    struct error err = ERROR_NONE;
    char *path = NULL;
    if (options->model && model_path_resolve(&path, options->model, &err))
        return console_fail_at(options->model, &err);
    options->model = path;
    int code = bench_models_run(options);
    free(path);
    return code;
}

int bench_command(int argc, char **argv) {
    static const struct option names[] = {
        {"arch", required_argument, NULL, 'a'},
        {"model", required_argument, NULL, 'm'},
        {"tower", required_argument, NULL, 'w'},
        {"batch", required_argument, NULL, 'b'},
        {"precision", required_argument, NULL, 'p'},
        {"threads", required_argument, NULL, 't'},
        {"tokens", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"repeats", required_argument, NULL, 'r'},
        {"outliers", no_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"csv", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench_options options = {
        .images = true, .texts = true, .batch = {{1, 8, 32}, 3}, .seconds = 1, .repeats = 3};
    int option, code = EX_OK;
    if (argc > 1 && !strcmp(argv[1], "search")) {
        char full[] = "clipd bench search";
        argv[1] = full;
        return bench_search(argc - 1, argv + 1);
    }
    while (code == EX_OK && (option = getopt_long(argc, argv, "m:h", names, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EX_OK;
        }
        if (option == 'a' && !strcmp(optarg, "list")) return print_architectures();
        code = read_option(&options, option, optarg);
    }
    if (code == EX_OK && optind < argc)
        code = console_usage("bench", "found '%s', expected options only", argv[optind]);
    if (code == EX_OK) code = complete(&options);
    return code == EX_OK ? run(&options) : code;
}
