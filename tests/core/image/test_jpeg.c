/* What is particular to JPEG: modes, damage, guards. That the pixels are right is shown by
 * test_preprocess and test_corpora. */
#include "core/image/jpeg.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/photo.h"
#include "tests/support/program.h"

static struct image_options options = {.limits = {.side_max = 16384, .pixels_max = 50000000}};

/* Offset of the first marker of that type; there is no other 0xff followed by it. */
static size_t find_marker(const struct buffer *file, uint8_t marker) {
    for (size_t i = 0; i + 1 < file->size; i++)
        if (file->data[i] == 0xff && file->data[i + 1] == marker) return i;
    ck_abort_msg("no marker %02x", marker);
    return 0;
}

static enum status decode(struct bytes file, struct error *err) {
    struct image image = {0};
    enum status status = jpeg_decode(&image, file, &options, err);
    image_free(&image);
    return status;
}

static enum image_mode mode_of(const char *path) {
    struct buffer file = files_load(path);
    struct image image = {0};
    ck_assert_int_eq(jpeg_decode(&image, buffer_view(&file), &options, NULL), STATUS_OK);
    enum image_mode mode = image.mode;
    image_free(&image);
    buffer_free(&file);
    return mode;
}

START_TEST(components_make_the_mode) {
    ck_assert_int_eq(mode_of("tests/golden/image/grey.jpg"), IMAGE_MODE_L);
    ck_assert_int_eq(mode_of("tests/golden/image/420_odd.jpg"), IMAGE_MODE_RGB);
    ck_assert_int_eq(mode_of("tests/golden/image/cmyk.jpg"), IMAGE_MODE_CMYK);
}
END_TEST

/* Any shorter file misses pixels; without its end marker alone it still may, because
 * libjpeg reads ahead. All of them must fail cleanly. */
START_TEST(cut_off_files_are_unprocessable) {
    const char *paths[] = {"tests/golden/image/420_odd.jpg",
                           "tests/golden/image/444_progressive.jpg"};
    for (size_t p = 0; p < 2; p++) {
        struct buffer file = files_load(paths[p]);
        for (size_t size = 0; size < file.size; size++) {
            struct bytes part = {.data = file.data, .size = size};
            struct error err = ERROR_NONE;
            ck_assert_int_eq(decode(part, &err), STATUS_UNPROCESSABLE);
            ck_assert_int_eq(err.status, STATUS_UNPROCESSABLE);
        }
        ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_OK);
        buffer_free(&file);
    }
}
END_TEST

START_TEST(junk_in_place_of_the_end_is_accepted) {
    struct buffer file = files_load("tests/golden/image/420_odd.jpg");
    file.data[file.size - 1] = 0xdb;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(decode(buffer_view(&file), &err), STATUS_OK);
    ck_assert_str_eq(err.message, "");
    buffer_free(&file);
}
END_TEST

START_TEST(damaged_pixels_are_used) {
    struct buffer file = files_load("tests/golden/image/420_odd.jpg");
    size_t scan = find_marker(&file, 0xda);
    file.data[scan + 40] ^= 0x55;
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_OK);
    buffer_free(&file);
}
END_TEST

START_TEST(other_kinds_of_jpeg_are_unsupported) {
    struct buffer file = files_load("tests/golden/image/420_odd.jpg");
    size_t frame = find_marker(&file, 0xc0);
    struct error err = ERROR_NONE;
    file.data[frame + 4] = 12;
    ck_assert_int_eq(decode(buffer_view(&file), &err), STATUS_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "precision 12"));
    file.data[frame + 4] = 8;
    file.data[frame + 1] = 0xc3; /* lossless */
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_UNSUPPORTED);
    buffer_free(&file);
}
END_TEST

START_TEST(two_components_are_unsupported) {
    const uint8_t file[] = {
        0xff, 0xd8,                                                            /* start of image */
        0xff, 0xc0, 0, 14, 8, 0, 8, 0, 8, 2, 1,  0x11, 0,    2,    0x11, 0,    /* frame */
        0xff, 0xda, 0, 10, 2, 1, 0, 2, 0, 0, 63, 0,    0x12, 0x34, 0xff, 0xd9, /* scan */
    };
    struct error err = ERROR_NONE;
    struct bytes bytes = {.data = file, .size = sizeof(file)};
    ck_assert_int_eq(decode(bytes, &err), STATUS_UNSUPPORTED);
    ck_assert_str_eq(err.message, "JPEG has 2 components, expected 1, 3 or 4");
}
END_TEST

/* A header may not claim more pixels than its file could ever hold. */
START_TEST(implausible_sizes_are_refused) {
    struct buffer file = files_load("tests/golden/image/420_odd.jpg");
    size_t frame = find_marker(&file, 0xc0);
    memcpy(file.data + frame + 5, "\x17\x70\x17\x70", 4); /* 6000 x 6000 */
    struct error err = ERROR_NONE;
    ck_assert_int_eq(decode(buffer_view(&file), &err), STATUS_UNPROCESSABLE);
    ck_assert_ptr_nonnull(strstr(err.message, "claims to be 6000 x 6000"));
    memcpy(file.data + frame + 5, "\x00\x00\x17\x70", 4);
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_UNPROCESSABLE);
    memcpy(file.data + frame + 5, "\xff\xff\xff\xff", 4);
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_TOO_LARGE);
    buffer_free(&file);
}
END_TEST

