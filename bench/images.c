/* images.c - what a JPEG costs before the model sees it.
 *
 *     build/release/bench/images [WIDTH HEIGHT [SIDE]]
 *
 * Made photographs of four sizes, or one of that size, to 224 x 224 or SIDE x SIDE;
 * decoded exactly and at a fraction of the size (preprocess: fast), resized in portable C
 * and with the instruction sets of this CPU, which CLIPD_CPU caps. Every figure is the
 * best of several repeats in CPU time of one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/image/preprocess.h"
#include "core/kernels/isa.h"
#include "core/kernels/peak.h"
#include "tests/support/photo.h"

enum { SIDE = 224, SIDE_MAX = 4096, REPEATS = 9 };

static void check(enum status status, const struct error *err) {
    if (status == STATUS_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Milliseconds, of decoding and of resizing. */
struct times {
    double decode, resize;
};

static struct times measure(const struct buffer *file, const struct preprocess *preprocess,
                            bool fast, uint8_t *crop) {
    struct times best = {1e9, 1e9};
    struct image_options options = {.limits = {.side_max = UINT32_MAX, .pixels_max = UINT64_MAX}};
    struct error err = ERROR_NONE;
    if (fast) options.reduce_to = preprocess_reduce_to(preprocess);
    for (int i = 0; i < REPEATS; i++) {
        struct image image;
        double begin = peak_thread_seconds();
        check(image_decode(&image, buffer_view(file), &options, &err), &err);
        double decoded = peak_thread_seconds();
        check(preprocess_image(crop, preprocess, &image, &err), &err);
        double resized = peak_thread_seconds();
        if ((decoded - begin) * 1e3 < best.decode) best.decode = (decoded - begin) * 1e3;
        if ((resized - decoded) * 1e3 < best.resize) best.resize = (resized - decoded) * 1e3;
        image_free(&image);
    }
    return best;
}

static void bench_size(uint32_t width, uint32_t height, uint32_t side, unsigned features) {
    struct buffer file = photo_make(width, height);
    uint8_t *crop = malloc((size_t)side * side * 3);
    struct preprocess preprocess = {.size = side, .filter = RESAMPLE_BICUBIC};
    char size[24];
    if (!crop) exit(1);
    snprintf(size, sizeof(size), "%u x %u", width, height);
    for (int fast = 0; fast < 2; fast++) {
        preprocess.features = 0;
        struct times generic = measure(&file, &preprocess, fast, crop);
        preprocess.features = features;
        struct times best = measure(&file, &preprocess, fast, crop);
        if (generic.decode < best.decode) best.decode = generic.decode;
        printf("%-12s %7zu %-6s %8.2f %9.2f %8.2f %8.2f\n", size, file.size / 1024,
               fast ? "fast" : "exact", best.decode, generic.resize, best.resize,
               best.decode + best.resize);
        fflush(stdout);
    }
    free(crop);
    buffer_free(&file);
}

int main(int argc, char **argv) {
    static const uint32_t sizes[][2] = {{224, 224}, {500, 375}, {1600, 1200}, {4000, 3000}};
    unsigned features = isa_detect();
    struct error err = ERROR_NONE;
    check(isa_cap(&features, getenv("CLIPD_CPU"), &err), &err);
    uint32_t width = argc > 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    uint32_t height = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    uint32_t side = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : SIDE;
    if (argc > 2 && (!width || !height || !side || side > SIDE_MAX)) {
        fputs("usage: images [WIDTH HEIGHT [SIDE]]\n", stderr);
        return 2;
    }
    printf("%-12s %7s %-6s %8s %9s %8s %8s   ms, to %u x %u, %s\n", "JPEG", "KiB", "", "decode",
           "generic", "resize", "all", side, side, isa_name(features));
    if (argc > 2) bench_size(width, height, side, features);
    for (size_t i = 0; argc <= 2 && i < sizeof(sizes) / sizeof(sizes[0]); i++)
        bench_size(sizes[i][0], sizes[i][1], side, features);
    return 0;
}
