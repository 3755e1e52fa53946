#include "tests/support/tower_golden.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/isa.h"
#include "core/model/calibrate.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/npy.h"

__attribute__((format(printf, 2, 3))) static void expect(bool holds, const char *format, ...) {
    va_list arguments;
    if (holds) return;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

static struct npy read_npy(const char *path) {
    struct npy npy;
    struct error err = ERROR_NONE;
    expect(npy_read(&npy, path, &err) == STATUS_OK, "%s: %s", path, err.message);
    return npy;
}

void tower_pictures_read(struct tower_pictures *out) {
    struct npy pixels = read_npy("tests/golden/resnet/pixels.npy");
    expect(pixels.count == sizeof(out->large), "%zu pixels", pixels.count);
    for (size_t i = 0; i < pixels.count; i++) out->large[i] = (uint8_t)pixels.ints[i];
    npy_free(&pixels);
    for (size_t i = 0; i < TOWER_IMAGES; i++) {
        size_t from = i * (TOWER_LARGE - TOWER_NATIVE);
        for (size_t y = 0; y < TOWER_NATIVE; y++) {
            memcpy(out->native[i] + y * TOWER_NATIVE * 3,
                   out->large + ((from + y) * TOWER_LARGE + from) * 3, (size_t)TOWER_NATIVE * 3);
        }
    }
}

struct model *tower_open(const char *path, const struct model_options *more) {
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    struct model_options options = *more;
    options.path = path;
    options.workers = 1;
    if (!options.features) options.features = isa_detect();
    if (!options.precision) options.precision = "fp32";
    expect(model_open(&model, &options, &err) == STATUS_OK, "%s: %s", path, err.message);
    return model;
}

static double cosine(const float *x, const float *y) {
    double xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < TOWER_DIM; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xy / sqrt(xx * yy);
}

void tower_check(const struct model *model, const uint8_t *const *pixels, uint32_t count,
                 const char *expected, double least) {
    struct npy wanted = read_npy(expected);
    float out[TOWER_IMAGES][TOWER_DIM], *rows[TOWER_IMAGES] = {out[0], out[1]};
    expect(wanted.count == (size_t)count * TOWER_DIM, "%s has %zu", expected, wanted.count);
    model_encode_images(model, 0, NULL, pixels, count, rows);
    for (size_t i = 0; i < count; i++) {
        const float *row = wanted.floats + i * TOWER_DIM;
        for (size_t j = 0; j < TOWER_DIM && least == 0; j++) {
            double difference = fabs((double)out[i][j] - (double)row[j]);
            expect(difference <= 2e-5, "%s %zu differs by %g", expected, i, difference);
        }
        double found = cosine(out[i], row);
        expect(found >= least, "%s %zu has a cosine of %g", expected, i, found);
    }
    npy_free(&wanted);
}

void tower_check_precisions(const char *path, const char *expected, double least) {
    static const char *const caps[] = {"generic", "avx2", "all"};
    const struct {
        const char *precision;
        double least;
    } rows[] = {{"fp32", 0}, {"bf16", 0.9995}, {"int8", least}};
    struct tower_pictures pictures;
    tower_pictures_read(&pictures);
    const uint8_t *const natives[] = {pictures.native[0], pictures.native[1]};
    for (size_t i = 0; i < 9; i++) {
        struct model_options options = {.precision = rows[i % 3].precision};
        options.features = isa_detect();
        expect(!isa_cap(&options.features, caps[i / 3], NULL), "no %s", caps[i / 3]);
        struct model *model = tower_open(path, &options);
        tower_check(model, natives, TOWER_IMAGES, expected, rows[i % 3].least);
        model_close(model);
    }
}

static void check_batch(const struct model *model, const struct tower_pictures *pictures) {
    enum { MANY = 400 };
    float alone[TOWER_IMAGES][TOWER_DIM], *all = calloc((size_t)MANY * TOWER_DIM, sizeof(*all));
    const uint8_t *pixels[MANY];
    float *rows[MANY];
    for (size_t i = 0; i < TOWER_IMAGES; i++) {
        float *row = alone[i];
        const uint8_t *picture = pictures->native[i];
        model_encode_images(model, 0, NULL, &picture, 1, &row);
    }
    for (size_t i = 0; i < MANY; i++) {
        pixels[i] = pictures->native[i % 3 % 2];
        rows[i] = all + i * TOWER_DIM;
    }
    model_encode_images(model, 0, NULL, pixels, MANY, rows);
    for (size_t i = 0; i < MANY; i++) {
        bool same = same_bits(rows[i], alone[i % 3 % 2], sizeof(alone[0]));
        expect(same, "image %zu differs among others", i);
    }
    free(all);
}

void tower_check_batches(const char *path) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    struct tower_pictures pictures;
    tower_pictures_read(&pictures);
    for (size_t i = 0; i < 3; i++) {
        struct model *model = tower_open(path, &(struct model_options){.precision = precisions[i]});
        check_batch(model, &pictures);
        model_close(model);
    }
}

