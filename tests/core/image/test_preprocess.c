/* Crops must be Pillow's to the byte, with every instruction set: our own small goldens
 * (tests/golden/image, always there), and those of the shared reference data. */
#include "core/image/preprocess.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/image/exif.h"
#include "tests/support/files.h"
#include "tests/support/kernel_sets.h"
#include "tests/support/npy.h"
#include "tests/support/photo.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

enum { PATH_SIZE = 160 };

static struct image load(const char *path, bool upright) {
    struct buffer file = files_load(path);
    struct image_options options = {.limits = image_limits_default, .exif_orientation = upright};
    struct image image;
    struct error err = ERROR_NONE;
    enum status status = image_decode(&image, buffer_view(&file), &options, &err);
    ck_assert_msg(status == STATUS_OK, "%s: %s", path, err.message);
    buffer_free(&file);
    return image;
}

static size_t count_differences(const uint8_t *a, const uint8_t *b, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += a[i] != b[i];
    return count;
}

/* `out` is what portable C makes; every other instruction set must make the same. */
static void make_crop(uint8_t *out, const struct preprocess *preprocess,
                      const struct image *image) {
    size_t size = (size_t)preprocess->size * preprocess->size * 3;
    uint8_t *crop = malloc(size);
    ck_assert_ptr_nonnull(crop);
    struct preprocess with = *preprocess;
    for (size_t set = 0; set < KERNEL_SETS; set++) {
        with.features = kernel_set(set);
        ck_assert_int_eq(preprocess_image(set ? crop : out, &with, image, NULL), STATUS_OK);
        if (set == 0) continue;
        size_t differences = count_differences(crop, out, size);
        ck_assert_msg(differences == 0, "%zu of %zu bytes differ with %s", differences, size,
                      kernel_set_name(set));
    }
    free(crop);
}

static enum preprocess_resize resize_of(const char *name) {
    const char *names[] = {"shortest", "squash", "longest", "none"};
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0) return (enum preprocess_resize)i;
    ck_abort_msg("unknown resize %s", name);
    return PREPROCESS_NONE;
}

/* Runs one line of cases.txt against the bytes at `expected`; returns how many it has. */
static size_t check_case(const char *line, const int64_t *expected, size_t available) {
    char name[64], order[16], resize[16];
    unsigned filter, upright, fill;
    struct preprocess preprocess = {0};
    ck_assert_int_eq(sscanf(line, "%63s %15s %15s %u %u %u %u %x", name, order, resize, &filter,
                            &preprocess.size, &preprocess.resize_to, &upright, &fill),
                     8);
    preprocess.order = strcmp(order, "hf") == 0 ? PREPROCESS_HF : PREPROCESS_OPENAI;
    preprocess.resize = resize_of(resize);
    preprocess.filter = (enum resample_filter)filter;
    for (int c = 0; c < 3; c++) preprocess.fill[c] = (uint8_t)(fill >> (16 - 8 * c));

    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "tests/golden/image/%s", name);
    struct image image = load(path, upright);
    size_t size = (size_t)preprocess.size * preprocess.size * 3;
    ck_assert_uint_le(size, available);
    uint8_t *crop = malloc(size);
    ck_assert_ptr_nonnull(crop);
    make_crop(crop, &preprocess, &image);
    size_t differences = 0;
    for (size_t i = 0; i < size; i++) differences += crop[i] != expected[i];
    ck_assert_msg(differences == 0, "%zu of %zu bytes differ in %s", differences, size, line);
    free(crop);
    image_free(&image);
    return size;
}

START_TEST(own_goldens_are_exact) {
    struct npy crops;
    ck_assert_int_eq(npy_read(&crops, "tests/golden/image/crops.npy", NULL), STATUS_OK);
    FILE *cases = fopen("tests/golden/image/cases.txt", "r");
    ck_assert_ptr_nonnull(cases);
    char line[160];
    size_t at = 0;
    while (fgets(line, sizeof(line), cases))
        at += check_case(line, crops.ints + at, crops.count - at);
    ck_assert_uint_eq(at, crops.count);
    fclose(cases);
    npy_free(&crops);
}
END_TEST

/* The longest images the limits allow: time and memory of a crop, not of four million
 * columns. The middle of a slope is its mean. */
