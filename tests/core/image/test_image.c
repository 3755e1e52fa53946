/* Formats told apart, limits, and the conversion to RGB. */
#include "core/image/image.h"

#include <check.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/program.h"

static const struct image_options options_default = {
    .limits = {.side_max = 16384, .pixels_max = 50000000},
};

START_TEST(formats_are_told_by_their_first_bytes) {
    ck_assert_int_eq(image_sniff(bytes_of("\xff\xd8\xff\xe0")), IMAGE_JPEG);
    ck_assert_int_eq(image_sniff(bytes_of("\xff\xd8\xff")), IMAGE_JPEG);
    ck_assert_int_eq(image_sniff(bytes_of("\xff\xd8")), IMAGE_UNKNOWN);
    ck_assert_int_eq(image_sniff(bytes_of("\x89PNG\r\n\x1a\n")), IMAGE_PNG);
    ck_assert_int_eq(image_sniff(bytes_of("\x89PNG\n\x1a\n")), IMAGE_UNKNOWN);
    ck_assert_int_eq(image_sniff(bytes_of("RIFFabcdWEBP")), IMAGE_WEBP);
    ck_assert_int_eq(image_sniff(bytes_of("RIFFabcdWAVE")), IMAGE_UNKNOWN);
    ck_assert_int_eq(image_sniff(bytes_of("GIF89a")), IMAGE_UNKNOWN);
    ck_assert_int_eq(image_sniff((struct bytes){0}), IMAGE_UNKNOWN);
    ck_assert_str_eq(image_format_type(IMAGE_WEBP), "image/webp");
    ck_assert_str_eq(image_format_type(IMAGE_UNKNOWN), "application/octet-stream");
}
END_TEST

START_TEST(unknown_formats_are_unsupported) {
    struct image image;
    struct error err = ERROR_NONE;
    struct bytes gif = {.data = (const uint8_t *)"GIF8", .size = 4};
    ck_assert_int_eq(image_decode(&image, gif, &options_default, &err), STATUS_UNSUPPORTED);
    ck_assert_str_eq(
        err.message,
        "unknown image format: it begins with 47 49 46 38, expected JPEG, PNG or WebP");
    err = ERROR_NONE;
    ck_assert_int_eq(image_decode(&image, (struct bytes){0}, &options_default, &err),
                     STATUS_UNPROCESSABLE);
    ck_assert_str_eq(err.message, "image is empty");
}
END_TEST

static enum status decode_within(const char *path, uint32_t side_max, uint64_t pixels_max) {
    struct buffer file = files_load(path);
    struct image_options options = {.limits = {.side_max = side_max, .pixels_max = pixels_max}};
    struct image image = {0};
    enum status status = image_decode(&image, buffer_view(&file), &options, NULL);
    if (status == STATUS_OK) image_free(&image);
    buffer_free(&file);
    return status;
}

/* 17 x 15, 27 x 18, 19 x 28 pixels: the limit, and one under it. */
START_TEST(limits_hold_for_every_format) {
    const char *png = "tests/golden/image/grey16.png";
    ck_assert_int_eq(decode_within(png, 17, 255), STATUS_OK);
    ck_assert_int_eq(decode_within(png, 16, 255), STATUS_TOO_LARGE);
    ck_assert_int_eq(decode_within(png, 17, 254), STATUS_TOO_LARGE);
    const char *jpeg = "tests/golden/image/422_restart.jpg";
    ck_assert_int_eq(decode_within(jpeg, 27, 486), STATUS_OK);
    ck_assert_int_eq(decode_within(jpeg, 26, 486), STATUS_TOO_LARGE);
    ck_assert_int_eq(decode_within(jpeg, 27, 485), STATUS_TOO_LARGE);
    const char *webp = "tests/golden/image/lossless.webp";
    ck_assert_int_eq(decode_within(webp, 28, 532), STATUS_OK);
    ck_assert_int_eq(decode_within(webp, 27, 532), STATUS_TOO_LARGE);
    ck_assert_int_eq(decode_within(webp, 28, 531), STATUS_TOO_LARGE);
}
END_TEST

START_TEST(limits_are_named) {
    struct error err = ERROR_NONE;
    struct image image;
    ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 16384, 3052, &image_limits_default, &err),
                     STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "image is 16384 x 3052, the limit is 50000000 pixels");
    err = ERROR_NONE;
    ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 16385, 1, &image_limits_default, &err),
                     STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "image is 16385 x 1, the limit is 16384 on either side");
    err = ERROR_NONE;
    ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 0, 5, NULL, &err), STATUS_UNPROCESSABLE);
    ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 16384, 1, &image_limits_default, NULL),
                     STATUS_OK);
    image_free(&image);
    ck_assert_ptr_null(image.pixels);
}
END_TEST

/* On both sides of the size from which memory is had in another way. */
START_TEST(large_images_have_all_their_pixels) {
    for (uint32_t height = 8190; height <= 8194; height++) {
        struct image image;
        ck_assert_int_eq(image_init(&image, IMAGE_MODE_L, 4096, height, NULL, NULL), STATUS_OK);
        memset(image.pixels, 7, (size_t)4096 * height);
        image_free(&image);
    }
}
END_TEST

static void check_rgb(enum image_mode mode, const void *pixel, int red, int green, int blue) {
    struct image image = {.mode = mode};
    memcpy(image.palette[7], "\x01\x02\x03", 3);
    uint8_t rgb[3];
    image_row_to_rgb(rgb, pixel, 1, &image);
    ck_assert_int_eq(rgb[0], red);
    ck_assert_int_eq(rgb[1], green);
    ck_assert_int_eq(rgb[2], blue);
}

START_TEST(modes_become_rgb) {
    check_rgb(IMAGE_MODE_1, "\xff", 255, 255, 255);
    check_rgb(IMAGE_MODE_L, "\x50", 80, 80, 80);
    check_rgb(IMAGE_MODE_LA, "\x50\x01", 80, 80, 80);
    check_rgb(IMAGE_MODE_P, "\x07", 1, 2, 3);
    check_rgb(IMAGE_MODE_RGB, "\x0a\x0b\x0c", 10, 11, 12);
    check_rgb(IMAGE_MODE_RGBA, "\x0a\x0b\x0c\x00", 10, 11, 12);
    check_rgb(IMAGE_MODE_CMYK, "\x00\x00\x00\x00", 255, 255, 255);
    check_rgb(IMAGE_MODE_CMYK, "\x00\x80\xff\x37", 200, 100, 0);
    const int32_t values[] = {-1, 0, 255, 256};
    check_rgb(IMAGE_MODE_I, &values[0], 0, 0, 0);
    check_rgb(IMAGE_MODE_I, &values[1], 0, 0, 0);
    check_rgb(IMAGE_MODE_I, &values[2], 255, 255, 255);
    check_rgb(IMAGE_MODE_I, &values[3], 255, 255, 255);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("image");
    tcase_add_test(tcase, formats_are_told_by_their_first_bytes);
    tcase_add_test(tcase, unknown_formats_are_unsupported);
    tcase_add_test(tcase, limits_hold_for_every_format);
    tcase_add_test(tcase, limits_are_named);
    tcase_add_test(tcase, large_images_have_all_their_pixels);
    tcase_add_test(tcase, modes_become_rgb);
    return program_run("image", tcase, CK_NOFORK);
}
