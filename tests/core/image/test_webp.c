/* What is particular to WebP: modes, animations, damage. That the pixels are right is shown
 * by test_preprocess and test_corpora. */
#include "core/image/webp.h"

#include <check.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/program.h"

static struct image_options options = {.limits = {.side_max = 16384, .pixels_max = 50000000}};

static enum image_mode mode_of(const char *path) {
    struct buffer file = files_load(path);
    struct image image = {0};
    ck_assert_int_eq(webp_decode(&image, buffer_view(&file), &options, NULL), STATUS_OK);
    enum image_mode mode = image.mode;
    image_free(&image);
    buffer_free(&file);
    return mode;
}

START_TEST(alpha_makes_the_mode) {
    ck_assert_int_eq(mode_of("tests/golden/image/lossy.webp"), IMAGE_MODE_RGB);
    ck_assert_int_eq(mode_of("tests/golden/image/lossless.webp"), IMAGE_MODE_RGB);
    ck_assert_int_eq(mode_of("tests/golden/image/lossy_alpha.webp"), IMAGE_MODE_RGBA);
    ck_assert_int_eq(mode_of("tests/golden/image/lossless_alpha.webp"), IMAGE_MODE_RGBA);
    ck_assert_int_eq(mode_of("tests/golden/image/animated.webp"), IMAGE_MODE_RGBA);
}
END_TEST

static void put_le(uint8_t *to, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; i++) to[i] = (uint8_t)(value >> 8 * i);
}

/* An animation of one frame, which is the simple lossless file at `x`, `y` of a canvas. */
static struct buffer make_animation(const struct buffer *simple, uint32_t canvas_width,
                                    uint32_t canvas_height, uint32_t x, uint32_t y) {
    enum { SIMPLE_HEADER = 12, FRAME_HEADER = 16 };
    uint32_t image_size = (uint32_t)simple->size - SIMPLE_HEADER;
    uint8_t header[12 + 18 + 14 + 8 + FRAME_HEADER] = "RIFF....WEBP"
                                                      "VP8X\x0a\0\0\0\x02\0\0\0......"
                                                      "ANIM\x06\0\0\0\0\0\0\0\0\0"
                                                      "ANMF";
    put_le(header + 4, (uint32_t)sizeof(header) - 8 + image_size, 4);
    put_le(header + 24, canvas_width - 1, 3);
    put_le(header + 27, canvas_height - 1, 3);
    put_le(header + 48, FRAME_HEADER + image_size, 4);
    put_le(header + 52, x / 2, 3);
    put_le(header + 55, y / 2, 3);
    put_le(header + 58, 19 - 1, 3);
    put_le(header + 61, 28 - 1, 3);
    struct buffer file;
    buffer_init(&file, 1 << 20);
    buffer_append(&file, header, sizeof(header), NULL);
    buffer_append(&file, simple->data + SIMPLE_HEADER, image_size, NULL);
    return file;
}

START_TEST(a_frame_lies_on_its_canvas) {
    struct buffer simple = files_load("tests/golden/image/lossless.webp");
    struct buffer file = make_animation(&simple, 25, 34, 6, 4);
    struct image frame = {0};
    struct image canvas = {0};
    ck_assert_int_eq(webp_decode(&frame, buffer_view(&simple), &options, NULL), STATUS_OK);
    ck_assert_int_eq(webp_decode(&canvas, buffer_view(&file), &options, NULL), STATUS_OK);
    ck_assert_uint_eq(canvas.width, 25);
    ck_assert_uint_eq(canvas.height, 34);
    const uint8_t black[3] = {0};
    for (uint32_t y = 0; y < 34; y++) {
        for (uint32_t x = 0; x < 25; x++) {
            bool inside = x >= 6 && y >= 4 && y < 32;
            size_t at = (size_t)(y - 4) * 19 + x - 6;
            ck_assert_mem_eq(canvas.pixels + ((size_t)y * 25 + x) * 3,
                             inside ? frame.pixels + at * 3 : black, 3);
        }
    }
    image_free(&frame);
    image_free(&canvas);
    buffer_free(&file);

    file = make_animation(&simple, 24, 34, 6, 4); /* one too narrow */
    ck_assert_int_eq(webp_decode(&canvas, buffer_view(&file), &options, NULL),
                     STATUS_UNPROCESSABLE);
    buffer_free(&file);
    buffer_free(&simple);
}
END_TEST

START_TEST(cut_off_files_are_unprocessable) {
    const char *paths[] = {"tests/golden/image/lossy.webp", "tests/golden/image/lossless.webp",
                           "tests/golden/image/animated.webp"};
    for (size_t p = 0; p < 3; p++) {
        struct buffer file = files_load(paths[p]);
        for (size_t size = 0; size < file.size; size++) {
            struct image image = {0};
            struct error err = ERROR_NONE;
            struct bytes part = {.data = file.data, .size = size};
            ck_assert_int_eq(webp_decode(&image, part, &options, &err), STATUS_UNPROCESSABLE);
            ck_assert_int_eq(err.status, STATUS_UNPROCESSABLE);
        }
        buffer_free(&file);
    }
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("webp");
    tcase_add_test(tcase, alpha_makes_the_mode);
    tcase_add_test(tcase, a_frame_lies_on_its_canvas);
    tcase_add_test(tcase, cut_off_files_are_unprocessable);
    return program_run("webp", tcase, CK_NOFORK);
}