START_TEST(long_images_cost_a_crop) {
    struct image image;
    ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 16384, 1, NULL, NULL), STATUS_OK);
    for (uint32_t x = 0; x < image.width; x++) image.pixels[x] = (uint8_t)(x / 64);
    uint8_t crop[32 * 32 * 3];
    for (int filter = 0; filter < 6; filter++) {
        for (int resize = 0; resize < 4; resize++) {
            for (int turned = 0; turned < 2; turned++) {
                struct preprocess preprocess = {.size = 32,
                                                .resize = (enum preprocess_resize)resize,
                                                .order = (enum preprocess_order)turned,
                                                .filter = (enum resample_filter)filter};
                make_crop(crop, &preprocess, &image);
                int middle = crop[sizeof(crop) / 2 + 48];
                if (resize != PREPROCESS_LONGEST && resize != PREPROCESS_NONE)
                    ck_assert_int_le(abs(middle - 128), 4);
                uint32_t width = image.width;
                image.width = image.height;
                image.height = width;
            }
        }
    }
    image_free(&image);
}
END_TEST

/* The crop of a photograph, turned as its EXIF data might say. */
static void crop_photo(uint8_t *out, const struct buffer *file, const struct preprocess *preprocess,
                       uint32_t orientation, uint32_t reduce_to) {
    struct image_options options = {.limits = image_limits_default, .reduce_to = reduce_to};
    struct image image;
    ck_assert_int_eq(image_decode(&image, buffer_view(file), &options, NULL), STATUS_OK);
    ck_assert_uint_eq(image.reduction.factor, reduce_to ? 8 : 0);
    ck_assert_int_eq(exif_turn_upright(&image, orientation, NULL), STATUS_OK);
    make_crop(out, preprocess, &image);
    image_free(&image);
}

/* Mean difference of the bytes of two crops. */
static double distance(const uint8_t *a, const uint8_t *b, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += abs(a[i] - b[i]);
    return sum / (double)size;
}

/* A JPEG decoded at an eighth shows the same place in nearly the same pixels. Its sides
 * are little more than a multiple of 8, so that the last pixels of the decoded image are
 * mostly padding: who takes them for a part of the photograph is off by most of a pixel
 * at one end, and resizes to another width. */
START_TEST(reduced_photographs_are_close) {
    enum { SIDE = 32, REDUCE_TO = 64 };
    static uint8_t exact[SIDE * SIDE * 3], fast[SIDE * SIDE * 3];
    struct buffer file = photo_make(8 * 80 + 2, 8 * 64 + 1);
    for (int resize = PREPROCESS_SHORTEST; resize <= PREPROCESS_LONGEST; resize++) {
        struct preprocess preprocess = {
            .size = SIDE, .resize = (enum preprocess_resize)resize, .filter = RESAMPLE_BICUBIC};
        ck_assert_uint_eq(preprocess_reduce_to(&preprocess), REDUCE_TO);
        for (uint32_t orientation = 1; orientation <= 8; orientation++) {
            crop_photo(exact, &file, &preprocess, orientation, 0);
            crop_photo(fast, &file, &preprocess, orientation, REDUCE_TO);
            double mean = distance(exact, fast, sizeof(exact));
            ck_assert_msg(mean > 0 && mean < 0.8, "resize %d, orientation %u: differs by %g",
                          resize, orientation, mean);
        }
    }
    struct preprocess as_it_is = {.size = SIDE, .resize = PREPROCESS_NONE};
    ck_assert_uint_eq(preprocess_reduce_to(&as_it_is), 0);
    struct preprocess cropped = {.size = SIDE, .resize_to = 40};
    ck_assert_uint_eq(preprocess_reduce_to(&cropped), 80);
    buffer_free(&file);
}
END_TEST

static struct image load_shared(const char *folder, const char *name) {
    char relative[PATH_SIZE];
    snprintf(relative, sizeof(relative), "%s/%s", folder, name);
    char *path = shared_path(relative);
    struct image image = load(path, false);
    free(path);
    return image;
}

/* The whole image in RGB. */
static void check_decoded(const struct image *image, const struct image *expected) {
    ck_assert_uint_eq(image->width, expected->width);
    ck_assert_uint_eq(image->height, expected->height);
    size_t count = (size_t)image->width * image->height;
    uint8_t *rgb = malloc(count * 3);
    ck_assert_ptr_nonnull(rgb);
    image_row_to_rgb(rgb, image->pixels, count, image);
    ck_assert_uint_eq(count_differences(rgb, expected->pixels, count * 3), 0);
    free(rgb);
}

static void check_crop(const struct image *image, const struct preprocess *preprocess,
                       const struct image *expected) {
    uint8_t crop[224 * 224 * 3];
    ck_assert_uint_eq(expected->width, 224);
    ck_assert_uint_eq(expected->height, 224);
    make_crop(crop, preprocess, image);
    ck_assert_uint_eq(count_differences(crop, expected->pixels, sizeof(crop)), 0);
}

