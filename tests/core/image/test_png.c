/* What is particular to PNG: modes, damage, guards. That the pixels are right is shown by
 * test_preprocess and test_corpora. */
#include "core/image/png.h"

#include <check.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/program.h"

static struct image_options options = {.limits = {.side_max = 16384, .pixels_max = 50000000}};

static enum status decode(struct bytes file, struct error *err) {
    struct image image = {0};
    enum status status = png_decode(&image, file, &options, err);
    image_free(&image);
    return status;
}

static struct image decode_file(const char *path) {
    struct buffer file = files_load(path);
    struct image image = {0};
    ck_assert_int_eq(png_decode(&image, buffer_view(&file), &options, NULL), STATUS_OK);
    buffer_free(&file);
    return image;
}

START_TEST(kinds_make_the_mode) {
    const struct {
        const char *path;
        enum image_mode mode;
    } cases[] = {
        {"tests/golden/image/grey1.png", IMAGE_MODE_1},
        {"tests/golden/image/grey2.png", IMAGE_MODE_L},
        {"tests/golden/image/grey4_interlaced.png", IMAGE_MODE_L},
        {"tests/golden/image/grey8.png", IMAGE_MODE_L},
        {"tests/golden/image/grey16.png", IMAGE_MODE_I},
        {"tests/golden/image/grey_alpha8.png", IMAGE_MODE_LA},
        {"tests/golden/image/grey_alpha16.png", IMAGE_MODE_LA},
        {"tests/golden/image/palette1.png", IMAGE_MODE_P},
        {"tests/golden/image/rgb8.png", IMAGE_MODE_RGB},
        {"tests/golden/image/rgb16.png", IMAGE_MODE_RGB},
        {"tests/golden/image/rgb_alpha8.png", IMAGE_MODE_RGBA},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image image = decode_file(cases[i].path);
        ck_assert_int_eq(image.mode, cases[i].mode);
        image_free(&image);
    }
}
END_TEST

START_TEST(palettes_end_in_a_grey_ramp) {
    struct image image = decode_file("tests/golden/image/palette8_short.png");
    for (int i = 120; i < 256; i++)
        for (int c = 0; c < 3; c++) ck_assert_int_eq(image.palette[i][c], i);
    image_free(&image);
}
END_TEST

/* Offset of the first chunk of that type. */
static size_t find_chunk(struct bytes file, const char *type) {
    const uint8_t *at = memmem(file.data, file.size, type, 4);
    ck_assert_ptr_nonnull(at);
    return (size_t)(at - file.data) - 4;
}

START_TEST(the_end_chunk_may_be_missing_but_no_pixel) {
    struct buffer file = files_load("tests/golden/image/rgb8_interlaced.png");
    size_t end = find_chunk(buffer_view(&file), "IEND");
    for (size_t size = 0; size < file.size; size++) {
        struct bytes part = {.data = file.data, .size = size};
        struct error err = ERROR_NONE;
        enum status status = decode(part, &err);
        ck_assert_int_eq(err.status, status);
        ck_assert_int_eq(status, size < end ? STATUS_UNPROCESSABLE : STATUS_OK);
    }
    buffer_free(&file);
}
END_TEST

START_TEST(checksums_of_what_makes_pixels_count) {
    struct buffer file = files_load("tests/golden/image/palette4.png");
    const char *critical[] = {"IHDR", "PLTE", "IDAT"};
    for (size_t i = 0; i < 3; i++) {
        size_t at = find_chunk(buffer_view(&file), critical[i]);
        size_t size = (size_t)file.data[at + 2] << 8 | file.data[at + 3];
        file.data[at + 8 + size] ^= 1;
        ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_UNPROCESSABLE);
        file.data[at + 8 + size] ^= 1;
    }
    file.data[find_chunk(buffer_view(&file), "tRNS") + 8 + 4] ^= 1;
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_OK);
    buffer_free(&file);
}
END_TEST

/* A chunk may claim 2 GB and a file of 57 bytes may begin one. */
START_TEST(lengths_that_lie_cost_nothing) {
    const char *types[] = {"iCCP", "tEXt", "zTXt", "tRNS", "PLTE", "IDAT", "qqqq"};
    uint8_t file[41] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde";
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        file[33] = 0x3f;
        memset(file + 34, 0xff, 3);
        memcpy(file + 37, types[i], 4);
        ck_assert_int_eq(decode((struct bytes){.data = file, .size = sizeof(file)}, NULL),
                         STATUS_UNPROCESSABLE);
    }
}
END_TEST

/* Rows of 12 MB, where the limits allow them. */
START_TEST(large_blocks_are_refused) {
    const uint8_t file[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x16\xe3\x60\0\0\0\x01"
                           "\x10\x06\0\0\0\x2c\x52\xfa\x3e\0\0\0\0IDAT\x35\xaf\x06\x1e";
    struct image image = {0};
    struct error err = ERROR_NONE;
    struct image_options wide = {.limits = {.side_max = 1500000, .pixels_max = 1500000}};
    struct bytes bytes = {.data = file, .size = sizeof(file) - 1};
    ck_assert_int_eq(png_decode(&image, bytes, &wide, &err), STATUS_UNPROCESSABLE);
    ck_assert_msg(strstr(err.message, "memory"), "%s", err.message);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("png");
    tcase_add_test(tcase, kinds_make_the_mode);
    tcase_add_test(tcase, palettes_end_in_a_grey_ramp);
    tcase_add_test(tcase, the_end_chunk_may_be_missing_but_no_pixel);
    tcase_add_test(tcase, checksums_of_what_makes_pixels_count);
    tcase_add_test(tcase, lengths_that_lie_cost_nothing);
    tcase_add_test(tcase, large_blocks_are_refused);
    return program_run("png", tcase, CK_NOFORK);
}