/* A progressive grey image of `scans` scans that each say nothing new. */
static struct buffer make_scans(size_t scans) {
    static const uint8_t start[] = {
        0xff, 0xd8,                                                     /* start of image */
        0xff, 0xc2, 0, 11, 8,    0, 8, 0, 8, 1, 1, 0x11, 0,             /* frame, 8 x 8 */
        0xff, 0xc4, 0, 20, 0,                                           /* a table of one code */
        1,    0,    0, 0,  0,    0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0, /* "0" is category 0 */
        0xff, 0xc4, 0, 20, 0x10,                                        /* the same for AC */
        1,    0,    0, 0,  0,    0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0,
    };
    static const uint8_t first[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0x7f};
    static const uint8_t more[] = {0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0, 0x7f};
    static const uint8_t end[] = {0xff, 0xd9};
    uint8_t quantization[69] = {0xff, 0xdb, 0, 67, 0};
    memset(quantization + 5, 1, 64);
    struct buffer file;
    buffer_init(&file, 1 << 20);
    buffer_append(&file, start, sizeof(start), NULL);
    buffer_append(&file, quantization, sizeof(quantization), NULL);
    buffer_append(&file, first, sizeof(first), NULL);
    for (size_t i = 1; i < scans; i++) buffer_append(&file, more, sizeof(more), NULL);
    buffer_append(&file, end, sizeof(end), NULL);
    return file;
}

START_TEST(scans_are_limited) {
    struct buffer file = make_scans(100);
    ck_assert_int_eq(decode(buffer_view(&file), NULL), STATUS_OK);
    buffer_free(&file);
    file = make_scans(101);
    struct error err = ERROR_NONE;
    ck_assert_int_eq(decode(buffer_view(&file), &err), STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "JPEG has more than 100 scans");
    buffer_free(&file);
}
END_TEST

static struct image reduced(const struct buffer *file, uint32_t reduce_to) {
    struct image_options fast = options;
    struct image image = {0};
    fast.reduce_to = reduce_to;
    ck_assert_int_eq(jpeg_decode(&image, buffer_view(file), &fast, NULL), STATUS_OK);
    return image;
}

/* Never below what was asked for, and no further than to an eighth. */
START_TEST(reduced_sizes) {
    static const struct {
        uint32_t reduce_to, factor, width, height;
    } rows[] = {
        {0, 0, 203, 131}, {132, 0, 203, 131}, {66, 0, 203, 131}, {65, 2, 102, 66}, {33, 2, 102, 66},
        {32, 4, 51, 33},  {17, 4, 51, 33},    {16, 8, 26, 17},   {1, 8, 26, 17},
    };
    struct buffer file = photo_make(203, 131);
    struct image whole = reduced(&file, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct image image = reduced(&file, rows[i].reduce_to);
        ck_assert_uint_eq(image.reduction.factor, rows[i].factor);
        ck_assert_uint_eq(image.width, rows[i].width);
        ck_assert_uint_eq(image.height, rows[i].height);
        size_t factor = rows[i].factor ? rows[i].factor : 1, sum = 0;
        if (factor > 1) {
            ck_assert_uint_eq(image.reduction.width, 203);
            ck_assert_uint_eq(image.reduction.height, 131);
        }
        /* A pixel in the middle of the image is the mean of those it stands for. */
        for (size_t k = 0; k < factor * factor; k++)
            sum += whole.pixels[((64 + k / factor) * whole.width + 80 + k % factor) * 3 + 1];
        uint8_t pixel = image.pixels[(64 / factor * image.width + 80 / factor) * 3 + 1];
        ck_assert_int_le(abs((int)(sum / (factor * factor)) - pixel), 6);
        image_free(&image);
    }
    image_free(&whole);
    buffer_free(&file);
}
END_TEST

/* What the header states is what is held against the limits, not what is decoded; and a
 * file that is cut off is refused at any size. */
START_TEST(reduced_files_are_guarded_as_others) {
    struct buffer file = photo_make(203, 131);
    struct image_options fast = {.limits = {.side_max = 202, .pixels_max = 50000000},
                                 .reduce_to = 1};
    struct image image;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(jpeg_decode(&image, buffer_view(&file), &fast, &err), STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "image is 203 x 131, the limit is 202 on either side");
    fast.limits.side_max = 203;
    ck_assert_int_eq(jpeg_decode(&image, buffer_view(&file), &fast, NULL), STATUS_OK);
    image_free(&image);
    for (size_t size = 0; size < file.size; size += 1 + file.size / 300) {
        struct bytes part = {.data = file.data, .size = size};
        ck_assert_int_eq(jpeg_decode(&image, part, &fast, NULL), STATUS_UNPROCESSABLE);
    }
    buffer_free(&file);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("jpeg");
    tcase_add_test(tcase, components_make_the_mode);
    tcase_add_test(tcase, cut_off_files_are_unprocessable);
    tcase_add_test(tcase, junk_in_place_of_the_end_is_accepted);
    tcase_add_test(tcase, damaged_pixels_are_used);
    tcase_add_test(tcase, other_kinds_of_jpeg_are_unsupported);
    tcase_add_test(tcase, two_components_are_unsupported);
    tcase_add_test(tcase, implausible_sizes_are_refused);
    tcase_add_test(tcase, scans_are_limited);
    tcase_add_test(tcase, reduced_sizes);
    tcase_add_test(tcase, reduced_files_are_guarded_as_others);
    return program_run("jpeg", tcase, CK_NOFORK);
}
