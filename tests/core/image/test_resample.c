/* Resampling alone: Pillow's images for each filter and size, and that a window holds the
 * same pixels as the whole. */
#include "core/image/resample.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

static const struct image_options options_default = {
    .limits = {.side_max = 16384, .pixels_max = 50000000},
};

static struct image load(const char *path) {
    struct buffer file = files_load(path);
    struct image image;
    ck_assert_int_eq(image_decode(&image, buffer_view(&file), &options_default, NULL), STATUS_OK);
    buffer_free(&file);
    return image;
}

static struct image resize(const struct image *in, uint32_t width, uint32_t height,
                           struct resample_window window, enum resample_filter filter) {
    struct resample_options options = {
        .width = width, .height = height, .window = window, .filter = filter};
    struct image out;
    ck_assert_int_eq(resample_image(&out, in, &options, NULL), STATUS_OK);
    ck_assert_uint_eq(out.width, window.width);
    ck_assert_uint_eq(out.height, window.height);
    return out;
}

/* What Pillow makes of a row of ten bytes. */
START_TEST(weights_are_pillows) {
    uint8_t row[10] = {0, 0, 0, 255, 0, 0, 0, 0, 0, 0};
    struct image in = {.mode = IMAGE_MODE_L, .width = 10, .height = 1, .pixels = row};
    struct image out = resize(&in, 4, 1, (struct resample_window){0, 0, 4, 1}, RESAMPLE_BICUBIC);
    const uint8_t expected[4] = {8, 98, 0, 0};
    ck_assert_mem_eq(out.pixels, expected, 4);
    image_free(&out);
}
END_TEST

/* Any window of any filter, mode and size is a cut-out of the whole. */
START_TEST(windows_are_cut_outs) {
    const char *paths[] = {"tests/golden/image/rgb8.png", "tests/golden/image/rgb_alpha8.png",
                           "tests/golden/image/grey16.png", "tests/golden/image/palette8_short.png",
                           "tests/golden/image/grey_alpha8.png"};
    const struct {
        uint32_t width, height;
    } sizes[] = {{9, 9}, {40, 7}, {5, 61}, {21, 26}, {21, 9}, {30, 26}};
    for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
        struct image in = load(paths[p]);
        size_t bytes = image_mode_bytes(in.mode);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) * 6; i++) {
            uint32_t width = sizes[i / 6].width;
            uint32_t height = sizes[i / 6].height;
            enum resample_filter filter = (enum resample_filter)(i % 6);
            struct resample_window all = {0, 0, width, height};
            struct resample_window part = {width / 3, height / 2, width / 2, height / 3};
            struct image whole = resize(&in, width, height, all, filter);
            struct image window = resize(&in, width, height, part, filter);
            for (uint32_t y = 0; y < part.height; y++)
                ck_assert_mem_eq(window.pixels + (size_t)y * part.width * bytes,
                                 whole.pixels + ((part.y + y) * (size_t)width + part.x) * bytes,
                                 part.width * bytes);
            image_free(&whole);
            image_free(&window);
        }
        image_free(&in);
    }
}
END_TEST

START_TEST(rgb_first_gives_rgb) {
    struct image in = load("tests/golden/image/palette8_short.png");
    struct resample_options options = {
        .width = 5, .height = 4, .window = {1, 1, 3, 2}, .rgb_first = true};
    for (int filter = 0; filter < 6; filter++) {
        struct image out;
        options.filter = (enum resample_filter)filter;
        ck_assert_int_eq(resample_image(&out, &in, &options, NULL), STATUS_OK);
        ck_assert_int_eq(out.mode, IMAGE_MODE_RGB);
        image_free(&out);
    }
    image_free(&in);
}
END_TEST

static void check_golden(const struct image *source, const char *name, enum resample_filter filter,
                         uint32_t width, uint32_t height) {
    char relative[128];
    snprintf(relative, sizeof(relative), "goldens/preprocess/resample/%s_%ux%u.png", name, width,
             height);
    char *path = shared_path(relative);
    struct image expected = load(path);
    struct resample_window all = {0, 0, width, height};
    struct image out = resize(source, width, height, all, filter);
    ck_assert_int_eq(out.mode, expected.mode);
    ck_assert_uint_eq(expected.width, width);
    ck_assert_uint_eq(expected.height, height);
    ck_assert_mem_eq(out.pixels, expected.pixels,
                     (size_t)width * height * image_mode_bytes(out.mode));
    image_free(&out);
    image_free(&expected);
    free(path);
}

START_TEST(images_are_pillows) {
    if (shared_missing()) return;
    char *path = shared_path("goldens/preprocess/resample/src_97x61.png");
    struct image source = load(path);
    const struct {
        uint32_t width, height;
    } sizes[] = {{32, 32}, {224, 141}, {1, 1}, {3, 200}, {40, 61}, {96, 60}, {97, 30}, {98, 62}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_golden(&source, "bicubic", RESAMPLE_BICUBIC, sizes[i].width, sizes[i].height);
        check_golden(&source, "bilinear", RESAMPLE_BILINEAR, sizes[i].width, sizes[i].height);
        if (i >= 2) continue;
        check_golden(&source, "lanczos", RESAMPLE_LANCZOS, sizes[i].width, sizes[i].height);
        check_golden(&source, "nearest", RESAMPLE_NEAREST, sizes[i].width, sizes[i].height);
    }
    image_free(&source);
    free(path);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("resample");
    tcase_add_test(tcase, weights_are_pillows);
    tcase_add_test(tcase, windows_are_cut_outs);
    tcase_add_test(tcase, rgb_first_gives_rgb);
    tcase_add_test(tcase, images_are_pillows);
    return program_run("resample", tcase, CK_NOFORK);
}