void tower_check_calibrated(const char *path, size_t products) {
    const struct samples none = {.counts = {0}};
    struct calibrate_options options = {
        .model = {.path = path, .features = isa_detect(), .workers = 2}, .target = 0.9999};
    struct profile *profile = malloc(sizeof(*profile));
    struct calibration *calibration;
    struct error err = ERROR_NONE;
    if (!profile) abort();
    expect(!calibration_open(&calibration, &options, &err), "%s: %s", path, err.message);
    size_t found = plan_count(calibration_info(calibration), PLAN_VISION);
    expect(found == products, "%s has %zu products, expected %zu", path, found, products);
    expect(!calibration_run(profile, calibration, &none, &err), "%s: %s", path, err.message);
    double least = profile->towers[PLAN_VISION].total.min;
    expect(least >= options.target, "%s: cosine %.6f, expected %g", path, least, options.target);
    calibration_close(calibration);
    free(profile);
}

static void ignore_file(void *context, const char *path, struct bytes file) {
    (void)context;
    (void)path;
    (void)file;
}

void tower_check_packed(const char *path, bool (*holds)(const struct model_info *info),
                        const struct model_text *text) {
    char *cache = folder_make();
    struct model_options options = {.precision = "int8", .cache = cache};
    struct tower_pictures pictures;
    tower_pictures_read(&pictures);
    const uint8_t *picture = pictures.native[0];
    float images[2][TOWER_DIM], texts[2][TOWER_DIM] = {{0}};
    for (size_t i = 0; i < 2; i++) {
        float *image = images[i], *of_text = texts[i];
        struct model *model = tower_open(path, &options);
        expect(files_each(cache, ignore_file, NULL) == 1, "%s: no packed file", path);
        expect(holds(model_info(model)), "%s: another model", path);
        model_encode_images(model, 0, NULL, &picture, 1, &image);
        if (text) model_encode_texts(model, 0, NULL, text, 1, &of_text);
        model_close(model);
    }
    expect(same_bits(images[0], images[1], sizeof(images[0])), "%s: another image", path);
    expect(same_bits(texts[0], texts[1], sizeof(texts[0])), "%s: another text", path);
    folder_remove(cache);
}

void tower_name_product(char out[32], const struct model_info *info, enum plan_tower tower,
                        size_t index) {
    static const char *const products[PLAN_PRODUCTS] = {"qkv", "out", "fc", "proj"};
    struct plan plan;
    const uint8_t *place = plan_at(&plan, info, tower, index), *layers = plan.layers[tower][0];
    if (place == &plan.patch || place == &plan.projection[tower]) {
        snprintf(out, 32, "%s", place == &plan.patch ? "patch" : "projection");
        return;
    }
    size_t at = (size_t)(place - layers);
    snprintf(out, 32, "layer %zu %s", at / PLAN_PRODUCTS + 1, products[at % PLAN_PRODUCTS]);
}
