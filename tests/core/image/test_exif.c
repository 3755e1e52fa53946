/* Orientation: found in every container, applied in all eight ways, harmless when broken. */
#include "core/image/exif.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

static uint32_t orientation_of(const char *path) {
    struct buffer file = files_load(path);
    uint32_t orientation = exif_orientation(buffer_view(&file), image_sniff(buffer_view(&file)));
    buffer_free(&file);
    return orientation;
}

START_TEST(is_found_in_every_format) {
    for (uint32_t i = 1; i <= 8; i++) {
        char path[64];
        snprintf(path, sizeof(path), "tests/golden/image/exif%u.jpg", i);
        ck_assert_uint_eq(orientation_of(path), i);
    }
    ck_assert_uint_eq(orientation_of("tests/golden/image/exif6.png"), 6);
    ck_assert_uint_eq(orientation_of("tests/golden/image/exif3.webp"), 3);
    ck_assert_uint_eq(orientation_of("tests/golden/image/lossy.webp"), 1);
    ck_assert_uint_eq(orientation_of("tests/golden/image/grey.jpg"), 1);
    ck_assert_uint_eq(orientation_of("tests/golden/image/grey8.png"), 1);
}
END_TEST

/* An eXIf chunk is the shortest container: orientation 6, little endian, at offset 8 of
 * the TIFF file that begins at 16. */
static const uint8_t sample[] = "\x89PNG\r\n\x1a\n\0\0\0\x1a"
                                "eXIfII\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
                                "crc.";
enum { SAMPLE_SIZE = sizeof(sample) - 1, TIFF = 16 };

static uint32_t with_byte(size_t offset, uint8_t value) {
    uint8_t file[SAMPLE_SIZE];
    memcpy(file, sample, sizeof(file));
    file[offset] = value;
    return exif_orientation((struct bytes){.data = file, .size = sizeof(file)}, IMAGE_PNG);
}

START_TEST(nonsense_means_upright) {
    ck_assert_uint_eq(with_byte(TIFF, 'I'), 6);
    ck_assert_uint_eq(with_byte(TIFF, 'X'), 1);       /* neither byte order */
    ck_assert_uint_eq(with_byte(TIFF + 1, 'M'), 1);   /* "IM" */
    ck_assert_uint_eq(with_byte(TIFF + 4, 12), 1);    /* the directory past the end */
    ck_assert_uint_eq(with_byte(TIFF + 7, 0xff), 1);  /* far past it */
    ck_assert_uint_eq(with_byte(TIFF + 8, 0), 1);     /* no entries */
    ck_assert_uint_eq(with_byte(TIFF + 9, 0xff), 6);  /* 65281 entries, the first is ours */
    ck_assert_uint_eq(with_byte(TIFF + 10, 0x11), 1); /* another tag */
    ck_assert_uint_eq(with_byte(TIFF + 12, 4), 6);    /* a long */
    ck_assert_uint_eq(with_byte(TIFF + 12, 1), 6);    /* a byte */
    ck_assert_uint_eq(with_byte(TIFF + 12, 2), 1);    /* text */
    ck_assert_uint_eq(with_byte(TIFF + 14, 2), 1);    /* two values */
    ck_assert_uint_eq(with_byte(TIFF + 18, 8), 8);
    ck_assert_uint_eq(with_byte(TIFF + 18, 9), 1);
    ck_assert_uint_eq(with_byte(TIFF + 18, 0), 1);
}
END_TEST

/* Every prefix of every container, at its exact size for the sanitizer. */
START_TEST(cut_off_files_are_read_within_bounds) {
    const char *paths[] = {"tests/golden/image/exif6.jpg", "tests/golden/image/exif6.png",
                           "tests/golden/image/exif3.webp"};
    for (size_t p = 0; p < 3; p++) {
        struct buffer file = files_load(paths[p]);
        enum image_format format = image_sniff(buffer_view(&file));
        for (size_t size = 0; size < file.size; size++) {
            uint8_t *part = malloc(size + 1);
            ck_assert_ptr_nonnull(part);
            memcpy(part + 1, file.data, size);
            uint32_t orientation =
                exif_orientation((struct bytes){.data = part + 1, .size = size}, format);
            ck_assert_uint_ge(orientation, 1);
            ck_assert_uint_le(orientation, 8);
            free(part);
        }
        buffer_free(&file);
    }
}
END_TEST

/* abc     What each orientation makes of it, row by row, as PIL.ImageOps.exif_transpose()
 * def     does. */
START_TEST(turns_all_eight_ways) {
    const struct {
        uint32_t width, height;
        const char *pixels;
    } expected[] = {
        {3, 2, "abcdef"}, {3, 2, "cbafed"}, {3, 2, "fedcba"}, {3, 2, "defabc"},
        {2, 3, "adbecf"}, {2, 3, "daebfc"}, {2, 3, "fcebda"}, {2, 3, "cfbead"},
    };
    for (uint32_t orientation = 1; orientation <= 8; orientation++) {
        struct image image;
        ck_assert_int_eq(image_init(&image, IMAGE_MODE_P, 3, 2, NULL, NULL), STATUS_OK);
        memcpy(image.pixels, "abcdef", 6);
        image.palette['a'][1] = 77;
        ck_assert_int_eq(exif_turn_upright(&image, orientation, NULL), STATUS_OK);
        ck_assert_uint_eq(image.width, expected[orientation - 1].width);
        ck_assert_uint_eq(image.height, expected[orientation - 1].height);
        ck_assert_mem_eq(image.pixels, expected[orientation - 1].pixels, 6);
        ck_assert_int_eq(image.palette['a'][1], 77);
        image_free(&image);
    }
}
END_TEST

/* The same photograph in eight orientations, upright again: all must look alike. JPEG's
 * blocks fall differently, so the difference is small, not zero. */
static void check_photographs(const char *name) {
    uint8_t first[16];
    for (int i = 1; i <= 8; i++) {
        char relative[96];
        snprintf(relative, sizeof(relative), "corpora/jpeg-exif-orientation/%s_%d.jpg", name, i);
        char *path = shared_path(relative);
        struct buffer file = files_load(path);
        struct image_options options = {.limits = image_limits_default, .exif_orientation = true};
        struct image image;
        ck_assert_int_eq(image_decode(&image, buffer_view(&file), &options, NULL), STATUS_OK);
        ck_assert_int_eq(image.mode, IMAGE_MODE_RGB);
        for (uint32_t k = 0; k < sizeof(first); k++) {
            uint32_t x = image.width * (k % 4 * 2 + 1) / 8;
            uint32_t y = image.height * (k / 4 * 2 + 1) / 8;
            uint8_t value = image.pixels[((size_t)y * image.width + x) * 3 + 1];
            if (i == 1) first[k] = value;
            ck_assert_int_le(abs(value - first[k]), 24);
        }
        image_free(&image);
        buffer_free(&file);
        free(path);
    }
}

START_TEST(photographs_come_upright) {
    if (shared_missing()) return;
    check_photographs("Landscape");
    check_photographs("Portrait");
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("exif");
    tcase_add_test(tcase, is_found_in_every_format);
    tcase_add_test(tcase, nonsense_means_upright);
    tcase_add_test(tcase, cut_off_files_are_read_within_bounds);
    tcase_add_test(tcase, turns_all_eight_ways);
    tcase_add_test(tcase, photographs_come_upright);
    return program_run("exif", tcase, CK_NOFORK);
}