/* `table` is [3, 256]: the normalised float of each byte; `expected` [3, side, side]. */
static void check_floats(const struct image *image, const struct npy *table,
                         const struct npy *expected) {
    enum { SIDE = 32 };
    struct preprocess preprocess = {.size = SIDE, .filter = RESAMPLE_BICUBIC};
    uint8_t crop[SIDE * SIDE * 3];
    make_crop(crop, &preprocess, image);
    ck_assert_uint_eq(expected->count, sizeof(crop));
    for (size_t i = 0; i < sizeof(crop); i++) {
        float value = table->floats[i % 3 * 256 + crop[i]];
        ck_assert_mem_eq(&value, &expected->floats[i % 3 * SIDE * SIDE + i / 3], sizeof(value));
    }
}

static const struct {
    const char *key;
    struct preprocess preprocess;
} crops[] = {
    {"openai224", {.size = 224, .filter = RESAMPLE_BICUBIC}},
    {"hf224", {.size = 224, .filter = RESAMPLE_BICUBIC, .order = PREPROCESS_HF}},
    {"squash224", {.size = 224, .filter = RESAMPLE_BICUBIC, .resize = PREPROCESS_SQUASH}},
    {"longest224", {.size = 224, .filter = RESAMPLE_BICUBIC, .resize = PREPROCESS_LONGEST}},
    {"bilinear224", {.size = 224, .filter = RESAMPLE_BILINEAR}},
};

static const char folder[] = "goldens/preprocess";

/* Returns how many expectations were checked. */
static size_t check_entry(const json_t *entry, const struct npy *table) {
    struct image image = load_shared(folder, json_string_value(json_object_get(entry, "file")));
    size_t checked = 0;
    for (size_t i = 0; i < sizeof(crops) / sizeof(crops[0]); i++) {
        const char *name = json_string_value(json_object_get(entry, crops[i].key));
        if (!name) continue;
        struct image expected = load_shared(folder, name);
        check_crop(&image, &crops[i].preprocess, &expected);
        image_free(&expected);
        checked++;
    }
    const char *decoded = json_string_value(json_object_get(entry, "decoded_rgb"));
    if (decoded) {
        struct image expected = load_shared(folder, decoded);
        check_decoded(&image, &expected);
        image_free(&expected);
        checked++;
    }
    char relative[PATH_SIZE];
    snprintf(relative, sizeof(relative), "%s/%s", folder,
             json_string_value(json_object_get(entry, "openai32_f32")));
    char *path = shared_path(relative);
    struct npy expected;
    ck_assert_int_eq(npy_read(&expected, path, NULL), STATUS_OK);
    check_floats(&image, table, &expected);
    npy_free(&expected);
    free(path);
    image_free(&image);
    return checked + 1;
}

START_TEST(shared_goldens_are_exact) {
    if (shared_missing()) return;
    char *path = shared_path("goldens/preprocess/manifest.json");
    json_t *manifest = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(manifest);
    free(path);
    path = shared_path("goldens/preprocess/expected/u8_to_f32_torchvision.npy");
    struct npy table;
    ck_assert_int_eq(npy_read(&table, path, NULL), STATUS_OK);
    free(path);
    size_t images = 0;
    size_t checked = 0;
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(manifest, "images"), i, entry) {
        const char *file = json_string_value(json_object_get(entry, "file"));
        if (strstr(file, ".bmp") || strstr(file, ".gif")) continue;
        checked += check_entry(entry, &table);
        images++;
    }
    ck_assert_uint_eq(images, 28);
    ck_assert_uint_eq(checked, 115);
    npy_free(&table);
    json_decref(manifest);
}
END_TEST

/* Photographs with the crop that OpenAI's own preprocessing published for them, P6. */
START_TEST(published_crops_are_exact) {
    if (shared_missing()) return;
    const char *names[] = {"123_456", "208_495", "389_535"};
    for (size_t i = 0; i < 3; i++) {
        char relative[PATH_SIZE];
        snprintf(relative, sizeof(relative), "%s.jpg", names[i]);
        struct image image = load_shared("reference/preprocess", relative);
        snprintf(relative, sizeof(relative), "reference/preprocess/%s.u8.ppm", names[i]);
        char *path = shared_path(relative);
        struct buffer ppm = files_load(path);
        enum { SIZE = 224 * 224 * 3 };
        ck_assert_uint_gt(ppm.size, SIZE);
        struct image expected = {.width = 224, .height = 224, .pixels = ppm.data + ppm.size - SIZE};
        check_crop(&image, &crops[0].preprocess, &expected);
        buffer_free(&ppm);
        free(path);
        image_free(&image);
    }
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("preprocess");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, own_goldens_are_exact);
    tcase_add_test(tcase, long_images_cost_a_crop);
    tcase_add_test(tcase, reduced_photographs_are_close);
    tcase_add_test(tcase, shared_goldens_are_exact);
    tcase_add_test(tcase, published_crops_are_exact);
    return program_run("preprocess", tcase, CK_NOFORK);
}
